//! Defects of what reports say of a deployment, its workflow, its codes and steps.

use serde_json::{Map, Value, json};
use twinspec_harness::agent::Effect;

use super::Defect;
use super::rewrite::{
    AgentReports, Reports, With, code_of, same_input, set, state_of, state_report,
};

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-outcome-code-as-number",
        "extendedResultCodes is a number.",
        ["ADU-AGENT-020"],
        AgentReports(|agent| {
            if let Some(codes) = agent.pointer_mut("/lastInstallResult/extendedResultCodes") {
                *codes = json!(0);
            }
        })
    ),
    defect!(
        "agent-outcome-unsigned-code",
        "extendedResultCode is written without a sign.",
        ["ADU-AGENT-021"],
        AgentReports(|agent| {
            let code = agent.pointer_mut("/lastInstallResult/extendedResultCode");
            if let Some(code) = code
                && let Some(number) = code.as_i64().filter(|number| *number < 0)
            {
                *code = json!(number + (1 << 32));
            }
        })
    ),
    defect!(
        "agent-outcome-workflow-before",
        "Final reports echo the workflow id of the deployment before.",
        ["ADU-AGENT-024"],
        With {
            state: (Value::Null, Value::Null),
            input: same_input,
            output: |(before, now), mut output| {
                if let Some(agent) = state_report(&mut output) {
                    let is_end = state_of(agent) != Some(6);
                    if let Some(id) = agent.pointer_mut("/workflow/id") {
                        if id != now {
                            *before = std::mem::replace(now, id.clone());
                        }
                        if is_end && !before.is_null() {
                            id.clone_from(before);
                        }
                    }
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-outcome-success-as-600",
        "A success is reported with the code of install.",
        ["ADU-AGENT-041"],
        AgentReports(|agent| {
            if let Some(code) = agent.pointer_mut("/lastInstallResult/resultCode")
                && *code == json!(700)
            {
                *code = json!(600);
            }
        })
    ),
    defect!(
        "agent-outcome-wrong-update",
        "installedUpdateId names another version than the one deployed.",
        ["ADU-AGENT-041", "ADU-AGENT-017"],
        AgentReports(|agent| {
            if let Some(Value::String(id)) = agent.get_mut("installedUpdateId") {
                *id = id.replace("\"version\":\"", "\"version\":\"9");
            }
        })
    ),
    defect!(
        "agent-outcome-no-final-report",
        "No success is ever reported.",
        ["ADU-AGENT-041"],
        Reports(|patch| {
            if patch.pointer("/deviceUpdate/agent").and_then(code_of) == Some(700) {
                *patch = Value::Null;
            }
        })
    ),
    defect!(
        "agent-outcome-long-details",
        "resultDetails has five thousand characters.",
        ["ADU-AGENT-125"],
        AgentReports(|agent| {
            if let Some(details) = agent.pointer_mut("/lastInstallResult/resultDetails")
                && details.is_string()
            {
                *details = json!("x".repeat(5000));
            }
        })
    ),
    defect!(
        "agent-outcome-failure-code-1",
        "The result code of a failed deployment is 1.",
        ["ADU-AGENT-060"],
        AgentReports(|agent| {
            if state_of(agent) == Some(255)
                && let Some(code) = agent.pointer_mut("/lastInstallResult/resultCode")
            {
                *code = json!(1);
            }
        })
    ),
    defect!(
        "agent-outcome-skipped-as-done",
        "A step that was skipped is reported like one that was carried out.",
        ["ADU-AGENT-112"],
        AgentReports(|agent| {
            for step in steps_mut(agent).into_iter().flat_map(Map::values_mut) {
                if step.get("resultCode") == Some(&json!(603)) {
                    set(step, "resultCode", json!(700));
                }
            }
        })
    ),
    defect!(
        "agent-outcome-steps-backwards",
        "Step results are reported under the steps in the wrong order.",
        ["ADU-AGENT-112"],
        AgentReports(|agent| rename_steps(agent, |index, count| count - 1 - index))
    ),
];

fn steps_mut(agent: &mut Value) -> Option<&mut Map<String, Value>> {
    agent.pointer_mut("/lastInstallResult/stepResults")?.as_object_mut()
}

/// Gives every step another number, from its own and the count of steps.
fn rename_steps(agent: &mut Value, number: fn(usize, usize) -> usize) {
    if let Some(steps) = steps_mut(agent) {
        let count = steps.len();
        let old = std::mem::take(steps);
        let numbered = old.into_iter().enumerate();
        *steps = numbered
            .map(|(index, (_, step))| (format!("step_{}", number(index, count)), step))
            .collect();
    }
}
