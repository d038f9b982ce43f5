//! Defects of what is delivered without a subscription (HUB-SESS-007, -009, -011).

use std::num::NonZeroU16;

use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::{Packet, Qos, Subscribe};

use crate::mutants::Mutant;
use crate::mutants::overlay::{on_both, on_connect, on_input};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "session-desired-to-all",
        title: "Every client that connects is notified of desired properties",
        requirements: &["HUB-SESS-007"],
        overlay: || subscribing(|_| DESIRED.to_owned()),
    },
    Mutant {
        id: "session-answers-to-all",
        title: "Every client that connects gets twin answers",
        requirements: &["HUB-SESS-007"],
        overlay: || subscribing(|_| "$iothub/twin/res/#".to_owned()),
    },
    Mutant {
        id: "session-device-bound-to-all",
        title: "Every device that connects receives cloud-to-device messages",
        requirements: &["HUB-SESS-007"],
        overlay: || subscribing(|client_id| format!("devices/{client_id}/messages/devicebound/#")),
    },
    Mutant {
        id: "session-clean-resumed",
        title: "A clean session goes on with the subscriptions of the one before",
        requirements: &["HUB-SESS-009"],
        overlay: || on_connect(|_, connect| connect.clean_session = false),
    },
    Mutant {
        id: "session-unsubscribe-ignored",
        title: "An UNSUBSCRIBE from desired notifications is confirmed and has no effect",
        requirements: &["HUB-SESS-011"],
        overlay: || {
            on_input(|mut input| {
                if let Input::Packet(_, Packet::Unsubscribe(unsubscribe)) = &mut input {
                    unsubscribe.filters.retain(|filter| filter != DESIRED);
                }
                vec![input]
            })
        },
    },
    Mutant {
        id: "session-unsubscribe-until-reconnect",
        title: "An UNSUBSCRIBE from desired notifications ends with the connection",
        requirements: &["HUB-SESS-011"],
        overlay: unsubscribe_until_reconnect,
    },
];

const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";

/// The packet id of subscriptions that no client asked for.
const OWN_ID: NonZeroU16 = NonZeroU16::MAX;

/// The model's answer to such a subscription.
fn is_own_suback(output: &Output) -> bool {
    matches!(output, Output::Send(_, Packet::SubAck(suback)) if suback.id == OWN_ID)
}

fn subscribe(filter: String) -> Packet {
    Packet::Subscribe(Subscribe { id: OWN_ID, filters: vec![(filter, Qos::AtMostOnce)] })
}

/// Subscribes every client, behind its back, as soon as it connects.
fn subscribing(filter: fn(&str) -> String) -> Box<dyn Overlay> {
    on_both(
        (),
        move |(), input| match &input {
            Input::Packet(id, Packet::Connect(connect)) => {
                let subscription = Input::Packet(*id, subscribe(filter(&connect.client_id)));
                vec![input, subscription]
            }
            _ => vec![input],
        },
        |(), output| if is_own_suback(&output) { Vec::new() } else { vec![output] },
    )
}

fn unsubscribe_until_reconnect() -> Box<dyn Overlay> {
    on_both(
        false,
        |unsubscribed, input| match &input {
            Input::Packet(_, Packet::Unsubscribe(_)) => {
                *unsubscribed = true;
                vec![input]
            }
            Input::Packet(id, Packet::Connect(_)) if *unsubscribed => {
                let subscription = Input::Packet(*id, subscribe(DESIRED.to_owned()));
                vec![input, subscription]
            }
            _ => vec![input],
        },
        |_, output| if is_own_suback(&output) { Vec::new() } else { vec![output] },
    )
}
