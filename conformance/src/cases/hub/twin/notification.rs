//! What a desired-properties notification says (HUB-NOTI-001 to -003).

use serde_json::{Value, json};
use twinspec_model::wire::mqtt::Packet;

use super::device::at;
use crate::bench::{Bench, Connection, Notification, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-notified-of-patch",
        title: "A PATCH of desired properties is notified on the topic of its version",
        requirements: &["HUB-NOTI-001"],
        needs: &[],
        run: body!(notified_of_patch),
    },
    Case {
        id: "twin-notification-versions-agree",
        title: "A notification has the changed members and one version in topic, body and answer",
        requirements: &["HUB-NOTI-002"],
        needs: &[],
        run: body!(versions_agree),
    },
    Case {
        id: "twin-notification-nested-change",
        title: "A change inside an object is notified at its place",
        requirements: &["HUB-NOTI-002"],
        needs: &[],
        run: body!(nested_change),
    },
    Case {
        id: "twin-notification-removal",
        title: "A member that a PATCH removes is notified as null",
        requirements: &["HUB-NOTI-003"],
        needs: &[],
        run: body!(removal),
    },
    Case {
        id: "twin-notification-nested-removal",
        title: "A member that a PATCH removes from an object is notified as null in that object",
        requirements: &["HUB-NOTI-003"],
        needs: &[],
        run: body!(nested_removal),
    },
    Case {
        id: "twin-notification-beside-tags",
        title: "A desired change that comes with one of tags is notified, without the tags",
        requirements: &["HUB-NOTI-002"],
        needs: &[],
        run: body!(beside_tags),
    },
];

async fn notified_of_patch(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    for fan in [1, 2] {
        let version = set_desired(bench, &device, json!({ "fan": fan })).await?;
        let seen = desired_topic("HUB-NOTI-001", &mut connection).await?;
        let allowed = format!("$iothub/twin/PATCH/properties/desired/?$version={version}");
        bench.equal("HUB-NOTI-001", "topic", allowed, seen);
    }
    Ok(())
}

async fn versions_agree(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    for fan in [1, 2] {
        let version = set_desired(bench, &device, json!({ "fan": fan, "led": "on" })).await?;
        let seen = connection.notification().await?;
        bench.equal("HUB-NOTI-002", "version in the topic", version, seen.version);
        let in_body = at(&seen.body, "/$version");
        bench.equal_json("HUB-NOTI-002", "version in the body", &json!(version), in_body);
        bench.equal_json("HUB-NOTI-002", "fan", &json!(fan), at(&seen.body, "/fan"));
    }
    Ok(())
}

async fn nested_change(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    set_desired(bench, &device, json!({ "fan": { "speed": 1, "mode": "eco" } })).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let seen = notified(bench, &device, &mut connection, json!({ "fan": { "speed": 3 } })).await?;
    bench.equal_json("HUB-NOTI-002", "fan.speed", &json!(3), at(&seen.body, "/fan/speed"));
    Ok(())
}

async fn removal(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    set_desired(bench, &device, json!({ "fan": 1, "led": "on" })).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let seen = notified(bench, &device, &mut connection, json!({ "fan": null })).await?;
    demand_null(bench, &seen, "/fan");
    Ok(())
}

async fn nested_removal(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    set_desired(bench, &device, json!({ "fan": { "speed": 1, "mode": "eco" } })).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let patch = json!({ "fan": { "mode": null, "speed": 2 } });
    let seen = notified(bench, &device, &mut connection, patch).await?;
    demand_null(bench, &seen, "/fan/mode");
    Ok(())
}

async fn beside_tags(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let patch = json!({ "tags": { "site": "north" }, "properties": { "desired": { "fan": 1 } } });
    bench.patch_twin(&device.identity, &patch).await?;
    let seen = connection.notification_by("HUB-NOTI-002").await?;
    bench.equal_json("HUB-NOTI-002", "members", &json!({ "fan": 1 }), &seen.members());
    Ok(())
}

/// An absent member does not do: the device would keep the old value.
fn demand_null(bench: &mut Bench, seen: &Notification, pointer: &str) {
    let is_null = seen.body.pointer(pointer).is_some_and(Value::is_null);
    bench.demand("HUB-NOTI-003", is_null, format!("null at {pointer}"), seen.body.to_string());
}

/// Patches the desired properties of a device that listens: its next notification.
pub(super) async fn notified(
    bench: &mut Bench,
    who: &Registered,
    connection: &mut Connection,
    members: Value,
) -> Checked<Notification> {
    set_desired(bench, who, members).await?;
    connection.notification().await
}

/// Patches the desired properties: the new version as the back end is told.
pub(super) async fn set_desired(
    bench: &mut Bench,
    who: &Registered,
    members: Value,
) -> Checked<u64> {
    let patch = json!({ "properties": { "desired": members } });
    let twin = bench.patch_twin(&who.identity, &patch).await?;
    at(&twin, "/properties/desired/$version").as_u64().ok_or_else(|| Stop::Broken {
        requirement: "HUB-MERGE-022",
        allowed: "the twin with properties.desired.$version".to_owned(),
        seen: twin.to_string(),
    })
}

/// The topic of the next notification, whatever it says.
pub(super) async fn desired_topic(
    requirement: &'static str,
    connection: &mut Connection,
) -> Checked<String> {
    let prefix = "$iothub/twin/PATCH/properties/desired/";
    let topic = connection.expect(requirement, "a notification", |packet| match packet {
        Packet::Publish(publish) => Some(&publish.topic).filter(|t| t.starts_with(prefix)).cloned(),
        _ => None,
    });
    topic.await
}
