//! One payload, and what is said about it.

use serde_json::{Value, json};

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, Phase, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "deployment-reaches-an-end",
        title: "A valid deployment leads to state 6 or at once to an end",
        requirements: &["ADU-AGENT-040"],
        needs: SCRIPTED,
        run: agent_body!(reaches_an_end),
    },
    Case {
        id: "deployment-success",
        title: "A success is state 0 with 700 and the id of the deployed update",
        requirements: &["ADU-AGENT-041"],
        needs: SCRIPTED,
        run: agent_body!(success),
    },
    Case {
        id: "deployment-success-after-payload",
        title: "Success is reported only when the payload has run to its end",
        requirements: &["ADU-AGENT-042"],
        needs: SCRIPTED,
        run: agent_body!(success_after_payload, Phase::Apply),
    },
    Case {
        id: "deployment-success-after-install",
        title: "Success is not reported while the payload installs",
        requirements: &["ADU-AGENT-042"],
        needs: SCRIPTED,
        run: agent_body!(success_after_payload, Phase::Install),
    },
    Case {
        id: "deployment-progress-first",
        title: "State 6 comes before the payload installs, or not at all",
        requirements: &["ADU-AGENT-043"],
        needs: SCRIPTED,
        run: agent_body!(progress_first),
    },
    Case {
        id: "deployment-progress-not-afterwards",
        title: "State 6 never follows the end of the same deployment",
        requirements: &["ADU-AGENT-043"],
        needs: SCRIPTED,
        run: agent_body!(progress_not_afterwards),
    },
    Case {
        id: "deployment-fast",
        title: "A deployment that ends at once is reported as an end, with state 6 or without",
        requirements: &["ADU-AGENT-126"],
        needs: SCRIPTED,
        run: agent_body!(fast),
    },
    Case {
        id: "deployment-twin",
        title: "After a success the twin shows state 0 and the update that is installed",
        requirements: &["ADU-AGENT-041"],
        needs: SCRIPTED,
        run: agent_body!(twin),
    },
    Case {
        id: "deployment-installed-already",
        title: "What a handler calls installed is a success without a run of its phases",
        requirements: &["ADU-AGENT-055"],
        needs: SCRIPTED,
        run: agent_body!(installed_already),
    },
    Case {
        id: "deployment-script-version-11",
        title: "A script with apiVersion 1.1 is called in the newer form",
        requirements: &["ADU-AGENT-041"],
        needs: SCRIPTED,
        run: agent_body!(script_version_11),
    },
    Case {
        id: "deployment-one-after-the-other",
        title: "Five deployments in a row each run their own payload once",
        requirements: &["ADU-AGENT-041", "ADU-AGENT-042"],
        needs: SCRIPTED,
        run: agent_body!(one_after_the_other),
    },
];

async fn reaches_an_end(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let plan = agent.plan(&[&Script::good("a")])?;
    let deployed = agent.deploy(&plan).await?;
    let allowed = "a report of state 6, or of 0 or 255";
    let tells = |report: &crate::bench::agent::Report| report.is_progress() || report.is_terminal();
    let report = agent.report("ADU-AGENT-040", allowed, tells).await?;
    let is_mine = !report.is_about_another(&deployed.workflow);
    agent.demand("ADU-AGENT-040", is_mine, "a report about this deployment", report.to_string());
    agent.end("ADU-AGENT-040", &deployed).await.map(drop)
}

async fn success(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("a")]).await.map(drop)
}

async fn success_after_payload(agent: &mut AgentBench<'_>, phase: Phase) -> Checked {
    agent.start().await?;
    let script = Script::good("slow").gated(phase);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-042", &script, phase).await?;
    agent.quiet().await;
    let reports = agent.reports(deployed.from);
    let early = reports.iter().find(|report| report.is_terminal());
    let seen = early.map_or_else(String::new, ToString::to_string);
    agent.demand("ADU-AGENT-042", early.is_none(), "no end while the payload runs", seen);
    agent.open_gate(&script, phase)?;
    let report = agent.end("ADU-AGENT-042", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    agent.demand_ran("ADU-AGENT-042", &[&script]);
    Ok(())
}

async fn progress_first(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("slow").gated(Phase::Install);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-043", &script, Phase::Install).await?;
    // A report that left before the payload began is in the hub soon; the window is for it.
    agent.quiet().await;
    let during = agent.seen_count();
    let is_told = agent.reports(deployed.from).iter().any(crate::bench::agent::Report::is_progress);
    agent.open_gate(&script, Phase::Install)?;
    let report = agent.end("ADU-AGENT-043", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    let reports = agent.reports(during);
    let late = reports.iter().find(|report| report.is_progress()).filter(|_| !is_told);
    let seen = late.map_or_else(String::new, ToString::to_string);
    agent.demand("ADU-AGENT-043", late.is_none(), "no first state 6 after the payload began", seen);
    Ok(())
}

async fn progress_not_afterwards(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let end = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &end);
    agent.still_works("ADU-AGENT-041").await?;
    let reports = agent.reports(end.number);
    let late = reports.iter().find(|report| {
        report.is_progress() && report.workflow_id() == Some(deployed.workflow.as_str())
    });
    let seen = late.map_or_else(String::new, ToString::to_string);
    agent.demand("ADU-AGENT-043", late.is_none(), "no state 6 after the end", seen);
    Ok(())
}

async fn fast(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let end = agent.end("ADU-AGENT-126", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &end);
    let reports = agent.reports(deployed.from);
    let before = reports.iter().filter(|report| report.is_progress() && report.number < end.number);
    let count = before.count();
    let seen = format!("{count} reports of state 6");
    agent.demand("ADU-AGENT-126", count <= 1, "one report of state 6 or none", seen);
    Ok(())
}

async fn twin(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    let pointer = "/properties/reported/deviceUpdate/agent/state";
    let identity = agent.identity().clone();
    let is_idle = |twin: &Value| twin.pointer(pointer) == Some(&json!(0));
    let twin = agent.watch_twin(&identity, is_idle).await?;
    let state = twin.pointer(pointer).cloned().unwrap_or_default();
    agent.equal_json("ADU-AGENT-041", "state in the twin", &json!(0), &state);
    Ok(())
}

async fn installed_already(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    agent.succeed("ADU-AGENT-041", &[&script]).await?;
    // Another deployment of the same payload: the script says that it is installed.
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-055", &deployed).await?;
    agent.demand_success("ADU-AGENT-055", &deployed, &report);
    let runs = (agent.times(&script, Phase::Install), agent.times(&script, Phase::Apply));
    agent.equal("ADU-AGENT-055", "runs of install and apply", (1, 1), runs);
    Ok(())
}

async fn script_version_11(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    plan.set("/instructions/steps/0/handlerProperties/apiVersion", json!("1.1"))?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    agent.demand_ran("ADU-AGENT-041", &[&script]);
    Ok(())
}

async fn one_after_the_other(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    for name in ["a", "b", "c", "d", "e"] {
        let script = Script::good(name);
        agent.succeed("ADU-AGENT-041", &[&script]).await?;
        let runs = agent.times(&script, Phase::Apply);
        agent.equal("ADU-AGENT-042", "runs of apply", 1, runs);
    }
    Ok(())
}
