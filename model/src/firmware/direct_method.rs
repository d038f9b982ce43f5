//! Pattern (c), 2016: the direct method `firmwareUpdate`, progress under a root of its own.
//!
//! The samples of the time spell their values in four ways: a [`Spelling`] holds one of them.

use serde_json::{Map, Value, json};

use super::{Device, Failure, Input, Output, Phase, Work};
use crate::time::Time;

/// The method.
pub const METHOD: &str = "firmwareUpdate";

/// The answer to an address that is not fetched by https; the two blanks are the samples' own.
pub const INVALID_URL: &str = "Invalid URL format.  Must use https:// protocol.";

/// The answer to a second call while an update is under way (A-F08).
pub const ALREADY_RUNNING: &str = "Firmware update already running";

/// The words of one variant (firmware-patterns.md § c.6).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spelling {
    /// What the variant is called in profiles.
    pub name: &'static str,
    /// Where in the reported properties progress stands.
    pub root: &'static [&'static str],
    /// The answer to a call that is accepted.
    pub accepted: &'static str,
    /// Accepted, and not begun; none where the variant begins at once.
    pub waiting: Option<&'static str>,
    /// The image is being fetched.
    pub downloading: &'static str,
    /// The image is there.
    pub downloaded: &'static str,
    /// The image could not be fetched.
    pub download_failed: &'static str,
    /// The image is being written.
    pub applying: &'static str,
    /// The image is written; none where the variant never says so.
    pub applied: Option<&'static str>,
    /// The image could not be written.
    pub apply_failed: &'static str,
    /// Whether the payload of the call is the bare address instead of an object.
    pub bare_payload: bool,
    /// Whether the address is looked at before the call is answered; otherwise the call is accepted
    /// and the download fails (§ c.2).
    pub checks_first: bool,
    /// The status of the answer to a call that comes while an update is under way (A-F08).
    pub busy: i64,
}

/// All variants; the first is that of the tutorial.
pub const SPELLINGS: [Spelling; 4] = [
    Spelling {
        name: "tutorial-2016",
        root: &["iothubDM", "firmwareUpdate"],
        accepted: "FirmwareUpdate started",
        waiting: Some("waiting"),
        downloading: "downloading",
        downloaded: "downloadComplete",
        download_failed: "downloadfailed",
        applying: "applying",
        applied: Some("applyComplete"),
        apply_failed: "applyFailed",
        bare_payload: false,
        checks_first: false,
        busy: 409,
    },
    Spelling {
        name: "dm-patterns",
        root: &["iothubDM", "firmwareUpdate"],
        accepted: "Firmware update started.",
        waiting: None,
        downloading: "downloading",
        downloaded: "download complete",
        download_failed: "Download image failed",
        applying: "applying",
        applied: Some("apply firmware image complete"),
        apply_failed: "Apply image failed",
        bare_payload: false,
        checks_first: true,
        busy: 409,
    },
    Spelling {
        name: "samples-2018",
        root: &["firmwareUpdate"],
        accepted: "Firmware update started.",
        waiting: None,
        downloading: "downloading",
        downloaded: "download complete",
        download_failed: "download image failed",
        applying: "applying",
        applied: Some("apply firmware image complete"),
        apply_failed: "apply image failed",
        bare_payload: false,
        checks_first: true,
        busy: 409,
    },
    Spelling {
        name: "c-port",
        root: &["iothubDM", "firmwareUpdate"],
        accepted: "FirmwareUpdate started",
        waiting: Some("waiting"),
        downloading: "downloading",
        downloaded: "downloadComplete",
        download_failed: "downloadFailed",
        applying: "applying",
        applied: None,
        apply_failed: "applyFailed",
        bare_payload: true,
        checks_first: true,
        busy: 400,
    },
];

impl Spelling {
    /// The variant called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SPELLINGS.iter().find(|spelling| spelling.name == name)
    }

    /// Every status the variant has, in the order of success, failures last.
    #[must_use]
    pub fn statuses(&self) -> Vec<&'static str> {
        let begin = self.waiting.into_iter().chain([self.downloading, self.downloaded]);
        let end = [self.applying].into_iter().chain(self.applied);
        begin.chain(end).chain([self.download_failed, self.apply_failed]).collect()
    }

    /// Whether an attempt ends with `status`. A variant that never says `applied` ends with
    /// `applying`.
    #[must_use]
    pub fn is_terminal(&self, status: &str) -> bool {
        let success = self.applied.unwrap_or(self.applying);
        [success, self.download_failed, self.apply_failed].contains(&status)
    }

    /// `members` at the variant's place in the reported properties.
    #[must_use]
    pub fn under_root(&self, members: Value) -> Value {
        self.root.iter().rev().fold(members, |value, name| {
            Value::Object(Map::from_iter([((*name).to_owned(), value)]))
        })
    }
}

/// A device of the pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectMethodDevice {
    spelling: &'static Spelling,
    /// The address of the image, frozen, and where the attempt stands.
    attempt: Option<(String, Step)>,
    /// What was reported so far.
    shown: Map<String, Value>,
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    Waiting,
    Downloading,
    /// The pause between download and application.
    Downloaded,
    Applying,
}

impl Step {
    fn phase(self) -> Phase {
        match self {
            Self::Waiting | Self::Downloaded => Phase::Wait,
            Self::Downloading => Phase::Download,
            Self::Applying => Phase::Apply,
        }
    }
}

impl DirectMethodDevice {
    /// An idle device that spells as `spelling` does.
    #[must_use]
    pub fn new(spelling: &'static Spelling) -> Self {
        Self { spelling, attempt: None, shown: Map::new() }
    }

    fn call(&mut self, now: Time, payload: &Value) -> Vec<Output> {
        let uri =
            if self.spelling.bare_payload { Some(payload) } else { payload.get("fwPackageUri") };
        let uri = uri.and_then(Value::as_str).unwrap_or_default();
        if self.attempt.is_some() {
            let status = self.spelling.busy;
            return vec![Output::Answer { status, payload: json!(ALREADY_RUNNING) }];
        }
        if self.spelling.checks_first && !is_secure(uri) {
            return vec![Output::Answer { status: 400, payload: json!(INVALID_URL) }];
        }
        let answer = Output::Answer { status: 200, payload: json!(self.spelling.accepted) };
        let mut outputs = vec![answer];
        let first = json!({ "fwPackageUri": uri, "error": Value::Null });
        match self.spelling.waiting {
            Some(waiting) => {
                let time = ("startedWaitingTime", now);
                outputs.push(self.report(waiting, Some(time), first));
                self.enter(uri.to_owned(), Step::Waiting, &mut outputs);
            }
            None => {
                let time = ("startedDownloadingTime", now);
                outputs.push(self.report(self.spelling.downloading, Some(time), first));
                self.enter(uri.to_owned(), Step::Downloading, &mut outputs);
            }
        }
        outputs
    }

    fn report(&mut self, status: &str, time: Option<(&str, Time)>, mut members: Value) -> Output {
        if let Some(members) = members.as_object_mut() {
            members.insert("status".to_owned(), json!(status));
            members.extend(time.map(|(name, time)| (name.to_owned(), json!(time.to_string()))));
            for (name, value) in members {
                self.shown.insert(name.clone(), value.clone());
            }
        }
        Output::Report(self.spelling.under_root(members))
    }

    /// After a reconnect: what was reported is reported again, unless the twin shows it.
    fn connected(&self, reported: &Value) -> Vec<Output> {
        let there = self.spelling.root.iter().try_fold(reported, |value, name| value.get(name));
        let shows = |(name, value): (&String, &Value)| {
            let there = there.and_then(|members| members.get(name)).unwrap_or(&Value::Null);
            there == value
        };
        if self.shown.iter().all(shows) {
            return Vec::new();
        }
        vec![Output::Report(self.spelling.under_root(Value::Object(self.shown.clone())))]
    }

    fn enter(&mut self, uri: String, step: Step, outputs: &mut Vec<Output>) {
        if step == Step::Downloading && !is_secure(&uri) {
            let code = "InvalidUrl".to_owned();
            let failure = Failure { code, message: INVALID_URL.to_owned() };
            outputs.push(self.report(self.spelling.download_failed, None, error(&failure)));
            return;
        }
        let work = Work { phase: step.phase(), uri: uri.clone(), check: String::new() };
        outputs.push(Output::Begin(work));
        self.attempt = Some((uri, step));
    }

    fn done(&mut self, now: Time, phase: Phase, result: Result<(), Failure>) -> Vec<Output> {
        let Some((uri, step)) = self.attempt.take_if(|(_, step)| step.phase() == phase) else {
            return Vec::new();
        };
        let words = self.spelling;
        let none = || json!({});
        let mut outputs = Vec::new();
        match (step, result) {
            (Step::Waiting | Step::Downloading, Err(failure)) => {
                outputs.push(self.report(words.download_failed, None, error(&failure)));
            }
            (Step::Downloaded | Step::Applying, Err(failure)) => {
                outputs.push(self.report(words.apply_failed, None, error(&failure)));
            }
            (Step::Waiting, Ok(())) => {
                outputs.push(self.report(words.downloading, None, none()));
                self.enter(uri, Step::Downloading, &mut outputs);
            }
            (Step::Downloading, Ok(())) => {
                let time = Some(("downloadCompleteTime", now));
                outputs.push(self.report(words.downloaded, time, none()));
                self.enter(uri, Step::Downloaded, &mut outputs);
            }
            (Step::Downloaded, Ok(())) => {
                let time = Some(("startedApplyingImage", now));
                outputs.push(self.report(words.applying, time, none()));
                self.enter(uri, Step::Applying, &mut outputs);
            }
            (Step::Applying, Ok(())) => {
                let time = Some(("lastFirmwareUpdate", now));
                if let Some(applied) = words.applied {
                    outputs.push(self.report(applied, time, none()));
                }
            }
        }
        outputs
    }
}

impl Device for DirectMethodDevice {
    fn handle(&mut self, now: Time, input: Input) -> Vec<Output> {
        match input {
            Input::Called { name, payload } if name == METHOD => self.call(now, &payload),
            // As the C port does (§ c.6), and as the device SDKs do without a handler.
            Input::Called { .. } if self.spelling.bare_payload => {
                vec![Output::Answer { status: 400, payload: Value::Null }]
            }
            Input::Called { .. } => vec![Output::Answer { status: 501, payload: Value::Null }],
            Input::Done(phase, result) => self.done(now, phase, result),
            Input::Connected { reported, .. } => self.connected(&reported),
            Input::Desired(_) => Vec::new(),
        }
    }

    fn is_busy(&self) -> bool {
        self.attempt.is_some()
    }
}

fn is_secure(uri: &str) -> bool {
    uri.starts_with("https://")
}

fn error(failure: &Failure) -> Value {
    json!({ "error": { "code": failure.code, "message": failure.message } })
}
