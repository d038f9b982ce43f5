//! Defects that only odd values, arrays and removals bring to light.

use http::HeaderValue;
use http::header::ETAG;
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Input;
use twinspec_model::wire::percent;
use twinspec_model::wire::topic::HubTopic;

use super::writes::{Members, Write, edit_values, is_twin_write, on_merge, on_write};
use crate::mutants::Mutant;
use crate::mutants::overlay::{
    edit_hub_publish, edit_json, on_both, on_hub_publish, on_properties, on_response, on_twin,
    on_written_values, set,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-empty-text-removes",
        title: "An empty text removes the key",
        requirements: &["HUB-MERGE-001", "HUB-MERGE-015"],
        overlay: || on_merge(|write| remove_instead(write, |value| *value == json!(""))),
    },
    Mutant {
        id: "twin-zero-removes",
        title: "Zero removes the key",
        requirements: &["HUB-MERGE-001", "HUB-MERGE-015"],
        overlay: || on_merge(|write| remove_instead(write, |value| *value == json!(0))),
    },
    Mutant {
        id: "twin-falsy-values-not-added",
        title: "A key is not added for an empty text, false, an empty array or an empty object",
        requirements: &["HUB-MERGE-001"],
        overlay: || {
            let falsy = [json!(""), json!(false), json!([]), json!({})];
            on_merge(move |write| {
                write
                    .members
                    .retain(|key, value| write.stored.contains_key(key) || !falsy.contains(value));
            })
        },
    },
    Mutant {
        id: "twin-empty-array-removes",
        title: "An empty array removes the key",
        requirements: &["HUB-MERGE-010"],
        overlay: || on_merge(|write| remove_instead(write, |value| *value == json!([]))),
    },
    Mutant {
        id: "twin-empty-object-empties",
        title: "An empty object in a PATCH empties the object that is stored",
        requirements: &["HUB-MERGE-002"],
        overlay: || on_merge(|write| empty_objects_empty(write.stored, write.members)),
    },
    Mutant {
        id: "twin-texts-trimmed",
        title: "Texts lose the blanks at their ends",
        requirements: &["HUB-MERGE-001"],
        overlay: || on_texts(|text| text.trim().to_owned()),
    },
    Mutant {
        id: "twin-texts-first-plane",
        title: "Letters beyond the first plane come back as question marks",
        requirements: &["HUB-MERGE-001"],
        overlay: || {
            on_texts(|text| {
                let in_plane = |c: char| if u32::from(c) > 0xffff { '?' } else { c };
                text.chars().map(in_plane).collect()
            })
        },
    },
    Mutant {
        id: "twin-texts-unescaped",
        title: "Backslashes in texts are lost",
        requirements: &["HUB-MERGE-001"],
        overlay: || on_texts(|text| text.replace('\\', "")),
    },
    Mutant {
        id: "twin-null-kept-beside-members",
        title: "A null beside members of a new object creates an empty object",
        requirements: &["HUB-MERGE-005"],
        overlay: || on_merge(|write| nulls_beside_members(write.stored, write.members)),
    },
    Mutant {
        id: "twin-array-merged-by-position",
        title: "Objects in an array of the same length are merged with those stored",
        requirements: &["HUB-MERGE-010"],
        overlay: || on_merge(|write| merge_arrays(write.stored, write.members)),
    },
    Mutant {
        id: "twin-fractions-of-two-digits",
        title: "Fractions are rounded to two digits",
        requirements: &["HUB-MERGE-013"],
        overlay: || {
            on_written_values(|value| {
                if let Some(number) = value.as_f64().filter(|_| value.is_f64()) {
                    *value = json!((number * 100.0).round() / 100.0);
                }
            })
        },
    },
    Mutant {
        id: "twin-large-integers-as-fractions",
        title: "Integers of more than 32 bits come back with a fraction of zero",
        requirements: &["HUB-MERGE-013"],
        overlay: || {
            on_written_values(|value| {
                if value.as_i64().is_some_and(|number| i32::try_from(number).is_err()) {
                    *value = json!(value.as_f64());
                }
            })
        },
    },
    Mutant {
        id: "twin-integer-range-not-in-arrays",
        title: "Integers in arrays are taken out of range, as the nearest in range",
        requirements: &["HUB-VALI-007"],
        overlay: || {
            on_elements(|element| {
                if let Some(number) = element.as_f64().filter(|_| element.is_number()) {
                    let in_range = number.abs() < 4_503_599_627_370_495.0;
                    *element = if in_range { element.clone() } else { json!(1) };
                }
            })
        },
    },
    Mutant {
        id: "twin-key-characters-not-in-arrays",
        title: "Objects in arrays may have any keys; those with forbidden characters are left out",
        requirements: &["HUB-VALI-001"],
        overlay: || {
            on_elements(|element| {
                if let Value::Object(members) = element {
                    members.retain(|key, _| !key.contains(['.', '$', ' ']));
                }
            })
        },
    },
    Mutant {
        id: "twin-string-length-not-in-arrays",
        title: "Texts in arrays may have any length; they are cut",
        requirements: &["HUB-VALI-005"],
        overlay: || {
            on_elements(|element| {
                if let Some(text) = element.as_str() {
                    *element = json!(text.chars().take(4000).collect::<String>());
                }
            })
        },
    },
    Mutant {
        id: "twin-etag-of-newest-member",
        title: "The etag of a twin is made of the version of the newest desired member",
        requirements: &["HUB-META-011"],
        overlay: etag_of_newest_member,
    },
    Mutant {
        id: "twin-metadata-no-empty-object-times",
        title: "Metadata has no $lastUpdated for empty objects",
        requirements: &["HUB-META-005"],
        overlay: || {
            on_properties(|properties| {
                for section in ["desired", "reported"] {
                    if let Some(section) = properties.get_mut(section) {
                        no_empty_object_times(section);
                    }
                }
            })
        },
    },
    Mutant {
        id: "twin-metadata-section-newest-member",
        title: "The time of a section is that of the newest member left in it",
        requirements: &["HUB-META-008"],
        overlay: || {
            on_properties(|properties| {
                for section in ["desired", "reported"] {
                    if let Some(metadata) = properties.pointer_mut(&format!("/{section}/$metadata"))
                    {
                        time_of_newest_member(metadata);
                    }
                }
            })
        },
    },
    Mutant {
        id: "twin-connection-state-of-modules-never",
        title: "The twin of a module always shows Disconnected",
        requirements: &["HUB-META-015"],
        overlay: || {
            on_twin(|twin| {
                if twin.get("moduleId").is_some() {
                    set(twin, "connectionState", "Disconnected");
                }
            })
        },
    },
    Mutant {
        id: "twin-rid-decoded",
        title: "Escapes in request ids are decoded",
        requirements: &["HUB-TWIN-007"],
        overlay: || {
            on_hub_publish(|topic, publish| {
                if let HubTopic::TwinResponse { rid, .. } = topic {
                    let decoded = percent::decode(rid).unwrap_or_default();
                    publish.topic = publish.topic.replace(rid, &decoded);
                }
                true
            })
        },
    },
    Mutant {
        id: "twin-notification-lost-beside-tags",
        title: "A change that comes with one of tags is notified without its members",
        requirements: &["HUB-NOTI-002"],
        overlay: notification_lost_beside_tags,
    },
];

/// Turns what `is_nothing` takes for nothing into a removal, where something is stored.
fn remove_instead(write: Write<'_>, is_nothing: impl Fn(&Value) -> bool) {
    for (key, value) in write.members {
        if is_nothing(value) && write.stored.contains_key(key) {
            *value = Value::Null;
        }
    }
}

fn empty_objects_empty(stored: &Members, patch: &mut Members) {
    for (key, value) in patch {
        if let (Value::Object(inner), Some(Value::Object(old))) = (value, stored.get(key)) {
            if inner.is_empty() {
                inner.extend(old.keys().map(|key| (key.clone(), Value::Null)));
            }
            empty_objects_empty(old, inner);
        }
    }
}

fn on_texts(edit: fn(&str) -> String) -> Box<dyn Overlay> {
    on_written_values(move |value| {
        if let Value::String(text) = value {
            *text = edit(text);
        }
    })
}

fn on_elements(edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_write(move |write| {
        edit_values(write.members, &|value| {
            if let Value::Array(elements) = value {
                elements.iter_mut().for_each(edit);
            }
        });
    })
}

fn nulls_beside_members(stored: &Members, patch: &mut Members) {
    for (key, value) in patch {
        let Value::Object(inner) = value else { continue };
        if !stored.contains_key(key) && inner.values().any(|value| !value.is_null()) {
            let nulls = inner.values_mut().filter(|value| value.is_null());
            nulls.for_each(|value| *value = json!({}));
        }
    }
}

fn merge_arrays(stored: &Members, patch: &mut Members) {
    for (key, value) in patch {
        let (Value::Array(new), Some(Value::Array(old))) = (value, stored.get(key)) else {
            continue;
        };
        if new.len() != old.len() {
            continue;
        }
        for (new, old) in new.iter_mut().zip(old) {
            if let (Value::Object(new), Value::Object(old)) = (new, old) {
                for (key, value) in old {
                    new.entry(key).or_insert_with(|| value.clone());
                }
            }
        }
    }
}

fn etag_of_newest_member() -> Box<dyn Overlay> {
    on_response(|response| {
        let mut header = None;
        edit_json(response.body_mut(), |twin| {
            let metadata = twin.pointer("/properties/desired/$metadata").and_then(Value::as_object);
            let Some(metadata) = metadata else { return };
            let versions = metadata.values().filter_map(|entry| entry.get("$lastUpdatedVersion"));
            let newest = versions.filter_map(Value::as_u64).max().unwrap_or_default();
            let tags = twin.get("tags").map_or(0, |tags| tags.to_string().len());
            let etag = format!("{newest}-{tags}");
            header = HeaderValue::from_str(&format!("\"{etag}\"")).ok();
            set(twin, "etag", etag);
        });
        if let Some(header) = header {
            response.headers_mut().insert(ETAG, header);
        }
    })
}

fn no_empty_object_times(section: &mut Value) {
    let is_empty = |(key, value): (&String, &Value)| (*value == json!({})).then(|| key.clone());
    let empty: Vec<String> =
        section.as_object().into_iter().flatten().filter_map(is_empty).collect();
    for key in empty {
        let entry = section.get_mut("$metadata").and_then(|metadata| metadata.get_mut(&key));
        if let Some(entry) = entry.and_then(Value::as_object_mut) {
            entry.remove("$lastUpdated");
        }
    }
}

fn time_of_newest_member(metadata: &mut Value) {
    let entries = metadata.as_object().into_iter().flatten();
    let times = entries.filter_map(|(_, entry)| entry.get("$lastUpdated")?.as_str());
    if let Some(newest) = times.max().map(str::to_owned) {
        set(metadata, "$lastUpdated", newest);
    }
}

/// The outputs of an input pass before the next input comes.
fn notification_lost_beside_tags() -> Box<dyn Overlay> {
    on_both(
        false,
        |has_tags, input| {
            *has_tags = matches!(&input, Input::Request(_, request) if is_twin_write(request)
                && String::from_utf8_lossy(request.body()).contains("\"tags\""));
            vec![input]
        },
        |has_tags, output| {
            let has_tags = *has_tags;
            edit_hub_publish(output, |_, topic, publish| {
                if let (true, HubTopic::Desired { .. }) = (has_tags, topic) {
                    edit_json(&mut publish.payload, |body| {
                        if let Some(members) = body.as_object_mut() {
                            members.retain(|key, _| key == "$version");
                        }
                    });
                }
                true
            })
        },
    )
}
