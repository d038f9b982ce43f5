//! Messages: telemetry from devices, and cloud-to-device messages waiting in a mailbox.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::{ErrorCode, Refusal};
use crate::time::Time;
use crate::wire::mqtt::PacketId;
use crate::wire::topic::Properties;

/// Cloud-to-device messages a device may have waiting (403004 beyond that).
pub const MAILBOX_MAX: usize = 50;

/// The largest telemetry message, in bytes (HUB-TELE-006).
pub const TELEMETRY_BYTES_MAX: usize = 256 * 1024;

/// System properties of telemetry: name in the topic, name in the message (hub-mqtt.md § 5).
const SYSTEM_PROPERTIES: &[(&str, &str)] = &[
    ("$.mid", "message-id"),
    ("$.cid", "correlation-id"),
    ("$.uid", "user-id"),
    ("$.to", "to"),
    ("$.exp", "absolute-expiry-time"),
    ("$.ct", "content-type"),
    ("$.ce", "content-encoding"),
    ("$.on", "iothub-outputname"),
    ("$.ctime", "iothub-creation-time-utc"),
    ("$.sub", "dt-subject"),
    ("$.ifid", "iothub-interface-id"),
    ("$.schema", "iothub-message-schema"),
    ("$.cdid", "iothub-connection-device-id"),
    ("$.cmid", "iothub-connection-module-id"),
    ("$.diagid", "diagnostic-id"),
    ("$.diagctx", "diagnostic-correlation-context"),
];

/// A property bag, told apart: what the application set and what the system defines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TelemetryProperties {
    /// Application properties; a name without `=` has an empty value.
    pub application: Vec<(String, String)>,
    /// System properties by the names of the message.
    pub system: Vec<(String, String)>,
}

impl TelemetryProperties {
    /// Tells a decoded property bag apart.
    #[must_use]
    pub fn new(bag: Properties) -> Self {
        let mut properties = Self::default();
        for (name, value) in bag {
            let value = value.unwrap_or_default();
            match SYSTEM_PROPERTIES.iter().find(|(short, _)| *short == name) {
                Some((_, long)) => properties.system.push(((*long).to_owned(), value)),
                None => properties.application.push((name, value)),
            }
        }
        properties
    }

    /// The value of an application property.
    #[must_use]
    pub fn application(&self, name: &str) -> Option<&str> {
        self.application.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A cloud-to-device message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceBound {
    /// Properties in order; no value for `null`.
    pub properties: Properties,
    /// Body.
    pub body: Bytes,
    /// When it is worth nothing any more.
    pub expiry: Option<Time>,
}

/// Cloud-to-device messages of one device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mailbox {
    waiting: VecDeque<DeviceBound>,
    /// Sent at QoS 1 and not acknowledged, in the order they were sent.
    unacknowledged: VecDeque<(PacketId, DeviceBound)>,
    /// Received over HTTP and not settled: lock number and message.
    locked: VecDeque<(u64, DeviceBound)>,
    last_id: u16,
}

impl Mailbox {
    /// How many messages are waiting or on their way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.unacknowledged.len() + self.locked.len()
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a new message in.
    ///
    /// # Errors
    /// [`ErrorCode::DeviceMaximumQueueDepthExceeded`] when the mailbox is full.
    pub fn put(&mut self, message: DeviceBound) -> Result<(), Refusal> {
        if self.len() >= MAILBOX_MAX {
            return Err(Refusal::new(
                ErrorCode::DeviceMaximumQueueDepthExceeded,
                format!("The device has {MAILBOX_MAX} messages waiting already"),
            ));
        }
        self.waiting.push_back(message);
        Ok(())
    }

    /// Removes all messages and says how many there were.
    pub fn purge(&mut self) -> usize {
        let count = self.len();
        *self = Self { last_id: self.last_id, ..Self::default() };
        count
    }

    /// The next message that has not expired, for delivery at QoS 0.
    pub fn take(&mut self, now: Time) -> Option<DeviceBound> {
        loop {
            let message = self.waiting.pop_front()?;
            if message.expiry.is_none_or(|expiry| expiry > now) {
                return Some(message);
            }
        }
    }

    /// The next message for delivery at QoS 1; it stays until it is acknowledged.
    pub fn take_for_acknowledgement(&mut self, now: Time) -> Option<(PacketId, DeviceBound)> {
        let message = self.take(now)?;
        let id = self.new_id();
        self.unacknowledged.push_back((id, message.clone()));
        Some((id, message))
    }

    /// What was sent on an earlier connection and must be sent again, with DUP and the same
    /// identifiers (MQTT-4.4.0-1).
    #[must_use]
    pub fn to_resend(&self) -> Vec<(PacketId, DeviceBound)> {
        self.unacknowledged.iter().cloned().collect()
    }

    /// Forgets an acknowledged message.
    pub fn acknowledge(&mut self, id: PacketId) {
        self.unacknowledged.retain(|(sent, _)| *sent != id);
    }

    /// The next message for an HTTP receiver, locked under the number `lock`.
    pub fn lock(&mut self, lock: u64, now: Time) -> Option<DeviceBound> {
        let message = self.take(now)?;
        self.locked.push_back((lock, message.clone()));
        Some(message)
    }

    /// Settles a locked message: removed, or put back to the front; `false` for an unknown lock.
    pub fn settle(&mut self, lock: u64, put_back: bool) -> bool {
        let Some(index) = self.locked.iter().position(|(held, _)| *held == lock) else {
            return false;
        };
        if let Some((_, message)) = self.locked.remove(index)
            && put_back
        {
            self.waiting.push_front(message);
        }
        true
    }

    /// The next identifier that no message on its way has.
    fn new_id(&mut self) -> PacketId {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let taken = |id| self.unacknowledged.iter().any(|(sent, _)| *sent == id);
            match PacketId::new(self.last_id) {
                Some(id) if !taken(id) => return id,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> DeviceBound {
        let body = Bytes::from(text.to_owned());
        DeviceBound { properties: Vec::new(), body, expiry: None }
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_with_its_identifier() {
        let (mut mailbox, now) = (Mailbox::default(), Time::default());
        mailbox.put(message("a")).unwrap();
        mailbox.put(message("b")).unwrap();
        let (first, _) = mailbox.take_for_acknowledgement(now).unwrap();
        let (second, _) = mailbox.take_for_acknowledgement(now).unwrap();
        mailbox.acknowledge(first);
        assert_eq!(mailbox.to_resend(), vec![(second, message("b"))]);
    }

    #[test]
    fn a_full_mailbox_refuses_and_an_expired_message_is_skipped() {
        let (mut mailbox, now) = (Mailbox::default(), Time::from_unix_seconds(5));
        mailbox.put(DeviceBound { expiry: Some(now), ..message("late") }).unwrap();
        for _ in 1..MAILBOX_MAX {
            mailbox.put(message("a")).unwrap();
        }
        assert!(mailbox.put(message("one too many")).is_err());
        assert_eq!(mailbox.take(now), Some(message("a")));
    }

    #[test]
    fn an_abandoned_message_comes_first_again() {
        let (mut mailbox, now) = (Mailbox::default(), Time::default());
        mailbox.put(message("a")).unwrap();
        mailbox.put(message("b")).unwrap();
        assert_eq!(mailbox.lock(7, now), Some(message("a")));
        assert!(mailbox.settle(7, true));
        assert!(!mailbox.settle(7, true));
        assert_eq!(mailbox.lock(8, now), Some(message("a")));
    }
}
