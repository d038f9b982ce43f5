//! Laws of the twin on generated documents, and the rules that have a story of their own.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::section::{MetadataStyle, size_of_members};
use super::*;

const NOW: u64 = 1_900_000_000;

fn now() -> Time {
    Time::from_unix_seconds(NOW)
}

fn limits() -> TwinLimits {
    TwinLimits::default()
}

fn patched(stored: &Value, patch: &Value) -> Twin {
    let mut twin = Twin::new();
    for body in [stored, patch] {
        let write = desired_write(body);
        twin.write(WriteMode::Patch, &write, &limits(), now()).unwrap();
    }
    twin
}

fn desired_write(members: &Value) -> TwinWrite {
    TwinWrite::from_body(WriteMode::Patch, &json!({"properties": {"desired": members}})).unwrap()
}

#[track_caller]
fn check_merge(stored: Value, patch: Value, result: Value) {
    let twin = patched(&stored, &patch);
    assert_eq!(Value::Object(twin.desired.members()), result);
}

#[test]
fn an_object_that_replaces_a_scalar_drops_its_nulls() {
    check_merge(json!({"a": 1}), json!({"a": {"b": null, "c": 2}}), json!({"a": {"c": 2}}));
}

#[test]
fn null_below_an_absent_key_creates_an_empty_object() {
    check_merge(json!({}), json!({"a": {"b": null}}), json!({"a": {}}));
}

#[test]
fn removing_the_last_member_leaves_an_empty_object() {
    check_merge(json!({"a": {"b": 1}}), json!({"a": {"b": null}}), json!({"a": {}}));
}

#[test]
fn a_refused_tag_leaves_the_desired_properties_alone() {
    let mut twin = Twin::new();
    let body = json!({"tags": {"a b": 1}, "properties": {"desired": {"ok": 1}}});
    let write = TwinWrite::from_body(WriteMode::Patch, &body).unwrap();
    assert!(twin.write(WriteMode::Patch, &write, &limits(), now()).is_err());
    assert_eq!(twin, Twin::new());
}

#[test]
fn the_eleventh_level_is_refused_and_the_tenth_is_not() {
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!({ "n": inner }));
    let mut twin = Twin::new();
    assert!(twin.report(&nested(11), None, &limits(), now()).is_ok());
    assert!(twin.report(&nested(12), None, &limits(), now()).is_err());
}

/// Any JSON, with few keys so that documents overlap.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            members_of(inner),
        ]
    })
}

/// JSON that a twin takes in a PATCH.
fn legal_patch() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        4 => scalar.clone(),
        1 => prop::collection::vec(scalar, 0..3).prop_map(Value::from),
    ];
    members_of(leaf.prop_recursive(4, 30, 4, members_of))
}

/// JSON that a twin takes in a PUT.
fn legal_document() -> impl Strategy<Value = Value> {
    legal_patch().prop_map(|patch| Value::Object(patched(&json!({}), &patch).desired.members()))
}

fn members_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[abcAB]", value, 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// What a device holds after it merged a notification into its copy.
fn device_copy(copy: &Value, notification: &DesiredNotification) -> Value {
    let mut patch = Value::Object(notification.body.clone());
    patch.as_object_mut().unwrap().remove("$version");
    Value::Object(patched(copy, &patch).desired.members())
}

fn no_null(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(elements) => elements.iter().all(no_null),
        Value::Object(members) => members.values().all(no_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Whether `metadata` has exactly one stamped entry per object and leaf of `value`.
fn mirrors(metadata: &Value, value: &Value) -> bool {
    let Value::Object(entries) = metadata else {
        return false;
    };
    let named: Vec<_> = entries.keys().filter(|key| !key.starts_with('$')).collect();
    let stamped = entries.contains_key("$lastUpdated");
    match value {
        Value::Object(members) => {
            stamped
                && named.iter().copied().eq(members.keys())
                && members.iter().all(|(key, child)| mirrors(&entries[key], child))
        }
        _ => stamped && named.is_empty(),
    }
}

proptest! {
    #[test]
    fn null_removes_and_siblings_stay(stored in legal_document(), key in "[abcAB]") {
        let twin = patched(&stored, &json!({ key.clone(): null }));
        let mut expected = stored.as_object().unwrap().clone();
        expected.remove(&key);
        prop_assert_eq!(twin.desired.members(), expected);
    }

    #[test]
    fn stored_twins_hold_no_null(stored in legal_document(), patch in legal_patch()) {
        let twin = patched(&stored, &patch);
        prop_assert!(no_null(&Value::Object(twin.desired.members())));
    }

    #[test]
    fn every_accepted_write_raises_the_version_by_one(bodies in prop::collection::vec(any_json(), 0..6)) {
        let mut twin = Twin::new();
        for body in bodies {
            let (before, version) = (twin.clone(), twin.reported.version());
            match twin.report(&body, None, &limits(), now()) {
                Ok(new) => prop_assert_eq!(new, version + 1),
                Err(_) => prop_assert_eq!(&before, &twin),
            }
        }
    }

    #[test]
    fn metadata_mirrors_the_tree(stored in legal_document(), patch in legal_patch()) {
        let twin = patched(&stored, &patch);
        let metadata = Value::Object(twin.desired.metadata(MetadataStyle::Desired));
        prop_assert!(mirrors(&metadata, &Value::Object(twin.desired.members())));
    }

    #[test]
    fn a_patch_notification_reproduces_the_hub_on_the_device(stored in legal_document(), patch in legal_patch()) {
        let mut twin = patched(&json!({}), &stored);
        let change = twin.write(WriteMode::Patch, &desired_write(&patch), &limits(), now()).unwrap();
        let copy = device_copy(&stored, &change.notification.unwrap());
        prop_assert_eq!(copy, Value::Object(twin.desired.members()));
    }

    #[test]
    fn a_put_notification_reproduces_the_hub_on_the_device(stored in legal_document(), new in legal_document()) {
        let mut twin = patched(&json!({}), &stored);
        let change = twin.write(WriteMode::Replace, &desired_write(&new), &limits(), now()).unwrap();
        let copy = device_copy(&stored, &change.notification.unwrap());
        prop_assert_eq!(&copy, &new);
        prop_assert_eq!(Value::Object(twin.desired.members()), new);
    }

    #[test]
    fn the_kept_size_is_the_counted_size(stored in legal_document(), patch in legal_patch()) {
        let twin = patched(&stored, &patch);
        prop_assert_eq!(twin.desired.size(), size_of_members(&twin.desired.members()));
    }

    #[test]
    fn sizes_stay_within_the_limit(lengths in prop::collection::vec(0..4096_usize, 0..24)) {
        let mut twin = Twin::new();
        for (index, length) in lengths.into_iter().enumerate() {
            let patch = json!({ format!("k{index}"): "x".repeat(length) });
            let _refused_when_too_large = twin.report(&patch, None, &limits(), now());
            prop_assert!(twin.reported.size() <= limits().reported.bytes_max);
        }
    }

    #[test]
    fn writes_are_total_on_arbitrary_json(body in any_json()) {
        for mode in [WriteMode::Patch, WriteMode::Replace] {
            if let Ok(write) = TwinWrite::from_body(mode, &body) {
                let _any_answer_will_do = Twin::new().write(mode, &write, &limits(), now());
            }
            let nested = json!({"tags": body, "properties": {"desired": body}});
            if let Ok(write) = TwinWrite::from_body(mode, &nested) {
                let _any_answer_will_do = Twin::new().write(mode, &write, &limits(), now());
            }
        }
    }
}
