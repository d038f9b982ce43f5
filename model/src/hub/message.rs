//! Telemetry, cloud-to-device messages, and the hidden fault commands inside telemetry.

use std::time::Duration;

use bytes::Bytes;

use super::{ConnectionId, Entity, Hub, Output};
use crate::error::Refusal;
use crate::event::{Event, Source};
use crate::identity::Identity;
use crate::message::{DeviceBound, TelemetryProperties};
use crate::registry::not_found;
use crate::time::Time;
use crate::wire::mqtt::{Packet, PacketId, Publish, Qos, Will};
use crate::wire::topic::{DeviceTopic, Filter, HubTopic, Properties};

/// Longest delay and duration of a fault command.
const FAULT_SECONDS_MAX: u64 = 3600;

impl Hub {
    /// Takes a telemetry message in.
    pub(super) fn take_telemetry(
        &mut self,
        now: Time,
        id: ConnectionId,
        identity: &Identity,
        properties: Properties,
        publish: &Publish,
        outputs: &mut Vec<Output>,
    ) {
        let mut properties = TelemetryProperties::new(properties);
        for (name, set) in [("mqtt-retain", publish.retain), ("mqtt-dup", publish.dup)] {
            if set {
                properties.application.push((name.to_owned(), "true".to_owned()));
            }
        }
        if self.config.fault_injection {
            self.obey_fault_command(now, id, identity, &properties);
        }
        outputs.push(telemetry(now, identity, properties, publish.payload.clone()));
    }

    /// Emits the will of a connection that broke (HUB-CONN-025).
    pub(super) fn emit_will(
        now: Time,
        identity: &Identity,
        will: &Will,
        outputs: &mut Vec<Output>,
    ) {
        let Some(DeviceTopic::Telemetry { properties, .. }) = DeviceTopic::parse(&will.topic)
        else {
            return;
        };
        let mut properties = TelemetryProperties::new(properties);
        let mark = ("iothub-MessageType".to_owned(), "Will".to_owned());
        properties.application.push(mark);
        outputs.push(telemetry(now, identity, properties, will.payload.clone()));
    }

    /// Puts a cloud-to-device message into a device's mailbox, and delivers it when the device
    /// listens.
    ///
    /// # Errors
    /// When the device does not exist or its mailbox is full.
    pub fn send_to_device(
        &mut self,
        now: Time,
        device: &str,
        message: DeviceBound,
    ) -> Result<Vec<Output>, Refusal> {
        let identity = Identity::device(device);
        let entity = self.entities.get_mut(&identity).ok_or_else(|| not_found(&identity))?;
        entity.mailbox.put(message)?;
        let mut outputs = Vec::new();
        entity.deliver(now, &mut outputs);
        Ok(outputs)
    }

    /// The fault hooks that SDK end-to-end tests use (hub-mqtt.md § 9): they cut the link, or make
    /// the hub refuse for a while.
    fn obey_fault_command(
        &mut self,
        now: Time,
        id: ConnectionId,
        identity: &Identity,
        properties: &TelemetryProperties,
    ) {
        let Some(operation) = properties.application("AzIoTHub_FaultOperationType") else { return };
        let seconds = |name: &str| {
            let text = properties.application(name).unwrap_or_default();
            Duration::from_secs(text.parse().unwrap_or(0).min(FAULT_SECONDS_MAX))
        };
        let begin = now.after(seconds("AzIoTHub_FaultOperationDelayInSecs"));
        let end = begin.after(seconds("AzIoTHub_FaultOperationDurationInSecs"));
        let Some(entity) = self.entities.get_mut(identity) else { return };
        match operation {
            "InvokeThrottling" => entity.throttled_until = Some(end),
            "InvokeMaxMessageQuota" | "InvokeAuthError" => entity.refused_until = Some(end),
            _ => {}
        }
        let cuts = operation.starts_with("Kill") || operation.starts_with("ShutDown");
        let cuts = cuts || matches!(operation, "InvokeMaxMessageQuota" | "InvokeAuthError");
        if let Some(connection) = self.connections.get_mut(&id).filter(|_| cuts) {
            connection.cut_at = Some(begin);
            self.deadlines.insert((begin, id));
        }
    }
}

impl Entity {
    /// Sends what waits in the mailbox to a device that listens.
    pub(super) fn deliver(&mut self, now: Time, outputs: &mut Vec<Output>) {
        let device = self.record.identity.device.clone();
        let filter = Filter::DeviceBound { device };
        let granted = self.session.as_ref().and_then(|session| session.granted(&filter));
        let (Some(connection), Some(granted)) = (self.connection, granted) else { return };
        loop {
            let publish = match granted {
                Qos::AtMostOnce => self.mailbox.take(now).map(|message| (None, message)),
                Qos::AtLeastOnce | Qos::ExactlyOnce => {
                    let taken = self.mailbox.take_for_acknowledgement(now);
                    taken.map(|(id, message)| (Some(id), message))
                }
            };
            let Some((packet_id, message)) = publish else { return };
            outputs.push(self.device_bound(connection, packet_id, message, false));
        }
    }

    /// Sends again what an earlier connection did not acknowledge.
    pub(super) fn resend(&self, outputs: &mut Vec<Output>) {
        let Some(connection) = self.connection else { return };
        for (packet_id, message) in self.mailbox.to_resend() {
            outputs.push(self.device_bound(connection, Some(packet_id), message, true));
        }
    }

    fn device_bound(
        &self,
        connection: ConnectionId,
        packet_id: Option<PacketId>,
        message: DeviceBound,
        dup: bool,
    ) -> Output {
        let device = self.record.identity.device.clone();
        let to = format!("/devices/{device}/messages/devicebound");
        let mut properties = vec![("$.to".to_owned(), Some(to))];
        // Where a message goes is the hub's to say, and said once.
        properties.extend(message.properties.into_iter().filter(|(name, _)| name != "$.to"));
        let topic = HubTopic::DeviceBound { device, properties }.to_topic();
        let publish = match packet_id {
            None => Publish::at_most_once(topic, message.body),
            Some(id) => Publish { dup, ..Publish::at_least_once(id, topic, message.body) },
        };
        Output::Send(connection, Packet::Publish(publish))
    }
}

fn telemetry(
    now: Time,
    identity: &Identity,
    properties: TelemetryProperties,
    body: Bytes,
) -> Output {
    Output::Event(Event {
        source: Source::Telemetry,
        identity: identity.clone(),
        properties: properties.application,
        system: properties.system,
        body,
        at: now,
    })
}
