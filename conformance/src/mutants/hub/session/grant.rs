//! Defects of what a SUBSCRIBE is granted (HUB-SESS-001, -002, -013, -014).

use std::collections::{BTreeMap, BTreeSet};

use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::{Packet, Qos, SubAck};
use twinspec_model::wire::topic::Filter;

use crate::mutants::Mutant;
use crate::mutants::overlay::{answering, on_both, on_input};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "session-qos-2-granted",
        title: "A SUBSCRIBE with QoS 2 is granted QoS 2",
        requirements: &["HUB-SESS-001"],
        overlay: || {
            on_grants(|Asked { qos, .. }, granted| {
                if qos == Qos::ExactlyOnce {
                    *granted = Some(Qos::ExactlyOnce);
                }
            })
        },
    },
    Mutant {
        id: "session-qos-2-granted-0",
        title: "Cloud-to-device messages asked for at QoS 2 are granted at QoS 0",
        requirements: &["HUB-SESS-001"],
        overlay: || {
            on_grants(|Asked { filter, qos, .. }, granted| {
                if qos == Qos::ExactlyOnce && filter.starts_with("devices/") {
                    *granted = Some(Qos::AtMostOnce);
                }
            })
        },
    },
    Mutant {
        id: "session-qos-2-failed-twin",
        title: "Twin topics asked for at QoS 2 are not granted",
        requirements: &["HUB-SESS-001"],
        overlay: || {
            on_grants(|Asked { filter, qos, .. }, granted| {
                if qos == Qos::ExactlyOnce && filter.starts_with("$iothub/twin/") {
                    *granted = None;
                }
            })
        },
    },
    Mutant {
        id: "session-desired-failed-at-0",
        title: "Desired notifications are not granted at QoS 0",
        requirements: &["HUB-SESS-002"],
        overlay: || {
            on_grants(|Asked { filter, qos, .. }, granted| {
                if qos == Qos::AtMostOnce && filter.contains("/desired/") {
                    *granted = None;
                }
            })
        },
    },
    Mutant {
        id: "session-methods-failed-at-1",
        title: "Methods are not granted at QoS 1",
        requirements: &["HUB-SESS-002"],
        overlay: || {
            on_grants(|Asked { filter, qos, .. }, granted| {
                if qos == Qos::AtLeastOnce && filter.contains("/methods/") {
                    *granted = None;
                }
            })
        },
    },
    Mutant {
        id: "session-more-granted",
        title: "A SUBSCRIBE with QoS 0 is granted QoS 1",
        requirements: &["HUB-SESS-002"],
        overlay: || on_grants(|_, granted| *granted = Some(Qos::AtLeastOnce)),
    },
    Mutant {
        id: "session-first-filter-only",
        title: "Only the first filter of a SUBSCRIBE is granted",
        requirements: &["HUB-SESS-002"],
        overlay: || {
            on_grants(|Asked { index, .. }, granted| {
                if index > 0 {
                    *granted = None;
                }
            })
        },
    },
    Mutant {
        id: "session-module-filters-failed",
        title: "A module that has connected is granted nothing",
        requirements: &["HUB-SESS-002"],
        overlay: module_filters_failed,
    },
    Mutant {
        id: "session-four-filters",
        title: "A fifth filter ends the connection",
        requirements: &["HUB-SESS-013"],
        overlay: four_filters,
    },
    Mutant {
        id: "session-one-method-failed",
        title: "A filter for one method is not granted",
        requirements: &["HUB-SESS-013"],
        overlay: || {
            on_grants(|Asked { filter, .. }, granted| {
                if matches!(Filter::parse(filter), Some(Filter::Methods { name: Some(_) })) {
                    *granted = None;
                }
            })
        },
    },
    Mutant {
        id: "session-unknown-filter-failed",
        title: "An undocumented filter is answered with a failure, and the connection stays",
        requirements: &["HUB-SESS-014"],
        overlay: || answering_unknown_filters(None),
    },
    Mutant {
        id: "session-unknown-filter-granted",
        title: "An undocumented filter is granted",
        requirements: &["HUB-SESS-014"],
        overlay: || answering_unknown_filters(Some(Qos::AtMostOnce)),
    },
];

/// One filter of a SUBSCRIBE.
struct Asked<'a> {
    index: usize,
    filter: &'a str,
    qos: Qos,
}

/// Edits what is granted for each filter.
fn on_grants(edit: fn(Asked<'_>, &mut Option<Qos>)) -> Box<dyn Overlay> {
    on_both(
        Vec::new(),
        |asked, input| {
            if let Input::Packet(_, Packet::Subscribe(subscribe)) = &input {
                asked.clone_from(&subscribe.filters);
            }
            vec![input]
        },
        move |asked: &mut Vec<(String, Qos)>, mut output| {
            if let Output::Send(_, Packet::SubAck(suback)) = &mut output {
                let asked = asked.iter().enumerate().zip(&mut suback.granted);
                for ((index, (filter, qos)), granted) in asked {
                    edit(Asked { index, filter, qos: *qos }, granted);
                }
            }
            vec![output]
        },
    )
}

fn module_filters_failed() -> Box<dyn Overlay> {
    let mut modules = BTreeSet::new();
    answering(move |id, packet| match packet {
        Packet::Connect(connect) => {
            if connect.client_id.contains('/') {
                modules.insert(id);
            }
            None
        }
        Packet::Subscribe(subscribe) if modules.contains(&id) => {
            let granted = vec![None; subscribe.filters.len()];
            let suback = SubAck { id: subscribe.id, granted };
            Some(vec![Output::Send(id, Packet::SubAck(suback))])
        }
        _ => None,
    })
}

fn four_filters() -> Box<dyn Overlay> {
    let mut filters: BTreeMap<ConnectionId, BTreeSet<String>> = BTreeMap::new();
    on_input(move |mut input| {
        if let Input::Packet(id, Packet::Subscribe(subscribe)) = &mut input {
            let known = filters.entry(*id).or_default();
            known.extend(subscribe.filters.iter().map(|(filter, _)| filter.clone()));
            if known.len() > 4 {
                // The model closes for a filter that it does not know.
                subscribe.filters = vec![("too/many".to_owned(), Qos::AtMostOnce)];
            }
        }
        vec![input]
    })
}

fn answering_unknown_filters(granted: Option<Qos>) -> Box<dyn Overlay> {
    answering(move |id, packet| match packet {
        Packet::Subscribe(subscribe) => {
            let unknown = |(filter, _): &(String, Qos)| Filter::parse(filter).is_none();
            let suback = SubAck { id: subscribe.id, granted: vec![granted] };
            let answer = Output::Send(id, Packet::SubAck(suback));
            subscribe.filters.iter().any(unknown).then(|| vec![answer])
        }
        _ => None,
    })
}
