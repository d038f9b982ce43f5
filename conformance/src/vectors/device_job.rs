//! Family `device-job`: the row of one device of a job.

use serde_json::{Value, json};
use twinspec_model::identity::Identity;
use twinspec_model::job::{Job, RowEnd};

use super::job_transition::{at, request};
use super::{Input, member, number, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let mut job = Job::new(request(case)?, at(0));
    job.pick_up(job.begins());
    job.start(Ok(vec![Identity::device("pump-01")]), job.begins());
    for event in member(case, "events")?.as_array().ok_or("events is no array")? {
        happen(&mut job, event)?;
    }
    let row = job.rows().first().ok_or("the job has no row")?;
    let mut row = row.json(&job);
    let members = row.as_object_mut().ok_or("the row is no object")?;
    for name in ["deviceId", "jobId"] {
        members.remove(name);
    }
    // The sentence is free; the code is not.
    if let Some(error) = members.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("description");
    }
    Ok(row)
}

fn happen(job: &mut Job, event: &Value) -> Result<(), String> {
    let now = at(number(event, "after")?);
    match text(event, "event")? {
        "begun" => drop(job.begin_row(0, now)),
        "patched" => drop(job.end_row(0, RowEnd::Patched, now)),
        "answered" => {
            let status = member(event, "status")?.as_i64().ok_or("status is no integer")?;
            let payload = member(event, "payload")?.clone();
            job.end_row(0, RowEnd::Answered { status, payload }, now);
        }
        "deadline" => job.expire(now),
        other => return Err(format!("there is no event {other:?}")),
    }
    Ok(())
}

pub(super) fn open_point(case: &Value, expect: &Value) -> Option<&'static str> {
    let mut events = case.get("events")?.as_array()?.iter();
    let has_begun = events.any(|event| event["event"] == "begun");
    (has_begun && expect.get("error").is_some()).then_some("A-J08")
}

/// Answers of every status and kind of payload, early and too late.
pub(super) fn inputs() -> Vec<Input> {
    let mut inputs = Vec::new();
    for status in [0, 200, 299, 400, 404, 500, 501, -1] {
        for payload in [Value::Null, json!("text"), json!([1, 2.5]), json!({ "a": { "b": true } })]
        {
            inputs.push(Input {
                title: format!("A method answered with {status} and {payload}."),
                requirements: vec!["JOB-078"],
                members: vec![
                    ("work", json!("scheduleDeviceMethod")),
                    ("start", Value::Null),
                    ("budget", json!(30)),
                    (
                        "events",
                        json!([
                            { "after": 1, "event": "begun" },
                            {
                                "after": 2,
                                "event": "answered",
                                "status": status,
                                "payload": payload
                            },
                            { "after": 30, "event": "deadline" },
                        ]),
                    ),
                ],
            });
        }
    }
    inputs
}
