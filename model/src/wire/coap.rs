//! CoAP over TCP as the device jobs of 2016 use it (firmware-patterns.md § a.5).
//!
//! A length of two octets stands before each message. Behind it stands a message of RFC 7252 without
//! its message id, for a stream needs none; the type is always non-confirmable, as in the draft of
//! 2015. Whether the preview elided the id is an open point (A-F11).

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use coap_lite::{CoapOption, MessageClass, MessageType, Packet};

/// The longest message that the length can tell of, in bytes.
pub const MESSAGE_MAX: usize = 0xffff;

/// Bytes of the length.
const LENGTH_BYTES: usize = 2;

/// What kind of request or answer a message is: class and detail, `2.04` being 0x44.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u8);

impl Code {
    /// 0.01: read, or observe.
    pub const GET: Self = Self(0x01);
    /// 0.02: execute, or register.
    pub const POST: Self = Self(0x02);
    /// 0.03: write.
    pub const PUT: Self = Self(0x03);
    /// 2.01: registered.
    pub const CREATED: Self = Self(0x41);
    /// 2.04: written or executed.
    pub const CHANGED: Self = Self(0x44);
    /// 2.05: read.
    pub const CONTENT: Self = Self(0x45);
    /// 4.00: an argument is wrong.
    pub const BAD_REQUEST: Self = Self(0x80);
    /// 4.01: the credentials are wrong.
    pub const UNAUTHORIZED: Self = Self(0x81);
    /// 4.04: no such object, instance or resource.
    pub const NOT_FOUND: Self = Self(0x84);
    /// 4.05: the resource does not have this operation.
    pub const METHOD_NOT_ALLOWED: Self = Self(0x85);
    /// 5.01: the device does not implement the resource.
    pub const NOT_IMPLEMENTED: Self = Self(0xa1);

    /// Whether this is a request.
    #[must_use]
    pub fn is_request(self) -> bool {
        (0x01..0x20).contains(&self.0)
    }

    /// Whether this is an answer that grants what was asked.
    #[must_use]
    pub fn is_success(self) -> bool {
        (0x40..0x60).contains(&self.0)
    }

    /// The code in its written form, for example `4.05`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (class, detail) = text.split_once('.')?;
        let (class, detail): (u8, u8) = (class.parse().ok()?, detail.parse().ok()?);
        (class < 8 && detail < 32).then_some(Self(class << 5 | detail))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}", self.0 >> 5, self.0 & 0x1f)
    }
}

/// One message: a request, an answer or a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub code: Code,
    /// Relates answers and notifications to their request; 8 bytes at most.
    pub token: Vec<u8>,
    /// The levels of the path.
    pub path: Vec<String>,
    /// The parts of the query, not decoded.
    pub query: Vec<String>,
    /// 0 in a request to observe; counts notifications.
    pub observe: Option<u32>,
    /// The levels of the place of what was created.
    pub location: Vec<String>,
    /// What is read or written.
    pub payload: Bytes,
}

impl Message {
    /// A message without path, query and payload.
    #[must_use]
    pub fn new(code: Code, token: &[u8]) -> Self {
        Self {
            code,
            token: token.to_vec(),
            path: Vec::new(),
            query: Vec::new(),
            observe: None,
            location: Vec::new(),
            payload: Bytes::new(),
        }
    }

    /// The payload as text; empty when it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap_or_default()
    }

    /// The value of `name` in the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let named = |part: &'_ str| part.split_once('=').is_some_and(|(key, _)| key == name);
        let part = self.query.iter().find(|part| named(part))?;
        part.split_once('=').map(|(_, value)| value)
    }

    /// Appends the message with its length to `out`.
    ///
    /// # Errors
    /// A message that is longer than [`MESSAGE_MAX`], or a token longer than 8 bytes.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), Malformed> {
        if self.token.len() > 8 {
            return Err(Malformed(format!(
                "a token has 8 bytes at most, not {}",
                self.token.len()
            )));
        }
        let mut packet = Packet::new();
        packet.header.set_type(MessageType::NonConfirmable);
        packet.header.code = MessageClass::from(self.code.0);
        packet.set_token(self.token.clone());
        if let Some(observe) = self.observe {
            packet.set_observe_value(observe);
        }
        let texts = [
            (CoapOption::LocationPath, &self.location),
            (CoapOption::UriPath, &self.path),
            (CoapOption::UriQuery, &self.query),
        ];
        for (option, values) in texts {
            values.iter().for_each(|value| packet.add_option(option, value.clone().into_bytes()));
        }
        packet.payload = self.payload.to_vec();
        let bytes = packet.to_bytes_unlimited().map_err(|error| Malformed(error.to_string()))?;
        let (head, rest) = (bytes.get(..2).unwrap_or_default(), bytes.get(4..).unwrap_or_default());
        let length = head.len().saturating_add(rest.len());
        let length = u16::try_from(length).map_err(|_| {
            Malformed(format!("a message has {MESSAGE_MAX} bytes at most, not {length}"))
        })?;
        out.put_u16(length);
        out.put_slice(head);
        out.put_slice(rest);
        Ok(())
    }

    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (Some(head), Some(rest)) = (bytes.get(..2), bytes.get(2..)) else {
            return Err(Malformed(format!("a message of {} bytes has no header", bytes.len())));
        };
        let with_id = [head, &[0, 0], rest].concat();
        let packet = Packet::from_bytes(&with_id).map_err(|error| Malformed(error.to_string()))?;
        if packet.header.get_version() != 1 {
            let version = packet.header.get_version();
            return Err(Malformed(format!("CoAP has the version 1, not {version}")));
        }
        let observe = match packet.get_observe_value() {
            None => None,
            Some(Ok(value)) => Some(value),
            Some(Err(_)) => return Err(Malformed("Observe is no number".to_owned())),
        };
        Ok(Self {
            code: Code(head.get(1).copied().unwrap_or_default()),
            token: packet.get_token().to_vec(),
            path: texts(&packet, CoapOption::UriPath)?,
            query: texts(&packet, CoapOption::UriQuery)?,
            observe,
            location: texts(&packet, CoapOption::LocationPath)?,
            payload: Bytes::from(packet.payload),
        })
    }
}

/// Bytes that are no message, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "malformed CoAP message: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Takes the next message from `input`; `None` when more bytes are needed.
///
/// # Errors
/// Bytes that are no message.
pub fn decode(input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
    let Some((length, rest)) = input.split_at_checked(LENGTH_BYTES) else { return Ok(None) };
    let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let Some(bytes) = rest.get(..length) else { return Ok(None) };
    let message = Message::parse(bytes);
    input.advance(LENGTH_BYTES.saturating_add(length));
    message.map(Some)
}

fn texts(packet: &Packet, option: CoapOption) -> Result<Vec<String>, Malformed> {
    let values = packet.get_option(option).into_iter().flatten();
    values
        .map(|value| {
            let text = std::str::from_utf8(value).map(str::to_owned);
            text.map_err(|_| Malformed(format!("the option {option:?} is no UTF-8")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_write_is_a_length_of_two_octets_and_a_message_without_id() {
        let mut message = Message::new(Code::PUT, &[7]);
        message.path = ["5", "0", "1"].map(str::to_owned).to_vec();
        message.payload = Bytes::from_static(b"u");
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes).unwrap();
        let expected = [0, 11, 0x51, 0x03, 7, 0xb1, b'5', 1, b'0', 1, b'1', 0xff, b'u'];
        assert_eq!(bytes[..], expected);
        let mut part = BytesMut::from(&bytes[..5]);
        assert_eq!(decode(&mut part), Ok(None));
        assert_eq!(decode(&mut bytes), Ok(Some(message)));
        assert!(bytes.is_empty());
    }

    #[test]
    fn codes_are_written_as_class_and_detail() {
        assert_eq!(Code::CHANGED.to_string(), "2.04");
        assert_eq!(Code::parse("4.05"), Some(Code::METHOD_NOT_ALLOWED));
        assert_eq!(Code::parse("8.00"), None);
    }

    #[test]
    fn messages_that_are_none_are_refused() {
        for bytes in [&[0, 1, 0x50][..], &[0, 2, 0x90, 1], &[0, 3, 0x51, 1, 0][..2]] {
            let refused = decode(&mut BytesMut::from(bytes));
            assert!(matches!(refused, Err(_) | Ok(None)), "{bytes:?}: {refused:?}");
        }
        assert!(decode(&mut BytesMut::from(&[0, 2, 0x59, 1][..])).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            code in 1u8..0xff, token in prop::collection::vec(any::<u8>(), 0..=8),
            path in prop::collection::vec("[a-z0-9]{1,20}", 0..4), observe in prop::option::of(0u32..99),
            payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut message = Message::new(Code(code), &token);
            message.path = path;
            message.observe = observe;
            message.payload = Bytes::from(payload);
            let mut bytes = BytesMut::new();
            message.encode(&mut bytes).unwrap();
            prop_assert_eq!(decode(&mut bytes), Ok(Some(message)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = decode(&mut input) {}
        }
    }
}
