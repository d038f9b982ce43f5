//! The will of a connection (HUB-CONN-025, -026).

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use twinspec_model::wire::mqtt::{Packet, Qos, Will};

use crate::bench::{Bench, Connection, Registered};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "connection-will-after-cut",
        title: "The will of a device whose connection is cut is emitted as telemetry",
        requirements: &["HUB-CONN-025"],
        needs: &[Need::Control],
        run: body!(will_after_cut),
    },
    Case {
        id: "connection-will-module",
        title: "The will of a module whose connection is cut is emitted as its telemetry",
        requirements: &["HUB-CONN-025"],
        needs: &[Need::Control],
        run: body!(will_module),
    },
    Case {
        id: "connection-will-properties",
        title: "A will on a topic with properties is emitted with them",
        requirements: &["HUB-CONN-025"],
        needs: &[Need::Control],
        run: body!(will_properties),
    },
    Case {
        id: "connection-will-after-silence",
        title: "The will of a device that is dropped for its silence is emitted",
        requirements: &["HUB-CONN-025"],
        needs: &[Need::Control, Need::Clock],
        run: body!(will_after_silence),
    },
    Case {
        id: "connection-will-after-violation",
        title: "The will of a device that is dropped for a second CONNECT is emitted",
        requirements: &["HUB-CONN-025"],
        needs: &[Need::Control],
        run: body!(will_after_violation),
    },
    Case {
        id: "connection-will-after-take-over",
        title: "The will of a connection that a newer one replaces is emitted",
        requirements: &["HUB-CONN-025"],
        needs: &[Need::Control],
        run: body!(will_after_take_over),
    },
    Case {
        id: "connection-no-will-after-goodbye",
        title: "The will of a device that says goodbye is not emitted",
        requirements: &["HUB-CONN-026"],
        needs: &[Need::Control],
        run: body!(no_will_after_goodbye),
    },
    Case {
        id: "connection-no-will-after-goodbye-module",
        title: "The will of a module that says goodbye is not emitted",
        requirements: &["HUB-CONN-026"],
        needs: &[Need::Control],
        run: body!(no_will_after_goodbye_module),
    },
];

/// Seconds of keep-alive of a connection with a will.
const KEEP_ALIVE: u16 = 60;

async fn will_after_cut(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = connect_with_will(bench, &device, "", "lost").await?;
    connection.cut().await;
    demand_will(bench, &device, "lost").await.map(drop)
}

async fn will_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let connection = connect_with_will(bench, &module, "", "lost").await?;
    connection.cut().await;
    let will = demand_will(bench, &module, "lost").await?;
    let seen = will.get("moduleId").cloned().unwrap_or_default();
    bench.equal_json("HUB-CONN-025", "moduleId", &Value::from("vision"), &seen);
    Ok(())
}

async fn will_properties(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = connect_with_will(bench, &device, "reason=no%20power", "lost").await?;
    connection.cut().await;
    let will = demand_will(bench, &device, "lost").await?;
    let seen = will.pointer("/properties/reason").cloned().unwrap_or_default();
    bench.equal_json("HUB-CONN-025", "property reason", &Value::from("no power"), &seen);
    Ok(())
}

async fn will_after_silence(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = connect_with_will(bench, &device, "", "silent").await?;
    bench.advance(Duration::from_secs(KEEP_ALIVE.into()).mul_f64(1.8)).await?;
    connection.closed("HUB-CONN-021").await?;
    demand_will(bench, &device, "silent").await.map(drop)
}

async fn will_after_take_over(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut older = connect_with_will(bench, &device, "", "ousted").await?;
    let _newer = bench.connect(&device).await?;
    older.closed("HUB-CONN-019").await?;
    demand_will(bench, &device, "ousted").await.map(drop)
}

async fn will_after_violation(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = connect_with_will(bench, &device, "", "rude").await?;
    let connect = bench.login(&device).connect;
    connection.send(&Packet::Connect(Box::new(connect))).await?;
    connection.closed("HUB-CONN-018").await?;
    demand_will(bench, &device, "rude").await.map(drop)
}

async fn no_will_after_goodbye(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_no_will(bench, &device).await
}

async fn no_will_after_goodbye_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_no_will(bench, &module).await
}

/// Demands that a goodbye cancels the will: telemetry sent later is the next thing heard.
async fn demand_no_will(bench: &mut Bench, who: &Registered) -> Checked {
    let connection = connect_with_will(bench, who, "", "cut").await?;
    connection.cut().await;
    demand_will(bench, who, "cut").await?;
    let connection = connect_with_will(bench, who, "", "goodbye").await?;
    connection.disconnect().await?;
    let mut connection = bench.connect(who).await?;
    let topic = format!("{}/messages/events/", who.identity.resource_path());
    connection.publish_acknowledged("HUB-TELE-001", &topic, "sentinel").await?;
    let device = who.identity.device.clone();
    let is_sentinel = |event: &Value| has_body(event, "sentinel");
    bench.event("HUB-TELE-001", "telemetry as an event", &device, is_sentinel).await?;
    let events = bench.events(&device).await?;
    let emitted = events.iter().find(|event| has_body(event, "goodbye"));
    let seen = emitted.map(ToString::to_string).unwrap_or_default();
    bench.demand("HUB-CONN-026", emitted.is_none(), "no will after DISCONNECT", seen);
    Ok(())
}

/// Connects with a will on the own telemetry topic, and `bag` as its properties.
async fn connect_with_will(
    bench: &mut Bench,
    who: &Registered,
    bag: &str,
    payload: &'static str,
) -> Checked<Connection> {
    let mut login = bench.login(who);
    login.connect.keep_alive = KEEP_ALIVE;
    login.connect.will = Some(Will {
        topic: format!("{}/messages/events/{bag}", who.identity.resource_path()),
        payload: Bytes::from_static(payload.as_bytes()),
        qos: Qos::AtLeastOnce,
        retain: false,
    });
    let (connection, answer) = bench.connect_with(&who.identity.to_string(), &login).await?;
    bench.equal("HUB-CONN-025", "CONNACK to a CONNECT with a will", 0, answer.code.number());
    Ok(connection)
}

/// Demands the will with that payload as an event; the event.
async fn demand_will(bench: &mut Bench, who: &Registered, payload: &str) -> Checked<Value> {
    let allowed = format!("telemetry with the body {payload:?}");
    let wanted = |event: &Value| has_body(event, payload);
    let event = bench.event("HUB-CONN-025", &allowed, &who.identity.device, wanted).await?;
    let seen = event.pointer("/properties/iothub-MessageType").cloned().unwrap_or_default();
    let what = "property iothub-MessageType";
    bench.equal_json("HUB-CONN-025", what, &Value::from("Will"), &seen);
    Ok(event)
}

/// Whether an event is telemetry with the text `body`.
fn has_body(event: &Value, body: &str) -> bool {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    text("/source") == Some("Telemetry") && text("/body/text") == Some(body)
}
