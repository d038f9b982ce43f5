//! When jobs start and end (JOB-047, -051, -052, -062, -063).

use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::tools::{
    Marked, at, completed, counters, demand_not_called, demand_ok, ended, judge, running, serve,
    starting_in, wave, with,
};
use crate::bench::{Bench, IfMatch, job_path, status, twin_job};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "job-time-waits",
        title: "A job that starts in ten minutes is scheduled and does not run",
        requirements: &["JOB-031", "JOB-051"],
        needs: &[],
        run: body!(waits),
    },
    Case {
        id: "job-time-waits-to-the-last",
        title: "A job is scheduled until shortly before its start, and runs after it",
        requirements: &["JOB-050", "JOB-051"],
        needs: &[Need::Clock],
        run: body!(waits_to_the_last),
    },
    Case {
        id: "job-time-twin-untouched",
        title: "A twin job changes nothing before its start",
        requirements: &["JOB-052"],
        needs: &[Need::Clock],
        run: body!(twin_untouched),
    },
    Case {
        id: "job-time-device-not-notified",
        title: "No device hears of a twin job before its start",
        requirements: &["JOB-052"],
        needs: &[],
        run: body!(device_not_notified),
    },
    Case {
        id: "job-time-method-not-called",
        title: "A method job calls nobody before its start",
        requirements: &["JOB-052"],
        needs: &[Need::Clock],
        run: body!(method_not_called),
    },
    Case {
        id: "job-time-budget",
        title: "A job for an absent device runs to the end of its budget and no longer",
        requirements: &["JOB-062"],
        needs: &[Need::Clock],
        run: body!(budget),
    },
    Case {
        id: "job-time-budget-from-start",
        title: "The budget of a job that waited counts from its start",
        requirements: &["JOB-062"],
        needs: &[Need::Clock],
        run: body!(budget_from_start),
    },
    Case {
        id: "job-time-all-absent",
        title: "A job whose devices all stayed away is completed, and all of them failed",
        requirements: &["JOB-063", "JOB-090", "JOB-091"],
        needs: &[Need::Clock],
        run: body!(all_absent),
    },
    Case {
        id: "job-time-kept-thirty-days",
        title: "A job is readable for thirty days after its end and gone later",
        requirements: &["JOB-047"],
        needs: &[Need::Clock],
        run: body!(kept_thirty_days),
    },
];

/// Statuses of a job that waits for its start.
const WAITING: [&str; 4] = ["queued", "enqueued", "pending", "scheduled"];

async fn waits(bench: &mut Bench) -> Checked {
    let body = starting_in(bench, twin_job("deviceId = 'nobody'", &wave()), 600).await?;
    let id = bench.start_job(&body).await?;
    let mut history = bench.watch_job(&id, |job| status(job) == "scheduled").await?;
    history.readings.push(bench.read_job(&id).await?);
    judge(bench, &history);
    for job in &history.readings {
        let holds = WAITING.contains(&status(job));
        bench.demand("JOB-051", holds, WAITING.join(", "), job.to_string());
    }
    bench.equal("JOB-051", "the status in the end", "scheduled", history.status());
    Ok(())
}

async fn waits_to_the_last(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let body = starting_in(bench, marked.wave(), 600).await?;
    let id = bench.start_job(&body).await?;
    let mut history = bench.watch_job(&id, |job| status(job) == "scheduled").await?;
    bench.advance(Duration::from_secs(580)).await?;
    history.readings.push(bench.read_job(&id).await?);
    bench.equal("JOB-051", "the status before the start", "scheduled", history.status());
    bench.advance(Duration::from_secs(30)).await?;
    history.readings.extend(ended(bench, "JOB-051", &id).await?.readings);
    judge(bench, &history);
    bench.equal("JOB-053", "the status in the end", "completed", history.status());
    Ok(())
}

async fn twin_untouched(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let body = starting_in(bench, marked.wave(), 60).await?;
    let id = bench.start_job(&body).await?;
    marked.demand_wave(bench, "JOB-052", false).await?;
    bench.advance(Duration::from_secs(45)).await?;
    marked.demand_wave(bench, "JOB-052", false).await?;
    bench.advance(Duration::from_secs(30)).await?;
    completed(bench, "JOB-053", &id).await?;
    marked.demand_wave(bench, "JOB-053", true).await
}

async fn device_not_notified(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let update = serde_json::json!({ "etag": "*", "properties": { "desired": { "rate": 5 } } });
    let body = starting_in(bench, twin_job(&marked.condition(), &update), 600).await?;
    let id = bench.start_job(&body).await?;
    bench.watch_job(&id, |job| status(job) == "scheduled").await?;
    let patch = serde_json::json!({ "properties": { "desired": { "sentinel": 1 } } });
    let twin = bench.patch_twin(&device.identity, &patch).await?;
    let version = twin.pointer("/properties/desired/$version").and_then(Value::as_u64);
    let before = connection.notifications_before(version.unwrap_or_default()).await?;
    let seen = format!("{} before", before.len());
    bench.demand("JOB-052", before.is_empty(), "no notification before a later one", seen);
    bench.equal_json("JOB-052", "rate", &Value::Null, at(&twin, "/properties/desired/rate"));
    Ok(())
}

async fn method_not_called(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let body = starting_in(bench, marked.go(), 60).await?;
    let id = bench.start_job(&body).await?;
    bench.advance(Duration::from_secs(45)).await?;
    demand_not_called(bench, "JOB-052", &device, &mut connection).await?;
    bench.advance(Duration::from_secs(30)).await?;
    serve(bench, "JOB-077", &mut connection, (200, "null")).await?;
    completed(bench, "JOB-053", &id).await.map(drop)
}

async fn budget(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&with(marked.go(), "maxExecutionTimeInSeconds", 30)).await?;
    running(bench, "JOB-062", &id).await?;
    bench.advance(Duration::from_secs(20)).await?;
    running(bench, "JOB-062", &id).await?;
    bench.advance(Duration::from_secs(15)).await?;
    ended(bench, "JOB-062", &id).await.map(drop)
}

async fn budget_from_start(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let body = with(marked.go(), "maxExecutionTimeInSeconds", 30);
    let id = bench.start_job(&starting_in(bench, body, 100).await?).await?;
    bench.advance(Duration::from_secs(105)).await?;
    running(bench, "JOB-062", &id).await?;
    bench.advance(Duration::from_secs(15)).await?;
    running(bench, "JOB-062", &id).await?;
    bench.advance(Duration::from_secs(15)).await?;
    ended(bench, "JOB-062", &id).await.map(drop)
}

async fn all_absent(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let id = bench.start_job(&with(marked.go(), "maxExecutionTimeInSeconds", 30)).await?;
    running(bench, "JOB-062", &id).await?;
    bench.advance(Duration::from_secs(35)).await?;
    let history = ended(bench, "JOB-062", &id).await?;
    let job = history.last();
    bench.equal("JOB-063", "the status", "completed", status(job));
    let present = counters(job);
    bench.demand("JOB-091", present.is_some(), "deviceJobStatistics", job.to_string());
    let seen = present.map(|counters| (counters.devices, counters.failed));
    bench.equal("JOB-063", "deviceCount and failedCount", Some((2, 2)), seen);
    let open = present.is_none_or(|c| (c.running, c.pending) == (0, 0));
    bench.demand("JOB-090", open, "runningCount 0 and pendingCount 0", job.to_string());
    Ok(())
}

async fn kept_thirty_days(bench: &mut Bench) -> Checked {
    let day = Duration::from_secs(86_400);
    let id = bench.start_job(&twin_job("deviceId = 'nobody'", &wave())).await?;
    ended(bench, "JOB-093", &id).await?;
    bench.advance(day * 29).await?;
    let answer = bench.call(Method::GET, &job_path(&id), IfMatch::Absent, None).await?;
    demand_ok(bench, "JOB-047", &answer);
    bench.advance(day * 2).await?;
    let answer = bench.call(Method::GET, &job_path(&id), IfMatch::Absent, None).await?;
    bench.equal("JOB-047", "HTTP status", 404, answer.status.as_u16());
    Ok(())
}
