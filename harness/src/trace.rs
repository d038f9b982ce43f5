//! The recorded history: every message of every client, one JSON object a line.
//!
//! The format is versioned; `schema()` is its published JSON Schema. Secrets are replaced when a
//! message is recorded, not when it is printed, so that no copy of them exists.

use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use twinspec_model::wire::mqtt::{Packet, Qos};

/// The version of the format that this crate writes.
pub const VERSION: u32 = 1;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// One recorded event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this format: 1.
    pub version: u32,
    /// Counts the events of one trace from 0.
    pub sequence: u64,
    /// Microseconds since the trace began.
    pub at_us: u64,
    /// Who the client is, for example `device pump-1` or `operator`.
    pub actor: String,
    /// What happened.
    pub event: Event,
}

/// What a client did or saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The client opened a connection.
    Opened {
        /// Where to.
        endpoint: String,
    },
    /// The client sent an MQTT packet.
    Sent(Message),
    /// The client received an MQTT packet.
    Received(Message),
    /// The client sent bytes that are no legal packet, in hex.
    SentBytes(String),
    /// The client received bytes that are no legal packet.
    ReceivedMalformed(String),
    /// The peer ended the connection.
    ClosedByPeer,
    /// The client ended the connection.
    Closed,
    /// An HTTP request was sent.
    Request(HttpMessage),
    /// Its answer arrived.
    Response(HttpMessage),
    /// A program under test wrote a line.
    Wrote(String),
}

/// An MQTT packet as people read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Name of the packet, for example `PUBLISH`.
    pub packet: String,
    /// Topic name, or topic filters separated by blanks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub topic: Option<String>,
    /// Quality of service of a PUBLISH.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub qos: Option<u8>,
    /// Packet identifier.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<u16>,
    /// Everything else, as `name=value` words.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub detail: String,
    /// Payload of a PUBLISH: text where it is UTF-8, otherwise `hex:` and digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload: Option<String>,
}

/// An HTTP request or response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpMessage {
    /// Request line without version, or the status.
    pub start: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// Body text.
    pub body: String,
}

/// Writes a trace while it happens; cheap to clone and share.
#[derive(Clone, Debug)]
pub struct Recorder {
    began: Instant,
    keep_secrets: bool,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Recorder {
    /// An empty trace; `keep_secrets` leaves tokens and keys in it.
    #[must_use]
    pub fn new(keep_secrets: bool) -> Self {
        Self { began: Instant::now(), keep_secrets, records: Arc::default() }
    }

    /// Appends an event.
    pub fn record(&self, actor: &str, event: Event) {
        self.record_at(Instant::now(), actor, event);
    }

    /// Appends an event that happened at `at`, which may be before others that were appended.
    pub fn record_at(&self, at: Instant, actor: &str, event: Event) {
        let at = at.saturating_duration_since(self.began);
        let at_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let actor = actor.to_owned();
        records.push(Record { version: VERSION, sequence, at_us, actor, event });
    }

    /// What was recorded so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many events were recorded so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nothing was recorded yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `packet` as a message, secrets replaced.
    #[must_use]
    pub fn message(&self, packet: &Packet) -> Message {
        let mut message = Message {
            packet: packet.name().to_owned(),
            topic: None,
            qos: None,
            id: None,
            detail: String::new(),
            payload: None,
        };
        match packet {
            Packet::Connect(connect) => {
                let password = connect.password.as_ref().map(|p| String::from_utf8_lossy(p));
                let password = password.map_or("none".to_owned(), |text| self.token(&text));
                message.detail = format!(
                    "client_id={} user_name={} password={password} clean_session={} keep_alive={}",
                    connect.client_id,
                    connect.user_name.as_deref().unwrap_or("none"),
                    connect.clean_session,
                    connect.keep_alive
                );
            }
            Packet::ConnAck(connack) => {
                message.detail = format!(
                    "code={} session_present={}",
                    connack.code.number(),
                    connack.session_present
                );
            }
            Packet::Publish(publish) => {
                message.topic = Some(publish.topic.clone());
                message.qos = Some(publish.delivery.qos().level());
                message.id = publish.delivery.id().map(std::num::NonZero::get);
                let flags = [("dup", publish.dup), ("retain", publish.retain)];
                let set = flags.iter().filter(|(_, set)| *set).map(|(name, _)| *name);
                message.detail = set.collect::<Vec<_>>().join(" ");
                message.payload = Some(readable(&publish.payload));
            }
            Packet::Subscribe(subscribe) => {
                message.id = Some(subscribe.id.get());
                let filters: Vec<&str> = subscribe.filters.iter().map(|(f, _)| &**f).collect();
                message.topic = Some(filters.join(" "));
                let levels = subscribe.filters.iter().map(|(_, qos)| qos.level().to_string());
                message.detail = format!("qos={}", levels.collect::<Vec<_>>().join(","));
            }
            Packet::SubAck(suback) => {
                message.id = Some(suback.id.get());
                let code = |granted: &Option<Qos>| granted.map_or(0x80, Qos::level).to_string();
                let codes: Vec<String> = suback.granted.iter().map(code).collect();
                message.detail = format!("granted={}", codes.join(","));
            }
            Packet::Unsubscribe(unsubscribe) => {
                message.id = Some(unsubscribe.id.get());
                message.topic = Some(unsubscribe.filters.join(" "));
            }
            Packet::PubAck(id)
            | Packet::PubRec(id)
            | Packet::PubRel(id)
            | Packet::PubComp(id)
            | Packet::UnsubAck(id) => message.id = Some(id.get()),
            Packet::PingReq | Packet::PingResp | Packet::Disconnect => {}
        }
        message
    }

    /// An HTTP message, secrets replaced.
    #[must_use]
    pub fn http(&self, start: String, headers: &http::HeaderMap, body: &Bytes) -> HttpMessage {
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let is_secret = *name == http::header::AUTHORIZATION;
            (name.as_str().to_owned(), if is_secret { self.token(&text) } else { text })
        };
        let headers = headers.iter().map(header).collect();
        HttpMessage { start, headers, body: self.body(body) }
    }

    /// A body without the symmetric keys of registry objects.
    fn body(&self, bytes: &[u8]) -> String {
        if let Ok(mut value) = serde_json::from_slice::<Value>(bytes)
            && !self.keep_secrets
            && redact_keys(&mut value)
        {
            return value.to_string();
        }
        readable(bytes)
    }

    /// A SAS token without its signature.
    fn token(&self, text: &str) -> String {
        if self.keep_secrets {
            return text.to_owned();
        }
        let field = |field: &str| match field.split_once("sig=") {
            Some((before, _)) => format!("{before}sig={REDACTED}"),
            None => field.to_owned(),
        };
        let is_token = text.starts_with("SharedAccessSignature ");
        let fields: Vec<String> = text.split('&').map(field).collect();
        if is_token { fields.join("&") } else { REDACTED.to_owned() }
    }
}

/// Replaces the symmetric keys of registry bodies; `true` when there were any.
fn redact_keys(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => members.iter_mut().fold(false, |found, (name, child)| {
            let is_key = matches!(name.as_str(), "primaryKey" | "secondaryKey");
            let redacted = if is_key && child.is_string() {
                *child = Value::from(REDACTED);
                true
            } else {
                redact_keys(child)
            };
            found | redacted
        }),
        Value::Array(elements) => {
            elements.iter_mut().fold(false, |found, child| found | redact_keys(child))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// `bytes` as text, or `hex:` and digits.
fn readable(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| format!("hex:{}", hex(bytes)), str::to_owned)
}

/// Lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes records as JSON lines.
///
/// # Errors
/// Those of `output`.
pub fn write(records: &[Record], mut output: impl Write) -> io::Result<()> {
    for record in records {
        serde_json::to_writer(&mut output, record)?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads JSON lines.
///
/// # Errors
/// Names the line that is no record of a version this crate reads.
pub fn read(input: impl BufRead) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    for (index, line) in input.lines().enumerate() {
        let problem = |what: String| {
            io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {what}", index + 1))
        };
        let record: Record =
            serde_json::from_str(&line?).map_err(|error| problem(error.to_string()))?;
        if record.version != VERSION {
            return Err(problem(format!("version {}, readable is {VERSION}", record.version)));
        }
        records.push(record);
    }
    Ok(records)
}

/// The JSON Schema of one line.
#[must_use]
pub fn schema() -> Schema {
    schema_for!(Record)
}

#[cfg(test)]
mod tests {
    use twinspec_model::wire::mqtt::Connect;

    use super::*;

    #[test]
    fn tokens_and_keys_do_not_reach_the_trace() {
        let recorder = Recorder::new(false);
        let mut connect = Connect::new("d");
        connect.password = Some(Bytes::from_static(b"SharedAccessSignature sr=h&sig=geheim&se=1"));
        let message = recorder.message(&Packet::Connect(Box::new(connect)));
        assert!(message.detail.contains("sr=h&sig=[redacted]&se=1"), "{}", message.detail);
        let body = Bytes::from_static(br#"{"a":[{"symmetricKey":{"primaryKey":"geheim"}}]}"#);
        let http = recorder.http("200".to_owned(), &http::HeaderMap::new(), &body);
        assert_eq!(http.body, r#"{"a":[{"symmetricKey":{"primaryKey":"[redacted]"}}]}"#);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let recorder = Recorder::new(false);
        recorder.record("device d", Event::Sent(recorder.message(&Packet::PingReq)));
        recorder.record("device d", Event::ClosedByPeer);
        let mut text = Vec::new();
        write(&recorder.records(), &mut text).unwrap();
        assert_eq!(read(text.as_slice()).unwrap(), recorder.records());
    }

    #[test]
    fn a_line_of_another_version_is_named() {
        let line = br#"{"version":9,"sequence":0,"at_us":0,"actor":"a","event":"closed"}"#;
        let error = read(&line[..]).unwrap_err().to_string();
        assert_eq!(error, "line 1: version 9, readable is 1");
    }
}
