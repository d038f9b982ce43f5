//! Defects of what telemetry a hub takes (HUB-TELE-001, -004, -006 to -008).

use twinspec_harness::hub::Overlay;
use twinspec_model::event::{Event, Source};
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::identity::Identity;
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::DeviceTopic;

use crate::mutants::Mutant;
use crate::mutants::overlay::{ClientIds, on_input, on_output};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "telemetry-empty-bag-not-acknowledged",
        title: "Telemetry with an empty bag is not acknowledged",
        requirements: &["HUB-TELE-001"],
        overlay: || on_publish(|_, _, publish| !has_empty_bag(publish, |_| true)),
    },
    Mutant {
        id: "telemetry-empty-bag-not-delivered",
        title: "Telemetry without properties is not delivered",
        requirements: &["HUB-TELE-001"],
        overlay: || on_telemetry(|event| !event.properties.is_empty()),
    },
    Mutant {
        id: "telemetry-gets-property",
        title: "Telemetry without properties is delivered with one",
        requirements: &["HUB-TELE-001"],
        overlay: || {
            on_telemetry(|event| {
                event.properties.push(("source".to_owned(), "hub".to_owned()));
                true
            })
        },
    },
    Mutant {
        id: "telemetry-module-not-acknowledged",
        title: "Telemetry of modules is not acknowledged",
        requirements: &["HUB-TELE-004"],
        overlay: || {
            on_publish(|_, _, publish| {
                !has_empty_bag(publish, |identity| identity.module.is_some())
            })
        },
    },
    Mutant {
        id: "telemetry-module-unnamed",
        title: "Telemetry of modules is delivered as that of their device",
        requirements: &["HUB-TELE-004"],
        overlay: || {
            on_telemetry(|event| {
                event.identity.module = None;
                true
            })
        },
    },
    Mutant {
        id: "telemetry-too-large-taken",
        title: "Messages a little above 256 KB are taken",
        requirements: &["HUB-TELE-006"],
        overlay: || {
            on_publish(|_, _, publish| {
                publish.payload.truncate(256 * 1024);
                true
            })
        },
    },
    Mutant {
        id: "telemetry-too-large-dropped",
        title: "Messages that are too large to be read are dropped and the connection is kept",
        requirements: &["HUB-TELE-006"],
        overlay: || {
            on_input(|input| match input {
                Input::Malformed(..) => Vec::new(),
                other => vec![other],
            })
        },
    },
    Mutant {
        id: "telemetry-large-refused",
        title: "Messages above 192 KB end the connection",
        requirements: &["HUB-TELE-007"],
        overlay: || {
            on_publish(|_, _, publish| {
                if publish.payload.len() > 192 * 1024 {
                    "suite/x".clone_into(&mut publish.topic);
                }
                true
            })
        },
    },
    Mutant {
        id: "telemetry-unknown-topic-ignored",
        title: "Messages on unknown topics are dropped and the connection is kept",
        requirements: &["HUB-TELE-008"],
        overlay: || on_publish(|_, _, publish| DeviceTopic::parse(&publish.topic).is_some()),
    },
    Mutant {
        id: "telemetry-foreign-topic-ignored",
        title: "Messages on topics of other identities are dropped and the connection is kept",
        requirements: &["HUB-TELE-008"],
        overlay: || {
            on_publish(|ids, id, publish| {
                named(publish).is_none_or(|identity| identity.to_string() == ids.of(id))
            })
        },
    },
    Mutant {
        id: "telemetry-device-speaks-for-modules",
        title: "A device's messages on topics of its modules are dropped, the connection is kept",
        requirements: &["HUB-TELE-008"],
        overlay: || {
            on_publish(|ids, id, publish| {
                named(publish).is_none_or(|identity| {
                    identity.module.is_none() || identity.device != ids.of(id)
                })
            })
        },
    },
];

/// Edits every PUBLISH of a client, whatever its topic, or hides it by returning `false`.
fn on_publish(edit: fn(&ClientIds, ConnectionId, &mut Publish) -> bool) -> Box<dyn Overlay> {
    let mut ids = ClientIds::default();
    on_input(move |mut input| {
        ids.learn(&input);
        let stays = match &mut input {
            Input::Packet(id, Packet::Publish(publish)) => edit(&ids, *id, publish),
            _ => true,
        };
        stays.then_some(input).into_iter().collect()
    })
}

/// Edits every delivered telemetry message, or drops it by returning `false`.
pub(super) fn on_telemetry(edit: fn(&mut Event) -> bool) -> Box<dyn Overlay> {
    on_output(move |mut output| {
        let stays = match &mut output {
            Output::Event(event) if event.source == Source::Telemetry => edit(event),
            _ => true,
        };
        stays.then_some(output).into_iter().collect()
    })
}

/// The identity that a telemetry topic names.
fn named(publish: &Publish) -> Option<Identity> {
    match DeviceTopic::parse(&publish.topic)? {
        DeviceTopic::Telemetry { identity, .. } => Some(identity),
        _ => None,
    }
}

/// Whether this is telemetry without properties of an identity for which `concerns` holds.
fn has_empty_bag(publish: &Publish, concerns: fn(&Identity) -> bool) -> bool {
    publish.topic.ends_with("/messages/events/")
        && named(publish).is_some_and(|identity| concerns(&identity))
}
