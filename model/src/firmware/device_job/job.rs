//! The hub's side: a parent and one child for each device (firmware-patterns.md §§ a.3, a.4, a.7).

use serde_json::{Map, Value, json};

use super::device::{State, UpdateFailure, UpdateResult};
use super::lwm2m::{
    CONFIGURATION_APPLY, CONFIGURATION_VALUE, FACTORY_RESET, PACKAGE_URI, Path, REBOOT, Request,
    STATE, UPDATE, UPDATE_RESULT,
};
use super::request::{DeviceJobRequest, Work};
use crate::time::Time;
use crate::wire::coap::Code;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// In no other state; this hub never shows it.
    Unknown,
    /// Accepted.
    Enqueued,
    /// Taken up.
    Running,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Never reached: the preview did not implement it.
    Cancelled,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unknown,
        Self::Enqueued,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Enqueued => "enqueued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it never changes again.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// What somebody who waits for a job makes of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The job has not ended.
    Pending,
    /// It has ended well.
    Succeeded,
    /// It has ended badly, in either shape (A-F03).
    Failed,
}

impl Outcome {
    /// Reads a job as the samples did: `completed` with a reason is a failure too (FW-A05).
    #[must_use]
    pub fn of(job: &Value) -> Self {
        let text = |name: &str| job.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("status") {
            "completed" if text("failureReason").is_empty() => Self::Succeeded,
            "completed" | "failed" | "cancelled" => Self::Failed,
            _ => Self::Pending,
        }
    }
}

/// A job with its children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceJob {
    /// What was asked for.
    pub request: DeviceJobRequest,
    created: Time,
    children: Vec<Child>,
}

/// The part of a job on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its own id.
    pub id: String,
    /// The device.
    pub device: String,
    status: Status,
    step: Step,
    deadline: Option<Time>,
    ended: Option<Time>,
    failure: String,
    /// What was read.
    values: Vec<(&'static str, String)>,
}

/// What a running child waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The device, to ask the operation of this number.
    Device(usize),
    /// The answer to the operation of this number.
    Answer(usize),
    /// State 3: the image is there.
    Download,
    /// Result 1: the new firmware runs.
    Apply,
}

/// Number of the operation `Update` in the operations of a firmware update.
const UPDATE_OPERATION: usize = 1;

impl DeviceJob {
    /// A job that was accepted; `child_id` gives each child its id.
    pub fn new(request: DeviceJobRequest, now: Time, mut child_id: impl FnMut() -> String) -> Self {
        let child = |device: &String| Child {
            id: child_id(),
            device: device.clone(),
            status: Status::Enqueued,
            step: Step::Device(0),
            deadline: None,
            ended: None,
            failure: String::new(),
            values: Vec::new(),
        };
        let children = request.devices.iter().map(child).collect();
        Self { request, created: now, children }
    }

    /// The children, in the order of the devices that were named.
    #[must_use]
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// A child and what it shall do.
    pub fn child_mut(&mut self, index: usize) -> Option<(&Work, &mut Child)> {
        Some((&self.request.work, self.children.get_mut(index)?))
    }

    /// The status of the parent: it ends after all of its children.
    #[must_use]
    pub fn status(&self) -> Status {
        let all = |of: fn(&Child) -> bool| self.children.iter().all(of);
        if all(|child| child.status == Status::Enqueued) {
            Status::Enqueued
        } else if !all(|child| child.status.is_over()) {
            Status::Running
        } else if self.count(Status::Failed) > 0 {
            Status::Failed
        } else {
            Status::Completed
        }
    }

    fn count(&self, status: Status) -> usize {
        self.children.iter().filter(|child| child.status == status).count()
    }

    /// The parent as GET shows it.
    #[must_use]
    pub fn json(&self) -> Value {
        let (devices, failed) = (self.children.len(), self.count(Status::Failed));
        let succeeded = self.count(Status::Completed);
        let status = self.status();
        let reason = (status == Status::Failed)
            .then(|| format!("the job has failed on {failed} of {devices} devices"));
        let ended = self.children.iter().filter_map(|child| child.ended).max();
        let mut row = self.row(&self.request.id, status, ended.filter(|_| status.is_over()));
        row.insert("failureReason".to_owned(), json!(reason));
        row.insert(
            "statusMessage".to_owned(),
            json!(format!("Devices: {devices}; Succeeded: {succeeded}; Failed: {failed};")),
        );
        row.insert("parentJobId".to_owned(), Value::Null);
        Value::Object(row)
    }

    /// A child as GET shows it.
    #[must_use]
    pub fn child_json(&self, child: &Child) -> Value {
        let mut row = self.row(&child.id, child.status, child.ended);
        let reason = (!child.failure.is_empty()).then_some(&child.failure);
        row.insert("failureReason".to_owned(), json!(reason));
        row.insert("statusMessage".to_owned(), json!(child.message()));
        row.insert("deviceId".to_owned(), json!(child.device));
        row.insert("parentJobId".to_owned(), json!(self.request.id));
        Value::Object(row)
    }

    fn row(&self, id: &str, status: Status, ended: Option<Time>) -> Map<String, Value> {
        let ended = ended.map(|time| time.to_string());
        Map::from_iter([
            ("jobId".to_owned(), json!(id)),
            ("startTimeUtc".to_owned(), json!(self.created.to_string())),
            ("endTimeUtc".to_owned(), json!(ended)),
            ("type".to_owned(), json!(self.request.work.name())),
            ("status".to_owned(), json!(status.name())),
        ])
    }
}

impl Child {
    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// What it waits for while it runs.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// Why it has failed; empty unless it has.
    #[must_use]
    pub fn failure(&self) -> &str {
        &self.failure
    }

    /// When it is given up.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| self.status == Status::Running)
    }

    /// What was read, as JSON text; none for a child that reads nothing. The sources name no place
    /// for it: clients looked at the device.
    fn message(&self) -> Option<String> {
        let values = self.values.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        let values: Map<String, Value> = values.collect();
        (!values.is_empty()).then(|| Value::Object(values).to_string())
    }

    /// Takes the child up; the time runs from here (A-F01).
    pub fn start(&mut self, now: Time, timeout: std::time::Duration) {
        if self.status == Status::Enqueued {
            self.status = Status::Running;
            self.deadline = Some(now.after(timeout));
        }
    }

    /// What to ask now that the device is there. It may have come back in the middle of the work:
    /// what the hub does not know to have arrived is asked again, unless it makes a device restart.
    pub fn connected(&mut self, now: Time, work: &Work) -> Option<Request> {
        if self.status != Status::Running {
            return None;
        }
        match (self.step, work) {
            (Step::Device(number), _) => self.ask(number, work),
            (Step::Answer(_), Work::Reboot | Work::FactoryReset) => {
                self.end(now, Status::Completed);
                None
            }
            (Step::Answer(UPDATE_OPERATION), Work::FirmwareUpdate { .. }) => {
                self.step = Step::Apply;
                None
            }
            (Step::Answer(number), _) => self.ask(number, work),
            (Step::Download | Step::Apply, _) => None,
        }
    }

    /// The device has answered the operation that was asked; what to ask next.
    pub fn answered(&mut self, now: Time, work: &Work, code: Code, value: &str) -> Option<Request> {
        let (Status::Running, Step::Answer(number)) = (self.status, self.step) else {
            return None;
        };
        let request = operations(work).into_iter().nth(number)?;
        if !code.is_success() {
            let (operation, path) = (request.operation.name(), request.path);
            let failure = format!("the device answered {operation} {path} with {code}");
            self.fail(now, failure);
            return None;
        }
        if let Work::ReadProperties(properties) = work
            && let Some(property) = properties.get(number)
        {
            self.values.push((property.property, value.to_owned()));
        }
        match (work, number) {
            (Work::FirmwareUpdate { .. }, UPDATE_OPERATION) => self.step = Step::Apply,
            (Work::FirmwareUpdate { .. }, _) => self.step = Step::Download,
            _ => {
                return self.ask(number.saturating_add(1), work).or_else(|| {
                    self.end(now, Status::Completed);
                    None
                });
            }
        }
        None
    }

    /// The device told a value that the hub observes; what to ask next.
    pub fn told(&mut self, now: Time, work: &Work, path: Path, value: &str) -> Option<Request> {
        let number: i64 = value.parse().ok()?;
        match (self.status, self.step, path) {
            (Status::Running, Step::Download | Step::Apply, UPDATE_RESULT) => {
                if let Some(failure) = UpdateFailure::from_number(number) {
                    let name = failure.name();
                    self.fail(now, format!("the update has the result {number}, {name}"));
                } else if self.step == Step::Apply && number == UpdateResult::Success.number() {
                    self.end(now, Status::Completed);
                }
                None
            }
            (Status::Running, Step::Download, STATE) if number == State::Downloaded.number() => {
                self.ask(UPDATE_OPERATION, work)
            }
            _ => None,
        }
    }

    /// Gives the child up when its time is over.
    pub fn expire(&mut self, now: Time) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            let waits_for = match self.step {
                Step::Device(_) => "the device to connect",
                Step::Answer(_) => "an answer of the device",
                Step::Download => "the download",
                Step::Apply => "the new firmware",
            };
            self.fail(now, format!("the timeout has passed while the job waited for {waits_for}"));
        }
    }

    /// Ends the child badly.
    pub fn fail(&mut self, now: Time, failure: String) {
        if !self.status.is_over() {
            self.failure = failure;
            self.end(now, Status::Failed);
        }
    }

    fn ask(&mut self, number: usize, work: &Work) -> Option<Request> {
        let request = operations(work).into_iter().nth(number)?;
        self.step = Step::Answer(number);
        Some(request)
    }

    fn end(&mut self, now: Time, status: Status) {
        self.status = status;
        self.ended = Some(now);
    }
}

/// What is asked of a device, in order.
#[must_use]
pub fn operations(work: &Work) -> Vec<Request> {
    match work {
        Work::FirmwareUpdate { uri } => {
            vec![Request::write(PACKAGE_URI, uri), Request::execute(UPDATE)]
        }
        Work::Reboot => vec![Request::execute(REBOOT)],
        Work::FactoryReset => vec![Request::execute(FACTORY_RESET)],
        Work::UpdateConfiguration(value) => {
            vec![Request::write(CONFIGURATION_VALUE, value), Request::execute(CONFIGURATION_APPLY)]
        }
        Work::ReadProperties(properties) => {
            properties.iter().map(|property| Request::read(property.path)).collect()
        }
        Work::WriteProperties(properties) => properties
            .iter()
            .map(|(property, value)| Request::write(property.path, value))
            .collect(),
    }
}
