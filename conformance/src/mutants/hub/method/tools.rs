//! What defects of direct methods have in common.

use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::ConnectionId;
use twinspec_model::wire::mqtt::Publish;
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use crate::mutants::overlay::{
    edit_json, on_device_publish, on_hub_publish, on_request, on_response, set, set_status,
};

/// The header that names an error.
pub(super) const ERROR_HEADER: &str = "iothub-errorcode";

/// Whether a request calls a method.
pub(super) fn is_call(request: &http::Request<Bytes>) -> bool {
    request.uri().path().ends_with("/methods")
}

/// An overlay that edits the body of every call before the model sees it.
pub(super) fn on_call(mut edit: impl FnMut(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_request(move |request| {
        if is_call(request) {
            edit_json(request.body_mut(), &mut edit);
        }
    })
}

/// A member of a call in seconds.
pub(super) fn seconds(call: &Value, member: &str) -> Option<i64> {
    call.get(member).and_then(Value::as_i64)
}

/// An overlay that edits every request that is delivered to a device, or drops it by returning
/// `false`.
pub(super) fn on_delivery(
    mut edit: impl FnMut(&mut Publish) -> bool + Send + 'static,
) -> Box<dyn Overlay> {
    on_hub_publish(move |topic, publish| match topic {
        HubTopic::MethodRequest { .. } => edit(publish),
        _ => true,
    })
}

/// An overlay that edits every answer of a device before the model sees it, or hides it by
/// returning `false`.
pub(super) fn on_reply(
    mut edit: impl FnMut(&mut Publish) -> bool + Send + 'static,
) -> Box<dyn Overlay> {
    on_device_publish(move |_: ConnectionId, topic, publish| match topic {
        DeviceTopic::MethodResponse { .. } => edit(publish),
        _ => true,
    })
}

/// An overlay that edits the response to every call that a device has answered.
pub(super) fn on_result(
    mut edit: impl FnMut(&mut http::Response<Bytes>) + Send + 'static,
) -> Box<dyn Overlay> {
    on_response(move |response| {
        if result_of(response).is_some() {
            edit(response);
        }
    })
}

/// The body of a response to a call that a device has answered.
pub(super) fn result_of(response: &http::Response<Bytes>) -> Option<Value> {
    let body: Value = serde_json::from_slice(response.body()).ok()?;
    let is_result = body.get("status")?.is_i64() && body.get("payload").is_some();
    is_result.then_some(body)
}

/// The error in the response to a call: the object within `Message`.
pub(super) fn error_of(response: &http::Response<Bytes>) -> Option<Value> {
    let body: Value = serde_json::from_slice(response.body()).ok()?;
    serde_json::from_str(body.get("Message")?.as_str()?).ok()
}

/// Whether a response to a call says the error `number`.
pub(super) fn says(response: &http::Response<Bytes>, number: u32) -> bool {
    error_of(response).is_some_and(|error| error.get("errorCode") == Some(&Value::from(number)))
}

/// An overlay that says the error `number` of calls as another one.
pub(super) fn recoding(number: u32, to: u32, name: &'static str) -> Box<dyn Overlay> {
    on_response(move |response| {
        if says(response, number) {
            recode(response, to, name);
        }
    })
}

/// Makes the error of a call another one.
pub(super) fn recode(response: &mut http::Response<Bytes>, number: u32, name: &'static str) {
    let Some(mut error) = error_of(response) else { return };
    set(&mut error, "errorCode", number);
    edit_json(response.body_mut(), |body| set(body, "Message", error.to_string()));
    response.headers_mut().insert(ERROR_HEADER, HeaderValue::from_static(name));
    set_status(response, u16::try_from(number / 1000).unwrap_or(500));
}
