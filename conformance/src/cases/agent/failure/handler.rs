//! Handlers that fail, or are not there.

use serde_json::json;

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, Phase, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "failure-install",
        title: "A payload that fails in install is a failure for the service",
        requirements: &["ADU-AGENT-058"],
        needs: SCRIPTED,
        run: agent_body!(phase, failing(Phase::Install)),
    },
    Case {
        id: "failure-apply",
        title: "A payload that fails in apply is a failure for the service",
        requirements: &["ADU-AGENT-058"],
        needs: SCRIPTED,
        run: agent_body!(phase, failing(Phase::Apply)),
    },
    Case {
        id: "failure-handler-download",
        title: "A payload that fails in its download phase is a failure and is not installed",
        requirements: &["ADU-AGENT-058", "ADU-AGENT-057"],
        needs: SCRIPTED,
        run: agent_body!(handler_download),
    },
    Case {
        id: "failure-install-state",
        title: "The final state after a failed install is 255",
        requirements: &["ADU-AGENT-059"],
        needs: SCRIPTED,
        run: agent_body!(install_state, Phase::Install),
    },
    Case {
        id: "failure-apply-state",
        title: "The final state after a failed apply is 255",
        requirements: &["ADU-AGENT-059"],
        needs: SCRIPTED,
        run: agent_body!(install_state, Phase::Apply),
    },
    Case {
        id: "failure-exit-status",
        title: "A script that exits with a status and no result is a failure",
        requirements: &["ADU-AGENT-058"],
        needs: SCRIPTED,
        run: agent_body!(phase, Script::good("bad").exiting(Phase::Install, 3)),
    },
    Case {
        id: "failure-exit-status-with-result",
        title: "A script that writes a success and exits with a status is a failure",
        requirements: &["ADU-AGENT-058"],
        needs: SCRIPTED,
        run: agent_body!(phase, Script::good("bad").exiting_with_result(Phase::Install, 3)),
    },
    Case {
        id: "failure-no-result",
        title: "A script that exits with 0 and writes no result is a failure",
        requirements: &["ADU-AGENT-058"],
        needs: SCRIPTED,
        run: agent_body!(phase, Script::good("bad").silent(Phase::Install)),
    },
    Case {
        id: "failure-code-zero",
        title: "A result code of 0 without an extended code is a failure",
        requirements: &["ADU-AGENT-058"],
        needs: SCRIPTED,
        run: agent_body!(phase, Script::good("bad").with(Phase::Install, 0)),
    },
    Case {
        id: "failure-code-negative",
        title: "A negative result code is a failure",
        requirements: &["ADU-AGENT-058"],
        needs: SCRIPTED,
        run: agent_body!(phase, Script::good("bad").with(Phase::Apply, -5)),
    },
    Case {
        id: "failure-apply-is-not-reached",
        title: "After a failed install apply does not run",
        requirements: &["ADU-AGENT-111"],
        needs: SCRIPTED,
        run: agent_body!(apply_is_not_reached),
    },
    Case {
        id: "failure-unknown-handler",
        title: "A step with an unknown handler fails the deployment",
        requirements: &["ADU-AGENT-056"],
        needs: SCRIPTED,
        run: agent_body!(unknown_handler),
    },
    Case {
        id: "failure-unknown-second-handler",
        title: "An unknown handler of a second step fails the deployment",
        requirements: &["ADU-AGENT-056"],
        needs: SCRIPTED,
        run: agent_body!(unknown_second_handler),
    },
    Case {
        id: "failure-no-script",
        title: "A step whose script is not among its files fails the deployment",
        requirements: &["ADU-AGENT-058"],
        needs: SCRIPTED,
        run: agent_body!(no_script),
    },
];

fn failing(phase: Phase) -> Script {
    Script::good("bad").failing(phase, 0x3050_0001, "as the case wants")
}

/// Deploys what fails, after something that works, and before something that works.
async fn phase(agent: &mut AgentBench<'_>, script: Script) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("fine")]).await?;
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    let is_success = report.result_code().is_some_and(|code| code > 0);
    agent.demand("ADU-AGENT-058", !is_success, "a resultCode of 0 or less", report.to_string());
    agent.still_works("ADU-AGENT-104").await
}

async fn handler_download(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = failing(Phase::Download);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    agent.equal("ADU-AGENT-057", "final state", Some(255), report.state());
    let installs = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-058", "runs of install", 0, installs);
    agent.still_works("ADU-AGENT-104").await
}

async fn install_state(agent: &mut AgentBench<'_>, phase: Phase) -> Checked {
    agent.start().await?;
    let script = failing(phase);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    // A 255 may be followed by 0: the last word counts, and the next deployment closes the window.
    let until = agent.seen_count();
    agent.still_works("ADU-AGENT-104").await?;
    let reports = agent.reports(deployed.from);
    let about = |report: &&crate::bench::agent::Report| {
        report.workflow_id() == Some(deployed.workflow.as_str()) && report.is_state()
    };
    let last = reports.iter().rfind(about).and_then(crate::bench::agent::Report::state);
    let seen = format!("the last state {last:?} of {} reports", reports.len().min(until));
    agent.demand("ADU-AGENT-059", last == Some(255), "the last state 255", seen);
    Ok(())
}

async fn apply_is_not_reached(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = failing(Phase::Install);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    let runs = (agent.times(&script, Phase::Install), agent.times(&script, Phase::Apply));
    agent.equal("ADU-AGENT-111", "runs of install and apply", (1, 0), runs);
    Ok(())
}

async fn unknown_handler(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("fine")]).await?;
    let script = Script::good("bad");
    let mut plan = agent.plan(&[&script])?;
    plan.set("/instructions/steps/0/handler", json!("nobody/nothing:1"))?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-056", &deployed).await?;
    agent.demand_failure("ADU-AGENT-056", &deployed, &report);
    agent.demand_untouched("ADU-AGENT-056", &script);
    agent.still_works("ADU-AGENT-104").await
}

async fn unknown_second_handler(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let (first, second) = (Script::good("first"), Script::good("second"));
    let mut plan = agent.plan(&[&first, &second])?;
    plan.set("/instructions/steps/1/handler", json!("nobody/nothing:1"))?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-056", &deployed).await?;
    agent.demand_failure("ADU-AGENT-056", &deployed, &report);
    agent.demand_untouched("ADU-AGENT-056", &second);
    agent.still_works("ADU-AGENT-104").await
}

async fn no_script(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("bad");
    let mut plan = agent.plan(&[&script])?;
    let pointer = "/instructions/steps/0/handlerProperties/scriptFileName";
    plan.set(pointer, json!("missing.sh"))?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    agent.still_works("ADU-AGENT-104").await
}
