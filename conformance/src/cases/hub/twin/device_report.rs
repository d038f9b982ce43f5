//! Reported PATCHes that a hub accepts (HUB-TWIN-008 to -012, -014).

use serde_json::{Value, json};
use twinspec_model::wire::mqtt::Packet;

use super::device::at;
use crate::bench::{Bench, Connection};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-report-acknowledged-empty",
        title: "A reported PATCH is answered 204 with an empty body",
        requirements: &["HUB-TWIN-008"],
        needs: &[],
        run: body!(report_acknowledged_empty),
    },
    Case {
        id: "twin-report-topic-order",
        title: "The topic of a 204 names the request id and then the new version",
        requirements: &["HUB-TWIN-009"],
        needs: &[],
        run: body!(report_topic_order),
    },
    Case {
        id: "twin-report-version-at-device",
        title: "The version in a 204 is the reported version the device reads next",
        requirements: &["HUB-TWIN-010"],
        needs: &[],
        run: body!(report_version_at_device),
    },
    Case {
        id: "twin-report-version-at-service",
        title: "The version in a 204 is the reported version the back end reads next",
        requirements: &["HUB-TWIN-010"],
        needs: &[],
        run: body!(report_version_at_service),
    },
    Case {
        id: "twin-report-version-grows",
        title: "Three reported PATCHes raise the version by one each",
        requirements: &["HUB-TWIN-011"],
        needs: &[],
        run: body!(report_version_grows),
    },
    Case {
        id: "twin-report-same-value-grows",
        title: "A reported PATCH that repeats a value raises the version too",
        requirements: &["HUB-TWIN-011"],
        needs: &[],
        run: body!(report_same_value_grows),
    },
    Case {
        id: "twin-report-spares-desired-at-device",
        title: "A reported PATCH leaves the desired section that the device reads alone",
        requirements: &["HUB-TWIN-012"],
        needs: &[],
        run: body!(report_spares_desired_at_device),
    },
    Case {
        id: "twin-report-spares-desired-at-service",
        title: "A reported PATCH leaves the desired section that the back end reads alone",
        requirements: &["HUB-TWIN-012"],
        needs: &[],
        run: body!(report_spares_desired_at_service),
    },
    Case {
        id: "twin-report-unsubscribed",
        title: "A reported PATCH is processed for a device that listens to no answers",
        requirements: &["HUB-TWIN-014"],
        needs: &[],
        run: body!(report_unsubscribed),
    },
];

async fn report_acknowledged_empty(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let answer = connection.report(&json!({ "fan": 1 })).await?;
    bench.equal("HUB-TWIN-008", "status", 204, answer.status);
    bench.equal("HUB-TWIN-008", "body length", 0, answer.body.len());
    Ok(())
}

async fn report_topic_order(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let version = reported_version(&mut connection).await?;
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=report-1";
    connection.publish(topic, "{\"fan\":1}").await?;
    let allowed = format!("$iothub/twin/res/204/?$rid=report-1&$version={}", version + 1);
    // Read as text: the parser of the bench takes no other order.
    let seen = connection.expect("HUB-TWIN-009", &allowed, |packet| match packet {
        Packet::Publish(publish) => Some(publish.topic.clone()),
        _ => None,
    });
    let seen = seen.await?;
    bench.equal("HUB-TWIN-009", "topic", allowed, seen);
    Ok(())
}

async fn report_version_at_device(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    for fan in [1, 2] {
        let acknowledged = connection.reported(&json!({ "fan": fan })).await?;
        let read = reported_version(&mut connection).await?;
        bench.equal("HUB-TWIN-010", "reported.$version", acknowledged, read);
    }
    Ok(())
}

async fn report_version_at_service(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let acknowledged = connection.reported(&json!({ "fan": 1 })).await?;
    let shows = |twin: &Value| at(twin, "/properties/reported/fan") == 1;
    let twin = bench.watch_twin(&device.identity, shows).await?;
    let read = at(&twin, "/properties/reported/$version");
    bench.equal_json("HUB-TWIN-010", "reported.$version", &json!(acknowledged), read);
    Ok(())
}

async fn report_version_grows(bench: &mut Bench) -> Checked {
    let patches = [json!({ "fan": 1 }), json!({ "fan": 2, "led": "on" }), json!({ "led": null })];
    demand_growth(bench, &patches).await
}

async fn report_same_value_grows(bench: &mut Bench) -> Checked {
    let same = json!({ "fan": 1, "led": { "colour": "red" } });
    demand_growth(bench, &[same.clone(), same.clone(), same]).await
}

/// Each of `patches` raises the version by one, in the answer and in the document.
async fn demand_growth(bench: &mut Bench, patches: &[Value]) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let mut version = reported_version(&mut connection).await?;
    for patch in patches {
        version += 1;
        let what = format!("version after {patch}");
        let acknowledged = connection.reported(patch).await?;
        bench.equal("HUB-TWIN-011", &what, version, acknowledged);
        let read = reported_version(&mut connection).await?;
        bench.equal("HUB-TWIN-011", &what, version, read);
    }
    Ok(())
}

async fn report_spares_desired_at_device(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let patch = json!({ "properties": { "desired": { "fan": 7, "led": "on" } } });
    bench.patch_twin(&device.identity, &patch).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let before = connection.twin().await?;
    connection.reported(&json!({ "fan": 1, "door": "open" })).await?;
    let after = connection.twin().await?;
    bench.equal_json("HUB-TWIN-012", "desired", at(&before, "/desired"), at(&after, "/desired"));
    Ok(())
}

async fn report_spares_desired_at_service(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let patch = json!({ "properties": { "desired": { "fan": 7, "led": "on" } } });
    let before = bench.patch_twin(&device.identity, &patch).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "fan": null, "door": "open" })).await?;
    let shows = |twin: &Value| at(twin, "/properties/reported/door") == "open";
    let after = bench.watch_twin(&device.identity, shows).await?;
    let (before, after) = (at(&before, "/properties/desired"), at(&after, "/properties/desired"));
    bench.equal_json("HUB-TWIN-012", "desired", before, after);
    Ok(())
}

async fn report_unsubscribed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=unheard";
    connection.publish(topic, "{\"fan\":1}").await?;
    let shows = |twin: &Value| at(twin, "/properties/reported/fan") == 1;
    let twin = bench.watch_twin(&device.identity, shows).await?;
    let fan = at(&twin, "/properties/reported/fan");
    bench.equal_json("HUB-TWIN-014", "reported.fan", &json!(1), fan);
    Ok(())
}

/// The reported version that the device reads.
async fn reported_version(connection: &mut Connection) -> Checked<u64> {
    let document = connection.twin().await?;
    Ok(at(&document, "/reported/$version").as_u64().unwrap_or_default())
}
