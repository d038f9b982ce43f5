//! What a write meets in a section: the meetings about which the sources leave something open.

use serde_json::Value;
use twinspec_model::twin::WriteMode;

/// What a write to the desired section says about its members.
pub(super) fn said(body: &Value) -> Value {
    let mut said = body.clone();
    if let Some(members) = said.as_object_mut() {
        members.remove("$version");
        members.remove("$metadata");
    }
    said
}

/// Whether a patch puts an object with nulls in the place of a scalar or an array (A-H19).
pub(super) fn replaces_by_nulls(stored: &Value, patch: &Value) -> bool {
    match (stored, patch) {
        (Value::Object(stored), Value::Object(patch)) => {
            let meets = |(key, patch)| Some(replaces_by_nulls(stored.get(key)?, patch));
            patch.iter().filter_map(meets).any(|replaces| replaces)
        }
        (_, Value::Object(_)) => holds_null(patch),
        _ => false,
    }
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().any(holds_null),
        _ => false,
    }
}

/// Whether a patch has a null for an absent key beside other members of an object (A-H20).
pub(super) fn removes_nothing_below(stored: &Value, patch: &Value) -> bool {
    let (Some(stored), Some(patch)) = (stored.as_object(), patch.as_object()) else {
        return false;
    };
    patch.iter().any(|(key, value)| match (stored.get(key), value) {
        (Some(Value::Object(inner)), Value::Object(said)) => {
            let is_absent =
                |(key, value): (&String, &Value)| value.is_null() && !inner.contains_key(key);
            let here = !inner.is_empty() && said.iter().any(is_absent);
            here || removes_nothing_below(&Value::Object(inner.clone()), value)
        }
        _ => false,
    })
}

/// Whether a patch consists of nulls for absent keys and of `{}` for empty objects (A-H26).
pub(super) fn changes_nothing(stored: Option<&Value>, patch: &Value) -> bool {
    match (stored, patch) {
        (None, Value::Null) => true,
        (Some(Value::Object(stored)), Value::Object(patch)) if patch.is_empty() => {
            stored.is_empty()
        }
        (Some(Value::Object(stored)), Value::Object(patch)) => {
            patch.iter().all(|(key, value)| changes_nothing(stored.get(key), value))
        }
        _ => false,
    }
}

/// Whether a replacement lacks a key of an object that it keeps (A-H30).
pub(super) fn drops_below(stored: &Value, body: &Value) -> bool {
    let (Some(stored), Some(body)) = (stored.as_object(), body.as_object()) else {
        return false;
    };
    stored.iter().any(|(key, stored)| match (stored, body.get(key)) {
        (Value::Object(inner), Some(Value::Object(kept))) => {
            inner.keys().any(|key| !kept.contains_key(key))
                || body.get(key).is_some_and(|body| drops_below(stored, body))
        }
        _ => false,
    })
}

/// Whether a write removes a key, at any depth (A-H29).
pub(super) fn removes(mode: WriteMode, stored: &Value, body: &Value) -> bool {
    let Some(stored) = stored.as_object() else {
        return false;
    };
    let Some(body) = body.as_object() else {
        return !stored.is_empty();
    };
    stored.iter().any(|(key, stored)| match (body.get(key), mode) {
        (None, WriteMode::Patch) => false,
        (None, WriteMode::Replace) | (Some(Value::Null), _) => true,
        (Some(body), _) => removes(mode, stored, body),
    })
}

/// Whether an object with members takes the place of a scalar (A-H28).
pub(super) fn unfolds(stored: &Value, body: &Value) -> bool {
    match (stored, body) {
        (Value::Object(stored), Value::Object(body)) => {
            let meets = |(key, body)| Some(unfolds(stored.get(key)?, body));
            body.iter().filter_map(meets).any(|unfolds| unfolds)
        }
        (Value::Array(_), _) => false,
        (_, Value::Object(body)) => !body.is_empty(),
        _ => false,
    }
}

/// Whether an array with elements is written, at any depth (A-H27).
pub(super) fn holds_elements(body: &Value) -> bool {
    match body {
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(members) => members.values().any(holds_elements),
        _ => false,
    }
}
