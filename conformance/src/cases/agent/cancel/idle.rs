//! A cancel while nothing runs.

use serde_json::{Value, json};
use twinspec_harness::content::Manner;

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, NO_DEPLOYMENT, Phase, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "cancel-idle",
        title: "A cancel after a success changes nothing",
        requirements: &["ADU-AGENT-094"],
        needs: SCRIPTED,
        run: agent_body!(idle),
    },
    Case {
        id: "cancel-idle-keeps-the-update",
        title: "After a cancel while nothing runs the twin still names the installed update",
        requirements: &["ADU-AGENT-096"],
        needs: SCRIPTED,
        run: agent_body!(keeps_the_update),
    },
    Case {
        id: "cancel-in-a-stalled-download",
        title: "A cancel ends a download that stalls",
        requirements: &["ADU-AGENT-089"],
        needs: SCRIPTED,
        run: agent_body!(stalled),
    },
    Case {
        id: "cancel-needs-no-package",
        title: "The root key package is fetched for a deployment and not for a cancel",
        requirements: &["ADU-SIG-026"],
        needs: &[
            crate::case::Need::Claim(crate::case::Claim::RootKeys),
            crate::case::Need::Claim(crate::case::Claim::Scripts),
            crate::case::Need::Claim(crate::case::Claim::RootKeyPackage),
        ],
        run: agent_body!(needs_no_package),
    },
];

async fn idle(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a").forgetful();
    agent.succeed("ADU-AGENT-041", &[&script]).await?;
    let from = agent.seen_count();
    agent.cancel(NO_DEPLOYMENT).await?;
    agent.still_works("ADU-AGENT-104").await?;
    let reports = agent.reports(from);
    let state = reports.iter().find(|report| report.is_state());
    // The next state belongs to the good deployment: it is in progress, or its end.
    let moved = state.is_some_and(|report| report.result_code() == Some(-1));
    let seen = state.map_or_else(String::new, ToString::to_string);
    agent.demand("ADU-AGENT-094", !moved, "no report of a cancelled deployment", seen);
    let runs = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-094", "runs of install", 1, runs);
    Ok(())
}

async fn keeps_the_update(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let report = agent.succeed("ADU-AGENT-041", &[&Script::good("a")]).await?;
    let installed = report.installed().unwrap_or_default();
    agent.cancel(NO_DEPLOYMENT).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    agent.quiet().await;
    let identity = agent.identity().clone();
    let twin = agent.read_twin(&identity).await?;
    let pointer = "/properties/reported/deviceUpdate/agent/installedUpdateId";
    let id = twin.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let id: Value = serde_json::from_str(id).unwrap_or_default();
    agent.equal_json("ADU-AGENT-096", "installedUpdateId in the twin", &installed, &id);
    let state = twin.pointer("/properties/reported/deviceUpdate/agent/state").cloned();
    let state = state.unwrap_or_default();
    agent.equal_json("ADU-AGENT-096", "state in the twin", &json!(0), &state);
    agent.still_works("ADU-AGENT-104").await
}

async fn stalled(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    let file = agent.add_file(&mut plan, "payload.bin", &[3; 1000]);
    plan.set("/instructions/steps/0/files", json!(plan.file_ids()))?;
    agent.content().set_manner(&file.path, Manner::StallAfter(10));
    let deployed = agent.deploy(&plan).await?;
    let is_asked = |agent: &AgentBench<'_>| agent.hits().iter().any(|hit| hit.path == file.path);
    let step = crate::bench::agent::STEP;
    agent.until("ADU-AGENT-048", "a request for the file", step, is_asked).await?;
    agent.cancel(NO_DEPLOYMENT).await?;
    let back = crate::bench::agent::BACK;
    let report = agent.end_within("ADU-AGENT-089", back, &deployed).await?;
    // A download that was given up before the cancel was seen has failed: both are true.
    let holds = !report.claims_installed() && report.is_terminal();
    agent.demand("ADU-AGENT-089", holds, "an end without an installed update", report.to_string());
    agent.still_works("ADU-AGENT-104").await
}

async fn needs_no_package(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let package = agent.package_of_its_own()?;
    let script = Script::good("slow").gated(Phase::Install);
    let mut plan = agent.plan(&[&script])?;
    plan.package = Some(agent.url_of(&package));
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &script, Phase::Install).await?;
    let count =
        |agent: &AgentBench<'_>| agent.hits().iter().filter(|hit| hit.path == package.path).count();
    let before = count(agent);
    agent.demand("ADU-SIG-026", before >= 1, "a request for the package", "none");
    let object = json!({
        "workflow": { "action": 255, "id": plan.workflow },
        "updateManifest": null, "updateManifestSignature": null, "fileUrls": null,
        "rootKeyPackageUrl": agent.url_of(&package),
    });
    agent.desire(&json!({ "deviceUpdate": { "__t": "c", "service": object } })).await?;
    agent.quiet().await;
    agent.open_gate(&script, Phase::Install)?;
    agent.end_within("ADU-AGENT-089", crate::bench::agent::BACK, &deployed).await?;
    let after = count(agent);
    agent.equal("ADU-SIG-026", "requests for the package", before, after);
    Ok(())
}
