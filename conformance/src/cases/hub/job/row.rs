//! The rows of a job's devices (JOB-085 to -089, -095) and its counters (JOB-090 to -092).

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use twinspec_model::time::Time;

use super::tools::{Marked, at, completed, counters, ended, field, running, serve, with};
use crate::bench::{Bench, IfMatch, status};
use crate::body;
use crate::case::{Case, Need};
use crate::cases::hub::query::fleet::{devices, settled};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "job-rows-of-twin-job",
        title: "A twin job has a row for each of its devices and no other",
        requirements: &["JOB-085"],
        needs: &[],
        run: body!(of_twin_job),
    },
    Case {
        id: "job-rows-of-method-job",
        title: "A method job has a row for each of its devices, whether they are there or not",
        requirements: &["JOB-085"],
        needs: &[],
        run: body!(of_method_job),
    },
    Case {
        id: "job-rows-apart",
        title: "Two jobs on the same devices have rows of their own",
        requirements: &["JOB-085"],
        needs: &[],
        run: body!(apart),
    },
    Case {
        id: "job-row-members-twin",
        title: "A row of a twin job has ids, type, status and four times",
        requirements: &["JOB-086", "JOB-088"],
        needs: &[],
        run: body!(members_twin),
    },
    Case {
        id: "job-row-members-method",
        title: "A row of a method job has ids, type, status and four times",
        requirements: &["JOB-086", "JOB-088"],
        needs: &[],
        run: body!(members_method),
    },
    Case {
        id: "job-row-deadline",
        title: "The endTimeUtc of a row is the end of the budget, however early it is done",
        requirements: &["JOB-087"],
        needs: &[],
        run: body!(deadline),
    },
    Case {
        id: "job-row-deadline-absent",
        title: "The endTimeUtc of a device that stayed away is the end of the budget",
        requirements: &["JOB-087"],
        needs: &[Need::Clock],
        run: body!(deadline_absent),
    },
    Case {
        id: "job-row-statuses",
        title: "Rows show known statuses before and after the end of their job",
        requirements: &["JOB-088"],
        needs: &[Need::Clock],
        run: body!(statuses),
    },
    Case {
        id: "job-row-twin-outcome",
        title: "The row of a twin job has no method answer in its outcome",
        requirements: &["JOB-089"],
        needs: &[],
        run: body!(twin_outcome),
    },
    Case {
        id: "job-row-not-in-twins",
        title: "Twins do not show the jobs of their device",
        requirements: &["JOB-095"],
        needs: &[],
        run: body!(not_in_twins),
    },
    Case {
        id: "job-counters-twin",
        title: "A completed twin job counts each of its devices",
        requirements: &["JOB-090", "JOB-091", "JOB-092"],
        needs: &[],
        run: body!(counters_twin),
    },
    Case {
        id: "job-counters-method",
        title: "A completed method job counts each of its devices",
        requirements: &["JOB-090", "JOB-091"],
        needs: &[],
        run: body!(counters_method),
    },
    Case {
        id: "job-counters-running",
        title: "The counters of a job add up while devices are at different stages",
        requirements: &["JOB-092"],
        needs: &[],
        run: body!(counters_running),
    },
    Case {
        id: "job-transfer-list",
        title: "The list of import and export jobs is an array",
        requirements: &["JOB-100"],
        needs: &[],
        run: body!(transfer_list),
    },
];

/// Demands that the rows of a job are those of its devices.
async fn demand_rows(bench: &mut Bench, id: &str, marked: &Marked) -> Checked<Vec<Value>> {
    let ids = |rows: &[Value]| -> Vec<String> {
        rows.iter().filter_map(|row| at(row, "/deviceId").as_str().map(str::to_owned)).collect()
    };
    let expected: Vec<String> = marked.ids().into_iter().map(str::to_owned).collect();
    let rows = bench.watch_rows(id, |rows| ids(rows) == expected).await?;
    bench.equal("JOB-085", "devices of the rows", expected, ids(&rows));
    Ok(rows)
}

/// The rows of a job of which all are done.
async fn done_rows(bench: &mut Bench, id: &str) -> Checked<Vec<Value>> {
    let is_done = |row: &Value| ["completed", "failed"].contains(&status(row));
    let all_done = |rows: &[Value]| !rows.is_empty() && rows.iter().all(is_done);
    let rows = bench.watch_rows(id, all_done).await?;
    if rows.is_empty() {
        return Err(Stop::Broken {
            requirement: "JOB-085",
            allowed: "a row for each target of the job".to_owned(),
            seen: "no rows".to_owned(),
        });
    }
    Ok(rows)
}

async fn of_twin_job(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 3).await?;
    bench.device().await?;
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    demand_rows(bench, &id, &marked).await.map(drop)
}

async fn of_method_job(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let [here, late] = marked.devices.as_slice() else { return Ok(()) };
    let mut connection = bench.connect_for_methods(here).await?;
    let id = bench.start_job(&marked.go()).await?;
    serve(bench, "JOB-077", &mut connection, (200, "null")).await?;
    demand_rows(bench, &id, &marked).await?;
    let mut connection = bench.connect_for_methods(late).await?;
    serve(bench, "JOB-081", &mut connection, (200, "null")).await?;
    completed(bench, "JOB-053", &id).await.map(drop)
}

async fn apart(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let first = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &first).await?;
    let second = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &second).await?;
    for id in [&first, &second] {
        for row in demand_rows(bench, id, &marked).await? {
            bench.equal_json("JOB-085", "jobId", &json!(id), at(&row, "/jobId"));
        }
    }
    Ok(())
}

async fn members_twin(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    demand_members(bench, &id, "scheduleUpdateTwin", &marked).await
}

async fn members_method(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let id = bench.start_job(&marked.go()).await?;
    serve(bench, "JOB-077", &mut connection, (200, "null")).await?;
    completed(bench, "JOB-053", &id).await?;
    demand_members(bench, &id, "scheduleDeviceMethod", &marked).await
}

async fn demand_members(bench: &mut Bench, id: &str, job_type: &str, marked: &Marked) -> Checked {
    let rows = done_rows(bench, id).await?;
    bench.equal("JOB-085", "rows", marked.devices.len(), rows.len());
    for (row, device) in rows.iter().zip(marked.ids()) {
        for (name, value) in [("deviceId", device), ("jobId", id), ("jobType", job_type)] {
            bench.equal_json("JOB-086", name, &json!(value), field(row, name));
        }
        for name in ["startTimeUtc", "endTimeUtc", "createdDateTimeUtc", "lastUpdatedDateTimeUtc"] {
            let holds = row_time(row, name).is_some();
            bench.demand("JOB-086", holds, format!("a time as {name}"), row.to_string());
        }
        bench.equal_json("JOB-086", "status", &json!("completed"), at(row, "/status"));
        bench.equal_json("JOB-088", "status", &json!("completed"), at(row, "/status"));
    }
    Ok(())
}

/// A time of a row; one without a zone is in UTC, as in a documented sample (jobs.md § 7.2).
fn row_time(row: &Value, member: &str) -> Option<Time> {
    let text = row.get(member)?.as_str()?;
    Time::parse(text).or_else(|| Time::parse(&format!("{text}Z")))
}

async fn deadline(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let id = bench.start_job(&with(marked.wave(), "maxExecutionTimeInSeconds", 120)).await?;
    completed(bench, "JOB-053", &id).await?;
    demand_deadline(bench, &id, 120).await
}

async fn deadline_absent(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&with(marked.go(), "maxExecutionTimeInSeconds", 30)).await?;
    running(bench, "JOB-053", &id).await?;
    bench.advance(Duration::from_secs(35)).await?;
    ended(bench, "JOB-062", &id).await?;
    demand_deadline(bench, &id, 30).await
}

async fn demand_deadline(bench: &mut Bench, id: &str, seconds: u64) -> Checked {
    for row in done_rows(bench, id).await? {
        let (start, end) = (row_time(&row, "startTimeUtc"), row_time(&row, "endTimeUtc"));
        let expected = start.map(|start| start.after(Duration::from_secs(seconds)));
        let holds = end.is_some() && end == expected;
        let allowed = format!("endTimeUtc {seconds} s after startTimeUtc");
        bench.demand("JOB-087", holds, allowed, row.to_string());
    }
    Ok(())
}

async fn statuses(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 3).await?;
    let [done, silent, _] = marked.devices.as_slice() else { return Ok(()) };
    let mut quick = bench.connect_for_methods(done).await?;
    let mut slow = bench.connect_for_methods(silent).await?;
    let id = bench.start_job(&with(marked.go(), "maxExecutionTimeInSeconds", 60)).await?;
    serve(bench, "JOB-077", &mut quick, (200, "null")).await?;
    slow.method_request("JOB-077").await?;
    let rows = bench.watch_rows(&id, |rows| rows.iter().any(|r| status(r) == "completed")).await?;
    demand_statuses(bench, &rows);
    bench.advance(Duration::from_secs(65)).await?;
    ended(bench, "JOB-062", &id).await?;
    let rows = done_rows(bench, &id).await?;
    demand_statuses(bench, &rows);
    let seen: Vec<&str> = rows.iter().map(status).collect();
    bench.equal("JOB-088", "the statuses", vec!["completed", "failed", "failed"], seen);
    Ok(())
}

fn demand_statuses(bench: &mut Bench, rows: &[Value]) {
    let known = ["pending", "scheduled", "running", "completed", "failed", "canceled", "cancelled"];
    for row in rows {
        bench.demand("JOB-088", known.contains(&status(row)), known.join(", "), row.to_string());
    }
}

async fn twin_outcome(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    for row in done_rows(bench, &id).await? {
        let allowed = [json!({}), json!({ "deviceMethodResponse": null })];
        let holds = row.get("outcome").is_some_and(|outcome| allowed.contains(outcome));
        bench.demand("JOB-089", holds, "outcome {} or without an answer", row.to_string());
        bench.equal_json("JOB-086", "status", &json!("completed"), at(&row, "/status"));
    }
    Ok(())
}

async fn not_in_twins(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    demand_rows(bench, &id, &marked).await?;
    let query = format!("SELECT * FROM devices WHERE {}", marked.condition());
    let answer = settled(bench, &query, |rows| devices(rows) == marked.ids()).await?;
    bench.equal("JOB-095", "devices", marked.ids(), devices(&answer.json()));
    for twin in answer.json().as_array().into_iter().flatten() {
        let has_jobs = twin.get("jobs").is_some() || at(twin, "/tags").get("jobs").is_some();
        bench.demand("JOB-095", !has_jobs, "a twin without jobs", twin.to_string());
    }
    Ok(())
}

/// Demands the counters of a completed job all of whose devices succeeded.
fn demand_counters(bench: &mut Bench, job: &Value, devices: i64) {
    let present = counters(job);
    bench.demand("JOB-091", present.is_some(), "deviceJobStatistics", job.to_string());
    let holds = present.is_none_or(|c| {
        let ends = (c.succeeded, c.failed, c.running, c.pending);
        c.devices == devices && ends == (devices, 0, 0, 0)
    });
    let allowed = format!("deviceCount and succeededCount {devices}, the others 0");
    bench.demand("JOB-090", holds, allowed, job.to_string());
}

async fn counters_twin(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 3).await?;
    let id = bench.start_job(&marked.wave()).await?;
    let job = completed(bench, "JOB-053", &id).await?;
    demand_counters(bench, &job, 3);
    Ok(())
}

async fn counters_method(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let id = bench.start_job(&marked.go()).await?;
    serve(bench, "JOB-077", &mut connection, (404, "null")).await?;
    let job = completed(bench, "JOB-053", &id).await?;
    demand_counters(bench, &job, 1);
    Ok(())
}

async fn counters_running(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 3).await?;
    let [done, slow, away] = marked.devices.as_slice() else { return Ok(()) };
    let mut quick = bench.connect_for_methods(done).await?;
    let mut slow = bench.connect_for_methods(slow).await?;
    let id = bench.start_job(&marked.go()).await?;
    serve(bench, "JOB-077", &mut quick, (200, "null")).await?;
    let request = slow.method_request("JOB-077").await?;
    // Each reading is judged.
    running(bench, "JOB-053", &id).await?;
    slow.respond(&request, 200, "null").await?;
    running(bench, "JOB-053", &id).await?;
    let mut last = bench.connect_for_methods(away).await?;
    serve(bench, "JOB-081", &mut last, (200, "null")).await?;
    let job = completed(bench, "JOB-053", &id).await?;
    let count = counters(&job).map_or(3, |counters| counters.devices);
    bench.equal("JOB-092", "deviceCount", 3, count);
    Ok(())
}

async fn transfer_list(bench: &mut Bench) -> Checked {
    let answer = bench.call(Method::GET, "/jobs", IfMatch::Absent, None).await?;
    let holds = answer.status.as_u16() == 200 && answer.json().is_array();
    bench.demand("JOB-100", holds, "200 with an array", answer.to_string());
    Ok(())
}
