//! What defects of jobs have in common.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;

use super::super::registry::calls::{on_answer, refuse};
use crate::mutants::overlay::{edit_json, on_exchange, on_request};

/// What a request asks of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Create,
    Read,
    Cancel,
    List,
    /// The rows of jobs.
    Rows,
}

/// What `request` asks of jobs; none for anything else.
pub(super) fn asked(request: &Request<Bytes>) -> Option<Asked> {
    let path = request.uri().path();
    if path == "/devices/query" {
        let asks_for_jobs = String::from_utf8_lossy(request.body()).contains("FROM devices.jobs");
        return asks_for_jobs.then_some(Asked::Rows);
    }
    let rest = path.strip_prefix("/jobs/v2/")?;
    match *request.method() {
        Method::PUT => Some(Asked::Create),
        Method::GET if rest == "query" => Some(Asked::List),
        Method::GET => Some(Asked::Read),
        Method::POST if rest.ends_with("/cancel") => Some(Asked::Cancel),
        _ => None,
    }
}

/// The id in the path of a request about a job.
pub(super) fn id(request: &Request<Bytes>) -> String {
    let rest = request.uri().path().strip_prefix("/jobs/v2/").unwrap_or_default();
    rest.strip_suffix("/cancel").unwrap_or(rest).to_owned()
}

/// The body of a request; null when it is no JSON.
pub(super) fn body(request: &Request<Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap_or_default()
}

/// Edits the body of each creation before the model sees it.
pub(super) fn on_create(mut edit: impl FnMut(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_request(move |request| {
        if asked(request) == Some(Asked::Create) {
            edit_json(request.body_mut(), &mut edit);
        }
    })
}

/// Refuses each creation whose body is `chosen`, whatever the model says.
pub(super) fn refusing(chosen: impl Fn(&Value) -> bool + Send + 'static) -> Box<dyn Overlay> {
    on_answer(
        move |request| asked(request) == Some(Asked::Create) && chosen(&body(request)),
        |response| refuse(response, 400, "ArgumentInvalid"),
    )
}

/// Edits the answers to one kind of request.
pub(super) fn on_answer_to(
    what: Asked,
    edit: impl FnMut(&mut Response<Bytes>) + Send + 'static,
) -> Box<dyn Overlay> {
    on_answer(move |request| asked(request) == Some(what), edit)
}

/// Edits each job that GET shows.
pub(super) fn on_job(mut edit: impl FnMut(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_answer_to(Asked::Read, move |response| {
        if response.status().is_success() {
            edit_json(response.body_mut(), &mut edit);
        }
    })
}

/// Edits each job that GET shows, knowing the body it was created with (null when there is none).
pub(super) fn on_created_job(
    mut edit: impl FnMut(&Value, &mut Value) + Send + 'static,
) -> Box<dyn Overlay> {
    let created = std::collections::BTreeMap::<String, Value>::new();
    on_exchange(
        created,
        |created, request| match asked(request)? {
            Asked::Create => {
                created.entry(id(request)).or_insert_with(|| body(request));
                None
            }
            Asked::Read => Some(id(request)),
            _ => None,
        },
        move |created, id, response| {
            if response.status().is_success() {
                let asked_for = created.get(&id).unwrap_or(&Value::Null);
                edit_json(response.body_mut(), |job| edit(asked_for, job));
            }
        },
    )
}

/// Edits the rows of jobs, all of one answer.
pub(super) fn on_rows(mut edit: impl FnMut(&mut Vec<Value>) + Send + 'static) -> Box<dyn Overlay> {
    on_answer_to(Asked::Rows, move |response| {
        edit_json(response.body_mut(), |rows| {
            if let Value::Array(rows) = rows {
                edit(rows);
            }
        });
    })
}

/// Edits each row of a job.
pub(super) fn on_row(mut edit: impl FnMut(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_rows(move |rows| rows.iter_mut().for_each(&mut edit))
}

/// Gives each job that GET shows in one status another one.
pub(super) fn showing(from: &'static str, to: &'static str) -> Box<dyn Overlay> {
    on_job(move |job| {
        if job.get("status").is_some_and(|status| status == from) {
            set_status(job, to);
        }
    })
}

/// Sets the status of a job or row.
pub(super) fn set_status(document: &mut Value, status: &str) {
    set(document, "status", status);
}

/// Sets a member of an object.
pub(super) fn set(object: &mut Value, member: &str, value: impl Into<Value>) {
    crate::mutants::overlay::set(object, member, value);
}

/// Removes a member of an object.
pub(super) fn remove(object: &mut Value, member: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(member);
    }
}

/// The text of a member; empty when it is none.
pub(super) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a pointer; 0 when it is none.
pub(super) fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// Sets the number at a pointer where there is one.
pub(super) fn set_number(value: &mut Value, pointer: &str, number: i64) {
    if let Some(found) = value.pointer_mut(pointer) {
        *found = json!(number);
    }
}

/// Edits the body of each creation's answer that accepts.
pub(super) fn on_created(mut edit: impl FnMut(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_answer_to(Asked::Create, move |response| {
        if response.status().is_success() {
            edit_json(response.body_mut(), &mut edit);
        }
    })
}

/// Whether a response is the error `name`.
pub(super) fn is_error(response: &Response<Bytes>, name: &str) -> bool {
    response.headers().get("iothub-errorcode").is_some_and(|code| code == name)
}

/// A defect of jobs.
macro_rules! defect {
    ($id:literal, $title:literal, [$($requirement:literal),+], $overlay:expr $(,)?) => {
        $crate::mutants::Mutant {
            id: $id,
            title: $title,
            requirements: &[$($requirement),+],
            overlay: || $overlay,
        }
    };
}

pub(super) use defect;
