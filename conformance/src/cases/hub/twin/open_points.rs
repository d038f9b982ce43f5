//! What the sources leave open about twins: any allowed outcome will do, unless the profile pins
//! one.

use http::Method;
use serde_json::{Value, json};
use twinspec_model::wire::mqtt::Qos;
use twinspec_model::wire::topic::Filter;

use super::device::at;
use crate::bench::{Bench, Connection, IfMatch, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-open-document-version",
        title: "The version of the whole twin counts reported writes, or does not",
        requirements: &["A-H16", "A-H34"],
        needs: &[],
        run: body!(document_version),
    },
    Case {
        id: "twin-open-nulls-in-new-object",
        title: "Nulls inside an object that replaces a scalar are dropped, or kept",
        requirements: &["A-H19"],
        needs: &[],
        run: body!(nulls_in_new_object),
    },
    Case {
        id: "twin-open-null-tags",
        title: "A PATCH with tags null removes the tags, or leaves them",
        requirements: &["A-H21"],
        needs: &[],
        run: body!(null_tags),
    },
    Case {
        id: "twin-open-null-report",
        title: "A reported PATCH whose body is null is refused, empties, or does nothing",
        requirements: &["A-H22"],
        needs: &[],
        run: body!(null_report),
    },
    Case {
        id: "twin-open-put-without-section",
        title: "A PUT without a section leaves it, or empties it",
        requirements: &["A-H23"],
        needs: &[],
        run: body!(put_without_section),
    },
    Case {
        id: "twin-open-equal-put",
        title: "A PUT that changes nothing raises the version, or does not",
        requirements: &["A-H24"],
        needs: &[],
        run: body!(equal_put),
    },
    Case {
        id: "twin-open-vanished-nested-keys",
        title: "After a PUT, nested keys that vanished are shown as nulls, or not",
        requirements: &["A-H30"],
        needs: &[],
        run: body!(vanished_nested_keys),
    },
    Case {
        id: "twin-open-unquoted-etag",
        title: "A wrong unquoted etag stops a twin update, or is ignored",
        requirements: &["A-H31"],
        needs: &[],
        run: body!(unquoted_etag),
    },
    Case {
        id: "twin-open-number-sign",
        title: "A number sign in a key is refused, or accepted",
        requirements: &["A-H35"],
        needs: &[],
        run: body!(number_sign),
    },
    Case {
        id: "twin-open-root-not-an-object",
        title: "A reported PATCH whose body is an array is refused, ignored, or closes",
        requirements: &["A-H39"],
        needs: &[],
        run: body!(root_not_an_object),
    },
    Case {
        id: "twin-open-condition-not-a-number",
        title: "A reported PATCH with a $version that is no number is refused, ignored, or closes",
        requirements: &["A-H07"],
        needs: &[],
        run: body!(condition_not_a_number),
    },
];

async fn document_version(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let before = bench.read_twin(&device.identity).await?;
    connection.reported(&json!({ "seen": 1 })).await?;
    let shows = |twin: &Value| at(twin, "/properties/reported/seen") == &json!(1);
    let after = bench.watch_twin(&device.identity, shows).await?;
    let grown = at(&after, "/version") != at(&before, "/version");
    let tag = if grown { "all-sections" } else { "tags-and-desired" };
    bench.decides("A-H16", tag, format!("version {}", at(&after, "/version")));
    let changed = at(&after, "/etag") != at(&before, "/etag");
    let tag = if changed { "changed" } else { "unchanged" };
    bench.decides("A-H34", tag, format!("etag {}", at(&after, "/etag")));
    Ok(())
}

async fn nulls_in_new_object(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.patch_twin(&device.identity, &desired(&json!({ "door": "shut" }))).await?;
    let patch = desired(&json!({ "door": { "by": null, "open": true } }));
    let twin = bench.patch_twin(&device.identity, &patch).await?;
    let door = at(&twin, "/properties/desired/door");
    let tag = if door.get("by").is_some() { "kept" } else { "dropped" };
    bench.decides("A-H19", tag, door.to_string());
    Ok(())
}

async fn null_tags(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.patch_twin(&device.identity, &json!({ "tags": { "site": "yard" } })).await?;
    let nothing = json!({ "tags": null });
    let answer =
        bench.write_twin(Method::PATCH, &device.identity, IfMatch::Absent, &nothing).await?;
    let twin = bench.read_twin(&device.identity).await?;
    let kept = at(&twin, "/tags/site") == &json!("yard");
    bench.decides("A-H21", if kept { "untouched" } else { "removed" }, answer.to_string());
    Ok(())
}

async fn null_report(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "fan": 3 })).await?;
    let answer = connection.report_text("null").await?;
    let twin = connection.twin().await?;
    let kept = at(&twin, "/reported/fan") == &json!(3);
    let tag = match (answer.status, kept) {
        (400, true) => "refused",
        (204, false) => "emptied",
        (204, true) => "untouched",
        _ => "otherwise",
    };
    bench.decides("A-H22", tag, answer.to_string());
    Ok(())
}

async fn put_without_section(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.patch_twin(&device.identity, &desired(&json!({ "fan": 3 }))).await?;
    let body = json!({ "tags": { "site": "yard" } });
    let twin = bench.replace_twin(&device.identity, &body).await?;
    let kept = at(&twin, "/properties/desired/fan") == &json!(3);
    let seen = at(&twin, "/properties/desired").to_string();
    bench.decides("A-H23", if kept { "untouched" } else { "emptied" }, seen);
    Ok(())
}

async fn equal_put(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let body = desired(&json!({ "fan": 3 }));
    let before = bench.replace_twin(&device.identity, &body).await?;
    let after = bench.replace_twin(&device.identity, &body).await?;
    let version = "/properties/desired/$version";
    let grown = at(&after, version) != at(&before, version);
    let seen = format!("$version {} after {}", at(&after, version), at(&before, version));
    bench.decides("A-H24", if grown { "bumped" } else { "unchanged" }, seen);
    Ok(())
}

async fn vanished_nested_keys(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.patch_twin(&device.identity, &desired(&json!({ "fan": { "a": 1, "b": 2 } }))).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let body = desired(&json!({ "fan": { "a": 1 } }));
    bench.replace_twin(&device.identity, &body).await?;
    let members = connection.notification().await?.members();
    let tag = match members.pointer("/fan/b") {
        Some(Value::Null) => "nested-nulls",
        None => "top-level-only",
        Some(_) => "otherwise",
    };
    bench.decides("A-H30", tag, members.to_string());
    Ok(())
}

async fn unquoted_etag(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let body = desired(&json!({ "fan": 3 }));
    let wrong = IfMatch::Raw("d3Jvbmc=");
    let answer = bench.write_twin(Method::PATCH, &device.identity, wrong, &body).await?;
    let tag = match answer.status.as_u16() {
        200 => "ignored",
        412 => "checked",
        _ => "otherwise",
    };
    bench.decides("A-H31", tag, answer.to_string());
    Ok(())
}

async fn number_sign(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let body = desired(&json!({ "fan#1": 3 }));
    let answer = bench.write_twin(Method::PATCH, &device.identity, IfMatch::Absent, &body).await?;
    let tag = match answer.status.as_u16() {
        200 => "accepted",
        400 => "refused",
        _ => "otherwise",
    };
    bench.decides("A-H35", tag, answer.to_string());
    Ok(())
}

async fn root_not_an_object(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = listening(bench, &device).await?;
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=array";
    connection.publish(topic, "[1]").await?;
    let (tag, seen) = reaction(&mut connection, "array").await?;
    let tag = if tag == "status-400" { "refused" } else { tag };
    bench.decides("A-H39", tag, seen);
    Ok(())
}

async fn condition_not_a_number(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = listening(bench, &device).await?;
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=word&$version=word";
    connection.publish(topic, r#"{"fan":3}"#).await?;
    let (tag, seen) = reaction(&mut connection, "word").await?;
    bench.decides("A-H07", tag, seen);
    Ok(())
}

/// A connection that listens to twin answers and has shown that they come.
async fn listening(bench: &mut Bench, device: &Registered) -> Checked<Connection> {
    let mut connection = bench.connect(device).await?;
    connection.subscribe(&Filter::TwinResponse, Qos::AtMostOnce).await?;
    connection.twin().await?;
    Ok(connection)
}

/// How the hub reacted to the request `rid`: a later GET on the same channel bounds the wait.
async fn reaction(connection: &mut Connection, rid: &str) -> Checked<(&'static str, String)> {
    if !connection.is_open().await? {
        return Ok(("closed", "the connection closed".to_owned()));
    }
    let later = connection.new_rid();
    connection.publish(&format!("$iothub/twin/GET/?$rid={later}"), "").await?;
    let mut seen = ("ignored", "no answer".to_owned());
    loop {
        let answer = connection.any_twin_answer("HUB-TWIN-001").await?;
        if answer.rid == later {
            return Ok(seen);
        }
        if answer.rid == rid {
            let tag = match answer.status {
                204 => "ignored",
                400 => "status-400",
                _ => "otherwise",
            };
            seen = (tag, answer.to_string());
        }
    }
}

fn desired(members: &Value) -> Value {
    json!({ "properties": { "desired": members } })
}
