//! Pattern (b), 2018: a twin job writes `desired.firmware`, the device reports `firmware`.

use serde_json::{Map, Value, json};

use super::{Device, Failure, Input, Output, Phase, Work};
use crate::time::Time;

/// What a device runs that was never updated (§ b.4).
pub const FIRST_VERSION: &str = "1.0.0";
/// Detail of a refused request: the version is there already (check 1).
pub const UP_TO_DATE: &str = "Firmware already up to date";
/// Detail of a refused request: another update is under way (check 2).
pub const ALREADY_RUNNING: &str = "Firmware update already running";
/// Detail of a refused request: the image is not fetched by https (check 3).
pub const INSECURE_URI: &str = "Insecure package URI";
/// Detail of an image whose check value is wrong.
pub const VERIFICATION_FAILED: &str = "Image verification failed";

/// `fwUpdateStatus` (firmware-patterns.md § b.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nothing is under way.
    Current,
    /// The image is being fetched.
    Downloading,
    /// The image is being checked.
    Verifying,
    /// The image is being written.
    Applying,
    /// The device starts again.
    Rebooting,
    /// A request was refused, or a phase has failed.
    Error,
    /// The old version runs again.
    RolledBack,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Current,
        Self::Downloading,
        Self::Verifying,
        Self::Applying,
        Self::Rebooting,
        Self::Error,
        Self::RolledBack,
    ];

    /// The value in the twin.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Downloading => "downloading",
            Self::Verifying => "verifying",
            Self::Applying => "applying",
            Self::Rebooting => "rebooting",
            Self::Error => "error",
            Self::RolledBack => "rolledback",
        }
    }
}

/// What `desired.firmware` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `fwVersion`.
    pub version: String,
    /// `fwPackageURI`.
    pub uri: String,
    /// `fwPackageCheckValue`.
    pub check: String,
}

/// A device of the pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct TwinJobDevice {
    version: String,
    status: Status,
    detail: String,
    began: Option<Time>,
    ended: Option<Time>,
    /// Whether the twin was never read.
    fresh: bool,
    /// `desired.firmware` as far as it is known: patches bring parts of it.
    wanted: Map<String, Value>,
    /// The request that is worked on, frozen, and its phase.
    attempt: Option<(Request, Phase)>,
    /// The last request that has failed: not tried again before it is made again.
    failed: Option<Request>,
}

impl TwinJobDevice {
    /// An idle device that runs `version`, unless its twin knows of a later one: the device has no
    /// other memory across restarts.
    #[must_use]
    pub fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            status: Status::Current,
            detail: String::new(),
            began: None,
            ended: None,
            fresh: true,
            wanted: Map::new(),
            attempt: None,
            failed: None,
        }
    }

    /// The version that runs.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What is reported now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The initial block: six members, with the truth after a reconnect.
    fn block(&self) -> Output {
        let time = |time: Option<Time>| time.map_or(String::new(), |time| time.to_string());
        let pending = self.attempt.as_ref().map_or("", |(request, _)| request.version.as_str());
        report(json!({
            "currentFwVersion": self.version,
            "pendingFwVersion": pending,
            "fwUpdateStatus": self.status.name(),
            "fwUpdateSubstatus": self.detail,
            "lastFwUpdateStartTime": time(self.began),
            "lastFwUpdateEndTime": time(self.ended),
        }))
    }

    fn show(&mut self, status: Status, detail: &str, outputs: &mut Vec<Output>) {
        self.status = status;
        detail.clone_into(&mut self.detail);
        outputs.push(report(json!({
            "fwUpdateStatus": status.name(),
            "fwUpdateSubstatus": detail,
        })));
    }

    /// The three checks of § b.3, then the attempt.
    fn consider(&mut self, now: Time, is_new: bool, outputs: &mut Vec<Output>) {
        let text = |name: &str| {
            self.wanted.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let request = Request {
            version: text("fwVersion"),
            uri: text("fwPackageURI"),
            check: text("fwPackageCheckValue"),
        };
        if self.attempt.is_some() {
            if is_new {
                // The phase stays what it is: only the detail tells of the refusal.
                self.show(self.status, ALREADY_RUNNING, outputs);
            }
        } else if !is_new
            && (request.version == self.version || self.failed == Some(request.clone()))
        {
            // Delivered again after a reconnect: nothing is new.
        } else if request.version.is_empty() {
            if is_new {
                self.show(Status::Error, "Missing firmware version", outputs);
            }
        } else if request.version == self.version {
            self.show(Status::Current, UP_TO_DATE, outputs);
        } else if !request.uri.starts_with("https://") {
            self.failed = Some(request);
            self.show(Status::Error, INSECURE_URI, outputs);
        } else {
            self.begin(now, request, outputs);
        }
    }

    fn begin(&mut self, now: Time, request: Request, outputs: &mut Vec<Output>) {
        self.began = Some(now);
        self.status = Status::Current;
        self.detail.clear();
        outputs.push(report(json!({
            "pendingFwVersion": request.version,
            "fwUpdateStatus": Status::Current.name(),
            "fwUpdateSubstatus": "",
            "lastFwUpdateStartTime": now.to_string(),
        })));
        self.enter(request, Phase::Download, outputs);
    }

    fn enter(&mut self, request: Request, phase: Phase, outputs: &mut Vec<Output>) {
        if let Some((status, detail, _)) = words(phase) {
            self.show(status, detail, outputs);
        }
        let work = Work { phase, uri: request.uri.clone(), check: request.check.clone() };
        self.attempt = Some((request, phase));
        outputs.push(Output::Begin(work));
    }

    fn done(
        &mut self,
        now: Time,
        phase: Phase,
        result: Result<(), Failure>,
        outputs: &mut Vec<Output>,
    ) {
        let Some((request, _)) = self.attempt.take_if(|(_, current)| *current == phase) else {
            return;
        };
        match (result, phase) {
            // There is no way on from a roll-back that fails: the old version is what runs.
            (_, Phase::RollBack) => self.roll_back(now, request, outputs),
            (Err(failure), _) => {
                self.show(Status::Error, &failure.message, outputs);
                self.enter(request, Phase::RollBack, outputs);
            }
            (Ok(()), phase) => {
                if let Some((status, _, detail)) = words(phase) {
                    self.show(status, detail, outputs);
                }
                match next(phase) {
                    Some(phase) => self.enter(request, phase, outputs),
                    None => self.succeed(now, request, outputs),
                }
            }
        }
    }

    fn succeed(&mut self, now: Time, request: Request, outputs: &mut Vec<Output>) {
        self.version = request.version;
        self.failed = None;
        self.finish(now, Status::Current, String::new(), outputs);
    }

    fn roll_back(&mut self, now: Time, request: Request, outputs: &mut Vec<Output>) {
        self.failed = Some(request);
        let detail = format!("Rolled back to: {}", self.version);
        self.finish(now, Status::RolledBack, detail, outputs);
    }

    fn finish(&mut self, now: Time, status: Status, detail: String, outputs: &mut Vec<Output>) {
        self.ended = Some(now);
        self.status = status;
        self.detail = detail;
        outputs.push(report(json!({
            "currentFwVersion": self.version,
            "pendingFwVersion": "",
            "fwUpdateStatus": status.name(),
            "fwUpdateSubstatus": self.detail,
            "lastFwUpdateEndTime": now.to_string(),
        })));
    }
}

impl Device for TwinJobDevice {
    fn handle(&mut self, now: Time, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Connected { desired, reported } => {
                let known = reported.pointer("/firmware/currentFwVersion").and_then(Value::as_str);
                if let Some(version) = known.filter(|text| self.fresh && !text.is_empty()) {
                    version.clone_into(&mut self.version);
                }
                self.fresh = false;
                outputs.push(self.block());
                self.wanted = firmware(&desired).cloned().unwrap_or_default();
                if !self.wanted.is_empty() {
                    self.consider(now, false, &mut outputs);
                }
            }
            Input::Desired(patch) => {
                if let Some(members) = firmware(&patch) {
                    for (name, value) in members {
                        // A null has no text, which is all that is read.
                        self.wanted.insert(name.clone(), value.clone());
                    }
                    self.consider(now, true, &mut outputs);
                }
            }
            Input::Done(phase, result) => self.done(now, phase, result, &mut outputs),
            Input::Called { .. } => {
                outputs.push(Output::Answer { status: 501, payload: Value::Null });
            }
        }
        outputs
    }

    fn is_busy(&self) -> bool {
        self.attempt.is_some()
    }
}

/// `firmware` in desired properties.
fn firmware(desired: &Value) -> Option<&Map<String, Value>> {
    desired.get("firmware")?.as_object()
}

fn report(block: Value) -> Output {
    Output::Report(json!({ "firmware": block }))
}

/// Status, first and last detail of a phase (§ b.5); none for what is not reported as a phase.
fn words(phase: Phase) -> Option<(Status, &'static str, &'static str)> {
    match phase {
        Phase::Download => Some((Status::Downloading, "Start downloading", "Finished downloading")),
        Phase::Verify => {
            Some((Status::Verifying, "Start verifying download", "Finished verifying download"))
        }
        Phase::Apply => Some((Status::Applying, "Start applying image", "Finished applying image")),
        Phase::Reboot => Some((Status::Rebooting, "Start reboot", "Finished reboot")),
        Phase::Wait | Phase::RollBack => None,
    }
}

fn next(phase: Phase) -> Option<Phase> {
    match phase {
        Phase::Wait => Some(Phase::Download),
        Phase::Download => Some(Phase::Verify),
        Phase::Verify => Some(Phase::Apply),
        Phase::Apply => Some(Phase::Reboot),
        Phase::Reboot | Phase::RollBack => None,
    }
}
