//! Notifications to back ends: twin changes, lifecycle, connection state (hub-http.md § 8).

use serde_json::{Map, Value, json};

use super::{Entity, Hub, Output};
use crate::event::{Event, Source};
use crate::identity::Identity;
use crate::time::Time;
use crate::twin::section::{MetadataStyle, Section};
use crate::twin::{Members, SectionWrite, TwinWrite, WriteMode};

impl Hub {
    /// Tells that an identity came or is about to go; the body is its twin.
    pub(super) fn tell_lifecycle(
        &self,
        now: Time,
        identity: &Identity,
        operation: &str,
        outputs: &mut Vec<Output>,
    ) {
        let Some(entity) = self.entities.get(identity).filter(|_| self.config.events) else {
            return;
        };
        let (hub, twin) = (&self.config.hostname, entity.twin_json());
        let event = Event::notification(Source::Lifecycle, identity, hub, operation, &twin, now);
        outputs.push(Output::Event(event));
    }

    /// Tells that an identity connected or disconnected, with a growing sequence number.
    pub(super) fn tell_connection_state(
        &mut self,
        now: Time,
        identity: &Identity,
        connected: bool,
        outputs: &mut Vec<Output>,
    ) {
        if !self.config.events {
            return;
        }
        self.connection_events += 1;
        let body = json!({ "sequenceNumber": format!("{:032X}", self.connection_events) });
        let operation = if connected { "deviceConnected" } else { "deviceDisconnected" };
        let hub = &self.config.hostname;
        let source = Source::ConnectionState;
        let event = Event::notification(source, identity, hub, operation, &body, now);
        outputs.push(Output::Event(event));
    }
}

impl Entity {
    /// The event of a back end's write: the changed parts after a PATCH, everything after a PUT.
    pub(super) fn written_event(
        &self,
        hub: &str,
        mode: WriteMode,
        write: &TwinWrite,
        now: Time,
    ) -> Output {
        let (operation, body) = match mode {
            WriteMode::Patch => ("updateTwin", self.changed_parts(write)),
            WriteMode::Replace => ("replaceTwin", self.replaced_content()),
        };
        self.twin_event(hub, operation, &body, now)
    }

    /// The event of a device's reported-properties PATCH.
    pub(super) fn reported_event(&self, hub: &str, patch: &Value, now: Time) -> Output {
        let empty = Members::new();
        let members = patch.as_object().unwrap_or(&empty);
        let reported = with_stamps(&self.twin.reported, members, MetadataStyle::Reported);
        let body = json!({
            "version": self.twin.version(),
            "properties": { "reported": reported },
        });
        self.twin_event(hub, "updateTwin", &body, now)
    }

    fn twin_event(&self, hub: &str, operation: &str, body: &Value, now: Time) -> Output {
        let identity = &self.record.identity;
        let source = Source::TwinChange;
        Output::Event(Event::notification(source, identity, hub, operation, body, now))
    }

    fn changed_parts(&self, write: &TwinWrite) -> Value {
        let mut body = Map::from_iter([("version".to_owned(), json!(self.twin.version()))]);
        match &write.tags {
            None => {}
            Some(SectionWrite::Clear) => drop(body.insert("tags".to_owned(), Value::Null)),
            Some(SectionWrite::Members(tags)) => {
                body.insert("tags".to_owned(), Value::Object(tags.clone()));
            }
        }
        let desired = match &write.desired {
            None => None,
            Some(SectionWrite::Clear) => Some(Value::Null),
            Some(SectionWrite::Members(members)) => {
                Some(with_stamps(&self.twin.desired, members, MetadataStyle::Desired))
            }
        };
        if let Some(desired) = desired {
            body.insert("properties".to_owned(), json!({ "desired": desired }));
        }
        Value::Object(body)
    }

    fn replaced_content(&self) -> Value {
        let mut content = self.twin_json();
        let kept = ["deviceId", "moduleId", "etag", "version", "tags", "properties"];
        if let Some(members) = content.as_object_mut() {
            members.retain(|name, _| kept.contains(&name.as_str()));
        }
        content
    }
}

/// The written members, nulls included, with the stamps they now have.
fn with_stamps(section: &Section, members: &Members, style: MetadataStyle) -> Value {
    let mut metadata = section.metadata(style);
    metadata.retain(|name, _| name.starts_with('$') || members.contains_key(name));
    let mut part = members.clone();
    part.insert("$metadata".to_owned(), Value::Object(metadata));
    part.insert("$version".to_owned(), json!(section.version()));
    Value::Object(part)
}
