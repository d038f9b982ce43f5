//! Jobs: one piece of work on many devices, at a time, within a budget (jobs.md §§ 3 to 12).
//!
//! A [`Job`] is a state machine: every method is one event of the tables T1 to T15 and P1 to P9,
//! and an event that the state does not allow changes nothing. Terminal states are never left,
//! a job is never `completed` while a row is open, and the counters always add up.

mod request;
mod row;

use std::ops::Range;

use serde_json::{Value, json};

pub use request::{ID_LENGTH_MAX, JobRequest, JobType, TYPE_NAMES, Work, id_error};
pub use row::{DeviceJob, DeviceJobStatus, JobRow, RowEnd};

use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::time::Time;

/// How long a job can be read after its end (D-JOBS-2025 "Job lifecycle").
const RETENTION: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

/// The error of a device that was not reached in time (JOB-080).
pub const RUN_PRECONDITION_FAILED: &str = "JobRunPreconditionFailed";

/// How far a job has come (table T1 to T15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobStatus {
    /// Accepted, and not looked at.
    Queued,
    /// Waits for its start time.
    Scheduled,
    /// Devices are selected and worked on.
    Running,
    /// All work has ended, or the budget has.
    Completed,
    /// Could not be run at all.
    Failed,
    /// Called off before it ran.
    Cancelled,
}

impl JobStatus {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Scheduled,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing leads out of it but expiry.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// How many rows stand where (jobs.md § 8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// All rows.
    pub devices: usize,
    /// Rows in each status, in the order of [`DeviceJobStatus::ALL`].
    counts: [usize; 4],
}

impl Statistics {
    /// Rows in `status`.
    #[must_use]
    pub fn count(&self, status: DeviceJobStatus) -> usize {
        self.counts.get(status as usize).copied().unwrap_or(0)
    }

    fn moved(&mut self, from: DeviceJobStatus, to: DeviceJobStatus) {
        if let Some(count) = self.counts.get_mut(from as usize) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.counts.get_mut(to as usize) {
            *count += 1;
        }
    }

    fn json(&self) -> Value {
        json!({
            "deviceCount": self.devices,
            "failedCount": self.count(DeviceJobStatus::Failed),
            "succeededCount": self.count(DeviceJobStatus::Completed),
            "runningCount": self.count(DeviceJobStatus::Running),
            "pendingCount": self.count(DeviceJobStatus::Pending),
        })
    }
}

/// A job with the rows of its devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// What was asked for.
    pub request: JobRequest,
    created: Time,
    status: JobStatus,
    ended: Option<Time>,
    failure: Option<String>,
    /// In the order of devices; empty before the start.
    rows: Vec<DeviceJob>,
    statistics: Statistics,
    /// Rows before this one are no longer pending, or wait for their device.
    next: usize,
}

impl Job {
    /// T1: a job that was just accepted.
    #[must_use]
    pub fn new(request: JobRequest, now: Time) -> Self {
        Self {
            request,
            created: now,
            status: JobStatus::Queued,
            ended: None,
            failure: None,
            rows: Vec::new(),
            statistics: Statistics::default(),
            next: 0,
        }
    }

    /// How far it has come.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        self.status
    }

    /// When it may begin: never before it was accepted (A-J18).
    #[must_use]
    pub fn begins(&self) -> Time {
        self.request.start.map_or(self.created, |start| start.max(self.created))
    }

    /// When its budget ends.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.begins().after(self.request.budget())
    }

    /// Its rows in the order of devices.
    #[must_use]
    pub fn rows(&self) -> &[DeviceJob] {
        &self.rows
    }

    /// How many rows stand where.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// When something is due next: `created` stands for at once.
    #[must_use]
    pub fn due(&self) -> Time {
        match self.status {
            JobStatus::Queued => self.created,
            JobStatus::Scheduled => self.begins(),
            JobStatus::Running if self.rows_left() > 0 => self.created,
            JobStatus::Running => self.deadline(),
            JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => {
                self.ended.unwrap_or(self.created).after(RETENTION)
            }
        }
    }

    /// T2: looks at the clock; `true` when the job must be started now.
    pub fn pick_up(&mut self, now: Time) -> bool {
        match self.status {
            JobStatus::Queued | JobStatus::Scheduled if self.begins() <= now => true,
            JobStatus::Queued => {
                self.status = JobStatus::Scheduled;
                false
            }
            _ => false,
        }
    }

    /// T3, T4, T8 and P1: the devices are selected, or the selection has failed.
    ///
    /// `devices` are in order and each of them once.
    pub fn start(&mut self, devices: Result<Vec<Identity>, String>, now: Time) {
        if !matches!(self.status, JobStatus::Queued | JobStatus::Scheduled) || now < self.begins() {
            return;
        }
        match devices {
            Ok(devices) => {
                self.rows = devices.into_iter().map(|device| DeviceJob::new(device, now)).collect();
                self.statistics.devices = self.rows.len();
                self.statistics.counts = [self.rows.len(), 0, 0, 0];
                self.status = JobStatus::Running;
                self.end_when_done(now);
            }
            Err(reason) => {
                self.failure = Some(reason);
                self.end(JobStatus::Failed, now);
            }
        }
    }

    /// Rows that nobody has looked at.
    #[must_use]
    pub fn rows_left(&self) -> usize {
        self.rows.len().saturating_sub(self.next)
    }

    /// The next `count` rows that nobody has looked at, in the order of devices.
    pub fn take_rows(&mut self, count: usize) -> Range<usize> {
        let first = self.next;
        if self.status == JobStatus::Running {
            self.next += count.min(self.rows_left());
        }
        first..self.next
    }

    /// P3: the work on a row begins.
    pub fn begin_row(&mut self, row: usize, now: Time) -> bool {
        let pending = |row: &DeviceJob| row.status == DeviceJobStatus::Pending;
        self.status == JobStatus::Running
            && self.rows.get(row).is_some_and(pending)
            && self.move_row(row, DeviceJobStatus::Running, None, now)
    }

    /// P4 to P7 and P9: the work on a row ends; T6: with the last row the job ends too.
    pub fn end_row(&mut self, row: usize, end: RowEnd, now: Time) -> bool {
        let status = match end {
            RowEnd::Patched | RowEnd::Answered { .. } => DeviceJobStatus::Completed,
            RowEnd::Failed { .. } => DeviceJobStatus::Failed,
        };
        let moved = self.status == JobStatus::Running && self.move_row(row, status, Some(end), now);
        if moved {
            self.end_when_done(now);
        }
        moved
    }

    /// T7 and P7: the budget has ended; rows left over have failed.
    pub fn expire(&mut self, now: Time) {
        if self.status != JobStatus::Running || now < self.deadline() {
            return;
        }
        let description = "The run did not end before the end time of the job: the device was not \
                           reached or did not answer";
        for row in 0..self.rows.len() {
            let end = RowEnd::Failed {
                code: RUN_PRECONDITION_FAILED,
                description: description.to_owned(),
            };
            self.move_row(row, DeviceJobStatus::Failed, Some(end), now);
        }
        self.end_when_done(now);
    }

    /// T9 to T13: calls the job off before it runs.
    ///
    /// # Errors
    /// [`ErrorCode::OperationNotAllowedInCurrentState`] once it runs or has ended.
    pub fn cancel(&mut self, now: Time) -> Result<(), Refusal> {
        match self.status {
            JobStatus::Queued | JobStatus::Scheduled => {
                self.end(JobStatus::Cancelled, now);
                Ok(())
            }
            status => Err(Refusal::new(
                ErrorCode::OperationNotAllowedInCurrentState,
                format!(
                    "The job is {} and can no longer be cancelled, allowed is queued or scheduled",
                    status.name()
                ),
            )),
        }
    }

    /// Whether it can no longer be read (T14).
    #[must_use]
    pub fn is_gone(&self, now: Time) -> bool {
        self.status.is_terminal() && self.due() <= now
    }

    /// The answer to its creation: three members, nothing else (JOB-005).
    #[must_use]
    pub fn created_json(&self) -> Value {
        json!({
            "jobId": self.request.id,
            "type": self.request.job_type().name(),
            "status": self.status.name(),
        })
    }

    /// The whole job; what is unset is left out (jobs.md § 4).
    #[must_use]
    pub fn json(&self) -> Value {
        let branch = match self.request.job_type() {
            JobType::ScheduleDeviceMethod => "cloudToDeviceMethod",
            JobType::ScheduleUpdateTwin => "updateTwin",
        };
        let started = matches!(self.status, JobStatus::Running | JobStatus::Completed);
        let rest = [
            ("createdTime", Some(json!(self.created.to_string()))),
            ("startTime", Some(json!(self.request.start.unwrap_or(self.created).to_string()))),
            ("endTime", self.ended.map(|ended| json!(ended.to_string()))),
            ("maxExecutionTimeInSeconds", self.request.budget_seconds.map(|budget| json!(budget))),
            ("queryCondition", Some(json!(self.request.condition))),
            (branch, Some(self.request.echo.clone())),
            ("deviceJobStatistics", started.then(|| self.statistics.json())),
            ("failureReason", self.failure.as_ref().map(|reason| json!(reason))),
        ];
        let mut job = self.created_json();
        if let Some(members) = job.as_object_mut() {
            let set = rest.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            members.extend(set);
        }
        job
    }

    /// Moves a row that is not terminal.
    fn move_row(
        &mut self,
        row: usize,
        to: DeviceJobStatus,
        end: Option<RowEnd>,
        now: Time,
    ) -> bool {
        let Some(row) = self.rows.get_mut(row).filter(|row| !row.status.is_terminal()) else {
            return false;
        };
        self.statistics.moved(row.status, to);
        row.status = to;
        row.updated = now;
        row.end = end;
        true
    }

    fn end_when_done(&mut self, now: Time) {
        let open = self.statistics.count(DeviceJobStatus::Pending)
            + self.statistics.count(DeviceJobStatus::Running);
        if open == 0 {
            self.end(JobStatus::Completed, now);
        }
    }

    fn end(&mut self, status: JobStatus, now: Time) {
        self.status = status;
        self.ended = Some(now);
    }
}

#[cfg(test)]
mod tests;
