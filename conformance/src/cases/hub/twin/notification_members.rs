//! Which members a desired-properties notification has (HUB-NOTI-004 to -006, HUB-TWIN-004).

use serde_json::json;

use super::device::at;
use super::notification::{notified, set_desired};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-notification-patch-members",
        title: "The notification of a PATCH has its members, also unchanged ones, and no others",
        requirements: &["HUB-NOTI-004"],
        needs: &[],
        run: body!(patch_members),
    },
    Case {
        id: "twin-notification-nested-patch-members",
        title: "The notification of a PATCH has no others inside objects either",
        requirements: &["HUB-NOTI-004"],
        needs: &[],
        run: body!(nested_patch_members),
    },
    Case {
        id: "twin-notification-replace",
        title: "The notification of a PUT has the new section and null for each vanished key",
        requirements: &["HUB-NOTI-005"],
        needs: &[],
        run: body!(replace),
    },
    Case {
        id: "twin-notification-replace-by-nothing",
        title: "The notification of a PUT of an empty section has null for each key",
        requirements: &["HUB-NOTI-005"],
        needs: &[],
        run: body!(replace_by_nothing),
    },
    Case {
        id: "twin-notification-hides-metadata",
        title: "Notifications of PATCH and PUT have no metadata",
        requirements: &["HUB-NOTI-006"],
        needs: &[],
        run: body!(hides_metadata),
    },
    Case {
        id: "twin-notification-hides-tags",
        title: "Tags that are patched together with desired properties are not notified",
        requirements: &["HUB-TWIN-004"],
        needs: &[],
        run: body!(hides_tags),
    },
];

/// A tag that could not be in a notification by chance.
const HIDDEN: &str = "suite-hidden-site";

async fn patch_members(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let all = json!({ "fan": 1, "led": "on" });
    let seen = notified(bench, &device, &mut connection, all.clone()).await?;
    bench.equal_json("HUB-NOTI-004", "members", &all, &seen.members());
    let unchanged = json!({ "fan": 1 });
    let seen = notified(bench, &device, &mut connection, unchanged.clone()).await?;
    bench.equal_json("HUB-NOTI-004", "members", &unchanged, &seen.members());
    Ok(())
}

async fn nested_patch_members(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let all = json!({ "fan": { "speed": 1, "mode": "eco" }, "led": "on" });
    notified(bench, &device, &mut connection, all).await?;
    let part = json!({ "fan": { "speed": 1 } });
    let seen = notified(bench, &device, &mut connection, part.clone()).await?;
    bench.equal_json("HUB-NOTI-004", "members", &part, &seen.members());
    Ok(())
}

async fn replace(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    set_desired(bench, &device, json!({ "fan": 1, "led": "on" })).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let put = json!({ "properties": { "desired": { "fan": 1, "mode": "eco" } } });
    bench.replace_twin(&device.identity, &put).await?;
    let seen = connection.notification().await?;
    let allowed = json!({ "fan": 1, "led": null, "mode": "eco" });
    bench.equal_json("HUB-NOTI-005", "members", &allowed, &seen.members());
    Ok(())
}

async fn replace_by_nothing(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    set_desired(bench, &device, json!({ "fan": 1, "led": "on" })).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let put = json!({ "properties": { "desired": {} } });
    bench.replace_twin(&device.identity, &put).await?;
    let seen = connection.notification().await?;
    let allowed = json!({ "fan": null, "led": null });
    bench.equal_json("HUB-NOTI-005", "members", &allowed, &seen.members());
    Ok(())
}

async fn hides_metadata(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let patch = json!({ "fan": { "speed": 1 } });
    let patched = notified(bench, &device, &mut connection, patch).await?;
    let put = json!({ "properties": { "desired": { "fan": { "speed": 2 } } } });
    bench.replace_twin(&device.identity, &put).await?;
    let replaced = connection.notification().await?;
    for seen in [patched, replaced] {
        let text = seen.body.to_string();
        let hidden = !text.contains("\"$metadata\"");
        bench.demand("HUB-NOTI-006", hidden, "a body without $metadata", text);
    }
    Ok(())
}

async fn hides_tags(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let patch = json!({ "tags": { "site": HIDDEN }, "properties": { "desired": { "fan": 1 } } });
    let twin = bench.patch_twin(&device.identity, &patch).await?;
    bench.equal_json("HUB-MERGE-015", "tag", &json!(HIDDEN), at(&twin, "/tags/site"));
    let text = connection.notification().await?.body.to_string();
    let hidden = !text.contains("\"tags\"") && !text.contains(HIDDEN);
    bench.demand("HUB-TWIN-004", hidden, "a notification without tags", text);
    Ok(())
}
