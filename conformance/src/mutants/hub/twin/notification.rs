//! Defects of what a desired-properties notification says (HUB-NOTI-001 to -006).

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input};
use twinspec_model::wire::mqtt::Publish;
use twinspec_model::wire::topic::HubTopic;

use super::device::{insert, version};
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_hub_publish, edit_json, on_both, on_hub_publish, on_output};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-notification-not-sent",
        title: "Desired notifications are not sent",
        requirements: &["HUB-NOTI-001"],
        overlay: || on_hub_publish(|topic, _| !matches!(topic, HubTopic::Desired { .. })),
    },
    Mutant {
        id: "twin-notification-topic-bare",
        title: "The topic of a notification has no $version",
        requirements: &["HUB-NOTI-001"],
        overlay: || {
            on_notification(|publish| {
                publish.topic = "$iothub/twin/PATCH/properties/desired/".to_owned();
            })
        },
    },
    Mutant {
        id: "twin-notification-body-version-late",
        title: "The $version in the body of a notification is the one before",
        requirements: &["HUB-NOTI-002"],
        overlay: || {
            on_body(|body| {
                let before = version(body, "").saturating_sub(1);
                insert(body, "", "$version", json!(before));
            })
        },
    },
    Mutant {
        id: "twin-notification-topic-version-early",
        title: "The $version in the topic of a notification is the one after",
        requirements: &["HUB-NOTI-002"],
        overlay: || {
            on_hub_publish(|topic, publish| {
                if let HubTopic::Desired { version } = topic {
                    publish.topic = HubTopic::Desired { version: version + 1 }.to_topic();
                }
                true
            })
        },
    },
    Mutant {
        id: "twin-notification-without-members",
        title: "The body of a notification has $version only",
        requirements: &["HUB-NOTI-002"],
        overlay: || on_body(|body| *body = json!({ "$version": version(body, "") })),
    },
    Mutant {
        id: "twin-notification-drops-null",
        title: "Notifications leave removed members out",
        requirements: &["HUB-NOTI-003"],
        overlay: || on_body(drop_nulls),
    },
    Mutant {
        id: "twin-notification-drops-nested-null",
        title: "Notifications leave members out that were removed from an object",
        requirements: &["HUB-NOTI-003"],
        overlay: || {
            on_body(|body| {
                for member in body.as_object_mut().into_iter().flat_map(Map::values_mut) {
                    drop_nulls(member);
                }
            })
        },
    },
    Mutant {
        id: "twin-notification-accumulates",
        title: "A notification carries all that was ever notified on its connection",
        requirements: &["HUB-NOTI-004"],
        overlay: || {
            let mut known: BTreeMap<ConnectionId, Value> = BTreeMap::new();
            on_sent_body(move |id, body| {
                let known = known.entry(id).or_default();
                merge(known, body);
                *body = known.clone();
            })
        },
    },
    Mutant {
        id: "twin-notification-drops-unchanged",
        title: "A notification leaves members out that it would not change",
        requirements: &["HUB-NOTI-004"],
        overlay: || {
            let mut known: BTreeMap<ConnectionId, Value> = BTreeMap::new();
            on_sent_body(move |id, body| {
                let known = known.entry(id).or_default();
                let news = body.clone();
                if let Some(members) = body.as_object_mut() {
                    members.retain(|key, value| known.get(key) != Some(value));
                }
                merge(known, &news);
            })
        },
    },
    Mutant {
        id: "twin-replace-notified-without-null",
        title: "The notification of a PUT leaves vanished keys out",
        requirements: &["HUB-NOTI-005"],
        overlay: || on_replace(|members| members.retain(|_, value| !value.is_null())),
    },
    Mutant {
        id: "twin-replace-notified-as-difference",
        title: "The notification of a PUT has the vanished keys only",
        requirements: &["HUB-NOTI-005"],
        overlay: || {
            on_replace(|members| members.retain(|key, value| key == "$version" || value.is_null()))
        },
    },
    Mutant {
        id: "twin-notification-shows-metadata",
        title: "Notifications have metadata",
        requirements: &["HUB-NOTI-006"],
        overlay: || on_body(|body| insert(body, "", "$metadata", json!({}))),
    },
];

/// Edits every notification.
fn on_notification(edit: fn(&mut Publish)) -> Box<dyn Overlay> {
    on_hub_publish(move |topic, publish| {
        if let HubTopic::Desired { .. } = topic {
            edit(publish);
        }
        true
    })
}

/// Edits the body of every notification.
fn on_body(edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_sent_body(move |_, body| edit(body))
}

/// Edits the body of every notification, given the connection it goes to.
fn on_sent_body(
    mut edit: impl FnMut(ConnectionId, &mut Value) + Send + 'static,
) -> Box<dyn Overlay> {
    on_output(move |output| {
        edit_hub_publish(output, |id, topic, publish| {
            if let HubTopic::Desired { .. } = topic {
                edit_json(&mut publish.payload, |body| edit(id, body));
            }
            true
        })
    })
}

/// Edits the members of every notification that a PUT causes.
fn on_replace(edit: fn(&mut Map<String, Value>)) -> Box<dyn Overlay> {
    on_both(
        false,
        |replacing, input| {
            *replacing = matches!(&input, Input::Request(_, put) if put.method() == Method::PUT);
            vec![input]
        },
        move |replacing, output| {
            edit_hub_publish(output, |_, topic, publish| {
                if let (HubTopic::Desired { .. }, true) = (topic, *replacing) {
                    edit_json(&mut publish.payload, |body| {
                        if let Some(members) = body.as_object_mut() {
                            edit(members);
                        }
                    });
                }
                true
            })
        },
    )
}

fn drop_nulls(value: &mut Value) {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
}

/// Lays the members of `from` over those of `into`, inside objects too.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
