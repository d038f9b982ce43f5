//! Jobs on the hub: created, run in slices, answered by devices, listed (jobs.md § 17).

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::{Bound, Range};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::HeaderValue;
use serde_json::{Value, json};

use super::method::{Caller, DeviceAnswer};
use super::query::{CONTINUATION, ITEM_TYPE, Key, header, page_size};
use super::service::{Parameters, Reply};
use super::twin::take;
use super::{Hub, Output};
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::job::{Job, JobRequest, JobRow, JobStatus, RowEnd, TYPE_NAMES, Work};
use crate::method::MethodCall;
use crate::registry::not_found;
use crate::throttle::Throttle;
use crate::time::Time;
use crate::twin::{TwinWrite, WriteMode};

/// Rows that one tick works on, so that other clients are served in between.
const SLICE: usize = 256;

/// How long a job waits when its device operations are throttled.
const PACE: Duration = Duration::from_millis(100);

/// The error of a device that did not answer; the sources name none (A-J08).
const GATEWAY_TIMEOUT: &str = "GatewayTimeout";

/// The error of a device that is gone (A-J10).
const DEVICE_NOT_FOUND: &str = "DeviceNotFound";

/// All jobs of a hub.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    by_id: BTreeMap<String, Job>,
    /// Ids in the order of creation.
    order: BTreeMap<u64, String>,
    /// When to look at a job; entries may be early, never late.
    due: BTreeSet<(Time, String)>,
    calls: Option<Throttle>,
    operations: Option<Throttle>,
}

impl Jobs {
    pub(super) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(time, _)| *time)
    }

    /// The rows of all jobs in the order of jobs and devices, from `first` on.
    pub(super) fn rows_from<'a>(
        &'a self,
        first: Option<&'a (String, Option<String>)>,
    ) -> impl Iterator<Item = (Key<'a>, JobRow<'a>)> {
        let first_job = first.map_or("", |(job, _)| job.as_str());
        let jobs = self.by_id.range::<str, _>((Bound::Included(first_job), Bound::Unbounded));
        jobs.flat_map(move |(id, job)| {
            let before = match first {
                Some((first, Some(device))) if first == id => {
                    job.rows().partition_point(|row| row.identity.device < *device)
                }
                _ => 0,
            };
            let rows = job.rows().iter().skip(before);
            rows.map(move |row| {
                ((id.as_str(), Some(row.identity.device.as_str())), JobRow { job, row })
            })
        })
    }

    fn find(&self, id: &str) -> Result<&Job, Refusal> {
        self.by_id.get(id).ok_or_else(|| job_not_found(id))
    }

    fn schedule(&mut self, id: &str, not_before: Time) {
        if let Some(job) = self.by_id.get(id) {
            self.due.insert((job.due().max(not_before), id.to_owned()));
        }
    }

    fn take_due(&mut self, now: Time) -> Option<String> {
        self.due.first().filter(|(due, _)| *due <= now)?;
        self.due.pop_first().map(|(_, id)| id)
    }
}

/// The refusal for a job that does not exist.
pub(super) fn job_not_found(id: &str) -> Refusal {
    Refusal::new(ErrorCode::JobNotFound, format!("There is no job {id:?}"))
}

impl Hub {
    pub(super) fn create_job(
        &mut self,
        now: Time,
        id: &str,
        body: &[u8],
    ) -> Result<Reply, Refusal> {
        self.take_job_call(now)?;
        let request = JobRequest::parse(id, body, &self.config.twin_limits)?;
        if self.jobs.by_id.contains_key(id) {
            return Err(Refusal::new(
                ErrorCode::JobAlreadyExists,
                format!("The job id {id:?} is in use"),
            ));
        }
        let running = |job: &&Job| job.status() == JobStatus::Running;
        let limit = self.config.limits.running_jobs_max;
        let is_full = |limit| self.jobs.by_id.values().filter(running).count() >= limit;
        if let Some(limit) = limit.filter(|limit| is_full(*limit)) {
            return Err(Refusal::new(
                ErrorCode::ThrottlingMaxActiveJobCountExceeded,
                format!("As many jobs are running as the tier allows: {limit}"),
            ));
        }
        let job = Job::new(request, now);
        let reply = Reply::ok(job.created_json());
        self.jobs.order.insert(self.entropy.serial(), id.to_owned());
        self.jobs.by_id.insert(id.to_owned(), job);
        self.jobs.schedule(id, now);
        Ok(reply)
    }

    pub(super) fn has_job(&self, id: &str) -> bool {
        self.jobs.by_id.contains_key(id)
    }

    /// Counts a call about jobs.
    pub(super) fn take_job_call(&mut self, now: Time) -> Result<(), Refusal> {
        take(self.config.throttles.jobs, &mut self.jobs.calls, now)
    }

    pub(super) fn read_job(&mut self, now: Time, id: &str) -> Result<Reply, Refusal> {
        self.take_job_call(now)?;
        Ok(Reply::ok(self.jobs.find(id)?.json()))
    }

    pub(super) fn cancel_job(&mut self, now: Time, id: &str) -> Result<Reply, Refusal> {
        self.take_job_call(now)?;
        let job = self.jobs.by_id.get_mut(id).ok_or_else(|| job_not_found(id))?;
        job.cancel(now)?;
        let reply = Reply::ok(job.json());
        self.jobs.schedule(id, now);
        Ok(reply)
    }

    /// A page of jobs, newest first (A-J02); headers win over the query string (A-J01).
    pub(super) fn list_jobs(
        &mut self,
        now: Time,
        headers: &HeaderMap,
        parameters: &Parameters,
    ) -> Result<Reply, Refusal> {
        self.take_job_call(now)?;
        let filter = Filter::read(parameters)?;
        let size = page_size(headers, parameters.get("pageSize"))?;
        let token = header(headers, &CONTINUATION).or(parameters.get("continuationToken"));
        let before = match token {
            None | Some("") => u64::MAX,
            Some(token) => filter.position(token).ok_or_else(|| {
                Refusal::invalid("The continuation token does not belong to this list")
            })?,
        };
        let newest_first = self.jobs.order.range(..before).rev();
        let jobs = newest_first.filter_map(|(serial, id)| Some((serial, self.jobs.by_id.get(id)?)));
        let mut jobs = jobs.filter(|(_, job)| filter.takes(job)).peekable();
        let mut rows = Vec::new();
        let mut last = before;
        while let Some((serial, job)) = jobs.next_if(|_| rows.len() < size) {
            rows.push(job.json());
            last = *serial;
        }
        let has_more = jobs.next().is_some();
        let mut reply = Reply::ok(Value::Array(rows));
        reply.headers.push((ITEM_TYPE, HeaderValue::from_static("JobResponse")));
        if let (true, Ok(token)) = (has_more, HeaderValue::from_str(&filter.token(last))) {
            reply.headers.push((CONTINUATION, token));
        }
        Ok(reply)
    }

    /// Looks at the jobs for which something is due, once each.
    pub(super) fn run_jobs(&mut self, now: Time, outputs: &mut Vec<Output>) {
        let mut looked_at = BTreeMap::new();
        while let Some(id) = self.jobs.take_due(now) {
            if let Entry::Vacant(unseen) = looked_at.entry(id) {
                let not_before = self.run_job(now, unseen.key(), outputs);
                unseen.insert(not_before);
            }
        }
        for (id, not_before) in looked_at {
            self.jobs.schedule(&id, not_before);
        }
    }

    /// Does what is due for a job, and returns before when it need not be looked at again.
    fn run_job(&mut self, now: Time, id: &str, outputs: &mut Vec<Output>) -> Time {
        let Some(job) = self.jobs.by_id.get_mut(id) else { return now };
        if job.is_gone(now) {
            self.jobs.by_id.remove(id);
            self.jobs.order.retain(|_, job| job != id);
            return now;
        }
        if job.pick_up(now) {
            let request = job.request.clone();
            let devices = self.select_devices(&request);
            if let Some(job) = self.jobs.by_id.get_mut(id) {
                job.start(devices, now);
            }
        }
        let not_before = self.work_off(now, id, outputs);
        if let Some(job) = self.jobs.by_id.get_mut(id).filter(|job| job.deadline() <= now) {
            let was_running = job.status() == JobStatus::Running;
            job.expire(now);
            if was_running {
                self.drop_job_calls(id);
            }
        }
        not_before
    }

    /// The devices of a job, in order; its condition is read only now (JOB-025).
    fn select_devices(&self, request: &JobRequest) -> Result<Vec<Identity>, String> {
        let condition = request.selection().map_err(|error| {
            format!("ErrorCode:ArgumentInvalid;SQL query parse failed. {error}")
        })?;
        Ok(self.devices_that_match(condition.as_ref()))
    }

    /// Works on the next rows, as many as a tick may, and returns when to go on.
    fn work_off(&mut self, now: Time, id: &str, outputs: &mut Vec<Output>) -> Time {
        let rule = self.config.throttles.job_operations;
        let Some(job) = self.jobs.by_id.get_mut(id) else { return now };
        if job.status() != JobStatus::Running || job.deadline() <= now {
            return now;
        }
        let asked = job.rows_left().min(SLICE);
        let allowed = (0..asked).take_while(|_| take(rule, &mut self.jobs.operations, now).is_ok());
        let rows = job.take_rows(allowed.count());
        let not_before = if rows.len() < asked { now.after(PACE) } else { now };
        match job.request.work.clone() {
            Work::Twin(write) => self.patch_rows(now, id, rows, &write, outputs),
            Work::Method(call) => self.call_rows(now, id, rows, &call, outputs),
        }
        not_before
    }

    fn patch_rows(
        &mut self,
        now: Time,
        id: &str,
        rows: Range<usize>,
        write: &TwinWrite,
        outputs: &mut Vec<Output>,
    ) {
        let Some(job) = self.jobs.by_id.get_mut(id) else { return };
        // Rows and twins have one order, so that one walk meets all.
        let first = job.rows().get(rows.start).map(|row| row.identity.clone());
        let Some(first) = first else { return };
        let mut twins = self.entities.range_mut(first..).peekable();
        let mut touched = Vec::new();
        for row in rows {
            let Some(identity) = job.rows().get(row).map(|row| &row.identity) else { return };
            while twins.next_if(|(other, _)| *other < identity).is_some() {}
            let entity = twins.next_if(|(other, _)| *other == identity);
            let result = match entity {
                Some((_, entity)) => {
                    entity.write_twin(&self.config, WriteMode::Patch, write, now, outputs)
                }
                None => Err(not_found(identity)),
            };
            if result.is_ok() && !self.configurations.is_empty() {
                touched.push(identity.clone());
            }
            let end = result.map_or_else(
                |refusal| RowEnd::Failed {
                    code: refusal.code.name(),
                    description: refusal.message,
                },
                |()| RowEnd::Patched,
            );
            job.begin_row(row, now);
            job.end_row(row, end, now);
        }
        for identity in touched {
            self.touch(now, &identity);
        }
    }

    fn call_rows(
        &mut self,
        now: Time,
        id: &str,
        rows: Range<usize>,
        call: &Arc<MethodCall>,
        outputs: &mut Vec<Output>,
    ) {
        for row in rows {
            let Some(job) = self.jobs.by_id.get(id) else { return };
            let Some(device) = job.rows().get(row).map(|row| row.identity.clone()) else { return };
            let (caller, until) = (Caller::Job { id: id.to_owned(), row }, job.deadline());
            self.call_for_job(now, caller, &device, Arc::clone(call), until, outputs);
        }
    }

    /// The method of a row was sent.
    pub(super) fn job_call_sent(&mut self, now: Time, id: &str, row: usize) {
        if let Some(job) = self.jobs.by_id.get_mut(id) {
            job.begin_row(row, now);
        }
    }

    /// The method of a row was answered or given up.
    pub(super) fn job_call_ended(
        &mut self,
        now: Time,
        id: &str,
        row: usize,
        result: Result<DeviceAnswer, Refusal>,
    ) {
        let end = match result {
            Ok(answer) => RowEnd::Answered {
                status: answer.status,
                payload: serde_json::from_str(&answer.payload).unwrap_or_default(),
            },
            Err(refusal) => {
                let code = match refusal.code {
                    ErrorCode::DeviceNotFound => DEVICE_NOT_FOUND,
                    ErrorCode::GatewayTimeout => GATEWAY_TIMEOUT,
                    other => other.name(),
                };
                RowEnd::Failed { code, description: refusal.message }
            }
        };
        if let Some(job) = self.jobs.by_id.get_mut(id) {
            job.end_row(row, end, now);
            self.jobs.schedule(id, now);
        }
    }
}

/// Which jobs a list shows; empty values mean all (JOB-041).
struct Filter {
    job_type: String,
    status: String,
}

impl Filter {
    fn read(parameters: &Parameters) -> Result<Self, Refusal> {
        let statuses: Vec<&str> = JobStatus::ALL.iter().map(|status| status.name()).collect();
        let statuses =
            [statuses.as_slice(), &["unknown", "enqueued", "pending", "canceled"]].concat();
        Ok(Self {
            job_type: one_of("jobType", parameters.get("jobType"), &TYPE_NAMES)?,
            status: one_of("jobStatus", parameters.get("jobStatus"), &statuses)?,
        })
    }

    fn takes(&self, job: &Job) -> bool {
        let status = job.status().name();
        // States with two names (jobs.md § 6.1).
        let is_queued = self.status == "enqueued" && job.status() == JobStatus::Queued;
        let is_cancelled = self.status == "canceled" && job.status() == JobStatus::Cancelled;
        (self.job_type.is_empty() || self.job_type == job.request.job_type().name())
            && (self.status.is_empty() || self.status == status || is_queued || is_cancelled)
    }

    /// An opaque token that is good for this filter only.
    fn token(&self, last: u64) -> String {
        URL_SAFE_NO_PAD.encode(json!([self.job_type, self.status, last]).to_string())
    }

    fn position(&self, token: &str) -> Option<u64> {
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (job_type, status, last): (String, String, u64) =
            serde_json::from_slice(&token).ok()?;
        (job_type == self.job_type && status == self.status).then_some(last)
    }
}

/// The canonical spelling of `value`, in whatever case it is written (JOB-040).
fn one_of(name: &str, value: Option<&str>, allowed: &[&str]) -> Result<String, Refusal> {
    let value = value.unwrap_or_default();
    if value.is_empty() {
        return Ok(String::new());
    }
    let found = allowed.iter().find(|allowed| allowed.eq_ignore_ascii_case(value));
    found.map(|found| (*found).to_owned()).ok_or_else(|| {
        Refusal::invalid(format!("{name} is {value:?}, allowed are {}", allowed.join(", ")))
    })
}
