//! Defects of cancels that meet something else than a payload that installs
//! (device-update-agent.md § 6.7).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use twinspec_harness::agent::{Effect, Overlay};
use twinspec_model::agent::{Input, Output, Phase, Status};

use super::Defect;
use super::rewrite::{With, same_input};

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-cancel-not-when-asked",
        "A cancel while a handler is asked is passed over.",
        ["ADU-AGENT-089"],
        NoCancelDuring::new(|output| runs(output, Phase::IsInstalled))
    ),
    defect!(
        "agent-cancel-not-in-backup",
        "A cancel while a payload backs up is passed over.",
        ["ADU-AGENT-089"],
        NoCancelDuring::new(|output| runs(output, Phase::Backup))
    ),
    defect!(
        "agent-cancel-not-in-child-manifest",
        "A cancel while a child manifest is fetched is passed over.",
        ["ADU-AGENT-089"],
        NoCancelDuring::new(|output| match output {
            Output::Fetch { job, order } if order.wants_text => Some(*job),
            _ => None,
        })
    ),
    defect!(
        "agent-cancel-not-in-validation",
        "A cancel while the root key package is fetched is passed over.",
        ["ADU-AGENT-089"],
        NoCancelDuring::new(|output| match output {
            Output::FetchRootKeys { job, .. } => Some(*job),
            _ => None,
        })
    ),
    defect!(
        "agent-cancel-not-of-a-replacement",
        "A cancel while a replacement waits for the old payload is passed over.",
        ["ADU-AGENT-089"],
        With {
            state: Waiting::default(),
            input: |waiting: &mut Waiting, mut input| {
                match service(&mut input).map(|service| (action(service), id(service))) {
                    Some((Some(3), id)) => waiting.newest = id,
                    Some((Some(255), _)) if waiting.is_any() => withhold(&mut input),
                    _ => {}
                }
                vec![input]
            },
            output: |waiting: &mut Waiting, output| {
                if let Output::Persist(state) = &output {
                    let running = state.held.as_ref().filter(|held| held.status == Status::Running);
                    waiting.running = running.map(|held| held.workflow.id.clone());
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-cancel-second-unacknowledged",
        "Of two cancels in a row only the first is acknowledged.",
        ["ADU-AGENT-030"],
        With {
            state: false,
            input: same_input,
            output: |was_cancel: &mut bool, output| {
                let Output::Send { report, patch } = &output else {
                    return vec![Effect::Do(output)];
                };
                let value = patch.pointer("/deviceUpdate/service/value");
                let Some(value) = value else { return vec![Effect::Do(output)] };
                let is_cancel = value.pointer("/workflow/action") == Some(&json!(255));
                if std::mem::replace(was_cancel, is_cancel) && is_cancel {
                    let report = *report;
                    return vec![Effect::Feed(Input::Answered { report, status: 204 })];
                }
                vec![Effect::Do(output)]
            },
        }
    ),
];

/// Passes cancels over as long as work of one kind is under way.
struct NoCancelDuring {
    /// The job by which such work begins.
    begins: fn(&Output) -> Option<u64>,
    under_way: BTreeSet<u64>,
}

impl NoCancelDuring {
    fn new(begins: fn(&Output) -> Option<u64>) -> Self {
        Self { begins, under_way: BTreeSet::new() }
    }
}

impl Overlay for NoCancelDuring {
    fn input(&mut self, mut input: Input) -> Vec<Input> {
        if let Input::RootKeys { job, .. } | Input::Fetched { job, .. } | Input::Ran { job, .. } =
            &input
        {
            self.under_way.remove(job);
        }
        let is_cancel = service(&mut input).and_then(|service| action(service)) == Some(255);
        if is_cancel && !self.under_way.is_empty() {
            withhold(&mut input);
        }
        vec![input]
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        self.under_way.extend((self.begins)(&output));
        vec![Effect::Do(output)]
    }
}

/// The deployment that runs, and the one that was asked for last.
#[derive(Default)]
struct Waiting {
    running: Option<String>,
    newest: Option<String>,
}

impl Waiting {
    fn is_any(&self) -> bool {
        self.running.is_some() && self.running != self.newest
    }
}

fn runs(output: &Output, phase: Phase) -> Option<u64> {
    match output {
        Output::Run { job, call } if call.phase == phase => Some(*job),
        _ => None,
    }
}

/// The desired property `service` of a notification.
fn service(input: &mut Input) -> Option<&mut Value> {
    match input {
        Input::Patch(patch) => patch.pointer_mut("/deviceUpdate/service"),
        _ => None,
    }
}

fn action(service: &Value) -> Option<i64> {
    service.pointer("/workflow/action").and_then(Value::as_i64)
}

fn id(service: &Value) -> Option<String> {
    service.pointer("/workflow/id").and_then(Value::as_str).map(str::to_owned)
}

/// Takes the object out of a notification, which is seen all the same.
fn withhold(input: &mut Input) {
    if let Input::Patch(patch) = input
        && let Some(component) = patch.get_mut("deviceUpdate").and_then(Value::as_object_mut)
    {
        component.remove("service");
    }
}
