//! Jobs that are called off (JOB-054 to -061, -064).

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::tools::{
    Marked, at, completed, demand_error, demand_not_called, demand_ok, demand_refused, ended,
    error_name, judge, running, serve, starting_in, wave, with,
};
use crate::bench::{Bench, IfMatch, JobHistory, job_path, status, twin_job};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "job-cancel-scheduled-twin",
        title: "A twin job that waits is cancelled",
        requirements: &["JOB-054", "JOB-055"],
        needs: &[],
        run: body!(scheduled_twin),
    },
    Case {
        id: "job-cancel-scheduled-method",
        title: "A method job that waits is cancelled",
        requirements: &["JOB-054", "JOB-055"],
        needs: &[],
        run: body!(scheduled_method),
    },
    Case {
        id: "job-cancel-right-away",
        title: "A job is cancelled right after its creation",
        requirements: &["JOB-054"],
        needs: &[],
        run: body!(right_away),
    },
    Case {
        id: "job-cancel-for-good",
        title: "A cancelled job stays cancelled when its start comes",
        requirements: &["JOB-050", "JOB-055"],
        needs: &[Need::Clock],
        run: body!(for_good),
    },
    Case {
        id: "job-cancel-twin-untouched",
        title: "A cancelled twin job changes nothing when its start comes",
        requirements: &["JOB-056"],
        needs: &[Need::Clock],
        run: body!(twin_untouched),
    },
    Case {
        id: "job-cancel-method-not-called",
        title: "A cancelled method job calls nobody when its start comes",
        requirements: &["JOB-056"],
        needs: &[Need::Clock],
        run: body!(method_not_called),
    },
    Case {
        id: "job-cancel-bodies",
        title: "A job is cancelled with an empty body and with an empty object",
        requirements: &["JOB-057"],
        needs: &[],
        run: body!(bodies),
    },
    Case {
        id: "job-cancel-running",
        title: "A job that runs cannot be cancelled and goes on",
        requirements: &["JOB-058"],
        needs: &[],
        run: body!(cancel_running),
    },
    Case {
        id: "job-cancel-completed",
        title: "A completed job cannot be cancelled and stays as it is",
        requirements: &["JOB-059"],
        needs: &[],
        run: body!(cancel_completed),
    },
    Case {
        id: "job-cancel-failed",
        title: "A failed job cannot be cancelled and stays as it is",
        requirements: &["JOB-059"],
        needs: &[],
        run: body!(cancel_failed),
    },
    Case {
        id: "job-cancel-twice",
        title: "A cancelled job cannot be cancelled again and stays as it is",
        requirements: &["JOB-059"],
        needs: &[],
        run: body!(twice),
    },
    Case {
        id: "job-cancel-unknown",
        title: "A job that nobody created cannot be cancelled",
        requirements: &["JOB-060"],
        needs: &[],
        run: body!(unknown),
    },
    Case {
        id: "job-cancel-without-id",
        title: "Without an id there is nothing to cancel",
        requirements: &["JOB-061"],
        needs: &[],
        run: body!(without_id),
    },
    Case {
        id: "job-one-at-a-time",
        title: "While as many jobs run as the tier allows, another one is refused",
        requirements: &["JOB-064"],
        needs: &[Need::OneJob],
        run: body!(one_at_a_time),
    },
];

async fn scheduled_twin(bench: &mut Bench) -> Checked {
    let marked = nobody();
    demand_cancelled(bench, marked.wave()).await
}

async fn scheduled_method(bench: &mut Bench) -> Checked {
    let marked = nobody();
    demand_cancelled(bench, marked.go()).await
}

/// A mark that no device has.
fn nobody() -> Marked {
    Marked { mark: "nobody".to_owned(), devices: Vec::new() }
}

async fn demand_cancelled(bench: &mut Bench, body: Value) -> Checked {
    let id = bench.start_job(&starting_in(bench, body, 3600).await?).await?;
    let mut history = bench.watch_job(&id, |job| status(job) == "scheduled").await?;
    let answer = bench.cancel_job(&id).await?;
    demand_ok(bench, "JOB-054", &answer);
    let seen = answer.json();
    bench.equal_json("JOB-054", "jobId in the answer", &json!(id), at(&seen, "/jobId"));
    bench.equal("JOB-055", "the status in the answer", "cancelled", status(&seen));
    history.readings.push(bench.read_job(&id).await?);
    judge(bench, &history);
    let is_over = ["cancelled", "canceled"].contains(&history.status());
    bench.demand("JOB-054", is_over, "a cancelled job", history.last().to_string());
    bench.equal("JOB-055", "the status", "cancelled", history.status());
    Ok(())
}

async fn right_away(bench: &mut Bench) -> Checked {
    let id = bench.start_job(&starting_in(bench, nobody().wave(), 3600).await?).await?;
    let answer = bench.cancel_job(&id).await?;
    demand_ok(bench, "JOB-054", &answer);
    let history = ended(bench, "JOB-054", &id).await?;
    bench.equal("JOB-054", "the status", "cancelled", history.status());
    Ok(())
}

/// A job that was cancelled 30 s before its start, after the start has passed.
async fn outlived(bench: &mut Bench, body: Value) -> Checked<JobHistory> {
    let id = bench.start_job(&starting_in(bench, body, 30).await?).await?;
    let mut history = bench.watch_job(&id, |job| status(job) == "scheduled").await?;
    let answer = bench.cancel_job(&id).await?;
    demand_ok(bench, "JOB-054", &answer);
    bench.advance(Duration::from_secs(90)).await?;
    history.readings.extend(ended(bench, "JOB-054", &id).await?.readings);
    judge(bench, &history);
    Ok(history)
}

async fn for_good(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let history = outlived(bench, marked.wave()).await?;
    bench.equal("JOB-055", "the status", "cancelled", history.status());
    Ok(())
}

async fn twin_untouched(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    outlived(bench, marked.wave()).await?;
    marked.demand_wave(bench, "JOB-056", false).await?;
    // The same job without a cancellation would have done it.
    let id = bench.start_job(&starting_in(bench, marked.wave(), 30).await?).await?;
    bench.advance(Duration::from_secs(90)).await?;
    completed(bench, "JOB-053", &id).await?;
    marked.demand_wave(bench, "JOB-053", true).await
}

async fn method_not_called(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    outlived(bench, marked.go()).await?;
    demand_not_called(bench, "JOB-056", &device, &mut connection).await
}

async fn bodies(bench: &mut Bench) -> Checked {
    for text in ["", "{}"] {
        let id = bench.start_job(&starting_in(bench, nobody().wave(), 3600).await?).await?;
        let path = format!("{}/cancel", job_path(&id));
        let body = Some(Bytes::from(text));
        let answer = bench.call_raw(Method::POST, &path, IfMatch::Absent, body).await?;
        let job = bench.read_job(&id).await?;
        let holds = answer.status.as_u16() == 200 && status(&job) == "cancelled";
        bench.demand("JOB-057", holds, format!("cancelled with body {text:?}"), answer.to_string());
    }
    Ok(())
}

async fn cancel_running(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let id = bench.start_job(&marked.go()).await?;
    let mut history = running(bench, "JOB-053", &id).await?;
    let answer = bench.cancel_job(&id).await?;
    demand_refused(bench, "JOB-058", &answer);
    let name = error_name(&answer);
    let is_named = name.as_deref().is_none_or(|name| name == "OperationNotAllowedInCurrentState");
    let allowed = "OperationNotAllowedInCurrentState, where an error is named";
    bench.demand("JOB-058", is_named, allowed, answer.to_string());
    history.readings.push(bench.read_job(&id).await?);
    bench.equal("JOB-058", "the status", "running", history.status());
    let mut connection = bench.connect_for_methods(&device).await?;
    serve(bench, "JOB-058", &mut connection, (200, "null")).await?;
    history.readings.extend(ended(bench, "JOB-058", &id).await?.readings);
    judge(bench, &history);
    bench.equal("JOB-058", "the status in the end", "completed", history.status());
    Ok(())
}

async fn cancel_completed(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    demand_unmoved(bench, &id).await
}

async fn cancel_failed(bench: &mut Bench) -> Checked {
    let id = bench.start_job(&twin_job("SELECT * FROM devices", &wave())).await?;
    ended(bench, "JOB-025", &id).await?;
    demand_unmoved(bench, &id).await
}

async fn twice(bench: &mut Bench) -> Checked {
    let id = bench.start_job(&starting_in(bench, nobody().wave(), 3600).await?).await?;
    let answer = bench.cancel_job(&id).await?;
    demand_ok(bench, "JOB-054", &answer);
    demand_unmoved(bench, &id).await
}

/// Cancels a job that has ended.
async fn demand_unmoved(bench: &mut Bench, id: &str) -> Checked {
    let before = bench.read_job(id).await?;
    let answer = bench.cancel_job(id).await?;
    demand_refused(bench, "JOB-059", &answer);
    let after = bench.read_job(id).await?;
    bench.equal_json("JOB-059", "the job", &before, &after);
    Ok(())
}

async fn unknown(bench: &mut Bench) -> Checked {
    let id = bench.new_job_id();
    let answer = bench.cancel_job(&id).await?;
    demand_refused(bench, "JOB-060", &answer);
    let answer = bench.call(Method::GET, &job_path(&id), IfMatch::Absent, None).await?;
    demand_refused(bench, "JOB-060", &answer);
    Ok(())
}

async fn without_id(bench: &mut Bench) -> Checked {
    let answer = bench.call(Method::POST, "/jobs/v2//cancel", IfMatch::Absent, None).await?;
    bench.equal("JOB-061", "HTTP status", 405, answer.status.as_u16());
    Ok(())
}

async fn one_at_a_time(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let first = bench.start_job(&with(marked.go(), "maxExecutionTimeInSeconds", 600)).await?;
    running(bench, "JOB-053", &first).await?;
    let second = bench.new_job_id();
    let answer = bench.create_job(&second, &marked.go()).await?;
    demand_error(bench, "JOB-064", &answer, 429, "ThrottlingMaxActiveJobCountExceeded");
    let mut connection = bench.connect_for_methods(&device).await?;
    serve(bench, "JOB-077", &mut connection, (200, "null")).await?;
    completed(bench, "JOB-053", &first).await?;
    let answer = bench.create_job(&second, &marked.wave()).await?;
    demand_ok(bench, "JOB-064", &answer);
    Ok(())
}
