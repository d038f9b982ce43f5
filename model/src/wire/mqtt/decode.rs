//! Bytes to packets.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use super::{
    ConnAck, Connect, ConnectCode, Delivery, Packet, PacketId, Publish, Qos, REMAINING_LENGTH_MAX,
    SubAck, Subscribe, Unsubscribe, Will,
};

/// A packet that MQTT 3.1.1 forbids: what is wrong with it, and the clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub reason: &'static str,
    /// The normative statement or section of MQTT 3.1.1.
    pub clause: &'static str,
}

/// The statement that an empty client id with a kept session breaks.
const EMPTY_CLIENT_ID: &str = "MQTT-3.1.3-7";

impl Malformed {
    /// What a server answers before it closes: nothing, except to an empty client id with a kept
    /// session (MQTT-3.1.3-8).
    #[must_use]
    pub fn answer(&self) -> Option<ConnectCode> {
        (self.clause == EMPTY_CLIENT_ID).then_some(ConnectCode::IdentifierRejected)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.reason, self.clause)
    }
}

impl std::error::Error for Malformed {}

fn malformed<T>(reason: &'static str, clause: &'static str) -> Result<T, Malformed> {
    Err(Malformed { reason, clause })
}

/// Takes the next packet off the front of `input`; `None` while it is incomplete.
///
/// A packet whose remaining length exceeds `length_max` is refused before its body is awaited, so
/// a peer cannot make the reader hold more than that.
///
/// # Errors
/// [`Malformed`] when the bytes cannot become a legal packet; the connection is then unusable.
pub fn decode(input: &mut BytesMut, length_max: usize) -> Result<Option<Packet>, Malformed> {
    let Some((header, length)) = fixed_header(input)? else {
        return Ok(None);
    };
    check_flags(input.first().copied().unwrap_or(0))?;
    if length > length_max.min(REMAINING_LENGTH_MAX) {
        return malformed("the packet is larger than this reader takes", "§ 2.2.3");
    }
    if input.len() < header + length {
        return Ok(None);
    }
    let first = input.first().copied().unwrap_or(0);
    input.advance(header);
    let body = Body(input.split_to(length).freeze());
    packet(first, body).map(Some)
}

/// Length of the fixed header and the remaining length; `None` while incomplete.
fn fixed_header(input: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut length = 0_usize;
    for (index, byte) in input.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((index + 2, length)));
        }
    }
    match input.len() {
        0..5 => Ok(None),
        _ => malformed("the remaining length has more than four bytes", "§ 2.2.3"),
    }
}

/// Checks packet type and flags as soon as the first byte is there.
fn check_flags(first: u8) -> Result<(), Malformed> {
    let (kind, flags) = (first >> 4, first & 0x0f);
    let legal = match kind {
        0 | 15 => return malformed("the packet type is reserved", "§ 2.2.1"),
        3 => {
            if flags & 0b0110 == 0b0110 {
                return malformed("a PUBLISH has both QoS bits set", "MQTT-3.3.1-4");
            }
            if flags & 0b1110 == 0b1000 {
                return malformed("a PUBLISH with QoS 0 has DUP set", "MQTT-3.3.1-2");
            }
            true
        }
        6 | 8 | 10 => flags == 0b0010,
        _ => flags == 0,
    };
    if legal { Ok(()) } else { malformed("the reserved flags have other values", "MQTT-2.2.2-2") }
}

fn packet(first: u8, mut body: Body) -> Result<Packet, Malformed> {
    let packet = match first >> 4 {
        1 => Packet::Connect(Box::new(connect(&mut body)?)),
        2 => Packet::ConnAck(connack(&mut body)?),
        3 => return publish(first, body),
        4 => Packet::PubAck(body.id()?),
        5 => Packet::PubRec(body.id()?),
        6 => Packet::PubRel(body.id()?),
        7 => Packet::PubComp(body.id()?),
        8 => Packet::Subscribe(subscribe(&mut body)?),
        9 => Packet::SubAck(suback(&mut body)?),
        10 => Packet::Unsubscribe(unsubscribe(&mut body)?),
        11 => Packet::UnsubAck(body.id()?),
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        _ => Packet::Disconnect,
    };
    if body.is_empty() {
        Ok(packet)
    } else {
        malformed("bytes follow the end of the packet's content", "§ 2.2.3")
    }
}

fn connect(body: &mut Body) -> Result<Connect, Malformed> {
    let name = body.text()?;
    let level = body.byte()?;
    // MQTT 3.1 calls itself otherwise; its clients too are told that their version is not served.
    if name != "MQTT" && (name.as_str(), level) != ("MQIsdp", 3) {
        return malformed("the protocol name is not MQTT", "MQTT-3.1.2-1");
    }
    let flags = body.byte()?;
    if level != 4 {
        // Another version lays out the rest differently: only its existence can be told.
        body.0.clear();
        return Ok(Connect { level, ..Connect::new("") });
    }
    check_connect_flags(flags)?;
    let keep_alive = body.number()?;
    let client_id = body.text()?;
    if client_id.is_empty() && flags & 0b10 == 0 {
        return malformed("an empty client id asks for a kept session", EMPTY_CLIENT_ID);
    }
    let will = if flags & 0b100 == 0 { None } else { Some(will(body, flags)?) };
    let user_name = if flags & 0x80 == 0 { None } else { Some(body.text()?) };
    let password = if flags & 0x40 == 0 { None } else { Some(body.data()?) };
    let clean_session = flags & 0b10 != 0;
    Ok(Connect { level, clean_session, keep_alive, client_id, will, user_name, password })
}

fn check_connect_flags(flags: u8) -> Result<(), Malformed> {
    if flags & 1 != 0 {
        return malformed("the reserved CONNECT flag is set", "MQTT-3.1.2-3");
    }
    if flags & 0b100 == 0 && flags & 0b11_1000 != 0 {
        return malformed("will QoS or will retain is set without a will", "MQTT-3.1.2-11");
    }
    if flags & 0b1_1000 == 0b1_1000 {
        return malformed("the will QoS is 3", "MQTT-3.1.2-14");
    }
    if flags & 0xc0 == 0x40 {
        return malformed("there is a password without a user name", "MQTT-3.1.2-22");
    }
    Ok(())
}

fn will(body: &mut Body, flags: u8) -> Result<Will, Malformed> {
    let topic = body.topic()?;
    let payload = body.data()?;
    let qos = body.qos((flags >> 3) & 0b11)?;
    Ok(Will { topic, payload, qos, retain: flags & 0b10_0000 != 0 })
}

fn connack(body: &mut Body) -> Result<ConnAck, Malformed> {
    let flags = body.byte()?;
    if flags > 1 {
        return malformed("reserved CONNACK flags are set", "§ 3.2.2.1");
    }
    let code = body.byte()?;
    match ConnectCode::from_number(code) {
        Some(code) => Ok(ConnAck { session_present: flags == 1, code }),
        None => malformed("the CONNACK return code is reserved", "§ 3.2.2.3"),
    }
}

fn publish(first: u8, mut body: Body) -> Result<Packet, Malformed> {
    let topic = body.topic()?;
    let delivery = match (first >> 1) & 0b11 {
        0 => Delivery::AtMostOnce,
        1 => Delivery::AtLeastOnce(body.id()?),
        _ => Delivery::ExactlyOnce(body.id()?),
    };
    Ok(Packet::Publish(Publish {
        dup: first & 0b1000 != 0,
        delivery,
        retain: first & 1 != 0,
        topic,
        payload: body.0,
    }))
}

fn subscribe(body: &mut Body) -> Result<Subscribe, Malformed> {
    let id = body.id()?;
    let mut filters = Vec::new();
    while !body.is_empty() {
        let filter = body.filter()?;
        let level = body.byte()?;
        filters.push((filter, body.qos(level)?));
    }
    if filters.is_empty() {
        return malformed("a SUBSCRIBE has no filter", "MQTT-3.8.3-3");
    }
    Ok(Subscribe { id, filters })
}

fn suback(body: &mut Body) -> Result<SubAck, Malformed> {
    let id = body.id()?;
    let mut granted = Vec::new();
    while !body.is_empty() {
        granted.push(match body.byte()? {
            0x80 => None,
            level => match Qos::from_level(level) {
                Some(qos) => Some(qos),
                None => return malformed("a SUBACK code is reserved", "MQTT-3.9.3-2"),
            },
        });
    }
    if granted.is_empty() {
        return malformed("a SUBACK has no code", "§ 3.9.3");
    }
    Ok(SubAck { id, granted })
}

fn unsubscribe(body: &mut Body) -> Result<Unsubscribe, Malformed> {
    let id = body.id()?;
    let mut filters = Vec::new();
    while !body.is_empty() {
        filters.push(body.filter()?);
    }
    if filters.is_empty() {
        return malformed("an UNSUBSCRIBE has no filter", "MQTT-3.10.3-2");
    }
    Ok(Unsubscribe { id, filters })
}

/// The unread rest of a packet.
struct Body(Bytes);

impl Body {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().or_else(|_| Self::short())
    }

    fn number(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().or_else(|_| Self::short())
    }

    fn id(&mut self) -> Result<PacketId, Malformed> {
        match PacketId::new(self.number()?) {
            Some(id) => Ok(id),
            None => malformed("the packet identifier is 0", "MQTT-2.3.1-1"),
        }
    }

    #[expect(clippy::unused_self, reason = "reads like its sisters, and a Body is what it judges")]
    fn qos(&self, level: u8) -> Result<Qos, Malformed> {
        match Qos::from_level(level) {
            Some(qos) => Ok(qos),
            None => malformed("the requested QoS is not 0, 1 or 2", "MQTT-3.8.3-4"),
        }
    }

    fn data(&mut self) -> Result<Bytes, Malformed> {
        let length = usize::from(self.number()?);
        if self.0.len() < length { Self::short() } else { Ok(self.0.split_to(length)) }
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let data = self.data()?;
        let Ok(text) = std::str::from_utf8(&data) else {
            return malformed("a string is not UTF-8", "MQTT-1.5.3-1");
        };
        if text.contains('\0') {
            return malformed("a string contains U+0000", "MQTT-1.5.3-2");
        }
        Ok(text.to_owned())
    }

    fn topic(&mut self) -> Result<String, Malformed> {
        let topic = self.text()?;
        if topic.is_empty() {
            return malformed("the topic name is empty", "MQTT-4.7.3-1");
        }
        if topic.contains(['#', '+']) {
            return malformed("the topic name contains a wildcard", "MQTT-3.3.2-2");
        }
        Ok(topic)
    }

    fn filter(&mut self) -> Result<String, Malformed> {
        let filter = self.text()?;
        if filter.is_empty() {
            return malformed("the topic filter is empty", "MQTT-4.7.3-1");
        }
        let levels: Vec<&str> = filter.split('/').collect();
        let last = levels.len() - 1;
        for (index, level) in levels.into_iter().enumerate() {
            if level.contains('#') && (level != "#" || index != last) {
                return malformed("# is not the whole last level of the filter", "MQTT-4.7.1-2");
            }
            if level.contains('+') && level != "+" {
                return malformed("+ is not a whole level of the filter", "MQTT-4.7.1-3");
            }
        }
        Ok(filter)
    }

    fn short<T>() -> Result<T, Malformed> {
        malformed("the packet ends before its content does", "§ 2.2.3")
    }
}
