//! Notifications to back ends (HUB-HTTP-016 to -019).

use http::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, IfMatch, Registered, identity_path, words};
use crate::body;
use crate::case::{Case, Need};
use crate::cases::hub::registry::calls::text;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "http-event-of-patch",
        title: "A PATCH of a twin produces an event updateTwin",
        requirements: &["HUB-HTTP-016"],
        needs: &[Need::Control],
        run: |bench| Box::pin(write_told(bench, Method::PATCH, "updateTwin")),
    },
    Case {
        id: "http-event-of-put",
        title: "A PUT of a twin produces an event replaceTwin",
        requirements: &["HUB-HTTP-016"],
        needs: &[Need::Control],
        run: |bench| Box::pin(write_told(bench, Method::PUT, "replaceTwin")),
    },
    Case {
        id: "http-event-of-report",
        title: "A report of a device produces an event updateTwin",
        requirements: &["HUB-HTTP-016"],
        needs: &[Need::Control],
        run: body!(report_told),
    },
    Case {
        id: "http-event-of-module-twin",
        title: "Changes of a module's twin produce events that name the module",
        requirements: &["HUB-HTTP-016"],
        needs: &[Need::Control],
        run: body!(module_write_told),
    },
    Case {
        id: "http-event-body-desired",
        title: "The event of a PATCH of desired properties has the version and the nulls",
        requirements: &["HUB-HTTP-017"],
        needs: &[Need::Control],
        run: |bench| Box::pin(changes_told(bench, "/properties/desired")),
    },
    Case {
        id: "http-event-body-tags",
        title: "The event of a PATCH of tags has the version and the nulls",
        requirements: &["HUB-HTTP-017"],
        needs: &[Need::Control],
        run: |bench| Box::pin(changes_told(bench, "/tags")),
    },
    Case {
        id: "http-event-body-reported",
        title: "The event of a report has the version and the nulls",
        requirements: &["HUB-HTTP-017"],
        needs: &[Need::Control],
        run: body!(reported_changes_told),
    },
    Case {
        id: "http-event-of-device-life",
        title: "Creation and deletion of a device produce events",
        requirements: &["HUB-HTTP-018"],
        needs: &[Need::Control],
        run: body!(device_life_told),
    },
    Case {
        id: "http-event-of-module-life",
        title: "Creation and deletion of a module produce events",
        requirements: &["HUB-HTTP-018"],
        needs: &[Need::Control],
        run: body!(module_life_told),
    },
    Case {
        id: "http-event-of-connection",
        title: "Connections and goodbyes of a device produce events with growing numbers",
        requirements: &["HUB-HTTP-019"],
        needs: &[Need::Control],
        run: body!(connection_told),
    },
    Case {
        id: "http-event-of-broken-connection",
        title: "A broken connection of a device produces an event with a greater number",
        requirements: &["HUB-HTTP-019"],
        needs: &[Need::Control],
        run: body!(broken_connection_told),
    },
    Case {
        id: "http-event-of-module-connection",
        title: "Connections and goodbyes of a module produce events with growing numbers",
        requirements: &["HUB-HTTP-019"],
        needs: &[Need::Control],
        run: body!(module_connection_told),
    },
];

/// Whether an event is a change of a twin of this kind.
fn is_change(event: &Value, operation: &str) -> bool {
    text(event, "/source") == "twinChangeEvents" && text(event, "/properties/opType") == operation
}

/// The module that an event is about; empty for a device.
fn module_of(event: &Value) -> &str {
    match text(event, "/moduleId") {
        "" => text(event, "/properties/moduleId"),
        module => module,
    }
}

/// Waits for the event of a twin change that `wanted` takes.
async fn change(
    bench: &mut Bench,
    requirement: &'static str,
    who: &Registered,
    operation: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Checked<Value> {
    let module = who.identity.module.clone().unwrap_or_default();
    let allowed = format!("a twin change with opType {operation} about {}", who.identity);
    let fits =
        |event: &Value| is_change(event, operation) && module_of(event) == module && wanted(event);
    bench.event(requirement, &allowed, &who.identity.device, fits).await
}

async fn demand_write_told(
    bench: &mut Bench,
    who: &Registered,
    method: Method,
    operation: &str,
) -> Checked {
    let body = json!({ "tags": { "site": 7 }, "properties": { "desired": { "fan": 1 } } });
    let answer = bench.write_twin(method, &who.identity, IfMatch::Absent, &body).await?;
    bench.equal("HUB-MERGE-022", "status", 200, answer.status.as_u16());
    let event = change(bench, "HUB-HTTP-016", who, operation, |_| true).await?;
    let seen = text(&event, "/properties/opType");
    bench.equal("HUB-HTTP-016", "opType", operation, seen);
    Ok(())
}

async fn write_told(bench: &mut Bench, method: Method, operation: &str) -> Checked {
    let device = bench.device().await?;
    demand_write_told(bench, &device, method, operation).await
}

async fn module_write_told(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_write_told(bench, &module, Method::PATCH, "updateTwin").await?;
    demand_write_told(bench, &module, Method::PUT, "replaceTwin").await
}

async fn report_told(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "fan": 1 })).await?;
    let event = change(bench, "HUB-HTTP-016", &device, "updateTwin", |_| true).await?;
    bench.equal("HUB-HTTP-016", "opType", "updateTwin", text(&event, "/properties/opType"));
    Ok(())
}

/// A change that keeps, sets and removes members.
fn patch() -> Value {
    json!({ "led": null, "door": "open" })
}

async fn changes_told(bench: &mut Bench, pointer: &str) -> Checked {
    let device = bench.device().await?;
    for members in [json!({ "fan": 1, "led": "on" }), patch()] {
        let body = match pointer {
            "/tags" => json!({ "tags": members }),
            _ => json!({ "properties": { "desired": members } }),
        };
        bench.patch_twin(&device.identity, &body).await?;
    }
    demand_changes(bench, &device, pointer).await
}

async fn reported_changes_told(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "fan": 1, "led": "on" })).await?;
    connection.reported(&patch()).await?;
    demand_changes(bench, &device, "/properties/reported").await
}

/// The event of the last change holds its members, nulls included, and a version.
async fn demand_changes(bench: &mut Bench, device: &Registered, pointer: &str) -> Checked {
    let door = format!("/body/json{pointer}/door");
    let is_last = |event: &Value| event.pointer(&door).is_some();
    let event = change(bench, "HUB-HTTP-017", device, "updateTwin", is_last).await?;
    let seen = event.pointer(&door).unwrap_or(&Value::Null);
    bench.equal_json("HUB-HTTP-017", "door", &json!("open"), seen);
    let led = event.pointer(&format!("/body/json{pointer}/led"));
    bench.equal("HUB-HTTP-017", "led", Some(&Value::Null), led);
    let version = event.pointer("/body/json/version");
    let is_version = version.is_some_and(Value::is_u64);
    bench.demand("HUB-HTTP-017", is_version, "an integer version", words(&version));
    Ok(())
}

/// Waits for a lifecycle event: of modules there are two forms (A-H53).
async fn demand_life(bench: &mut Bench, who: &Registered, word: &str) -> Checked {
    let module = who.identity.module.clone().unwrap_or_default();
    let mut operations = vec![format!("{word}DeviceIdentity")];
    let mut sources = vec!["deviceLifecycleEvents"];
    if who.identity.module.is_some() {
        operations.push(format!("{word}ModuleIdentity"));
        sources.push("moduleLifecycleEvents");
    }
    let fits = |event: &Value| {
        let operation = text(event, "/properties/opType").to_owned();
        sources.contains(&text(event, "/source"))
            && operations.contains(&operation)
            && module_of(event) == module
    };
    let allowed = format!("a lifecycle event {operations:?} about {}", who.identity);
    let event = bench.event("HUB-HTTP-018", &allowed, &who.identity.device, fits).await?;
    bench.demand("HUB-HTTP-018", fits(&event), allowed, event.to_string());
    Ok(())
}

async fn device_life_told(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_life(bench, &device, "create").await?;
    delete(bench, &device).await?;
    demand_life(bench, &device, "delete").await
}

async fn module_life_told(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_life(bench, &module, "create").await?;
    delete(bench, &module).await?;
    demand_life(bench, &module, "delete").await
}

async fn delete(bench: &mut Bench, who: &Registered) -> Checked {
    let path = identity_path(&who.identity);
    let answer = bench.call(Method::DELETE, &path, IfMatch::Any, None).await?;
    bench.equal("HUB-REG-009", "status", 204, answer.status.as_u16());
    Ok(())
}

/// Waits for a connection event with a number above `last`, and returns the number.
async fn demand_connection(
    bench: &mut Bench,
    who: &Registered,
    operation: &str,
    last: Option<u128>,
) -> Checked<Option<u128>> {
    let module = who.identity.module.clone().unwrap_or_default();
    let number = |event: &Value| {
        let digits = text(event, "/body/json/sequenceNumber");
        u128::from_str_radix(digits, 16).ok()
    };
    let fits = |event: &Value| {
        text(event, "/source") == "deviceConnectionStateEvents"
            && text(event, "/properties/opType") == operation
            && module_of(event) == module
            && number(event) > last
    };
    let allowed = format!("{operation} about {} with a number above {last:x?}", who.identity);
    let event = bench.event("HUB-HTTP-019", &allowed, &who.identity.device, fits).await?;
    bench.demand("HUB-HTTP-019", fits(&event), allowed, event.to_string());
    Ok(number(&event))
}

async fn demand_connections(bench: &mut Bench, who: &Registered) -> Checked {
    let connection = bench.connect(who).await?;
    let first = demand_connection(bench, who, "deviceConnected", None).await?;
    connection.disconnect().await?;
    let second = demand_connection(bench, who, "deviceDisconnected", first).await?;
    let _connection = bench.connect(who).await?;
    demand_connection(bench, who, "deviceConnected", second).await.map(drop)
}

async fn connection_told(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_connections(bench, &device).await
}

async fn module_connection_told(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_connections(bench, &module).await
}

async fn broken_connection_told(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = bench.connect(&device).await?;
    let first = demand_connection(bench, &device, "deviceConnected", None).await?;
    connection.cut().await;
    demand_connection(bench, &device, "deviceDisconnected", first).await.map(drop)
}
