//! Defects of what a hub accepts as a new job, and how it answers.

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use twinspec_harness::clock::Clock;
use twinspec_harness::hub::Overlay;
use twinspec_model::time::Time;

use super::super::registry::calls::{on_answer, refuse};
use super::tools::{
    Asked, asked, body, defect, id, is_error, on_answer_to, on_create, on_created, on_job,
    refusing, remove, set, set_status, text,
};
use crate::mutants::Mutant;
use crate::mutants::overlay;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    defect!(
        "job-twin-created-201",
        "The creation of a twin job is answered with 201",
        ["JOB-001"],
        creating("scheduleUpdateTwin", 201)
    ),
    defect!(
        "job-method-created-202",
        "The creation of a method job is answered with 202",
        ["JOB-002"],
        creating("scheduleDeviceMethod", 202)
    ),
    defect!(
        "job-created-other-id",
        "The answer to a creation has the id in capitals",
        ["JOB-003"],
        on_created(|job| {
            let id = text(job, "jobId").to_uppercase();
            set(job, "jobId", id);
        })
    ),
    defect!(
        "job-created-without-type",
        "The answer to a creation has no type",
        ["JOB-003"],
        on_created(|job| remove(job, "type"))
    ),
    defect!(
        "job-created-running",
        "The answer to a creation says that the job runs",
        ["JOB-004"],
        on_created(|job| set_status(job, "running"))
    ),
    defect!(
        "job-created-more-members",
        "The answer to a creation has the time too",
        ["JOB-005"],
        on_created(|job| set(job, "createdTime", "2031-02-03T04:05:06Z"))
    ),
    defect!(
        "job-created-plain-text",
        "The answer to a creation is plain text",
        ["JOB-006"],
        media(Asked::Create, "text/plain")
    ),
    defect!(
        "job-list-without-charset",
        "The list of jobs does not say that it is UTF-8",
        ["JOB-006"],
        media(Asked::List, "application/json")
    ),
    defect!(
        "job-id-needed-in-body",
        "A body that does not repeat the id is refused",
        ["JOB-007"],
        refusing(|job| job.get("jobId").is_none())
    ),
    defect!(
        "job-null-call-refused",
        "A twin job whose cloudToDeviceMethod is null is refused",
        ["JOB-008"],
        refusing(|job| job.get("cloudToDeviceMethod") == Some(&Value::Null))
    ),
    defect!(
        "job-null-patch-refused",
        "A method job whose updateTwin is null is refused",
        ["JOB-008"],
        refusing(|job| job.get("updateTwin") == Some(&Value::Null))
    ),
    defect!(
        "job-null-device-refused",
        "A patch whose deviceId is null is refused",
        ["JOB-009"],
        refusing(|job| job.pointer("/updateTwin/deviceId") == Some(&Value::Null))
    ),
    defect!(
        "job-empty-reported-refused",
        "A patch with empty reported properties is refused",
        ["JOB-009"],
        refusing(|job| job.pointer("/updateTwin/properties/reported").is_some())
    ),
    defect!(
        "job-longest-id-refused",
        "An id of 64 characters is refused",
        ["JOB-017"],
        on_answer(
            |request| asked(request) == Some(Asked::Create) && id(request).len() == 64,
            |response| refuse(response, 400, "ArgumentInvalid")
        )
    ),
    defect!(
        "job-ids-small-letters",
        "Ids are shown in small letters",
        ["JOB-017"],
        on_job(|job| {
            let id = text(job, "jobId").to_lowercase();
            set(job, "jobId", id);
        })
    ),
    defect!(
        "job-without-start-waits",
        "A job without a start time never starts",
        ["JOB-019"],
        on_create(|job| {
            if job.get("startTime").is_none() {
                set(job, "startTime", FAR);
            }
        })
    ),
    defect!(
        "job-past-start-refused",
        "A start in the past is refused",
        ["JOB-020"],
        refusing(should_have_started)
    ),
    defect!(
        "job-past-start-never",
        "A job whose start has passed never starts",
        ["JOB-020"],
        on_create(|job| {
            if should_have_started(job) {
                set(job, "startTime", FAR);
            }
        })
    ),
    defect!(
        "job-start-yesterday-breaks",
        "A start in the past breaks the hub",
        ["JOB-021"],
        on_answer(
            |request| {
                asked(request) == Some(Asked::Create) && should_have_started(&body(request))
            },
            |response| refuse(response, 500, "ServerError")
        )
    ),
    defect!(
        "job-budget-needed",
        "A job without a budget is refused",
        ["JOB-022"],
        refusing(|job| job.get("maxExecutionTimeInSeconds").is_none())
    ),
    defect!(
        "job-star-selects-nobody",
        "The condition * selects nobody",
        ["JOB-023"],
        on_create(|job| {
            if text(job, "queryCondition") == "*" {
                set(job, "queryCondition", "deviceId = '*'");
            }
        })
    ),
    defect!(
        "job-star-refused",
        "The condition * is refused",
        ["JOB-023"],
        refusing(|job| text(job, "queryCondition") == "*")
    ),
    defect!(
        "job-misspelt-type-taken",
        "A misspelt type is taken for what it means",
        ["JOB-010"],
        on_create(|job| {
            if text(job, "type") == "scheduleTwinUpdate" {
                set(job, "type", "scheduleUpdateTwin");
            }
        })
    ),
    defect!(
        "job-unknown-type-not-found",
        "An unknown type is answered with 404",
        ["JOB-010"],
        on_answer_to(Asked::Create, |response| {
            if is_error(response, "GenericBadRequest") {
                refuse(response, 404, "GenericNotFound");
            }
        })
    ),
];

/// A start that never comes.
const FAR: &str = "2199-01-01T00:00:00Z";

/// Gives the creation of one type another status.
fn creating(job_type: &'static str, status: u16) -> Box<dyn Overlay> {
    on_answer(
        move |request| {
            asked(request) == Some(Asked::Create) && text(&body(request), "type") == job_type
        },
        move |response| {
            if response.status().is_success() {
                overlay::set_status(response, status);
            }
        },
    )
}

/// Gives the answers to one kind of request another content type.
fn media(what: Asked, media: &'static str) -> Box<dyn Overlay> {
    on_answer_to(what, move |response| {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    })
}

/// Whether a job's start lies in the past.
fn should_have_started(job: &Value) -> bool {
    let start = Time::parse(text(job, "startTime"));
    start.is_some_and(|start| start < Clock::default().now())
}
