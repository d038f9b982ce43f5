//! Defects that show when a device answers too late (HUB-METH-020).

use std::collections::BTreeSet;

use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use super::tools::says;
use crate::mutants::Mutant;
use crate::mutants::overlay::on_both;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-late-answer-closes",
        title: "A late answer makes the hub close the connection",
        requirements: &["HUB-METH-020"],
        // A topic that no hub knows.
        overlay: || on_late_answer(|_, publish| publish.topic = "$iothub/late".to_owned()),
    },
    Mutant {
        id: "method-late-answer-completes-next",
        title: "A late answer completes the call that waits now",
        requirements: &["HUB-METH-020"],
        overlay: || {
            on_late_answer(|calls, publish| {
                if let Some(DeviceTopic::MethodResponse { status, .. }) =
                    DeviceTopic::parse(&publish.topic)
                {
                    let rid = calls.last.clone();
                    publish.topic = DeviceTopic::MethodResponse { status, rid }.to_topic();
                }
            })
        },
    },
    Mutant {
        id: "method-timeout-deafens",
        title: "After a timeout no method request is sent any more",
        requirements: &["HUB-METH-020"],
        overlay: || {
            on_both(
                Calls::default(),
                |_, input| vec![input],
                |calls, output| {
                    let silent = !calls.late.is_empty();
                    if calls.learn(&output) && silent { Vec::new() } else { vec![output] }
                },
            )
        },
    },
];

/// The calls that were delivered.
#[derive(Default)]
struct Calls {
    /// Request id of the last one.
    last: String,
    /// Request ids of all that a timeout ended.
    late: BTreeSet<String>,
}

impl Calls {
    /// Learns from an output; `true` for a method request.
    fn learn(&mut self, output: &Output) -> bool {
        match output {
            Output::Send(_, Packet::Publish(publish)) => {
                let topic = HubTopic::parse(&publish.topic);
                let Some(HubTopic::MethodRequest { rid, .. }) = topic else { return false };
                self.last = rid;
                true
            }
            Output::Respond(_, response) => {
                if says(response, 504_101) {
                    self.late.insert(self.last.clone());
                }
                false
            }
            _ => false,
        }
    }
}

/// Edits the answers of devices that come too late.
fn on_late_answer(edit: fn(&Calls, &mut Publish)) -> Box<dyn Overlay> {
    on_both(
        Calls::default(),
        move |calls, mut input| {
            if let Input::Packet(_, Packet::Publish(publish)) = &mut input
                && let Some(DeviceTopic::MethodResponse { rid, .. }) =
                    DeviceTopic::parse(&publish.topic)
                && calls.late.contains(&rid)
            {
                edit(calls, publish);
            }
            vec![input]
        },
        |calls, output| {
            calls.learn(&output);
            vec![output]
        },
    )
}
