//! A new deployment while another runs.

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Phase, Report, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "retry-replaced-in-download",
        title: "A new deployment during the download phase is carried out with its own payload",
        requirements: &["ADU-AGENT-087"],
        needs: SCRIPTED,
        run: agent_body!(replaced, Phase::Download),
    },
    Case {
        id: "retry-replaced-in-install",
        title: "A new deployment during the install phase is carried out with its own payload",
        requirements: &["ADU-AGENT-087"],
        needs: SCRIPTED,
        run: agent_body!(replaced, Phase::Install),
    },
    Case {
        id: "retry-replaced-in-apply",
        title: "A new deployment during the apply phase is carried out with its own payload",
        requirements: &["ADU-AGENT-087"],
        needs: SCRIPTED,
        run: agent_body!(replaced, Phase::Apply),
    },
    Case {
        id: "retry-replaced-names",
        title: "The end of a replacement names the new deployment and the new update",
        requirements: &["ADU-AGENT-088"],
        needs: SCRIPTED,
        run: agent_body!(names),
    },
    Case {
        id: "retry-replaced-twice",
        title: "Of two replacements in a row the last is carried out",
        requirements: &["ADU-AGENT-087"],
        needs: SCRIPTED,
        run: agent_body!(twice),
    },
];

/// Waits for the success of `workflow`, whatever is said of others before.
async fn succeeds(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    from: usize,
    workflow: &str,
) -> Checked<Report> {
    agent.look_from(from);
    let allowed = format!("a report of state 0 with installedUpdateId for {workflow}");
    let succeeds = |report: &Report| report.is_terminal() && report.workflow_id() == Some(workflow);
    agent.report_within(requirement, &allowed, BACK, succeeds).await
}

async fn replaced(agent: &mut AgentBench<'_>, phase: Phase) -> Checked {
    agent.start().await?;
    let old = Script::good("old").gated(phase);
    let plan = agent.plan(&[&old])?;
    agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-087", &old, phase).await?;
    let new = Script::good("new");
    let plan = agent.plan(&[&new])?;
    let deployed = agent.deploy(&plan).await?;
    agent.acknowledged("ADU-AGENT-030", &deployed).await?;
    agent.open_gate(&old, phase)?;
    let report = succeeds(agent, "ADU-AGENT-087", deployed.from, &plan.workflow).await?;
    agent.demand_success("ADU-AGENT-087", &deployed, &report);
    agent.demand_ran("ADU-AGENT-087", &[&new]);
    let runs = (agent.times(&new, Phase::Install), agent.times(&new, Phase::Apply));
    agent.equal("ADU-AGENT-087", "runs of install and apply of the new payload", (1, 1), runs);
    // The old work has ended: nothing of it runs after the new one began.
    let ran = agent.ran();
    let began = ran.iter().position(|ran| ran.payload == "new" && ran.phase == Phase::Install);
    let late = ran.iter().skip(began.unwrap_or(0)).any(|ran| ran.payload == "old");
    let told = agent.told();
    agent.demand("ADU-AGENT-087", !late, "nothing of the old payload after the new began", told);
    Ok(())
}

async fn names(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let old = Script::good("old").gated(Phase::Install);
    let first = agent.plan(&[&old])?;
    agent.deploy(&first).await?;
    agent.begins("ADU-AGENT-087", &old, Phase::Install).await?;
    let plan = agent.plan(&[&Script::good("new")])?;
    let deployed = agent.deploy(&plan).await?;
    agent.acknowledged("ADU-AGENT-030", &deployed).await?;
    agent.open_gate(&old, Phase::Install)?;
    let report = succeeds(agent, "ADU-AGENT-088", deployed.from, &plan.workflow).await?;
    agent.demand_success("ADU-AGENT-088", &deployed, &report);
    let wrong = agent.reports(0).into_iter();
    let wrong = wrong.filter(|report| {
        report.workflow_id() == Some(first.workflow.as_str())
            && report.installed().as_ref() == Some(&plan.update)
    });
    let wrong = wrong.count();
    agent.equal("ADU-AGENT-088", "reports that mix both deployments", 0, wrong);
    Ok(())
}

async fn twice(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let old = Script::good("old").gated(Phase::Install);
    let plan = agent.plan(&[&old])?;
    agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-087", &old, Phase::Install).await?;
    let middle = Script::good("middle").gated(Phase::Install);
    let plan = agent.plan(&[&middle])?;
    agent.deploy(&plan).await?;
    let last = Script::good("last");
    let plan = agent.plan(&[&last])?;
    let deployed = agent.deploy(&plan).await?;
    agent.open_gate(&old, Phase::Install)?;
    agent.open_gate(&middle, Phase::Install)?;
    let report = succeeds(agent, "ADU-AGENT-087", deployed.from, &plan.workflow).await?;
    agent.demand_success("ADU-AGENT-087", &deployed, &report);
    agent.demand_ran("ADU-AGENT-087", &[&last]);
    agent.still_works("ADU-AGENT-104").await
}
