//! What a hub accepts as a new job, and how it answers (JOB-001 to -009, -017 to -023).

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;

use super::tools::{
    Marked, at, completed, demand_ok, go, started_ago, starting_in, wave, with, without,
};
use crate::bench::{Bench, IfMatch, job_path, status, twin_job};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "job-create-twin",
        title: "A twin job is created and answered with its id, type and status",
        requirements: &["JOB-001", "JOB-003", "JOB-075"],
        needs: &[],
        run: body!(twin),
    },
    Case {
        id: "job-create-method",
        title: "A method job is created and answered with its id, type and status",
        requirements: &["JOB-002", "JOB-003"],
        needs: &[],
        run: body!(method),
    },
    Case {
        id: "job-create-queued-now",
        title: "A job that starts at once is answered as queued",
        requirements: &["JOB-004"],
        needs: &[],
        run: body!(queued_now),
    },
    Case {
        id: "job-create-queued-later",
        title: "A job that starts in an hour is answered as queued",
        requirements: &["JOB-004"],
        needs: &[],
        run: body!(queued_later),
    },
    Case {
        id: "job-create-members",
        title: "The answer to a creation has three members",
        requirements: &["JOB-005"],
        needs: &[],
        run: body!(members),
    },
    Case {
        id: "job-create-content-type",
        title: "Every answer about jobs is JSON in UTF-8",
        requirements: &["JOB-006"],
        needs: &[],
        run: body!(content_type),
    },
    Case {
        id: "job-create-without-id",
        title: "A body that does not repeat the id is accepted",
        requirements: &["JOB-007"],
        needs: &[],
        run: body!(without_id),
    },
    Case {
        id: "job-create-null-call",
        title: "A twin job whose cloudToDeviceMethod is null runs",
        requirements: &["JOB-008"],
        needs: &[],
        run: body!(null_call),
    },
    Case {
        id: "job-create-null-patch",
        title: "A method job whose updateTwin is null is accepted",
        requirements: &["JOB-008"],
        needs: &[],
        run: body!(null_patch),
    },
    Case {
        id: "job-create-as-sdks-do",
        title: "A patch with the empty members of SDKs runs and leaves reported properties",
        requirements: &["JOB-009", "JOB-096"],
        needs: &[],
        run: body!(as_sdks_do),
    },
    Case {
        id: "job-create-longest-id",
        title: "An id of 64 letters, digits and dashes in both cases is created and read",
        requirements: &["JOB-017"],
        needs: &[],
        run: body!(longest_id),
    },
    Case {
        id: "job-create-id-letter-by-letter",
        title: "Ids that begin and end with dashes or digits are kept letter by letter",
        requirements: &["JOB-017"],
        needs: &[],
        run: body!(odd_ids),
    },
    Case {
        id: "job-create-start-absent",
        title: "A job without a start time starts at once",
        requirements: &["JOB-019"],
        needs: &[],
        run: body!(start_absent),
    },
    Case {
        id: "job-create-start-just-past",
        title: "A job that should have started 10 s ago runs",
        requirements: &["JOB-020"],
        needs: &[],
        run: body!(start_just_past),
    },
    Case {
        id: "job-create-start-a-minute-past",
        title: "A job that should have started 55 s ago is accepted and runs",
        requirements: &["JOB-020"],
        needs: &[],
        run: body!(start_a_minute_past),
    },
    Case {
        id: "job-create-everybody",
        title: "The condition * selects all devices",
        requirements: &["JOB-023"],
        needs: &[Need::Alone],
        run: body!(everybody),
    },
];

async fn twin(bench: &mut Bench) -> Checked {
    let body = json!({
        "type": "scheduleUpdateTwin",
        "updateTwin": {
            "etag": "*",
            "tags": { "site": "north-shed" },
            "properties": { "desired": { "sampleEverySecs": 45 } },
        },
        "queryCondition": "deviceId = 'nobody' AND properties.reported.ready = true",
        "maxExecutionTimeInSeconds": 600,
    });
    let body = starting_in(bench, body, 3600).await?;
    let (id, answer) = created(bench, "JOB-001", &body).await?;
    demand_ok(bench, "JOB-075", &answer);
    demand_members(bench, &id, "scheduleUpdateTwin", &answer);
    Ok(())
}

async fn method(bench: &mut Bench) -> Checked {
    let body = json!({
        "type": "scheduleDeviceMethod",
        "cloudToDeviceMethod": {
            "methodName": "cycleValve",
            "payload": { "times": 3 },
            "responseTimeoutInSeconds": 25,
            "connectTimeoutInSeconds": 10,
        },
        "queryCondition": "deviceId IN ['nobody','no-one']",
        "maxExecutionTimeInSeconds": 300,
    });
    let body = starting_in(bench, body, 3600).await?;
    let (id, answer) = created(bench, "JOB-002", &body).await?;
    demand_members(bench, &id, "scheduleDeviceMethod", &answer);
    Ok(())
}

/// Creates a job, whose body repeats the id, and demands 200.
async fn created(
    bench: &mut Bench,
    requirement: &'static str,
    body: &Value,
) -> Checked<(String, Answer)> {
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &with(body.clone(), "jobId", id.clone())).await?;
    demand_ok(bench, requirement, &answer);
    Ok((id, answer))
}

fn demand_members(bench: &mut Bench, id: &str, job_type: &str, answer: &Answer) {
    let job = answer.json();
    let holds = *at(&job, "/jobId") == id
        && *at(&job, "/type") == job_type
        && at(&job, "/status").is_string();
    let allowed = format!("jobId {id}, type {job_type}, and a status");
    bench.demand("JOB-003", holds, allowed, answer.to_string());
}

async fn queued_now(bench: &mut Bench) -> Checked {
    let body = twin_job("deviceId = 'nobody'", &wave());
    demand_queued(bench, &body).await
}

async fn queued_later(bench: &mut Bench) -> Checked {
    let body = starting_in(bench, twin_job("deviceId = 'nobody'", &wave()), 3600).await?;
    demand_queued(bench, &body).await
}

async fn demand_queued(bench: &mut Bench, body: &Value) -> Checked {
    let (_, answer) = created(bench, "JOB-001", body).await?;
    let allowed = ["queued", "enqueued", "pending", "scheduled"];
    let holds = allowed.contains(&status(&answer.json()));
    bench.demand("JOB-004", holds, format!("status {}", allowed.join(", ")), answer.to_string());
    Ok(())
}

async fn members(bench: &mut Bench) -> Checked {
    let marked = Marked { mark: "nobody".to_owned(), devices: Vec::new() };
    for body in [marked.wave(), marked.go()] {
        let body = starting_in(bench, body, 3600).await?;
        let (_, answer) = created(bench, "JOB-001", &body).await?;
        let job = answer.json();
        let names: BTreeSet<&str> =
            job.as_object().into_iter().flat_map(|job| job.keys()).map(String::as_str).collect();
        let allowed = BTreeSet::from(["jobId", "type", "status"]);
        bench.equal("JOB-005", "the members", allowed, names);
    }
    Ok(())
}

async fn content_type(bench: &mut Bench) -> Checked {
    let body = starting_in(bench, twin_job("deviceId = 'nobody'", &wave()), 3600).await?;
    let (id, answer) = created(bench, "JOB-001", &body).await?;
    let read = bench.call(Method::GET, &job_path(&id), IfMatch::Absent, None).await?;
    let path = "/jobs/v2/query?jobStatus=scheduled";
    let list = bench.call(Method::GET, path, IfMatch::Absent, None).await?;
    let cancelled = bench.cancel_job(&id).await?;
    for (what, answer) in
        [("PUT", answer), ("GET", read), ("the list", list), ("the cancellation", cancelled)]
    {
        let seen = answer.header("content-type").unwrap_or("none").to_ascii_lowercase();
        let holds = seen.starts_with("application/json") && seen.contains("utf-8");
        let allowed = format!("{what}: application/json; charset=utf-8");
        bench.demand("JOB-006", holds, allowed, format!("{what}: {seen}"));
    }
    Ok(())
}

async fn without_id(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &marked.wave()).await?;
    if demand_ok(bench, "JOB-007", &answer) {
        let job = completed(bench, "JOB-053", &id).await?;
        bench.equal_json("JOB-007", "jobId", &json!(id), at(&job, "/jobId"));
    }
    Ok(())
}

async fn null_call(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let body = with(marked.wave(), "cloudToDeviceMethod", Value::Null);
    let (id, answer) = created(bench, "JOB-008", &body).await?;
    if answer.status.is_success() {
        completed(bench, "JOB-053", &id).await?;
        marked.demand_wave(bench, "JOB-008", true).await?;
    }
    Ok(())
}

async fn null_patch(bench: &mut Bench) -> Checked {
    let body =
        with(crate::bench::method_job("deviceId = 'nobody'", &go()), "updateTwin", Value::Null);
    let body = starting_in(bench, body, 3600).await?;
    created(bench, "JOB-008", &body).await.map(drop)
}

async fn as_sdks_do(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let version = connection.reported(&json!({ "ready": true })).await?;
    let update = json!({
        "deviceId": null,
        "version": null,
        "etag": "*",
        "tags": { "wave": 7 },
        "properties": { "desired": { "rate": 5 }, "reported": {} },
    });
    let (id, answer) = created(bench, "JOB-009", &twin_job(&marked.condition(), &update)).await?;
    if !answer.status.is_success() {
        return Ok(());
    }
    completed(bench, "JOB-053", &id).await?;
    let twin = connection.twin().await?;
    bench.equal_json("JOB-009", "desired rate", &json!(5), at(&twin, "/desired/rate"));
    let seen = (at(&twin, "/reported/ready"), at(&twin, "/reported/$version"));
    let allowed = (&json!(true), &json!(version));
    bench.equal("JOB-009", "reported ready and $version", allowed, seen);
    bench.equal("JOB-096", "reported ready and $version", allowed, seen);
    Ok(())
}

async fn longest_id(bench: &mut Bench) -> Checked {
    let unique = bench.new_job_id();
    let filler = "Az-09";
    let id: String = format!("{unique}-{}", filler.repeat(64)).chars().take(64).collect();
    bench.cancel_later(&id);
    demand_kept(bench, &id).await
}

async fn odd_ids(bench: &mut Bench) -> Checked {
    let unique = bench.new_job_id();
    for id in [format!("-{unique}-"), format!("7{unique}--Q"), format!("Q{unique}9")] {
        bench.cancel_later(&id);
        demand_kept(bench, &id).await?;
    }
    Ok(())
}

async fn demand_kept(bench: &mut Bench, id: &str) -> Checked {
    let body = starting_in(bench, twin_job("deviceId = 'nobody'", &wave()), 3600).await?;
    let answer = bench.create_job(id, &with(body, "jobId", id)).await?;
    if demand_ok(bench, "JOB-017", &answer) {
        let job = bench.read_job(id).await?;
        bench.equal_json("JOB-017", "jobId", &json!(id), at(&job, "/jobId"));
    }
    Ok(())
}

async fn start_absent(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&without(marked.wave(), "startTime")).await?;
    completed(bench, "JOB-019", &id).await?;
    marked.demand_wave(bench, "JOB-019", true).await
}

async fn start_just_past(bench: &mut Bench) -> Checked {
    demand_past_start(bench, 10).await
}

async fn start_a_minute_past(bench: &mut Bench) -> Checked {
    demand_past_start(bench, 55).await
}

async fn demand_past_start(bench: &mut Bench, seconds: u64) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let body = started_ago(bench, marked.wave(), seconds).await?;
    let (id, answer) = created(bench, "JOB-020", &body).await?;
    if answer.status.is_success() {
        completed(bench, "JOB-020", &id).await?;
        marked.demand_wave(bench, "JOB-020", true).await?;
    }
    Ok(())
}

async fn everybody(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 3).await?;
    let (id, answer) = created(bench, "JOB-023", &twin_job("*", &wave())).await?;
    if answer.status.is_success() {
        completed(bench, "JOB-023", &id).await?;
        marked.demand_wave(bench, "JOB-023", true).await?;
    }
    Ok(())
}
