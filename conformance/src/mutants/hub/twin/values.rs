//! Defects of storing values (HUB-MERGE-009, -010, -012 to -014).

use serde_json::{Value, json};

use super::writes::{Members, edit_values, is_scalar, on_merge};
use crate::mutants::Mutant;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-array-reversed",
        title: "Arrays are stored in reverse order",
        requirements: &["HUB-MERGE-009"],
        overlay: || {
            on_merge(|write| {
                edit_values(write.members, &|value| {
                    if let Value::Array(elements) = value {
                        elements.reverse();
                    }
                });
            })
        },
    },
    Mutant {
        id: "twin-array-of-strings",
        title: "Scalars in arrays are stored as strings",
        requirements: &["HUB-MERGE-009"],
        overlay: || {
            on_merge(|write| {
                edit_values(write.members, &|value| {
                    if let Value::Array(elements) = value {
                        elements.iter_mut().for_each(to_string);
                    }
                });
            })
        },
    },
    Mutant {
        id: "twin-array-appended",
        title: "An array in a PATCH is appended to the stored one",
        requirements: &["HUB-MERGE-010"],
        overlay: || on_merge(|write| append(write.stored, write.members)),
    },
    Mutant {
        id: "twin-date-strings-cut",
        title: "Strings that look like dates lose digits after the milliseconds",
        requirements: &["HUB-MERGE-012"],
        overlay: || on_merge(|write| edit_values(write.members, &cut_to_milliseconds)),
    },
    Mutant {
        id: "twin-integers-as-fractions",
        title: "Integers come back with a fraction of zero",
        requirements: &["HUB-MERGE-013"],
        overlay: || {
            on_merge(|write| {
                edit_values(write.members, &|value| {
                    if let Some(number) = value.as_i64() {
                        *value = json!(f64::from(i32::try_from(number).unwrap_or_default()));
                    }
                });
            })
        },
    },
    Mutant {
        id: "twin-fractions-as-strings",
        title: "Fractions come back as strings",
        requirements: &["HUB-MERGE-013"],
        overlay: || {
            on_merge(|write| {
                edit_values(write.members, &|value| {
                    if value.is_f64() {
                        to_string(value);
                    }
                });
            })
        },
    },
    Mutant {
        id: "twin-keys-in-lower-case",
        title: "Keys are stored in lower case",
        requirements: &["HUB-MERGE-014"],
        overlay: || {
            on_merge(|write| {
                let members = std::mem::take(write.members);
                let lower = members.into_iter().map(|(key, v)| (key.to_lowercase(), v));
                *write.members = lower.collect();
            })
        },
    },
];

fn to_string(value: &mut Value) {
    if is_scalar(value) && !value.is_string() {
        *value = json!(value.to_string());
    }
}

fn append(stored: &Members, patch: &mut Members) {
    for (key, value) in patch {
        if let (Value::Array(elements), Some(Value::Array(old))) = (value, stored.get(key)) {
            elements.splice(0..0, old.iter().cloned());
        }
    }
}

/// `2031-01-02T03:04:05.1234567+01:00` → `2031-01-02T03:04:05.123+01:00`.
fn cut_to_milliseconds(value: &mut Value) {
    let Some((seconds, rest)) = value.as_str().and_then(|text| text.split_once('.')) else {
        return;
    };
    if seconds.len() == "2031-01-02T03:04:05".len() && seconds.contains('T') {
        let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits: String = rest.chars().take_while(char::is_ascii_digit).take(3).collect();
        *value = json!(format!("{seconds}.{digits}{zone}"));
    }
}
