//! Telemetry that a hub takes, and telemetry that ends the connection (HUB-TELE-001, -004, -006
//! to -008).

use bytes::Bytes;
use serde_json::{Value, json};
use twinspec_model::identity::Identity;
use twinspec_model::wire::mqtt::{Packet, Publish};

use crate::bench::{Bench, Connection, Registered};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "telemetry-accepted",
        title: "Telemetry with an empty bag at QoS 1 is acknowledged",
        requirements: &["HUB-TELE-001"],
        needs: &[],
        run: body!(acknowledged),
    },
    Case {
        id: "telemetry-delivered",
        title: "Telemetry with an empty bag reaches the back ends as it was sent, at QoS 0 and 1",
        requirements: &["HUB-TELE-001"],
        needs: &[Need::Control],
        run: body!(delivered),
    },
    Case {
        id: "telemetry-accepted-module",
        title: "A module's telemetry on its own topic is acknowledged",
        requirements: &["HUB-TELE-004"],
        needs: &[],
        run: body!(acknowledged_module),
    },
    Case {
        id: "telemetry-delivered-module",
        title: "A module's telemetry reaches the back ends under the names of device and module",
        requirements: &["HUB-TELE-004"],
        needs: &[Need::Control],
        run: body!(delivered_module),
    },
    Case {
        id: "telemetry-too-large",
        title: "Messages of 276,000 and of 300,000 bytes end the connection",
        requirements: &["HUB-TELE-006"],
        needs: &[],
        run: body!(too_large),
    },
    Case {
        id: "telemetry-large",
        title: "A message of 245,000 bytes is acknowledged",
        requirements: &["HUB-TELE-007"],
        needs: &[],
        run: body!(large),
    },
    Case {
        id: "telemetry-topic-unknown",
        title: "A message on a topic that no document names ends the connection",
        requirements: &["HUB-TELE-008"],
        needs: &[],
        run: body!(topic_unknown),
    },
    Case {
        id: "telemetry-topic-foreign",
        title: "A message on the topic of another device ends the connection",
        requirements: &["HUB-TELE-008"],
        needs: &[],
        run: body!(topic_foreign),
    },
    Case {
        id: "telemetry-topic-foreign-module",
        title: "A device's message on the topic of its module ends the connection, and vice versa",
        requirements: &["HUB-TELE-008"],
        needs: &[],
        run: body!(topic_foreign_module),
    },
];

async fn acknowledged(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let topic = events_topic(&device.identity);
    send_acknowledged(bench, "HUB-TELE-001", &mut connection, &topic, "{\"fan\":1}").await?;
    let is_open = connection.is_open().await?;
    bench.demand("HUB-TELE-001", is_open, "an open connection afterwards", "a closed one");
    Ok(())
}

async fn acknowledged_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let mut connection = bench.connect(&module).await?;
    let topic = events_topic(&module.identity);
    send_acknowledged(bench, "HUB-TELE-004", &mut connection, &topic, "{\"fan\":1}").await?;
    let is_open = connection.is_open().await?;
    bench.demand("HUB-TELE-004", is_open, "an open connection afterwards", "a closed one");
    Ok(())
}

async fn delivered(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let topic = events_topic(&device.identity);
    connection.publish(&topic, "{\"fan\":1}").await?;
    send_acknowledged(bench, "HUB-TELE-001", &mut connection, &topic, "plain text").await?;
    for body in [json!({ "json": { "fan": 1 } }), json!({ "text": "plain text" })] {
        let event = telemetry_event(bench, "HUB-TELE-001", &device.identity.device, &body).await?;
        let properties = event.get("properties").cloned().unwrap_or(Value::Null);
        bench.equal_json("HUB-TELE-001", "properties", &json!({}), &properties);
    }
    Ok(())
}

async fn delivered_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let mut connection = bench.connect(&module).await?;
    connection.publish(&events_topic(&module.identity), "from the module").await?;
    let body = json!({ "text": "from the module" });
    let event = telemetry_event(bench, "HUB-TELE-004", &device.identity.device, &body).await?;
    let seen = event.get("moduleId").cloned().unwrap_or(Value::Null);
    bench.equal_json("HUB-TELE-004", "moduleId", &json!("vision"), &seen);
    Ok(())
}

async fn too_large(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let topic = events_topic(&device.identity);
    for length in [276_000, 300_000] {
        let mut connection = bench.connect(&device).await?;
        send_acknowledged(bench, "HUB-TELE-001", &mut connection, &topic, "small").await?;
        let large = Publish::at_most_once(topic.as_str(), "x".repeat(length));
        // The hub may close while this is still being written.
        let _may_fail_half_way = connection.raw().send(&Packet::Publish(large)).await;
        connection.closed("HUB-TELE-006").await?;
        let allowed = format!("the connection closed after {length} bytes");
        bench.demand("HUB-TELE-006", true, allowed, "it closed");
    }
    Ok(())
}

async fn large(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let (topic, payload) = (events_topic(&device.identity), "x".repeat(245_000));
    send_acknowledged(bench, "HUB-TELE-007", &mut connection, &topic, payload).await
}

async fn topic_unknown(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_closed(bench, &device, "suite/x").await?;
    let topic = format!("devices/{}/suite", device.identity.device);
    demand_closed(bench, &device, &topic).await
}

async fn topic_foreign(bench: &mut Bench) -> Checked {
    let (device, other) = (bench.device().await?, bench.device().await?);
    demand_closed(bench, &device, &events_topic(&other.identity)).await
}

async fn topic_foreign_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_closed(bench, &device, &events_topic(&module.identity)).await?;
    demand_closed(bench, &module, &events_topic(&device.identity)).await
}

/// Demands that `who` may publish on its own topic and loses its connection for `topic`.
async fn demand_closed(bench: &mut Bench, who: &Registered, topic: &str) -> Checked {
    let mut connection = bench.connect(who).await?;
    let own = events_topic(&who.identity);
    let taken = if who.identity.module.is_none() { "HUB-TELE-001" } else { "HUB-TELE-004" };
    send_acknowledged(bench, taken, &mut connection, &own, "control").await?;
    connection.publish(topic, "nobody may read this").await?;
    connection.closed("HUB-TELE-008").await?;
    let allowed = format!("the connection closed after a message on {topic}");
    bench.demand("HUB-TELE-008", true, allowed, "it closed");
    Ok(())
}

/// Where `identity` publishes telemetry: the topic with an empty bag.
pub(super) fn events_topic(identity: &Identity) -> String {
    match &identity.module {
        None => format!("devices/{}/messages/events/", identity.device),
        Some(module) => format!("devices/{}/modules/{module}/messages/events/", identity.device),
    }
}

/// Publishes at QoS 1 and demands the acknowledgement.
pub(super) async fn send_acknowledged(
    bench: &mut Bench,
    requirement: &'static str,
    connection: &mut Connection,
    topic: &str,
    payload: impl Into<Bytes>,
) -> Checked {
    let id = connection.new_id();
    connection.send(&Packet::Publish(Publish::at_least_once(id, topic, payload))).await?;
    let allowed = format!("a PUBACK for the message on {topic}");
    let is_ack = |packet: &Packet| (*packet == Packet::PubAck(id)).then_some(());
    connection.expect(requirement, &allowed, is_ack).await?;
    bench.demand(requirement, true, allowed, "a PUBACK");
    Ok(())
}

/// Waits for the telemetry of `device` with this body, as the control interface shows it.
pub(super) async fn telemetry_event(
    bench: &mut Bench,
    requirement: &'static str,
    device: &str,
    body: &Value,
) -> Checked<Value> {
    let wanted = |event: &Value| {
        event.get("source") == Some(&json!("Telemetry")) && event.get("body") == Some(body)
    };
    let allowed = format!("telemetry with the body {body}");
    let event = bench.event(requirement, &allowed, device, wanted).await?;
    bench.demand(requirement, true, allowed, event.to_string());
    Ok(event)
}
