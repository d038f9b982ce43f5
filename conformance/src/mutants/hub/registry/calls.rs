//! Tools for defects of registry calls.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, IF_MATCH};
use http::{HeaderValue, Method, Request, Response};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ExchangeId, Input};

use crate::mutants::overlay::{edit_json, on_exchange, on_request, on_response, set_status};

/// Which identities a defect concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Device,
    Module,
}

/// Whose identity a path names; none for everything that is no identity.
pub(super) fn whose(path: &str) -> Option<Whose> {
    let levels: Vec<&str> = path.trim_matches('/').split('/').collect();
    match levels.as_slice() {
        ["devices", _] => Some(Whose::Device),
        ["devices", _, "modules", _] => Some(Whose::Module),
        _ => None,
    }
}

/// Whether `request` is of `method` and about an identity of a device or module.
pub(super) fn is_call(request: &Request<Bytes>, method: &Method, of: Whose) -> bool {
    request.method() == method && whose(request.uri().path()) == Some(of)
}

/// Whether `request` is a PUT of an identity.
pub(super) fn is_put(request: &Request<Bytes>) -> bool {
    request.method() == Method::PUT && whose(request.uri().path()).is_some()
}

/// Whether `request` has a condition.
pub(super) fn is_conditional(request: &Request<Bytes>) -> bool {
    request.headers().contains_key(IF_MATCH)
}

/// Sets the condition of `request`.
pub(super) fn set_condition(request: &mut Request<Bytes>, condition: &'static str) {
    request.headers_mut().insert(IF_MATCH, HeaderValue::from_static(condition));
}

/// Sets path and query of `request`.
pub(in crate::mutants::hub) fn set_target(request: &mut Request<Bytes>, target: &str) {
    if let Ok(uri) = target.parse() {
        *request.uri_mut() = uri;
    }
}

/// Sets the path of `request` and leaves the query.
pub(in crate::mutants::hub) fn set_path(request: &mut Request<Bytes>, path: &str) {
    let query = request.uri().query().unwrap_or_default();
    let target = format!("{path}?{query}");
    set_target(request, &target);
}

/// Sets the query of `request` and leaves the path.
pub(in crate::mutants::hub) fn set_query(request: &mut Request<Bytes>, query: &str) {
    let target = format!("{}?{query}", request.uri().path());
    set_target(request, &target);
}

/// A request of the hub's own, with the rights of `request`, whose answer nobody awaits.
pub(in crate::mutants::hub) fn also(
    request: &Request<Bytes>,
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
) -> Input {
    let mut also = request.clone();
    *also.method_mut() = method;
    *also.body_mut() = body.into();
    also.headers_mut().remove(IF_MATCH);
    set_path(&mut also, path);
    Input::Request(ExchangeId(u64::MAX), also)
}

/// Makes `response` a success with `body`.
pub(in crate::mutants::hub) fn succeed(response: &mut Response<Bytes>, body: &Value) {
    response.headers_mut().remove("iothub-errorcode");
    set_json(response, 200, body);
}

/// Makes `response` a refusal.
pub(in crate::mutants::hub) fn refuse(
    response: &mut Response<Bytes>,
    status: u16,
    name: &'static str,
) {
    response.headers_mut().insert("iothub-errorcode", HeaderValue::from_static(name));
    let message = format!("ErrorCode:{name};refused");
    set_json(response, status, &json!({ "Message": message, "ExceptionMessage": "" }));
}

fn set_json(response: &mut Response<Bytes>, status: u16, body: &Value) {
    set_status(response, status);
    let media = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, media);
    *response.body_mut() = Bytes::from(body.to_string());
}

/// An overlay that gives one error the name of another wherever it is answered.
pub(in crate::mutants::hub) fn renaming(
    from: &'static str,
    to: &'static str,
    status: u16,
) -> Box<dyn Overlay> {
    on_response(move |response| {
        if response.headers().get("iothub-errorcode").is_some_and(|name| name == from) {
            refuse(response, status, to);
        }
    })
}

/// An overlay that edits each identity that is answered.
pub(in crate::mutants::hub) fn on_identity(
    mut edit: impl FnMut(&mut Value) + Send + 'static,
) -> Box<dyn Overlay> {
    on_response(move |response| edit_json(response.body_mut(), |body| each(body, &mut edit)))
}

/// Lets `edit` see each identity in a body: one, or a list.
pub(super) fn each(body: &mut Value, edit: &mut impl FnMut(&mut Value)) {
    match body {
        Value::Array(list) => list.iter_mut().for_each(edit),
        entity if entity.get("generationId").is_some() => edit(entity),
        _ => {}
    }
}

/// An overlay that edits the bodies of PUTs of identities; the first argument tells updates, which
/// have a condition, from creations.
pub(super) fn on_put(mut edit: impl FnMut(bool, &mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_request(move |request| {
        if is_put(request) {
            let updates = is_conditional(request);
            edit_json(request.body_mut(), |body| edit(updates, body));
        }
    })
}

/// An overlay that edits the responses to those requests for which `chosen` holds.
pub(in crate::mutants::hub) fn on_answer(
    chosen: impl Fn(&Request<Bytes>) -> bool + Send + 'static,
    mut edit: impl FnMut(&mut Response<Bytes>) + Send + 'static,
) -> Box<dyn Overlay> {
    on_exchange(
        (),
        move |(), request| chosen(request).then_some(()),
        move |(), (), response| edit(response),
    )
}

/// The text at a JSON pointer; empty when there is none.
pub(in crate::mutants::hub) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Sets the value at a JSON pointer where there is one.
pub(in crate::mutants::hub) fn set_at(value: &mut Value, pointer: &str, new: impl Into<Value>) {
    if let Some(value) = value.pointer_mut(pointer) {
        *value = new.into();
    }
}
