//! The same deployment once more.

use serde_json::{Value, json};

use super::super::{RESUMED, SCRIPTED};
use crate::agent_body;
use crate::bench::agent::{AgentBench, Deployed, Phase, Plan, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "retry-duplicate-after-success",
        title: "The same object delivered again after success is not carried out",
        requirements: &["ADU-AGENT-080"],
        needs: SCRIPTED,
        run: agent_body!(duplicate_after_success),
    },
    Case {
        id: "retry-duplicate-while-running",
        title: "The same object delivered again while it runs is carried out once",
        requirements: &["ADU-AGENT-080"],
        needs: SCRIPTED,
        run: agent_body!(duplicate_while_running),
    },
    Case {
        id: "retry-duplicate-state",
        title: "The same object delivered again after success leaves the twin at state 0",
        requirements: &["ADU-AGENT-081"],
        needs: SCRIPTED,
        run: agent_body!(duplicate_state),
    },
    Case {
        id: "retry-reconnect-after-success",
        title: "A new connection with an unchanged twin changes no state",
        requirements: &["ADU-AGENT-082"],
        needs: SCRIPTED,
        run: agent_body!(reconnect, 1),
    },
    Case {
        id: "retry-reconnect-three-times",
        title: "Three new connections with an unchanged twin change no state",
        requirements: &["ADU-AGENT-082"],
        needs: SCRIPTED,
        run: agent_body!(reconnect, 3),
    },
    Case {
        id: "retry-restart-after-success",
        title: "A restart of the agent after success does not run the payload again",
        requirements: &["ADU-AGENT-082"],
        needs: RESUMED,
        run: agent_body!(restart_after_success),
    },
    Case {
        id: "retry-after-failure",
        title: "A new retryTimestamp after a failure runs the deployment again",
        requirements: &["ADU-AGENT-083"],
        needs: SCRIPTED,
        run: agent_body!(after_failure, "2026-05-06T07:08:09Z"),
    },
    Case {
        id: "retry-after-failure-older",
        title: "A changed retryTimestamp that is older runs the deployment again",
        requirements: &["ADU-AGENT-083"],
        needs: SCRIPTED,
        run: agent_body!(after_failure, "2020-01-01T00:00:00Z"),
    },
    Case {
        id: "retry-duplicate-after-failure",
        title: "The same object delivered again after a failure is not carried out",
        requirements: &["ADU-AGENT-084"],
        needs: SCRIPTED,
        run: agent_body!(duplicate_after_failure),
    },
    Case {
        id: "retry-of-a-success",
        title: "A retry of what succeeded does not lose the success",
        requirements: &["ADU-AGENT-085"],
        needs: SCRIPTED,
        run: agent_body!(of_a_success),
    },
    Case {
        id: "retry-while-running",
        title: "A retry while the payload runs ends with a report for the same id",
        requirements: &["ADU-AGENT-025", "ADU-AGENT-086"],
        needs: SCRIPTED,
        run: agent_body!(while_running),
    },
    Case {
        id: "retry-twice-after-failure",
        title: "Each of two retries runs the payload",
        requirements: &["ADU-AGENT-083"],
        needs: SCRIPTED,
        run: agent_body!(twice),
    },
    Case {
        id: "retry-timestamp-removed",
        title: "The same object without its retryTimestamp is no retry of what failed",
        requirements: &["ADU-AGENT-084"],
        needs: SCRIPTED,
        run: agent_body!(timestamp_removed),
    },
];

/// A deployment that succeeded.
async fn succeeded(agent: &mut AgentBench<'_>) -> Checked<(Plan, Script, Deployed)> {
    agent.start().await?;
    let script = Script::good("a").forgetful();
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    agent.demand_ran("ADU-AGENT-042", &[&script]);
    agent.acknowledged("ADU-AGENT-030", &deployed).await?;
    Ok((plan, script, deployed))
}

/// Delivers the object of `plan` again, as the hub does when somebody writes the same once more.
async fn deliver_again(agent: &mut AgentBench<'_>, plan: &Plan) -> Checked<Deployed> {
    let object = agent.signed(plan)?;
    agent.send(plan, &object).await
}

async fn duplicate_after_success(agent: &mut AgentBench<'_>) -> Checked {
    let (plan, script, _) = succeeded(agent).await?;
    deliver_again(agent, &plan).await?;
    // Time to begin, before the next deployment takes its place.
    agent.quiet().await;
    agent.still_works("ADU-AGENT-104").await?;
    let runs = (agent.times(&script, Phase::Install), agent.times(&script, Phase::Apply));
    agent.equal("ADU-AGENT-080", "runs of install and apply", (1, 1), runs);
    Ok(())
}

async fn duplicate_while_running(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("slow").forgetful().gated(Phase::Install);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &script, Phase::Install).await?;
    deliver_again(agent, &plan).await?;
    agent.quiet().await;
    agent.open_gate(&script, Phase::Install)?;
    let report = agent.end("ADU-AGENT-080", &deployed).await?;
    agent.demand_success("ADU-AGENT-080", &deployed, &report);
    agent.still_works("ADU-AGENT-104").await?;
    let runs = (agent.times(&script, Phase::Install), agent.times(&script, Phase::Apply));
    agent.equal("ADU-AGENT-080", "runs of install and apply", (1, 1), runs);
    Ok(())
}

async fn duplicate_state(agent: &mut AgentBench<'_>) -> Checked {
    let (plan, _, _) = succeeded(agent).await?;
    let again = deliver_again(agent, &plan).await?;
    agent.acknowledged("ADU-AGENT-030", &again).await?;
    agent.quiet().await;
    let identity = agent.identity().clone();
    let twin = agent.read_twin(&identity).await?;
    let state = twin.pointer("/properties/reported/deviceUpdate/agent/state").cloned();
    agent.still_works("ADU-AGENT-104").await?;
    let state = state.unwrap_or_default();
    agent.equal_json("ADU-AGENT-081", "state in the twin", &json!(0), &state);
    Ok(())
}

async fn reconnect(agent: &mut AgentBench<'_>, times: usize) -> Checked {
    let (_, script, deployed) = succeeded(agent).await?;
    for _ in 0..times {
        agent.cut();
        agent.comes_back().await?;
        agent.reads_twin("ADU-AGENT-082").await?;
    }
    agent.quiet().await;
    let until = agent.seen_count();
    agent.still_works("ADU-AGENT-104").await?;
    let reports = agent.reports(deployed.from);
    let moved = reports.iter().find(|report| {
        report.number < until && report.is_progress() && report.number > first_end(&reports)
    });
    let seen = moved.map_or_else(String::new, ToString::to_string);
    agent.demand("ADU-AGENT-082", moved.is_none(), "no state other than 0", seen);
    let runs = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-082", "runs of install", 1, runs);
    Ok(())
}

/// The place of the first end among `reports`.
fn first_end(reports: &[crate::bench::agent::Report]) -> usize {
    reports.iter().find(|report| report.is_terminal()).map_or(0, |report| report.number)
}

async fn restart_after_success(agent: &mut AgentBench<'_>) -> Checked {
    let (_, script, _) = succeeded(agent).await?;
    agent.kill().await;
    agent.start().await?;
    // A good deployment at once would replace what must not run, and hide it.
    agent.quiet().await;
    agent.still_works("ADU-AGENT-104").await?;
    let runs = (agent.times(&script, Phase::Install), agent.times(&script, Phase::Apply));
    agent.equal("ADU-AGENT-082", "runs of install and apply", (1, 1), runs);
    Ok(())
}

/// A deployment that failed in its install phase.
async fn failed(agent: &mut AgentBench<'_>) -> Checked<(Plan, Script)> {
    agent.start().await?;
    let script = Script::good("a").failing(Phase::Install, 0x3050_0001, "no space");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    agent.acknowledged("ADU-AGENT-030", &deployed).await?;
    Ok((plan, script))
}

async fn after_failure(agent: &mut AgentBench<'_>, timestamp: &str) -> Checked {
    let (mut plan, script) = failed(agent).await?;
    plan.retry = Some(timestamp.to_owned());
    let again = agent.deploy(&plan).await?;
    agent.begins_again("ADU-AGENT-083", &script, Phase::Install, 2).await?;
    let report = agent.end("ADU-AGENT-083", &again).await?;
    let id = report.workflow_id().map(str::to_owned);
    let is_mine = id.is_none_or(|id| id == plan.workflow);
    agent.demand("ADU-AGENT-083", is_mine, "a report for the same id", report.to_string());
    Ok(())
}

async fn twice(agent: &mut AgentBench<'_>) -> Checked {
    let (mut plan, script) = failed(agent).await?;
    for (timestamp, runs) in [("2026-05-06T07:08:09Z", 2), ("2026-05-06T08:09:10Z", 3)] {
        plan.retry = Some(timestamp.to_owned());
        let again = agent.deploy(&plan).await?;
        agent.begins_again("ADU-AGENT-083", &script, Phase::Install, runs).await?;
        agent.end("ADU-AGENT-083", &again).await?;
    }
    let runs = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-083", "runs of install", 3, runs);
    Ok(())
}

async fn duplicate_after_failure(agent: &mut AgentBench<'_>) -> Checked {
    let (plan, script) = failed(agent).await?;
    deliver_again(agent, &plan).await?;
    // A good deployment at once would replace what must not run, and hide it.
    agent.quiet().await;
    agent.still_works("ADU-AGENT-104").await?;
    let runs = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-084", "runs of install", 1, runs);
    Ok(())
}

async fn timestamp_removed(agent: &mut AgentBench<'_>) -> Checked {
    let (mut plan, script) = failed(agent).await?;
    plan.retry = Some("2026-05-06T07:08:09Z".to_owned());
    let again = agent.deploy(&plan).await?;
    agent.begins_again("ADU-AGENT-083", &script, Phase::Install, 2).await?;
    agent.end("ADU-AGENT-083", &again).await?;
    plan.retry = None;
    deliver_again(agent, &plan).await?;
    // A good deployment at once would replace what must not run, and hide it.
    agent.quiet().await;
    agent.still_works("ADU-AGENT-104").await?;
    let runs = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-084", "runs of install", 2, runs);
    Ok(())
}

async fn of_a_success(agent: &mut AgentBench<'_>) -> Checked {
    let (mut plan, _, _) = succeeded(agent).await?;
    plan.retry = Some("2026-05-06T07:08:09Z".to_owned());
    let again = agent.deploy(&plan).await?;
    agent.acknowledged("ADU-AGENT-030", &again).await?;
    agent.quiet().await;
    let identity = agent.identity().clone();
    let pointer = "/properties/reported/deviceUpdate/agent/state";
    let is_idle = |twin: &Value| twin.pointer(pointer) == Some(&json!(0));
    let twin = agent.watch_twin(&identity, is_idle).await?;
    let state = twin.pointer(pointer).cloned().unwrap_or_default();
    agent.equal_json("ADU-AGENT-085", "state in the twin", &json!(0), &state);
    let pointer = "/properties/reported/deviceUpdate/agent/installedUpdateId";
    let id = twin.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let id: Value = serde_json::from_str(id).unwrap_or_default();
    agent.equal_json("ADU-AGENT-085", "installedUpdateId in the twin", &plan.update, &id);
    agent.still_works("ADU-AGENT-104").await
}

async fn while_running(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("slow").gated(Phase::Install);
    let mut plan = agent.plan(&[&script])?;
    agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-086", &script, Phase::Install).await?;
    plan.retry = Some("2026-05-06T07:08:09Z".to_owned());
    let again = agent.deploy(&plan).await?;
    agent.acknowledged("ADU-AGENT-030", &again).await?;
    agent.open_gate(&script, Phase::Install)?;
    // The first run may still report that it was stopped: what counts is how it ends at last.
    let budget = crate::bench::agent::BACK;
    agent.look_from(again.from);
    let workflow = plan.workflow.clone();
    let succeeds = |report: &crate::bench::agent::Report| {
        report.state() == Some(0)
            && report.claims_installed()
            && !report.is_about_another(&workflow)
    };
    let allowed = "in the end a success for the same id";
    let report = agent.report_within("ADU-AGENT-086", allowed, budget, succeeds).await?;
    agent.demand_success("ADU-AGENT-086", &again, &report);
    let stamp = report.at("/deviceUpdate/agent/workflow/retryTimestamp");
    agent.equal_json("ADU-AGENT-025", "retryTimestamp", &json!("2026-05-06T07:08:09Z"), stamp);
    agent.demand_ran("ADU-AGENT-086", &[&script]);
    agent.still_works("ADU-AGENT-104").await
}
