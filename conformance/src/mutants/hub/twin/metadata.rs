//! Defects of metadata (HUB-META-003, -005 to -010).

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};

use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_properties, remembering, set};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-repeat-keeps-times",
        title: "A write leaves the times of members alone that it does not change",
        requirements: &["HUB-META-003", "HUB-META-010"],
        overlay: || keeps_times(false),
    },
    Mutant {
        id: "twin-metadata-no-section-time",
        title: "Metadata has no $lastUpdated for the section as a whole",
        requirements: &["HUB-META-005"],
        overlay: || on_metadata(&SECTIONS, |metadata| drop(remove(metadata, "$lastUpdated"))),
    },
    Mutant {
        id: "twin-metadata-no-object-times",
        title: "Metadata has no $lastUpdated for objects",
        requirements: &["HUB-META-005"],
        overlay: || {
            on_entries(&SECTIONS, |entry| {
                if has_members(entry) {
                    remove(entry, "$lastUpdated");
                }
            })
        },
    },
    Mutant {
        id: "twin-metadata-no-leaf-times",
        title: "Reported metadata has no $lastUpdated for leaves",
        requirements: &["HUB-META-005"],
        overlay: || {
            on_entries(&["reported"], |entry| {
                if !has_members(entry) {
                    remove(entry, "$lastUpdated");
                }
            })
        },
    },
    Mutant {
        id: "twin-metadata-no-versions",
        title: "Desired metadata has no $lastUpdatedVersion below the section",
        requirements: &["HUB-META-006"],
        overlay: || on_entries(&["desired"], |entry| drop(remove(entry, "$lastUpdatedVersion"))),
    },
    Mutant {
        id: "twin-metadata-reported-versions",
        title: "Reported metadata has $lastUpdatedVersion",
        requirements: &["HUB-META-006"],
        overlay: || on_entries(&["reported"], |entry| set(entry, "$lastUpdatedVersion", 2)),
    },
    Mutant {
        id: "twin-metadata-stamps-siblings",
        title: "Each change renews the times of the whole section",
        requirements: &["HUB-META-007"],
        overlay: stamps_siblings,
    },
    Mutant {
        id: "twin-metadata-oldest-member",
        title: "The time of an object is that of its oldest member",
        requirements: &["HUB-META-007", "HUB-META-008"],
        overlay: || on_metadata(&SECTIONS, |metadata| time_of_members(metadata, <[_]>::first)),
    },
    Mutant {
        id: "twin-metadata-newest-member",
        title: "The time of an object is that of the newest member left in it",
        requirements: &["HUB-META-008"],
        overlay: || on_metadata(&SECTIONS, |metadata| time_of_members(metadata, <[_]>::last)),
    },
    Mutant {
        id: "twin-metadata-offset",
        title: "Times end in +00:00",
        requirements: &["HUB-META-009"],
        overlay: || edit_times(|time| time.replace('Z', "+00:00")),
    },
    Mutant {
        id: "twin-metadata-nine-digits",
        title: "Times have nine fractional digits",
        requirements: &["HUB-META-009"],
        overlay: || edit_times(|time| time.replace('Z', "00Z")),
    },
    Mutant {
        id: "twin-put-keeps-times",
        title: "A PUT leaves the times of members alone that it does not change",
        requirements: &["HUB-META-010"],
        overlay: || keeps_times(true),
    },
];

const SECTIONS: [&str; 2] = ["desired", "reported"];

fn on_metadata(
    sections: &'static [&'static str],
    edit: impl Fn(&mut Value) + Send + 'static,
) -> Box<dyn Overlay> {
    on_properties(move |properties| {
        for section in sections {
            if let Some(metadata) = properties.pointer_mut(&format!("/{section}/$metadata")) {
                edit(metadata);
            }
        }
    })
}

/// Edits each entry below the section: those of objects and of leaves.
fn on_entries(sections: &'static [&'static str], edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_metadata(sections, move |metadata| each_entry(metadata, &edit))
}

fn each_entry(metadata: &mut Value, edit: &impl Fn(&mut Value)) {
    for entry in entries(metadata) {
        each_entry(entry, edit);
        edit(entry);
    }
}

/// The entries of the members of a section or object.
fn entries(metadata: &mut Value) -> impl Iterator<Item = &mut Value> {
    let members = metadata.as_object_mut().into_iter().flatten();
    members.filter(|(key, _)| !key.starts_with('$')).map(|(_, entry)| entry)
}

fn has_members(entry: &mut Value) -> bool {
    entries(entry).next().is_some()
}

fn remove(entry: &mut Value, member: &str) -> Option<Value> {
    entry.as_object_mut()?.remove(member)
}

fn time(entry: &Value) -> Option<String> {
    Some(entry.get("$lastUpdated")?.as_str()?.to_owned())
}

fn stamps_siblings() -> Box<dyn Overlay> {
    on_metadata(&SECTIONS, |metadata| {
        if let Some(time) = time(metadata) {
            each_entry(metadata, &|entry| set(entry, "$lastUpdated", time.as_str()));
        }
    })
}

/// Gives each object below the section the time that `pick` takes of its members' sorted ones.
fn time_of_members(metadata: &mut Value, pick: fn(&[String]) -> Option<&String>) {
    each_entry(metadata, &|entry| {
        let members = entries(entry);
        let mut times: Vec<String> = members.filter_map(|member| time(member)).collect();
        times.sort();
        if let Some(time) = pick(&times) {
            set(entry, "$lastUpdated", time.as_str());
        }
    });
}

fn edit_times(edit: fn(&str) -> String) -> Box<dyn Overlay> {
    let edit_one = move |entry: &mut Value| {
        if let Some(time) = time(entry) {
            set(entry, "$lastUpdated", edit(&time));
        }
    };
    on_metadata(&SECTIONS, move |metadata| {
        each_entry(metadata, &edit_one);
        edit_one(metadata);
    })
}

/// What was shown of each section, to keep times of.
struct Shown {
    sections: BTreeMap<(String, &'static str), Value>,
    after_puts_only: bool,
    last_was_put: bool,
}

/// Keeps the times of members that a write does not change.
fn keeps_times(after_puts_only: bool) -> Box<dyn Overlay> {
    fn input(shown: &mut Shown, input: Input) -> Vec<Input> {
        shown.last_was_put =
            matches!(&input, Input::Request(_, request) if request.method() == Method::PUT);
        vec![input]
    }
    fn output(shown: &mut Shown, mut output: Output) -> Vec<Output> {
        if let Output::Respond(_, response) = &mut output {
            edit_json(response.body_mut(), |twin| {
                let id = twin.get("deviceId").map(Value::to_string).unwrap_or_default();
                for name in SECTIONS {
                    if let Some(section) = twin.pointer_mut(&format!("/properties/{name}")) {
                        shown.show((id.clone(), name), section);
                    }
                }
            });
        }
        vec![output]
    }
    let shown = Shown { sections: BTreeMap::new(), after_puts_only, last_was_put: false };
    remembering(shown, input, output)
}

impl Shown {
    fn show(&mut self, place: (String, &'static str), section: &mut Value) {
        let before = self.sections.get(&place);
        if let Some(before) = before.filter(|_| self.last_was_put || !self.after_puts_only) {
            keep_times(section, before);
        }
        self.sections.insert(place, section.clone());
    }
}

/// Takes the metadata of unchanged members from `before`.
fn keep_times(section: &mut Value, before: &Value) {
    let unchanged = |(key, value): (&String, &Value)| {
        (!key.starts_with('$') && before.get(key) == Some(value)).then(|| key.clone())
    };
    let members = section.as_object().into_iter().flatten();
    let unchanged: Vec<String> = members.filter_map(unchanged).collect();
    let Some(metadata) = section.get_mut("$metadata") else {
        return;
    };
    for key in unchanged {
        let entry = before.get("$metadata").and_then(|metadata| metadata.get(&key));
        set(metadata, &key, entry.cloned());
    }
}
