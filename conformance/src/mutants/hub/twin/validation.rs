//! Defects of which values a twin takes (HUB-VALI-006 to -011, -019).

use bytes::Bytes;
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;

use crate::mutants::Mutant;
use crate::mutants::overlay::{
    each_value, on_properties, on_request, on_response, on_written, on_written_values, set_status,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-integer-32-bits",
        title: "Integers of more than 32 bits are refused",
        requirements: &["HUB-VALI-006"],
        overlay: || edit_integers(|n| if i32::try_from(n).is_ok() { n } else { i64::MAX }),
    },
    Mutant {
        id: "twin-integer-rounded",
        title: "Large integers are returned rounded to thousands",
        requirements: &["HUB-VALI-006"],
        overlay: || {
            on_properties(|properties| {
                each_value(properties, &mut |value| map_integer(value, rounded));
            })
        },
    },
    Mutant {
        id: "twin-integer-clamped",
        title: "Integers out of range are taken as the nearest in range",
        requirements: &["HUB-VALI-007"],
        overlay: || edit_integers(|n| n.clamp(-4_503_599_627_370_496, 4_503_599_627_370_495)),
    },
    Mutant {
        id: "twin-integer-negative-unchecked",
        title: "Integers below the range are taken as the least in range",
        requirements: &["HUB-VALI-007"],
        overlay: || edit_integers(|n| n.max(-4_503_599_627_370_496)),
    },
    Mutant {
        id: "twin-depth-five",
        title: "More than five nested objects are refused",
        requirements: &["HUB-VALI-008"],
        overlay: depth_five,
    },
    Mutant {
        id: "twin-depth-cut",
        title: "Objects nested too deep are taken and cut off",
        requirements: &["HUB-VALI-009"],
        overlay: || cut_deep(|value| value.is_object()),
    },
    Mutant {
        id: "twin-array-depth-cut",
        title: "Arrays nested too deep are taken and cut off",
        requirements: &["HUB-VALI-010"],
        overlay: || cut_deep(|value| value.is_array()),
    },
    Mutant {
        id: "twin-array-null-dropped",
        title: "Nulls in arrays are taken and dropped",
        requirements: &["HUB-VALI-011"],
        overlay: || edit_arrays(|elements| elements.retain(|element| !element.is_null())),
    },
    Mutant {
        id: "twin-array-object-null-dropped",
        title: "Nulls in objects in arrays are taken and dropped",
        requirements: &["HUB-VALI-011"],
        overlay: || {
            edit_arrays(|elements| {
                let objects = elements.iter_mut().filter_map(Value::as_object_mut);
                objects.for_each(|members| members.retain(|_, value| !value.is_null()));
            })
        },
    },
    Mutant {
        id: "twin-malformed-json-taken",
        title: "A back end's body that is no JSON is taken as an empty update",
        requirements: &["HUB-VALI-019"],
        overlay: malformed_taken,
    },
    Mutant {
        id: "twin-malformed-json-500",
        title: "A back end's body that is no JSON is answered with status 500",
        requirements: &["HUB-VALI-019"],
        overlay: || http_error("IotHubFormatError", 500),
    },
];

fn edit_arrays(edit: fn(&mut Vec<Value>)) -> Box<dyn Overlay> {
    on_written_values(move |value| {
        if let Value::Array(elements) = value {
            edit(elements);
        }
    })
}

fn edit_integers(edit: fn(i64) -> i64) -> Box<dyn Overlay> {
    on_written_values(move |value| map_integer(value, edit))
}

/// Versions and other small numbers stay.
fn rounded(integer: i64) -> i64 {
    if integer.abs() < 1_000_000 { integer } else { integer / 1000 * 1000 }
}

fn map_integer(value: &mut Value, map: fn(i64) -> i64) {
    if let Some(integer) = value.as_i64() {
        *value = json!(map(integer));
    }
}

/// Answers the HTTP error `name` with another status.
pub(super) fn http_error(name: &'static str, status: u16) -> Box<dyn Overlay> {
    on_response(move |response| {
        if response.headers().get(ERROR_HEADER).is_some_and(|found| found == name) {
            set_status(response, status);
        }
    })
}

/// The header that names the error.
pub(super) const ERROR_HEADER: &str = "iothub-errorcode";

fn depth_five() -> Box<dyn Overlay> {
    on_written(|_, members| {
        if members.values().any(|value| depth(value) > 5) {
            // A key the model refuses with the same status.
            members.insert("too deep".to_owned(), json!(1));
        }
    })
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn cut_deep(is_cut: fn(&Value) -> bool) -> Box<dyn Overlay> {
    on_written(move |_, members| members.values_mut().for_each(|value| cut(value, 1, is_cut)))
}

fn cut(value: &mut Value, level: usize, is_cut: fn(&Value) -> bool) {
    if level > 10 && is_cut(value) {
        *value = json!(true);
    }
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|v| cut(v, level + 1, is_cut)),
        Value::Object(members) => members.values_mut().for_each(|v| cut(v, level + 1, is_cut)),
        _ => {}
    }
}

fn malformed_taken() -> Box<dyn Overlay> {
    on_request(|request| {
        let is_json = serde_json::from_slice::<Value>(request.body()).is_ok();
        if request.uri().path().starts_with("/twins/") && !request.body().is_empty() && !is_json {
            *request.body_mut() = Bytes::from_static(b"{}");
        }
    })
}
