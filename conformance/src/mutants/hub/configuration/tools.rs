//! Tools for defects of configurations.

use bytes::Bytes;
use http::header::IF_MATCH;
use http::{Method, Request, Response};
use serde_json::Value;
use twinspec_harness::hub::Overlay;

use crate::mutants::hub::registry::calls::on_answer;
use crate::mutants::overlay::{edit_json, on_exchange, on_request};

/// The id, still encoded, in the path of a request about one configuration.
pub(super) fn id_of(request: &Request<Bytes>) -> Option<&str> {
    request.uri().path().strip_prefix("/configurations/").filter(|id| *id != "testQueries")
}

/// Whether `request` is of `method` and about one configuration.
pub(super) fn is_call(request: &Request<Bytes>, method: &Method) -> bool {
    request.method() == method && id_of(request).is_some()
}

/// Whether `request` updates a configuration.
pub(super) fn is_update(request: &Request<Bytes>) -> bool {
    is_call(request, &Method::PUT) && request.headers().contains_key(IF_MATCH)
}

/// An overlay that edits the bodies of PUTs; the first argument tells updates from creations.
pub(super) fn on_put(mut edit: impl FnMut(bool, &mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_request(move |request| {
        if is_call(request, &Method::PUT) {
            let updates = is_update(request);
            edit_json(request.body_mut(), |body| edit(updates, body));
        }
    })
}

/// An overlay that edits the text of each target condition that is written.
pub(super) fn misreading(edit: impl Fn(&str) -> String + Send + 'static) -> Box<dyn Overlay> {
    on_put(move |_, body| {
        if let Some(Value::String(text)) = body.get_mut("targetCondition") {
            *text = edit(text);
        }
    })
}

/// An overlay that edits the answers to requests of `method` about one configuration.
pub(super) fn on_answers(
    method: Method,
    edit: impl FnMut(&mut Response<Bytes>) + Send + 'static,
) -> Box<dyn Overlay> {
    on_answer(move |request| is_call(request, &method), edit)
}

/// An overlay that edits each document that is answered.
pub(super) fn on_documents(mut edit: impl FnMut(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_answer(
        |request| id_of(request).is_some(),
        move |response| edit_document(response, &mut edit),
    )
}

/// Edits the document in an answer.
pub(super) fn edit_document(response: &mut Response<Bytes>, edit: impl FnOnce(&mut Value)) {
    edit_json(response.body_mut(), |body| {
        if body.get("targetCondition").is_some() {
            edit(body);
        }
    });
}

/// An overlay under which the hub ranks configurations by other priorities than those that back ends
/// read and write.
///
/// `rank` is told whether it is an update, the id and the priority.
pub(super) fn ranking<S: Send + 'static>(
    state: S,
    rank: impl Fn(&mut S, bool, &str, u64) -> u64 + Send + 'static,
) -> Box<dyn Overlay> {
    let shown = std::collections::BTreeMap::<String, Value>::new();
    on_exchange(
        (state, shown),
        move |(state, shown), request| {
            let id = id_of(request)?.to_owned();
            if is_call(request, &Method::PUT) {
                let updates = is_update(request);
                edit_json(request.body_mut(), |body| {
                    let Some(priority) = body.get_mut("priority") else { return };
                    shown.insert(id.clone(), priority.clone());
                    let number = priority.as_u64().unwrap_or_default();
                    *priority = rank(state, updates, &id, number).into();
                });
            }
            Some(id)
        },
        |(_, shown), id, response| {
            edit_document(response, |document| {
                if let (Some(priority), Some(shown)) =
                    (document.get_mut("priority"), shown.get(&id))
                {
                    *priority = shown.clone();
                }
            });
        },
    )
}
