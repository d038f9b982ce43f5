//! Child updates that go otherwise for one of several components, or have several steps
//! (device-update-agent.md § 6.11).

use serde_json::{Value, json};

use super::components::{COMPONENTS, child_of, components, motors, refer};
use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Deployed, Phase, Report, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "deployment-child-one-fails",
        title: "A child update that fails for one component is a failure of the whole",
        requirements: &["ADU-AGENT-058"],
        needs: COMPONENTS,
        run: agent_body!(one_fails),
    },
    Case {
        id: "deployment-child-one-installed",
        title: "A child update that one component has already is installed for the others",
        requirements: &["ADU-AGENT-055", "ADU-AGENT-115"],
        needs: COMPONENTS,
        run: agent_body!(one_installed),
    },
    Case {
        id: "deployment-child-two-steps",
        title: "Both steps of a child update run for each component that matches",
        requirements: &["ADU-AGENT-115"],
        needs: COMPONENTS,
        run: agent_body!(two_steps),
    },
    Case {
        id: "deployment-child-all-pairs",
        title: "A component that matches one pair of two is not selected",
        requirements: &["ADU-MANIFEST-014"],
        needs: COMPONENTS,
        run: agent_body!(all_pairs),
    },
];

/// Deploys a child update with `scripts` for the components of `maps`, and waits for its end.
async fn deploy_child(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    scripts: &[&Script],
    maps: Value,
) -> Checked<(Deployed, Report)> {
    agent.start().await?;
    let mut plan = agent.plan(&[])?;
    let child = child_of(agent, &mut plan, scripts, maps)?;
    refer(agent, &mut plan, &child)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within(requirement, BACK, &deployed).await?;
    Ok((deployed, report))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn one_fails(agent: &mut AgentBench<'_>) -> Checked {
    let script = Script::good("motor").forgetful();
    let script = script.failing(Phase::Install, 0x3050_0123, "stuck");
    let script = script.only_for(Phase::Install, "left-motor");
    let (deployed, report) = deploy_child(agent, "ADU-AGENT-058", &[&script], motors()).await?;
    let tried = components(agent, &script, Phase::Install).contains(&"left-motor".to_owned());
    agent.demand("ADU-AGENT-115", tried, "install runs for left-motor", agent.told());
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    agent.still_works("ADU-AGENT-104").await
}

async fn one_installed(agent: &mut AgentBench<'_>) -> Checked {
    let script = Script::good("motor").forgetful();
    let script = script.with(Phase::IsInstalled, 900).only_for(Phase::IsInstalled, "left-motor");
    let (deployed, report) = deploy_child(agent, "ADU-AGENT-115", &[&script], motors()).await?;
    agent.demand_success("ADU-AGENT-115", &deployed, &report);
    let seen = components(agent, &script, Phase::Install);
    let others = names(&["rear-motor", "right-motor"]);
    let has_others = others.iter().all(|name| seen.contains(name));
    let told = format!("{seen:?}");
    agent.demand("ADU-AGENT-115", has_others, "install ran for the others", told.clone());
    let holds = !seen.contains(&"left-motor".to_owned());
    agent.demand("ADU-AGENT-055", holds, "install did not run for left-motor", told);
    Ok(())
}

async fn two_steps(agent: &mut AgentBench<'_>) -> Checked {
    let (first, second) = (Script::good("first").forgetful(), Script::good("second").forgetful());
    let (deployed, report) =
        deploy_child(agent, "ADU-AGENT-115", &[&first, &second], motors()).await?;
    agent.demand_success("ADU-AGENT-115", &deployed, &report);
    for script in [&first, &second] {
        let what = format!("{} was installed for", script.name);
        let allowed = names(&["left-motor", "rear-motor", "right-motor"]);
        let seen = components(agent, script, Phase::Install);
        agent.equal("ADU-AGENT-115", &what, allowed, seen);
    }
    Ok(())
}

async fn all_pairs(agent: &mut AgentBench<'_>) -> Checked {
    let script = Script::good("nobody").forgetful();
    // Fabrikam makes the motors, L7 is the lamp of somebody else.
    let maps = json!([{ "manufacturer": "Fabrikam", "model": "L7" }]);
    let (deployed, report) = deploy_child(agent, "ADU-MANIFEST-014", &[&script], maps).await?;
    agent.demand_success("ADU-AGENT-116", &deployed, &report);
    let seen = components(agent, &script, Phase::Install);
    agent.equal("ADU-MANIFEST-014", "install ran for", Vec::new(), seen);
    Ok(())
}
