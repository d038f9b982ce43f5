//! Defects of what is shown of jobs, one by one and in lists.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::HeaderValue;
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::time::Time;

use super::super::registry::calls::{on_answer, set_query, succeed};
use super::tools::{
    Asked, asked, defect, id, on_answer_to, on_create, on_created_job, on_job, remove, set,
    set_status, showing, text,
};
use crate::mutants::Mutant;
use crate::mutants::overlay::{self, edit_json, on_exchange, on_request};

const CONTINUATION: &str = "x-ms-continuation";

/// Mutants of this part.
pub(super) const READ: &[Mutant] = &[
    defect!(
        "job-read-without-type",
        "A job that is read has no type",
        ["JOB-030"],
        on_job(|job| remove(job, "type"))
    ),
    defect!(
        "job-read-202",
        "Reading a job is answered with 202",
        ["JOB-030"],
        on_answer_to(Asked::Read, |response| {
            if response.status().is_success() {
                overlay::set_status(response, 202);
            }
        })
    ),
    defect!(
        "job-method-without-end",
        "A method job has no end time",
        ["JOB-034"],
        on_job(|job| {
            if text(job, "type") == "scheduleDeviceMethod" {
                remove(job, "endTime");
            }
        })
    ),
    defect!(
        "job-start-offset-dropped",
        "The offset of a start time is not looked at",
        ["JOB-032"],
        on_create(|body| {
            let start = text(body, "startTime").replace("+02:00", "Z");
            set(body, "startTime", start);
        })
    ),
    defect!(
        "job-status-finished",
        "A completed job is called finished",
        ["JOB-031"],
        showing("completed", "finished")
    ),
    defect!(
        "job-status-waiting",
        "A scheduled job is called waiting",
        ["JOB-031"],
        showing("scheduled", "waiting")
    ),
    defect!(
        "job-condition-trimmed",
        "The condition is shown without blanks around it",
        ["JOB-032"],
        on_job(|job| {
            let condition = text(job, "queryCondition").trim().to_owned();
            set(job, "queryCondition", condition);
        })
    ),
    defect!(
        "job-start-is-always-creation",
        "The start time is that of the creation, whatever was asked for",
        ["JOB-032"],
        on_job(|job| {
            let created = text(job, "createdTime").to_owned();
            set(job, "startTime", created);
        })
    ),
    defect!(
        "job-budget-not-shown",
        "The budget is not shown",
        ["JOB-032"],
        on_job(|job| remove(job, "maxExecutionTimeInSeconds"))
    ),
    defect!(
        "job-patch-not-shown",
        "The patch is not shown",
        ["JOB-032"],
        on_job(|job| remove(job, "updateTwin"))
    ),
    defect!(
        "job-payload-not-shown",
        "The payload of the call is not shown",
        ["JOB-032"],
        on_job(|job| {
            if let Some(call) = job.get_mut("cloudToDeviceMethod") {
                remove(call, "payload");
            }
        })
    ),
    defect!(
        "job-start-after-creation",
        "A job without a requested start shows one a second after its creation",
        ["JOB-033"],
        on_created_job(|asked_for, job| {
            let created = Time::parse(text(job, "createdTime"));
            if let (None, Some(created)) = (asked_for.get("startTime"), created) {
                set(job, "startTime", created.after(Duration::from_secs(1)).to_string());
            }
        })
    ),
    defect!(
        "job-end-before-start",
        "A completed job has ended long ago",
        ["JOB-034"],
        on_job(|job| {
            if job.get("endTime").is_some() {
                set(job, "endTime", "2001-01-01T00:00:00Z");
            }
        })
    ),
    defect!(
        "job-end-of-waiting",
        "A job that waits has ended already",
        ["JOB-034"],
        on_job(|job| {
            let created = text(job, "createdTime").to_owned();
            if job.get("endTime").is_none() {
                set(job, "endTime", created);
            }
        })
    ),
    defect!(
        "job-times-of-a-zone",
        "Times are shown in a zone",
        ["JOB-035"],
        times(|time| time.replace('Z', "+02:00"))
    ),
    defect!(
        "job-times-without-zone",
        "Times are shown without a zone",
        ["JOB-035"],
        times(|time| time.replace('Z', ""))
    ),
    defect!(
        "job-unknown-has-unknown-status",
        "A job that does not exist is shown with an unknown status",
        ["JOB-036"],
        on_answer_to(Asked::Read, |response| {
            if response.status().as_u16() == 404 {
                succeed(response, &json!({ "type": "unknown", "status": "unknown" }));
            }
        })
    ),
    defect!(
        "job-kept-for-ever",
        "A job is never forgotten",
        ["JOB-047"],
        on_exchange(
            BTreeMap::<String, Value>::new(),
            |_, request| (asked(request) == Some(Asked::Read)).then(|| id(request)),
            |kept, id, response| {
                if response.status().as_u16() == 404 {
                    let job = kept.get(&id).cloned().unwrap_or_default();
                    succeed(response, &job);
                } else if let Ok(job) = serde_json::from_slice(response.body()) {
                    kept.insert(id, job);
                }
            }
        )
    ),
    defect!("job-runs-again", "A job that was seen to have ended runs again", ["JOB-050"], {
        let mut seen = BTreeSet::new();
        on_job(move |job| {
            let over = ["completed", "cancelled"].contains(&text(job, "status"));
            if over && !seen.insert(text(job, "jobId").to_owned()) {
                set_status(job, "running");
            }
        })
    }),
    defect!(
        "job-completed-is-failed",
        "A completed job is called failed",
        ["JOB-053"],
        showing("completed", "failed")
    ),
];

/// Rewrites the times of each job that GET shows.
fn times(rewrite: fn(&str) -> String) -> Box<dyn Overlay> {
    on_job(move |job| {
        for member in ["createdTime", "startTime", "endTime"] {
            if job.get(member).is_some() {
                let time = rewrite(text(job, member));
                set(job, member, time);
            }
        }
    })
}

/// Mutants of this part.
pub(super) const LIST: &[Mutant] = &[
    defect!(
        "job-list-wrapped",
        "The list is wrapped in an object",
        ["JOB-037"],
        on_answer_to(Asked::List, |response| {
            edit_json(response.body_mut(), |list| *list = json!({ "items": list.take() }));
        })
    ),
    defect!(
        "job-list-without-newest",
        "The newest job is not listed",
        ["JOB-037"],
        on_answer_to(Asked::List, |response| {
            edit_json(response.body_mut(), |list| {
                if let Some(jobs) = list.as_array_mut() {
                    jobs.drain(..jobs.len().min(1));
                }
            });
        })
    ),
    defect!(
        "job-list-type-ignored",
        "The list is not filtered by type",
        ["JOB-038"],
        without_parameters(&["jobType"])
    ),
    defect!(
        "job-list-status-ignored",
        "The list is not filtered by status",
        ["JOB-039"],
        without_parameters(&["jobStatus"])
    ),
    defect!(
        "job-list-case-matters",
        "Filters in Pascal case match nothing",
        ["JOB-040"],
        listing_nothing("=S")
    ),
    defect!(
        "job-list-status-case-matters",
        "Statuses in Pascal case match nothing",
        ["JOB-040"],
        listing_nothing("jobStatus=C")
    ),
    defect!(
        "job-list-empty-filter-matches-nothing",
        "Empty filters match nothing",
        ["JOB-041"],
        listing_nothing("jobType=&")
    ),
    defect!(
        "job-list-page-size-ignored",
        "Every page of the list is as large as it can be",
        ["JOB-042"],
        on_request(|request| {
            if asked(request) == Some(Asked::List) {
                request.headers_mut().remove("x-ms-max-item-count");
            }
        })
    ),
    defect!(
        "job-list-first-page-only",
        "The first page of the list leads nowhere",
        ["JOB-042"],
        on_answer_to(Asked::List, |response| {
            response.headers_mut().remove(CONTINUATION);
        })
    ),
    defect!(
        "job-list-first-page-again",
        "The second page of the list is the first",
        ["JOB-042"],
        on_request(|request| {
            if asked(request) == Some(Asked::List) {
                request.headers_mut().remove(CONTINUATION);
            }
        })
    ),
    defect!(
        "job-list-last-page-empty-token",
        "The last page of the list carries an empty token",
        ["JOB-043"],
        on_answer_to(Asked::List, |response| {
            if !response.headers().contains_key(CONTINUATION) {
                response.headers_mut().insert(CONTINUATION, HeaderValue::from_static(""));
            }
        })
    ),
    defect!(
        "job-list-query-paging-ignored",
        "Pages are not asked for in the query string",
        ["JOB-044"],
        without_parameters(&["pageSize", "continuationToken"])
    ),
    defect!(
        "job-list-without-item-type",
        "Lists do not say what their rows are",
        ["JOB-045"],
        on_answer_to(Asked::List, |response| {
            response.headers_mut().remove("x-ms-item-type");
        })
    ),
    defect!(
        "job-list-empty-without-item-type",
        "Empty lists do not say what their rows are",
        ["JOB-045"],
        on_answer_to(Asked::List, |response| {
            if response.body().as_ref() == b"[]" {
                response.headers_mut().remove("x-ms-item-type");
            }
        })
    ),
    defect!(
        "job-list-cancelled-missing",
        "Cancelled jobs are not found by their status",
        ["JOB-046"],
        listing_nothing("jobStatus=cancelled")
    ),
    defect!(
        "job-transfers-wrapped",
        "The list of import and export jobs is wrapped in an object",
        ["JOB-100"],
        on_answer(
            |request| request.uri().path() == "/jobs",
            |response| succeed(response, &json!({ "value": [] }))
        )
    ),
];

/// Has the model read requests for lists without some parameters.
fn without_parameters(names: &'static [&'static str]) -> Box<dyn Overlay> {
    on_request(move |request| {
        if asked(request) == Some(Asked::List) {
            let query = request.uri().query().unwrap_or_default();
            let kept: Vec<&str> = query
                .split('&')
                .filter(|pair| !names.contains(&pair.split('=').next().unwrap_or_default()))
                .collect();
            let kept = kept.join("&");
            set_query(request, &kept);
        }
    })
}

/// Answers requests for lists whose query contains `part` with nothing.
fn listing_nothing(part: &'static str) -> Box<dyn Overlay> {
    on_answer(
        move |request| {
            let query = request.uri().query().unwrap_or_default();
            asked(request) == Some(Asked::List) && query.contains(part)
        },
        |response| edit_json(response.body_mut(), |list| *list = json!([])),
    )
}
