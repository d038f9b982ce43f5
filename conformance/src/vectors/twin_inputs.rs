//! Small documents that together show every meeting of a stored value with a written one.

use serde_json::{Map, Value, json};

/// What may be stored at a key; `None` for nothing.
pub(super) fn stored_values() -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("nothing", None),
        ("a scalar", Some(json!(7))),
        ("an array", Some(json!([1, 2]))),
        ("an empty object", Some(json!({}))),
        ("an object", Some(json!({ "x": 1, "y": { "z": "deep" } }))),
    ]
}

/// What a PATCH may say about a key.
pub(super) fn patch_values() -> Vec<(&'static str, Value)> {
    vec![
        ("null", Value::Null),
        ("a scalar", json!("new")),
        ("an array", json!([3])),
        ("an empty object", json!({})),
        ("an object", json!({ "x": 2, "w": true })),
        ("an object with nulls", json!({ "x": null, "y": { "z": null } })),
    ]
}

/// What a PUT may say about a key; `None` for nothing.
pub(super) fn replace_values() -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("nothing", None),
        ("a scalar", Some(json!(false))),
        ("an array", Some(json!([]))),
        ("an empty object", Some(json!({}))),
        ("an object", Some(json!({ "x": 1, "v": { "u": 5 } }))),
    ]
}

/// A document with a sibling and, where there is one, a value at `k`.
pub(super) fn document(value: Option<Value>) -> Value {
    let mut members = Map::from_iter([("sibling".to_owned(), json!("stays"))]);
    members.extend(value.map(|value| ("k".to_owned(), value)));
    Value::Object(members)
}

/// A document with only a value at `k`.
pub(super) fn alone(value: Value) -> Value {
    json!({ "k": value })
}
