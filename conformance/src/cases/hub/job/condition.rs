//! Conditions that cannot select anybody, and payloads that are too large (JOB-024 to -028).

use serde_json::{Value, json};

use super::tools::{Marked, demand_ok, demand_refused, ended, go, starting_in, with, without};
use crate::bench::{Bench, method_job, twin_job};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "job-condition-missing",
        title: "A job without a condition changes no device",
        requirements: &["JOB-024"],
        needs: &[],
        run: body!(missing),
    },
    Case {
        id: "job-condition-empty",
        title: "A job whose condition is empty or null changes no device",
        requirements: &["JOB-024"],
        needs: &[],
        run: body!(empty),
    },
    Case {
        id: "job-condition-whole-query",
        title: "A condition that is a whole query is accepted and fails the job later",
        requirements: &["JOB-025", "JOB-027"],
        needs: &[],
        run: body!(whole_query),
    },
    Case {
        id: "job-condition-garbage",
        title: "A condition that breaks the grammar is accepted and fails the job later",
        requirements: &["JOB-025", "JOB-027"],
        needs: &[],
        run: body!(garbage),
    },
    Case {
        id: "job-condition-half",
        title: "A condition that is right up to its last word changes no device",
        requirements: &["JOB-027"],
        needs: &[],
        run: body!(half),
    },
    Case {
        id: "job-condition-too-long",
        title: "A condition of more than 8192 characters is refused, or fails the job",
        requirements: &["JOB-026"],
        needs: &[],
        run: body!(too_long),
    },
    Case {
        id: "job-payload-largest",
        title: "A method payload of 128 KB is accepted",
        requirements: &["JOB-028"],
        needs: &[],
        run: body!(payload_largest),
    },
    Case {
        id: "job-payload-too-large",
        title: "A method payload of one byte more than 128 KB is refused",
        requirements: &["JOB-028"],
        needs: &[],
        run: body!(payload_too_large),
    },
];

async fn missing(bench: &mut Bench) -> Checked {
    demand_no_change(bench, |body| without(body, "queryCondition")).await
}

async fn empty(bench: &mut Bench) -> Checked {
    demand_no_change(bench, |body| with(body, "queryCondition", "")).await?;
    demand_no_change(bench, |body| with(body, "queryCondition", Value::Null)).await
}

/// A job without a condition is refused or fails, and no device is changed.
async fn demand_no_change(bench: &mut Bench, edit: impl Fn(Value) -> Value) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &edit(marked.wave())).await?;
    if answer.status.is_success() {
        let history = ended(bench, "JOB-024", &id).await?;
        bench.equal("JOB-024", "the status", "failed", history.status());
    } else {
        demand_refused(bench, "JOB-024", &answer);
    }
    marked.demand_wave(bench, "JOB-024", false).await
}

async fn whole_query(bench: &mut Bench) -> Checked {
    demand_failed(bench, "SELECT * FROM devices").await
}

async fn garbage(bench: &mut Bench) -> Checked {
    demand_failed(bench, "tags.mark == == 'x'").await
}

async fn demand_failed(bench: &mut Bench, condition: &str) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let body = with(marked.wave(), "queryCondition", condition);
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &body).await?;
    if demand_ok(bench, "JOB-025", &answer) {
        let history = ended(bench, "JOB-025", &id).await?;
        let reason = history.last().get("failureReason").and_then(Value::as_str);
        let holds = history.status() == "failed" && reason.is_some_and(|text| !text.is_empty());
        let allowed = "status failed with a failureReason";
        bench.demand("JOB-025", holds, allowed, history.last().to_string());
    }
    marked.demand_wave(bench, "JOB-027", false).await
}

async fn half(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let condition = format!("{} AND", marked.condition());
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &with(marked.wave(), "queryCondition", condition)).await?;
    if answer.status.is_success() {
        ended(bench, "JOB-027", &id).await?;
    }
    marked.demand_wave(bench, "JOB-027", false).await
}

async fn too_long(bench: &mut Bench) -> Checked {
    let ids: Vec<String> = (0..1000).map(|n| format!("'nobody-{n:04}'")).collect();
    let long = format!("deviceId IN [{}]", ids.join(","));
    let short = format!("deviceId IN [{}]", ids.get(..100).unwrap_or_default().join(","));
    let update = json!({ "etag": "*", "tags": { "wave": 7 } });
    let body = starting_in(bench, twin_job(&short, &update), 3600).await?;
    bench.start_job(&body).await?;
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &twin_job(&long, &update)).await?;
    if answer.status.is_success() {
        let history = ended(bench, "JOB-026", &id).await?;
        bench.equal("JOB-026", "the status", "failed", history.status());
    } else {
        demand_refused(bench, "JOB-026", &answer);
    }
    Ok(())
}

/// A method job for nobody whose payload has so many bytes.
fn with_payload(bytes: usize) -> Value {
    // Two of the bytes are quotes.
    let payload = "x".repeat(bytes - 2);
    method_job("deviceId = 'nobody'", &with(go(), "payload", payload))
}

/// Bytes of the largest payload (quotas page).
const PAYLOAD_MAX: usize = 131_072;

async fn payload_largest(bench: &mut Bench) -> Checked {
    let body = starting_in(bench, with_payload(PAYLOAD_MAX), 3600).await?;
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &body).await?;
    demand_ok(bench, "JOB-028", &answer);
    Ok(())
}

async fn payload_too_large(bench: &mut Bench) -> Checked {
    let id = bench.new_job_id();
    let body = starting_in(bench, with_payload(PAYLOAD_MAX), 3600).await?;
    let answer = bench.create_job(&id, &body).await?;
    demand_ok(bench, "JOB-028", &answer);
    let body = starting_in(bench, with_payload(PAYLOAD_MAX + 1), 3600).await?;
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, &body).await?;
    demand_refused(bench, "JOB-028", &answer);
    Ok(())
}
