//! Defects of what is reported about deployments.

use serde_json::{Value, json};
use twinspec_harness::agent::{Effect, Overlay};
use twinspec_model::agent::Output;

use super::Defect;
use super::rewrite::{AgentReports, Properties, Results, remove, set};

pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        id: "agent-outcome-bare-version",
        title: "aduVer is a bare version.",
        requirements: &["ADU-AGENT-006"],
        overlay: || Box::new(Properties(|properties| set(properties, "aduVer", json!("1.1.0")))),
    },
    Defect {
        id: "agent-outcome-lower-case-codes",
        title: "extendedResultCodes has lower-case digits behind 0x.",
        requirements: &["ADU-AGENT-020"],
        overlay: || {
            results(|result| {
                let codes = result.get("extendedResultCodes").and_then(Value::as_str);
                if let Some(codes) = codes.map(|codes| format!("0x{}", codes.to_lowercase())) {
                    set(result, "extendedResultCodes", json!(codes));
                }
            })
        },
    },
    Defect {
        id: "agent-outcome-code-as-text",
        title: "In interface 1 extendedResultCode is a text.",
        requirements: &["ADU-AGENT-021"],
        overlay: || {
            results(|result| {
                if let Some(code) = result.get("extendedResultCode").cloned() {
                    set(result, "extendedResultCode", json!(code.to_string()));
                }
            })
        },
    },
    Defect {
        id: "agent-outcome-steps-from-one",
        title: "Steps are counted from 1 in stepResults.",
        requirements: &["ADU-AGENT-022"],
        overlay: || {
            results(|result| {
                let steps = result.get("stepResults").and_then(Value::as_object);
                if let Some(steps) = steps.cloned() {
                    let moved = steps.into_iter().enumerate();
                    let moved = moved.map(|(at, (_, step))| (format!("step_{}", at + 1), step));
                    set(result, "stepResults", Value::Object(moved.collect()));
                }
            })
        },
    },
    Defect {
        id: "agent-outcome-keeps-steps",
        title: "State 6 is reported with the step results of the deployment before.",
        requirements: &["ADU-AGENT-023"],
        overlay: || Box::new(OldSteps::default()),
    },
    Defect {
        id: "agent-outcome-other-workflow",
        title: "Final reports name another workflow.",
        requirements: &["ADU-AGENT-024"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                if agent.get("state") != Some(&json!(6))
                    && let Some(workflow) = agent.get_mut("workflow")
                {
                    set(workflow, "id", json!("another"));
                }
            }))
        },
    },
    Defect {
        id: "agent-outcome-retry-beside-workflow",
        title: "retryTimestamp is reported beside workflow, not in it.",
        requirements: &["ADU-AGENT-025"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                let stamp = agent.pointer("/workflow/retryTimestamp").cloned();
                if let Some(stamp) = stamp {
                    if let Some(workflow) = agent.get_mut("workflow") {
                        remove(workflow, "retryTimestamp");
                    }
                    set(agent, "retryTimestamp", stamp);
                }
            }))
        },
    },
    Defect {
        id: "agent-outcome-keeps-retry",
        title: "The retry time stamp of an older deployment is not cleared.",
        requirements: &["ADU-AGENT-026"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                if agent.pointer("/workflow/retryTimestamp") == Some(&Value::Null)
                    && let Some(workflow) = agent.get_mut("workflow")
                {
                    remove(workflow, "retryTimestamp");
                }
            }))
        },
    },
    Defect {
        id: "agent-outcome-failed-as-idle",
        title: "Every failure is reported as state 0.",
        requirements: &["ADU-AGENT-057", "ADU-AGENT-059"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                if agent.get("state") == Some(&json!(255)) {
                    set(agent, "state", json!(0));
                }
            }))
        },
    },
    Defect {
        id: "agent-outcome-hides-codes",
        title: "The codes of a failing step stay out of lastInstallResult.",
        requirements: &["ADU-AGENT-060"],
        overlay: || {
            results(|result| {
                if result.get("extendedResultCodes").is_some() {
                    set(result, "extendedResultCodes", json!("00000000"));
                }
            })
        },
    },
    Defect {
        id: "agent-outcome-no-steps",
        title: "Final reports have no step results.",
        requirements: &["ADU-AGENT-112"],
        overlay: || results(|result| remove(result, "stepResults")),
    },
    Defect {
        id: "agent-outcome-cancelled-as-failed",
        title: "A cancelled deployment is reported as 255.",
        requirements: &["ADU-AGENT-089"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                if agent.pointer("/lastInstallResult/resultCode") == Some(&json!(-1)) {
                    set(agent, "state", json!(255));
                }
            }))
        },
    },
];

/// Rewrites `lastInstallResult` of every report that has one.
fn results(change: fn(&mut Value)) -> Box<dyn Overlay> {
    Box::new(Results(change))
}

/// Remembers the step results of the last final report.
#[derive(Default)]
struct OldSteps(Option<Value>);

impl Overlay for OldSteps {
    fn output(&mut self, mut output: Output) -> Vec<Effect> {
        if let Output::Send { patch, .. } = &mut output
            && let Some(agent) = patch.pointer_mut("/deviceUpdate/agent")
            && let Some(state) = agent.get("state").cloned()
            && let Some(result) = agent.get_mut("lastInstallResult")
        {
            match &self.0 {
                Some(steps) if state == json!(6) => set(result, "stepResults", steps.clone()),
                _ => self.0 = result.get("stepResults").filter(|s| !s.is_null()).cloned(),
            }
        }
        vec![Effect::Do(output)]
    }
}
