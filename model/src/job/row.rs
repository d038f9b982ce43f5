//! The work of a job on one device (jobs.md § 7).

use std::borrow::Cow;

use serde_json::{Value, json};

use super::Job;
use crate::identity::Identity;
use crate::query::{Datum, Row};
use crate::time::Time;

/// How far a job has come on one device (table P1 to P9).
///
/// `scheduled` and `canceled` are missing: rows are made when the job starts (A-J07), and a job that
/// runs can no longer be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceJobStatus {
    /// Selected, and not begun.
    Pending,
    /// The patch is being applied, or the method was sent.
    Running,
    /// Done; a method was answered with whatever status.
    Completed,
    /// Given up.
    Failed,
}

impl DeviceJobStatus {
    /// All of them, in the order in which they can be reached.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Running, Self::Completed, Self::Failed];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing leads out of it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// How the work on one device ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RowEnd {
    /// The twin took the patch.
    Patched,
    /// The device answered.
    Answered {
        /// The status the device gave.
        status: i64,
        /// The payload the device gave.
        payload: Value,
    },
    /// It was given up.
    Failed {
        /// What kind of failure.
        code: &'static str,
        /// A sentence for people.
        description: String,
    },
}

/// The row of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceJob {
    /// The device.
    pub identity: Identity,
    /// How far the work has come.
    pub status: DeviceJobStatus,
    /// When the row was made.
    pub created: Time,
    /// When it changed last.
    pub updated: Time,
    /// How the work ended; `None` before.
    pub end: Option<RowEnd>,
}

/// A row as queries see it: with the members of its job.
#[derive(Clone, Copy, Debug)]
pub struct JobRow<'a> {
    /// The job.
    pub job: &'a Job,
    /// One of its rows.
    pub row: &'a DeviceJob,
}

impl Row for JobRow<'_> {
    fn look(&self, root: &str, rest: &[String]) -> Datum<'_> {
        // What queries ask for most is read without making the whole row.
        match (root, rest) {
            ("deviceId", []) => Datum::Text(Cow::Borrowed(&self.row.identity.device)),
            ("jobId", []) => Datum::Text(Cow::Borrowed(&self.job.request.id)),
            ("status", []) => Datum::Text(Cow::Borrowed(self.row.status.name())),
            (root, rest) => {
                let member = self.row.json(self.job).get_mut(root).map(Value::take);
                member.map_or(Datum::Undefined, |member| Datum::within(member, rest))
            }
        }
    }

    fn to_value(&self) -> Value {
        self.row.json(self.job)
    }
}

impl DeviceJob {
    /// A row for a device that was just selected.
    #[must_use]
    pub fn new(identity: Identity, now: Time) -> Self {
        Self { identity, status: DeviceJobStatus::Pending, created: now, updated: now, end: None }
    }

    /// The row as `SELECT * FROM devices.jobs` gives it.
    #[must_use]
    pub fn json(&self, job: &Job) -> Value {
        let outcome = match &self.end {
            Some(RowEnd::Answered { status, payload }) => {
                json!({ "deviceMethodResponse": { "status": status, "payload": payload } })
            }
            None | Some(RowEnd::Patched | RowEnd::Failed { .. }) => json!({}),
        };
        let mut row = json!({
            "deviceId": self.identity.device,
            "jobId": job.request.id,
            "jobType": job.request.job_type().name(),
            "status": self.status.name(),
            "startTimeUtc": job.begins().to_string(),
            // The deadline, also of rows that are done earlier (JOB-087).
            "endTimeUtc": job.deadline().to_string(),
            "createdDateTimeUtc": self.created.to_string(),
            "lastUpdatedDateTimeUtc": self.updated.to_string(),
            "outcome": outcome,
        });
        if let (Some(RowEnd::Failed { code, description }), Some(members)) =
            (&self.end, row.as_object_mut())
        {
            members.insert("error".to_owned(), json!({ "code": code, "description": description }));
        }
        row
    }
}
