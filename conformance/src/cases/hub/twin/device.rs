//! What a device reads of its twin over MQTT (HUB-TWIN-001 to -006).

use serde_json::{Value, json};

use crate::bench::{Bench, Connection};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-get-echoes-rid",
        title: "A twin GET is answered 200 with its own request id",
        requirements: &["HUB-TWIN-001"],
        needs: &[],
        run: body!(get_echoes_rid),
    },
    Case {
        id: "twin-get-body-empty-or-space",
        title: "A twin GET with one space is answered like one without a body",
        requirements: &["HUB-TWIN-002"],
        needs: &[],
        run: body!(get_body_empty_or_space),
    },
    Case {
        id: "twin-get-body-not-parsed",
        title: "A twin GET whose body is no JSON is answered like one without a body",
        requirements: &["HUB-TWIN-002"],
        needs: &[],
        run: body!(get_body_not_parsed),
    },
    Case {
        id: "twin-get-shape-new",
        title: "The document of a new device holds both sections with integer versions, no more",
        requirements: &["HUB-TWIN-003"],
        needs: &[],
        run: body!(get_shape_new),
    },
    Case {
        id: "twin-get-shape-filled",
        title: "The document keeps its two members once tags, desired and reported are set",
        requirements: &["HUB-TWIN-003"],
        needs: &[],
        run: body!(get_shape_filled),
    },
    Case {
        id: "twin-get-hides-tags",
        title: "Tags that a back end reads are not in the device's document",
        requirements: &["HUB-TWIN-004"],
        needs: &[],
        run: body!(get_hides_tags),
    },
    Case {
        id: "twin-get-hides-metadata",
        title: "The device's document has no metadata",
        requirements: &["HUB-TWIN-005"],
        needs: &[],
        run: body!(get_hides_metadata),
    },
    Case {
        id: "twin-new-device-versions",
        title: "Both sections of a new device's twin have version 1",
        requirements: &["HUB-TWIN-006"],
        needs: &[],
        run: body!(new_device_versions),
    },
];

/// A tag that could not be in a document by chance.
const HIDDEN: &str = "suite-hidden-site";

async fn get_echoes_rid(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let answer = connection.twin_get().await?;
    let topic = format!("$iothub/twin/res/200/?$rid={}", answer.rid);
    bench.equal("HUB-TWIN-001", "topic", topic, answer.topic);
    Ok(())
}

async fn get_body_empty_or_space(bench: &mut Bench) -> Checked {
    get_with_bodies(bench, &["", " "]).await
}

async fn get_body_not_parsed(bench: &mut Bench) -> Checked {
    get_with_bodies(bench, &["", "{\"fan\":", "twin, please", "{\"reported\":{\"fan\":1}}"]).await
}

/// Reads the twin once with each of `bodies`: all answers are 200 with the same document.
async fn get_with_bodies(bench: &mut Bench, bodies: &[&str]) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let mut first = None;
    for body in bodies {
        let rid = connection.new_rid();
        let topic = format!("$iothub/twin/GET/?$rid={rid}");
        let answer = connection.ask("HUB-TWIN-002", &topic, &rid, body).await?;
        let what = format!("status for body {body:?}");
        bench.equal("HUB-TWIN-002", &what, 200, answer.status);
        let document = answer.json();
        let first = first.get_or_insert_with(|| document.clone());
        bench.equal_json("HUB-TWIN-002", "document", first, &document);
    }
    Ok(())
}

async fn get_shape_new(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    demand_shape(bench, &mut connection).await
}

async fn get_shape_filled(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "fan": { "speed": 2 } })).await?;
    let patch = json!({ "tags": { "site": 7 }, "properties": { "desired": { "interval": 30 } } });
    bench.patch_twin(&device.identity, &patch).await?;
    demand_shape(bench, &mut connection).await
}

async fn demand_shape(bench: &mut Bench, connection: &mut Connection) -> Checked {
    let document = connection.twin().await?;
    let members = document.as_object().map_or(0, serde_json::Map::len);
    let sections = ["desired", "reported"].map(|name| document.get(name));
    let versioned = |section: &Option<&Value>| {
        section.is_some_and(|section| at(section, "/$version").as_u64().is_some())
    };
    bench.demand(
        "HUB-TWIN-003",
        members == 2 && sections.iter().all(versioned),
        "an object with exactly desired and reported, each with an integer $version",
        document.to_string(),
    );
    Ok(())
}

async fn get_hides_tags(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let patch = json!({ "tags": { "site": HIDDEN } });
    bench.patch_twin(&device.identity, &patch).await?;
    let twin = bench.read_twin(&device.identity).await?;
    bench.equal_json("HUB-MERGE-015", "tag", &json!(HIDDEN), at(&twin, "/tags/site"));
    let document = connection.twin().await?;
    let hidden = document.get("tags").is_none() && !document.to_string().contains(HIDDEN);
    bench.demand("HUB-TWIN-004", hidden, "a document without tags", document.to_string());
    Ok(())
}

async fn get_hides_metadata(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "fan": { "speed": 2 } })).await?;
    let patch = json!({ "properties": { "desired": { "fan": { "speed": 3 } } } });
    bench.patch_twin(&device.identity, &patch).await?;
    let text = connection.twin().await?.to_string();
    let hidden = !text.contains("\"$metadata\"");
    bench.demand("HUB-TWIN-005", hidden, "a document without $metadata", text);
    Ok(())
}

async fn new_device_versions(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let document = connection.twin().await?;
    for section in ["desired", "reported"] {
        let version = at(&document, &format!("/{section}/$version"));
        let what = format!("{section}.$version");
        bench.equal_json("HUB-TWIN-006", &what, &json!(1), version);
    }
    Ok(())
}

/// The value at a JSON pointer; null when there is none.
pub(super) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}
