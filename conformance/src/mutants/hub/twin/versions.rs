//! Defects of the versions of sections (HUB-META-001 to -004).

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Output;
use twinspec_model::wire::mqtt::Packet;
use twinspec_model::wire::topic::HubTopic;

use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, edit_properties, on_output, on_request, set};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-version-constant",
        title: "The desired version stays the same",
        requirements: &["HUB-META-001"],
        overlay: || versions("desired", |_| 7),
    },
    Mutant {
        id: "twin-version-falls",
        title: "The reported version counts down",
        requirements: &["HUB-META-001"],
        overlay: || versions("reported", |version| 1000_u64.saturating_sub(version)),
    },
    Mutant {
        id: "twin-version-step-two-desired",
        title: "Each write raises the desired version by two",
        requirements: &["HUB-META-002"],
        overlay: || versions("desired", |version| 2 * version),
    },
    Mutant {
        id: "twin-version-step-two-reported",
        title: "Each write raises the reported version by two",
        requirements: &["HUB-META-002"],
        overlay: || versions("reported", |version| 2 * version),
    },
    Mutant {
        id: "twin-repeat-ignored",
        title: "A PATCH that a back end has sent before is acknowledged and ignored",
        requirements: &["HUB-META-003"],
        overlay: repeat_ignored,
    },
    Mutant {
        id: "twin-version-tags-count",
        title: "A write of tags alone raises the desired version",
        requirements: &["HUB-META-004"],
        overlay: tags_count,
    },
];

/// Shows other versions of `section`: in both documents, in answers and in notifications.
fn versions(section: &'static str, to: fn(u64) -> u64) -> Box<dyn Overlay> {
    let edit = move |value: &mut Value| {
        if let Some(version) = value.get_mut("$version")
            && let Some(number) = version.as_u64()
        {
            *version = json!(to(number));
        }
    };
    on_output(move |mut output| {
        edit_properties(&mut output, &mut |properties| {
            properties.get_mut(section).map_or((), edit)
        });
        if let Output::Send(_, Packet::Publish(publish)) = &mut output {
            match HubTopic::parse(&publish.topic) {
                Some(HubTopic::TwinResponse { status, rid, version }) if section == "reported" => {
                    let version = version.map(to);
                    publish.topic = HubTopic::TwinResponse { status, rid, version }.to_topic();
                }
                Some(HubTopic::Desired { version }) if section == "desired" => {
                    publish.topic = HubTopic::Desired { version: to(version) }.to_topic();
                    edit_json(&mut publish.payload, edit);
                }
                _ => {}
            }
        }
        vec![output]
    })
}

fn repeat_ignored() -> Box<dyn Overlay> {
    let mut seen = BTreeSet::new();
    on_request(move |request| {
        let body = request.body().clone();
        if request.method() == Method::PATCH && !seen.insert((request.uri().to_string(), body)) {
            *request.body_mut() = "{}".into();
        }
    })
}

fn tags_count() -> Box<dyn Overlay> {
    on_request(|request| {
        edit_json(request.body_mut(), |body| {
            if body.get("tags").is_some() && body.get("properties").is_none() {
                set(body, "properties", json!({ "desired": {} }));
            }
        });
    })
}
