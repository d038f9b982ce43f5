//! Device-side HTTPS: messages only; there is no twin and no method over it (hub-http.md § 7).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, IF_MATCH};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::service::Reply;
use super::{Hub, Output};
use crate::auth::{SasError, SasToken};
use crate::error::{ErrorCode, Refusal};
use crate::event::{Event, Source};
use crate::identity::Identity;
use crate::json;
use crate::message::{DeviceBound, TELEMETRY_BYTES_MAX};
use crate::registry::not_found;
use crate::time::Time;
use crate::twin::kind;
use crate::wire::percent;

/// Headers of a telemetry POST that become system properties.
const SYSTEM_HEADERS: &[(&str, &str)] = &[
    ("iothub-messageid", "message-id"),
    ("iothub-correlationid", "correlation-id"),
    ("iothub-userid", "user-id"),
    ("iothub-contenttype", "content-type"),
    ("iothub-contentencoding", "content-encoding"),
];

/// Headers of a message to a device, by the names that MQTT has for these properties.
const MESSAGE_HEADERS: &[(&str, &str)] = &[
    ("$.mid", "iothub-messageid"),
    ("$.cid", "iothub-correlationid"),
    ("$.uid", "iothub-userid"),
    ("$.to", "iothub-to"),
    ("$.exp", "iothub-expiry"),
    ("$.ct", "iothub-contenttype"),
    ("$.ce", "iothub-contentencoding"),
    ("iothub-ack", "iothub-ack"),
];

/// The content type of a body that holds many messages (HUB-HTTP-020).
const BATCH: &str = "application/vnd.microsoft.iothub.json";

/// What carries an application property.
const APPLICATION_PREFIX: &str = "iothub-app-";

impl Hub {
    /// Whether a device may use its HTTPS endpoints.
    ///
    /// # Errors
    /// 401 for bad credentials, 404 for an unknown and 403 for a disabled device.
    pub(super) fn authorize_device(
        &self,
        now: Time,
        identity: &Identity,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        let refuse = |why: String| Refusal::new(ErrorCode::IotHubUnauthorizedAccess, why);
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let header = header.ok_or_else(|| refuse("Authorization header missing".to_owned()))?;
        let token = SasToken::parse(header).map_err(|error| refuse(error.to_string()))?;
        let entity = self.entity(identity)?;
        let checked = self.check_device_token(now, identity, &token);
        checked.map_err(|error| refuse(error.to_string()))?;
        // Longer scopes than the identity's own are a habit of MQTT tools (A-H42): here they hold
        // for what they name.
        let accessed = percent::decode(path).unwrap_or_default();
        if !token.covers(&format!("{}{accessed}", self.config.hostname)) {
            return Err(refuse(SasError::Scope.to_string()));
        }
        if entity.record.settings.enabled {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::DeviceDisabled, identity.to_string()))
    }

    /// `POST /devices/{d}/messages/events`.
    pub(super) fn post_telemetry(
        &mut self,
        now: Time,
        identity: &Identity,
        headers: &HeaderMap,
        body: &Bytes,
        outputs: &mut Vec<Output>,
    ) -> Result<Reply, Refusal> {
        if body.len() > TELEMETRY_BYTES_MAX {
            return Err(Refusal::new(
                ErrorCode::MessageTooLarge,
                format!("The message has {} bytes, allowed are {TELEMETRY_BYTES_MAX}", body.len()),
            ));
        }
        let messages =
            if is_batch(headers) { batch(body)? } else { vec![single(headers, body.clone())] };
        let event = |message: Telemetry| Event {
            source: Source::Telemetry,
            identity: identity.clone(),
            properties: message.properties,
            system: message.system,
            body: message.body,
            at: now,
        };
        outputs.extend(messages.into_iter().map(|message| Output::Event(event(message))));
        Ok(Reply::no_content())
    }

    /// `GET /devices/{d}/messages/devicebound`: one message, locked, or 204.
    pub(super) fn receive_message(
        &mut self,
        now: Time,
        identity: &Identity,
    ) -> Result<Reply, Refusal> {
        let lock = self.entropy.serial();
        let entity = self.entities.get_mut(identity).ok_or_else(|| not_found(identity))?;
        Ok(match entity.mailbox.lock(lock, now) {
            None => Reply::no_content(),
            Some(message) => message_reply(lock, message),
        })
    }

    /// Completes, rejects or abandons a locked message.
    pub(super) fn settle_message(
        &mut self,
        identity: &Identity,
        lock: &str,
        put_back: bool,
    ) -> Result<Reply, Refusal> {
        let entity = self.entities.get_mut(identity).ok_or_else(|| not_found(identity))?;
        let settled = lock.parse().is_ok_and(|lock| entity.mailbox.settle(lock, put_back));
        if settled {
            return Ok(Reply::no_content());
        }
        Err(Refusal::new(
            ErrorCode::DeviceMessageLockLost,
            format!("The lock {lock:?} is not held"),
        ))
    }
}

/// One message of a device.
#[derive(Default)]
struct Telemetry {
    /// Application properties.
    properties: Vec<(String, String)>,
    /// System properties.
    system: Vec<(String, String)>,
    body: Bytes,
}

impl Telemetry {
    /// Adds a property by the name that a header of it has.
    fn add(&mut self, name: &str, value: String) {
        let system = SYSTEM_HEADERS.iter().find(|(header, _)| name.eq_ignore_ascii_case(header));
        match system {
            Some((_, name)) => self.system.push(((*name).to_owned(), value)),
            None => {
                let name = name.strip_prefix(APPLICATION_PREFIX).unwrap_or(name);
                self.properties.push((name.to_owned(), value));
            }
        }
    }
}

/// A message whose properties are headers: those of other kinds are none.
fn single(headers: &HeaderMap, body: Bytes) -> Telemetry {
    let mut message = Telemetry { body, ..Telemetry::default() };
    for (name, value) in headers {
        let name = name.as_str();
        if name.starts_with(APPLICATION_PREFIX) || SYSTEM_HEADERS.iter().any(|(h, _)| *h == name) {
            message.add(name, String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
    }
    message
}

fn is_batch(headers: &HeaderMap) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let named = named.and_then(|text| text.split(';').next()).unwrap_or_default();
    named.trim().eq_ignore_ascii_case(BATCH)
}

/// The messages of a batch: `[{"body": …, "base64Encoded": …, "properties": {…}}, …]`.
///
/// A body is Base64 unless the message says otherwise. A bad message refuses the whole batch.
fn batch(body: &[u8]) -> Result<Vec<Telemetry>, Refusal> {
    let body = json::parse(body)?;
    let Value::Array(messages) = &body else {
        let found = kind(&body);
        return Err(Refusal::invalid(format!("A batch must be a JSON array, found {found}")));
    };
    let read = |(at, message): (usize, &Value)| {
        batched(message).map_err(|why| {
            Refusal::invalid(format!("Message {} of the batch: {why}", at.saturating_add(1)))
        })
    };
    messages.iter().enumerate().map(read).collect()
}

fn batched(message: &Value) -> Result<Telemetry, String> {
    let nothing = Value::Null;
    let member = |name: &str| message.get(name).unwrap_or(&nothing);
    let Value::String(text) = member("body") else {
        return Err(format!("body must be a string, found {}", kind(member("body"))));
    };
    let is_encoded = match member("base64Encoded") {
        Value::Null => true,
        Value::Bool(is_encoded) => *is_encoded,
        other => return Err(format!("base64Encoded must be a Boolean, found {}", kind(other))),
    };
    let body = if is_encoded {
        STANDARD.decode(text).map_err(|error| format!("body is no Base64: {error}"))?
    } else {
        text.clone().into_bytes()
    };
    let mut read = Telemetry { body: body.into(), ..Telemetry::default() };
    match member("properties") {
        Value::Null => {}
        Value::Object(properties) => {
            for (name, value) in properties {
                let Value::String(value) = value else {
                    let found = kind(value);
                    return Err(format!("the property {name:?} must be a string, found {found}"));
                };
                read.add(name, value.clone());
            }
        }
        other => return Err(format!("properties must be a JSON object, found {}", kind(other))),
    }
    Ok(read)
}

fn message_reply(lock: u64, message: DeviceBound) -> Reply {
    let header = |(name, value): (String, Option<String>)| {
        let system = MESSAGE_HEADERS.iter().find(|(short, _)| *short == name);
        let name = match system {
            Some((_, header)) => HeaderName::from_static(header),
            None => HeaderName::try_from(format!("{APPLICATION_PREFIX}{name}")).ok()?,
        };
        Some((name, HeaderValue::try_from(value.unwrap_or_default()).ok()?))
    };
    Reply {
        status: StatusCode::OK,
        body: None,
        bytes: message.body,
        etag: Some(lock.to_string()),
        headers: message.properties.into_iter().filter_map(header).collect(),
    }
}

/// The lock token that a settle call names in its path; `If-Match` repeats it.
pub(super) fn lock_of<'a>(path_lock: &'a str, headers: &'a HeaderMap) -> &'a str {
    let repeated = headers.get(IF_MATCH).and_then(|value| value.to_str().ok());
    repeated.map_or(path_lock, |text| text.trim_matches('"'))
}
