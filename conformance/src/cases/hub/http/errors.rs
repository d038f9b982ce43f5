//! The form of errors (HUB-HTTP-005 to -008).

use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;

use crate::bench::{Bench, IfMatch, identity_path, job_path, twin_path, words};
use crate::body;
use crate::case::Case;
use crate::cases::hub::registry::calls::{error_names, flat_name, put, symmetric, text, watch};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "http-error-body-of-identities",
        title: "Errors about identities are JSON with the two messages",
        requirements: &["HUB-HTTP-005"],
        needs: &[],
        run: body!(body_of_identities),
    },
    Case {
        id: "http-error-body-of-twins",
        title: "Errors about twins are JSON with the two messages",
        requirements: &["HUB-HTTP-005"],
        needs: &[],
        run: body!(body_of_twins),
    },
    Case {
        id: "http-error-message-begins-with-code",
        title: "The message of errors about identities begins with ErrorCode and a name",
        requirements: &["HUB-HTTP-006"],
        needs: &[],
        run: body!(message_begins_with_code),
    },
    Case {
        id: "http-error-header-of-identities",
        title: "The header of errors about identities names the error of the body",
        requirements: &["HUB-HTTP-007"],
        needs: &[],
        run: body!(header_of_identities),
    },
    Case {
        id: "http-error-header-of-twins",
        title: "The header of errors about twins names the error of the body",
        requirements: &["HUB-HTTP-007"],
        needs: &[],
        run: body!(header_of_twins),
    },
    Case {
        id: "http-error-header-of-others",
        title: "The header of errors of other calls, jobs and queries among them, names the error of \
                the body",
        requirements: &["HUB-HTTP-007"],
        needs: &[],
        run: body!(header_of_others),
    },
    Case {
        id: "http-error-status-from-code",
        title: "The status of errors is the beginning of the error's number",
        requirements: &["HUB-HTTP-008"],
        needs: &[],
        run: body!(status_from_code),
    },
];

/// Numbers of the errors that the provoked refusals may be named after (hub-http.md § 6.2).
const NUMBERS: &[(&str, u32)] = &[
    ("GenericBadRequest", 400_000),
    ("InvalidProtocolVersion", 400_001),
    ("InvalidOperation", 400_003),
    ("ArgumentInvalid", 400_004),
    ("ArgumentNull", 400_005),
    ("IotHubFormatError", 400_006),
    ("GenericUnauthorized", 401_000),
    ("IotHubUnauthorizedAccess", 401_002),
    ("IotHubUnauthorized", 401_003),
    ("GenericNotFound", 404_000),
    ("DeviceNotFound", 404_001),
    ("JobNotFound", 404_002),
    ("ModuleNotFound", 404_010),
    ("DeviceNotOnline", 404_103),
    ("ConfigurationNotFound", 404_301),
    ("GenericConflict", 409_000),
    ("DeviceAlreadyExists", 409_001),
    ("ModuleAlreadyExistsOnDevice", 409_301),
    ("GenericPreconditionFailed", 412_000),
    ("PreconditionFailed", 412_001),
];

/// Refusals by the registry: 401, 404, 409, 412 and 400, each after the call it would have been.
pub(super) async fn identity_errors(bench: &mut Bench) -> Checked<Vec<(u16, Answer)>> {
    let device = bench.device().await?.identity;
    let path = identity_path(&device);
    let found = watch(bench, &path, |answer| answer.status.as_u16() == 200).await?;
    bench.equal("HUB-HTTP-003", "status", 200, found.status.as_u16());
    let missing = identity_path(&Identity::device(bench.new_name()));
    let body = found.json();
    let wrong = json!({ "deviceId": device.device, "authentication": symmetric("1", "2") });
    let answers = [
        ("HUB-AUTH-024", 401, bench.call_as(None, Method::GET, &path, None).await?),
        ("HUB-REG-007", 404, bench.call(Method::GET, &missing, IfMatch::Absent, None).await?),
        ("HUB-REG-002", 409, put(bench, &device, IfMatch::Absent, &body).await?),
        ("HUB-REG-008", 412, put(bench, &device, IfMatch::Etag("c3VpdGU="), &body).await?),
        ("HUB-REG-005", 400, put(bench, &device, IfMatch::Any, &wrong).await?),
    ];
    Ok(errors_among(bench, answers))
}

/// Refusals by twins: 401, 404, 412 and 400.
pub(super) async fn twin_errors(bench: &mut Bench) -> Checked<Vec<(u16, Answer)>> {
    let device = bench.device().await?.identity;
    let path = twin_path(&device);
    let patch = json!({ "tags": { "fan": 1 } });
    bench.patch_twin(&device, &patch).await?;
    let missing = twin_path(&Identity::device(bench.new_name()));
    let stale = IfMatch::Etag("c3VpdGU=");
    let wrong = json!({ "tags": { "not allowed": 1 } });
    let wrong = bench.write_twin(Method::PATCH, &device, IfMatch::Absent, &wrong).await?;
    let answers = [
        ("HUB-AUTH-024", 401, bench.call_as(None, Method::GET, &path, None).await?),
        ("HUB-HTTP-012", 404, bench.call(Method::GET, &missing, IfMatch::Absent, None).await?),
        ("HUB-CONC-002", 412, bench.write_twin(Method::PATCH, &device, stale, &patch).await?),
        ("HUB-VALI-001", 400, wrong),
    ];
    Ok(errors_among(bench, answers))
}

/// Refusals of other calls: of modules, configurations, methods, jobs, queries, and versions.
pub(super) async fn other_errors(bench: &mut Bench) -> Checked<Vec<(u16, Answer)>> {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?.identity;
    let device = device.identity;
    watch(bench, &identity_path(&module), |answer| answer.status.as_u16() == 200).await?;
    let missing = identity_path(&Identity::module(&device.device, "hearing"));
    let nobody = format!("/configurations/{}", bench.new_name());
    let methods = format!("{}/methods", twin_path(&device));
    let body = json!({ "deviceId": module.device, "moduleId": module.module });
    let call = json!({ "methodName": "reboot", "payload": null });
    let query = json!({ "query": "SELECT FROM" });
    let job = job_path(&bench.new_job_id());
    let mut old = bench.request(Method::GET, &identity_path(&device), None);
    old.target = format!("{}?api-version=1999-01-01", identity_path(&device));
    let none = IfMatch::Absent;
    let answers = [
        ("HUB-REG-023", 404, bench.call(Method::GET, &missing, none, None).await?),
        ("HUB-REG-024", 409, put(bench, &module, none, &body).await?),
        ("HUB-CFG-004", 404, bench.call(Method::GET, &nobody, none, None).await?),
        ("HUB-METH-009", 404, bench.call(Method::POST, &methods, none, Some(&call)).await?),
        ("JOB-036", 404, bench.call(Method::GET, &job, none, None).await?),
        ("QRY-014", 400, bench.call(Method::POST, "/devices/query", none, Some(&query)).await?),
        ("HUB-HTTP-002", 400, bench.exchange(&old).await?),
    ];
    Ok(errors_among(bench, answers))
}

/// The answers that are errors: one that is none breaks the requirement named beside it.
fn errors_among<const N: usize>(
    bench: &mut Bench,
    answers: [(&'static str, u16, Answer); N],
) -> Vec<(u16, Answer)> {
    let mut errors = Vec::new();
    for (requirement, status, answer) in answers {
        let is_error = !answer.status.is_success();
        if bench.demand(requirement, is_error, status.to_string(), answer.to_string()) {
            errors.push((status, answer));
        }
    }
    errors
}

fn demand_messages(bench: &mut Bench, errors: Vec<(u16, Answer)>) {
    for (status, answer) in errors {
        let body = answer.json();
        let is_text = |name: &str| body.get(name).is_some_and(Value::is_string);
        let holds = is_text("Message") && is_text("ExceptionMessage");
        let allowed = format!("Message and ExceptionMessage with the {status}");
        bench.demand("HUB-HTTP-005", holds, allowed, answer.to_string());
    }
}

async fn body_of_identities(bench: &mut Bench) -> Checked {
    let errors = identity_errors(bench).await?;
    demand_messages(bench, errors);
    Ok(())
}

async fn body_of_twins(bench: &mut Bench) -> Checked {
    let errors = twin_errors(bench).await?;
    demand_messages(bench, errors);
    Ok(())
}

async fn message_begins_with_code(bench: &mut Bench) -> Checked {
    for (status, answer) in identity_errors(bench).await? {
        let name = flat_name(&answer.json()).unwrap_or_default();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
        let allowed = format!("a Message like ErrorCode:Name;… with the {status}");
        bench.demand("HUB-HTTP-006", is_name, allowed, answer.to_string());
    }
    Ok(())
}

/// The error that a body names: in the flat form by name, in the nested form by number.
fn named_in_body(answer: &Answer) -> Option<String> {
    let body = answer.json();
    let nested: Value = serde_json::from_str(text(&body, "/Message")).unwrap_or_default();
    let number = nested.get("errorCode").and_then(Value::as_u64);
    let known = NUMBERS.iter().find(|(_, known)| Some(u64::from(*known)) == number);
    flat_name(&body).or_else(|| known.map(|(name, _)| (*name).to_owned()))
}

fn demand_header(bench: &mut Bench, errors: Vec<(u16, Answer)>) {
    for (status, answer) in errors {
        let in_body = named_in_body(&answer);
        let [in_header, _] = error_names(&answer);
        let holds = in_header.is_some() && in_header == in_body;
        let allowed = format!("iothub-errorcode {} with the {status}", words(&in_body));
        bench.demand("HUB-HTTP-007", holds, allowed, words(&in_header));
    }
}

async fn header_of_identities(bench: &mut Bench) -> Checked {
    let errors = identity_errors(bench).await?;
    demand_header(bench, errors);
    Ok(())
}

async fn header_of_twins(bench: &mut Bench) -> Checked {
    let errors = twin_errors(bench).await?;
    demand_header(bench, errors);
    Ok(())
}

async fn header_of_others(bench: &mut Bench) -> Checked {
    let errors = other_errors(bench).await?;
    demand_header(bench, errors);
    Ok(())
}

async fn status_from_code(bench: &mut Bench) -> Checked {
    let mut errors = identity_errors(bench).await?;
    errors.extend(twin_errors(bench).await?);
    for (_, answer) in errors {
        let name = named_in_body(&answer).unwrap_or_default();
        let number = NUMBERS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let status = u32::from(answer.status.as_u16());
        // A name that is not in the table has no number that could be wrong.
        let holds = number.is_none_or(|number| number / 1000 == status);
        let allowed = format!("the first three digits of {number:?} for {name}");
        bench.demand("HUB-HTTP-008", holds, allowed, answer.to_string());
    }
    Ok(())
}
