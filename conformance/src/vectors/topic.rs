//! Family `topic`: what a topic or filter means.

use serde_json::{Value, json};
use twinspec_model::wire::topic::{DeviceTopic, Filter, HubTopic, Properties};

use super::{Input, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let topic = text(case, "topic")?;
    let meaning = match text(case, "direction")? {
        "device-to-hub" => DeviceTopic::parse(topic).map(device_topic).transpose()?,
        "hub-to-device" => HubTopic::parse(topic).map(hub_topic),
        "filter" => Filter::parse(topic).map(|filter| filter_meaning(&filter)),
        other => return Err(format!("unknown direction {other:?}")),
    };
    Ok(meaning.unwrap_or_else(|| json!({ "refused": true })))
}

fn device_topic(topic: DeviceTopic) -> Result<Value, String> {
    Ok(match topic {
        DeviceTopic::Telemetry { identity, properties } => json!({
            "kind": "telemetry",
            "device": identity.device,
            "module": identity.module,
            "properties": pairs(properties),
        }),
        DeviceTopic::TwinGet { rid } => json!({ "kind": "twin-get", "rid": rid }),
        DeviceTopic::TwinPatch { rid, version } => {
            let version = version.map(|version| version.parse::<u64>()).transpose();
            let version = version.map_err(|error| format!("$version: {error}"))?;
            json!({ "kind": "twin-patch", "rid": rid, "version": version })
        }
        DeviceTopic::MethodResponse { status, rid } => {
            json!({ "kind": "method-response", "status": status, "rid": rid })
        }
    })
}

fn hub_topic(topic: HubTopic) -> Value {
    match topic {
        HubTopic::TwinResponse { status, rid, version } => {
            json!({ "kind": "twin-response", "status": status, "rid": rid, "version": version })
        }
        HubTopic::Desired { version } => json!({ "kind": "desired", "version": version }),
        HubTopic::MethodRequest { name, rid } => {
            json!({ "kind": "method-request", "name": name, "rid": rid })
        }
        HubTopic::DeviceBound { device, properties } => json!({
            "kind": "devicebound",
            "device": device,
            "properties": pairs(properties),
        }),
    }
}

fn filter_meaning(filter: &Filter) -> Value {
    let family = match filter {
        Filter::TwinResponse => "twin-response",
        Filter::Desired => "desired",
        Filter::Methods { .. } => "methods",
        Filter::DeviceBound { .. } => "devicebound",
        Filter::Inputs { .. } => "inputs",
    };
    json!({ "kind": "filter", "family": family })
}

fn pairs(properties: Properties) -> Vec<Value> {
    properties.into_iter().map(|(name, value)| json!([name, value])).collect()
}

/// Every topic and filter that the model writes, read back.
pub(super) fn inputs() -> Vec<Input> {
    let rid = "7f00-A".to_owned();
    let hub = [
        HubTopic::TwinResponse { status: 200, rid: rid.clone(), version: None },
        HubTopic::TwinResponse { status: 204, rid: rid.clone(), version: Some(12) },
        HubTopic::Desired { version: 3 },
        HubTopic::MethodRequest { name: "open*valve".to_owned(), rid: rid.clone() },
    ];
    let device = [
        DeviceTopic::TwinGet { rid: rid.clone() },
        DeviceTopic::TwinPatch { rid: Some(rid.clone()), version: Some("4".to_owned()) },
        DeviceTopic::MethodResponse { status: -1, rid },
    ];
    let filters = [
        Filter::TwinResponse,
        Filter::Desired,
        Filter::Methods { name: None },
        Filter::Methods { name: Some("reboot".to_owned()) },
        Filter::DeviceBound { device: "a(b)".to_owned() },
    ];
    let input = |direction: &str, topic: String| Input {
        title: format!("The {direction} topic {topic} as it is written."),
        requirements: Vec::new(),
        members: vec![("direction", json!(direction)), ("topic", json!(topic))],
    };
    let hub = hub.iter().map(|topic| input("hub-to-device", topic.to_topic()));
    let device = device.iter().map(|topic| input("device-to-hub", topic.to_topic()));
    let filters = filters.iter().map(|filter| input("filter", filter.to_filter()));
    hub.chain(device).chain(filters).collect()
}
