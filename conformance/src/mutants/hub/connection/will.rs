//! Defects of wills (HUB-CONN-025, -026).

use std::num::NonZeroU16;

use bytes::Bytes;
use twinspec_harness::hub::Overlay;
use twinspec_model::event::Event;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::Packet;

use crate::mutants::Mutant;
use crate::mutants::overlay::{on_both, on_input, on_output, remembering};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "connection-will-lost",
        title: "Wills are not emitted",
        requirements: &["HUB-CONN-025"],
        overlay: || on_will(|_| false),
    },
    Mutant {
        id: "connection-will-module-lost",
        title: "Wills of modules are not emitted",
        requirements: &["HUB-CONN-025"],
        overlay: || on_will(|event| event.identity.module.is_none()),
    },
    Mutant {
        id: "connection-will-lost-in-take-over",
        title: "The will of a connection that a newer one replaces is not emitted",
        requirements: &["HUB-CONN-025"],
        overlay: || {
            on_both(
                false,
                |connects, input| {
                    *connects = matches!(&input, Input::Packet(_, Packet::Connect(_)));
                    vec![input]
                },
                |connects, output| match &output {
                    Output::Event(event)
                        if *connects && event.properties.iter().any(|(name, _)| name == MARK) =>
                    {
                        Vec::new()
                    }
                    _ => vec![output],
                },
            )
        },
    },
    Mutant {
        id: "connection-will-unmarked",
        title: "Wills are emitted as ordinary telemetry",
        requirements: &["HUB-CONN-025"],
        overlay: || {
            on_will(|event| {
                event.properties.retain(|(name, _)| name != MARK);
                true
            })
        },
    },
    Mutant {
        id: "connection-will-without-properties",
        title: "Wills are emitted without the properties of their topic",
        requirements: &["HUB-CONN-025"],
        overlay: || {
            on_will(|event| {
                event.properties.retain(|(name, _)| name == MARK);
                true
            })
        },
    },
    Mutant {
        id: "connection-will-without-body",
        title: "Wills are emitted without their payload",
        requirements: &["HUB-CONN-025"],
        overlay: || {
            on_will(|event| {
                event.body = Bytes::new();
                true
            })
        },
    },
    Mutant {
        id: "connection-will-lost-after-silence",
        title: "The will of a client that was dropped for its silence is not emitted",
        requirements: &["HUB-CONN-025"],
        overlay: || losing_wills_when(|input| matches!(input, Input::Tick)),
    },
    Mutant {
        id: "connection-will-lost-after-violation",
        title: "The will of a client that was dropped for what it sent is not emitted",
        requirements: &["HUB-CONN-025"],
        overlay: || losing_wills_when(|input| matches!(input, Input::Packet(..))),
    },
    Mutant {
        id: "connection-will-after-goodbye",
        title: "Wills are emitted after DISCONNECT too",
        requirements: &["HUB-CONN-026"],
        overlay: || {
            on_input(|input| match input {
                // A violation ends the connection as a goodbye does, but for the will.
                Input::Packet(id, Packet::Disconnect) => {
                    vec![Input::Packet(id, Packet::PubRec(NonZeroU16::MIN))]
                }
                other => vec![other],
            })
        },
    },
];

const MARK: &str = "iothub-MessageType";

fn is_will(event: &Event) -> bool {
    event.properties.iter().any(|(name, value)| name == MARK && value == "Will")
}

/// Edits every will that is emitted, or drops it where `edit` returns `false`.
fn on_will(edit: fn(&mut Event) -> bool) -> Box<dyn Overlay> {
    on_output(move |mut output| {
        let kept = match &mut output {
            Output::Event(event) if is_will(event) => edit(event),
            _ => true,
        };
        kept.then_some(output).into_iter().collect()
    })
}

/// Drops the wills that are emitted because of some inputs.
fn losing_wills_when(cause: fn(&Input) -> bool) -> Box<dyn Overlay> {
    remembering(
        (cause, false),
        |(cause, losing), input| {
            *losing = cause(&input);
            vec![input]
        },
        |(_, losing), output| match output {
            Output::Event(event) if *losing && is_will(&event) => Vec::new(),
            other => vec![other],
        },
    )
}
