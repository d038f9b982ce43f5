//! Pattern (d), 2018: the direct method `firmwareUpdate`, progress at the root of reported.

use serde_json::{Map, Value, json};

use super::direct_method::METHOD;
use super::{Device, Failure, Input, Output, Phase, Work};
use crate::time::Time;

/// `firmwareStatus` (firmware-patterns.md § d.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Ready for an update.
    StandBy,
    /// The image is being fetched.
    Downloading,
    /// The image is being written.
    Applying,
    /// The image runs.
    Completed,
}

impl Status {
    /// All of them, in the order of success.
    pub const ALL: [Self; 4] = [Self::StandBy, Self::Downloading, Self::Applying, Self::Completed];

    /// The value in the twin.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StandBy => "standBy",
            Self::Downloading => "downloading",
            Self::Applying => "applying",
            Self::Completed => "completed",
        }
    }

    /// The member with the time that comes with the value in one patch.
    #[must_use]
    pub fn companion(self) -> &'static str {
        match self {
            Self::StandBy => "logTime",
            Self::Downloading => "downloadComplete",
            Self::Applying => "startedApplyingImage",
            Self::Completed => "lastFirmwareUpdate",
        }
    }
}

/// A device of the pattern.
///
/// The pattern has no value for a failure: an attempt that fails goes back to `standBy`, so that it
/// ends, and so that nobody takes it for a success.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectMethod2018Device {
    status: Status,
    /// The payload of the call, which is the address of the image, and the phase.
    attempt: Option<(String, Phase)>,
    /// What was reported so far.
    shown: Map<String, Value>,
}

impl DirectMethod2018Device {
    /// A device that was just started.
    #[must_use]
    pub fn new() -> Self {
        Self { status: Status::StandBy, attempt: None, shown: Map::new() }
    }

    fn report(&mut self, now: Time, status: Status) -> Output {
        self.status = status;
        let members = [
            ("firmwareStatus".to_owned(), json!(status.name())),
            (status.companion().to_owned(), json!(blank_separated(now))),
        ];
        self.shown.extend(members.clone());
        Output::Report(Value::Object(Map::from_iter(members)))
    }

    /// At the start the beginning, after a reconnect the truth with the times of then.
    fn connected(&mut self, now: Time) -> Output {
        if self.shown.is_empty() {
            return self.report(now, Status::StandBy);
        }
        Output::Report(Value::Object(self.shown.clone()))
    }

    fn enter(&mut self, uri: String, phase: Phase) -> Output {
        self.attempt = Some((uri.clone(), phase));
        Output::Begin(Work { phase, uri, check: String::new() })
    }

    fn call(&mut self, payload: &Value) -> Vec<Output> {
        let answer = |status, text| Output::Answer { status, payload: json!({ "Response": text }) };
        if self.attempt.is_some() {
            return vec![answer(409, "Firmware update already running")];
        }
        let uri = payload.get("fwPackageUri").and_then(Value::as_str).unwrap_or_default();
        let begin = self.enter(uri.to_owned(), Phase::Wait);
        vec![answer(200, "Firmware update started"), begin]
    }

    fn done(&mut self, now: Time, phase: Phase, result: Result<(), Failure>) -> Vec<Output> {
        let Some((uri, _)) = self.attempt.take_if(|(_, current)| *current == phase) else {
            return Vec::new();
        };
        match (phase, result) {
            (_, Err(_)) => vec![self.report(now, Status::StandBy)],
            (Phase::Wait, Ok(())) => {
                vec![self.report(now, Status::Downloading), self.enter(uri, Phase::Download)]
            }
            (Phase::Download, Ok(())) => {
                vec![self.report(now, Status::Applying), self.enter(uri, Phase::Apply)]
            }
            (_, Ok(())) => vec![self.report(now, Status::Completed)],
        }
    }
}

impl Default for DirectMethod2018Device {
    fn default() -> Self {
        Self::new()
    }
}

impl Device for DirectMethod2018Device {
    fn handle(&mut self, now: Time, input: Input) -> Vec<Output> {
        match input {
            Input::Connected { .. } => vec![self.connected(now)],
            Input::Called { name, payload } if name == METHOD => self.call(&payload),
            Input::Called { .. } => {
                let payload = json!({ "Response": "Unknown method" });
                vec![Output::Answer { status: 404, payload }]
            }
            Input::Done(phase, result) => self.done(now, phase, result),
            Input::Desired(_) => Vec::new(),
        }
    }

    fn is_busy(&self) -> bool {
        self.attempt.is_some()
    }
}

/// `YYYY-MM-DD hh:mm:ss.ffffff`, the form of the sample; in UTC, for a model knows no zone.
fn blank_separated(now: Time) -> String {
    let text = now.to_string();
    text.trim_end_matches('Z').chars().take(26).collect::<String>().replace('T', " ")
}
