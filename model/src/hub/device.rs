//! Device-side HTTPS: messages only; there is no twin and no method over it (hub-http.md § 7).

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, IF_MATCH};
use http::{HeaderName, HeaderValue, StatusCode};

use super::service::Reply;
use super::{Hub, Output};
use crate::auth::{SasError, SasToken};
use crate::error::{ErrorCode, Refusal};
use crate::event::{Event, Source};
use crate::identity::Identity;
use crate::message::{DeviceBound, TELEMETRY_BYTES_MAX};
use crate::registry::not_found;
use crate::time::Time;
use crate::wire::percent;

/// Headers of a telemetry POST that become system properties.
const SYSTEM_HEADERS: &[(&str, &str)] = &[
    ("iothub-messageid", "message-id"),
    ("iothub-correlationid", "correlation-id"),
    ("iothub-userid", "user-id"),
    ("iothub-contenttype", "content-type"),
    ("iothub-contentencoding", "content-encoding"),
];

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
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let application = headers.iter().filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(APPLICATION_PREFIX)?;
            Some((name.to_owned(), text(value)))
        });
        let system = SYSTEM_HEADERS
            .iter()
            .filter_map(|(header, name)| Some(((*name).to_owned(), text(headers.get(*header)?))));
        outputs.push(Output::Event(Event {
            source: Source::Telemetry,
            identity: identity.clone(),
            properties: application.collect(),
            system: system.collect(),
            body: body.clone(),
            at: now,
        }));
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

fn message_reply(lock: u64, message: DeviceBound) -> Reply {
    let header = |(name, value): (String, Option<String>)| {
        let name = format!("{APPLICATION_PREFIX}{name}");
        let name = HeaderName::try_from(name).ok()?;
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
