//! Reading configurations, and what several come to.

use super::*;
use crate::twin::{SectionWrite, Twin, TwinWrite, WriteMode};

fn limits() -> TwinLimits {
    TwinLimits::default()
}

fn device(content: &Value) -> Settings {
    match Content::parse(&json!({ "deviceContent": content }), &limits()) {
        Ok(Content::Device(settings)) => settings,
        other => panic!("{content}: {other:?}"),
    }
}

#[track_caller]
fn refused(body: &Value) -> ErrorCode {
    ConfigurationRequest::from_body("c", body, None, &limits()).unwrap_err().code
}

fn body(member: &str, value: &Value) -> Value {
    let mut body = json!({ "content": { "deviceContent": { "properties.desired.a": 1 } } });
    body[member] = value.clone();
    body
}

fn resolved(layers: &[Value]) -> (Value, Vec<Status>) {
    let layers: Vec<Settings> = layers.iter().map(device).collect();
    let names: Vec<String> = (0..layers.len()).map(|index| index.to_string()).collect();
    let layers: Vec<(&str, &Settings)> = names.iter().map(String::as_str).zip(&layers).collect();
    let resolved = resolve(&layers);
    (Value::Object(resolved.settings), resolved.statuses.into_values().collect())
}

#[track_caller]
fn updates(old: &Value, new: &Value, stored: &Value, expected: &Value) {
    let tree = |value: &Value| Resolved {
        settings: value.as_object().unwrap().clone(),
        statuses: BTreeMap::new(),
    };
    let mut targeting = Targeting::default();
    targeting.advance(tree(old));
    let update = targeting.update(&tree(new), stored.as_object().unwrap());
    assert_eq!(Value::Object(update), *expected, "{old} to {new} over {stored}");
}

#[test]
fn ids_are_small_letters_and_free_of_the_listed_characters() {
    for id in ["a", "roll-out_1+%*!'", &"a".repeat(128)] {
        assert_eq!(check_id(id), Ok(()), "{id}");
    }
    for id in ["", "A", "a b", "a&b", "a^", "[", "]", "{", "}", "\\", "|", "\"", "<", ">", "/", "é"]
    {
        assert_eq!(check_id(id).unwrap_err().code, ErrorCode::ArgumentInvalid, "{id}");
    }
    assert!(check_id(&"a".repeat(129)).is_err());
}

#[test]
fn each_part_of_a_body_has_its_own_refusal() {
    let condition = ErrorCode::InvalidConfigurationTargetCondition;
    for text in ["tags.a =", "SELECT * FROM devices", "from devices.modules where tags.a = 1"] {
        assert_eq!(refused(&body("targetCondition", &json!(text))), condition, "{text}");
    }
    let content = ErrorCode::InvalidConfigurationContent;
    for value in [
        json!(null),
        json!(7),
        json!({}),
        json!({ "deviceContent": {} }),
        json!({ "deviceContent": { "tags.a": 1 } }),
        json!({ "deviceContent": { "properties.desiredx": 1 } }),
        json!({ "deviceContent": { "properties.desired": 1 } }),
        json!({ "deviceContent": { "properties.desired.": 1 } }),
        json!({ "deviceContent": { "properties.desired.a..b": 1 } }),
        json!({ "deviceContent": { "properties.desired.a b": 1 } }),
        json!({ "deviceContent": { "properties.desired.a": [null] } }),
        json!({ "deviceContent": { "properties.desired.a": 1 },
                "moduleContent": { "properties.desired.a": 1 } }),
    ] {
        assert_eq!(refused(&body("content", &value)), content, "{value}");
    }
    let metric = ErrorCode::InvalidConfigurationCustomMetricsQuery;
    let six: Value = (0..6).map(|n| (n.to_string(), json!("SELECT * FROM devices"))).collect();
    for queries in [json!({ "m": "SELECT" }), json!({ "m": 1 }), six] {
        assert_eq!(refused(&body("metrics", &json!({ "queries": queries }))), metric, "{queries}");
    }
    for (member, value) in [
        ("priority", json!(-1)),
        ("priority", json!(1.5)),
        ("priority", json!("1")),
        ("labels", json!([])),
        ("labels", json!({ "a": 1 })),
        ("labels", json!({ "a": { "b": "c" } })),
        ("labels", json!({ "a": null })),
        ("schemaVersion", json!(2)),
        ("metrics", json!(1)),
        ("id", json!("d")),
    ] {
        assert_eq!(refused(&body(member, &value)), ErrorCode::ArgumentInvalid, "{member}");
    }
}

#[test]
fn conditions_select_devices_and_modules() {
    let settings = device(&json!({ "properties.desired.a": 1 }));
    let (devices, modules) = (Content::Device(settings.clone()), Content::Module(settings));
    let twin = json!({ "deviceId": "d", "tags": { "a": 1 } });
    for (content, text, expected) in [
        (&devices, "", false),
        (&devices, "  ", false),
        (&devices, "*", true),
        (&devices, "tags.a = 1", true),
        (&devices, "deviceId IN ['e']", false),
        (&modules, "", false),
        (&modules, "From Devices.Modules Where tags.a = 1", true),
        (&modules, "from devices.modules where tags.a = 2", false),
    ] {
        assert_eq!(Target::parse(text, content).unwrap().holds(&twin), expected, "{text}");
    }
    for text in ["*", "tags.a = 1", "from devices where tags.a = 1", "from devices.modules"] {
        assert!(Target::parse(text, &modules).is_err(), "{text}");
    }
    let error = Target::parse("from devices.modules where ?", &modules).unwrap_err();
    assert!(error.message.contains("column 28"), "{}", error.message);
}

#[test]
fn the_highest_rank_wins_a_path_and_others_keep_theirs() {
    let a = |value: u32| json!({ "properties.desired.a": value });
    assert_eq!(resolved(&[a(1), a(2)]).0, json!({ "a": 1 }));
    assert_eq!(resolved(&[a(1), a(2)]).1, [Status::Applied, Status::Targeted]);
    let whole = json!({ "properties.desired": { "a": 3, "b": 4 } });
    let (settings, statuses) = resolved(&[a(1), whole]);
    assert_eq!(settings, json!({ "a": 1, "b": 4 }));
    assert_eq!(statuses, [Status::Applied, Status::Applied]);
    let fan = json!({ "properties.desired.fan": { "rpm": 1, "led": 2 } });
    let rpm = json!({ "properties.desired.fan.rpm": null });
    assert_eq!(
        resolved(&[rpm.clone(), fan.clone()]).0,
        json!({ "fan": { "rpm": null, "led": 2 } })
    );
    assert_eq!(resolved(&[rpm.clone(), fan.clone()]).1, [Status::Applied, Status::Applied]);
    assert_eq!(resolved(&[fan, rpm.clone()]).1, [Status::Applied, Status::Targeted]);
    for below in [json!({ "rpm": 1 }), json!(5), json!({})] {
        let below = json!({ "properties.desired.fan": below });
        assert_eq!(resolved(&[rpm.clone(), below]).1, [Status::Applied, Status::Targeted]);
    }
}

#[test]
fn updates_send_what_is_new_or_gone_and_prune_what_is_left_empty() {
    let nothing = json!({});
    updates(&nothing, &json!({ "a": 1 }), &json!({ "a": 1 }), &json!({ "a": 1 }));
    updates(&json!({ "a": 1 }), &json!({ "a": 1 }), &json!({ "a": 1 }), &nothing);
    updates(&json!({ "a": 1 }), &json!({ "a": 1 }), &json!({ "a": 9 }), &json!({ "a": 1 }));
    updates(&json!({ "a": 1 }), &nothing, &json!({ "a": 1, "own": 2 }), &json!({ "a": null }));
    updates(&json!({ "a": 1 }), &nothing, &json!({ "own": 2 }), &nothing);
    updates(&json!({ "a": null }), &nothing, &json!({ "own": 2 }), &nothing);
    updates(
        &json!({ "a": null }),
        &json!({ "a": null }),
        &json!({ "a": 1 }),
        &json!({ "a": null }),
    );
    let fan = json!({ "fan": { "rpm": 1, "led": { "on": true } } });
    updates(&fan, &nothing, &fan, &json!({ "fan": null }));
    let own = json!({ "fan": { "rpm": 1, "led": { "on": true }, "own": 1 } });
    updates(&fan, &nothing, &own, &json!({ "fan": { "rpm": null, "led": null } }));
    updates(&fan, &json!({ "fan": 3 }), &fan, &json!({ "fan": 3 }));
    updates(&json!({ "fan": 3 }), &fan, &json!({ "fan": 3 }), &fan);
    updates(&fan, &json!({ "fan": {} }), &fan, &json!({ "fan": { "rpm": null, "led": null } }));
    updates(&nothing, &json!({ "fan": {} }), &nothing, &json!({ "fan": {} }));
}

#[test]
fn a_refused_update_applies_nothing_and_keeps_what_was_applied() {
    let statuses = |pairs: &[(&str, Status)]| -> BTreeMap<String, Status> {
        pairs.iter().map(|(id, status)| ((*id).to_owned(), *status)).collect()
    };
    let before = statuses(&[("a", Status::Applied), ("b", Status::Applied)]);
    let mut targeting = Targeting::default();
    targeting.advance(Resolved { settings: Members::new(), statuses: before });
    let next = statuses(&[("b", Status::Applied), ("c", Status::Applied)]);
    targeting.fall_back(Resolved { settings: Members::new(), statuses: next });
    let expected = statuses(&[("b", Status::Applied), ("c", Status::Targeted)]);
    assert_eq!(*targeting.statuses(), expected);
}

#[test]
fn metrics_count_rows_and_may_lack_their_collection() {
    let twins = [1, 1, 2].map(|n| json!({ "deviceId": "d", "tags": { "n": n } }));
    let count = |text: &str| Metric::parse(text, Collection::Devices).unwrap().count(twins.iter());
    assert_eq!(count("SELECT deviceId FROM devices WHERE tags.n = 1"), 2);
    assert_eq!(count("SELECT TOP 1 * FROM devices"), 1);
    assert_eq!(count("SELECT tags.n AS n, COUNT() AS c FROM devices GROUP BY tags.n"), 2);
    assert_eq!(count("select *"), 3);
    assert!(Metric::parse("SELECT * FROM devices.jobs", Collection::Devices).is_err());
}

#[test]
fn an_update_brings_any_stored_twin_to_the_settings() {
    let values = [
        None,
        Some(json!(null)),
        Some(json!(1)),
        Some(json!({})),
        Some(json!({ "x": 1 })),
        Some(json!({ "x": null, "y": [2] })),
        Some(json!({ "x": { "z": 3 } })),
    ];
    let tree = |value: &Option<Value>| -> Members {
        value.iter().map(|value| ("k".to_owned(), value.clone())).collect()
    };
    let patched = |twin: &mut Twin, members: Members| {
        let write = TwinWrite { tags: None, desired: Some(SectionWrite::Members(members)) };
        twin.write(WriteMode::Patch, &write, &limits(), Time::from_unix_seconds(1)).unwrap();
        twin.desired.members()
    };
    for (old, new) in values.iter().flat_map(|old| values.iter().map(move |new| (old, new))) {
        let mut twin = Twin::new();
        let stored = patched(&mut twin, tree(old));
        let mut targeting = Targeting::default();
        targeting.advance(Resolved { settings: tree(old), statuses: BTreeMap::new() });
        let next = Resolved { settings: tree(new), statuses: BTreeMap::new() };
        let update = targeting.update(&next, &stored);
        let expected = patched(&mut Twin::new(), tree(new));
        let seen = patched(&mut twin, update.clone());
        assert_eq!(seen, expected, "{old:?} to {new:?} by {update:?}");
    }
}
