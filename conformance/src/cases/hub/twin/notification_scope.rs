//! Who is notified of what, and what a device knows in the end (HUB-NOTI-007 to -011).

use serde_json::{Map, Value, json};

use super::device::at;
use super::notification::{desired_topic, set_desired};
use crate::bench::{Bench, Connection, Notification, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-report-not-notified",
        title: "Reported PATCHes cause no desired notification",
        requirements: &["HUB-NOTI-007"],
        needs: &[],
        run: body!(report_not_notified),
    },
    Case {
        id: "twin-tags-not-notified",
        title: "PATCHes of tags alone cause no desired notification",
        requirements: &["HUB-NOTI-008"],
        needs: &[],
        run: body!(tags_not_notified),
    },
    Case {
        id: "twin-module-notified-alone",
        title: "A change for a module is notified to the module and not to its device",
        requirements: &["HUB-NOTI-009"],
        needs: &[],
        run: body!(module_notified_alone),
    },
    Case {
        id: "twin-device-notified-alone",
        title: "A change for a device is notified to the device and not to its module",
        requirements: &["HUB-NOTI-009"],
        needs: &[],
        run: body!(device_notified_alone),
    },
    Case {
        id: "twin-sibling-module-not-notified",
        title: "A change for one module of a device is not notified to another",
        requirements: &["HUB-NOTI-009"],
        needs: &[],
        run: body!(sibling_module_not_notified),
    },
    Case {
        id: "twin-notification-versions-grow",
        title: "Changes in sequence are notified with increasing versions",
        requirements: &["HUB-NOTI-010"],
        needs: &[],
        run: body!(versions_grow),
    },
    Case {
        id: "twin-reconnection-flow",
        title: "A device that reads while changes come in and skips old versions ends up right",
        requirements: &["HUB-NOTI-010"],
        needs: &[],
        run: body!(reconnection_flow),
    },
    Case {
        id: "twin-offline-changes-read",
        title: "A GET after a goodbye and a reconnect shows what changed in between",
        requirements: &["HUB-NOTI-011"],
        needs: &[],
        run: body!(offline_changes_read),
    },
    Case {
        id: "twin-offline-changes-read-after-cut",
        title: "A GET after a broken connection shows what changed in between",
        requirements: &["HUB-NOTI-011"],
        needs: &[],
        run: body!(offline_changes_read_after_cut),
    },
];

async fn report_not_notified(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    set_desired(bench, &device, json!({ "fan": 1 })).await?;
    connection.notification().await?;
    connection.reported(&json!({ "fan": 1 })).await?;
    connection.reported(&json!({ "fan": null, "door": "open" })).await?;
    demand_silence(bench, "HUB-NOTI-007", &device, &mut connection).await
}

async fn tags_not_notified(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    set_desired(bench, &device, json!({ "fan": 1 })).await?;
    connection.notification().await?;
    for tags in [json!({ "site": 7, "fan": 2 }), json!({ "site": null })] {
        bench.patch_twin(&device.identity, &json!({ "tags": tags })).await?;
    }
    demand_silence(bench, "HUB-NOTI-008", &device, &mut connection).await
}

async fn module_notified_alone(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_notified_alone(bench, &module, &device).await
}

async fn device_notified_alone(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_notified_alone(bench, &device, &module).await
}

async fn sibling_module_not_notified(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let sibling = bench.module(&device, "hearing").await?;
    demand_notified_alone(bench, &module, &sibling).await
}

/// A change for `addressed` is notified to it and not to `other`, while both listen.
async fn demand_notified_alone(
    bench: &mut Bench,
    addressed: &Registered,
    other: &Registered,
) -> Checked {
    let mut connection = bench.connect_and_listen(addressed).await?;
    let mut silent = bench.connect_and_listen(other).await?;
    let version = set_desired(bench, addressed, json!({ "lens": "wide" })).await?;
    let seen = desired_topic("HUB-NOTI-009", &mut connection).await?;
    let allowed = format!("$iothub/twin/PATCH/properties/desired/?$version={version}");
    bench.equal("HUB-NOTI-009", "topic", allowed, seen);
    demand_silence(bench, "HUB-NOTI-009", other, &mut silent).await
}

/// Nothing has been notified since: the next notification is that of a change made now.
async fn demand_silence(
    bench: &mut Bench,
    requirement: &'static str,
    who: &Registered,
    connection: &mut Connection,
) -> Checked {
    set_desired(bench, who, json!({ "sentinel": true })).await?;
    let seen = connection.notification().await?;
    // Told apart by its content: versions of different twins may be equal.
    let is_sentinel = seen.body.get("sentinel").is_some();
    let text = format!("version {} with {}", seen.version, seen.body);
    bench.demand(requirement, is_sentinel, "no notification before that of a later change", text);
    Ok(())
}

async fn versions_grow(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let mut seen = Vec::new();
    for fan in [1, 2, 3] {
        set_desired(bench, &device, json!({ "fan": fan })).await?;
        seen.push(connection.notification().await?.version);
    }
    let grows = seen.is_sorted_by(|earlier, later| earlier < later);
    bench.demand("HUB-NOTI-010", grows, "increasing versions", format!("{seen:?}"));
    Ok(())
}

async fn reconnection_flow(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    set_desired(bench, &device, json!({ "fan": 1, "led": "on" })).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    set_desired(bench, &device, json!({ "fan": 2, "mode": "eco" })).await?;
    connection.publish("$iothub/twin/GET/?$rid=flow", "").await?;
    set_desired(bench, &device, json!({ "fan": 3 })).await?;
    let document = connection.twin_answer("HUB-TWIN-001", "flow").await?.json();
    let last = set_desired(bench, &device, json!({ "led": null, "door": "shut" })).await?;
    let mut known = Known::from_document(&document);
    while known.version < last {
        known.hear(&connection.notification().await?);
    }
    let allowed = json!({ "fan": 3, "mode": "eco", "door": "shut" });
    let seen = Value::Object(known.members);
    bench.equal_json("HUB-NOTI-010", "state of the device", &allowed, &seen);
    Ok(())
}

/// What a client knows that follows the documented reconnection flow, for flat members.
struct Known {
    version: u64,
    members: Map<String, Value>,
}

impl Known {
    fn from_document(document: &Value) -> Self {
        let mut members = at(document, "/desired").as_object().cloned().unwrap_or_default();
        let version = members.remove("$version").and_then(|version| version.as_u64());
        Self { version: version.unwrap_or_default(), members }
    }

    fn hear(&mut self, notification: &Notification) {
        if notification.version <= self.version {
            return;
        }
        self.version = notification.version;
        let heard = notification.members();
        for (key, value) in heard.as_object().into_iter().flatten() {
            if value.is_null() {
                self.members.remove(key);
            } else {
                self.members.insert(key.clone(), value.clone());
            }
        }
    }
}

async fn offline_changes_read(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = connected_once(bench, &device).await?;
    connection.disconnect().await?;
    demand_changes_read(bench, &device).await
}

async fn offline_changes_read_after_cut(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = connected_once(bench, &device).await?;
    connection.cut().await;
    demand_changes_read(bench, &device).await
}

/// A connection that has read the twin and was notified of a change.
async fn connected_once(bench: &mut Bench, device: &Registered) -> Checked<Connection> {
    let mut connection = bench.connect_and_listen(device).await?;
    set_desired(bench, device, json!({ "fan": 1, "led": "on" })).await?;
    connection.notification().await?;
    connection.twin().await?;
    Ok(connection)
}

/// What is changed while `device` is away is in the document it reads when it is back.
async fn demand_changes_read(bench: &mut Bench, device: &Registered) -> Checked {
    set_desired(bench, device, json!({ "fan": 2, "led": null })).await?;
    let version = set_desired(bench, device, json!({ "mode": "eco" })).await?;
    let mut connection = bench.connect_and_listen(device).await?;
    let document = connection.twin().await?;
    let allowed = json!({ "fan": 2, "mode": "eco", "$version": version });
    bench.equal_json("HUB-NOTI-011", "desired", &allowed, at(&document, "/desired"));
    Ok(())
}
