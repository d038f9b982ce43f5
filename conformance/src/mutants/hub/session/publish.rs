//! Defects of the quality of service of what is published (HUB-SESS-003 to -006).

use std::num::NonZeroU16;

use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::{Delivery, Packet, PacketId, Publish};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use crate::mutants::Mutant;
use crate::mutants::overlay::{
    answering, on_both, on_device_publish, on_hub_publish, on_output, remembering,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "session-qos-2-taken",
        title: "A PUBLISH with QoS 2 is processed and answered with PUBREC",
        requirements: &["HUB-SESS-003"],
        overlay: qos_2_taken,
    },
    Mutant {
        id: "session-qos-2-ignored",
        title: "A PUBLISH with QoS 2 is ignored",
        requirements: &["HUB-SESS-003"],
        overlay: || {
            on_device_publish(|_, _, publish| !matches!(publish.delivery, Delivery::ExactlyOnce(_)))
        },
    },
    Mutant {
        id: "session-qos-2-answered-before-the-end",
        title: "A PUBLISH with QoS 2 is answered with PUBREC before the connection ends",
        requirements: &["HUB-SESS-003"],
        overlay: || {
            answering(|id, packet| match packet {
                Packet::Publish(Publish { delivery: Delivery::ExactlyOnce(packet_id), .. }) => {
                    let pubrec = Output::Send(id, Packet::PubRec(*packet_id));
                    Some(vec![pubrec, Output::Close(id)])
                }
                _ => None,
            })
        },
    },
    Mutant {
        id: "session-qos-2-twin-ignored",
        title: "A twin request with QoS 2 is ignored",
        requirements: &["HUB-SESS-003"],
        overlay: || {
            on_device_publish(|_, topic, publish| {
                let is_telemetry = matches!(topic, DeviceTopic::Telemetry { .. });
                is_telemetry || !matches!(publish.delivery, Delivery::ExactlyOnce(_))
            })
        },
    },
    Mutant {
        id: "session-puback-other-id",
        title: "PUBACKs have the packet id 1",
        requirements: &["HUB-SESS-004"],
        overlay: || {
            on_output(|output| match output {
                Output::Send(id, Packet::PubAck(_)) => {
                    vec![Output::Send(id, Packet::PubAck(NonZeroU16::MIN))]
                }
                other => vec![other],
            })
        },
    },
    Mutant {
        id: "session-twin-not-acknowledged",
        title: "Twin requests with QoS 1 are not acknowledged",
        requirements: &["HUB-SESS-004"],
        overlay: || not_acknowledging(|topic| topic.starts_with("$iothub/twin/")),
    },
    Mutant {
        id: "session-telemetry-not-acknowledged",
        title: "Telemetry with QoS 1 of devices is not acknowledged",
        requirements: &["HUB-SESS-004"],
        overlay: || {
            not_acknowledging(|topic| topic.starts_with("devices/") && !topic.contains("/modules/"))
        },
    },
    Mutant {
        id: "session-module-not-acknowledged",
        title: "Telemetry with QoS 1 of modules is not acknowledged",
        requirements: &["HUB-SESS-004"],
        overlay: || not_acknowledging(|topic| topic.contains("/modules/")),
    },
    Mutant {
        id: "session-qos-0-get-ignored",
        title: "A twin GET with QoS 0 is ignored",
        requirements: &["HUB-SESS-005"],
        overlay: || ignoring_qos_0(|topic| matches!(topic, DeviceTopic::TwinGet { .. })),
    },
    Mutant {
        id: "session-qos-0-report-ignored",
        title: "A reported PATCH with QoS 0 is ignored",
        requirements: &["HUB-SESS-005"],
        overlay: || ignoring_qos_0(|topic| matches!(topic, DeviceTopic::TwinPatch { .. })),
    },
    Mutant {
        id: "session-answers-at-qos-1",
        title: "Twin answers are sent with QoS 1",
        requirements: &["HUB-SESS-006"],
        overlay: || at_qos_1(|topic| matches!(topic, HubTopic::TwinResponse { .. })),
    },
    Mutant {
        id: "session-refusals-at-qos-1",
        title: "Twin answers that refuse are sent with QoS 1",
        requirements: &["HUB-SESS-006"],
        overlay: || at_qos_1(|topic| matches!(topic, HubTopic::TwinResponse { status: 400.., .. })),
    },
    Mutant {
        id: "session-notifications-at-qos-1",
        title: "Desired notifications are sent with QoS 1",
        requirements: &["HUB-SESS-006"],
        overlay: || at_qos_1(|topic| matches!(topic, HubTopic::Desired { .. })),
    },
];

fn qos_2_taken() -> Box<dyn Overlay> {
    on_both(
        None,
        |taken: &mut Option<PacketId>, mut input| {
            *taken = None;
            if let Input::Packet(_, Packet::Publish(publish)) = &mut input
                && let Delivery::ExactlyOnce(packet_id) = publish.delivery
            {
                *taken = Some(packet_id);
                publish.delivery = Delivery::AtLeastOnce(packet_id);
            }
            vec![input]
        },
        |taken, output| match (output, *taken) {
            (Output::Send(id, Packet::PubAck(_)), Some(packet_id)) => {
                vec![Output::Send(id, Packet::PubRec(packet_id))]
            }
            (other, _) => vec![other],
        },
    )
}

/// Drops the PUBACKs for what is published on some topics.
fn not_acknowledging(silent_on: fn(&str) -> bool) -> Box<dyn Overlay> {
    remembering(
        (silent_on, false),
        |(silent_on, silent), input| {
            if let Input::Packet(_, Packet::Publish(publish)) = &input {
                *silent = silent_on(&publish.topic);
            }
            vec![input]
        },
        |(_, silent), output| match output {
            Output::Send(_, Packet::PubAck(_)) if *silent => Vec::new(),
            other => vec![other],
        },
    )
}

fn ignoring_qos_0(ignored: fn(&DeviceTopic) -> bool) -> Box<dyn Overlay> {
    on_device_publish(move |_, topic, publish| {
        publish.delivery != Delivery::AtMostOnce || !ignored(topic)
    })
}

fn at_qos_1(raised: fn(&HubTopic) -> bool) -> Box<dyn Overlay> {
    on_hub_publish(move |topic, publish| {
        if raised(topic) {
            publish.delivery = Delivery::AtLeastOnce(NonZeroU16::MIN);
        }
        true
    })
}
