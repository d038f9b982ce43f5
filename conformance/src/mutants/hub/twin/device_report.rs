//! Defects of accepting reported properties (HUB-TWIN-008 to -012, -014).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input};
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use super::device::{insert, on_document, version};
use crate::mutants::Mutant;
use crate::mutants::overlay::{
    edit_device_publish, edit_hub_publish, edit_json, on_both, on_hub_publish, on_input,
    on_response,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-report-answered-200",
        title: "An accepted report is answered 200",
        requirements: &["HUB-TWIN-008"],
        overlay: || on_accepted(|publish, _, _| retopic(publish, "/res/204/", "/res/200/")),
    },
    Mutant {
        id: "twin-report-answer-has-body",
        title: "The 204 has a body",
        requirements: &["HUB-TWIN-008"],
        overlay: || on_accepted(|publish, _, _| publish.payload = Bytes::from_static(b"{}")),
    },
    Mutant {
        id: "twin-report-version-first",
        title: "The topic of a 204 has $version before $rid",
        requirements: &["HUB-TWIN-009"],
        overlay: || {
            on_accepted(|publish, rid, version| {
                publish.topic = format!("$iothub/twin/res/204/?$version={version}&$rid={rid}");
            })
        },
    },
    Mutant {
        id: "twin-report-version-missing",
        title: "The topic of a 204 has no $version",
        requirements: &["HUB-TWIN-009"],
        overlay: || {
            on_accepted(|publish, rid, _| {
                publish.topic = format!("$iothub/twin/res/204/?$rid={rid}");
            })
        },
    },
    Mutant {
        id: "twin-report-version-before",
        title: "The topic of a 204 has the version before the report",
        requirements: &["HUB-TWIN-010"],
        overlay: || on_accepted(|publish, _, version| set_version(publish, version, version - 1)),
    },
    Mutant {
        id: "twin-report-version-late-at-service",
        title: "Back ends read the reported version of before the last report",
        requirements: &["HUB-TWIN-010"],
        overlay: || {
            on_twin(|twin| {
                let before = version(twin, "/properties/reported").saturating_sub(1);
                insert(twin, "/properties/reported", "$version", json!(before));
            })
        },
    },
    Mutant {
        id: "twin-report-raises-by-two",
        title: "A report raises the version by two",
        requirements: &["HUB-TWIN-011"],
        overlay: raising_by_two,
    },
    Mutant {
        id: "twin-report-same-value-ignored",
        title: "A report that repeats the one before does not raise the version",
        requirements: &["HUB-TWIN-011"],
        overlay: ignoring_repeats,
    },
    Mutant {
        id: "twin-report-copied-to-desired",
        title: "The device reads its reported members in the desired section too",
        requirements: &["HUB-TWIN-012"],
        overlay: || {
            on_document(|document| {
                let reported = document.pointer("/reported").and_then(Value::as_object).cloned();
                for (key, value) in reported.into_iter().flatten() {
                    if key != "$version" {
                        insert(document, "/desired", &key, value);
                    }
                }
            })
        },
    },
    Mutant {
        id: "twin-report-raises-desired-at-service",
        title: "Reports raise the desired version that back ends read",
        requirements: &["HUB-TWIN-012"],
        overlay: || {
            on_twin(|twin| {
                let reports = version(twin, "/properties/reported").saturating_sub(1);
                let raised = version(twin, "/properties/desired") + reports;
                insert(twin, "/properties/desired", "$version", json!(raised));
            })
        },
    },
    Mutant {
        id: "twin-report-needs-subscription",
        title: "A report of a device that listens to no answers is dropped",
        requirements: &["HUB-TWIN-014"],
        overlay: needing_subscription,
    },
];

/// Edits every 204, given its request id and version.
fn on_accepted(edit: fn(&mut Publish, &str, u64)) -> Box<dyn Overlay> {
    on_hub_publish(move |topic, publish| {
        if let HubTopic::TwinResponse { status: 204, rid, version: Some(version) } = topic {
            edit(publish, rid, *version);
        }
        true
    })
}

/// Edits every twin that a back end is sent.
fn on_twin(edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_response(move |response| edit_json(response.body_mut(), edit))
}

fn retopic(publish: &mut Publish, from: &str, to: &str) {
    publish.topic = publish.topic.replace(from, to);
}

fn set_version(publish: &mut Publish, from: u64, to: u64) {
    retopic(publish, &format!("&$version={from}"), &format!("&$version={to}"));
}

fn raising_by_two() -> Box<dyn Overlay> {
    on_hub_publish(|topic, publish| {
        match topic {
            HubTopic::TwinResponse { status: 204, version: Some(version), .. } => {
                set_version(publish, *version, version * 2 - 1);
            }
            HubTopic::TwinResponse { status: 200, .. } => {
                edit_json(&mut publish.payload, |document| {
                    let doubled = version(document, "/reported") * 2 - 1;
                    insert(document, "/reported", "$version", json!(doubled));
                });
            }
            _ => {}
        }
        true
    })
}

#[derive(Default)]
struct Repeats {
    last: BTreeMap<ConnectionId, Bytes>,
    /// Request ids of repeated reports, which the model sees as GETs.
    ignored: BTreeSet<String>,
}

fn ignoring_repeats() -> Box<dyn Overlay> {
    on_both(
        Repeats::default(),
        |repeats, input| {
            edit_device_publish(input, |id, topic, publish| {
                let DeviceTopic::TwinPatch { rid: Some(rid), .. } = topic else {
                    return true;
                };
                let last = repeats.last.insert(id, publish.payload.clone());
                if last.is_some_and(|last| last == publish.payload) {
                    publish.topic = format!("$iothub/twin/GET/?$rid={rid}");
                    repeats.ignored.insert(rid.clone());
                }
                true
            })
        },
        |repeats, output| {
            edit_hub_publish(output, |_, topic, publish| {
                if let HubTopic::TwinResponse { rid, .. } = topic
                    && repeats.ignored.remove(rid)
                {
                    let document = serde_json::from_slice(&publish.payload).unwrap_or_default();
                    let version = version(&document, "/reported");
                    publish.topic = format!("$iothub/twin/res/204/?$rid={rid}&$version={version}");
                    publish.payload = Bytes::new();
                }
                true
            })
        },
    )
}

fn needing_subscription() -> Box<dyn Overlay> {
    let mut listeners = BTreeSet::new();
    on_input(move |input| {
        if let Input::Packet(id, Packet::Subscribe(subscribe)) = &input
            && subscribe.filters.iter().any(|(filter, _)| filter == "$iothub/twin/res/#")
        {
            listeners.insert(*id);
        }
        edit_device_publish(input, |id, topic, _| {
            !matches!(topic, DeviceTopic::TwinPatch { .. }) || listeners.contains(&id)
        })
    })
}
