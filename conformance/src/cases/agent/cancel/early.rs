//! A cancel that meets something else than a payload: a validation, a replacement, another cancel.

use twinspec_harness::content::Manner;

use super::super::SCRIPTED;
use super::super::deployment::{COMPONENTS, child_of, motors, refer};
use super::running::{demand_cancelled, ended};
use crate::agent_body;
use crate::bench::agent::{AgentBench, Deployed, NO_DEPLOYMENT, Phase, Plan, Report, STEP, Script};
use crate::case::{Case, Claim, Need};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "cancel-in-validation",
        title: "A cancel while the root key package is fetched ends the deployment before it begins",
        requirements: &["ADU-AGENT-089"],
        needs: &[
            Need::Claim(Claim::RootKeys),
            Need::Claim(Claim::Scripts),
            Need::Claim(Claim::RootKeyPackage),
        ],
        run: agent_body!(in_validation),
    },
    Case {
        id: "cancel-in-child-manifest",
        title: "A cancel while a child manifest is fetched ends the deployment before it begins",
        requirements: &["ADU-AGENT-089"],
        needs: COMPONENTS,
        run: agent_body!(in_child_manifest),
    },
    Case {
        id: "cancel-in-backup",
        title: "A cancel while a payload backs up ends in state 0 with -1",
        requirements: &["ADU-AGENT-089"],
        needs: SCRIPTED,
        run: agent_body!(in_backup),
    },
    Case {
        id: "cancel-of-a-replacement",
        title: "A cancel while a replacement waits for the old payload ends both",
        requirements: &["ADU-AGENT-089"],
        needs: SCRIPTED,
        run: agent_body!(of_a_replacement),
    },
    Case {
        id: "cancel-twice-acknowledged",
        title: "A cancel that comes while another is carried out is acknowledged",
        requirements: &["ADU-AGENT-030"],
        needs: SCRIPTED,
        run: agent_body!(twice_acknowledged),
    },
];

/// Demands that nothing of `plan` was put into force or claimed.
fn demand_nothing_of(agent: &mut AgentBench<'_>, plan: &Plan, script: &Script, from: usize) {
    let runs = agent.times(script, Phase::Apply);
    agent.equal("ADU-AGENT-089", "runs of apply of what was cancelled", 0, runs);
    let reports = agent.reports(from);
    let claim = reports.iter().find(|report| report.installed().as_ref() == Some(&plan.update));
    let seen = claim.map_or_else(String::new, ToString::to_string);
    let allowed = "no report that names the update of the cancelled deployment";
    agent.demand("ADU-AGENT-089", claim.is_none(), allowed, seen);
    let is_mine = |report: &&Report| report.workflow_id() == Some(plan.workflow.as_str());
    let begun = reports.iter().filter(is_mine).any(Report::is_progress);
    let ended = reports.iter().filter(is_mine).any(Report::is_terminal);
    let seen = "state 6 and no end";
    agent.demand("ADU-AGENT-089", ended || !begun, "an end of what was reported as begun", seen);
}

async fn in_validation(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("fine")]).await?;
    let package = agent.package_of_its_own()?;
    agent.content().set_manner(&package.path, Manner::StallAfter(10));
    let script = Script::good("late").gated(Phase::Install);
    let mut plan = agent.plan(&[&script])?;
    plan.package = Some(agent.url_of(&package));
    let deployed = agent.deploy(&plan).await?;
    let is_asked = |agent: &AgentBench<'_>| agent.hits().iter().any(|hit| hit.path == package.path);
    agent.until("ADU-SIG-026", "a request for the package", STEP, is_asked).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    agent.content().set_manner(&package.path, Manner::Whole);
    // Who looks at the cancel only when the package has come gets its time, and a payload that was
    // not cancelled gets the time to show it.
    let goes_on = |agent: &AgentBench<'_>| {
        let requests = agent.hits().iter().filter(|hit| hit.path == package.path).count();
        requests > 1 || agent.reports(deployed.from).iter().any(Report::is_terminal)
    };
    agent.until_or_ended(STEP, goes_on).await;
    agent.quiet().await;
    agent.open_gate(&script, Phase::Install)?;
    agent.quiet().await;
    agent.still_works("ADU-AGENT-104").await?;
    demand_nothing_of(agent, &plan, &script, deployed.from);
    Ok(())
}

async fn in_child_manifest(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("fine")]).await?;
    let script = Script::good("motor").forgetful();
    let mut plan = agent.plan(&[])?;
    let child = child_of(agent, &mut plan, &[&script], motors())?;
    let path = refer(agent, &mut plan, &child)?;
    agent.content().set_manner(&path, Manner::StallAfter(10));
    let deployed = agent.deploy(&plan).await?;
    let is_asked = |agent: &AgentBench<'_>| agent.hits().iter().any(|hit| hit.path == path);
    agent.until("ADU-AGENT-113", "a request for the child manifest", STEP, is_asked).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    agent.content().set_manner(&path, Manner::Whole);
    agent.quiet().await;
    agent.still_works("ADU-AGENT-104").await?;
    demand_nothing_of(agent, &plan, &script, deployed.from);
    Ok(())
}

async fn in_backup(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("slow").gated(Phase::Backup);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let goes_on = |agent: &AgentBench<'_>| {
        agent.times(&script, Phase::Backup) + agent.times(&script, Phase::Install) > 0
    };
    agent.until("ADU-AGENT-040", "the payload backs up or installs", STEP, goes_on).await?;
    if agent.times(&script, Phase::Backup) == 0 {
        // Not every agent calls it (device-update-agent.md § 6.10).
        return Err(Stop::Unsupported("the agent has no backup phase for scripts".to_owned()));
    }
    agent.cancel(NO_DEPLOYMENT).await?;
    let report = ended(agent, "ADU-AGENT-089", (&script, Phase::Backup), &deployed).await?;
    demand_cancelled(agent, "ADU-AGENT-089", (&plan, &script, Phase::Backup), &report);
    agent.still_works("ADU-AGENT-104").await?;
    demand_nothing_of(agent, &plan, &script, deployed.from);
    Ok(())
}

async fn of_a_replacement(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let old = Script::good("old").gated(Phase::Install).stubborn();
    let plan = agent.plan(&[&old])?;
    agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-087", &old, Phase::Install).await?;
    let new = Script::good("new");
    let plan = agent.plan(&[&new])?;
    let deployed = agent.deploy(&plan).await?;
    agent.acknowledged("ADU-AGENT-030", &deployed).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    agent.quiet().await;
    agent.open_gate(&old, Phase::Install)?;
    agent.quiet().await;
    agent.still_works("ADU-AGENT-104").await?;
    demand_nothing_of(agent, &plan, &new, deployed.from);
    Ok(())
}

async fn twice_acknowledged(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("slow").gated(Phase::Install).stubborn();
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &script, Phase::Install).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    // The first acknowledgement may give way to that of the second.
    let version = agent.cancel(NO_DEPLOYMENT).await?;
    let second = Deployed { version, ..deployed };
    let report = agent.acknowledged("ADU-AGENT-030", &second).await?;
    let code = report.acknowledgement().map(|told| told.ac.clone()).unwrap_or_default();
    agent.equal_json("ADU-AGENT-030", "ac", &serde_json::json!(200), &code);
    agent.open_gate(&script, Phase::Install)
}
