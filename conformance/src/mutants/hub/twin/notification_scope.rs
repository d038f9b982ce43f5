//! Defects of who is notified and of what a device knows in the end (HUB-NOTI-007 to -011).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Output;
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::HubTopic;

use super::device::{insert, on_document, version};
use super::device_module::is_module_of;
use crate::mutants::Mutant;
use crate::mutants::overlay::{
    ClientIds, edit_hub_publish, edit_json, on_both, on_hub_publish, on_output, on_request,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-report-notified",
        title: "A report is notified to the device as if it were a desired change",
        requirements: &["HUB-NOTI-007"],
        overlay: || on_output(notifying_of_report),
    },
    Mutant {
        id: "twin-tags-notified",
        title: "A change of tags alone is notified as an empty desired change",
        requirements: &["HUB-NOTI-008"],
        overlay: || {
            on_request(|request| {
                if request.method() == Method::PATCH {
                    edit_json(request.body_mut(), |body| {
                        if body.get("properties").is_none() {
                            insert(body, "", "properties", json!({ "desired": {} }));
                        }
                    });
                }
            })
        },
    },
    Mutant {
        id: "twin-module-change-notified-to-device",
        title: "Notifications of a module are sent to its device too",
        requirements: &["HUB-NOTI-009"],
        overlay: || leaking(is_module_of),
    },
    Mutant {
        id: "twin-device-change-notified-to-module",
        title: "Notifications of a device are sent to its modules too",
        requirements: &["HUB-NOTI-009"],
        overlay: || leaking(|to, other| is_module_of(other, to)),
    },
    Mutant {
        id: "twin-module-change-notified-to-sibling",
        title: "Notifications of a module are sent to the other modules of its device too",
        requirements: &["HUB-NOTI-009"],
        overlay: || {
            leaking(|to, other| {
                let device = to.split_once('/').map_or("", |(device, _)| device);
                to != other && is_module_of(other, device)
            })
        },
    },
    Mutant {
        id: "twin-module-not-notified",
        title: "Modules are not notified",
        requirements: &["HUB-NOTI-009"],
        overlay: || {
            knowing_clients(|client_ids, output| {
                edit_hub_publish(output, |id, topic, _| {
                    let is_notification = matches!(topic, HubTopic::Desired { .. });
                    !(is_notification && client_ids.of(id).contains('/'))
                })
            })
        },
    },
    Mutant {
        id: "twin-notification-versions-fall",
        title: "Versions of notifications fall",
        requirements: &["HUB-NOTI-010"],
        overlay: || {
            on_hub_publish(|topic, publish| {
                if let HubTopic::Desired { version } = topic {
                    let version = 1_000_u64.saturating_sub(*version);
                    publish.topic = HubTopic::Desired { version }.to_topic();
                    edit_json(&mut publish.payload, |body| {
                        insert(body, "", "$version", json!(version));
                    });
                }
                true
            })
        },
    },
    Mutant {
        id: "twin-get-version-ahead",
        title: "The desired version in the device's document is ahead of its content",
        requirements: &["HUB-NOTI-010"],
        overlay: || {
            on_document(|document| {
                let ahead = version(document, "/desired") + 5;
                insert(document, "/desired", "$version", json!(ahead));
            })
        },
    },
    Mutant {
        id: "twin-get-answered-from-cache",
        title: "A device is given its twin as it first read it",
        requirements: &["HUB-NOTI-011"],
        overlay: || {
            let mut cache: BTreeMap<String, Bytes> = BTreeMap::new();
            knowing_clients(move |client_ids, output| {
                edit_hub_publish(output, |id, topic, publish| {
                    if let HubTopic::TwinResponse { status: 200, .. } = topic {
                        let first = cache.entry(client_ids.of(id).to_owned());
                        publish.payload = first.or_insert(publish.payload.clone()).clone();
                    }
                    true
                })
            })
        },
    },
];

/// Rewrites outputs, given the client ids of connections.
fn knowing_clients(
    output: impl FnMut(&mut ClientIds, Output) -> Vec<Output> + Send + 'static,
) -> Box<dyn Overlay> {
    on_both(
        ClientIds::default(),
        |client_ids, input| {
            client_ids.learn(&input);
            vec![input]
        },
        output,
    )
}

/// Sends notifications also to connections with a client id for which `leaks` holds.
fn leaking(leaks: fn(&str, &str) -> bool) -> Box<dyn Overlay> {
    knowing_clients(move |client_ids, output| {
        let Output::Send(id, Packet::Publish(publish)) = &output else {
            return vec![output];
        };
        let Some(HubTopic::Desired { .. }) = HubTopic::parse(&publish.topic) else {
            return vec![output];
        };
        let to = client_ids.of(*id);
        let others = client_ids.iter().filter(|(_, other)| leaks(to, other));
        let copy = |(id, _)| Output::Send(id, Packet::Publish(publish.clone()));
        let mut outputs: Vec<Output> = others.map(copy).collect();
        outputs.push(output);
        outputs
    })
}

fn notifying_of_report(output: Output) -> Vec<Output> {
    let Output::Send(id, Packet::Publish(publish)) = &output else {
        return vec![output];
    };
    match HubTopic::parse(&publish.topic) {
        Some(HubTopic::TwinResponse { version: Some(version), .. }) => {
            let topic = HubTopic::Desired { version }.to_topic();
            let body: Value = json!({ "$version": version });
            let echo = Packet::Publish(Publish::at_most_once(topic, body.to_string()));
            vec![Output::Send(*id, echo), output]
        }
        _ => vec![output],
    }
}
