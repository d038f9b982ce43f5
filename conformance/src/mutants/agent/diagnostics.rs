//! Defects of log collection (device-update-agent.md § 10.2).

use serde_json::{Value, json};
use twinspec_harness::agent::Effect;
use twinspec_model::agent::{Input, Output};

use super::Defect;
use super::rewrite::{Reports, With, remove, same_input, set};

/// Between the id of an operation and the number of its delivery.
const MARK: char = '#';

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-diagnostics-unacknowledged",
        "A request for logs is not acknowledged.",
        ["ADU-AGENT-127"],
        Reports(|patch| {
            if patch.pointer("/diagnosticInformation/service").is_some() {
                *patch = Value::Null;
            }
        })
    ),
    defect!(
        "agent-diagnostics-no-token",
        "Logs are uploaded without the token of the storage's URL.",
        ["ADU-AGENT-127"],
        With {
            state: (),
            input: same_input,
            output: |(), mut output| {
                if let Output::Upload { url, .. } = &mut output {
                    *url = url.split('?').next().unwrap_or_default().to_owned();
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-diagnostics-repeat-unacknowledged",
        "A request for logs that is repeated is not acknowledged.",
        ["ADU-AGENT-127"],
        With {
            state: Value::Null,
            input: same_input,
            output: |last: &mut Value, output| {
                let Output::Send { report, patch } = &output else {
                    return vec![Effect::Do(output)];
                };
                let value = patch.pointer("/diagnosticInformation/service/value").cloned();
                match value {
                    Some(value) if value == *last => {
                        vec![Effect::Feed(Input::Answered { report: *report, status: 204 })]
                    }
                    value => {
                        *last = value.unwrap_or_else(|| last.clone());
                        vec![Effect::Do(output)]
                    }
                }
            },
        }
    ),
    defect!(
        "agent-diagnostics-unnamed",
        "The result of a request for logs does not name it.",
        ["ADU-AGENT-127"],
        Reports(|patch| {
            if let Some(agent) = patch.pointer_mut("/diagnosticInformation/agent") {
                remove(agent, "operationId");
            }
        })
    ),
    defect!(
        "agent-diagnostics-claims",
        "A request for logs is answered with success, and nothing is uploaded.",
        ["ADU-AGENT-127"],
        With {
            state: (),
            input: same_input,
            output: |(), output| match output {
                Output::Upload { job, .. } => {
                    let upload = twinspec_model::agent::Upload::Done;
                    vec![Effect::Feed(Input::Uploaded { job, upload })]
                }
                output => vec![Effect::Do(output)],
            },
        }
    ),
    defect!(
        "agent-diagnostics-uploads-again",
        "A request that is repeated uploads logs again.",
        ["ADU-AGENT-128"],
        With {
            state: 0,
            input: |count, mut input| {
                if let Some(Value::String(id)) = operation(&mut input) {
                    *count += 1;
                    id.push_str(&format!("{MARK}{count}"));
                }
                vec![input]
            },
            output: |_, mut output| {
                match &mut output {
                    Output::Upload { operation, .. } => *operation = plain(operation),
                    Output::Send { patch, .. } => {
                        let places = ["agent/operationId", "service/value/operationId"];
                        for place in places {
                            let place = format!("/diagnosticInformation/{place}");
                            if let Some(Value::String(id)) = patch.pointer_mut(&place) {
                                *id = plain(id);
                            }
                        }
                    }
                    _ => {}
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-diagnostics-blocks",
        "While logs are uploaded desired properties wait, as with agents in C.",
        ["ADU-AGENT-129"],
        With {
            state: (None, Vec::new()),
            input: |(upload, waiting): &mut (Option<u64>, Vec<Input>), input| match input {
                Input::Uploaded { job, .. } if *upload == Some(job) => {
                    *upload = None;
                    std::iter::once(input).chain(std::mem::take(waiting)).collect()
                }
                Input::Patch(_) | Input::Twin(_) if upload.is_some() => {
                    waiting.push(input);
                    Vec::new()
                }
                input => vec![input],
            },
            output: |(upload, _), output| {
                if let Output::Upload { job, .. } = &output {
                    *upload = Some(*job);
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-diagnostics-repeats-url",
        "The acknowledgement of a request for logs repeats the URL of the storage, as with agents in C.",
        ["ADU-AGENT-130"],
        With {
            state: Value::Null,
            input: |url, input| {
                if let Input::Patch(patch) = &input
                    && let Some(found) =
                        patch.pointer("/diagnosticInformation/service/storageSasUrl")
                {
                    url.clone_from(found);
                }
                vec![input]
            },
            output: |url, mut output| {
                if let Output::Send { patch, .. } = &mut output
                    && let Some(value) = patch.pointer_mut("/diagnosticInformation/service/value")
                {
                    set(value, "storageSasUrl", url.clone());
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-diagnostics-always-fine",
        "Every upload of logs is reported as a success.",
        ["ADU-AGENT-132"],
        Reports(|patch| {
            if let Some(agent) = patch.pointer_mut("/diagnosticInformation/agent") {
                set(agent, "resultCode", json!(200));
            }
        })
    ),
];

/// The operation that is asked for.
fn operation(input: &mut Input) -> Option<&mut Value> {
    match input {
        Input::Twin(twin) => twin.pointer_mut("/desired/diagnosticInformation/service/operationId"),
        Input::Patch(patch) => patch.pointer_mut("/diagnosticInformation/service/operationId"),
        _ => None,
    }
}

fn plain(id: &str) -> String {
    id.split(MARK).next().unwrap_or_default().to_owned()
}
