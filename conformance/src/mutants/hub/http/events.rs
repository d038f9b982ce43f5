//! Defects of notifications to back ends (HUB-HTTP-016 to -019).

use serde_json::Value;
use twinspec_harness::hub::Overlay;
use twinspec_model::event::{Event, Source};
use twinspec_model::hub::Output;

use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_output, set};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "http-event-of-put-named-update",
        title: "PUTs of twins produce events updateTwin",
        requirements: &["HUB-HTTP-016"],
        overlay: || {
            on_event(|event| {
                if property(event, "opType") == "replaceTwin" {
                    set_property(event, "opType", "updateTwin");
                }
                true
            })
        },
    },
    Mutant {
        id: "http-event-of-patch-missing",
        title: "PATCHes of desired properties and tags produce no events",
        requirements: &["HUB-HTTP-016"],
        overlay: || {
            on_event(|event| {
                let is_patch = property(event, "opType") == "updateTwin";
                !is_patch || body(event).pointer("/properties/reported").is_some()
            })
        },
    },
    Mutant {
        id: "http-event-of-report-missing",
        title: "Reports of devices produce no events",
        requirements: &["HUB-HTTP-016"],
        overlay: || {
            on_event(|event| {
                let is_update = property(event, "opType") == "updateTwin";
                !is_update || body(event).pointer("/properties/reported").is_none()
            })
        },
    },
    Mutant {
        id: "http-event-of-module-twin-missing",
        title: "Changes of modules' twins produce no events",
        requirements: &["HUB-HTTP-016"],
        overlay: || {
            on_event(|event| event.source != Source::TwinChange || event.identity.module.is_none())
        },
    },
    Mutant {
        id: "http-event-body-without-version",
        title: "The events of PATCHes have no version",
        requirements: &["HUB-HTTP-017"],
        overlay: || on_change(|body| drop(body.as_object_mut().map(|body| body.remove("version")))),
    },
    Mutant {
        id: "http-event-body-without-nulls",
        title: "The events of PATCHes leave out what was removed from desired properties",
        requirements: &["HUB-HTTP-017"],
        overlay: || on_change(|body| without_nulls(body, "/properties/desired")),
    },
    Mutant {
        id: "http-event-body-without-tag-nulls",
        title: "The events of PATCHes leave out what was removed from tags",
        requirements: &["HUB-HTTP-017"],
        overlay: || on_change(|body| without_nulls(body, "/tags")),
    },
    Mutant {
        id: "http-event-body-without-reported-nulls",
        title: "The events of reports leave out what was removed",
        requirements: &["HUB-HTTP-017"],
        overlay: || on_change(|body| without_nulls(body, "/properties/reported")),
    },
    Mutant {
        id: "http-event-of-creation-missing",
        title: "Creations of devices produce no events",
        requirements: &["HUB-HTTP-018"],
        overlay: || {
            on_event(|event| {
                let is_creation = property(event, "opType") == "createDeviceIdentity";
                !is_creation || event.identity.module.is_some()
            })
        },
    },
    Mutant {
        id: "http-event-of-deletion-missing",
        title: "Deletions of identities produce no events",
        requirements: &["HUB-HTTP-018"],
        overlay: || on_event(|event| property(event, "opType") != "deleteDeviceIdentity"),
    },
    Mutant {
        id: "http-event-of-module-life-missing",
        title: "Creations and deletions of modules produce no events",
        requirements: &["HUB-HTTP-018"],
        overlay: || {
            on_event(|event| event.source != Source::Lifecycle || event.identity.module.is_none())
        },
    },
    Mutant {
        id: "http-event-of-connection-same-number",
        title: "All connection events have the same sequence number",
        requirements: &["HUB-HTTP-019"],
        overlay: || {
            on_event(|event| {
                if event.source == Source::ConnectionState {
                    edit_json(&mut event.body, |body| set(body, "sequenceNumber", "0A"));
                }
                true
            })
        },
    },
    Mutant {
        id: "http-event-of-disconnection-missing",
        title: "Connections that end produce no events",
        requirements: &["HUB-HTTP-019"],
        overlay: || on_event(|event| property(event, "opType") != "deviceDisconnected"),
    },
    Mutant {
        id: "http-event-of-module-connection-missing",
        title: "Connections of modules produce no events",
        requirements: &["HUB-HTTP-019"],
        overlay: || {
            on_event(|event| {
                event.source != Source::ConnectionState || event.identity.module.is_none()
            })
        },
    },
];

/// Edits events, or drops them where `edit` returns `false`.
fn on_event(edit: fn(&mut Event) -> bool) -> Box<dyn Overlay> {
    on_output(move |output| match output {
        Output::Event(mut event) => {
            let kept = edit(&mut event);
            kept.then_some(Output::Event(event)).into_iter().collect()
        }
        other => vec![other],
    })
}

/// Edits the bodies of updateTwin events.
fn on_change(edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_output(move |mut output| {
        if let Output::Event(event) = &mut output
            && property(event, "opType") == "updateTwin"
        {
            edit_json(&mut event.body, edit);
        }
        vec![output]
    })
}

fn property<'a>(event: &'a Event, name: &str) -> &'a str {
    let found = event.properties.iter().find(|(known, _)| known == name);
    found.map_or("", |(_, value)| value.as_str())
}

fn set_property(event: &mut Event, name: &str, new: &str) {
    for (_, value) in event.properties.iter_mut().filter(|(known, _)| known == name) {
        new.clone_into(value);
    }
}

fn body(event: &Event) -> Value {
    serde_json::from_slice(&event.body).unwrap_or_default()
}

fn without_nulls(body: &mut Value, pointer: &str) {
    if let Some(section) = body.pointer_mut(pointer).and_then(Value::as_object_mut) {
        section.retain(|_, value| !value.is_null());
    }
}
