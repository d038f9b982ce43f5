//! State, workflow, installed update and result codes.

use serde_json::{Value, json};

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, Phase, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "outcome-states",
        title: "Only the states 0, 6 and 255 are reported, in success and failure",
        requirements: &["ADU-AGENT-016"],
        needs: SCRIPTED,
        run: agent_body!(rules, &["ADU-AGENT-016"]),
    },
    Case {
        id: "outcome-installed-update",
        title: "installedUpdateId is a string with provider, name and version",
        requirements: &["ADU-AGENT-017"],
        needs: SCRIPTED,
        run: agent_body!(installed_update),
    },
    Case {
        id: "outcome-installed-update-unknown",
        title: "installedUpdateId is left out, not null, where nothing was installed",
        requirements: &["ADU-AGENT-018"],
        needs: SCRIPTED,
        run: agent_body!(installed_update_unknown),
    },
    Case {
        id: "outcome-last-result",
        title: "lastInstallResult is in the report of a success and of a failure",
        requirements: &["ADU-AGENT-019"],
        needs: SCRIPTED,
        run: agent_body!(rules, &["ADU-AGENT-019"]),
    },
    Case {
        id: "outcome-code-list",
        title: "Interface 2 reports extendedResultCodes as a list of eight hex digits each",
        requirements: &["ADU-AGENT-020"],
        needs: SCRIPTED,
        run: agent_body!(code_list),
    },
    Case {
        id: "outcome-code-number",
        title: "Interface 1 reports extendedResultCode as a signed number",
        requirements: &["ADU-AGENT-021"],
        needs: SCRIPTED,
        run: agent_body!(code_number),
    },
    Case {
        id: "outcome-workflow",
        title: "Reports carry the id of their own deployment, one after the other",
        requirements: &["ADU-AGENT-024"],
        needs: SCRIPTED,
        run: agent_body!(workflow),
    },
    Case {
        id: "outcome-retry-timestamp",
        title: "retryTimestamp is reported inside workflow",
        requirements: &["ADU-AGENT-025"],
        needs: SCRIPTED,
        run: agent_body!(retry_timestamp),
    },
    Case {
        id: "outcome-retry-timestamp-cleared",
        title: "A deployment without retryTimestamp clears the one of an older deployment",
        requirements: &["ADU-AGENT-026"],
        needs: SCRIPTED,
        run: agent_body!(retry_timestamp_cleared),
    },
    Case {
        id: "outcome-not-installed-then",
        title: "A failure after a success does not name the failed update as installed",
        requirements: &["ADU-AGENT-058"],
        needs: SCRIPTED,
        run: agent_body!(not_installed_then),
    },
];

/// A success and a failure, after which rules that hold everywhere have something to look at.
async fn rules(agent: &mut AgentBench<'_>, requirements: &[&'static str]) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("a")]).await?;
    let script = Script::good("b").failing(Phase::Install, 0x3050_0001, "no space");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    let mut reports = agent.reports(0);
    reports.retain(|report| report.is_terminal());
    agent.rules_apply(requirements, &reports);
    Ok(())
}

async fn installed_update(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    let is_text = report.agent().get("installedUpdateId").is_some_and(Value::is_string);
    agent.demand("ADU-AGENT-017", is_text, "a string", report.to_string());
    let installed = report.installed().unwrap_or_default();
    agent.equal_json("ADU-AGENT-017", "installedUpdateId", &plan.update, &installed);
    Ok(())
}

async fn installed_update_unknown(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a").failing(Phase::Install, 0x3050_0001, "no space");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    let id = report.agent().get("installedUpdateId");
    let seen = report.to_string();
    agent.demand("ADU-AGENT-018", id.is_none(), "no installedUpdateId", seen);
    Ok(())
}

async fn code_list(agent: &mut AgentBench<'_>) -> Checked {
    agent.speak(3)?;
    rules(agent, &["ADU-AGENT-020"]).await
}

async fn code_number(agent: &mut AgentBench<'_>) -> Checked {
    agent.speak(2)?;
    rules(agent, &["ADU-AGENT-021"]).await
}

async fn workflow(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    for name in ["a", "b", "c"] {
        let script = Script::good(name);
        let plan = agent.plan(&[&script])?;
        let deployed = agent.deploy(&plan).await?;
        let report = agent.end("ADU-AGENT-024", &deployed).await?;
        agent.demand_success("ADU-AGENT-041", &deployed, &report);
        let id = report.workflow_id().unwrap_or("none").to_owned();
        agent.equal("ADU-AGENT-024", "workflow.id", plan.workflow, id);
    }
    Ok(())
}

async fn retry_timestamp(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    plan.retry = Some("2026-03-04T05:06:07Z".to_owned());
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-025", &deployed).await?;
    let seen = report.at("/deviceUpdate/agent/workflow/retryTimestamp");
    agent.equal_json("ADU-AGENT-025", "retryTimestamp", &json!("2026-03-04T05:06:07Z"), seen);
    Ok(())
}

async fn retry_timestamp_cleared(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let mut plan = agent.plan(&[&Script::good("a")])?;
    plan.retry = Some("2026-03-04T05:06:07Z".to_owned());
    let deployed = agent.deploy(&plan).await?;
    agent.end("ADU-AGENT-025", &deployed).await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("b")]).await?;
    let identity = agent.identity().clone();
    let pointer = "/properties/reported/deviceUpdate/agent/workflow/retryTimestamp";
    let is_cleared = |twin: &Value| twin.pointer(pointer).is_none();
    let twin = agent.watch_twin(&identity, is_cleared).await?;
    let seen = twin.pointer(pointer).cloned().unwrap_or_default();
    agent.demand(
        "ADU-AGENT-026",
        seen.is_null(),
        "no retryTimestamp in the twin",
        seen.to_string(),
    );
    Ok(())
}

async fn not_installed_then(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("a")]).await?;
    let script = Script::good("b").failing(Phase::Apply, 0x3050_0002, "no boot slot");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    let wrong = agent.reports(deployed.from).into_iter();
    let wrong = wrong.filter(|report| report.installed().as_ref() == Some(&plan.update)).count();
    agent.equal("ADU-AGENT-058", "reports that name the failed update", 0, wrong);
    Ok(())
}
