//! Defects of the methods subscription (HUB-SESS-006, -012, -017).

use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::{Delivery, Packet, PacketId, Qos, Subscribe, Unsubscribe};

use super::tools::on_delivery;
use crate::mutants::Mutant;
use crate::mutants::overlay::{on_both, on_input};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-request-qos-1",
        title: "Method requests are sent at QoS 1",
        requirements: &["HUB-SESS-006"],
        overlay: || {
            on_delivery(|publish| {
                publish.delivery = Delivery::AtLeastOnce(PacketId::MIN);
                true
            })
        },
    },
    Mutant {
        id: "method-unsubscribe-ignored",
        title: "UNSUBSCRIBE from methods is confirmed and ignored",
        requirements: &["HUB-SESS-012"],
        overlay: || {
            on_input(|mut input| {
                if let Input::Packet(_, Packet::Unsubscribe(unsubscribe)) = &mut input {
                    unsubscribe.filters.retain(|filter| filter != METHODS);
                }
                vec![input]
            })
        },
    },
    Mutant {
        id: "method-subscription-forgotten",
        title: "The methods subscription ends with the connection",
        requirements: &["HUB-SESS-017"],
        overlay: || {
            after_connect(|id| {
                Packet::Unsubscribe(Unsubscribe { id, filters: vec![METHODS.into()] })
            })
        },
    },
    Mutant {
        id: "method-subscription-not-needed",
        title: "Method requests are sent to devices that did not subscribe to them",
        requirements: &["HUB-METH-010"],
        overlay: || {
            after_connect(|id| {
                let filters = vec![(METHODS.into(), Qos::AtMostOnce)];
                Packet::Subscribe(Subscribe { id, filters })
            })
        },
    },
];

const METHODS: &str = "$iothub/methods/POST/#";

/// Slips a packet in after each CONNECT; its confirmation is kept back.
fn after_connect(packet: fn(PacketId) -> Packet) -> Box<dyn Overlay> {
    on_both(
        (),
        move |(), input| match &input {
            Input::Packet(id, Packet::Connect(_)) => {
                let slipped = Input::Packet(*id, packet(PacketId::MAX));
                vec![input, slipped]
            }
            _ => vec![input],
        },
        |(), output| {
            let is_confirmation = match &output {
                Output::Send(_, Packet::UnsubAck(id)) => *id == PacketId::MAX,
                Output::Send(_, Packet::SubAck(suback)) => suback.id == PacketId::MAX,
                _ => false,
            };
            if is_confirmation { Vec::new() } else { vec![output] }
        },
    )
}
