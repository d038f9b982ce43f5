//! Defects of the limits on the size of sections (HUB-VALI-012 to -018).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Map, Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::Packet;

use super::validation::ERROR_HEADER;
use crate::mutants::Mutant;
use crate::mutants::overlay::{
    edit_json, on_hub_publish, on_output, on_response, on_written, remembering, set, set_status,
};

type Members = Map<String, Value>;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-size-desired-acknowledged",
        title: "Desired properties that are too large are answered like accepted ones",
        requirements: &["HUB-VALI-012"],
        overlay: || acknowledged("Properties.Desired"),
    },
    Mutant {
        id: "twin-size-reported-acknowledged",
        title: "Reported properties that are too large are answered like accepted ones",
        requirements: &["HUB-VALI-012"],
        overlay: || acknowledged("Properties.Reported"),
    },
    Mutant {
        id: "twin-size-tags-acknowledged",
        title: "Tags that are too large are answered like accepted ones",
        requirements: &["HUB-VALI-013"],
        overlay: || acknowledged("Tags"),
    },
    Mutant {
        id: "twin-size-http-413",
        title: "A back end is told 413 when a section is too large",
        requirements: &["HUB-VALI-014"],
        overlay: || on_size_error(|response| set_status(response, 413)),
    },
    Mutant {
        id: "twin-size-http-code",
        title: "The header names ArgumentInvalid when a section is too large",
        requirements: &["HUB-VALI-014"],
        overlay: || {
            on_size_error(|response| {
                let name = HeaderValue::from_static("ArgumentInvalid");
                response.headers_mut().insert(ERROR_HEADER, name);
            })
        },
    },
    Mutant {
        id: "twin-size-mqtt-400",
        title: "A device is told 400 when its reported properties are too large",
        requirements: &["HUB-VALI-014"],
        overlay: || {
            on_hub_publish(|_, publish| {
                publish.topic = publish.topic.replace("twin/res/403/", "twin/res/400/");
                true
            })
        },
    },
    Mutant {
        id: "twin-size-mqtt-code",
        title: "A device is told 400004 when its reported properties are too large",
        requirements: &["HUB-VALI-014"],
        overlay: || {
            on_hub_publish(|_, publish| {
                edit_json(&mut publish.payload, |body| {
                    if body.get("errorCode").is_some_and(|code| *code == 403_100) {
                        set(body, "errorCode", 400_004);
                    }
                });
                true
            })
        },
    },
    Mutant {
        id: "twin-size-16-kb",
        title: "Property sections of more than 16 KB are refused",
        requirements: &["HUB-VALI-015"],
        overlay: || refused_above("desired reported", 16 * 1024),
    },
    Mutant {
        id: "twin-size-tags-4-kb",
        title: "Tags of more than 4 KB are refused",
        requirements: &["HUB-VALI-015"],
        overlay: || refused_above("tags", 4 * 1024),
    },
    Mutant {
        id: "twin-size-of-the-patch",
        title: "A write is acknowledged whenever it is below the limit itself",
        requirements: &["HUB-VALI-016"],
        overlay: of_the_patch,
    },
    Mutant {
        id: "twin-size-of-all-patches",
        title: "Each write adds to the size, also one that replaces what is there",
        requirements: &["HUB-VALI-016"],
        overlay: of_all_patches,
    },
    Mutant {
        id: "twin-size-with-metadata",
        title: "The metadata of each property counts for the size",
        requirements: &["HUB-VALI-017"],
        overlay: with_metadata,
    },
    Mutant {
        id: "twin-size-frozen",
        title: "A section near its limit can no longer be written at all",
        requirements: &["HUB-VALI-018"],
        overlay: frozen,
    },
    Mutant {
        id: "twin-size-removal-ignored",
        title: "Removing keys from a large section is acknowledged and not done",
        requirements: &["HUB-VALI-018"],
        overlay: || {
            on_large(|members| {
                members.retain(|_, value| !value.is_null());
            })
        },
    },
];

/// Turns the refusal of `section` into an answer to an accepted write.
fn acknowledged(section: &'static str) -> Box<dyn Overlay> {
    let refuses = format!("'{section}' size should be less than");
    on_output(move |mut output| {
        acknowledge(&mut output, &refuses);
        vec![output]
    })
}

/// Turns an error with `text` into success.
fn acknowledge(output: &mut Output, text: &str) {
    let has_text = |body: &Bytes| String::from_utf8_lossy(body).contains(text);
    match output {
        Output::Respond(_, response) if has_text(response.body()) => {
            set_status(response, 200);
            response.headers_mut().remove(ERROR_HEADER);
            *response.body_mut() = Bytes::from_static(br#"{"properties":{}}"#);
        }
        Output::Send(_, Packet::Publish(publish)) if has_text(&publish.payload) => {
            publish.topic = publish.topic.replace("twin/res/403/", "twin/res/204/");
            publish.topic.push_str("&$version=9");
            publish.payload = Bytes::new();
        }
        _ => {}
    }
}

fn on_size_error(edit: fn(&mut http::Response<Bytes>)) -> Box<dyn Overlay> {
    on_response(move |response| {
        let code = response.headers().get(ERROR_HEADER);
        if code.is_some_and(|name| name == "DeviceModelMaxPropertiesExceeded") {
            edit(response);
        }
    })
}

/// Makes the model refuse the members as too large.
fn oversize(members: &mut Members) {
    let filler = |number| (format!("filler{number}"), json!("x".repeat(1024)));
    members.extend((0..40).map(filler));
}

fn text_length(members: &Members) -> usize {
    members.iter().map(|(key, value)| key.len() + value.to_string().len()).sum()
}

fn refused_above(sections: &'static str, bytes_max: usize) -> Box<dyn Overlay> {
    on_written(move |place, members| {
        let section = place.rsplit(' ').next().unwrap_or_default();
        if sections.contains(section) && text_length(members) > bytes_max {
            oversize(members);
        }
    })
}

fn of_the_patch() -> Box<dyn Overlay> {
    fn input(length: &mut usize, input: Input) -> Vec<Input> {
        *length = match &input {
            Input::Request(_, request) => request.body().len(),
            Input::Packet(_, Packet::Publish(publish)) => publish.payload.len(),
            _ => 0,
        };
        vec![input]
    }
    fn output(length: &mut usize, mut output: Output) -> Vec<Output> {
        if *length < 32 * 1024 {
            acknowledge(&mut output, "size should be less than");
        }
        vec![output]
    }
    remembering(0, input, output)
}

fn of_all_patches() -> Box<dyn Overlay> {
    let mut totals = BTreeMap::<String, usize>::new();
    on_written(move |place, members| {
        let total = totals.entry(place.to_owned()).or_default();
        *total += text_length(members);
        if *total > 32 * 1024 {
            oversize(members);
        }
    })
}

fn with_metadata() -> Box<dyn Overlay> {
    /// Bytes of `$lastUpdated` with a time.
    const ENTRY: usize = 48;
    on_written(|_, members| {
        if text_length(members) + ENTRY * members.len() > 32 * 1024 {
            oversize(members);
        }
    })
}

fn frozen() -> Box<dyn Overlay> {
    on_large(oversize)
}

/// Edits each write to a section that a single write has brought near its limit before.
fn on_large(edit: fn(&mut Members)) -> Box<dyn Overlay> {
    let mut large = BTreeMap::<String, bool>::new();
    on_written(move |place, members| {
        let near = if place.ends_with(" tags") { 6 * 1024 } else { 28 * 1024 };
        let is_large = large.entry(place.to_owned()).or_default();
        if *is_large {
            edit(members);
        }
        *is_large |= text_length(members) > near;
    })
}
