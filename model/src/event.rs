//! What a hub tells its back ends besides answers: telemetry and notifications, as message routing
//! delivers them (iot-hub-non-telemetry-event-schema.md).

use bytes::Bytes;
use serde_json::{Value, json};

use crate::identity::Identity;
use crate::time::Time;

/// Where an event comes from: `iothub-message-source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Messages that devices sent.
    Telemetry,
    /// Twins that changed.
    TwinChange,
    /// Identities that came and went.
    Lifecycle,
    /// Connections that came and went.
    ConnectionState,
}

impl Source {
    /// The name in `iothub-message-source`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Telemetry => "Telemetry",
            Self::TwinChange => "twinChangeEvents",
            Self::Lifecycle => "deviceLifecycleEvents",
            Self::ConnectionState => "deviceConnectionStateEvents",
        }
    }

    /// The name in `iothub-message-schema`; telemetry has none.
    #[must_use]
    pub fn schema(self) -> Option<&'static str> {
        match self {
            Self::Telemetry => None,
            Self::TwinChange => Some("twinChangeNotification"),
            Self::Lifecycle => Some("deviceLifecycleNotification"),
            Self::ConnectionState => Some("deviceConnectionStateNotification"),
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Where it comes from.
    pub source: Source,
    /// Whom it is about.
    pub identity: Identity,
    /// Application properties, or `opType` and its companions.
    pub properties: Vec<(String, String)>,
    /// System properties.
    pub system: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
    /// When the hub took it in.
    pub at: Time,
}

impl Event {
    /// A notification of the hub's own with the operation `operation` and a JSON body.
    #[must_use]
    pub fn notification(
        source: Source,
        identity: &Identity,
        hub: &str,
        operation: &str,
        body: &Value,
        at: Time,
    ) -> Self {
        let mut properties = vec![
            ("opType", operation.to_owned()),
            ("deviceId", identity.device.clone()),
            ("hubName", hub.to_owned()),
            ("operationTimestamp", at.to_string()),
            ("iothub-message-source", source.name().to_owned()),
        ];
        properties.extend(identity.module.clone().map(|module| ("moduleId", module)));
        properties.extend(source.schema().map(|name| ("iothub-message-schema", name.to_owned())));
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        Self {
            source,
            identity: identity.clone(),
            properties: properties.into_iter().map(owned).collect(),
            system: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Bytes::from(body.to_string()),
            at,
        }
    }

    /// The event as JSON: a body that is JSON as such, other text as `text`, bytes as `hex`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let pairs = |pairs: &[(String, String)]| -> Value {
            pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
        };
        let body = match (serde_json::from_slice(&self.body), std::str::from_utf8(&self.body)) {
            (Ok(value), _) => json!({ "json": Value::clone(&value) }),
            (Err(_), Ok(text)) => json!({ "text": text }),
            (Err(_), Err(_)) => {
                let hex: String = self.body.iter().map(|byte| format!("{byte:02x}")).collect();
                json!({ "hex": hex })
            }
        };
        json!({
            "source": self.source.name(),
            "deviceId": self.identity.device,
            "moduleId": self.identity.module,
            "properties": pairs(&self.properties),
            "systemProperties": pairs(&self.system),
            "body": body,
            "enqueuedTime": self.at.to_string(),
        })
    }
}
