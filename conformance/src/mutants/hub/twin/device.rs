//! Defects of what a device reads of its twin (HUB-TWIN-001 to -006).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Input;
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use crate::mutants::Mutant;
use crate::mutants::overlay::{
    edit_device_publish, edit_hub_publish, edit_json, on_both, on_device_publish, on_hub_publish,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-answer-other-rid",
        title: "Twin answers carry another request id",
        requirements: &["HUB-TWIN-001"],
        overlay: || {
            on_hub_publish(|topic, publish| {
                if let HubTopic::TwinResponse { .. } = topic {
                    publish.topic = publish.topic.replace("$rid=", "$rid=x");
                }
                true
            })
        },
    },
    Mutant {
        id: "twin-get-answered-204",
        title: "Twin GETs are answered 204",
        requirements: &["HUB-TWIN-001"],
        overlay: || {
            on_hub_publish(|_, publish| {
                publish.topic = publish.topic.replace("/res/200/", "/res/204/");
                true
            })
        },
    },
    Mutant {
        id: "twin-get-space-refused",
        title: "A twin GET with a body of one space is answered 400",
        requirements: &["HUB-TWIN-002"],
        overlay: space_refused,
    },
    Mutant {
        id: "twin-get-body-parsed",
        title: "A twin GET with a body that is no JSON is not answered",
        requirements: &["HUB-TWIN-002"],
        overlay: || {
            on_device_publish(|_, topic, publish| {
                let is_get = matches!(topic, DeviceTopic::TwinGet { .. });
                let is_blank = publish.payload.trim_ascii().is_empty();
                let is_json = serde_json::from_slice::<Value>(&publish.payload).is_ok();
                !is_get || is_blank || is_json
            })
        },
    },
    Mutant {
        id: "twin-get-names-device",
        title: "The device's document has a third member",
        requirements: &["HUB-TWIN-003"],
        overlay: || on_document(|document| insert(document, "", "deviceId", json!("device"))),
    },
    Mutant {
        id: "twin-get-version-is-text",
        title: "The desired version in the device's document is a string",
        requirements: &["HUB-TWIN-003"],
        overlay: || {
            on_document(|document| {
                let text = version(document, "/desired").to_string();
                insert(document, "/desired", "$version", json!(text));
            })
        },
    },
    Mutant {
        id: "twin-get-shows-tags",
        title: "The device's document has tags",
        requirements: &["HUB-TWIN-004"],
        overlay: || {
            let is_document =
                |topic: &HubTopic| matches!(topic, HubTopic::TwinResponse { status: 200, .. });
            showing_tags(is_document)
        },
    },
    Mutant {
        id: "twin-notification-shows-tags",
        title: "Desired notifications have tags",
        requirements: &["HUB-TWIN-004"],
        overlay: || showing_tags(|topic| matches!(topic, HubTopic::Desired { .. })),
    },
    Mutant {
        id: "twin-get-shows-metadata",
        title: "The desired section of the device's document has metadata",
        requirements: &["HUB-TWIN-005"],
        overlay: || on_document(|document| insert(document, "/desired", "$metadata", json!({}))),
    },
    Mutant {
        id: "twin-new-versions-zero",
        title: "The versions of a new twin are 0",
        requirements: &["HUB-TWIN-006"],
        overlay: || {
            on_document(|document| {
                for section in ["/desired", "/reported"] {
                    if version(document, section) == 1 {
                        insert(document, section, "$version", json!(0));
                    }
                }
            })
        },
    },
];

/// Edits every document that a device is sent.
pub(super) fn on_document(mut edit: impl FnMut(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_hub_publish(move |topic, publish| {
        if let HubTopic::TwinResponse { status: 200, .. } = topic {
            edit_json(&mut publish.payload, &mut edit);
        }
        true
    })
}

/// The `$version` of the section at `pointer`.
pub(super) fn version(twin: &Value, pointer: &str) -> u64 {
    let section = twin.pointer(pointer).and_then(|section| section.get("$version"));
    section.and_then(Value::as_u64).unwrap_or_default()
}

/// Sets a member of the object at `pointer`.
pub(super) fn insert(twin: &mut Value, pointer: &str, key: &str, value: Value) {
    if let Some(object) = twin.pointer_mut(pointer).and_then(Value::as_object_mut) {
        object.insert(key.to_owned(), value);
    }
}

fn space_refused() -> Box<dyn Overlay> {
    on_both(
        BTreeSet::new(),
        |refused, input| {
            edit_device_publish(input, |_, topic, publish| {
                if let DeviceTopic::TwinGet { rid } = topic
                    && *publish.payload == *b" "
                {
                    refused.insert(rid.clone());
                }
                true
            })
        },
        |refused, output| {
            edit_hub_publish(output, |_, topic, publish| {
                if let HubTopic::TwinResponse { rid, .. } = topic
                    && refused.remove(rid)
                {
                    publish.topic = publish.topic.replace("/res/200/", "/res/400/");
                }
                true
            })
        },
    )
}

/// Adds the tags that a back end wrote last to the bodies on some topics.
fn showing_tags(shown_on: fn(&HubTopic) -> bool) -> Box<dyn Overlay> {
    on_both(
        Value::Null,
        |tags, input| {
            if let Input::Request(_, request) = &input
                && let Ok(body) = serde_json::from_slice::<Value>(request.body())
                && let Some(written) = body.get("tags")
            {
                *tags = written.clone();
            }
            vec![input]
        },
        move |tags, output| {
            edit_hub_publish(output, |_, topic, publish| {
                if shown_on(topic) {
                    edit_json(&mut publish.payload, |body| insert(body, "", "tags", tags.clone()));
                }
                true
            })
        },
    )
}
