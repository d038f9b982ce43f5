//! Defects of the delivery of reports (device-update-agent.md § 9).

use std::collections::BTreeSet;

use twinspec_harness::agent::Effect;
use twinspec_model::agent::{Input, Kind, Output, Pending};

use super::Defect;
use super::rewrite::{Told, With};

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-delivery-cut-gives-up",
        "A report whose connection broke is given up.",
        ["ADU-AGENT-122"],
        With {
            state: None,
            input: |sent: &mut Option<u64>, input| match input {
                Input::Answered { report, .. } if *sent == Some(report) => {
                    *sent = None;
                    vec![input]
                }
                Input::Disconnected => {
                    let answered =
                        sent.take().map(|report| Input::Answered { report, status: 204 });
                    answered.into_iter().chain([Input::Disconnected]).collect()
                }
                input => vec![input],
            },
            output: |sent, output| {
                if let Output::Send { report, .. } = &output {
                    *sent = Some(*report);
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-delivery-acknowledges-once",
        "An acknowledgement whose connection broke is given up.",
        ["ADU-AGENT-030"],
        With {
            state: (),
            input: super::rewrite::same_input,
            output: |(), output| match &output {
                Output::Send { report, patch }
                    if patch.pointer("/deviceUpdate/service").is_some() =>
                {
                    // The machine believes it taken before it has left.
                    let taken = Input::Answered { report: *report, status: 204 };
                    vec![Effect::Do(output), Effect::Feed(taken)]
                }
                _ => vec![Effect::Do(output)],
            },
        }
    ),
    defect!(
        "agent-delivery-acknowledges-nothing-away",
        "What is accepted without a connection is not acknowledged afterwards.",
        ["ADU-AGENT-030"],
        With {
            state: Away::default(),
            input: |away: &mut Away, input| {
                match input {
                    Input::Connected => away.is_away = false,
                    Input::Disconnected => away.is_away = true,
                    _ => {}
                }
                vec![input]
            },
            output: |away, output| {
                match &output {
                    Output::Persist(state) => away.note(state.outbox.reports()),
                    Output::Send { report, .. } if away.lost.contains(report) => {
                        let report = *report;
                        return vec![Effect::Feed(Input::Answered { report, status: 204 })];
                    }
                    _ => {}
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-delivery-hammers-when-throttled",
        "A report that is refused with 429 is sent again at once, as long as it is refused.",
        ["DEV-NET-020"],
        Told(|config| config.limits.resend = std::time::Duration::ZERO)
    ),
    defect!(
        "agent-delivery-floods",
        "Every report of a state is sent twenty times more.",
        ["DEV-NET-020"],
        With {
            state: 0,
            input: super::rewrite::same_input,
            output: |count, output| {
                let Output::Send { patch, .. } = &output else {
                    return vec![Effect::Do(output)];
                };
                let is_state = patch.pointer("/deviceUpdate/agent/state").is_some();
                let copies = if is_state { 20 } else { 0 };
                let mut effects = Vec::new();
                for _ in 0..copies {
                    *count += 1;
                    effects.push(super::rewrite::extra(*count, patch.clone()));
                }
                effects.push(Effect::Do(output));
                effects
            },
        }
    ),
];

/// Which acknowledgements were made without a connection.
#[derive(Default)]
struct Away {
    is_away: bool,
    known: BTreeSet<u64>,
    lost: BTreeSet<u64>,
}

impl Away {
    fn note(&mut self, reports: &[Pending]) {
        for report in reports {
            let is_new = self.known.insert(report.id);
            if is_new && self.is_away && report.kind == Kind::Acknowledgement {
                self.lost.insert(report.id);
            }
        }
    }
}
