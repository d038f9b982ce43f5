//! Defects of the codes with which a failure of one of several steps is told
//! (device-update-agent.md § 4.2).

use serde_json::{Value, json};
use twinspec_harness::agent::Effect;
use twinspec_model::agent::{Output, Phase};

use super::Defect;
use super::component::ThereForAll;
use super::rewrite::{AgentReports, Results, With, set, state_of};

/// The members of a result that tell how it ended.
const CODES: [&str; 3] = ["resultCode", "extendedResultCode", "extendedResultCodes"];

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-codes-of-the-last-step",
        "A failure carries the codes of the last step, whichever failed.",
        ["ADU-AGENT-060"],
        AgentReports(|agent| tell_step(agent, |steps| steps.last().cloned()))
    ),
    defect!(
        "agent-codes-of-the-first-step",
        "A failure carries the codes of the first step, whichever failed.",
        ["ADU-AGENT-060"],
        AgentReports(|agent| tell_step(agent, |steps| steps.first().cloned()))
    ),
    defect!(
        "agent-codes-informational-first",
        "Informational codes come before the code of the failure.",
        ["ADU-AGENT-060"],
        Results(|result| {
            let codes = result.get("extendedResultCodes").and_then(Value::as_str);
            if let Some(codes) = codes {
                let turned: Vec<&str> = codes.split(',').rev().collect();
                set(result, "extendedResultCodes", json!(turned.join(",")));
            }
        })
    ),
    defect!(
        "agent-codes-no-steps-of-a-failure",
        "A failure is reported without the results of its steps.",
        ["ADU-AGENT-112"],
        AgentReports(|agent| {
            if state_of(agent) == Some(255)
                && let Some(result) = agent.get_mut("lastInstallResult")
            {
                set(result, "stepResults", Value::Null);
            }
        })
    ),
    defect!(
        "agent-codes-one-step-for-all",
        "A step that is there already makes the others count as there when they are asked again.",
        ["ADU-AGENT-112"],
        With {
            state: ThereForAll::default(),
            input: ThereForAll::input,
            output: |there: &mut ThereForAll, output| {
                if let Output::Run { job, call } = &output
                    && call.phase == Phase::IsInstalled
                {
                    there.asked.insert(*job);
                }
                vec![Effect::Do(output)]
            },
        }
    ),
];

/// Gives a failure the codes of the step that `pick` picks.
fn tell_step(agent: &mut Value, pick: fn(&[Value]) -> Option<Value>) {
    if state_of(agent) != Some(255) {
        return;
    }
    let Some(result) = agent.get_mut("lastInstallResult") else { return };
    let steps = result.get("stepResults").and_then(Value::as_object);
    let steps: Vec<Value> = steps.into_iter().flat_map(|steps| steps.values().cloned()).collect();
    let Some(step) = pick(&steps) else { return };
    for name in CODES {
        if let Some(code) = step.get(name) {
            set(result, name, code.clone());
        }
    }
}
