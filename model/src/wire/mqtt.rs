//! MQTT 3.1.1 packets: a strict decoder and an encoder.
//!
//! The decoder refuses every packet the standard calls malformed and names the clause.
//! Packets a strict encoder could not express are sent as raw bytes by the scripted client.

mod decode;
mod encode;

pub use decode::{Malformed, decode};

use bytes::Bytes;

/// A packet identifier: never 0.
pub type PacketId = std::num::NonZeroU16;

/// The largest remaining length MQTT can express: 256 MiB - 1.
pub const REMAINING_LENGTH_MAX: usize = 268_435_455;

/// Quality of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// Fire and forget.
    AtMostOnce,
    /// Acknowledged.
    AtLeastOnce,
    /// The four-way handshake that the hub does not offer.
    ExactlyOnce,
}

impl Qos {
    /// 0, 1 or 2.
    #[must_use]
    pub fn level(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }

    /// The quality of service of `level`; `None` for 3 and more.
    #[must_use]
    pub fn from_level(level: u8) -> Option<Self> {
        match level {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// One MQTT control packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Client asks to connect.
    Connect(Box<Connect>),
    /// Server answers.
    ConnAck(ConnAck),
    /// An application message.
    Publish(Publish),
    /// QoS 1 acknowledgement.
    PubAck(PacketId),
    /// QoS 2, first answer.
    PubRec(PacketId),
    /// QoS 2, release.
    PubRel(PacketId),
    /// QoS 2, completion.
    PubComp(PacketId),
    /// Client asks for subscriptions.
    Subscribe(Subscribe),
    /// Server answers one code per filter.
    SubAck(SubAck),
    /// Client ends subscriptions.
    Unsubscribe(Unsubscribe),
    /// Server confirms.
    UnsubAck(PacketId),
    /// Client shows that it is alive.
    PingReq,
    /// Server answers.
    PingResp,
    /// Client says goodbye.
    Disconnect,
}

/// CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Protocol level; 4 is MQTT 3.1.1.
    pub level: u8,
    /// Whether the server forgets the session.
    pub clean_session: bool,
    /// Seconds; 0 turns the timer off.
    pub keep_alive: u16,
    /// Client identifier.
    pub client_id: String,
    /// Message to publish when the connection breaks.
    pub will: Option<Will>,
    /// User name.
    pub user_name: Option<String>,
    /// Password: binary data.
    pub password: Option<Bytes>,
}

impl Connect {
    /// CONNECT of MQTT 3.1.1 with `client_id`, keep-alive 60 s, no credentials and a kept session.
    #[must_use]
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            level: 4,
            clean_session: false,
            keep_alive: 60,
            client_id: client_id.into(),
            will: None,
            user_name: None,
            password: None,
        }
    }
}

/// The will of a CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where it is published.
    pub topic: String,
    /// What is published.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: Qos,
    /// Retain flag.
    pub retain: bool,
}

/// CONNACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether the server had a session for the client.
    pub session_present: bool,
    /// What the server decided.
    pub code: ConnectCode,
}

/// CONNACK return code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectCode {
    /// 0.
    Accepted,
    /// 1: protocol level not supported.
    UnacceptableProtocolVersion,
    /// 2.
    IdentifierRejected,
    /// 3.
    ServerUnavailable,
    /// 4.
    BadUserNameOrPassword,
    /// 5: the hub's answer to every failed CONNECT (HUB-CONN-015).
    NotAuthorized,
}

impl ConnectCode {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::UnacceptableProtocolVersion => 1,
            Self::IdentifierRejected => 2,
            Self::ServerUnavailable => 3,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized => 5,
        }
    }

    /// The code with `number`; `None` for reserved numbers.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::Accepted,
            Self::UnacceptableProtocolVersion,
            Self::IdentifierRejected,
            Self::ServerUnavailable,
            Self::BadUserNameOrPassword,
            Self::NotAuthorized,
        ]
        .into_iter()
        .find(|code| code.number() == number)
    }
}

/// PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Set on a re-delivery.
    pub dup: bool,
    /// Quality of service and, above QoS 0, the packet identifier.
    pub delivery: Delivery,
    /// Retain flag.
    pub retain: bool,
    /// Topic name without wildcards.
    pub topic: String,
    /// Application message.
    pub payload: Bytes,
}

impl Publish {
    /// A QoS 0 message.
    #[must_use]
    pub fn at_most_once(topic: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            dup: false,
            delivery: Delivery::AtMostOnce,
            retain: false,
            topic: topic.into(),
            payload: payload.into(),
        }
    }

    /// A QoS 1 message.
    #[must_use]
    pub fn at_least_once(
        id: PacketId,
        topic: impl Into<String>,
        payload: impl Into<Bytes>,
    ) -> Self {
        Self { delivery: Delivery::AtLeastOnce(id), ..Self::at_most_once(topic, payload) }
    }
}

/// Quality of service with the packet identifier that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce(PacketId),
    /// QoS 2.
    ExactlyOnce(PacketId),
}

impl Delivery {
    /// Quality of service alone.
    #[must_use]
    pub fn qos(self) -> Qos {
        match self {
            Self::AtMostOnce => Qos::AtMostOnce,
            Self::AtLeastOnce(_) => Qos::AtLeastOnce,
            Self::ExactlyOnce(_) => Qos::ExactlyOnce,
        }
    }

    /// The packet identifier, above QoS 0.
    #[must_use]
    pub fn id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce(id) | Self::ExactlyOnce(id) => Some(id),
        }
    }
}

/// SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Packet identifier.
    pub id: PacketId,
    /// Filters and the quality of service asked for; never empty.
    pub filters: Vec<(String, Qos)>,
}

/// SUBACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck {
    /// Packet identifier of the SUBSCRIBE.
    pub id: PacketId,
    /// Granted quality of service per filter, `None` for 0x80 (failure).
    pub granted: Vec<Option<Qos>>,
}

/// UNSUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Packet identifier.
    pub id: PacketId,
    /// Filters; never empty.
    pub filters: Vec<String>,
}

impl Packet {
    /// The packet's name as the standard prints it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "CONNECT",
            Self::ConnAck(_) => "CONNACK",
            Self::Publish(_) => "PUBLISH",
            Self::PubAck(_) => "PUBACK",
            Self::PubRec(_) => "PUBREC",
            Self::PubRel(_) => "PUBREL",
            Self::PubComp(_) => "PUBCOMP",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::SubAck(_) => "SUBACK",
            Self::Unsubscribe(_) => "UNSUBSCRIBE",
            Self::UnsubAck(_) => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
        }
    }
}

#[cfg(test)]
mod tests;
