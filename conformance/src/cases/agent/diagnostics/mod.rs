//! Log collection (device-update-agent.md § 10.2).

use std::time::Duration;

use serde_json::{Value, json};
use twinspec_harness::content::Intake;

use crate::agent_body;
use crate::bench::agent::deploy::STORAGE_SECRET;
use crate::bench::agent::{AgentBench, BACK, Report, Script};
use crate::case::{Case, Claim, Need};
use crate::verdict::Checked;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[CASES_HERE];

const LOGS: &[Need] = &[Need::Claim(Claim::Diagnostics)];

const LOGS_AND_SCRIPTS: &[Need] =
    &[Need::Claim(Claim::Diagnostics), Need::Claim(Claim::RootKeys), Need::Claim(Claim::Scripts)];

const LOGS_AND_RESTARTS: &[Need] = &[Need::Claim(Claim::Diagnostics), Need::Claim(Claim::Resumes)];

/// How long an upload to a place that does not work may take.
const GIVEN_UP: Duration = Duration::from_secs(60);

const CASES_HERE: &[Case] = &[
    Case {
        id: "diagnostics-upload",
        title: "A request for logs is acknowledged, logs are uploaded, and the result names the request",
        requirements: &["ADU-AGENT-127"],
        needs: LOGS,
        run: agent_body!(upload),
    },
    Case {
        id: "diagnostics-repeated",
        title: "A request that is repeated is acknowledged, and uploads nothing more",
        requirements: &["ADU-AGENT-127", "ADU-AGENT-128"],
        needs: LOGS,
        run: agent_body!(repeated),
    },
    Case {
        id: "diagnostics-repeated-after-restart",
        title: "A request that was answered before a restart uploads nothing more",
        requirements: &["ADU-AGENT-128"],
        needs: LOGS_AND_RESTARTS,
        run: agent_body!(repeated_after_restart),
    },
    Case {
        id: "diagnostics-secret",
        title: "The URL of the storage is not repeated in reports",
        requirements: &["ADU-AGENT-130"],
        needs: LOGS,
        run: agent_body!(secret),
    },
    Case {
        id: "diagnostics-unreachable",
        title: "A storage that is not there ends in a negative code",
        requirements: &["ADU-AGENT-132"],
        needs: LOGS,
        run: agent_body!(unreachable),
    },
    Case {
        id: "diagnostics-refused",
        title: "A storage that refuses ends in a negative code",
        requirements: &["ADU-AGENT-132"],
        needs: LOGS,
        run: agent_body!(refused),
    },
    Case {
        id: "diagnostics-without-id",
        title: "A request without an operation id gives -6",
        requirements: &["ADU-AGENT-131"],
        needs: LOGS,
        run: agent_body!(without, "operationId", -6),
    },
    Case {
        id: "diagnostics-without-storage",
        title: "A request without a storage gives -7",
        requirements: &["ADU-AGENT-131"],
        needs: LOGS,
        run: agent_body!(without, "storageSasUrl", -7),
    },
    Case {
        id: "diagnostics-deployment-meanwhile",
        title: "A deployment is carried out while an upload does not get on",
        requirements: &["ADU-AGENT-129"],
        needs: LOGS_AND_SCRIPTS,
        run: agent_body!(deployment_meanwhile),
    },
];

/// Asks for logs; returns the desired version.
async fn ask(agent: &mut AgentBench<'_>, id: &str, url: &str) -> Checked<u64> {
    let service = json!({ "operationId": id, "storageSasUrl": url });
    agent.desire(&json!({ "diagnosticInformation": { "__t": "c", "service": service } })).await
}

/// The result of a request, when a report tells one.
fn result(report: &Report) -> &Value {
    report.at("/diagnosticInformation/agent")
}

/// Waits for the result of the request `id`.
async fn answered(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    id: &str,
) -> Checked<Report> {
    let allowed = format!("a result with operationId {id}");
    let names = |report: &Report| result(report).get("operationId") == Some(&json!(id));
    agent.report_within(requirement, &allowed, GIVEN_UP, names).await
}

fn code(report: &Report) -> Option<i64> {
    result(report).get("resultCode").and_then(Value::as_i64)
}

fn uploads(agent: &AgentBench<'_>) -> usize {
    agent.hits().iter().filter(|hit| hit.path.contains("/storage/")).count()
}

/// A request that was answered with success.
async fn collected(agent: &mut AgentBench<'_>, id: &str) -> Checked<(String, u64)> {
    agent.start().await?;
    // As a storage does: who comes without the token of the URL is refused.
    let url = agent.storage(Intake::TakenWithToken);
    let version = ask(agent, id, &url).await?;
    let report = answered(agent, "ADU-AGENT-127", id).await?;
    let seen = report.patch.to_string();
    agent.demand("ADU-AGENT-127", code(&report) == Some(200), "resultCode 200", seen);
    Ok((url, version))
}

async fn upload(agent: &mut AgentBench<'_>) -> Checked {
    let (_, version) = collected(agent, "collect-1").await?;
    let names = agent.hits().iter().any(|hit| hit.path.contains("/collect-1/"));
    agent.demand("ADU-AGENT-127", names, "a PUT below the operation id", "none");
    agent.look_from(0);
    acknowledged(agent, version).await
}

/// Waits for the acknowledgement of the request of this desired version.
async fn acknowledged(agent: &mut AgentBench<'_>, version: u64) -> Checked {
    let acknowledges =
        |report: &Report| report.at("/diagnosticInformation/service/av") == &json!(version);
    let allowed = format!("an acknowledgement with av {version}");
    let report = agent.report("ADU-AGENT-127", &allowed, acknowledges).await?;
    let ac = report.at("/diagnosticInformation/service/ac").clone();
    agent.equal_json("ADU-AGENT-127", "ac", &json!(200), &ac);
    Ok(())
}

async fn repeated(agent: &mut AgentBench<'_>) -> Checked {
    let (url, _) = collected(agent, "collect-1").await?;
    let before = uploads(agent);
    let version = ask(agent, "collect-1", &url).await?;
    // It is acknowledged and nothing more (§ 10.2).
    acknowledged(agent, version).await?;
    // Another request afterwards closes the window.
    ask(agent, "collect-2", &url).await?;
    answered(agent, "ADU-AGENT-127", "collect-2").await?;
    let first = agent.hits().iter().filter(|hit| hit.path.contains("/collect-1/")).count();
    agent.equal("ADU-AGENT-128", "uploads for the first request", before, first);
    Ok(())
}

async fn repeated_after_restart(agent: &mut AgentBench<'_>) -> Checked {
    let (url, _) = collected(agent, "collect-1").await?;
    let before = uploads(agent);
    agent.kill().await;
    agent.start().await?;
    ask(agent, "collect-2", &url).await?;
    answered(agent, "ADU-AGENT-127", "collect-2").await?;
    let first = agent.hits().iter().filter(|hit| hit.path.contains("/collect-1/")).count();
    agent.equal("ADU-AGENT-128", "uploads for the first request", before, first);
    Ok(())
}

async fn secret(agent: &mut AgentBench<'_>) -> Checked {
    collected(agent, "collect-1").await?;
    agent.quiet().await;
    let reports = agent.reports(0);
    let tells = reports.iter().find(|report| report.patch.to_string().contains(STORAGE_SECRET));
    let seen = tells.map_or_else(String::new, |report| report.patch.to_string());
    agent.demand("ADU-AGENT-130", tells.is_none(), "no report with the storage's secret", seen);
    Ok(())
}

async fn unreachable(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    // Nobody listens on port 9 of the loopback interface.
    ask(agent, "collect-1", "http://127.0.0.1:9/storage?sig=x").await?;
    let report = answered(agent, "ADU-AGENT-132", "collect-1").await?;
    let holds = code(&report).is_some_and(|code| code < 0);
    agent.demand("ADU-AGENT-132", holds, "a negative resultCode", report.patch.to_string());
    Ok(())
}

async fn refused(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let url = agent.storage(Intake::Refused(403));
    ask(agent, "collect-1", &url).await?;
    let report = answered(agent, "ADU-AGENT-132", "collect-1").await?;
    let holds = code(&report).is_some_and(|code| code < 0);
    agent.demand("ADU-AGENT-132", holds, "a negative resultCode", report.patch.to_string());
    Ok(())
}

async fn without(agent: &mut AgentBench<'_>, member: &str, allowed: i64) -> Checked {
    agent.start().await?;
    let url = agent.storage(Intake::Taken);
    let mut service = json!({ "operationId": "collect-1", "storageSasUrl": url });
    crate::bench::agent::deploy::remove(&mut service, &format!("/{member}"))?;
    agent.desire(&json!({ "diagnosticInformation": { "__t": "c", "service": service } })).await?;
    let tells = |report: &Report| result(report).get("resultCode").is_some();
    let what = "a result";
    let report = agent.report_within("ADU-AGENT-131", what, BACK, tells).await?;
    agent.equal("ADU-AGENT-131", "resultCode", Some(allowed), code(&report));
    Ok(())
}

async fn deployment_meanwhile(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let url = agent.storage(Intake::Stalled);
    ask(agent, "collect-1", &url).await?;
    let is_asked = |agent: &AgentBench<'_>| uploads(agent) > 0;
    agent.until("ADU-AGENT-127", "an upload begins", BACK, is_asked).await?;
    let plan = agent.plan(&[&Script::good("a")])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-AGENT-129", BACK, &deployed).await?;
    agent.demand_success("ADU-AGENT-129", &deployed, &report);
    // An upload that was given up meanwhile is no excuse: the deployment was taken up before.
    let reports = agent.reports(deployed.from);
    let first = reports.iter().find(|report| report.is_state() || !result(report).is_null());
    let waited = first.filter(|report| !report.is_state());
    let seen = waited.map_or_else(String::new, |report| report.patch.to_string());
    let allowed = "a report about the deployment before the upload has ended";
    agent.demand("ADU-AGENT-129", waited.is_none(), allowed, seen);
    Ok(())
}
