//! Defects of packets that are read too hastily, and of what an UNSUBSCRIBE ends.

use std::collections::BTreeMap;

use bytes::Bytes;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::{Packet, Qos};
use twinspec_model::wire::topic::{DeviceTopic, Filter};

use crate::mutants::Mutant;
use crate::mutants::overlay::{answering, on_connect, on_device_publish, on_input};

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
        id: "session-unsubscribe-from-answers-ends-notifications",
        title: "An UNSUBSCRIBE from twin answers ends the notifications too",
        requirements: &["HUB-NOTI-001"],
        overlay: || unsubscribing_too(Filter::TwinResponse, Filter::Desired),
    },
    Mutant {
        id: "session-unsubscribe-from-methods-ends-notifications",
        title: "An UNSUBSCRIBE from methods ends the notifications too",
        requirements: &["HUB-NOTI-001"],
        overlay: || unsubscribing_too(Filter::Methods { name: None }, Filter::Desired),
    },
    Mutant {
        id: "session-unsubscribe-from-desired-ends-answers",
        title: "An UNSUBSCRIBE from notifications ends the twin answers too",
        requirements: &["HUB-TWIN-001"],
        overlay: || unsubscribing_too(Filter::Desired, Filter::TwinResponse),
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
    Mutant {
        id: "session-dup-not-processed",
        title: "A PUBLISH with DUP is acknowledged and not processed",
        requirements: &["HUB-TWIN-001"],
        overlay: || {
            answering(|id, packet| match packet {
                Packet::Publish(publish) if publish.dup => {
                    let packet_id = publish.delivery.id()?;
                    Some(vec![Output::Send(id, Packet::PubAck(packet_id))])
                }
                _ => None,
            })
        },
    },
    Mutant {
        id: "session-report-with-dup-answered-only",
        title: "A report with DUP is taken for one that was seen before: nothing changes",
        requirements: &["HUB-TWIN-008"],
        overlay: || {
            on_device_publish(|_, topic, publish| {
                if publish.dup && matches!(topic, DeviceTopic::TwinPatch { .. }) {
                    publish.payload = Bytes::from_static(b"{}");
                }
                true
            })
        },
    },
    Mutant {
        id: "session-unsubscribe-from-desired-ends-methods",
        title: "An UNSUBSCRIBE from notifications ends the methods too",
        requirements: &["HUB-METH-001"],
        overlay: || unsubscribing_too(Filter::Desired, Filter::Methods { name: None }),
    },
    Mutant {
        id: "session-granted-as-before",
        title: "A filter that is subscribed again is granted the QoS of the first time",
        requirements: &["HUB-SESS-002"],
        overlay: granted_as_before,
    },
];

/// Ends the subscription to `other` with that to `named`.
fn unsubscribing_too(named: Filter, other: Filter) -> Box<dyn Overlay> {
    on_input(move |mut input| {
        if let Input::Packet(_, Packet::Unsubscribe(unsubscribe)) = &mut input
            && unsubscribe.filters.contains(&named.to_filter())
        {
            unsubscribe.filters.push(other.to_filter());
        }
        vec![input]
    })
}

/// Grants what was asked for in the first SUBSCRIBE of a connection to each filter.
fn granted_as_before() -> Box<dyn Overlay> {
    let mut first: BTreeMap<(ConnectionId, String), Qos> = BTreeMap::new();
    on_input(move |mut input| {
        if let Input::Packet(id, Packet::Subscribe(subscribe)) = &mut input {
            for (filter, qos) in &mut subscribe.filters {
                *qos = *first.entry((*id, filter.clone())).or_insert(*qos);
            }
        }
        vec![input]
    })
}
