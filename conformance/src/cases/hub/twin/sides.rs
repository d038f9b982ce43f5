//! One section of one twin, written from the side that may write it.
//!
//! Content rules hold on every side alike, so their cases are written once and run on several.

use std::fmt;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;

use crate::bench::{Bench, Connection, IfMatch, Registered, TwinAnswer};
use crate::verdict::{Checked, Stop};

/// Which section of whose twin is written, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// A back end PATCHes the desired properties of a device.
    Desired,
    /// A back end PUTs the desired properties of a device.
    DesiredPut,
    /// A back end PATCHes the tags of a device.
    Tags,
    /// A device PATCHes its reported properties.
    Reported,
    /// A back end PATCHes the desired properties of a module.
    ModuleDesired,
    /// A module PATCHes its reported properties.
    ModuleReported,
}

impl Side {
    /// The section's place in the document that a back end reads.
    fn pointer(self) -> &'static str {
        match self {
            Self::Desired | Self::DesiredPut | Self::ModuleDesired => "/properties/desired",
            Self::Tags => "/tags",
            Self::Reported | Self::ModuleReported => "/properties/reported",
        }
    }

    /// The section's `$version` in the document that a back end reads.
    pub(super) fn version(self, twin: &Value) -> Option<u64> {
        twin.pointer(&format!("{}/$version", self.pointer())).and_then(Value::as_u64)
    }

    /// The section's `$metadata` in the document that a back end reads.
    pub(super) fn metadata(self, twin: &Value) -> Value {
        let pointer = format!("{}/$metadata", self.pointer());
        twin.pointer(&pointer).cloned().unwrap_or_default()
    }

    fn method(self) -> Method {
        match self {
            Self::DesiredPut => Method::PUT,
            _ => Method::PATCH,
        }
    }

    fn is_module(self) -> bool {
        matches!(self, Self::ModuleDesired | Self::ModuleReported)
    }

    fn is_reported(self) -> bool {
        matches!(self, Self::Reported | Self::ModuleReported)
    }
}

/// What is answered to a write.
pub(super) enum Reply {
    /// To a back end.
    BackEnd(Answer),
    /// To a device or module.
    Device(TwinAnswer),
}

impl Reply {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::BackEnd(answer) => answer.status.as_u16(),
            Self::Device(answer) => answer.status,
        }
    }

    /// The status of success: 200 with the twin over HTTP, 204 over MQTT.
    pub(super) fn is_accepted(&self) -> bool {
        match self {
            Self::BackEnd(answer) => answer.status.as_u16() == 200,
            Self::Device(answer) => answer.status == 204,
        }
    }

    /// Any status that puts the blame on the client.
    pub(super) fn is_refused(&self) -> bool {
        (400..500).contains(&self.status())
    }

    /// Whether the error is the one called `name` and `number`, in either form of an HTTP error
    /// body (hub-http.md § 6.1) and its header, or in the body over MQTT.
    pub(super) fn has_code(&self, name: &str, number: u64) -> bool {
        let answer = match self {
            Self::Device(answer) => return error_code(&answer.json()) == Some(number),
            Self::BackEnd(answer) => answer,
        };
        let body = answer.json();
        let message = body.get("Message").and_then(Value::as_str).unwrap_or_default();
        let nested: Value = serde_json::from_str(message).unwrap_or(Value::Null);
        let in_body = message.starts_with(&format!("ErrorCode:{name};"))
            || error_code(&nested) == Some(number);
        in_body && answer.header("iothub-errorcode") == Some(name)
    }
}

fn error_code(body: &Value) -> Option<u64> {
    body.get("errorCode").and_then(Value::as_u64)
}

impl fmt::Display for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackEnd(answer) => {
                let code = answer.header("iothub-errorcode").unwrap_or("none");
                write!(formatter, "{answer}, iothub-errorcode {code}")
            }
            Self::Device(answer) => answer.fmt(formatter),
        }
    }
}

/// Writes one section and reads it back.
pub(super) struct Writer {
    side: Side,
    /// Whose twin it is.
    pub(super) who: Registered,
    connection: Option<Connection>,
}

impl Writer {
    /// A writer of the twin of a new identity.
    pub(super) async fn new(bench: &mut Bench, side: Side) -> Checked<Self> {
        let mut who = bench.device().await?;
        if side.is_module() {
            who = bench.module(&who, "part").await?;
        }
        let connection = match side.is_reported() {
            true => Some(bench.connect_and_listen(&who).await?),
            false => None,
        };
        Ok(Self { side, who, connection })
    }

    /// Writes `members` and returns whatever is answered.
    pub(super) async fn send(&mut self, bench: &mut Bench, members: &Value) -> Checked<Reply> {
        self.send_text(bench, &members.to_string()).await
    }

    /// Like [`Self::send`] with any text in the place of the section.
    pub(super) async fn send_text(&mut self, bench: &mut Bench, members: &str) -> Checked<Reply> {
        if let Some(connection) = &mut self.connection {
            return Ok(Reply::Device(connection.report_text(members).await?));
        }
        let body = match self.side {
            Side::Tags => format!(r#"{{"tags":{members}}}"#),
            _ => format!(r#"{{"properties":{{"desired":{members}}}}}"#),
        };
        let path =
            format!("/{}", self.who.identity.resource_path().replacen("devices", "twins", 1));
        let (method, body) = (self.side.method(), Some(Bytes::from(body)));
        Ok(Reply::BackEnd(bench.call_raw(method, &path, IfMatch::Absent, body).await?))
    }

    /// Writes `members`, which must be accepted, and returns the twin that a back end then reads.
    pub(super) async fn write(&mut self, bench: &mut Bench, members: &Value) -> Checked<Value> {
        let reply = self.send(bench, members).await?;
        if !reply.is_accepted() {
            let requirement =
                if self.side.is_reported() { "HUB-TWIN-008" } else { "HUB-MERGE-022" };
            let allowed = "the write accepted".to_owned();
            return Err(Stop::Broken { requirement, allowed, seen: reply.to_string() });
        }
        let side = self.side;
        let version = match &reply {
            Reply::BackEnd(answer) if side == Side::Tags => return Ok(answer.json()),
            Reply::BackEnd(answer) => side.version(&answer.json()),
            Reply::Device(answer) => answer.version,
        };
        let shows = |twin: &Value| side.version(twin) == version;
        bench.watch_twin(&self.who.identity, shows).await
    }

    /// The members of the section, as the side reads them that wrote them.
    pub(super) async fn stored(&mut self, bench: &mut Bench) -> Checked<Value> {
        let mut members = match &mut self.connection {
            Some(connection) => {
                connection.twin().await?.get("reported").cloned().unwrap_or_default()
            }
            None => {
                let twin = bench.read_twin(&self.who.identity).await?;
                twin.pointer(self.side.pointer()).cloned().unwrap_or_else(|| json!({}))
            }
        };
        if let Some(members) = members.as_object_mut() {
            members.retain(|key, _| !key.starts_with('$'));
        }
        Ok(members)
    }

    /// Writes `members`, whose text must be refused, and returns whatever is answered; when it is
    /// refused, nothing may have changed (HUB-MERGE-023).
    pub(super) async fn send_bad(&mut self, bench: &mut Bench, members: &Value) -> Checked<Reply> {
        self.send_bad_text(bench, &members.to_string()).await
    }

    /// Like [`Self::send_bad`] with any text in the place of the section.
    pub(super) async fn send_bad_text(
        &mut self,
        bench: &mut Bench,
        members: &str,
    ) -> Checked<Reply> {
        let before = self.stored(bench).await?;
        let reply = self.send_text(bench, members).await?;
        let after = self.stored(bench).await?;
        let held = !reply.is_refused() || before == after;
        let text = |members: &Value| crate::bench::shorten(&members.to_string());
        let seen = format!("{} after {reply}", text(&after));
        bench.demand("HUB-MERGE-023", held, format!("still {}", text(&before)), seen);
        Ok(reply)
    }
}
