//! What a method job does on devices (JOB-077 to -081, -084, -094).

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::tools::{
    Marked, at, completed, counters, demand_not_called, ended, field, running, serve, with,
};
use crate::bench::{Bench, IfMatch, identity_path, method_job};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "job-method-called",
        title: "A method job calls each selected device once with name and payload",
        requirements: &["JOB-053", "JOB-077"],
        needs: &[],
        run: body!(called),
    },
    Case {
        id: "job-method-payload",
        title: "Payloads of every kind reach the device as they are",
        requirements: &["JOB-077"],
        needs: &[],
        run: body!(payload),
    },
    Case {
        id: "job-method-others-left",
        title: "A method job does not call a connected device that it does not select",
        requirements: &["JOB-077"],
        needs: &[],
        run: body!(others_left),
    },
    Case {
        id: "job-method-answer",
        title: "What the device answers is in the outcome of its row",
        requirements: &["JOB-078"],
        needs: &[],
        run: body!(answer),
    },
    Case {
        id: "job-method-answers-apart",
        title: "Each row has the answer of its own device",
        requirements: &["JOB-078"],
        needs: &[],
        run: body!(answers_apart),
    },
    Case {
        id: "job-method-answer-conflict",
        title: "A device that answers with status 409 has succeeded",
        requirements: &["JOB-079"],
        needs: &[],
        run: body!(answer_conflict),
    },
    Case {
        id: "job-method-answer-unimplemented",
        title: "A device that does not know the method has succeeded",
        requirements: &["JOB-079"],
        needs: &[],
        run: body!(answer_unimplemented),
    },
    Case {
        id: "job-method-absent",
        title: "A device that stays away until the end of the budget has failed",
        requirements: &["JOB-080"],
        needs: &[Need::Clock],
        run: body!(absent),
    },
    Case {
        id: "job-method-absent-one-of-two",
        title: "One device answers and one stays away: each row says so",
        requirements: &["JOB-063", "JOB-080"],
        needs: &[Need::Clock],
        run: body!(absent_one_of_two),
    },
    Case {
        id: "job-method-late",
        title: "A device that connects while the job runs is called",
        requirements: &["JOB-081"],
        needs: &[],
        run: body!(late),
    },
    Case {
        id: "job-method-late-listener",
        title: "A connected device that begins to listen while the job runs is called",
        requirements: &["JOB-081"],
        needs: &[],
        run: body!(late_listener),
    },
    Case {
        id: "job-method-late-by-minutes",
        title: "A device that connects shortly before the end of the budget is called",
        requirements: &["JOB-081"],
        needs: &[Need::Clock],
        run: body!(late_by_minutes),
    },
    Case {
        id: "job-method-silent",
        title: "A device that does not answer in time has failed",
        requirements: &["JOB-084"],
        needs: &[Need::Clock],
        run: body!(silent),
    },
    Case {
        id: "job-method-silent-then-late-answer",
        title: "An answer after the timeout changes nothing",
        requirements: &["JOB-050", "JOB-084"],
        needs: &[Need::Clock],
        run: body!(silent_then_late_answer),
    },
    Case {
        id: "job-method-deleted",
        title: "A device that is deleted while a job waits for it does not keep the job",
        requirements: &["JOB-094"],
        needs: &[Need::Clock],
        run: body!(deleted),
    },
];

async fn called(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let mut connections = Vec::new();
    for device in &marked.devices {
        connections.push((device, bench.connect_for_methods(device).await?));
    }
    let id = bench.start_job(&marked.go()).await?;
    for (_, connection) in &mut connections {
        let request = connection.method_request("JOB-077").await?;
        bench.equal("JOB-077", "the method", "go", request.name.as_str());
        demand_payload(bench, &json!({ "step": 3 }), &request.text());
        connection.respond(&request, 200, "null").await?;
    }
    completed(bench, "JOB-053", &id).await?;
    for (device, connection) in &mut connections {
        demand_not_called(bench, "JOB-077", device, connection).await?;
    }
    Ok(())
}

fn demand_payload(bench: &mut Bench, expected: &Value, text: &str) {
    let seen: Option<Value> = serde_json::from_str(text).ok();
    let holds = seen.as_ref() == Some(expected);
    bench.demand("JOB-077", holds, format!("payload {expected}"), text);
}

async fn payload(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    for payload in [json!(null), json!("now"), json!(4.5), json!([1, { "a": null }])] {
        let call = json!({ "methodName": "go", "payload": payload });
        let id = bench.start_job(&method_job(&marked.condition(), &call)).await?;
        let request = connection.method_request("JOB-077").await?;
        demand_payload(bench, &payload, &request.text());
        connection.respond(&request, 200, "null").await?;
        completed(bench, "JOB-053", &id).await?;
    }
    Ok(())
}

async fn others_left(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let other = bench.device().await?;
    let mut outsider = bench.connect_for_methods(&other).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let id = bench.start_job(&marked.go()).await?;
    serve(bench, "JOB-077", &mut connection, (200, "null")).await?;
    completed(bench, "JOB-053", &id).await?;
    demand_not_called(bench, "JOB-077", &other, &mut outsider).await
}

/// The row of a device, once its job has ended.
async fn row(bench: &mut Bench, id: &str, device: &str) -> Checked<Value> {
    let is_ended =
        |row: &Value| *at(row, "/status") == "completed" || *at(row, "/status") == "failed";
    let of_device = |row: &&Value| *at(row, "/deviceId") == device;
    let rows = bench.watch_rows(id, |rows| rows.iter().find(of_device).is_some_and(is_ended));
    Ok(rows.await?.iter().find(of_device).cloned().unwrap_or_default())
}

/// Runs a job on one device, which answers with `reply`; the job and the row.
async fn answered(bench: &mut Bench, reply: (i64, &str)) -> Checked<(Value, Value)> {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let id = bench.start_job(&marked.go()).await?;
    serve(bench, "JOB-077", &mut connection, reply).await?;
    let history = ended(bench, "JOB-053", &id).await?;
    let row = row(bench, &id, &device.identity.device).await?;
    Ok((history.last().clone(), row))
}

async fn answer(bench: &mut Bench) -> Checked {
    let (_, row) = answered(bench, (207, r#"{"done":[1,2],"by":null}"#)).await?;
    let allowed = json!({ "status": 207, "payload": { "done": [1, 2], "by": null } });
    demand_answer(bench, &allowed, &row);
    Ok(())
}

/// Demands what a device has answered.
fn demand_answer(bench: &mut Bench, allowed: &Value, row: &Value) {
    let seen = at(row, "/outcome/deviceMethodResponse");
    for member in ["status", "payload"] {
        let what = format!("outcome.deviceMethodResponse.{member}");
        let shown = seen.get(member);
        let holds = shown == allowed.get(member);
        bench.demand(
            "JOB-078",
            holds,
            format!("{what} {}", *field(allowed, member)),
            row.to_string(),
        );
    }
}

async fn answers_apart(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let mut connections = Vec::new();
    for device in &marked.devices {
        connections.push(bench.connect_for_methods(device).await?);
    }
    let id = bench.start_job(&marked.go()).await?;
    for (connection, status) in connections.iter_mut().zip([201, 202]) {
        // A text, although there is JSON in it.
        let text = json!(format!("{{\"from\":{status}}}")).to_string();
        serve(bench, "JOB-077", connection, (status, &text)).await?;
    }
    completed(bench, "JOB-053", &id).await?;
    for (device, status) in marked.devices.iter().zip([201, 202]) {
        let row = row(bench, &id, &device.identity.device).await?;
        let allowed = json!({ "status": status, "payload": format!("{{\"from\":{status}}}") });
        demand_answer(bench, &allowed, &row);
    }
    Ok(())
}

async fn answer_conflict(bench: &mut Bench) -> Checked {
    demand_succeeded(bench, (409, r#"{"why":"valve stuck"}"#)).await
}

async fn answer_unimplemented(bench: &mut Bench) -> Checked {
    demand_succeeded(bench, (501, "null")).await
}

async fn demand_succeeded(bench: &mut Bench, reply: (i64, &str)) -> Checked {
    let (job, row) = answered(bench, reply).await?;
    bench.equal_json("JOB-079", "the status of the row", &json!("completed"), at(&row, "/status"));
    let status = at(&row, "/outcome/deviceMethodResponse/status");
    bench.equal_json("JOB-079", "the status of the answer", &json!(reply.0), status);
    let counts = counters(&job).map_or((1, 0), |counters| (counters.succeeded, counters.failed));
    bench.equal("JOB-079", "succeededCount and failedCount", (1, 0), counts);
    Ok(())
}

/// A row that failed for want of its device.
fn demand_unreached(bench: &mut Bench, row: &Value) {
    let holds =
        *at(row, "/status") == "failed" && *at(row, "/error/code") == "JobRunPreconditionFailed";
    let allowed = "status failed with error.code JobRunPreconditionFailed";
    bench.demand("JOB-080", holds, allowed, row.to_string());
}

async fn absent(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let id = bench.start_job(&with(marked.go(), "maxExecutionTimeInSeconds", 30)).await?;
    running(bench, "JOB-053", &id).await?;
    let before = bench.job_rows(&id).await?;
    let is_open =
        before.iter().all(|row| *at(row, "/status") != "failed" && at(row, "/error").is_null());
    bench.demand("JOB-080", is_open, "no failed row before the end", format!("{before:?}"));
    bench.advance(Duration::from_secs(35)).await?;
    ended(bench, "JOB-062", &id).await?;
    let row = row(bench, &id, &device.identity.device).await?;
    demand_unreached(bench, &row);
    Ok(())
}

async fn absent_one_of_two(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let [here, away] = marked.devices.as_slice() else { return Ok(()) };
    let mut connection = bench.connect_for_methods(here).await?;
    let id = bench.start_job(&with(marked.go(), "maxExecutionTimeInSeconds", 30)).await?;
    serve(bench, "JOB-077", &mut connection, (200, "null")).await?;
    running(bench, "JOB-053", &id).await?;
    bench.advance(Duration::from_secs(35)).await?;
    let history = ended(bench, "JOB-062", &id).await?;
    bench.equal("JOB-063", "the status", "completed", history.status());
    let counts = counters(history.last()).map(|counters| (counters.succeeded, counters.failed));
    bench.equal("JOB-063", "succeededCount and failedCount", Some((1, 1)), counts);
    let done = row(bench, &id, &here.identity.device).await?;
    bench.equal_json("JOB-080", "the other row", &json!("completed"), at(&done, "/status"));
    let failed = row(bench, &id, &away.identity.device).await?;
    demand_unreached(bench, &failed);
    Ok(())
}

async fn late(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let id = bench.start_job(&marked.go()).await?;
    running(bench, "JOB-053", &id).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    serve(bench, "JOB-081", &mut connection, (200, "null")).await?;
    completed(bench, "JOB-081", &id).await.map(drop)
}

async fn late_listener(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let id = bench.start_job(&marked.go()).await?;
    running(bench, "JOB-053", &id).await?;
    let methods = twinspec_model::wire::topic::Filter::Methods { name: None };
    connection.subscribe(&methods, twinspec_model::wire::mqtt::Qos::AtMostOnce).await?;
    serve(bench, "JOB-081", &mut connection, (200, "null")).await?;
    completed(bench, "JOB-081", &id).await.map(drop)
}

async fn late_by_minutes(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let id = bench.start_job(&marked.go()).await?;
    running(bench, "JOB-053", &id).await?;
    bench.advance(Duration::from_secs(280)).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    serve(bench, "JOB-081", &mut connection, (200, "null")).await?;
    let job = completed(bench, "JOB-081", &id).await?;
    let counts = counters(&job).map_or((1, 0), |counters| (counters.succeeded, counters.failed));
    bench.equal("JOB-081", "succeededCount and failedCount", (1, 0), counts);
    Ok(())
}

/// A job for a device that has taken the call and does not answer within the 10 s it has.
async fn unanswered(
    bench: &mut Bench,
) -> Checked<(String, crate::bench::Connection, crate::bench::MethodRequest, Value)> {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let call = with(super::tools::go(), "responseTimeoutInSeconds", 10);
    let id = bench.start_job(&method_job(&marked.condition(), &call)).await?;
    let request = connection.method_request("JOB-077").await?;
    bench.advance(Duration::from_secs(5)).await?;
    running(bench, "JOB-084", &id).await?;
    bench.advance(Duration::from_secs(10)).await?;
    ended(bench, "JOB-084", &id).await?;
    let row = row(bench, &id, &device.identity.device).await?;
    Ok((id, connection, request, row))
}

async fn silent(bench: &mut Bench) -> Checked {
    let (_, _, _, row) = unanswered(bench).await?;
    let code = at(&row, "/error/code").as_str().unwrap_or_default();
    let holds = *at(&row, "/status") == "failed" && !code.is_empty();
    bench.demand("JOB-084", holds, "status failed with an error.code", row.to_string());
    Ok(())
}

async fn silent_then_late_answer(bench: &mut Bench) -> Checked {
    let (id, mut connection, request, before) = unanswered(bench).await?;
    connection.respond(&request, 200, "null").await?;
    // The hub has read the answer once it has answered a later packet.
    connection.is_open().await?;
    let history = ended(bench, "JOB-084", &id).await?;
    bench.equal("JOB-050", "the status", "completed", history.status());
    let rows = bench.job_rows(&id).await?;
    bench.equal("JOB-084", "the rows", vec![before], rows);
    Ok(())
}

async fn deleted(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let id = bench.start_job(&with(marked.go(), "maxExecutionTimeInSeconds", 30)).await?;
    running(bench, "JOB-053", &id).await?;
    let path = identity_path(&device.identity);
    let answer = bench.call(Method::DELETE, &path, IfMatch::Any, None).await?;
    bench.demand("HUB-REG-011", answer.status.is_success(), "HTTP 204", answer.to_string());
    bench.advance(Duration::from_secs(35)).await?;
    let history = ended(bench, "JOB-094", &id).await?;
    let is_over = ["completed", "failed"].contains(&history.status());
    bench.demand("JOB-094", is_over, "completed or failed", history.last().to_string());
    Ok(())
}
