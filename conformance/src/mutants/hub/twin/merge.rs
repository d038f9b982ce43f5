//! Defects of merging (HUB-MERGE-001 to -008, -011, -015, -016).

use http::Method;
use serde_json::{Value, json};

use super::writes::{Members, Part, is_scalar, is_twin_write, on_merge, spoil};
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_request};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-merge-never-replaces",
        title: "A PATCH leaves scalars as they are when they are there already",
        requirements: &["HUB-MERGE-001"],
        overlay: || {
            on_merge(|write| {
                let stored = |key: &String| write.stored.get(key).is_some_and(is_scalar);
                write.members.retain(|key, value| !(is_scalar(value) && stored(key)));
            })
        },
    },
    Mutant {
        id: "twin-merge-never-adds",
        title: "A PATCH adds no key to a section that has some",
        requirements: &["HUB-MERGE-001"],
        overlay: || {
            on_merge(|write| {
                let stored = write.stored;
                write.members.retain(|key, value| {
                    value.is_null() || stored.is_empty() || stored.contains_key(key)
                });
            })
        },
    },
    Mutant {
        id: "twin-merge-drops-unmentioned",
        title: "A PATCH removes top-level keys that it does not mention",
        requirements: &["HUB-MERGE-002"],
        overlay: || on_merge(|write| drop_unmentioned(write.stored, write.members)),
    },
    Mutant {
        id: "twin-merge-drops-unmentioned-nested",
        title: "A PATCH removes nested keys that it does not mention",
        requirements: &["HUB-MERGE-002", "HUB-MERGE-003"],
        overlay: || on_merge(|write| each_object(write.stored, write.members, drop_unmentioned)),
    },
    Mutant {
        id: "twin-merge-one-level-only",
        title: "Objects inside nested objects are replaced instead of merged",
        requirements: &["HUB-MERGE-003"],
        overlay: || {
            on_merge(|write| {
                each_object(write.stored, write.members, |stored, patch| {
                    each_object(stored, patch, drop_unmentioned);
                });
            })
        },
    },
    Mutant {
        id: "twin-merge-null-ignored",
        title: "A null at the top level of a section removes nothing",
        requirements: &["HUB-MERGE-004"],
        overlay: || on_merge(|write| write.members.retain(|_, value| !value.is_null())),
    },
    Mutant {
        id: "twin-merge-nested-null-ignored",
        title: "A null inside an object removes nothing",
        requirements: &["HUB-MERGE-004"],
        overlay: || {
            on_merge(|write| {
                each_object(write.stored, write.members, |_, patch| {
                    patch.retain(|_, value| !value.is_null());
                });
            })
        },
    },
    Mutant {
        id: "twin-merge-null-creates-key",
        title: "A null for an absent key creates it as an empty object",
        requirements: &["HUB-MERGE-005"],
        overlay: || on_merge(|write| null_creates(write.stored, write.members)),
    },
    Mutant {
        id: "twin-merge-null-absent-refused",
        title: "A null for an absent key is refused",
        requirements: &["HUB-MERGE-005"],
        overlay: || {
            on_merge(|write| {
                let vain = |(key, value): (&String, &Value)| {
                    value.is_null() && !write.stored.contains_key(key)
                };
                if write.members.iter().any(vain) {
                    spoil(write.members);
                }
            })
        },
    },
    Mutant {
        id: "twin-merge-null-creates-no-parent",
        title: "An absent object of which only nulls are written is not created",
        requirements: &["HUB-MERGE-006"],
        overlay: || {
            on_merge(|write| {
                let stored = write.stored;
                write.members.retain(|key, value| stored.contains_key(key) || !only_nulls(value));
            })
        },
    },
    Mutant {
        id: "twin-merge-null-absent-empties",
        title: "A null for an absent nested key removes all of its siblings",
        requirements: &["HUB-MERGE-007"],
        overlay: || {
            on_merge(|write| {
                each_object(write.stored, write.members, |stored, patch| {
                    if patch.iter().any(|(key, v)| v.is_null() && !stored.contains_key(key)) {
                        drop_unmentioned(stored, patch);
                    }
                });
            })
        },
    },
    Mutant {
        id: "twin-merge-scalar-spares-object",
        title: "A scalar does not replace an object",
        requirements: &["HUB-MERGE-008"],
        overlay: || {
            on_merge(|write| {
                let stored = |key: &String| write.stored.get(key).is_some_and(Value::is_object);
                write.members.retain(|key, value| !(is_scalar(value) && stored(key)));
            })
        },
    },
    Mutant {
        id: "twin-merge-object-spares-scalar",
        title: "An object does not replace a scalar",
        requirements: &["HUB-MERGE-008"],
        overlay: || {
            on_merge(|write| {
                let stored = |key: &String| write.stored.get(key).is_some_and(is_scalar);
                write.members.retain(|key, value| !(value.is_object() && stored(key)));
            })
        },
    },
    Mutant {
        id: "twin-merge-last-member-takes-object",
        title: "Removing the last member of an object removes the object",
        requirements: &["HUB-MERGE-011"],
        overlay: || on_merge(|write| drop_emptied(write.stored, write.members)),
    },
    Mutant {
        id: "twin-merge-tags-replaced",
        title: "A PATCH of tags removes the tags that it does not mention",
        requirements: &["HUB-MERGE-015"],
        overlay: || {
            on_merge(|write| {
                if write.part == Part::Tags {
                    drop_unmentioned(write.stored, write.members);
                }
            })
        },
    },
    Mutant {
        id: "twin-merge-tags-null-ignored",
        title: "A null does not remove a tag",
        requirements: &["HUB-MERGE-015"],
        overlay: || {
            on_merge(|write| {
                if write.part == Part::Tags {
                    write.members.retain(|_, value| !value.is_null());
                }
            })
        },
    },
    Mutant {
        id: "twin-merge-tags-null-creates-key",
        title: "A null for an absent tag creates it as an empty object",
        requirements: &["HUB-MERGE-015"],
        overlay: || {
            on_merge(|write| {
                if write.part == Part::Tags {
                    null_creates(write.stored, write.members);
                }
            })
        },
    },
    Mutant {
        id: "twin-merge-null-section-ignored",
        title: "A PATCH with a null for the desired section removes nothing",
        requirements: &["HUB-MERGE-016"],
        overlay: || {
            on_request(|request| {
                if is_twin_write(request) && request.method() == Method::PATCH {
                    edit_json(request.body_mut(), |body| {
                        if let Some(desired) = body.pointer_mut("/properties/desired")
                            && desired.is_null()
                        {
                            *desired = json!({});
                        }
                    });
                }
            })
        },
    },
    Mutant {
        id: "twin-merge-null-section-refused",
        title: "A PATCH with a null for the desired section is refused",
        requirements: &["HUB-MERGE-016"],
        overlay: || {
            on_request(|request| {
                if is_twin_write(request) && request.method() == Method::PATCH {
                    edit_json(request.body_mut(), |body| {
                        if let Some(desired) = body.pointer_mut("/properties/desired")
                            && desired.is_null()
                        {
                            *desired = json!("a section must be an object");
                        }
                    });
                }
            })
        },
    },
];

/// Lets a PATCH remove what it does not mention.
fn drop_unmentioned(stored: &Members, patch: &mut Members) {
    for key in stored.keys() {
        patch.entry(key).or_insert(Value::Null);
    }
}

/// Applies `edit` to each object of a PATCH together with what is stored in its place.
fn each_object(stored: &Members, patch: &mut Members, edit: impl Fn(&Members, &mut Members)) {
    let nothing = Members::new();
    for (key, value) in patch {
        if let Value::Object(inner) = value {
            let stored = stored.get(key).and_then(Value::as_object);
            edit(stored.unwrap_or(&nothing), inner);
        }
    }
}

fn null_creates(stored: &Members, patch: &mut Members) {
    for (key, value) in patch {
        if value.is_null() && !stored.contains_key(key) {
            *value = json!({});
        }
    }
}

fn only_nulls(value: &Value) -> bool {
    let members = value.as_object().filter(|members| !members.is_empty());
    members.is_some_and(|members| members.values().all(Value::is_null))
}

/// Turns a PATCH of the last members of an object into one of the object.
fn drop_emptied(stored: &Members, patch: &mut Members) {
    for (key, value) in patch {
        let Some(inner) = stored.get(key).and_then(Value::as_object) else {
            continue;
        };
        let removed = |key: &String| value.get(key).is_some_and(Value::is_null);
        if only_nulls(value) && inner.keys().all(removed) {
            *value = Value::Null;
        }
    }
}
