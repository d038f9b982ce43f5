//! Defects of sessions that are resumed (HUB-SESS-008, -010, -017).

use std::num::NonZeroU16;

use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::{Packet, Unsubscribe};
use twinspec_model::wire::topic::HubTopic;

use crate::mutants::Mutant;
use crate::mutants::overlay::{ClientIds, is_nudged, nudge, on_both, on_output, remembering};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "session-device-bound-forgotten",
        title: "The subscription to cloud-to-device messages ends with the connection",
        requirements: &["HUB-SESS-008"],
        overlay: || {
            forgetting(ends, |client_id| format!("devices/{client_id}/messages/devicebound/#"))
        },
    },
    Mutant {
        id: "session-messages-away-lost",
        title: "Messages sent while a device is away are lost",
        requirements: &["HUB-SESS-008"],
        overlay: messages_away_lost,
    },
    Mutant {
        id: "session-never-present",
        title: "No CONNACK says that a session is present",
        requirements: &["HUB-SESS-010"],
        overlay: || {
            on_output(|mut output| {
                if let Output::Send(_, Packet::ConnAck(answer)) = &mut output {
                    answer.session_present = false;
                }
                vec![output]
            })
        },
    },
    Mutant {
        id: "session-answers-forgotten",
        title: "The subscription to twin answers ends with the connection",
        requirements: &["HUB-SESS-017"],
        overlay: || forgetting(ends, |_| "$iothub/twin/res/#".to_owned()),
    },
    Mutant {
        id: "session-desired-forgotten",
        title: "The subscription to desired notifications ends with the connection",
        requirements: &["HUB-SESS-017"],
        overlay: || forgetting(ends, |_| "$iothub/twin/PATCH/properties/desired/#".to_owned()),
    },
    Mutant {
        id: "session-desired-forgotten-by-take-over",
        title: "The subscription to desired notifications ends with a take-over",
        requirements: &["HUB-SESS-017"],
        overlay: || {
            forgetting(is_taken_over, |_| "$iothub/twin/PATCH/properties/desired/#".to_owned())
        },
    },
    Mutant {
        id: "session-answers-of-modules-forgotten",
        title: "The subscription of a module to twin answers ends with the connection",
        requirements: &["HUB-SESS-017"],
        overlay: || {
            forgetting(ends, |client_id| match client_id.contains('/') {
                true => "$iothub/twin/res/#".to_owned(),
                false => NONE.to_owned(),
            })
        },
    },
];

/// The packet id of the UNSUBSCRIBE that no client sent.
const OWN_ID: NonZeroU16 = NonZeroU16::MAX;

/// A filter that nobody subscribes.
const NONE: &str = "$iothub/methods/POST/none/#";

/// Unsubscribes a client, behind its back, before an input that ends its connection.
fn forgetting(
    ended: fn(&Input, &ClientIds) -> Option<ConnectionId>,
    filter: fn(&str) -> String,
) -> Box<dyn Overlay> {
    on_both(
        ClientIds::default(),
        move |clients, input| {
            let unsubscribe = ended(&input, clients).map(|id| {
                let filters = vec![filter(clients.of(id))];
                Input::Packet(id, Packet::Unsubscribe(Unsubscribe { id: OWN_ID, filters }))
            });
            clients.learn(&input);
            unsubscribe.into_iter().chain([input]).collect()
        },
        |_, output| match output {
            Output::Send(_, Packet::UnsubAck(OWN_ID)) => Vec::new(),
            other => vec![other],
        },
    )
}

/// The connection that its client ends.
fn ends(input: &Input, _: &ClientIds) -> Option<ConnectionId> {
    match input {
        Input::Closed(id) | Input::Packet(id, Packet::Disconnect) => Some(*id),
        _ => None,
    }
}

/// The connection that a new one of the same client ends.
fn is_taken_over(input: &Input, clients: &ClientIds) -> Option<ConnectionId> {
    match input {
        Input::Packet(_, Packet::Connect(connect)) => {
            let old = clients.iter().find(|(_, client_id)| *client_id == connect.client_id);
            old.map(|(id, _)| id)
        }
        _ => None,
    }
}

/// Drops what is delivered with the CONNACK; the nudge after it says that no more belongs to it.
fn messages_away_lost() -> Box<dyn Overlay> {
    remembering(
        false,
        |connecting, input| {
            *connecting = matches!(input, Input::Packet(_, Packet::Connect(_)));
            if *connecting { vec![input, nudge()] } else { vec![input] }
        },
        |connecting, output| {
            if is_nudged(&output) {
                *connecting = false;
                return Vec::new();
            }
            let Output::Send(_, Packet::Publish(publish)) = &output else { return vec![output] };
            let topic = HubTopic::parse(&publish.topic);
            let is_late = matches!(topic, Some(HubTopic::DeviceBound { .. }));
            if *connecting && is_late { Vec::new() } else { vec![output] }
        },
    )
}
