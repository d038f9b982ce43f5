//! What cases of jobs share: marked devices, members of bodies, and the judgement of every reading.

use std::time::Duration;

use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::time::Time;

use crate::bench::{
    Bench, Connection, JobHistory, Registered, is_over, method_job, status, twin_job,
};
use crate::cases::hub::query::fleet::{devices, settled};
use crate::verdict::{Checked, Stop};

/// Every status a job may show (JOB-031).
const STATUSES: [&str; 8] =
    ["queued", "enqueued", "pending", "scheduled", "running", "completed", "failed", "cancelled"];

/// Devices that one condition selects and no other case's.
pub(in crate::cases::hub) struct Marked {
    /// What their tag `mark` holds.
    pub(in crate::cases::hub) mark: String,
    /// The devices, in the order of their ids.
    pub(in crate::cases::hub) devices: Vec<Registered>,
}

impl Marked {
    /// Registers `count` devices and waits until queries find them.
    pub(in crate::cases::hub) async fn new(bench: &mut Bench, count: usize) -> Checked<Self> {
        let mark = bench.target.new_name();
        let mut all = Vec::new();
        for _ in 0..count {
            let device = bench.device().await?;
            bench.patch_twin(&device.identity, &json!({ "tags": { "mark": mark } })).await?;
            all.push(device);
        }
        all.sort_by(|a, b| a.identity.cmp(&b.identity));
        let marked = Self { mark, devices: all };
        let query = format!("SELECT * FROM devices WHERE {}", marked.condition());
        settled(bench, &query, |rows| devices(rows) == marked.ids()).await?;
        Ok(marked)
    }

    /// One device of its own.
    pub(in crate::cases::hub) async fn one(bench: &mut Bench) -> Checked<(Self, Registered)> {
        let marked = Self::new(bench, 1).await?;
        let device = marked.devices.first().cloned();
        let device = device.ok_or_else(|| Stop::Harness("no device".to_owned()))?;
        Ok((marked, device))
    }

    /// The condition that selects them.
    pub(in crate::cases::hub) fn condition(&self) -> String {
        format!("tags.mark = '{}'", self.mark)
    }

    /// Their ids, in order.
    pub(in crate::cases::hub) fn ids(&self) -> Vec<&str> {
        self.devices.iter().map(|device| device.identity.device.as_str()).collect()
    }

    /// A job that sets the tag `wave` to 7.
    pub(in crate::cases::hub) fn wave(&self) -> Value {
        twin_job(&self.condition(), &wave())
    }

    /// A job that calls `go` with `{"step":3}`.
    pub(in crate::cases::hub) fn go(&self) -> Value {
        method_job(&self.condition(), &go())
    }

    /// Demands that the tag `wave` is 7 on all of them, or on none.
    pub(in crate::cases::hub) async fn demand_wave(
        &self,
        bench: &mut Bench,
        requirement: &'static str,
        applied: bool,
    ) -> Checked {
        for device in &self.devices {
            demand_wave(bench, requirement, device, applied).await?;
        }
        Ok(())
    }
}

/// A patch that sets the tag `wave` to 7.
pub(in crate::cases::hub) fn wave() -> Value {
    json!({ "etag": "*", "tags": { "wave": 7 } })
}

/// A call of the method `go` with a payload.
pub(in crate::cases::hub) fn go() -> Value {
    json!({ "methodName": "go", "payload": { "step": 3 } })
}

/// Demands that the tag `wave` of a device is 7, or missing.
pub(in crate::cases::hub) async fn demand_wave(
    bench: &mut Bench,
    requirement: &'static str,
    device: &Registered,
    applied: bool,
) -> Checked {
    let expected = if applied { json!(7) } else { Value::Null };
    let twin = bench.read_twin(&device.identity).await?;
    let seen = twin.pointer("/tags/wave").cloned().unwrap_or_default();
    let what = format!("tags.wave of {}", device.identity.device);
    bench.equal_json(requirement, &what, &expected, &seen);
    Ok(())
}

/// `body` with another member.
pub(in crate::cases::hub) fn with(mut body: Value, member: &str, value: impl Into<Value>) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.insert(member.to_owned(), value.into());
    }
    body
}

/// `body` without a member.
pub(in crate::cases::hub) fn without(mut body: Value, member: &str) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.remove(member);
    }
    body
}

/// `body` with a start time that lies ahead of the hub's clock.
pub(in crate::cases::hub) async fn starting_in(
    bench: &Bench,
    body: Value,
    seconds: u64,
) -> Checked<Value> {
    // A wait for the case's turn must not use up the time until the start.
    bench.job_turn().await?;
    let start = bench.now().await?.after(Duration::from_secs(seconds));
    Ok(with(body, "startTime", start.to_string()))
}

/// `body` with a start time that the hub's clock has passed.
pub(in crate::cases::hub) async fn started_ago(
    bench: &Bench,
    body: Value,
    seconds: u64,
) -> Checked<Value> {
    let now = bench.now().await?.unix_seconds();
    let start = Time::from_unix_seconds(now.saturating_sub(seconds));
    Ok(with(body, "startTime", start.to_string()))
}

/// Takes the next method request, which must be `go`, and answers it.
pub(in crate::cases::hub) async fn serve(
    bench: &mut Bench,
    requirement: &'static str,
    connection: &mut Connection,
    reply: (i64, &str),
) -> Checked {
    let request = connection.method_request(requirement).await?;
    bench.demand(requirement, request.name == "go", "a request of go", &*request.topic);
    connection.respond(&request, reply.0, reply.1).await
}

/// Demands that no job called a device since: the next request is that of a call made now.
pub(in crate::cases::hub) async fn demand_not_called(
    bench: &mut Bench,
    requirement: &'static str,
    who: &Registered,
    connection: &mut Connection,
) -> Checked {
    let body = json!({ "methodName": "sentinel", "payload": null, "connectTimeoutInSeconds": 30 });
    let call = bench.invoke(&who.identity, &body).await;
    let request = connection.method_request("HUB-METH-001").await?;
    let is_sentinel = request.name == "sentinel";
    bench.demand(requirement, is_sentinel, "no request before a later call", &*request.topic);
    if is_sentinel {
        connection.respond(&request, 200, "null").await?;
        bench.outcome("HUB-METH-004", call).await?;
    }
    Ok(())
}

/// Follows a job to its end, looks once more, and judges every reading.
pub(in crate::cases::hub) async fn ended(
    bench: &mut Bench,
    requirement: &'static str,
    id: &str,
) -> Checked<JobHistory> {
    let mut history = bench.watch_job(id, is_over).await?;
    history.readings.push(bench.read_job(id).await?);
    judge(bench, &history);
    if history.readings.iter().any(is_over) {
        return Ok(history);
    }
    Err(Stop::Broken {
        requirement,
        allowed: "a job that becomes completed, failed or cancelled".to_owned(),
        seen: format!("it stays {}", history.last()),
    })
}

/// Follows a job to its end, which must be `completed`, and returns the last reading.
pub(in crate::cases::hub) async fn completed(
    bench: &mut Bench,
    requirement: &'static str,
    id: &str,
) -> Checked<Value> {
    let history = ended(bench, requirement, id).await?;
    bench.equal(requirement, "the status", "completed", history.status());
    Ok(history.last().clone())
}

/// Reads a job until it is past its start.
pub(in crate::cases::hub) async fn running(
    bench: &mut Bench,
    requirement: &'static str,
    id: &str,
) -> Checked<JobHistory> {
    let history = bench.watch_job(id, |job| status(job) == "running" || is_over(job)).await?;
    judge(bench, &history);
    bench.equal(requirement, "the status", "running", history.status());
    Ok(history)
}

/// Demands what holds for every reading of every job.
pub(in crate::cases::hub) fn judge(bench: &mut Bench, history: &JobHistory) {
    for job in &history.readings {
        let known = STATUSES.contains(&status(job));
        bench.demand("JOB-031", known, STATUSES.join(", "), job.to_string());
        let in_utc = ["createdTime", "startTime", "endTime"].iter().all(|name| {
            let text = job.get(*name).map(|value| value.as_str().unwrap_or_default());
            text.is_none_or(is_utc)
        });
        bench.demand("JOB-035", in_utc, "times of ISO 8601 in UTC", job.to_string());
        let adds_up = status(job) == "cancelled" || counters(job).is_none_or(|c| c.add_up());
        bench.demand("JOB-092", adds_up, "counters that add up", job.to_string());
    }
    let statuses: Vec<&str> = history.readings.iter().map(status).collect();
    let orderly = statuses.iter().zip(statuses.iter().skip(1)).all(|(a, b)| leads_to(a, b));
    bench.demand("JOB-050", orderly, "a path through table 6.2", statuses.join(", "));
}

/// Whether a job that was seen in one status may be seen in the other later (jobs.md § 6.2).
fn leads_to(before: &str, after: &str) -> bool {
    match before {
        "completed" | "failed" | "cancelled" => after == before,
        "running" => ["running", "completed", "failed"].contains(&after),
        _ => true,
    }
}

/// Whether a text is a time of ISO 8601 in UTC; the year 1 stands for never.
fn is_utc(text: &str) -> bool {
    let in_utc = text.ends_with('Z') || text.ends_with("+00:00");
    in_utc && (Time::parse(text).is_some() || text.starts_with("0001-01-01T"))
}

/// A time of a job or row.
pub(in crate::cases::hub) fn time(document: &Value, member: &str) -> Option<Time> {
    document.get(member).and_then(Value::as_str).and_then(Time::parse)
}

/// The counters of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cases::hub) struct Counters {
    pub(in crate::cases::hub) devices: i64,
    pub(in crate::cases::hub) succeeded: i64,
    pub(in crate::cases::hub) failed: i64,
    pub(in crate::cases::hub) running: i64,
    pub(in crate::cases::hub) pending: i64,
}

impl Counters {
    fn add_up(self) -> bool {
        let parts = [self.succeeded, self.failed, self.running, self.pending];
        parts.iter().all(|part| *part >= 0) && parts.iter().sum::<i64>() == self.devices
    }
}

/// The counters of a job; a missing one is -1, and none at all when there is no object.
pub(in crate::cases::hub) fn counters(job: &Value) -> Option<Counters> {
    let statistics = job.get("deviceJobStatistics").filter(|object| !object.is_null())?;
    let count = |name: &str| statistics.get(name).and_then(Value::as_i64).unwrap_or(-1);
    Some(Counters {
        devices: count("deviceCount"),
        succeeded: count("succeededCount"),
        failed: count("failedCount"),
        running: count("runningCount"),
        pending: count("pendingCount"),
    })
}

/// Demands HTTP 200.
pub(in crate::cases::hub) fn demand_ok(
    bench: &mut Bench,
    requirement: &'static str,
    answer: &Answer,
) -> bool {
    let holds = answer.status.as_u16() == 200;
    bench.demand(requirement, holds, "HTTP 200", answer.to_string())
}

/// Demands any 4xx.
pub(in crate::cases::hub) fn demand_refused(
    bench: &mut Bench,
    requirement: &'static str,
    answer: &Answer,
) -> bool {
    let holds = answer.status.is_client_error();
    bench.demand(requirement, holds, "HTTP 4xx", answer.to_string())
}

/// Demands an error by status and, where one is named, by its name.
pub(in crate::cases::hub) fn demand_error(
    bench: &mut Bench,
    requirement: &'static str,
    answer: &Answer,
    status: u16,
    name: &str,
) -> bool {
    let holds = answer.status.as_u16() == status && error_name(answer).is_none_or(|n| n == name);
    bench.demand(requirement, holds, format!("HTTP {status} {name}"), answer.to_string())
}

/// The name of an error: from the header, or from the start of the message.
pub(in crate::cases::hub) fn error_name(answer: &Answer) -> Option<String> {
    if let Some(name) = answer.header("iothub-errorcode") {
        return Some(name.to_owned());
    }
    let body = answer.json();
    let message = body.get("Message").and_then(Value::as_str)?;
    let name = message.strip_prefix("ErrorCode:")?.split(';').next()?;
    Some(name.to_owned())
}

/// The value at a JSON pointer; null when there is none.
pub(in crate::cases::hub) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// The member of an object; null when there is none.
pub(in crate::cases::hub) fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}
