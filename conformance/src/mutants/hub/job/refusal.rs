//! Defects of what a hub does not accept as a new job.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::registry::calls::{on_answer, refuse, set_path, succeed};
use super::tools::{
    Asked, asked, body, defect, id, is_error, on_answer_to, on_create, on_job, refusing, remove,
    set, showing, text,
};
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_exchange, on_request};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    defect!(
        "job-broken-body-taken",
        "A body that is no JSON is taken for a job that does nothing",
        ["JOB-011"],
        on_request(|request| {
            if asked(request) == Some(Asked::Create) && body(request).is_null() {
                *request.body_mut() = Bytes::from(idle().to_string());
            }
        })
    ),
    defect!(
        "job-desired-astray-taken",
        "Desired properties beside the etag are taken",
        ["JOB-012"],
        on_create(|job| {
            if let Some(desired) = job.pointer("/updateTwin/desired").cloned() {
                set(job, "updateTwin", json!({ "properties": { "desired": desired } }));
            }
        })
    ),
    defect!(
        "job-patch-missing-taken",
        "A twin job without a patch is taken",
        ["JOB-013"],
        on_create(|job| {
            let is_twin_job = text(job, "type") == "scheduleUpdateTwin";
            if is_twin_job && job.get("updateTwin").is_none_or(Value::is_null) {
                set(job, "updateTwin", json!({ "tags": {} }));
            }
        })
    ),
    defect!(
        "job-call-missing-taken",
        "A method job without a call is taken",
        ["JOB-013"],
        on_create(|job| {
            let is_method_job = text(job, "type") == "scheduleDeviceMethod";
            if is_method_job && job.get("cloudToDeviceMethod").is_none_or(Value::is_null) {
                set(job, "cloudToDeviceMethod", json!({ "methodName": "none" }));
            }
        })
    ),
    defect!(
        "job-method-name-missing-taken",
        "A call without a method name is taken",
        ["JOB-013"],
        on_create(|job| {
            if let Some(call) = job.get_mut("cloudToDeviceMethod")
                && call.get("methodName").is_none_or(Value::is_null)
            {
                set(call, "methodName", "none");
            }
        })
    ),
    defect!(
        "job-id-reused",
        "A second job with the same id is answered like a first one",
        ["JOB-014"],
        on_answer_to(Asked::Create, |response| {
            if is_error(response, "JobAlreadyExists") {
                succeed(response, &json!({ "status": "queued" }));
            }
        })
    ),
    defect!(
        "job-id-reuse-is-bad-request",
        "A second job with the same id is answered with 400",
        ["JOB-014"],
        on_answer_to(Asked::Create, |response| {
            if is_error(response, "JobAlreadyExists") {
                refuse(response, 400, "ArgumentInvalid");
            }
        })
    ),
    defect!(
        "job-overwritten",
        "A second job with the same id is refused and changes the first",
        ["JOB-014"],
        on_exchange(
            std::collections::BTreeMap::<String, Value>::new(),
            |latest, request| match asked(request)? {
                Asked::Create => {
                    latest.insert(id(request), body(request));
                    None
                }
                Asked::Read => Some(id(request)),
                _ => None,
            },
            |latest, id, response| {
                if let Some(condition) = latest.get(&id).and_then(|job| job.get("queryCondition")) {
                    edit_json(response.body_mut(), |job| {
                        set(job, "queryCondition", condition.clone());
                    });
                }
            }
        )
    ),
    defect!(
        "job-long-id-cut",
        "An id that is too long is cut",
        ["JOB-015"],
        on_request(|request| {
            let long = id(request);
            if asked(request) == Some(Asked::Create) && long.len() > 64 {
                set_path(request, &format!("/jobs/v2/{}", long.get(1..65).unwrap_or_default()));
                edit_json(request.body_mut(), |job| remove(job, "jobId"));
            }
        })
    ),
    defect!(
        "job-id-characters-replaced",
        "Characters that an id must not have are replaced",
        ["JOB-016"],
        on_request(|request| {
            if asked(request) == Some(Asked::Create) {
                let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
                let id: String = id(request).chars().map(legal).collect();
                set_path(request, &format!("/jobs/v2/{id}"));
                edit_json(request.body_mut(), |job| remove(job, "jobId"));
            }
        })
    ),
    defect!(
        "job-without-credentials-forbidden",
        "Calls about jobs without valid credentials are answered with 403",
        ["JOB-018"],
        on_answer(
            |request| asked(request).is_some(),
            |response| {
                if response.status().as_u16() == 401 {
                    refuse(response, 403, "IotHubUnauthorizedAccess");
                }
            }
        )
    ),
    defect!(
        "job-list-open-to-all",
        "Everybody may list jobs",
        ["JOB-018"],
        on_answer_to(Asked::List, |response| {
            if response.status().as_u16() == 401 {
                succeed(response, &json!([]));
            }
        })
    ),
    defect!(
        "job-without-condition-for-all",
        "A job without a condition is one for all devices",
        ["JOB-024"],
        on_create(|job| {
            if text(job, "queryCondition").is_empty() {
                set(job, "queryCondition", "*");
            }
        })
    ),
    defect!(
        "job-condition-checked-at-once",
        "A condition that breaks the grammar is refused at the creation",
        ["JOB-025"],
        refusing(|job| is_broken(text(job, "queryCondition")))
    ),
    defect!(
        "job-failure-without-reason",
        "A failed job does not say why",
        ["JOB-025"],
        on_job(|job| remove(job, "failureReason"))
    ),
    defect!(
        "job-broken-condition-completed",
        "A job whose condition breaks the grammar is completed",
        ["JOB-025"],
        showing("failed", "completed")
    ),
    defect!(
        "job-long-condition-taken",
        "A condition that is too long selects nobody",
        ["JOB-026"],
        on_create(|job| {
            if text(job, "queryCondition").len() > 8192 {
                set(job, "queryCondition", "deviceId = 'nobody'");
            }
        })
    ),
    defect!(
        "job-broken-condition-for-all",
        "A condition that breaks the grammar selects all devices",
        ["JOB-027"],
        on_create(|job| {
            if is_broken(text(job, "queryCondition")) {
                set(job, "queryCondition", "*");
            }
        })
    ),
    defect!(
        "job-largest-payload-refused",
        "A payload of 128 KB is refused",
        ["JOB-028"],
        refusing(|job| payload_length(job) == PAYLOAD_MAX)
    ),
    defect!(
        "job-payload-too-large-taken",
        "A payload of more than 128 KB is taken",
        ["JOB-028"],
        on_create(|job| {
            if payload_length(job) > PAYLOAD_MAX
                && let Some(call) = job.get_mut("cloudToDeviceMethod")
            {
                set(call, "payload", "");
            }
        })
    ),
];

/// Bytes of the largest payload, quotes included.
const PAYLOAD_MAX: usize = 131_072;

fn payload_length(job: &Value) -> usize {
    job.pointer("/cloudToDeviceMethod/payload").map_or(0, |payload| payload.to_string().len())
}

/// Whether a condition is one of those with which cases break the grammar.
fn is_broken(condition: &str) -> bool {
    condition.starts_with("SELECT") || condition.contains("==") || condition.ends_with("AND")
}

/// A job that does nothing.
fn idle() -> Value {
    json!({
        "type": "scheduleUpdateTwin",
        "updateTwin": { "tags": {} },
        "queryCondition": "deviceId = 'nobody'",
    })
}
