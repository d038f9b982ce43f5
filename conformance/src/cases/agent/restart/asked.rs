//! Result codes by which a handler asks for a restart or a reboot.

use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Deployed, Phase, Script};
use crate::case::{Case, Claim, Need};
use crate::verdict::{Checked, Stop};

/// The same needs, and that the agent restarts for handlers.
const RESTARTED: &[Need] = &[
    Need::Claim(Claim::RootKeys),
    Need::Claim(Claim::Scripts),
    Need::Claim(Claim::Resumes),
    Need::Claim(Claim::Restarts),
];

macro_rules! asked {
    ($id:literal, $title:literal, $requirement:literal, $phase:expr, $code:literal, $body:path) => {
        Case {
            id: $id,
            title: $title,
            requirements: &[$requirement],
            needs: RESTARTED,
            run: agent_body!($body, $phase, $code),
        }
    };
}

/// The cases.
pub(super) const CASES: &[Case] = &[
    asked!(
        "restart-asked-605",
        "Until the reboot that install asked for with 605 the twin stays at 6",
        "ADU-AGENT-069",
        Phase::Install,
        605,
        stays_in_progress
    ),
    asked!(
        "restart-asked-607",
        "Until the restart that install asked for with 607 the twin stays at 6",
        "ADU-AGENT-069",
        Phase::Install,
        607,
        stays_in_progress
    ),
    asked!(
        "restart-asked-705",
        "Until the reboot that apply asked for with 705 the twin stays at 6",
        "ADU-AGENT-069",
        Phase::Apply,
        705,
        stays_in_progress
    ),
    asked!(
        "restart-asked-707",
        "Until the restart that apply asked for with 707 the twin stays at 6",
        "ADU-AGENT-069",
        Phase::Apply,
        707,
        stays_in_progress
    ),
    asked!(
        "restart-asked-706-installed",
        "After the reboot that apply asked for with 706 the installed update is a success",
        "ADU-AGENT-070",
        Phase::Apply,
        706,
        success_afterwards
    ),
    asked!(
        "restart-asked-708-installed",
        "After the restart that apply asked for with 708 the installed update is a success",
        "ADU-AGENT-070",
        Phase::Apply,
        708,
        success_afterwards
    ),
    asked!(
        "restart-asked-606-again",
        "After the reboot that install asked for with 606 what is not installed runs again",
        "ADU-AGENT-071",
        Phase::Install,
        606,
        again_afterwards
    ),
    asked!(
        "restart-asked-608-again",
        "After the restart that install asked for with 608 what is not installed runs again",
        "ADU-AGENT-071",
        Phase::Install,
        608,
        again_afterwards
    ),
    Case {
        id: "restart-asked-action",
        title: "The report after such a restart says action 0, or 3 as the deployment did",
        requirements: &["ADU-AGENT-072"],
        needs: RESTARTED,
        run: agent_body!(action),
    },
];

/// A deployment whose payload asks for a restart: the agent has ended, or has said all it says.
async fn restarting(
    agent: &mut AgentBench<'_>,
    phase: Phase,
    code: i64,
) -> Checked<(Script, Deployed)> {
    agent.start().await?;
    let script = Script::good("a").with(phase, code);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let has_run = |agent: &AgentBench<'_>| agent.has_run(&script, phase);
    let what = "the payload asks for a restart";
    // Until it has, the agent must not end.
    agent.until("ADU-AGENT-069", what, crate::bench::agent::STEP, has_run).await?;
    // An agent that restarts the machine itself is still there: it gets its time.
    agent.ends_or_waits().await;
    Ok((script, deployed))
}

fn demand_no_end(agent: &mut AgentBench<'_>, deployed: &Deployed) {
    let reports = agent.reports(deployed.from);
    let end = reports.iter().find(|report| report.is_terminal());
    let seen = end.map_or_else(String::new, ToString::to_string);
    agent.demand("ADU-AGENT-069", end.is_none(), "no end before the restart", seen);
}

async fn stays_in_progress(agent: &mut AgentBench<'_>, phase: Phase, code: i64) -> Checked {
    let (script, deployed) = restarting(agent, phase, code).await?;
    demand_no_end(agent, &deployed);
    preset(agent, &script)?;
    let from = agent.seen_count();
    agent.restart().await?;
    let deployed = Deployed { from, ..deployed };
    let report = agent.end_within("ADU-AGENT-070", BACK, &deployed).await?;
    agent.demand_success("ADU-AGENT-070", &deployed, &report);
    Ok(())
}

fn preset(agent: &AgentBench<'_>, script: &Script) -> Checked {
    agent.device().preset_installed(script).map_err(|error| Stop::Harness(error.to_string()))
}

async fn success_afterwards(agent: &mut AgentBench<'_>, phase: Phase, code: i64) -> Checked {
    let (script, deployed) = restarting(agent, phase, code).await?;
    demand_no_end(agent, &deployed);
    preset(agent, &script)?;
    let installs = agent.times(&script, Phase::Install);
    let from = agent.seen_count();
    agent.restart().await?;
    let deployed = Deployed { from, ..deployed };
    let report = agent.end_within("ADU-AGENT-070", BACK, &deployed).await?;
    agent.demand_success("ADU-AGENT-070", &deployed, &report);
    let id = report.workflow_id().unwrap_or("none").to_owned();
    agent.equal("ADU-AGENT-070", "workflow.id", deployed.workflow.clone(), id);
    let after = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-070", "runs of install", installs, after);
    Ok(())
}

async fn again_afterwards(agent: &mut AgentBench<'_>, phase: Phase, code: i64) -> Checked {
    let (script, deployed) = restarting(agent, phase, code).await?;
    demand_no_end(agent, &deployed);
    let before = agent.times(&script, phase);
    agent.restart().await?;
    agent.begins_again("ADU-AGENT-071", &script, phase, before + 1).await?;
    let after = agent.times(&script, phase);
    agent.demand("ADU-AGENT-071", after > before, "the payload runs again", "it does not");
    Ok(())
}

async fn action(agent: &mut AgentBench<'_>) -> Checked {
    let (script, deployed) = restarting(agent, Phase::Apply, 707).await?;
    preset(agent, &script)?;
    let from = agent.seen_count();
    agent.restart().await?;
    let report = agent.end_within("ADU-AGENT-070", BACK, &Deployed { from, ..deployed }).await?;
    let action = report.at("/deviceUpdate/agent/workflow/action").as_i64();
    // The one agent that was observed says 0, its own tests expect 3: both are allowed.
    let holds = matches!(action, Some(0 | 3));
    agent.demand("ADU-AGENT-072", holds, "workflow.action 0 or 3", report.to_string());
    Ok(())
}
