//! What the sources leave open about jobs: any allowed outcome will do, unless the profile pins one.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::list::{jobs, page, pages_of};
use super::tools::{
    Marked, at, counters, demand_ok, ended, go, running, started_ago, starting_in, wave, with,
    without,
};
use crate::bench::{Bench, IfMatch, identity_path, job_path, method_job, status, twin_job};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// A case about one open point.
macro_rules! open {
    ($id:literal, $title:literal, [$($point:literal),+], $needs:expr, $run:path) => {
        Case { id: $id, title: $title, requirements: &[$($point),+], needs: $needs, run: body!($run) }
    };
}

/// The cases.
pub(super) const CASES: &[Case] = &[
    open!(
        "job-open-paging",
        "Pages are asked for in the query string too, or in headers only",
        ["A-J01"],
        &[],
        paging
    ),
    open!("job-open-order", "Jobs are listed newest first, or otherwise", ["A-J02"], &[], order),
    open!(
        "job-open-first-status",
        "A new job is queued, or has another name for it",
        ["A-J03"],
        &[],
        first_status
    ),
    open!(
        "job-open-all-failed",
        "A job all of whose devices failed is completed, or failed",
        ["A-J04"],
        &[Need::Clock],
        all_failed
    ),
    open!(
        "job-open-etag",
        "A patch without etag, or with one of a twin, is taken or refused",
        ["A-J05"],
        &[],
        etag
    ),
    open!(
        "job-open-cancel-status",
        "Cancelling a job that has ended is refused with 405, or otherwise",
        ["A-J06"],
        &[],
        cancel_status
    ),
    open!(
        "job-open-rows-before-start",
        "A job that waits has no rows, or rows that wait",
        ["A-J07"],
        &[],
        rows_before_start
    ),
    open!(
        "job-open-timeout-code",
        "The error of a device that does not answer has one name or another",
        ["A-J08"],
        &[Need::Clock],
        timeout_code
    ),
    open!(
        "job-open-budget",
        "A job without a budget, or with none left, is taken or refused",
        ["JOB-022", "A-J09"],
        &[],
        budget
    ),
    open!(
        "job-open-deleted",
        "The row of a deleted device ends at once, or with the job",
        ["A-J10"],
        &[Need::Clock],
        deleted
    ),
    open!(
        "job-open-created-time",
        "Rows are not found by createdTimeUtc, or are",
        ["A-J11"],
        &[],
        created_time
    ),
    open!(
        "job-open-nobody",
        "A job that selects nobody is completed, or failed",
        ["A-J12"],
        &[],
        nobody
    ),
    open!(
        "job-open-cancelled-counters",
        "A cancelled job has no counters, or zeros",
        ["A-J13"],
        &[],
        cancelled_counters
    ),
    open!(
        "job-open-oversize",
        "A patch too large for any twin is refused, or fails on each device",
        ["A-J14"],
        &[],
        oversize
    ),
    open!(
        "job-open-characters",
        "Names and values outside letters and digits are taken, or refused",
        ["A-J15"],
        &[],
        characters
    ),
    open!(
        "job-open-condition-missing",
        "A job without a condition is refused, or fails",
        ["A-J16"],
        &[],
        condition_missing
    ),
    open!(
        "job-open-timeout-alias",
        "timeoutInSeconds is another name of the response timeout, or not",
        ["A-J17"],
        &[Need::Clock],
        timeout_alias
    ),
    open!(
        "job-open-start-yesterday",
        "A job that should have started yesterday runs now, or never",
        ["JOB-021", "A-J18"],
        &[],
        start_yesterday
    ),
    open!("job-open-bad-id", "A bad id is refused with 400, or otherwise", ["A-J19"], &[], bad_id),
    open!(
        "job-open-two-ids",
        "A body with another id than the path is refused, or one of them wins",
        ["A-J20"],
        &[],
        two_ids
    ),
    open!(
        "job-open-waiting-counted",
        "Jobs that wait do not count as active, or do",
        ["A-J21"],
        &[Need::OneJob],
        waiting_counted
    ),
    open!(
        "job-list-query-paging",
        "Pages of a list are asked for in the query string",
        ["JOB-044"],
        &[Need::Alone],
        query_paging
    ),
    open!(
        "job-open-etag-null",
        "An etag of null, or none, is like a star",
        ["JOB-076"],
        &[],
        etag_null
    ),
];

/// A twin job for nobody.
fn idle() -> Value {
    twin_job("deviceId = 'nobody'", &wave())
}

/// A job for nobody that waits.
async fn waiting(bench: &mut Bench) -> Checked<String> {
    let body = starting_in(bench, idle(), 3600).await?;
    bench.start_job(&body).await
}

/// Whether a job with `body` is accepted; it waits.
async fn is_taken(bench: &mut Bench, body: Value) -> Checked<(bool, String)> {
    let id = bench.new_job_id();
    let body = starting_in(bench, body, 3600).await?;
    let answer = bench.create_job(&id, &body).await?;
    Ok((answer.status.is_success(), answer.to_string()))
}

async fn paging(bench: &mut Bench) -> Checked {
    for _ in 0..2 {
        waiting(bench).await?;
    }
    let answer = page(bench, "?pageSize=1", None, None).await?;
    let rows = jobs(&answer).unwrap_or_default();
    let token = answer.header("x-ms-continuation").unwrap_or_default().to_owned();
    let path = format!("?pageSize=1&continuationToken={token}");
    let next = jobs(&page(bench, &path, None, None).await?).unwrap_or_default();
    let leads_on = matches!((rows.as_slice(), next.as_slice()), ([a], [b]) if a != b);
    let tag = if leads_on && !token.is_empty() { "both" } else { "headers-only" };
    bench.decides("A-J01", tag, answer.to_string());
    Ok(())
}

async fn query_paging(bench: &mut Bench) -> Checked {
    for _ in 0..3 {
        let id = waiting(bench).await?;
        bench.watch_job(&id, |job| status(job) == "scheduled").await?;
    }
    let filter = "?jobStatus=scheduled&pageSize=2";
    let first = page(bench, filter, None, None).await?;
    let token = first.header("x-ms-continuation").unwrap_or_default().to_owned();
    let next = page(bench, &format!("{filter}&continuationToken={token}"), None, None).await?;
    let (rows, more) = (jobs(&first).unwrap_or_default(), jobs(&next).unwrap_or_default());
    let holds = rows.len() == 2 && !more.is_empty() && more.iter().all(|job| !rows.contains(job));
    bench.demand("JOB-044", holds, "two pages of different jobs", format!("{first}, {next}"));
    Ok(())
}

async fn order(bench: &mut Bench) -> Checked {
    let ids = [waiting(bench).await?, waiting(bench).await?, waiting(bench).await?];
    let pages = pages_of(bench, "JOB-037", "", None).await?;
    let listed = pages.iter().flatten().filter_map(|job| at(job, "/jobId").as_str());
    let own: Vec<&str> = listed.filter(|id| ids.iter().any(|own| own == id)).collect();
    let tag = if own.iter().eq(ids.iter()) {
        "oldest-first"
    } else if own.iter().eq(ids.iter().rev()) {
        "newest-first"
    } else {
        "none"
    };
    bench.decides("A-J02", tag, own.join(", "));
    Ok(())
}

async fn first_status(bench: &mut Bench) -> Checked {
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &idle()).await?;
    demand_ok(bench, "JOB-001", &answer);
    bench.decides("A-J03", status(&answer.json()), answer.to_string());
    Ok(())
}

async fn all_failed(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&with(marked.go(), "maxExecutionTimeInSeconds", 30)).await?;
    running(bench, "JOB-053", &id).await?;
    bench.advance(Duration::from_secs(35)).await?;
    let history = ended(bench, "JOB-062", &id).await?;
    bench.decides("A-J04", history.status(), history.last().to_string());
    Ok(())
}

async fn etag(bench: &mut Bench) -> Checked {
    let of = |etag: &Value| twin_job("deviceId = 'nobody'", &with(wave(), "etag", etag.clone()));
    let (star, seen) = is_taken(bench, of(&json!("*"))).await?;
    bench.demand("JOB-075", star, "HTTP 200", seen);
    let (none, without_one) = is_taken(bench, of(&Value::Null)).await?;
    let (concrete, with_one) = is_taken(bench, of(&json!("AAAAAAAAAAE="))).await?;
    let tag = match (none, concrete) {
        (true, false) => "star-or-none",
        (false, false) => "star-only",
        (true, true) => "any",
        (false, true) => "required",
    };
    bench.decides("A-J05", tag, format!("null: {without_one}, concrete: {with_one}"));
    Ok(())
}

async fn etag_null(bench: &mut Bench) -> Checked {
    for update in [with(wave(), "etag", Value::Null), without(wave(), "etag")] {
        let marked = Marked::new(bench, 1).await?;
        let id = bench.new_job_id();
        let answer = bench.create_job(&id, &twin_job(&marked.condition(), &update)).await?;
        if demand_ok(bench, "JOB-076", &answer) {
            ended(bench, "JOB-053", &id).await?;
            marked.demand_wave(bench, "JOB-076", true).await?;
        }
    }
    Ok(())
}

async fn cancel_status(bench: &mut Bench) -> Checked {
    let id = waiting(bench).await?;
    let answer = bench.cancel_job(&id).await?;
    demand_ok(bench, "JOB-054", &answer);
    let answer = bench.cancel_job(&id).await?;
    let tag = match answer.status.as_u16() {
        405 => "not-allowed",
        400 => "bad-request",
        409 | 412 => "conflict",
        401..=499 => "other",
        _ => "otherwise",
    };
    bench.decides("A-J06", tag, answer.to_string());
    Ok(())
}

async fn rows_before_start(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let body = starting_in(bench, marked.wave(), 3600).await?;
    let id = bench.start_job(&body).await?;
    bench.watch_job(&id, |job| status(job) == "scheduled").await?;
    let rows = bench.job_rows(&id).await?;
    let tag = if rows.is_empty() { "none" } else { "waiting" };
    bench.decides("A-J07", tag, format!("{rows:?}"));
    Ok(())
}

async fn timeout_code(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let call = with(go(), "responseTimeoutInSeconds", 10);
    let id = bench.start_job(&method_job(&marked.condition(), &call)).await?;
    connection.method_request("JOB-077").await?;
    bench.advance(Duration::from_secs(15)).await?;
    ended(bench, "JOB-084", &id).await?;
    let rows = bench.watch_rows(&id, |rows| rows.iter().any(|r| status(r) == "failed")).await?;
    let code = rows.first().map(|row| at(row, "/error/code").as_str().unwrap_or_default());
    let tag = match code {
        Some("GatewayTimeout") => "gateway-timeout",
        Some("JobRunPreconditionFailed") => "precondition-failed",
        None | Some("") => "otherwise",
        Some(_) => "other",
    };
    bench.decides("A-J08", tag, format!("{rows:?}"));
    Ok(())
}

async fn budget(bench: &mut Bench) -> Checked {
    let (missing, seen) = is_taken(bench, without(idle(), "maxExecutionTimeInSeconds")).await?;
    bench.demand("JOB-022", missing, "HTTP 200", &*seen);
    let (zero, _) = is_taken(bench, with(idle(), "maxExecutionTimeInSeconds", 0)).await?;
    let (negative, _) = is_taken(bench, with(idle(), "maxExecutionTimeInSeconds", -1)).await?;
    let tag = match (missing, zero, negative) {
        (true, false, false) => "optional",
        (true, true, false) => "zero-too",
        (true, true, true) => "any",
        (false, false, false) => "required",
        _ => "otherwise",
    };
    bench.decides("A-J09", tag, format!("missing {missing}, 0 {zero}, -1 {negative}"));
    Ok(())
}

async fn deleted(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let id = bench.start_job(&with(marked.go(), "maxExecutionTimeInSeconds", 30)).await?;
    running(bench, "JOB-053", &id).await?;
    let path = identity_path(&device.identity);
    bench.call(Method::DELETE, &path, IfMatch::Any, None).await?;
    let tag = if status(&bench.read_job(&id).await?) == "running" { "deadline" } else { "at-once" };
    bench.advance(Duration::from_secs(35)).await?;
    let history = ended(bench, "JOB-094", &id).await?;
    bench.decides("A-J10", tag, history.last().to_string());
    Ok(())
}

async fn created_time(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&marked.wave()).await?;
    ended(bench, "JOB-053", &id).await?;
    bench.watch_rows(&id, |rows| rows.len() == 1).await?;
    let query = format!(
        "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '{id}' AND \
         devices.jobs.createdTimeUtc > '2000-01-01'"
    );
    let body = json!({ "query": query });
    let answer = bench.call(Method::POST, "/devices/query", IfMatch::Absent, Some(&body)).await?;
    let tag = match (answer.status.as_u16(), answer.json()) {
        (200, Value::Array(rows)) if rows.is_empty() => "no-rows",
        (200, Value::Array(_)) => "alias",
        (400..=499, _) => "refused",
        _ => "otherwise",
    };
    bench.decides("A-J11", tag, answer.to_string());
    Ok(())
}

async fn nobody(bench: &mut Bench) -> Checked {
    let id = bench.start_job(&idle()).await?;
    let history = ended(bench, "JOB-093", &id).await?;
    bench.decides("A-J12", history.status(), history.last().to_string());
    Ok(())
}

async fn cancelled_counters(bench: &mut Bench) -> Checked {
    let id = waiting(bench).await?;
    let answer = bench.cancel_job(&id).await?;
    demand_ok(bench, "JOB-054", &answer);
    let job = bench.read_job(&id).await?;
    let tag = match counters(&job) {
        None => "absent",
        Some(counters) if counters.devices == 0 => "zeros",
        Some(_) => "counted",
    };
    bench.decides("A-J13", tag, job.to_string());
    Ok(())
}

async fn oversize(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let tags: serde_json::Map<String, Value> =
        (0..9).map(|n| (format!("t{n}"), json!("x".repeat(1024)))).collect();
    let update = json!({ "etag": "*", "tags": tags });
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &twin_job(&marked.condition(), &update)).await?;
    let tag = match answer.status.as_u16() {
        400..=499 => "refused",
        200 => {
            let history = ended(bench, "JOB-053", &id).await?;
            let failed = counters(history.last()).map_or(0, |counters| counters.failed);
            if failed == 1 || history.status() == "failed" { "fails" } else { "otherwise" }
        }
        _ => "otherwise",
    };
    bench.decides("A-J14", tag, answer.to_string());
    Ok(())
}

async fn characters(bench: &mut Bench) -> Checked {
    let update = json!({ "etag": "*", "tags": { "größe": "1-2 (ü)" } });
    let (taken, seen) = is_taken(bench, twin_job("deviceId = 'nobody'", &update)).await?;
    bench.decides("A-J15", if taken { "taken" } else { "refused" }, seen);
    Ok(())
}

async fn condition_missing(bench: &mut Bench) -> Checked {
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &without(idle(), "queryCondition")).await?;
    let tag = match answer.status.as_u16() {
        400..=499 => "refused",
        200 => match ended(bench, "JOB-024", &id).await?.status() {
            "failed" => "failed",
            _ => "otherwise",
        },
        _ => "otherwise",
    };
    bench.decides("A-J16", tag, answer.to_string());
    Ok(())
}

async fn timeout_alias(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let call = with(go(), "timeoutInSeconds", 10);
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &method_job(&marked.condition(), &call)).await?;
    let tag = if answer.status.is_success() {
        connection.method_request("JOB-077").await?;
        bench.advance(Duration::from_secs(15)).await?;
        let is_open = status(&bench.read_job(&id).await?) == "running";
        if is_open { "ignored" } else { "alias" }
    } else {
        "refused"
    };
    bench.decides("A-J17", tag, answer.to_string());
    Ok(())
}

async fn start_yesterday(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let body = started_ago(bench, marked.wave(), 86_400).await?;
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &body).await?;
    let refused = answer.status.is_client_error();
    let known = refused || answer.status.as_u16() == 200;
    bench.demand("JOB-021", known, "HTTP 200 or 4xx", answer.to_string());
    let tag = if refused {
        "refused"
    } else {
        let history = ended(bench, "JOB-053", &id).await?;
        let done = counters(history.last()).is_none_or(|counters| counters.succeeded == 1);
        if done { "now" } else { "too-late" }
    };
    bench.decides("A-J18", tag, answer.to_string());
    Ok(())
}

async fn bad_id(bench: &mut Bench) -> Checked {
    let id = format!("{}_b", bench.new_job_id());
    bench.cancel_later(&id);
    let body = starting_in(bench, idle(), 3600).await?;
    let answer = bench.create_job(&id, &body).await?;
    let tag = match answer.status.as_u16() {
        400 => "bad-request",
        404 => "not-found",
        401..=499 => "other",
        _ => "otherwise",
    };
    bench.decides("A-J19", tag, answer.to_string());
    Ok(())
}

async fn two_ids(bench: &mut Bench) -> Checked {
    let (in_path, in_body) = (bench.new_job_id(), bench.new_job_id());
    let body = starting_in(bench, with(idle(), "jobId", in_body.clone()), 3600).await?;
    let answer = bench.create_job(&in_path, &body).await?;
    let tag = if answer.status.is_client_error() {
        "refused"
    } else {
        let read = bench.call(Method::GET, &job_path(&in_body), IfMatch::Absent, None).await?;
        if read.status.is_success() { "body-wins" } else { "path-wins" }
    };
    bench.decides("A-J20", tag, answer.to_string());
    Ok(())
}

async fn waiting_counted(bench: &mut Bench) -> Checked {
    waiting(bench).await?;
    let (taken, seen) = is_taken(bench, idle()).await?;
    bench.decides("A-J21", if taken { "running-only" } else { "waiting-too" }, seen);
    Ok(())
}
