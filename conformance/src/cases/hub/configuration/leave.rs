//! What happens when a twin leaves a condition or a configuration goes (HUB-CFG-008).

use serde_json::{Value, json};

use super::calls::{Member, deleted, id_of, setting, update};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "configuration-left-by-tag",
        title: "A device that no longer meets the condition loses the settings",
        requirements: &["HUB-CFG-008"],
        needs: &[],
        run: body!(left_by_tag),
    },
    Case {
        id: "configuration-left-notified",
        title: "A connected device is notified of the removal with null",
        requirements: &["HUB-CFG-008"],
        needs: &[],
        run: body!(left_notified),
    },
    Case {
        id: "configuration-left-keeps-others",
        title: "Properties that were not set by the configuration stay",
        requirements: &["HUB-CFG-008"],
        needs: &[],
        run: body!(left_keeps_others),
    },
    Case {
        id: "configuration-left-next-applies",
        title: "A device that leaves the winner takes the settings of the next one",
        requirements: &["HUB-CFG-008"],
        needs: &[],
        run: body!(left_next_applies),
    },
    Case {
        id: "configuration-deleted-settings-removed",
        title: "The settings of a deleted configuration are removed",
        requirements: &["HUB-CFG-008"],
        needs: &[],
        run: body!(deleted_settings_removed),
    },
    Case {
        id: "configuration-deleted-next-applies",
        title: "When the winner is deleted, the next one applies",
        requirements: &["HUB-CFG-008"],
        needs: &[],
        run: body!(deleted_next_applies),
    },
    Case {
        id: "configuration-condition-changed",
        title: "A condition that is changed takes the settings from one device to another",
        requirements: &["HUB-CFG-008"],
        needs: &[],
        run: body!(condition_changed),
    },
    Case {
        id: "configuration-entered-again",
        title: "A device that comes back gets the settings again",
        requirements: &["HUB-CFG-008"],
        needs: &[],
        run: body!(entered_again),
    },
];

fn fan(value: u32) -> Value {
    setting("fan", json!(value))
}

/// A device with `{"fan": 1}` from a configuration of priority 10: both.
async fn configured(bench: &mut Bench) -> Checked<(Member, Value)> {
    let at = Member::inside(bench).await?;
    let made = at.configure(bench, 10, &fan(1)).await?;
    at.gets(bench, "HUB-CFG-006", &json!({ "fan": 1 })).await?;
    Ok((at, made))
}

async fn left_by_tag(bench: &mut Bench) -> Checked {
    let (at, _) = configured(bench).await?;
    at.leave(bench).await?;
    at.gets(bench, "HUB-CFG-008", &json!({})).await?;
    Ok(())
}

async fn left_notified(bench: &mut Bench) -> Checked {
    let (at, _) = configured(bench).await?;
    let mut connection = bench.connect_and_listen(&at.device).await?;
    at.leave(bench).await?;
    at.gets(bench, "HUB-CFG-008", &json!({})).await?;
    let seen = connection.notification_by("HUB-CFG-008").await?.members();
    bench.equal_json("HUB-CFG-008", "notification", &json!({ "fan": null }), &seen);
    Ok(())
}

async fn left_keeps_others(bench: &mut Bench) -> Checked {
    let at = Member::inside(bench).await?;
    let own = json!({ "led": "on", "fan": { "own": 1 } });
    bench.patch_twin(at.identity(), &json!({ "properties": { "desired": own } })).await?;
    at.configure(bench, 10, &setting("fan.rpm", json!(66))).await?;
    let both = json!({ "led": "on", "fan": { "own": 1, "rpm": 66 } });
    at.gets(bench, "HUB-CFG-006", &both).await?;
    at.leave(bench).await?;
    at.gets(bench, "HUB-CFG-008", &own).await?;
    Ok(())
}

async fn left_next_applies(bench: &mut Bench) -> Checked {
    let at = Member::inside(bench).await?;
    let id = bench.new_configuration();
    let by_id = format!("deviceId = '{}'", at.identity().device);
    let below = super::calls::document(&id, &by_id, 5, &setting("fan", json!(2)));
    super::calls::create(bench, "HUB-CFG-001", &below).await?;
    at.gets(bench, "HUB-CFG-006", &json!({ "fan": 2 })).await?;
    let above = json!({ "properties.desired.fan": 1, "properties.desired.led": "on" });
    at.configure(bench, 10, &above).await?;
    at.gets(bench, "HUB-CFG-007", &json!({ "fan": 1, "led": "on" })).await?;
    at.leave(bench).await?;
    at.gets(bench, "HUB-CFG-008", &json!({ "fan": 2 })).await?;
    Ok(())
}

async fn deleted_settings_removed(bench: &mut Bench) -> Checked {
    let (at, made) = configured(bench).await?;
    deleted(bench, "HUB-CFG-001", id_of(&made)).await?;
    at.gets(bench, "HUB-CFG-008", &json!({})).await?;
    Ok(())
}

async fn deleted_next_applies(bench: &mut Bench) -> Checked {
    let (at, _) = configured(bench).await?;
    let above = json!({ "properties.desired.fan": 2, "properties.desired.led": "on" });
    let winner = at.configure(bench, 20, &above).await?;
    at.gets(bench, "HUB-CFG-007", &json!({ "fan": 2, "led": "on" })).await?;
    deleted(bench, "HUB-CFG-001", id_of(&winner)).await?;
    at.gets(bench, "HUB-CFG-008", &json!({ "fan": 1 })).await?;
    Ok(())
}

async fn condition_changed(bench: &mut Bench) -> Checked {
    bench.configure_alone().await?;
    let (at, made) = configured(bench).await?;
    let other = Member::inside(bench).await?;
    update(bench, "HUB-CFG-003", &made, "targetCondition", json!(other.condition)).await?;
    other.gets(bench, "HUB-CFG-008", &json!({ "fan": 1 })).await?;
    at.gets(bench, "HUB-CFG-008", &json!({})).await?;
    Ok(())
}

async fn entered_again(bench: &mut Bench) -> Checked {
    let (at, _) = configured(bench).await?;
    at.leave(bench).await?;
    at.gets(bench, "HUB-CFG-008", &json!({})).await?;
    at.enter(bench).await?;
    at.gets(bench, "HUB-CFG-008", &json!({ "fan": 1 })).await?;
    Ok(())
}
