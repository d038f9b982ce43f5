//! Defects of when jobs start and end, and of their cancellation.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Method, Response};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;

use super::super::registry::calls::{on_answer, refuse, set_path, succeed};
use super::tools::{
    Asked, asked, defect, id, is_error, number, on_answer_to, on_create, on_job, remove, set,
    set_number, set_status, showing, text,
};
use crate::mutants::Mutant;
use crate::mutants::overlay::{self, edit_json, on_exchange, on_request};

/// Mutants of this part.
pub(super) const TIME: &[Mutant] = &[
    defect!(
        "job-waiting-is-running",
        "A job that waits for its start is called running",
        ["JOB-051"],
        showing("scheduled", "running")
    ),
    defect!(
        "job-start-ignored",
        "Every job starts at once",
        ["JOB-051", "JOB-052"],
        on_create(|job| remove(job, "startTime"))
    ),
    defect!(
        "job-budget-tenfold",
        "A job has ten times its budget",
        ["JOB-062"],
        budget(|seconds| seconds.saturating_mul(10))
    ),
    defect!(
        "job-budget-half",
        "A job has half its budget",
        ["JOB-062"],
        budget(|seconds| seconds / 2)
    ),
    defect!(
        "job-all-failed-is-failed",
        "A job all of whose devices failed is failed",
        ["JOB-063"],
        on_job(|job| {
            let failed = number(job, "/deviceJobStatistics/failedCount");
            if failed > 0 && failed == number(job, "/deviceJobStatistics/deviceCount") {
                set_status(job, "failed");
            }
        })
    ),
    defect!(
        "job-failures-not-counted",
        "Devices that stayed away count as succeeded",
        ["JOB-063"],
        on_job(|job| {
            let devices = number(job, "/deviceJobStatistics/deviceCount");
            if text(job, "status") == "completed" {
                set_number(job, "/deviceJobStatistics/succeededCount", devices);
                set_number(job, "/deviceJobStatistics/failedCount", 0);
            }
        })
    ),
];

/// Gives each job another budget.
fn budget(change: fn(i64) -> i64) -> Box<dyn Overlay> {
    on_create(move |job| {
        let budget = change(number(job, "/maxExecutionTimeInSeconds"));
        set_number(job, "/maxExecutionTimeInSeconds", budget);
    })
}

/// Mutants of this part.
pub(super) const CANCEL: &[Mutant] = &[
    defect!(
        "job-cancel-202",
        "A cancellation is answered with 202",
        ["JOB-054"],
        on_answer_to(Asked::Cancel, |response| {
            if response.status().is_success() {
                overlay::set_status(response, 202);
            }
        })
    ),
    defect!(
        "job-cancel-forgotten",
        "A cancellation is answered and not carried out",
        ["JOB-054"],
        on_request(|request| {
            if asked(request) == Some(Asked::Cancel) {
                let path = format!("/jobs/v2/{}", id(request));
                *request.method_mut() = Method::GET;
                set_path(request, &path);
            }
        })
    ),
    defect!(
        "job-cancel-pretended",
        "A cancelled job is shown as cancelled and runs all the same",
        ["JOB-056"],
        on_exchange(
            BTreeSet::new(),
            |cancelled, request| {
                let what = asked(request)?;
                let job = id(request);
                if what == Asked::Cancel {
                    let path = format!("/jobs/v2/{job}");
                    *request.method_mut() = Method::GET;
                    set_path(request, &path);
                    cancelled.insert(job.clone());
                }
                cancelled.contains(&job).then_some(())
            },
            |_, (), response| edit_json(response.body_mut(), |job| set_status(job, "cancelled"))
        )
    ),
    defect!(
        "job-canceled-with-one-l",
        "The status of a cancelled job is spelt with one l",
        ["JOB-055"],
        on_answer(
            |request| matches!(asked(request), Some(Asked::Read | Asked::Cancel)),
            |response| {
                edit_json(response.body_mut(), |job| {
                    if text(job, "status") == "cancelled" {
                        set_status(job, "canceled");
                    }
                });
            }
        )
    ),
    defect!(
        "job-cancel-empty-body-refused",
        "A cancellation with an empty body is refused",
        ["JOB-057"],
        refusing_cancel(b"")
    ),
    defect!(
        "job-cancel-braces-refused",
        "A cancellation with an empty object is refused",
        ["JOB-057"],
        refusing_cancel(b"{}")
    ),
    defect!(
        "job-running-cancelled",
        "The cancellation of a running job is answered like any other",
        ["JOB-058"],
        on_answer_to(Asked::Cancel, |response| {
            if is_about_running(response) {
                succeed(response, &json!({ "status": "cancelled" }));
            }
        })
    ),
    defect!(
        "job-running-cancel-invalid",
        "The cancellation of a running job is an invalid argument",
        ["JOB-058"],
        on_answer_to(Asked::Cancel, |response| {
            if is_about_running(response) {
                refuse(response, 400, "ArgumentInvalid");
            }
        })
    ),
    defect!(
        "job-running-stopped",
        "A running job whose cancellation is refused is cancelled nevertheless",
        ["JOB-058"],
        marking(is_about_running, |job| set_status(job, "cancelled"))
    ),
    defect!(
        "job-ended-cancelled",
        "The cancellation of a job that has ended is answered like any other",
        ["JOB-059"],
        on_answer_to(Asked::Cancel, |response| {
            if is_about_ended(response) {
                succeed(response, &json!({ "status": "cancelled" }));
            }
        })
    ),
    defect!(
        "job-ended-changed",
        "A job that has ended has another end time once its cancellation was refused",
        ["JOB-059"],
        marking(is_about_ended, |job| set(job, "endTime", "2199-01-01T00:00:00Z"))
    ),
    defect!(
        "job-unknown-cancelled",
        "The cancellation of a job that does not exist is answered like any other",
        ["JOB-060"],
        on_answer_to(Asked::Cancel, |response| {
            if is_error(response, "JobNotFound") {
                succeed(response, &json!({ "status": "cancelled" }));
            }
        })
    ),
    defect!(
        "job-cancel-without-id-not-found",
        "A cancellation without an id is answered with 404",
        ["JOB-061"],
        on_answer_to(Asked::Cancel, |response| {
            if response.status().as_u16() == 405 {
                refuse(response, 404, "GenericNotFound");
            }
        })
    ),
];

/// Refuses cancellations with this body; they are carried out all the same.
fn refusing_cancel(body: &'static [u8]) -> Box<dyn Overlay> {
    on_answer(
        move |request| asked(request) == Some(Asked::Cancel) && request.body().as_ref() == body,
        |response| refuse(response, 411, "ArgumentInvalid"),
    )
}

/// Whether a cancellation was refused because the job runs.
fn is_about_running(response: &Response<Bytes>) -> bool {
    let is_running = String::from_utf8_lossy(response.body()).contains("running");
    is_error(response, "OperationNotAllowedInCurrentState") && is_running
}

/// Whether a cancellation was refused because the job has ended.
fn is_about_ended(response: &Response<Bytes>) -> bool {
    is_error(response, "OperationNotAllowedInCurrentState") && !is_about_running(response)
}

/// Edits what GET shows of jobs whose cancellation was refused for a reason.
fn marking(reason: fn(&Response<Bytes>) -> bool, edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_exchange(
        BTreeSet::new(),
        |_, request| Some((asked(request)?, id(request))),
        move |marked, (what, id), response| {
            if what == Asked::Cancel && reason(response) {
                marked.insert(id);
            } else if what == Asked::Read && marked.contains(&id) {
                edit_json(response.body_mut(), edit);
            }
        },
    )
}

/// Mutants of this part.
pub(super) const LIMIT: &[Mutant] = &[
    defect!(
        "job-limit-forbidden",
        "A job too many is answered with 403",
        ["JOB-064"],
        on_answer_to(Asked::Create, |response| {
            if is_error(response, "ThrottlingMaxActiveJobCountExceeded") {
                refuse(response, 403, "JobQuotaExceeded");
            }
        })
    ),
    defect!("job-limit-for-ever", "Once a job was too many, all are", ["JOB-064"], {
        let mut is_full = false;
        on_answer_to(Asked::Create, move |response| {
            is_full |= is_error(response, "ThrottlingMaxActiveJobCountExceeded");
            if is_full {
                refuse(response, 429, "ThrottlingMaxActiveJobCountExceeded");
            }
        })
    }),
];
