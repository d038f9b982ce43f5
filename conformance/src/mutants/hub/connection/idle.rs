//! Defects of keep-alive (HUB-CONN-021 to -024).

use std::collections::BTreeSet;

use serde_json::Value;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::{Packet, Publish, Qos, SubAck};

use super::connect::spoil;
use crate::mutants::Mutant;
use crate::mutants::overlay::{answering, edit_json, on_both, on_connect, on_output, set};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "connection-idle-early",
        title: "A silent client is dropped after its keep-alive, without the half on top",
        requirements: &["HUB-CONN-021"],
        overlay: || on_connect(|_, connect| connect.keep_alive = connect.keep_alive * 2 / 3),
    },
    Mutant {
        id: "connection-idle-late",
        title: "A silent client is dropped after three times its keep-alive",
        requirements: &["HUB-CONN-021"],
        overlay: || on_connect(|_, connect| connect.keep_alive *= 2),
    },
    Mutant {
        id: "connection-idle-unlimited",
        title: "A client that asks for more than the limit is never dropped",
        requirements: &["HUB-CONN-022"],
        overlay: idle_unlimited,
    },
    Mutant {
        id: "connection-long-keep-alive-refused",
        title: "A CONNECT that asks for more than the limit is refused",
        requirements: &["HUB-CONN-023"],
        overlay: || {
            on_connect(|_, connect| {
                if connect.keep_alive > LARGEST_USEFUL {
                    spoil(connect);
                }
            })
        },
    },
    Mutant {
        id: "connection-ping-unanswered",
        title: "A PINGREQ is not answered",
        requirements: &["HUB-CONN-024"],
        overlay: || {
            on_output(|output| match output {
                Output::Send(_, Packet::PingResp) => Vec::new(),
                other => vec![other],
            })
        },
    },
    Mutant {
        id: "connection-ping-no-sign-of-life",
        title: "A PINGREQ does not restart the idle timer",
        requirements: &["HUB-CONN-024"],
        overlay: || {
            answering(|id, packet| {
                let answer = Output::Send(id, Packet::PingResp);
                (*packet == Packet::PingReq).then(|| vec![answer])
            })
        },
    },
    Mutant {
        id: "connection-publish-no-sign-of-life",
        title: "A PUBLISH does not restart the idle timer",
        requirements: &["HUB-CONN-024"],
        overlay: || {
            answering(|id, packet| match packet {
                Packet::Publish(publish) => {
                    let answer = |packet_id| Output::Send(id, Packet::PubAck(packet_id));
                    Some(publish.delivery.id().map(answer).into_iter().collect())
                }
                _ => None,
            })
        },
    },
    Mutant {
        id: "connection-qos-0-no-sign-of-life",
        title: "A PUBLISH at QoS 0 does not restart the idle timer",
        requirements: &["HUB-CONN-024"],
        overlay: || {
            answering(|id, packet| match packet {
                Packet::Publish(publish) if publish.delivery.id().is_none() => {
                    let rid = publish.topic.split_once("$rid=")?.1;
                    let topic = format!("$iothub/twin/res/200/?$rid={rid}");
                    let answer = Publish::at_most_once(topic, "{}");
                    Some(vec![Output::Send(id, Packet::Publish(answer))])
                }
                _ => None,
            })
        },
    },
    Mutant {
        id: "connection-puback-no-sign-of-life",
        title: "A PUBACK does not restart the idle timer",
        requirements: &["HUB-CONN-024"],
        overlay: puback_no_sign_of_life,
    },
    Mutant {
        id: "connection-subscribe-no-sign-of-life",
        title: "SUBSCRIBE and UNSUBSCRIBE do not restart the idle timer",
        requirements: &["HUB-CONN-024"],
        overlay: || {
            answering(|id, packet| match packet {
                Packet::Subscribe(subscribe) => {
                    let granted = vec![Some(Qos::AtMostOnce); subscribe.filters.len()];
                    let suback = SubAck { id: subscribe.id, granted };
                    Some(vec![Output::Send(id, Packet::SubAck(suback))])
                }
                Packet::Unsubscribe(unsubscribe) => {
                    Some(vec![Output::Send(id, Packet::UnsubAck(unsubscribe.id))])
                }
                _ => None,
            })
        },
    },
];

/// The largest keep-alive whose one and a half is within the limit of 1767 s.
const LARGEST_USEFUL: u16 = 1177;

#[derive(Default)]
struct Patient {
    clients: BTreeSet<ConnectionId>,
    /// Whose PINGREQ the client never sent.
    pinged: Vec<ConnectionId>,
}

/// Lets the model hear a PINGREQ from patient clients whenever time passes.
fn idle_unlimited() -> Box<dyn Overlay> {
    on_both(
        Patient::default(),
        |patient, input| {
            match &input {
                Input::Packet(id, Packet::Connect(connect))
                    if connect.keep_alive > LARGEST_USEFUL =>
                {
                    patient.clients.insert(*id);
                }
                Input::Closed(id) => drop(patient.clients.remove(id)),
                Input::Tick => {
                    patient.pinged = patient.clients.iter().copied().collect();
                    let ping = |id: &ConnectionId| Input::Packet(*id, Packet::PingReq);
                    return patient.clients.iter().map(ping).chain([Input::Tick]).collect();
                }
                _ => {}
            }
            vec![input]
        },
        |patient, output| match output {
            Output::Send(id, Packet::PingResp) if patient.pinged.contains(&id) => {
                patient.pinged.retain(|pinged| *pinged != id);
                Vec::new()
            }
            other => vec![other],
        },
    )
}

/// Keeps PUBACKs from the model and counts them, so that the back end sees them all the same.
fn puback_no_sign_of_life() -> Box<dyn Overlay> {
    on_both(
        0_u64,
        |acknowledged, input| match &input {
            Input::Packet(_, Packet::PubAck(_)) => {
                *acknowledged = acknowledged.saturating_add(1);
                Vec::new()
            }
            _ => vec![input],
        },
        |acknowledged, mut output| {
            if let Output::Respond(_, response) = &mut output {
                edit_json(response.body_mut(), |body| {
                    let waiting = body.get("cloudToDeviceMessageCount").and_then(Value::as_u64);
                    if let Some(waiting) = waiting {
                        let left = waiting.saturating_sub(*acknowledged);
                        set(body, "cloudToDeviceMessageCount", left);
                    }
                });
            }
            vec![output]
        },
    )
}
