//! Jobs of a back end: created, followed to their end, with the rows of their devices.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use twinspec_harness::operator::Answer;
use twinspec_model::wire::percent;

use super::{Bench, IfMatch, Leftover, TURN_MAX, VISIBLE, remove};
use crate::verdict::{Checked, Stop};

/// How long a job may take that has nothing to wait for: seconds were seen (jobs.md § 4).
const JOB_END: Duration = Duration::from_secs(60);

/// How long a case keeps connections, or devices of a pool, while it waits for its turn.
const KEEP_MAX: Duration = Duration::from_secs(60);

/// Every state of a job (JOB-031).
const STATUSES: [&str; 9] = [
    "queued",
    "enqueued",
    "pending",
    "scheduled",
    "running",
    "completed",
    "failed",
    "cancelled",
    "unknown",
];

/// States of a job that nothing leads out of (jobs.md § 6.1).
const TERMINAL: [&str; 3] = ["completed", "failed", "cancelled"];

/// All readings of a job, in order.
#[derive(Clone, Debug)]
pub struct JobHistory {
    /// Every reading; at least one.
    pub readings: Vec<Value>,
}

impl JobHistory {
    /// The last reading.
    #[must_use]
    pub fn last(&self) -> &Value {
        self.readings.last().unwrap_or(&Value::Null)
    }

    /// The status of the last reading.
    #[must_use]
    pub fn status(&self) -> &str {
        status(self.last())
    }
}

/// The status of a job or of a row.
#[must_use]
pub fn status(document: &Value) -> &str {
    document.get("status").and_then(Value::as_str).unwrap_or_default()
}

/// Whether nothing leads a job out of its status.
#[must_use]
pub fn is_over(job: &Value) -> bool {
    TERMINAL.contains(&status(job))
}

/// A twin job with `update` as its patch for the devices that meet `condition`.
#[must_use]
pub fn twin_job(condition: &str, update: &Value) -> Value {
    json!({
        "type": "scheduleUpdateTwin",
        "updateTwin": update,
        "queryCondition": condition,
        "maxExecutionTimeInSeconds": 300,
    })
}

/// A method job with `call` for the devices that meet `condition`.
#[must_use]
pub fn method_job(condition: &str, call: &Value) -> Value {
    json!({
        "type": "scheduleDeviceMethod",
        "cloudToDeviceMethod": call,
        "queryCondition": condition,
        "maxExecutionTimeInSeconds": 300,
    })
}

impl Bench {
    /// A job id never handed out before; whatever waits under it is cancelled after the case.
    pub fn new_job_id(&mut self) -> String {
        let id = self.target.new_name();
        self.cancel_later(&id);
        id
    }

    /// Has whatever waits under `id` cancelled after the case.
    pub fn cancel_later(&mut self, id: &str) {
        self.leftovers.add(Leftover::Job(id.to_owned()));
        self.jobs.push(id.to_owned());
    }

    /// Asks for a job under `id`, whatever is answered. Where the hub runs few jobs at a time, the
    /// case waits for its turn first.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when there is no answer at all.
    pub async fn create_job(&mut self, id: &str, body: &Value) -> Checked<Answer> {
        self.job_turn().await?;
        self.call(Method::PUT, &job_path(id), IfMatch::Absent, Some(body)).await
    }

    /// Creates a job that must be accepted, and returns its id.
    ///
    /// # Errors
    /// When it is not accepted (JOB-001).
    pub async fn start_job(&mut self, body: &Value) -> Checked<String> {
        let id = self.new_job_id();
        let answer = self.create_job(&id, body).await?;
        if answer.status.as_u16() == 200 {
            return Ok(id);
        }
        Err(Stop::Broken {
            requirement: "JOB-001",
            allowed: "200 with the new job".to_owned(),
            seen: answer.to_string(),
        })
    }

    /// Reads a job that must be there.
    ///
    /// # Errors
    /// When it cannot be read (JOB-030).
    pub async fn read_job(&mut self, id: &str) -> Checked<Value> {
        let answer = self.call(Method::GET, &job_path(id), IfMatch::Absent, None).await?;
        if answer.status.as_u16() == 200 && answer.json().is_object() {
            return Ok(answer.json());
        }
        Err(Stop::Broken {
            requirement: "JOB-030",
            allowed: "200 with the job".to_owned(),
            seen: answer.to_string(),
        })
    }

    /// Asks for a job to be cancelled, whatever is answered.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when there is no answer at all.
    pub async fn cancel_job(&mut self, id: &str) -> Checked<Answer> {
        let path = format!("{}/cancel", job_path(id));
        self.call(Method::POST, &path, IfMatch::Absent, None).await
    }

    /// Reads a job until `shows` holds or the budget is used up.
    ///
    /// # Errors
    /// When it cannot be read (JOB-030).
    pub async fn watch_job(
        &mut self,
        id: &str,
        shows: impl Fn(&Value) -> bool,
    ) -> Checked<JobHistory> {
        let deadline = Instant::now() + self.budget(JOB_END);
        let mut readings = Vec::new();
        loop {
            let job = self.read_job(id).await?;
            // A word that no job has will not change into one that is waited for.
            let is_known = STATUSES.contains(&status(&job));
            let is_over = shows(&job) || !is_known || Instant::now() >= deadline;
            readings.push(job);
            if is_over {
                return Ok(JobHistory { readings });
            }
            self.look_again().await;
        }
    }

    /// The rows of a job's devices, in the order of device ids.
    ///
    /// # Errors
    /// When they cannot be queried (JOB-085).
    pub async fn job_rows(&mut self, id: &str) -> Checked<Vec<Value>> {
        let query = format!("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '{id}'");
        let body = json!({ "query": query });
        let answer =
            self.call(Method::POST, "/devices/query", IfMatch::Absent, Some(&body)).await?;
        let (true, Value::Array(mut rows)) = (answer.status.as_u16() == 200, answer.json()) else {
            return Err(Stop::Broken {
                requirement: "JOB-085",
                allowed: "200 with the rows of the job".to_owned(),
                seen: answer.to_string(),
            });
        };
        rows.sort_by_key(|row| row.get("deviceId").and_then(Value::as_str).map(str::to_owned));
        Ok(rows)
    }

    /// Looks at the rows of a job until `shows` holds or the budget is used up, and returns the last
    /// that were seen: rows may lag behind their job, as twins do.
    ///
    /// # Errors
    /// When they cannot be queried (JOB-085).
    pub async fn watch_rows(
        &mut self,
        id: &str,
        shows: impl Fn(&[Value]) -> bool,
    ) -> Checked<Vec<Value>> {
        let deadline = Instant::now() + self.budget(VISIBLE);
        loop {
            let rows = self.job_rows(id).await?;
            if shows(&rows) || Instant::now() >= deadline {
                return Ok(rows);
            }
            self.look_again().await;
        }
    }

    /// Waits until this case may have jobs; other cases wait until it is over. That does not count
    /// against the case's own time, for those before it are bounded.
    ///
    /// Connections, and devices that others may want, are not kept for long: the case is then run
    /// again when it has its turn.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when the others take too long.
    pub async fn job_turn(&self) -> Checked {
        self.job_turn.get_or_try_init(|| self.next_job_turn()).await.map(drop)
    }

    async fn next_job_turn(&self) -> Checked<OwnedSemaphorePermit> {
        let keeps = self.has_connected || !self.borrowed.is_empty();
        let most = if keeps { self.budget(KEEP_MAX) } else { TURN_MAX };
        let turn = Arc::clone(&self.target.job_turns).acquire_owned();
        let Some(turn) = self.courtesy.during(most, turn).await else {
            self.is_late.store(keeps, Ordering::Relaxed);
            return Err(Stop::Inconclusive(format!("no turn to have jobs within {most:?}")));
        };
        turn.map_err(|error| Stop::Harness(error.to_string()))
    }

    /// Cancels what still waits for its start.
    pub(super) async fn cancel_jobs(&mut self) {
        for id in std::mem::take(&mut self.jobs) {
            let job = Leftover::Job(id);
            if remove(&self.target, &job, &self.recorder).await {
                self.leftovers.remove(&job);
            }
        }
        drop(self.job_turn.take());
    }
}

/// `/jobs/v2/{id}`, encoded.
#[must_use]
pub fn job_path(id: &str) -> String {
    format!("/jobs/v2/{}", percent::encode(id))
}
