//! Documents: created, read, listed, deleted (HUB-CFG-001, -002, -004).

use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::time::Time;

use super::calls::{
    accepted, at, create, delete, deleted, document, etag_of, get, id_of, idle, put, read, setting,
    with,
};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::Case;
use crate::cases::hub::registry::calls::demand_refused;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "configuration-content-comes-back",
        title: "A configuration that was created is read with the same content",
        requirements: &["HUB-CFG-001"],
        needs: &[],
        run: body!(content_comes_back),
    },
    Case {
        id: "configuration-module-content-comes-back",
        title: "A configuration for modules is read with the same content",
        requirements: &["HUB-CFG-001"],
        needs: &[],
        run: body!(module_content_comes_back),
    },
    Case {
        id: "configuration-members",
        title: "A configuration has all that was given and the hub's own members",
        requirements: &["HUB-CFG-001"],
        needs: &[],
        run: body!(members),
    },
    Case {
        id: "configuration-as-command-line-writes",
        title: "A document with the members of the command line client is taken",
        requirements: &["HUB-CFG-016"],
        needs: &[],
        run: body!(as_command_line_writes),
    },
    Case {
        id: "configuration-listed",
        title: "A configuration is in the list of all",
        requirements: &["HUB-CFG-001"],
        needs: &[],
        run: body!(listed),
    },
    Case {
        id: "configuration-deleted",
        title: "DELETE answers 204, and the configuration is gone",
        requirements: &["HUB-CFG-001"],
        needs: &[],
        run: body!(is_deleted),
    },
    Case {
        id: "configuration-deleted-by-etag",
        title: "DELETE with another etag is refused with 412, with the current one it works",
        requirements: &["HUB-CFG-001"],
        needs: &[],
        run: body!(deleted_by_etag),
    },
    Case {
        id: "configuration-created-twice",
        title: "A second PUT without If-Match is refused with 409 and changes nothing",
        requirements: &["HUB-CFG-002"],
        needs: &[],
        run: body!(created_twice),
    },
    Case {
        id: "configuration-created-again",
        title: "An id that was deleted can be created again",
        requirements: &["HUB-CFG-002"],
        needs: &[],
        run: body!(created_again),
    },
    Case {
        id: "configuration-never-created",
        title: "GET of an id that never was gives 404 ConfigurationNotFound",
        requirements: &["HUB-CFG-004"],
        needs: &[],
        run: body!(never_created),
    },
    Case {
        id: "configuration-not-found-after-delete",
        title: "GET of a deleted configuration gives 404 ConfigurationNotFound",
        requirements: &["HUB-CFG-004"],
        needs: &[],
        run: body!(not_found_after_delete),
    },
];

async fn content_comes_back(bench: &mut Bench) -> Checked {
    let id = bench.new_configuration();
    let settings = json!({
        "properties.desired.fan": { "rpm": 66, "ratio": 28.02, "on": true, "modes": ["eco"] },
        "properties.desired.led.color": "red",
        "properties.desired.old": null,
    });
    let made = create(bench, "HUB-CFG-001", &document(&id, "", 1, &settings)).await?;
    let content = json!({ "deviceContent": settings });
    bench.equal_json("HUB-CFG-001", "content in the answer", &content, &given(&made));
    let found = read(bench, "HUB-CFG-001", &id).await?;
    bench.equal("HUB-CFG-001", "id", &*id, id_of(&found));
    bench.equal_json("HUB-CFG-001", "content", &content, &given(&found));
    Ok(())
}

/// The content of a document without members that are null or empty.
fn given(document: &Value) -> Value {
    let members = document.get("content").and_then(Value::as_object);
    let given = members.into_iter().flatten();
    let given = given.filter(|(_, value)| !value.is_null() && **value != json!({}));
    given.map(|(name, value)| (name.clone(), value.clone())).collect()
}

async fn as_command_line_writes(bench: &mut Bench) -> Checked {
    let id = bench.new_configuration();
    let settings = json!({ "properties.desired.fan": 66 });
    let plain = document(&id, "tags.mark = 'nobody'", 3, &settings);
    let written = with(&with(&plain, "schemaVersion", json!("2.0")), "etag", json!("*"));
    let written = with(&written, "contentType", json!("assignment"));
    create(bench, "HUB-CFG-016", &written).await?;
    let found = read(bench, "HUB-CFG-016", &id).await?;
    let content = json!({ "deviceContent": settings });
    bench.equal_json("HUB-CFG-016", "content", &content, &given(&found));
    Ok(())
}

async fn module_content_comes_back(bench: &mut Bench) -> Checked {
    let id = bench.new_configuration();
    let content = json!({ "moduleContent": { "properties.desired": { "prop1": "foo" } } });
    let body = json!({ "id": id, "content": content, "targetCondition": "", "priority": 20 });
    create(bench, "HUB-CFG-001", &body).await?;
    let found = read(bench, "HUB-CFG-001", &id).await?;
    bench.equal_json("HUB-CFG-001", "content", &content, &given(&found));
    Ok(())
}

async fn members(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let answer = get(bench, id_of(&made)).await?;
    let header = answer.header("etag").map(|etag| etag.trim_matches('"').to_owned());
    let found = accepted("HUB-CFG-001", answer)?;
    let expected = [
        ("labels", json!({ "made": "by-twinspec" })),
        ("priority", json!(10)),
        ("targetCondition", json!(format!("tags.mark = '{}'", id_of(&made)))),
        ("schemaVersion", json!("1.0")),
    ];
    for (name, value) in expected {
        bench.equal_json("HUB-CFG-001", name, &value, at(&found, name));
    }
    for name in ["createdTimeUtc", "lastUpdatedTimeUtc"] {
        let is_time = at(&found, name).as_str().and_then(Time::parse).is_some();
        bench.demand(
            "HUB-CFG-001",
            is_time,
            format!("a time as {name}"),
            at(&found, name).to_string(),
        );
    }
    let etag = etag_of(&found);
    bench.demand("HUB-CFG-001", !etag.is_empty(), "an etag", found.to_string());
    if let Some(header) = header {
        bench.equal("HUB-CFG-001", "ETag header", etag, &*header);
    }
    Ok(())
}

async fn listed(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let answer = bench.call(Method::GET, "/configurations?top=100", IfMatch::Absent, None).await?;
    let body = answer.json();
    let list = body.as_array().map(Vec::as_slice).unwrap_or_default();
    let found = list.iter().find(|document| id_of(document) == id_of(&made));
    let content = found.map_or(Value::Null, given);
    let what = format!("content of {} in the list", id_of(&made));
    bench.equal_json("HUB-CFG-001", &what, &given(&made), &content);
    Ok(())
}

async fn is_deleted(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let id = id_of(&made);
    read(bench, "HUB-CFG-001", id).await?;
    let answer = delete(bench, id, IfMatch::Any).await?;
    bench.equal("HUB-CFG-001", "status", 204, answer.status.as_u16());
    let answer = get(bench, id).await?;
    bench.equal("HUB-CFG-001", "status of GET after DELETE", 404, answer.status.as_u16());
    Ok(())
}

async fn deleted_by_etag(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let id = id_of(&made);
    let answer = delete(bench, id, IfMatch::Etag("other")).await?;
    demand_refused(bench, "HUB-CFG-001", &answer, 412, "PreconditionFailed");
    let found = read(bench, "HUB-CFG-001", id).await?;
    let answer = delete(bench, id, IfMatch::Etag(etag_of(&found))).await?;
    bench.equal("HUB-CFG-001", "status", 204, answer.status.as_u16());
    Ok(())
}

async fn created_twice(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let id = id_of(&made);
    let other = document(id, "", 77, &setting("fan", json!(1)));
    let answer = put(bench, IfMatch::Absent, &other).await?;
    demand_refused(bench, "HUB-CFG-002", &answer, 409, "ConfigurationAlreadyExists");
    let found = read(bench, "HUB-CFG-002", id).await?;
    bench.equal_json("HUB-CFG-002", "priority", &json!(10), at(&found, "priority"));
    Ok(())
}

async fn created_again(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let id = id_of(&made);
    deleted(bench, "HUB-CFG-001", id).await?;
    let settings = json!({ "deviceContent": setting("fan", json!(2)) });
    let other = with(&document(id, "", 7, &json!({})), "content", settings.clone());
    create(bench, "HUB-CFG-002", &other).await?;
    let found = read(bench, "HUB-CFG-002", id).await?;
    bench.equal_json("HUB-CFG-002", "content", &settings, &given(&found));
    Ok(())
}

async fn never_created(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    read(bench, "HUB-CFG-001", id_of(&made)).await?;
    let other = bench.new_configuration();
    let answer = get(bench, &other).await?;
    demand_missing(bench, &answer);
    Ok(())
}

async fn not_found_after_delete(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    deleted(bench, "HUB-CFG-001", id_of(&made)).await?;
    let answer = get(bench, id_of(&made)).await?;
    demand_missing(bench, &answer);
    Ok(())
}

fn demand_missing(bench: &mut Bench, answer: &Answer) {
    demand_refused(bench, "HUB-CFG-004", answer, 404, "ConfigurationNotFound");
}
