//! Several steps, and components (device-update-agent.md § 6.11).

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, Phase, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "deployment-steps-in-order",
        title: "Steps run in the order of the manifest",
        requirements: &["ADU-AGENT-110"],
        needs: SCRIPTED,
        run: agent_body!(in_order),
    },
    Case {
        id: "deployment-step-fails",
        title: "A step that fails stops the rest",
        requirements: &["ADU-AGENT-111"],
        needs: SCRIPTED,
        run: agent_body!(step_fails),
    },
    Case {
        id: "deployment-last-step-fails",
        title: "A last step that fails is a failure of the whole",
        requirements: &["ADU-AGENT-058", "ADU-AGENT-110"],
        needs: SCRIPTED,
        run: agent_body!(last_step_fails),
    },
    Case {
        id: "deployment-ten-steps",
        title: "Ten steps, the most there may be, all run",
        requirements: &["ADU-MANIFEST-007", "ADU-AGENT-110"],
        needs: SCRIPTED,
        run: agent_body!(ten_steps),
    },
];

/// The payloads in the order in which they were installed.
fn installed(agent: &AgentBench<'_>) -> Vec<String> {
    let ran = agent.ran().into_iter();
    ran.filter(|ran| ran.phase == Phase::Install && !ran.ended).map(|ran| ran.payload).collect()
}

async fn in_order(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let scripts = ["zeta", "alpha", "midst"].map(Script::good);
    let [zeta, alpha, midst] = &scripts;
    agent.succeed("ADU-AGENT-041", &[zeta, alpha, midst]).await?;
    let allowed = ["zeta", "alpha", "midst"].map(str::to_owned).to_vec();
    agent.equal("ADU-AGENT-110", "installed were", allowed, installed(agent));
    Ok(())
}

async fn step_fails(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let first = Script::good("first").failing(Phase::Install, 0x3050_0001, "no space");
    let second = Script::good("second");
    let plan = agent.plan(&[&first, &second])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-111", &deployed).await?;
    agent.demand_failure("ADU-AGENT-111", &deployed, &report);
    let allowed = vec!["first".to_owned()];
    agent.equal("ADU-AGENT-111", "installed were", allowed, installed(agent));
    Ok(())
}

async fn last_step_fails(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let first = Script::good("first");
    let second = Script::good("second").failing(Phase::Install, 0x3050_0001, "no space");
    let plan = agent.plan(&[&first, &second])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    let allowed = ["first", "second"].map(str::to_owned).to_vec();
    agent.equal("ADU-AGENT-110", "installed were", allowed, installed(agent));
    Ok(())
}

async fn ten_steps(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let scripts: Vec<Script> = (0..10).map(|number| Script::good(&format!("s{number}"))).collect();
    let all: Vec<&Script> = scripts.iter().collect();
    let plan = agent.plan(&all)?;
    let deployed = agent.deploy(&plan).await?;
    let budget = crate::bench::agent::BACK;
    let report = agent.end_within("ADU-MANIFEST-007", budget, &deployed).await?;
    agent.demand_success("ADU-MANIFEST-007", &deployed, &report);
    let allowed: Vec<String> = scripts.iter().map(|script| script.name.clone()).collect();
    agent.equal("ADU-AGENT-110", "installed were", allowed, installed(agent));
    Ok(())
}
