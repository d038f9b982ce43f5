//! Defects of the rows of devices, of counters, and of queries for rows.

use http::HeaderValue;
use serde_json::{Value, json};

use super::super::registry::calls::on_answer;
use super::tools::{
    Asked, defect, number, on_answer_to, on_create, on_job, on_row, on_rows, remove, set,
    set_number, set_status, text,
};
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_request};

/// Mutants of this part.
pub(super) const ROW: &[Mutant] = &[
    defect!(
        "job-row-of-first-only",
        "Only the first device of a job has a row",
        ["JOB-085"],
        on_rows(|rows| rows.truncate(1))
    ),
    defect!(
        "job-rows-twice",
        "Each device of a job has two rows",
        ["JOB-085"],
        on_rows(|rows| {
            let again = rows.clone();
            rows.extend(again);
        })
    ),
    defect!(
        "job-row-without-creation",
        "A row does not say when it was made",
        ["JOB-086"],
        on_row(|row| remove(row, "createdDateTimeUtc"))
    ),
    defect!(
        "job-row-without-update",
        "A row does not say when it was changed",
        ["JOB-086"],
        on_row(|row| remove(row, "lastUpdatedDateTimeUtc"))
    ),
    defect!(
        "job-row-type-short",
        "A row calls the type of its job by another name",
        ["JOB-086"],
        on_row(|row| {
            if let Some(job_type) = text(row, "jobType").strip_prefix("schedule") {
                let short = job_type.to_owned();
                set(row, "jobType", short);
            }
        })
    ),
    defect!(
        "job-row-ends-when-done",
        "The endTimeUtc of a row is the time at which it was done",
        ["JOB-087"],
        on_row(|row| {
            let updated = text(row, "lastUpdatedDateTimeUtc").to_owned();
            set(row, "endTimeUtc", updated);
        })
    ),
    defect!(
        "job-row-answer-read-again",
        "A text that a method answers is shown as the JSON that is in it",
        ["JOB-078"],
        on_row(|row| {
            if let Some(payload) = row.pointer_mut("/outcome/deviceMethodResponse/payload")
                && let Some(inner) =
                    payload.as_str().and_then(|text| serde_json::from_str(text).ok())
            {
                *payload = inner;
            }
        })
    ),
    defect!(
        "job-row-done",
        "A completed row is called done",
        ["JOB-088"],
        on_row(|row| {
            if text(row, "status") == "completed" {
                set_status(row, "done");
            }
        })
    ),
    defect!(
        "job-row-twin-outcome-null",
        "The outcome of a twin job's row is null",
        ["JOB-089"],
        on_row(|row| {
            if text(row, "jobType") == "scheduleUpdateTwin" {
                set(row, "outcome", Value::Null);
            }
        })
    ),
    defect!(
        "job-answer-status-lost",
        "A row does not have the status of the answer",
        ["JOB-078"],
        on_response(|response| remove(response, "status"))
    ),
    defect!(
        "job-answer-payload-text",
        "A row has the payload of the answer as text",
        ["JOB-078"],
        on_response(|response| {
            let payload = response.get("payload").map(Value::to_string);
            set(response, "payload", payload);
        })
    ),
    defect!(
        "job-error-answer-fails",
        "A row whose device answered with an error has failed",
        ["JOB-079"],
        on_row(|row| {
            if number(row, "/outcome/deviceMethodResponse/status") >= 400 {
                set_status(row, "failed");
            }
        })
    ),
    defect!(
        "job-error-answer-counts-failed",
        "A device that answered counts as failed",
        ["JOB-079"],
        on_job(|job| {
            let succeeded = number(job, "/deviceJobStatistics/succeededCount");
            let failed = number(job, "/deviceJobStatistics/failedCount");
            set_number(job, "/deviceJobStatistics/succeededCount", failed);
            set_number(job, "/deviceJobStatistics/failedCount", succeeded);
        })
    ),
    defect!(
        "job-absent-other-code",
        "A device that stayed away was not online",
        ["JOB-080"],
        on_row(|row| {
            if let Some(error) = row.get_mut("error") {
                set(error, "code", "DeviceNotOnline");
            }
        })
    ),
    defect!(
        "job-absent-completed",
        "A device that stayed away is done",
        ["JOB-080"],
        on_row(|row| {
            if text(row, "status") == "failed" {
                set_status(row, "completed");
            }
        })
    ),
    defect!(
        "job-silence-is-success",
        "A device that did not answer is done",
        ["JOB-084"],
        on_row(|row| {
            if row.pointer("/error/code") == Some(&json!("GatewayTimeout")) {
                set_status(row, "completed");
            }
        })
    ),
    defect!(
        "job-silence-without-code",
        "A row whose device did not answer does not say so",
        ["JOB-084"],
        on_row(|row| remove(row, "error"))
    ),
    defect!(
        "job-twins-with-jobs",
        "Twins show the jobs of their device",
        ["JOB-095"],
        on_answer(
            |request| {
                let text = String::from_utf8_lossy(request.body()).into_owned();
                request.uri().path() == "/devices/query" && !text.contains("devices.jobs")
            },
            |response| {
                edit_json(response.body_mut(), |rows| {
                    for twin in rows.as_array_mut().into_iter().flatten() {
                        set(twin, "jobs", json!([]));
                    }
                });
            }
        )
    ),
];

/// Edits the answer of the device in each row that has one.
fn on_response(
    mut edit: impl FnMut(&mut Value) + Send + 'static,
) -> Box<dyn twinspec_harness::hub::Overlay> {
    on_row(move |row| {
        if let Some(response) = row.pointer_mut("/outcome/deviceMethodResponse") {
            edit(response);
        }
    })
}

/// Mutants of this part.
pub(super) const COUNTERS: &[Mutant] = &[
    defect!(
        "job-completed-leaves-running",
        "A completed job has a device more, which runs",
        ["JOB-090"],
        on_job(|job| {
            if text(job, "status") == "completed" {
                let devices = number(job, "/deviceJobStatistics/deviceCount");
                set_number(job, "/deviceJobStatistics/deviceCount", devices + 1);
                set_number(job, "/deviceJobStatistics/runningCount", 1);
            }
        })
    ),
    defect!(
        "job-completed-without-counters",
        "A completed job has no counters",
        ["JOB-091"],
        on_job(|job| remove(job, "deviceJobStatistics"))
    ),
    defect!(
        "job-counters-off-while-running",
        "The counters of a running job leave a device out",
        ["JOB-092"],
        on_job(|job| {
            if text(job, "status") == "running" {
                set_number(job, "/deviceJobStatistics/pendingCount", 0);
            }
        })
    ),
    defect!(
        "job-counter-negative",
        "A counter of a completed job is negative",
        ["JOB-092"],
        on_job(|job| {
            if text(job, "status") == "completed" {
                let succeeded = number(job, "/deviceJobStatistics/succeededCount");
                set_number(job, "/deviceJobStatistics/succeededCount", succeeded + 1);
                set_number(job, "/deviceJobStatistics/pendingCount", -1);
            }
        })
    ),
];

/// A defect of queries for rows: what the model reads instead of what was asked.
macro_rules! misread {
    ($id:literal, $title:literal, $asked:literal => $read:literal) => {
        defect!($id, $title, ["QRY-064"], {
            on_request(|request| {
                if super::tools::asked(request) == Some(Asked::Rows) {
                    edit_json(request.body_mut(), |body| {
                        let read = text(body, "query").replace($asked, $read);
                        set(body, "query", read);
                    });
                }
            })
        })
    };
}

/// Mutants of this part.
pub(super) const QUERY: &[Mutant] = &[
    defect!(
        "query-jobs-called-twins",
        "Rows of jobs are called Twin",
        ["QRY-005"],
        on_answer_to(Asked::Rows, |response| {
            response.headers_mut().insert("x-ms-item-type", HeaderValue::from_static("Twin"));
        })
    ),
    defect!(
        "query-jobs-nothing-without-type",
        "No rows of jobs have no type",
        ["QRY-005"],
        on_answer_to(Asked::Rows, |response| {
            if response.body().as_ref() == b"[]" {
                response.headers_mut().remove("x-ms-item-type");
            }
        })
    ),
    misread!(
        "query-jobs-other-device",
        "The device of a row is compared the wrong way round",
        "devices.jobs.deviceId = " => "devices.jobs.deviceId != "
    ),
    misread!(
        "query-jobs-status-ignored",
        "The status of a row is not looked at",
        "devices.jobs.status = 'failed'" => "true"
    ),
    misread!(
        "query-jobs-type-unknown",
        "Rows have no type to filter by",
        "devices.jobs.jobType" => "devices.jobs.type"
    ),
    misread!(
        "query-jobs-creation-unknown",
        "Rows have no creation to filter by",
        "devices.jobs.createdDateTimeUtc" => "devices.jobs.createdTimeUtc"
    ),
    defect!(
        "query-job-condition-loose",
        "A job reads AND as OR",
        ["QRY-073"],
        on_create(|job| {
            let read = text(job, "queryCondition").replace(" AND ", " OR ");
            set(job, "queryCondition", read);
        })
    ),
    defect!(
        "query-job-condition-first-only",
        "A job looks at the first comparison only",
        ["QRY-073"],
        on_create(|job| {
            let first = text(job, "queryCondition").split(" AND ").next().map(str::to_owned);
            set(job, "queryCondition", first);
        })
    ),
];
