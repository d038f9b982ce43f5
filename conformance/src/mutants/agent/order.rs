//! Defects of how desired objects are taken.

use serde_json::{Value, json};
use twinspec_harness::agent::{Effect, Overlay};
use twinspec_model::agent::{Input, Output};

use super::Defect;
use super::rewrite::{Inputs, Reports, Workflows, remove, set};

pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        id: "agent-order-ignores-twin",
        title: "Only notifications count; what stands in the twin at the start does not.",
        requirements: &["ADU-AGENT-011", "ADU-AGENT-012"],
        overlay: || {
            Box::new(Inputs(|input| match input {
                Input::Twin(mut twin) => {
                    if let Some(desired) = twin.get_mut("desired") {
                        remove(desired, "deviceUpdate");
                    }
                    vec![Input::Twin(twin)]
                }
                input => vec![input],
            }))
        },
    },
    Defect {
        id: "agent-order-ignores-notifications",
        title: "Only the twin at the start counts; notifications do not.",
        requirements: &["ADU-AGENT-012"],
        overlay: || {
            Box::new(Inputs(|input| match input {
                Input::Patch(_) => Vec::new(),
                input => vec![input],
            }))
        },
    },
    Defect {
        id: "agent-order-needs-component-mark",
        title: "A desired component without __t is passed over.",
        requirements: &["ADU-AGENT-015"],
        overlay: || {
            Box::new(Inputs(|input| match input {
                Input::Patch(patch)
                    if patch.get("deviceUpdate").is_some_and(|c| c.get("__t").is_none()) =>
                {
                    Vec::new()
                }
                input => vec![input],
            }))
        },
    },
    Defect {
        id: "agent-order-drops-unprocessable",
        title: "Objects that cannot be processed are not acknowledged.",
        requirements: &["ADU-AGENT-034"],
        overlay: || {
            Box::new(Reports(|patch| {
                if patch.pointer("/deviceUpdate/service/ac") == Some(&json!(400)) {
                    *patch = Value::Null;
                }
            }))
        },
    },
    Defect {
        id: "agent-order-drops-cancel-acknowledgement",
        title: "Cancels are not acknowledged.",
        requirements: &["ADU-AGENT-036"],
        overlay: || {
            Box::new(Reports(|patch| {
                let action = patch.pointer("/deviceUpdate/service/value/workflow/action");
                if action == Some(&json!(255)) {
                    *patch = Value::Null;
                }
            }))
        },
    },
    Defect {
        id: "agent-order-no-retry",
        title: "A new time stamp is passed over.",
        requirements: &["ADU-AGENT-083", "ADU-AGENT-086"],
        overlay: || workflows(|workflow| remove(workflow, "retryTimestamp")),
    },
    Defect {
        id: "agent-order-deaf-when-busy",
        title: "While a deployment is under way every desired object is passed over.",
        requirements: &["ADU-AGENT-087", "ADU-AGENT-089", "ADU-AGENT-092"],
        overlay: || Box::new(Deaf::default()),
    },
    Defect {
        id: "agent-order-cancel-needs-url",
        title: "A cancel without rootKeyPackageUrl is dropped.",
        requirements: &["ADU-AGENT-093"],
        overlay: || {
            Box::new(Inputs(|input| match &input {
                Input::Patch(patch) if is_bare_cancel(patch) => Vec::new(),
                _ => vec![input],
            }))
        },
    },
    Defect {
        id: "agent-order-runs-any-action",
        title: "Every number as action is taken as a deployment.",
        requirements: &["ADU-AGENT-099"],
        overlay: || {
            workflows(|workflow| {
                let action = workflow.get("action").and_then(Value::as_u64);
                if action.is_some_and(|action| action != 255) {
                    set(workflow, "action", json!(3));
                }
            })
        },
    },
    Defect {
        id: "agent-order-runs-without-action",
        title: "A missing action is taken as a deployment.",
        requirements: &["ADU-AGENT-100"],
        overlay: || {
            workflows(|workflow| {
                if workflow.get("action").is_none_or(Value::is_null) {
                    set(workflow, "action", json!(3));
                }
            })
        },
    },
    Defect {
        id: "agent-order-makes-up-ids",
        title: "A deployment without id is given one and carried out.",
        requirements: &["ADU-AGENT-102"],
        overlay: || {
            workflows(|workflow| {
                let id = workflow.get("id").and_then(Value::as_str).unwrap_or_default();
                if id.is_empty() {
                    set(workflow, "id", json!("made-up"));
                }
            })
        },
    },
    Defect {
        id: "agent-order-runs-text-action",
        title: "The text \"3\" as action is taken as a deployment.",
        requirements: &["ADU-AGENT-103"],
        overlay: || {
            workflows(|workflow| {
                if workflow.get("action") == Some(&json!("3")) {
                    set(workflow, "action", json!(3));
                }
            })
        },
    },
];

/// Rewrites `workflow` of every desired object.
fn workflows(change: fn(&mut Value)) -> Box<dyn Overlay> {
    Box::new(Workflows(change))
}

fn is_bare_cancel(patch: &Value) -> bool {
    let service = patch.pointer("/deviceUpdate/service").unwrap_or(&Value::Null);
    service.pointer("/workflow/action") == Some(&json!(255))
        && service.get("rootKeyPackageUrl").is_none_or(Value::is_null)
}

/// Hears nothing from state 6 to the end.
#[derive(Default)]
struct Deaf {
    busy: bool,
}

impl Overlay for Deaf {
    fn input(&mut self, input: Input) -> Vec<Input> {
        match input {
            Input::Patch(_) if self.busy => Vec::new(),
            input => vec![input],
        }
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        if let Output::Send { patch, .. } = &output
            && let Some(state) = patch.pointer("/deviceUpdate/agent/state")
        {
            self.busy = state == &json!(6);
        }
        vec![Effect::Do(output)]
    }
}
