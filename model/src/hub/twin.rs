//! Twins on the wire: device requests over MQTT, back-end requests over HTTP, notifications.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::service::{IfMatch, Reply};
use super::{ConnectionId, Entity, Hub, HubConfig, Output};
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::json;
use crate::query::TWIN_MEMBERS;
use crate::registry::not_found;
use crate::throttle::{Throttle, ThrottleRule};
use crate::time::{Time, or_never};
use crate::twin::section::MetadataStyle;
use crate::twin::{DesiredNotification, TwinWrite, WriteMode};
use crate::wire::body::nested_error;
use crate::wire::mqtt::{Packet, Publish};
use crate::wire::topic::{Filter, HubTopic};

/// A device's reported-properties PATCH as it came.
pub(super) struct ReportedPatch<'a> {
    pub(super) rid: Option<String>,
    pub(super) version: Option<String>,
    pub(super) body: &'a [u8],
}

impl Hub {
    pub(super) fn device_reads_twin(
        &mut self,
        now: Time,
        id: ConnectionId,
        peer: &Identity,
        rid: String,
        outputs: &mut Vec<Output>,
    ) {
        let throttled = self.check_fault_throttle(now, peer);
        let result = throttled.and_then(|()| self.throttle_twin_read(now)).and_then(|()| {
            let entity = self.entities.get(peer).ok_or_else(|| not_found(peer))?;
            Ok(Bytes::from(entity.twin.device_view().to_string()))
        });
        let (status, body) = match result {
            Ok(body) => (200, body),
            Err(refusal) => (refusal.code.status(), self.mqtt_error(now, &refusal)),
        };
        self.answer(id, peer, HubTopic::TwinResponse { status, rid, version: None }, body, outputs);
    }

    pub(super) fn device_patches_twin(
        &mut self,
        now: Time,
        id: ConnectionId,
        peer: &Identity,
        patch: ReportedPatch<'_>,
        outputs: &mut Vec<Output>,
    ) {
        let result = self.report(now, peer, &patch, outputs);
        let (status, version, body) = match result {
            Ok(version) => (204, Some(version), Bytes::new()),
            Err(refusal) => (refusal.code.status(), None, self.mqtt_error(now, &refusal)),
        };
        if let Some(rid) = patch.rid {
            self.answer(id, peer, HubTopic::TwinResponse { status, rid, version }, body, outputs);
        }
    }

    fn report(
        &mut self,
        now: Time,
        peer: &Identity,
        patch: &ReportedPatch<'_>,
        outputs: &mut Vec<Output>,
    ) -> Result<u64, Refusal> {
        self.check_fault_throttle(now, peer)?;
        self.throttle_twin_update(now)?;
        let base = patch.version.as_ref().map(|version| version.parse().map_err(|_| version));
        let base = base.transpose().map_err(|version| {
            Refusal::invalid(format!("$version is {version:?}, allowed is an integer"))
        })?;
        let body = json::parse(patch.body)?;
        let entity = self.entities.get_mut(peer).ok_or_else(|| not_found(peer))?;
        let version = entity.twin.report(&body, base, &self.config.twin_limits, now)?;
        if self.config.events {
            outputs.push(entity.reported_event(&self.config.hostname, &body, now));
        }
        self.touch(now, peer);
        Ok(version)
    }

    /// Refuses while a fault command throttles the identity.
    fn check_fault_throttle(&self, now: Time, peer: &Identity) -> Result<(), Refusal> {
        let until = self.entities.get(peer).and_then(|entity| entity.throttled_until);
        if until.is_some_and(|until| now < until) { Err(throttled()) } else { Ok(()) }
    }

    /// Answers a twin request where the device listens for answers.
    fn answer(
        &self,
        id: ConnectionId,
        peer: &Identity,
        topic: HubTopic,
        body: Bytes,
        outputs: &mut Vec<Output>,
    ) {
        let session = self.entities.get(peer).and_then(|entity| entity.session.as_ref());
        if session.is_some_and(|session| session.has(&Filter::TwinResponse)) {
            let publish = Publish::at_most_once(topic.to_topic(), body);
            outputs.push(Output::Send(id, Packet::Publish(publish)));
        }
    }

    fn mqtt_error(&mut self, now: Time, refusal: &Refusal) -> Bytes {
        let tracking_id = self.entropy.guid();
        Bytes::from(nested_error(refusal, &tracking_id, now).to_string())
    }

    pub(super) fn read_twin(&mut self, now: Time, identity: &Identity) -> Result<Reply, Refusal> {
        self.throttle_twin_read(now)?;
        let entity = self.entity(identity)?;
        Ok(entity.twin_reply())
    }

    pub(super) fn write_twin(
        &mut self,
        now: Time,
        mode: WriteMode,
        identity: &Identity,
        if_match: &IfMatch,
        body: &[u8],
        outputs: &mut Vec<Output>,
    ) -> Result<Reply, Refusal> {
        self.throttle_twin_update(now)?;
        let write = TwinWrite::from_body(mode, &json::parse(body)?)?;
        let entity = self.entity(identity)?;
        // A wrong unquoted etag was seen to be ignored on twins (hub-twins.md § 7).
        if let IfMatch::Quoted(etag) = if_match
            && *etag != entity.twin_etag()
        {
            return Err(Refusal::new(
                ErrorCode::PreconditionFailed,
                format!(
                    "Precondition failed: Device version did not match, existingVersion:{} \
                     newVersion:{etag}",
                    entity.twin_etag()
                ),
            ));
        }
        let entity = self.entities.get_mut(identity).ok_or_else(|| not_found(identity))?;
        entity.write_twin(&self.config, mode, &write, now, outputs)?;
        let reply = entity.twin_reply();
        self.touch(now, identity);
        Ok(reply)
    }

    /// The entity of `identity`; a missing device comes before a missing module (HUB-HTTP-012).
    pub(super) fn entity(&self, identity: &Identity) -> Result<&Entity, Refusal> {
        let device = Identity::device(&identity.device);
        self.entities.get(&device).ok_or_else(|| not_found(&device))?;
        self.entities.get(identity).ok_or_else(|| not_found(identity))
    }

    fn throttle_twin_read(&mut self, now: Time) -> Result<(), Refusal> {
        take(self.config.throttles.twin_reads, &mut self.twin_reads, now)
    }

    fn throttle_twin_update(&mut self, now: Time) -> Result<(), Refusal> {
        take(self.config.throttles.twin_updates, &mut self.twin_updates, now)
    }
}

pub(super) fn take(
    rule: Option<ThrottleRule>,
    state: &mut Option<Throttle>,
    now: Time,
) -> Result<(), Refusal> {
    let Some(rule) = rule else { return Ok(()) };
    if state.get_or_insert_with(|| Throttle::new(rule, now)).take(now) {
        return Ok(());
    }
    Err(throttled())
}

fn throttled() -> Refusal {
    Refusal::new(ErrorCode::ThrottlingException, "Too many operations, slow down and try again")
}

impl Entity {
    /// The root etag: base64 of an 8-byte counter, as the service writes it.
    pub(super) fn twin_etag(&self) -> String {
        STANDARD.encode(self.twin.etag_number().to_be_bytes())
    }

    /// Writes the twin and tells whoever must know.
    pub(super) fn write_twin(
        &mut self,
        config: &HubConfig,
        mode: WriteMode,
        write: &TwinWrite,
        now: Time,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let change = self.twin.write(mode, write, &config.twin_limits, now)?;
        if let Some(notification) = change.notification {
            self.notify(notification, outputs);
        }
        if config.events {
            outputs.push(self.written_event(&config.hostname, mode, write, now));
        }
        Ok(())
    }

    fn notify(&self, notification: DesiredNotification, outputs: &mut Vec<Output>) {
        let listens = self.session.as_ref().is_some_and(|session| session.has(&Filter::Desired));
        if let (Some(connection), true) = (self.connection, listens) {
            let topic = HubTopic::Desired { version: notification.version }.to_topic();
            let body = Value::Object(notification.body).to_string();
            let publish = Publish::at_most_once(topic, body);
            outputs.push(Output::Send(connection, Packet::Publish(publish)));
        }
    }

    fn twin_reply(&self) -> Reply {
        Reply::entity(self.twin_json(), self.twin_etag())
    }

    /// The whole twin as a back end reads it (hub-twins.md § 1.1).
    pub(super) fn twin_json(&self) -> Value {
        let member = |name: &str| Some((name.to_owned(), self.twin_member(name)?));
        Value::Object(TWIN_MEMBERS.into_iter().filter_map(member).collect())
    }

    /// One member of it; none for what it has not: what is unset is left out.
    pub(super) fn twin_member(&self, name: &str) -> Option<Value> {
        let record = &self.record;
        let settings = &record.settings;
        let is_device = record.identity.module.is_none();
        Some(match name {
            "deviceId" => json!(record.identity.device),
            "moduleId" => json!(record.identity.module.as_ref()?),
            "etag" => json!(self.twin_etag()),
            "deviceEtag" => json!(record.etag()),
            "version" => json!(self.twin.version()),
            "status" if is_device => json!(record.status()),
            "statusReason" => json!(settings.status_reason.as_ref()?),
            "statusUpdateTime" if is_device => json!(or_never(record.status_updated)),
            "connectionState" => json!(record.connection_state()),
            "lastActivityTime" => json!(or_never(record.last_activity)),
            "cloudToDeviceMessageCount" => json!(self.mailbox.len()),
            "authenticationType" => json!(settings.authentication.name()),
            "x509Thumbprint" => settings.authentication.thumbprints(),
            "modelId" => json!(self.model_id),
            "capabilities" if is_device => json!({ "iotEdge": settings.edge }),
            "deviceScope" => json!(settings.device_scope.as_ref()?),
            "tags" if self.twin.tags.is_empty() => return None,
            "tags" => Value::Object(self.twin.tags.members()),
            "properties" => json!({
                "desired": self.twin.desired.with_metadata(MetadataStyle::Desired),
                "reported": self.twin.reported.with_metadata(MetadataStyle::Reported),
            }),
            "parentScopes" if settings.parent_scopes.is_empty() => return None,
            "parentScopes" => json!(settings.parent_scopes),
            "configurations" => self.configuration_statuses()?,
            _ => return None,
        })
    }
}
