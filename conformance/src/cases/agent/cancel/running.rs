//! A cancel while a payload runs.

use serde_json::json;

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Deployed, NO_DEPLOYMENT, Phase, Plan, Report, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "cancel-in-download",
        title: "A cancel in the download phase ends in state 0 with -1",
        requirements: &["ADU-AGENT-089"],
        needs: SCRIPTED,
        run: agent_body!(cancelled, Phase::Download),
    },
    Case {
        id: "cancel-in-install",
        title: "A cancel in the install phase ends in state 0 with -1",
        requirements: &["ADU-AGENT-089"],
        needs: SCRIPTED,
        run: agent_body!(cancelled, Phase::Install),
    },
    Case {
        id: "cancel-in-apply",
        title: "A cancel in the apply phase ends in state 0: with -1, or as the success that it became",
        requirements: &["ADU-AGENT-089"],
        needs: SCRIPTED,
        run: agent_body!(cancelled, Phase::Apply),
    },
    Case {
        id: "cancel-when-asked",
        title: "A cancel while a handler is asked ends in state 0 with -1",
        requirements: &["ADU-AGENT-089"],
        needs: SCRIPTED,
        run: agent_body!(cancelled, Phase::IsInstalled),
    },
    Case {
        id: "cancel-names-the-cancelled",
        title: "The report after a cancel names the deployment that was cancelled",
        requirements: &["ADU-AGENT-090"],
        needs: SCRIPTED,
        run: agent_body!(names_the_cancelled),
    },
    Case {
        id: "cancel-tells-the-handler",
        title: "The step that runs is told to stop",
        requirements: &["ADU-AGENT-091"],
        needs: SCRIPTED,
        run: agent_body!(tells_the_handler),
    },
    Case {
        id: "cancel-by-no-deployment",
        title: "A cancel with the id that marks no deployment works",
        requirements: &["ADU-AGENT-092"],
        needs: SCRIPTED,
        run: agent_body!(by, Id::NoDeployment),
    },
    Case {
        id: "cancel-by-running-id",
        title: "A cancel with the id of the running deployment works",
        requirements: &["ADU-AGENT-092"],
        needs: SCRIPTED,
        run: agent_body!(by, Id::Running),
    },
    Case {
        id: "cancel-bare",
        title: "A cancel without root key package and with a null manifest works",
        requirements: &["ADU-AGENT-093"],
        needs: SCRIPTED,
        run: agent_body!(bare),
    },
    Case {
        id: "cancel-twice",
        title: "A second cancel is harmless",
        requirements: &["ADU-AGENT-096"],
        needs: SCRIPTED,
        run: agent_body!(twice),
    },
    Case {
        id: "cancel-unsigned",
        title: "A cancel needs no signature",
        requirements: &["ADU-AGENT-097"],
        needs: SCRIPTED,
        run: agent_body!(unsigned),
    },
    Case {
        id: "cancel-then-other",
        title: "A deployment after a cancelled one runs its own payload",
        requirements: &["ADU-AGENT-098"],
        needs: SCRIPTED,
        run: agent_body!(then_other, Phase::Install),
    },
    Case {
        id: "cancel-then-other-after-download",
        title: "A deployment after one cancelled in the download phase runs its own payload",
        requirements: &["ADU-AGENT-098"],
        needs: SCRIPTED,
        run: agent_body!(then_other, Phase::Download),
    },
    Case {
        id: "cancel-stops-the-rest",
        title: "After a cancel in the first of two steps the second does not run",
        requirements: &["ADU-AGENT-089"],
        needs: SCRIPTED,
        run: agent_body!(stops_the_rest),
    },
];

/// A deployment whose payload waits in `phase`.
async fn running(agent: &mut AgentBench<'_>, phase: Phase) -> Checked<(Plan, Script, Deployed)> {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("fine")]).await?;
    let script = Script::good("slow").gated(phase);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &script, phase).await?;
    Ok((plan, script, deployed))
}

/// Waits for the end of `deployed`; a payload that was not told to stop is let go on after a while.
pub(super) async fn ended(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    (script, phase): (&Script, Phase),
    deployed: &Deployed,
) -> Checked<Report> {
    agent.quiet().await;
    agent.open_gate(script, phase)?;
    agent.look_from(deployed.from);
    let allowed = "a report of state 0";
    agent.report_within(requirement, allowed, BACK, |report| report.is_terminal()).await
}

/// Demands that `report` is the end of a cancelled deployment.
pub(super) fn demand_cancelled(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    (plan, script, phase): (&Plan, &Script, Phase),
    report: &Report,
) {
    // A payload whose apply was under way may be installed: to say so is the truth. Before that
    // there was time enough to stop: who goes on to the end has not heard of the cancel.
    let is_done = phase == Phase::Apply && agent.has_run(script, Phase::Apply);
    let is_success = report.state() == Some(0)
        && report.result_code() == Some(700)
        && report.installed().as_ref() == Some(&plan.update);
    let is_cancelled =
        report.state() == Some(0) && report.result_code() == Some(-1) && !report.claims_installed();
    let holds = is_cancelled || (is_done && is_success);
    let allowed = "state 0, resultCode -1 and no installedUpdateId";
    agent.demand(requirement, holds, allowed, report.to_string());
}

async fn cancelled(agent: &mut AgentBench<'_>, phase: Phase) -> Checked {
    let (plan, script, deployed) = running(agent, phase).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    let report = ended(agent, "ADU-AGENT-089", (&script, phase), &deployed).await?;
    demand_cancelled(agent, "ADU-AGENT-089", (&plan, &script, phase), &report);
    agent.still_works("ADU-AGENT-104").await
}

async fn names_the_cancelled(agent: &mut AgentBench<'_>) -> Checked {
    let (plan, script, deployed) = running(agent, Phase::Install).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    let report = ended(agent, "ADU-AGENT-089", (&script, Phase::Install), &deployed).await?;
    let id = report.workflow_id().unwrap_or("none").to_owned();
    agent.equal("ADU-AGENT-090", "workflow.id", plan.workflow, id);
    Ok(())
}

async fn tells_the_handler(agent: &mut AgentBench<'_>) -> Checked {
    let (_, script, _) = running(agent, Phase::Install).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    agent.begins("ADU-AGENT-091", &script, Phase::Cancel).await?;
    let is_told = agent.times(&script, Phase::Cancel) > 0;
    agent.demand("ADU-AGENT-091", is_told, "cancel of the payload runs", "it does not");
    Ok(())
}

/// The id of a cancel.
#[derive(Clone, Copy)]
enum Id {
    NoDeployment,
    Running,
}

async fn by(agent: &mut AgentBench<'_>, id: Id) -> Checked {
    let (plan, script, deployed) = running(agent, Phase::Install).await?;
    let id = match id {
        Id::NoDeployment => NO_DEPLOYMENT.to_owned(),
        Id::Running => plan.workflow.clone(),
    };
    agent.cancel(&id).await?;
    let report = ended(agent, "ADU-AGENT-092", (&script, Phase::Install), &deployed).await?;
    demand_cancelled(agent, "ADU-AGENT-092", (&plan, &script, Phase::Install), &report);
    Ok(())
}

async fn bare(agent: &mut AgentBench<'_>) -> Checked {
    let (plan, script, deployed) = running(agent, Phase::Install).await?;
    let object = json!({
        "workflow": { "action": 255, "id": NO_DEPLOYMENT },
        "updateManifest": null, "updateManifestSignature": null, "fileUrls": null,
        "rootKeyPackageUrl": null,
    });
    agent.desire(&json!({ "deviceUpdate": { "__t": "c", "service": object } })).await?;
    let report = ended(agent, "ADU-AGENT-093", (&script, Phase::Install), &deployed).await?;
    demand_cancelled(agent, "ADU-AGENT-093", (&plan, &script, Phase::Install), &report);
    Ok(())
}

async fn twice(agent: &mut AgentBench<'_>) -> Checked {
    let (plan, script, deployed) = running(agent, Phase::Install).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    let report = ended(agent, "ADU-AGENT-096", (&script, Phase::Install), &deployed).await?;
    demand_cancelled(agent, "ADU-AGENT-096", (&plan, &script, Phase::Install), &report);
    agent.cancel(NO_DEPLOYMENT).await?;
    agent.still_works("ADU-AGENT-096").await
}

async fn unsigned(agent: &mut AgentBench<'_>) -> Checked {
    let (plan, script, deployed) = running(agent, Phase::Install).await?;
    // Everything of the deployment stays but the signature, which would no longer hold.
    let mut object = agent.signed(&plan)?;
    crate::bench::agent::deploy::set(&mut object, "/workflow/action", json!(255))?;
    crate::bench::agent::deploy::set(&mut object, "/updateManifestSignature", json!(null))?;
    agent.desire(&json!({ "deviceUpdate": { "__t": "c", "service": object } })).await?;
    let report = ended(agent, "ADU-AGENT-097", (&script, Phase::Install), &deployed).await?;
    demand_cancelled(agent, "ADU-AGENT-097", (&plan, &script, Phase::Install), &report);
    Ok(())
}

async fn then_other(agent: &mut AgentBench<'_>, phase: Phase) -> Checked {
    let (_, script, deployed) = running(agent, phase).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    ended(agent, "ADU-AGENT-089", (&script, phase), &deployed).await?;
    let before = agent.times(&script, Phase::Apply);
    let other = Script::good("other");
    let plan = agent.plan(&[&other])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-098", &deployed).await?;
    agent.demand_success("ADU-AGENT-098", &deployed, &report);
    agent.demand_ran("ADU-AGENT-098", &[&other]);
    let after = agent.times(&script, Phase::Apply);
    agent.equal("ADU-AGENT-098", "runs of apply of the cancelled payload", before, after);
    Ok(())
}

async fn stops_the_rest(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let first = Script::good("first").gated(Phase::Install);
    let second = Script::good("second");
    let plan = agent.plan(&[&first, &second])?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &first, Phase::Install).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    let report = ended(agent, "ADU-AGENT-089", (&first, Phase::Install), &deployed).await?;
    demand_cancelled(agent, "ADU-AGENT-089", (&plan, &second, Phase::Install), &report);
    let runs = agent.times(&second, Phase::Install);
    agent.equal("ADU-AGENT-089", "runs of install of the second step", 0, runs);
    Ok(())
}
