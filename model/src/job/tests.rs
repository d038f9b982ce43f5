//! Laws of jobs over every order of events, and what their bodies may hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::twin::limits::TwinLimits;

/// Events in a row that the search tries.
const DEPTH: usize = 12;

const CREATED: u64 = 1_900_000_000;

/// Seconds after the creation at which events happen: before the start, at it, at the deadline.
const MOMENTS: [u64; 3] = [0, 10, 40];

#[derive(Clone, Debug)]
enum Event {
    Wait,
    PickUp,
    Start(Result<usize, ()>),
    TakeNext,
    Begin(usize),
    End(usize, bool),
    Expire,
    Cancel,
}

const ALL: [Event; 13] = [
    Event::Wait,
    Event::PickUp,
    Event::Start(Ok(0)),
    Event::Start(Ok(2)),
    Event::Start(Err(())),
    Event::TakeNext,
    Event::Begin(0),
    Event::Begin(1),
    Event::End(0, true),
    Event::End(1, false),
    Event::End(2, true),
    Event::Expire,
    Event::Cancel,
];

fn request(start: Option<u64>) -> JobRequest {
    let body = json!({
        "type": "scheduleUpdateTwin",
        "updateTwin": { "tags": { "a": 1 } },
        "queryCondition": "*",
        "startTime": start.map(|after| at(after).to_string()),
        "maxExecutionTimeInSeconds": 30,
    });
    JobRequest::parse("j", body.to_string().as_bytes(), &TwinLimits::default()).unwrap()
}

fn at(after: u64) -> Time {
    Time::from_unix_seconds(CREATED + after)
}

fn apply(job: &mut Job, moment: &mut usize, event: &Event) {
    let now = at(MOMENTS[*moment]);
    match event {
        Event::Wait => *moment = (*moment + 1).min(MOMENTS.len() - 1),
        Event::PickUp => drop(job.pick_up(now)),
        Event::Start(devices) => {
            let devices = devices.map(|n| (0..n).map(|i| Identity::device(format!("d{i}"))));
            job.start(devices.map(Iterator::collect).map_err(|()| "why".to_owned()), now);
        }
        Event::TakeNext => drop(job.take_rows(1)),
        Event::Begin(row) => drop(job.begin_row(*row, now)),
        Event::End(row, well) => {
            let failed = RowEnd::Failed { code: "X", description: "y".to_owned() };
            job.end_row(*row, if *well { RowEnd::Patched } else { failed }, now);
        }
        Event::Expire => job.expire(now),
        Event::Cancel => drop(job.cancel(now)),
    }
}

/// The transitions of jobs.md § 6.2 that this machine has.
fn may_move(from: JobStatus, to: JobStatus) -> bool {
    use JobStatus::{Cancelled, Completed, Failed, Queued, Running, Scheduled};
    match from {
        Queued => true,
        Scheduled => to != Queued,
        Running => matches!(to, Running | Completed),
        Completed | Failed | Cancelled => to == from,
    }
}

fn check_edge(before: &Job, after: &Job, now: Time, event: &Event) {
    let context = || format!("{event:?} at {now} led from {before:?} to {after:?}");
    assert!(may_move(before.status, after.status), "{}", context());
    if before.status.is_terminal() {
        assert_eq!(before, after, "{}", context());
    }
    if before.status != JobStatus::Running && after.status == JobStatus::Running {
        assert!(now >= after.begins(), "{}", context());
    }
    for (old, new) in before.rows.iter().zip(&after.rows) {
        let moved = old.status != new.status;
        assert!(!moved || (old.status < new.status && !old.status.is_terminal()), "{}", context());
        assert!(moved || old == new, "{}", context());
    }
}

fn check_state(job: &Job) {
    let mut counted = BTreeMap::new();
    for row in &job.rows {
        *counted.entry(row.status).or_insert(0) += 1;
        assert_eq!(row.end.is_some(), row.status.is_terminal());
    }
    for status in DeviceJobStatus::ALL {
        assert_eq!(job.statistics.count(status), counted.get(&status).copied().unwrap_or(0));
    }
    assert_eq!(job.statistics.devices, job.rows.len());
    assert_eq!(job.ended.is_some(), job.status.is_terminal());
    assert_eq!(job.failure.is_some(), job.status == JobStatus::Failed);
    let open = job.rows.iter().any(|row| !row.status.is_terminal());
    assert_eq!(open, job.status == JobStatus::Running, "{job:?}");
    if job.status == JobStatus::Completed {
        assert!(job.ended >= Some(job.begins()));
    }
}

/// Every state that `DEPTH` events can reach, breadth first, with the laws checked on the way.
fn reachable(start: Option<u64>) -> Vec<Job> {
    let first = Job::new(request(start), at(0));
    let mut seen = BTreeSet::from([format!("{first:?} 0")]);
    let mut all = vec![first.clone()];
    let mut front = vec![(first, 0)];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for (job, moment) in &front {
            for event in &ALL {
                let (mut after, mut later) = (job.clone(), *moment);
                apply(&mut after, &mut later, event);
                check_edge(job, &after, at(MOMENTS[*moment]), event);
                check_state(&after);
                if seen.insert(format!("{after:?} {later}")) {
                    all.push(after.clone());
                    next.push((after, later));
                }
            }
        }
        front = next;
    }
    assert!(front.is_empty(), "{DEPTH} events reach every state, and the search has ended");
    all
}

#[test]
fn every_order_of_events_keeps_the_laws_and_reaches_every_state() {
    for start in [None, Some(10)] {
        let states = reachable(start);
        for status in JobStatus::ALL {
            let possible = start.is_some() || status != JobStatus::Scheduled;
            assert_eq!(states.iter().any(|job| job.status == status), possible, "{status:?}");
        }
        for status in DeviceJobStatus::ALL {
            let found = states.iter().flat_map(|job| &job.rows).any(|row| row.status == status);
            assert!(found, "{status:?}");
        }
    }
}

#[test]
fn whatever_waits_is_due_at_some_time() {
    for job in reachable(Some(10)) {
        let latest = job.ended.map_or(job.deadline(), |ended| ended.after(RETENTION));
        assert!(job.due() <= latest, "{job:?}");
    }
}

#[test]
fn a_job_is_gone_thirty_days_after_its_end() {
    let mut job = Job::new(request(None), at(0));
    job.cancel(at(5)).unwrap();
    let days = |days: u64| at(5).after(Duration::from_secs(days * 86_400));
    assert!(!job.is_gone(days(29)));
    assert!(job.is_gone(days(30)));
}

/// The code and a word of the refusal of a twin job with `member` set to `value`.
fn refusal(member: &str, value: Value) -> Refusal {
    let mut body = json!({
        "type": "scheduleUpdateTwin",
        "updateTwin": { "etag": "*", "tags": { "a": 1 } },
        "queryCondition": "*",
    });
    body[member] = value;
    JobRequest::parse("j", body.to_string().as_bytes(), &TwinLimits::default()).unwrap_err()
}

#[test]
fn a_wrong_member_is_named_with_what_it_may_hold() {
    let long = "x".repeat(8200);
    for (member, value, code, words) in [
        ("jobId", json!("k"), ErrorCode::ArgumentInvalid, "in the path"),
        ("type", json!("scheduleTwinUpdate"), ErrorCode::GenericBadRequest, "allowed are"),
        ("type", Value::Null, ErrorCode::GenericBadRequest, "type is null"),
        ("updateTwin", Value::Null, ErrorCode::ArgumentNull, "updateTwin"),
        ("updateTwin", json!([]), ErrorCode::ArgumentInvalid, "must be an object"),
        ("updateTwin", json!({"etag": "*", "desired": {}}), ErrorCode::ArgumentInvalid, "desired"),
        ("updateTwin", json!({"etag": "AAA=", "tags": {}}), ErrorCode::ArgumentInvalid, "etag"),
        ("updateTwin", json!({}), ErrorCode::ArgumentInvalid, "neither tags nor properties"),
        ("updateTwin", json!({"tags": {"a": long}}), ErrorCode::ArgumentInvalid, "a"),
        ("queryCondition", json!(" "), ErrorCode::ArgumentNull, "queryCondition"),
        ("queryCondition", json!(5), ErrorCode::ArgumentInvalid, "found a number"),
        ("queryCondition", json!(long), ErrorCode::PreconditionFailed, "8192"),
        ("startTime", json!("soon"), ErrorCode::ArgumentInvalid, "ISO 8601"),
        ("maxExecutionTimeInSeconds", json!(0), ErrorCode::ArgumentInvalid, "from 1"),
        ("maxExecutionTimeInSeconds", json!(1.5), ErrorCode::ArgumentInvalid, "from 1"),
    ] {
        let refusal = refusal(member, value.clone());
        assert_eq!(refusal.code, code, "{member} {refusal}");
        assert!(refusal.message.contains(words), "{member} {value}: {refusal}");
    }
}

#[test]
fn a_whole_select_as_condition_fails_behind_the_prefix() {
    let mut request = request(None);
    request.condition = "SELECT * FROM devices".to_owned();
    assert_eq!(request.selection().unwrap_err().column, 29);
}

#[test]
fn a_method_job_takes_the_old_name_of_the_timeout() {
    let body = br#"{"type":"SCHEDULEDEVICEMETHOD","updateTwin":null,"queryCondition":"*",
        "cloudToDeviceMethod":{"methodName":"go","timeoutInSeconds":7}}"#;
    let request = JobRequest::parse("j", body, &TwinLimits::default()).unwrap();
    let Work::Method(call) = &request.work else { panic!("no method: {request:?}") };
    assert_eq!(call.response_wait, Duration::from_secs(7));
}

#[test]
fn a_start_that_was_never_set_is_long_ago() {
    let body = json!({
        "type": "scheduleUpdateTwin",
        "updateTwin": { "tags": { "a": 1 } },
        "queryCondition": "*",
        "startTime": "0001-01-01T00:00:00Z",
    });
    let body = body.to_string();
    let request = JobRequest::parse("j", body.as_bytes(), &TwinLimits::default()).unwrap();
    assert!(Job::new(request, at(0)).pick_up(at(0)));
}

#[test]
fn ids_have_64_letters_digits_and_dashes() {
    assert_eq!(id_error(&"aZ9-".repeat(16)), None);
    for id in ["", "query", "a_b", "a.b", "a b", "é", &"x".repeat(65)] {
        assert!(id_error(id).is_some(), "{id}");
    }
}
