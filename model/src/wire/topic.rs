//! Topic names and filters (hub-mqtt.md § 4: T1 to T14).
//!
//! Ids stand unencoded in topics, property names and values are percent-encoded, and a request id
//! is opaque text that is echoed as it came.

use super::percent;
use crate::identity::Identity;

/// What a device publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceTopic {
    /// T1, T2: telemetry with its property bag.
    Telemetry {
        /// The identity the topic names.
        identity: Identity,
        /// Decoded properties in order; no value when there was no `=`.
        properties: Properties,
    },
    /// T7: asks for the twin.
    TwinGet {
        /// Request id.
        rid: String,
    },
    /// T9: changes reported properties.
    TwinPatch {
        /// Request id; without one there is no answer.
        rid: Option<String>,
        /// `$version`, the version the device believes to be current, as text.
        version: Option<String>,
    },
    /// T14: answers a direct method.
    MethodResponse {
        /// The device's status.
        status: i64,
        /// Request id.
        rid: String,
    },
}

/// What the hub publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubTopic {
    /// T8: answers a twin request.
    TwinResponse {
        /// Status as in HTTP.
        status: u16,
        /// Request id.
        rid: String,
        /// The new reported version, on success of a PATCH.
        version: Option<u64>,
    },
    /// T11: desired properties changed.
    Desired {
        /// The new desired version.
        version: u64,
    },
    /// T13: a direct method call.
    MethodRequest {
        /// Method name.
        name: String,
        /// Request id.
        rid: String,
    },
    /// T4: a cloud-to-device message.
    DeviceBound {
        /// The device addressed.
        device: String,
        /// Decoded properties in order.
        properties: Properties,
    },
}

/// Decoded property bag: names with values, `None` for a name without `=`.
pub type Properties = Vec<(String, Option<String>)>;

/// A subscription the hub offers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// T6: `$iothub/twin/res/#`.
    TwinResponse,
    /// T10: `$iothub/twin/PATCH/properties/desired/#`.
    Desired,
    /// T12: `$iothub/methods/POST/#`, or one method only.
    Methods {
        /// The one method, for a per-method filter.
        name: Option<String>,
    },
    /// T3: `devices/{d}/messages/devicebound/#`.
    DeviceBound {
        /// The device the filter names.
        device: String,
    },
    /// T5: inputs of an Edge module.
    Inputs {
        /// The module the filter names.
        identity: Identity,
    },
}

const TWIN_GET: &str = "$iothub/twin/GET/";
const TWIN_PATCH: &str = "$iothub/twin/PATCH/properties/reported/";
const TWIN_RESPONSE: &str = "$iothub/twin/res/";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/";
const METHOD_REQUEST: &str = "$iothub/methods/POST/";
const METHOD_RESPONSE: &str = "$iothub/methods/res/";

impl DeviceTopic {
    /// Reads a topic a device published to; `None` when the hub knows no such topic.
    #[must_use]
    pub fn parse(topic: &str) -> Option<Self> {
        if let Some(rest) = topic.strip_prefix(TWIN_GET) {
            let rid = request_query(rest)?.rid.filter(|rid| !rid.is_empty())?;
            return Some(Self::TwinGet { rid });
        }
        if let Some(rest) = topic.strip_prefix(TWIN_PATCH) {
            // Without any query the update is made and nobody is answered (A-H11).
            let query = if rest.is_empty() { "?" } else { rest };
            let RequestQuery { rid, version } = request_query(query)?;
            return Some(Self::TwinPatch { rid: rid.filter(|rid| !rid.is_empty()), version });
        }
        if let Some(rest) = topic.strip_prefix(METHOD_RESPONSE) {
            let (status, query) = rest.split_once('/')?;
            let rid = request_query(query)?.rid?;
            return Some(Self::MethodResponse { status: status.parse().ok()?, rid });
        }
        telemetry(topic)
    }

    /// The topic as a device writes it.
    #[must_use]
    pub fn to_topic(&self) -> String {
        match self {
            Self::Telemetry { identity, properties } => {
                format!("{}/messages/events/{}", identity.resource_path(), bag(properties))
            }
            Self::TwinGet { rid } => format!("{TWIN_GET}?$rid={rid}"),
            Self::TwinPatch { rid, version } => {
                let rid = rid.as_ref().map(|rid| format!("$rid={rid}"));
                let version = version.as_ref().map(|version| format!("$version={version}"));
                let query: Vec<String> = rid.into_iter().chain(version).collect();
                format!("{TWIN_PATCH}?{}", query.join("&"))
            }
            Self::MethodResponse { status, rid } => {
                format!("{METHOD_RESPONSE}{status}/?$rid={rid}")
            }
        }
    }
}

impl HubTopic {
    /// Reads a topic the hub published to; `None` when the protocol knows no such topic.
    #[must_use]
    pub fn parse(topic: &str) -> Option<Self> {
        if let Some(rest) = topic.strip_prefix(TWIN_RESPONSE) {
            let (status, query) = rest.split_once("/?$rid=")?;
            let (rid, version) = match query.split_once("&$version=") {
                Some((rid, version)) => (rid, Some(version.parse().ok()?)),
                None => (query, None),
            };
            let status = three_digits(status)?;
            return Some(Self::TwinResponse { status, rid: rid.to_owned(), version });
        }
        if let Some(rest) = topic.strip_prefix(DESIRED) {
            let version = rest.strip_prefix("?$version=")?.parse().ok()?;
            return Some(Self::Desired { version });
        }
        if let Some(rest) = topic.strip_prefix(METHOD_REQUEST) {
            let (name, rid) = rest.split_once("/?$rid=")?;
            return Some(Self::MethodRequest { name: name.to_owned(), rid: rid.to_owned() });
        }
        let (device, rest) = topic.strip_prefix("devices/")?.split_once('/')?;
        let properties = properties(rest.strip_prefix("messages/devicebound/")?)?;
        Some(Self::DeviceBound { device: device.to_owned(), properties })
    }

    /// The topic as the hub writes it: `$rid` before `$version` (HUB-TWIN-009).
    #[must_use]
    pub fn to_topic(&self) -> String {
        match self {
            Self::TwinResponse { status, rid, version: None } => {
                format!("{TWIN_RESPONSE}{status}/?$rid={rid}")
            }
            Self::TwinResponse { status, rid, version: Some(version) } => {
                format!("{TWIN_RESPONSE}{status}/?$rid={rid}&$version={version}")
            }
            Self::Desired { version } => format!("{DESIRED}?$version={version}"),
            Self::MethodRequest { name, rid } => format!("{METHOD_REQUEST}{name}/?$rid={rid}"),
            Self::DeviceBound { device, properties } => {
                format!("devices/{device}/messages/devicebound/{}", bag(properties))
            }
        }
    }
}

impl Filter {
    /// Reads a filter; `None` when it is outside the documented set (HUB-SESS-014).
    #[must_use]
    pub fn parse(filter: &str) -> Option<Self> {
        match filter {
            "$iothub/twin/res/#" => return Some(Self::TwinResponse),
            "$iothub/twin/PATCH/properties/desired/#" => return Some(Self::Desired),
            "$iothub/methods/POST/#" => return Some(Self::Methods { name: None }),
            _ => {}
        }
        if let Some(rest) = filter.strip_prefix(METHOD_REQUEST) {
            let name = rest.strip_suffix("/#").filter(|name| is_level(name))?;
            return Some(Self::Methods { name: Some(name.to_owned()) });
        }
        let (device, rest) = filter.strip_prefix("devices/")?.split_once('/')?;
        if !is_level(device) {
            return None;
        }
        if rest == "messages/devicebound/#" {
            return Some(Self::DeviceBound { device: device.to_owned() });
        }
        let rest = rest.strip_prefix("modules/")?.strip_suffix("/#")?;
        let module = rest.strip_suffix("/inputs").unwrap_or(rest);
        is_level(module).then(|| Self::Inputs { identity: Identity::module(device, module) })
    }

    /// The filter as a client writes it.
    #[must_use]
    pub fn to_filter(&self) -> String {
        match self {
            Self::TwinResponse => format!("{TWIN_RESPONSE}#"),
            Self::Desired => format!("{DESIRED}#"),
            Self::Methods { name: None } => format!("{METHOD_REQUEST}#"),
            Self::Methods { name: Some(name) } => format!("{METHOD_REQUEST}{name}/#"),
            Self::DeviceBound { device } => format!("devices/{device}/messages/devicebound/#"),
            Self::Inputs { identity } => format!("{}/inputs/#", identity.resource_path()),
        }
    }
}

/// Whether `text` is one non-empty topic level without wildcards.
fn is_level(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '#', '+'])
}

/// `?$rid=…[&$version=…]` of a twin or method topic, undecoded: a request id is echoed as it came.
struct RequestQuery {
    rid: Option<String>,
    version: Option<String>,
}

/// Reads the last level of a request topic; `None` when it is not a lone query.
fn request_query(text: &str) -> Option<RequestQuery> {
    let query = text.strip_prefix('?')?;
    let mut result = RequestQuery { rid: None, version: None };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("$rid", value)) => result.rid = Some(value.to_owned()),
            Some(("$version", value)) => result.version = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(result)
}

fn telemetry(topic: &str) -> Option<DeviceTopic> {
    let (device, rest) = topic.strip_prefix("devices/")?.split_once('/')?;
    let (identity, rest) = match rest.strip_prefix("modules/") {
        None => (Identity::device(device), rest),
        Some(rest) => {
            let (module, rest) = rest.split_once('/')?;
            (Identity::module(device, module), rest)
        }
    };
    let bag = match rest.strip_prefix("messages/events") {
        Some("") => "",
        Some(rest) => rest.strip_prefix('/')?,
        None => return None,
    };
    Some(DeviceTopic::Telemetry { identity, properties: properties(bag)? })
}

/// Reads a property bag in all its forms: with a leading `?` or a trailing `/`, `$` encoded or not.
fn properties(bag: &str) -> Option<Properties> {
    let bag = bag.strip_prefix('?').unwrap_or(bag);
    let bag = bag.strip_suffix('/').unwrap_or(bag);
    if bag.contains('/') {
        return None;
    }
    percent::decode_pairs(bag)
}

/// Writes a property bag: `null` → `key`, empty → `key=`, else `key=value` (HUB-TELE-009).
fn bag(properties: &Properties) -> String {
    let pair = |(key, value): &(String, Option<String>)| match value {
        None => percent::encode(key),
        Some(value) => format!("{}={}", percent::encode(key), percent::encode(value)),
    };
    properties.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn three_digits(text: &str) -> Option<u16> {
    (text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_not_decoded() {
        let parsed = DeviceTopic::parse("$iothub/twin/GET/?$rid=a%20b");
        assert_eq!(parsed, Some(DeviceTopic::TwinGet { rid: "a%20b".to_owned() }));
    }

    #[test]
    fn extra_levels_are_no_topic() {
        assert_eq!(DeviceTopic::parse("$iothub/twin/GET/x/?$rid=1"), None);
        assert_eq!(DeviceTopic::parse("devices/d/messages/events/a=1/b=2"), None);
    }

    #[test]
    fn the_three_kinds_of_property_values_are_written_apart() {
        let properties = vec![
            ("none".to_owned(), None),
            ("empty".to_owned(), Some(String::new())),
            ("full".to_owned(), Some("a b".to_owned())),
        ];
        let topic = HubTopic::DeviceBound { device: "d".to_owned(), properties };
        let text = "devices/d/messages/devicebound/none&empty=&full=a%20b";
        assert_eq!(topic.to_topic(), text);
        assert_eq!(HubTopic::parse(text), Some(topic));
    }
}
