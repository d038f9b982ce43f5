//! Packets to bytes.

use bytes::{BufMut, BytesMut};

use super::{Connect, Delivery, Packet, PacketId, Publish, Qos};

impl Packet {
    /// Appends the packet's bytes to `output`.
    ///
    /// Texts longer than 65,535 bytes cannot be expressed by MQTT and are cut there.
    pub fn encode(&self, output: &mut BytesMut) {
        match self {
            Self::Connect(connect) => encode_connect(connect, output),
            Self::ConnAck(connack) => {
                let flags = u8::from(connack.session_present);
                output.put_slice(&[0x20, 2, flags, connack.code.number()]);
            }
            Self::Publish(publish) => encode_publish(publish, output),
            Self::PubAck(id) => put_short(0x40, *id, output),
            Self::PubRec(id) => put_short(0x50, *id, output),
            Self::PubRel(id) => put_short(0x62, *id, output),
            Self::PubComp(id) => put_short(0x70, *id, output),
            Self::Subscribe(subscribe) => {
                let length = subscribe.filters.iter().map(|(f, _)| text_length(f) + 1).sum();
                put_header(0x82, 2_usize.saturating_add(length), output);
                output.put_u16(subscribe.id.get());
                for (filter, qos) in &subscribe.filters {
                    put_text(filter, output);
                    output.put_u8(qos.level());
                }
            }
            Self::SubAck(suback) => {
                put_header(0x90, 2 + suback.granted.len(), output);
                output.put_u16(suback.id.get());
                let code = |granted: &Option<Qos>| granted.map_or(0x80, Qos::level);
                output.extend(suback.granted.iter().map(code));
            }
            Self::Unsubscribe(unsubscribe) => {
                let length: usize = unsubscribe.filters.iter().map(|f| text_length(f)).sum();
                put_header(0xa2, 2 + length, output);
                output.put_u16(unsubscribe.id.get());
                unsubscribe.filters.iter().for_each(|filter| put_text(filter, output));
            }
            Self::UnsubAck(id) => put_short(0xb0, *id, output),
            Self::PingReq => output.put_slice(&[0xc0, 0]),
            Self::PingResp => output.put_slice(&[0xd0, 0]),
            Self::Disconnect => output.put_slice(&[0xe0, 0]),
        }
    }

    /// The packet's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> BytesMut {
        let mut output = BytesMut::new();
        self.encode(&mut output);
        output
    }
}

fn encode_connect(connect: &Connect, output: &mut BytesMut) {
    let will = connect.will.as_ref();
    let mut flags = u8::from(connect.clean_session) << 1;
    let mut length = 10 + text_length(&connect.client_id);
    if let Some(will) = will {
        flags |= 0b100 | (will.qos.level() << 3) | (u8::from(will.retain) << 5);
        length += text_length(&will.topic) + 2 + will.payload.len().min(0xffff);
    }
    if let Some(user_name) = &connect.user_name {
        flags |= 0x80;
        length += text_length(user_name);
    }
    if let Some(password) = &connect.password {
        flags |= 0x40;
        length += 2 + password.len().min(0xffff);
    }
    put_header(0x10, length, output);
    put_text("MQTT", output);
    output.put_slice(&[connect.level, flags]);
    output.put_u16(connect.keep_alive);
    put_text(&connect.client_id, output);
    if let Some(will) = will {
        put_text(&will.topic, output);
        put_data(&will.payload, output);
    }
    if let Some(user_name) = &connect.user_name {
        put_text(user_name, output);
    }
    if let Some(password) = &connect.password {
        put_data(password, output);
    }
}

fn encode_publish(publish: &Publish, output: &mut BytesMut) {
    let id = publish.delivery.id();
    let first = 0x30
        | (u8::from(publish.dup) << 3)
        | (publish.delivery.qos().level() << 1)
        | u8::from(publish.retain);
    let id_length = if publish.delivery == Delivery::AtMostOnce { 0 } else { 2 };
    put_header(first, text_length(&publish.topic) + id_length + publish.payload.len(), output);
    put_text(&publish.topic, output);
    if let Some(id) = id {
        output.put_u16(id.get());
    }
    output.put_slice(&publish.payload);
}

fn put_short(first: u8, id: PacketId, output: &mut BytesMut) {
    output.put_slice(&[first, 2]);
    output.put_u16(id.get());
}

/// The fixed header: first byte and remaining length in one to four bytes.
fn put_header(first: u8, mut length: usize, output: &mut BytesMut) {
    output.put_u8(first);
    loop {
        let digit = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        if length == 0 {
            output.put_u8(digit);
            return;
        }
        output.put_u8(digit | 0x80);
    }
}

fn put_text(text: &str, output: &mut BytesMut) {
    put_data(text.as_bytes(), output);
}

fn put_data(data: &[u8], output: &mut BytesMut) {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    output.put_u16(length);
    output.put_slice(data.get(..usize::from(length)).unwrap_or(data));
}

fn text_length(text: &str) -> usize {
    2 + text.len().min(0xffff)
}
