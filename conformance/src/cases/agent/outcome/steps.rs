//! Results of steps, and the codes of the one that failed.

use serde_json::Value;

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, Phase, Report, Script};
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "outcome-step-names",
        title: "stepResults has step_0 and step_1 for two steps",
        requirements: &["ADU-AGENT-022"],
        needs: SCRIPTED,
        run: agent_body!(step_names),
    },
    Case {
        id: "outcome-steps-cleared",
        title: "A report of state 6 does not carry the steps of an older deployment",
        requirements: &["ADU-AGENT-023"],
        needs: SCRIPTED,
        run: agent_body!(steps_cleared),
    },
    Case {
        id: "outcome-step-installed",
        title: "A step that was installed already has a code of its own under its step",
        requirements: &["ADU-AGENT-112"],
        needs: SCRIPTED,
        run: agent_body!(step_installed, 0),
    },
    Case {
        id: "outcome-last-step-installed",
        title: "A first step is installed although the last one was installed already",
        requirements: &["ADU-AGENT-112"],
        needs: SCRIPTED,
        run: agent_body!(step_installed, 1),
    },
    Case {
        id: "outcome-failing-code",
        title: "Result code and extended code of a failing step are those of the whole",
        requirements: &["ADU-AGENT-060"],
        needs: SCRIPTED,
        run: agent_body!(failing_code, Phase::Install),
    },
    Case {
        id: "outcome-failing-code-download",
        title: "The same for a handler that fails in the download phase",
        requirements: &["ADU-AGENT-060"],
        needs: SCRIPTED,
        run: agent_body!(failing_code, Phase::Download),
    },
    Case {
        id: "outcome-failing-code-apply",
        title: "The same for a handler that fails in the apply phase",
        requirements: &["ADU-AGENT-060"],
        needs: SCRIPTED,
        run: agent_body!(failing_code, Phase::Apply),
    },
    Case {
        id: "outcome-failing-code-first-step",
        title: "Of two steps the first fails: the code of the whole is its code",
        requirements: &["ADU-AGENT-060", "ADU-AGENT-112"],
        needs: SCRIPTED,
        run: agent_body!(failing_step, 0),
    },
    Case {
        id: "outcome-failing-code-second-step",
        title: "Of two steps the second fails: the code of the whole is its code",
        requirements: &["ADU-AGENT-060", "ADU-AGENT-112"],
        needs: SCRIPTED,
        run: agent_body!(failing_step, 1),
    },
];

fn step(report: &Report, index: usize) -> &Value {
    report.at(&format!("/deviceUpdate/agent/lastInstallResult/stepResults/step_{index}"))
}

async fn step_names(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let report = agent.succeed("ADU-AGENT-041", &[&Script::good("a"), &Script::good("b")]).await?;
    let steps = report.result().get("stepResults").and_then(Value::as_object);
    let names: Vec<String> =
        steps.into_iter().flatten().filter(|(_, v)| !v.is_null()).map(|(n, _)| n.clone()).collect();
    let allowed = vec!["step_0".to_owned(), "step_1".to_owned()];
    agent.equal("ADU-AGENT-022", "stepResults has", allowed, names);
    Ok(())
}

async fn steps_cleared(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("a"), &Script::good("b")]).await?;
    let script = Script::good("c").gated(Phase::Install);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &script, Phase::Install).await?;
    let reports = agent.reports(deployed.from);
    for report in reports.iter().filter(|report| report.is_progress()) {
        let steps = report.result().get("stepResults").unwrap_or(&Value::Null);
        // Absent is allowed too: then nothing stale is carried.
        let holds = steps.is_null() || step(report, 1).is_null();
        agent.demand("ADU-AGENT-023", holds, "stepResults null or absent", report.to_string());
    }
    agent.open_gate(&script, Phase::Install)?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    let stale = step(&report, 1);
    agent.demand(
        "ADU-AGENT-023",
        stale.is_null(),
        "no step_1 of the older deployment",
        report.to_string(),
    );
    Ok(())
}

/// Of two steps the one at `place` is there already.
async fn step_installed(agent: &mut AgentBench<'_>, place: usize) -> Checked {
    agent.start().await?;
    let (there, missing) = (Script::good("there"), Script::good("missing"));
    let preset = agent.device().preset_installed(&there);
    preset.map_err(|error| Stop::Harness(error.to_string()))?;
    let mut scripts = vec![&missing];
    scripts.insert(place, &there);
    let plan = agent.plan(&scripts)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-112", &deployed).await?;
    agent.demand_success("ADU-AGENT-112", &deployed, &report);
    let code = |index| step(&report, index).get("resultCode").and_then(Value::as_i64);
    // The restart path says 900, the download phase 503 (device-update-agent.md § 6.5, 11).
    let skipped = matches!(code(place), Some(603 | 900 | 503));
    let seen = report.to_string();
    agent.demand("ADU-AGENT-112", skipped, format!("step_{place} has 603"), seen.clone());
    let other = 1 - place;
    let allowed = format!("step_{other} has 700");
    agent.demand("ADU-AGENT-112", code(other) == Some(700), allowed, seen);
    let installs = (agent.times(&there, Phase::Install), agent.times(&missing, Phase::Install));
    agent.equal("ADU-AGENT-112", "runs of install", (0, 1), installs);
    Ok(())
}

async fn failing_code(agent: &mut AgentBench<'_>, phase: Phase) -> Checked {
    agent.start().await?;
    let script = Script::good("a").failing(phase, 0x3050_0123, "as the case wants");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-060", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    agent.equal("ADU-AGENT-060", "resultCode", Some(0), report.result_code());
    let holds = has_code(agent, report.result());
    agent.demand("ADU-AGENT-060", holds, CODE_FIRST, report.to_string());
    Ok(())
}

/// What is demanded of the extended codes of a failure.
const CODE_FIRST: &str = "the extended code 30500123, before informational ones";

/// Whether the extended code of `result` is 30500123; informational ones may follow
/// (device-update-agent.md § 4.2).
fn has_code(agent: &AgentBench<'_>, result: &Value) -> bool {
    if agent.generation() >= 3 {
        let codes = result.get("extendedResultCodes").and_then(Value::as_str);
        codes.is_some_and(|codes| codes.split(',').next() == Some("30500123"))
    } else {
        result.get("extendedResultCode").and_then(Value::as_i64) == Some(0x3050_0123)
    }
}

async fn failing_step(agent: &mut AgentBench<'_>, failing: usize) -> Checked {
    agent.start().await?;
    let scripts = [(0, "first"), (1, "second")].map(|(index, name)| {
        let script = Script::good(name);
        if index == failing {
            return script.failing(Phase::Install, 0x3050_0123, "as the case wants");
        }
        script
    });
    let [first, second] = &scripts;
    let plan = agent.plan(&[first, second])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-060", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    let seen = report.to_string();
    agent.equal("ADU-AGENT-060", "resultCode", Some(0), report.result_code());
    let holds = has_code(agent, report.result());
    agent.demand("ADU-AGENT-060", holds, CODE_FIRST, seen.clone());
    let code = |index| step(&report, index).get("resultCode").and_then(Value::as_i64);
    let holds = code(failing) == Some(0) && has_code(agent, step(&report, failing));
    let allowed = format!("step_{failing} with 0 and 30500123");
    agent.demand("ADU-AGENT-112", holds, allowed, seen.clone());
    if failing == 1 {
        agent.demand("ADU-AGENT-112", code(0) == Some(700), "step_0 has 700", seen);
    } else {
        // 0 or nothing, for it was not reached (§ 6.11); 500 when its download phase was.
        let holds = matches!(code(1), Some(0 | 500) | None);
        agent.demand("ADU-AGENT-112", holds, "step_1 is not told as installed", seen);
    }
    Ok(())
}
