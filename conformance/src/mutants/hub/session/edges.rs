//! Defects of packets that are read too hastily (HUB-SESS-004, -007, -011, -013).

use std::collections::BTreeMap;

use twinspec_model::hub::{ConnectionId, Input};
use twinspec_model::wire::mqtt::Packet;

use crate::mutants::Mutant;
use crate::mutants::overlay::{on_connect, on_input};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "session-unsubscribe-first-only",
        title: "UNSUBSCRIBE ends the first subscription that it names",
        requirements: &["HUB-SESS-011"],
        overlay: || {
            on_input(|mut input| {
                if let Input::Packet(_, Packet::Unsubscribe(unsubscribe)) = &mut input {
                    unsubscribe.filters.truncate(1);
                }
                vec![input]
            })
        },
    },
    Mutant {
        id: "session-clean-is-kept",
        title: "What was subscribed in a clean session is kept",
        requirements: &["HUB-SESS-007"],
        overlay: || on_connect(|_, connect| connect.clean_session = false),
    },
    Mutant {
        id: "session-sixth-subscribe-closes",
        title: "Whoever has five filters cannot subscribe one of them again",
        requirements: &["HUB-SESS-013"],
        overlay: || {
            let mut counts: BTreeMap<ConnectionId, usize> = BTreeMap::new();
            on_input(move |mut input| {
                if let Input::Packet(id, Packet::Subscribe(subscribe)) = &mut input {
                    let count = counts.entry(*id).or_default();
                    *count += subscribe.filters.len();
                    if *count > 5 {
                        subscribe.filters.iter_mut().for_each(|(filter, _)| {
                            // One that no hub knows.
                            "suite/none/#".clone_into(filter);
                        });
                    }
                }
                vec![input]
            })
        },
    },
    Mutant {
        id: "session-dup-not-acknowledged",
        title: "A PUBLISH with DUP is not acknowledged",
        requirements: &["HUB-SESS-004"],
        overlay: || {
            on_input(|input| match &input {
                Input::Packet(_, Packet::Publish(publish)) if publish.dup => Vec::new(),
                _ => vec![input],
            })
        },
    },
];
