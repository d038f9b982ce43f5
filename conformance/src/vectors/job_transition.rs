//! Family `job-transition`: how a job moves from state to state.

use serde_json::{Map, Value, json};
use twinspec_model::identity::Identity;
use twinspec_model::job::{Job, JobRequest, RowEnd};
use twinspec_model::time::Time;
use twinspec_model::twin::limits::TwinLimits;

use super::{Input, member, number, text};

/// When jobs are created: the second that `after` counts from.
const CREATED: u64 = 1_927_857_906;

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let mut job = Job::new(request(case)?, at(0));
    let mut steps = Vec::new();
    for event in member(case, "events")?.as_array().ok_or("events is no array")? {
        let refused = happen(&mut job, case, event)?;
        let mut step = Map::from_iter([("status".to_owned(), json!(job.status().name()))]);
        step.extend(refused.map(|code| ("refused".to_owned(), json!(code))));
        steps.push(Value::Object(step));
    }
    let mut expect = Map::from_iter([("steps".to_owned(), json!(steps))]);
    let statistics = job.json().get_mut("deviceJobStatistics").map(Value::take);
    expect.extend(statistics.map(|statistics| ("statistics".to_owned(), statistics)));
    Ok(Value::Object(expect))
}

pub(super) fn at(after: u64) -> Time {
    Time::from_unix_seconds(CREATED + after)
}

/// The request of a case with `start` and `budget`, and the work of `work` where it is named.
pub(super) fn request(case: &Value) -> Result<JobRequest, String> {
    let start = match member(case, "start")? {
        Value::Null => Value::Null,
        _ => json!(at(number(case, "start")?).to_string()),
    };
    let body = json!({
        "type": case.get("work").and_then(Value::as_str).unwrap_or("scheduleUpdateTwin"),
        // Only the branch of the type is looked at.
        "updateTwin": { "etag": "*", "tags": { "a": 1 } },
        "cloudToDeviceMethod": { "methodName": "go" },
        "queryCondition": "*",
        "startTime": start,
        "maxExecutionTimeInSeconds": member(case, "budget")?,
    });
    let limits = TwinLimits::default();
    JobRequest::parse("job", body.to_string().as_bytes(), &limits).map_err(|r| r.to_string())
}

/// Lets an event happen; the number of the error when it is refused.
fn happen(job: &mut Job, case: &Value, event: &Value) -> Result<Option<u32>, String> {
    let now = at(number(event, "after")?);
    match text(event, "event")? {
        "look" => look(job, case, now)?,
        "cancel" => return Ok(job.cancel(now).err().map(|refusal| refusal.code.number())),
        "done" => end(job, event, RowEnd::Patched, now)?,
        "failed" => {
            let failed = RowEnd::Failed { code: "Failure", description: String::new() };
            end(job, event, failed, now)?;
        }
        other => return Err(format!("there is no event {other:?}")),
    }
    Ok(None)
}

/// The job engine looks at the job: it may start, or its budget may end.
fn look(job: &mut Job, case: &Value, now: Time) -> Result<(), String> {
    if job.pick_up(now) {
        let devices = match member(case, "devices")? {
            Value::Array(devices) => {
                let ids = devices.iter().filter_map(Value::as_str);
                Ok(ids.map(Identity::device).collect())
            }
            _ => Err("the condition cannot be read".to_owned()),
        };
        job.start(devices, now);
    }
    job.expire(now);
    Ok(())
}

fn end(job: &mut Job, event: &Value, end: RowEnd, now: Time) -> Result<(), String> {
    let device = text(event, "device")?;
    let row = job.rows().iter().position(|row| row.identity.device == device);
    let row = row.ok_or_else(|| format!("no row of {device:?}"))?;
    job.begin_row(row, now);
    job.end_row(row, end, now);
    Ok(())
}

pub(super) fn open_point(case: &Value, expect: &Value) -> Option<&'static str> {
    let steps = expect.get("steps")?.as_array()?;
    let is = |step: &Value, status: &str| step["status"] == status;
    let is_refused_at_end = |step: &Value| step.get("refused").is_some() && !is(step, "running");
    let count = |name| expect.pointer(&format!("/statistics/{name}"));
    let has_all_failed =
        count("failedCount").is_some() && count("failedCount") == count("deviceCount");
    if case.get("devices")?.as_array().is_some_and(Vec::is_empty) {
        Some("A-J12")
    } else if has_all_failed && steps.iter().any(|step| is(step, "completed")) {
        Some("A-J04")
    } else if steps.iter().any(is_refused_at_end) {
        Some("A-J06")
    } else {
        steps.iter().any(|step| is(step, "cancelled")).then_some("A-J13")
    }
}

/// Every pair of events on a job of one device that starts at once, and later.
pub(super) fn inputs() -> Vec<Input> {
    let event = |after: u64, event: &str| match event {
        "done" | "failed" => json!({ "after": after, "event": event, "device": "a" }),
        _ => json!({ "after": after, "event": event }),
    };
    let mut inputs = Vec::new();
    for (start, begins) in [(Value::Null, 0), (json!(10), 10)] {
        for last in ["look", "cancel"] {
            for (middle, after) in [("done", 12), ("failed", 12), ("look", 20), ("look", 40)] {
                let events = [
                    event(0, "look"),
                    event(begins, "look"),
                    event(after, middle),
                    event(after + 1, last),
                ];
                inputs.push(Input {
                    title: format!(
                        "A job that starts after {begins} s: {middle} after {after} s, then {last}."
                    ),
                    requirements: vec!["JOB-050", "JOB-092"],
                    members: vec![
                        ("start", start.clone()),
                        ("budget", json!(30)),
                        ("devices", json!(["a"])),
                        ("events", json!(events)),
                    ],
                });
            }
        }
    }
    inputs
}
