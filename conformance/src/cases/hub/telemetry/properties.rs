//! Properties of telemetry and of cloud-to-device messages (HUB-TELE-002, -003, -005, -009).

use serde_json::{Value, json};
use twinspec_model::wire::mqtt::{Packet, Publish, Qos};
use twinspec_model::wire::topic::Filter;

use super::message::{events_topic, send_acknowledged, telemetry_event};
use crate::bench::Bench;
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "telemetry-properties",
        title: "The bag after the topic becomes application properties",
        requirements: &["HUB-TELE-002"],
        needs: &[Need::Control],
        run: body!(plain),
    },
    Case {
        id: "telemetry-properties-decoded",
        title: "Names and values of properties are percent-decoded, and nothing else",
        requirements: &["HUB-TELE-002"],
        needs: &[Need::Control],
        run: body!(decoded),
    },
    Case {
        id: "telemetry-properties-names",
        title: "Names are decoded and keep their letter case, and a value may be empty",
        requirements: &["HUB-TELE-002"],
        needs: &[Need::Control],
        run: body!(names),
    },
    Case {
        id: "telemetry-properties-slash",
        title: "A bag that ends with a slash, as an SDK writes it, becomes the same properties",
        requirements: &["HUB-TELE-002"],
        needs: &[Need::Control],
        run: body!(slash),
    },
    Case {
        id: "telemetry-system-encoded",
        title: "Names that begin with %24. set system properties",
        requirements: &["HUB-TELE-003"],
        needs: &[Need::Control],
        run: body!(system_encoded),
    },
    Case {
        id: "telemetry-system-plain",
        title: "Names that begin with $. set system properties",
        requirements: &["HUB-TELE-003"],
        needs: &[Need::Control],
        run: body!(system_plain),
    },
    Case {
        id: "telemetry-retain",
        title: "A message with RETAIN is delivered with the property mqtt-retain",
        requirements: &["HUB-TELE-005"],
        needs: &[Need::Control],
        run: body!(retain),
    },
    Case {
        id: "telemetry-retain-forgotten",
        title: "A message with RETAIN is delivered once and leaves no mark on later ones",
        requirements: &["HUB-TELE-005"],
        needs: &[Need::Control],
        run: body!(retain_forgotten),
    },
    Case {
        id: "telemetry-device-bound",
        title: "Null, empty and other values are told apart in a cloud-to-device topic",
        requirements: &["HUB-TELE-009"],
        needs: &[Need::Control],
        run: body!(device_bound),
    },
];

async fn plain(bench: &mut Bench) -> Checked {
    let allowed = json!({ "alert": "high", "line": "7" });
    demand_properties(bench, "alert=high&line=7", &allowed).await
}

async fn decoded(bench: &mut Bench) -> Checked {
    let bag = "two%20words=a%26b%3Dc&path=%2Fx%2fy&unit=%C2%B0C&sum=1%2B1&percent=100%2525";
    let allowed = json!({
        "two words": "a&b=c",
        "path": "/x/y",
        "unit": "°C",
        "sum": "1+1",
        "percent": "100%25",
    });
    demand_properties(bench, bag, &allowed).await
}

async fn names(bench: &mut Bench) -> Checked {
    let bag = "Alert=High&alert=low&a%26b%3Dc=1&%C2%B0C=2&1%2B1=3&empty=&100%2525=4";
    let allowed = json!({
        "Alert": "High",
        "alert": "low",
        "a&b=c": "1",
        "°C": "2",
        "1+1": "3",
        "empty": "",
        "100%25": "4",
    });
    demand_properties(bench, bag, &allowed).await
}

async fn slash(bench: &mut Bench) -> Checked {
    demand_properties(bench, "alert=high&line=7/", &json!({ "alert": "high", "line": "7" })).await
}

/// Demands the application properties of a message with `bag`.
async fn demand_properties(bench: &mut Bench, bag: &str, allowed: &Value) -> Checked {
    let event = event_of(bench, "HUB-TELE-002", bag).await?;
    let seen = event.get("properties").cloned().unwrap_or(Value::Null);
    bench.equal_json("HUB-TELE-002", "properties", allowed, &seen);
    Ok(())
}

async fn system_encoded(bench: &mut Bench) -> Checked {
    demand_system(bench, "%24").await
}

async fn system_plain(bench: &mut Bench) -> Checked {
    demand_system(bench, "$").await
}

/// Demands the system properties of a message whose names begin with `dollar` and a dot.
async fn demand_system(bench: &mut Bench, dollar: &str) -> Checked {
    let bag = format!(
        "{dollar}.ct=application%2Fjson&{dollar}.ce=utf-8&{dollar}.mid=m-1&{dollar}.cid=c-1&line=7"
    );
    let event = event_of(bench, "HUB-TELE-003", &bag).await?;
    let seen = event.get("systemProperties");
    let allowed = [
        ("content-type", "application/json"),
        ("content-encoding", "utf-8"),
        ("message-id", "m-1"),
        ("correlation-id", "c-1"),
    ];
    for (name, value) in allowed {
        let seen = seen.and_then(|seen| seen.get(name)).unwrap_or(&Value::Null);
        bench.equal_json("HUB-TELE-003", name, &json!(value), seen);
    }
    let properties = event.get("properties").cloned().unwrap_or(Value::Null);
    bench.equal_json("HUB-TELE-003", "properties", &json!({ "line": "7" }), &properties);
    Ok(())
}

/// The event of a message that a new device sends with `bag`.
async fn event_of(bench: &mut Bench, requirement: &'static str, bag: &str) -> Checked<Value> {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let topic = format!("{}{bag}", events_topic(&device.identity));
    send_acknowledged(bench, requirement, &mut connection, &topic, "{\"fan\":1}").await?;
    let body = json!({ "json": { "fan": 1 } });
    telemetry_event(bench, requirement, &device.identity.device, &body).await
}

async fn retain(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let topic = events_topic(&device.identity);
    let publish = retained(&topic, "kept");
    connection.send(&Packet::Publish(publish)).await?;
    let body = json!({ "text": "kept" });
    let event = telemetry_event(bench, "HUB-TELE-005", &device.identity.device, &body).await?;
    let marked = event.pointer("/properties/mqtt-retain").is_some();
    bench.demand("HUB-TELE-005", marked, "the property mqtt-retain", event.to_string());
    Ok(())
}

async fn retain_forgotten(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let topic = events_topic(&device.identity);
    connection.send(&Packet::Publish(retained(&topic, "kept"))).await?;
    connection.disconnect().await?;
    let mut connection = bench.connect(&device).await?;
    connection.publish(&topic, "later").await?;
    let id = &device.identity.device;
    let later = telemetry_event(bench, "HUB-TELE-005", id, &json!({ "text": "later" })).await?;
    let unmarked = later.pointer("/properties/mqtt-retain").is_none();
    let allowed = "no property mqtt-retain on a message without RETAIN";
    bench.demand("HUB-TELE-005", unmarked, allowed, later.to_string());
    let events = bench.events(id).await?;
    let kept = events.iter().filter(|event| event.pointer("/body/text") == Some(&json!("kept")));
    bench.equal("HUB-TELE-005", "deliveries of the message with RETAIN:", 1, kept.count());
    Ok(())
}

fn retained(topic: &str, payload: &str) -> Publish {
    Publish { retain: true, ..Publish::at_most_once(topic, payload.to_owned()) }
}

async fn device_bound(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let id = device.identity.device.clone();
    let mut connection = bench.connect(&device).await?;
    let filter = Filter::DeviceBound { device: id.clone() };
    connection.subscribe(&filter, Qos::AtMostOnce).await?;
    bench.settle().await;
    let properties = [("none", None), ("empty", Some("")), ("full", Some("value"))];
    bench.send_to_device(&id, &properties, "for you").await?;
    let start = format!("devices/{id}/messages/devicebound/");
    let allowed = format!("a message on {start}…");
    let topic = connection.expect("HUB-TELE-009", &allowed, |packet| match packet {
        Packet::Publish(publish) => publish.topic.strip_prefix(&start).map(str::to_owned),
        _ => None,
    });
    let bag = topic.await?;
    let pairs: Vec<&str> = bag.split('&').collect();
    for pair in ["none", "empty=", "full=value"] {
        let allowed = format!("{pair} in the bag");
        bench.demand("HUB-TELE-009", pairs.contains(&pair), allowed, bag.as_str());
    }
    Ok(())
}
