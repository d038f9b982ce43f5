//! What waits in the twin when an agent comes (device-update-agent.md § 6.3, 6.5).

use serde_json::json;

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, NO_DEPLOYMENT, Phase, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "startup-pending-deployment",
        title: "A deployment that waits in the twin is carried out without a further patch",
        requirements: &["ADU-AGENT-011"],
        needs: SCRIPTED,
        run: agent_body!(pending_deployment),
    },
    Case {
        id: "startup-twin-and-patch",
        title: "A deployment is taken from the full twin and from a patch",
        requirements: &["ADU-AGENT-012"],
        needs: SCRIPTED,
        run: agent_body!(twin_and_patch),
    },
    Case {
        id: "startup-idle-is-silent",
        title: "Without a deployment an agent reports no state",
        requirements: &["ADU-AGENT-009"],
        needs: SCRIPTED,
        run: agent_body!(idle_is_silent),
    },
    Case {
        id: "startup-no-deployment",
        title: "The object that says that there is no deployment is Idle with 200 at a first start, or nothing",
        requirements: &["ADU-AGENT-095"],
        needs: SCRIPTED,
        run: agent_body!(no_deployment),
    },
    Case {
        id: "startup-pending-installed",
        title: "A deployment that waits and is installed already is reported as success, without its files",
        requirements: &["ADU-AGENT-055"],
        needs: SCRIPTED,
        run: agent_body!(pending_installed),
    },
];

async fn pending_deployment(agent: &mut AgentBench<'_>) -> Checked {
    let script = Script::good("waiting");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.launch().await?;
    let report = agent.end("ADU-AGENT-011", &deployed).await?;
    agent.demand_success("ADU-AGENT-011", &deployed, &report);
    agent.demand_ran("ADU-AGENT-011", &[&script]);
    Ok(())
}

async fn twin_and_patch(agent: &mut AgentBench<'_>) -> Checked {
    let waiting = Script::good("waiting");
    let plan = agent.plan(&[&waiting])?;
    let deployed = agent.deploy(&plan).await?;
    agent.launch().await?;
    let report = agent.end("ADU-AGENT-012", &deployed).await?;
    agent.demand_success("ADU-AGENT-012", &deployed, &report);
    let patched = Script::good("patched");
    agent.succeed("ADU-AGENT-012", &[&patched]).await?;
    agent.demand_ran("ADU-AGENT-012", &[&waiting, &patched]);
    Ok(())
}

async fn idle_is_silent(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.quiet().await;
    let until = agent.seen_count();
    agent.still_works("ADU-AGENT-009").await?;
    let reports = agent.reports(0);
    let early = reports.iter().find(|report| report.number < until && report.is_state());
    let seen = early.map_or_else(String::new, ToString::to_string);
    agent.demand("ADU-AGENT-009", early.is_none(), "no state before the deployment", seen);
    Ok(())
}

async fn no_deployment(agent: &mut AgentBench<'_>) -> Checked {
    agent.cancel(NO_DEPLOYMENT).await?;
    agent.start().await?;
    let until = agent.seen_count();
    agent.still_works("ADU-AGENT-095").await?;
    let reports = agent.reports(0);
    let early = reports.iter().filter(|report| report.number < until && report.is_state());
    for report in early {
        let holds = report.state() == Some(0)
            && report.result_code() == Some(200)
            && !report.claims_installed();
        let allowed = "state 0, resultCode 200 and no installedUpdateId, or no state at all";
        agent.demand("ADU-AGENT-095", holds, allowed, report.to_string());
    }
    Ok(())
}

async fn pending_installed(agent: &mut AgentBench<'_>) -> Checked {
    let script = Script::good("there");
    let mut plan = agent.plan(&[&script])?;
    let payload = agent.add_file(&mut plan, "payload.bin", b"what need not be fetched");
    plan.set("/instructions/steps/0/files", json!(plan.file_ids()))?;
    agent
        .device()
        .preset_installed(&script)
        .map_err(|error| crate::verdict::Stop::Harness(error.to_string()))?;
    let deployed = agent.deploy(&plan).await?;
    agent.launch().await?;
    let report = agent.end("ADU-AGENT-055", &deployed).await?;
    agent.demand_success("ADU-AGENT-055", &deployed, &report);
    let fetched = agent.hits().iter().any(|hit| hit.path == payload.path);
    agent.demand("ADU-AGENT-055", !fetched, "the payload is not fetched", "it was");
    let installs = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-055", "runs of install", 0, installs);
    Ok(())
}
