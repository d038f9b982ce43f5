//! What GET shows of a job (JOB-030 to -036, -050).

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::tools::{
    Marked, at, completed, demand_error, ended, field, go, judge, serve, starting_in, time, wave,
    with, without,
};
use crate::bench::{Bench, IfMatch, job_path, method_job, twin_job};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "job-read-twin",
        title: "A twin job is read with id, type and status all its life",
        requirements: &["JOB-030", "JOB-031", "JOB-050"],
        needs: &[],
        run: body!(read_twin),
    },
    Case {
        id: "job-read-method",
        title: "A method job is read with id, type and status while it waits",
        requirements: &["JOB-030", "JOB-031"],
        needs: &[],
        run: body!(read_method),
    },
    Case {
        id: "job-read-echo-twin",
        title: "A twin job is read as it was asked for",
        requirements: &["JOB-032"],
        needs: &[],
        run: body!(echo_twin),
    },
    Case {
        id: "job-read-echo-method",
        title: "A method job is read as it was asked for",
        requirements: &["JOB-032"],
        needs: &[],
        run: body!(echo_method),
    },
    Case {
        id: "job-read-echo-condition",
        title: "A condition is read byte for byte as it was written",
        requirements: &["JOB-032"],
        needs: &[],
        run: body!(echo_condition),
    },
    Case {
        id: "job-read-start-is-creation",
        title: "Without a requested start the start time is that of the creation",
        requirements: &["JOB-033"],
        needs: &[],
        run: body!(start_is_creation),
    },
    Case {
        id: "job-read-end-time",
        title: "The end time comes with the end, and not before the start",
        requirements: &["JOB-034", "JOB-035"],
        needs: &[],
        run: body!(end_time),
    },
    Case {
        id: "job-read-end-time-method",
        title: "The end time of a method job comes with its end, too",
        requirements: &["JOB-034"],
        needs: &[],
        run: body!(end_time_method),
    },
    Case {
        id: "job-read-start-with-offset",
        title: "A start time with an offset from UTC is shown as the same moment",
        requirements: &["JOB-032"],
        needs: &[],
        run: body!(start_with_offset),
    },
    Case {
        id: "job-read-times-waiting",
        title: "The times of a job that waits are in UTC",
        requirements: &["JOB-035"],
        needs: &[],
        run: body!(times_waiting),
    },
    Case {
        id: "job-read-ended-for-good",
        title: "A job that has ended is read the same again and again",
        requirements: &["JOB-050"],
        needs: &[],
        run: body!(ended_for_good),
    },
    Case {
        id: "job-read-unknown",
        title: "A job that nobody created is not found",
        requirements: &["JOB-036"],
        needs: &[],
        run: body!(unknown),
    },
];

async fn read_twin(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&marked.wave()).await?;
    let history = ended(bench, "JOB-053", &id).await?;
    for job in &history.readings {
        demand_members(bench, job, &id, "scheduleUpdateTwin");
    }
    Ok(())
}

async fn read_method(bench: &mut Bench) -> Checked {
    let body = starting_in(bench, method_job("deviceId = 'nobody'", &go()), 3600).await?;
    let id = bench.start_job(&body).await?;
    let history = bench.watch_job(&id, |job| *at(job, "/status") == "scheduled").await?;
    judge(bench, &history);
    demand_members(bench, history.last(), &id, "scheduleDeviceMethod");
    Ok(())
}

fn demand_members(bench: &mut Bench, job: &Value, id: &str, job_type: &str) {
    let holds =
        *at(job, "/jobId") == id && *at(job, "/type") == job_type && at(job, "/status").is_string();
    let allowed = format!("jobId {id}, type {job_type}, and a status");
    bench.demand("JOB-030", holds, allowed, job.to_string());
}

async fn echo_twin(bench: &mut Bench) -> Checked {
    let update = json!({
        "etag": "*",
        "tags": { "site": "north-shed" },
        "properties": { "desired": { "sampleEverySecs": 45 } },
    });
    let body = with(twin_job("tags.kind = 'none'", &update), "maxExecutionTimeInSeconds", 600);
    let job = demand_echo(bench, &body).await?;
    let seen = at(&job, "/updateTwin");
    for member in ["tags", "properties", "etag"] {
        bench.equal_json("JOB-032", member, field(&update, member), field(seen, member));
    }
    Ok(())
}

async fn echo_method(bench: &mut Bench) -> Checked {
    let call = json!({
        "methodName": "cycleValve",
        "payload": { "times": [3, null, "x"] },
        "responseTimeoutInSeconds": 25,
        "connectTimeoutInSeconds": 10,
    });
    let job = demand_echo(bench, &method_job("tags.kind = 'none'", &call)).await?;
    let seen = at(&job, "/cloudToDeviceMethod");
    for member in ["methodName", "payload", "responseTimeoutInSeconds", "connectTimeoutInSeconds"] {
        bench.equal_json("JOB-032", member, field(&call, member), field(seen, member));
    }
    Ok(())
}

/// Creates a job that waits and compares what GET shows with what was asked for.
async fn demand_echo(bench: &mut Bench, body: &Value) -> Checked<Value> {
    let body = starting_in(bench, body.clone(), 3600).await?;
    let id = bench.start_job(&body).await?;
    let job = bench.read_job(&id).await?;
    for member in ["queryCondition", "maxExecutionTimeInSeconds"] {
        bench.equal_json("JOB-032", member, field(&body, member), field(&job, member));
    }
    let (asked, shown) = (time(&body, "startTime"), time(&job, "startTime"));
    bench.equal("JOB-032", "startTime", asked, shown);
    Ok(job)
}

async fn echo_condition(bench: &mut Bench) -> Checked {
    for condition in [
        "  deviceId  IN [ 'a' ,\t'b' ]  ",
        r#"DeviceId = "nobody" and tags.note != 'it\'s \u00e9'"#,
        "*",
    ] {
        let body = starting_in(bench, twin_job(condition, &wave()), 3600).await?;
        let id = bench.start_job(&body).await?;
        let job = bench.read_job(&id).await?;
        bench.equal_json(
            "JOB-032",
            "queryCondition",
            &json!(condition),
            at(&job, "/queryCondition"),
        );
        // One that selects everybody must not stay behind.
        bench.cancel_job(&id).await?;
    }
    Ok(())
}

async fn start_is_creation(bench: &mut Bench) -> Checked {
    let body = without(twin_job("deviceId = 'nobody'", &wave()), "startTime");
    let id = bench.start_job(&body).await?;
    let history = ended(bench, "JOB-093", &id).await?;
    let job = history.last();
    let (created, start) = (time(job, "createdTime"), time(job, "startTime"));
    let holds = created.is_some() && created == start;
    bench.demand("JOB-033", holds, "startTime equal to createdTime", job.to_string());
    Ok(())
}

async fn end_time(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&marked.wave()).await?;
    let history = ended(bench, "JOB-053", &id).await?;
    for job in &history.readings {
        if *at(job, "/status") == "completed" {
            let (start, end) = (time(job, "startTime"), time(job, "endTime"));
            let holds = end.is_some() && start.is_some() && end >= start;
            bench.demand("JOB-034", holds, "an endTime from startTime on", job.to_string());
        }
    }
    let waiting = starting_in(bench, marked.wave(), 3600).await?;
    let id = bench.start_job(&waiting).await?;
    let job = bench.read_job(&id).await?;
    // Absent, null, the time of never, or a plan: but no end that lies in the past.
    let now = bench.now().await?;
    let ended = time(&job, "endTime").filter(|end| *end <= now);
    bench.demand("JOB-034", ended.is_none(), "no end of a job that waits", job.to_string());
    Ok(())
}

async fn end_time_method(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let id = bench.start_job(&marked.go()).await?;
    serve(bench, "JOB-077", &mut connection, (200, "null")).await?;
    let job = completed(bench, "JOB-053", &id).await?;
    let (start, end) = (time(&job, "startTime"), time(&job, "endTime"));
    let holds = end.is_some() && start.is_some() && end >= start;
    bench.demand("JOB-034", holds, "an endTime from startTime on", job.to_string());
    Ok(())
}

async fn start_with_offset(bench: &mut Bench) -> Checked {
    let body = starting_in(bench, twin_job("deviceId = 'nobody'", &wave()), 7200).await?;
    let Some(start) = time(&body, "startTime") else { return Ok(()) };
    // The clock on the wall two hours to the east of Greenwich.
    let wall = start.after(Duration::from_secs(7200)).to_string().replace('Z', "+02:00");
    let id = bench.start_job(&with(body, "startTime", wall.clone())).await?;
    let job = bench.read_job(&id).await?;
    let shown = time(&job, "startTime");
    let allowed = format!("startTime {start}, as {wall} means");
    bench.demand("JOB-032", shown == Some(start), allowed, job.to_string());
    Ok(())
}

async fn times_waiting(bench: &mut Bench) -> Checked {
    let body = starting_in(bench, twin_job("deviceId = 'nobody'", &wave()), 3600).await?;
    let id = bench.start_job(&body).await?;
    let history = bench.watch_job(&id, |job| *at(job, "/status") == "scheduled").await?;
    judge(bench, &history);
    let job = history.last();
    let holds = time(job, "createdTime").is_some() && time(job, "startTime").is_some();
    bench.demand("JOB-035", holds, "createdTime and startTime", job.to_string());
    Ok(())
}

async fn ended_for_good(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let id = bench.start_job(&marked.wave()).await?;
    let mut history = ended(bench, "JOB-053", &id).await?;
    let first = history.last().clone();
    for _ in 0..3 {
        history.readings.push(bench.read_job(&id).await?);
    }
    judge(bench, &history);
    bench.equal_json("JOB-050", "the job", &first, history.last());
    Ok(())
}

async fn unknown(bench: &mut Bench) -> Checked {
    let body = starting_in(bench, twin_job("deviceId = 'nobody'", &wave()), 3600).await?;
    let known = bench.start_job(&body).await?;
    bench.read_job(&known).await?;
    let path = job_path(&bench.new_job_id());
    let answer = bench.call(Method::GET, &path, IfMatch::Absent, None).await?;
    demand_error(bench, "JOB-036", &answer, 404, "JobNotFound");
    Ok(())
}
