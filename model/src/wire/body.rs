//! Error bodies in both forms (hub-http.md § 6.1).

use serde_json::{Value, json};

use crate::error::Refusal;
use crate::time::Time;

/// The flat form of HTTP errors: `Message` starts with `ErrorCode:<Name>;` (HUB-HTTP-006).
#[must_use]
pub fn flat_error(refusal: &Refusal, tracking_id: &str, now: Time) -> Value {
    json!({
        "Message": format!("ErrorCode:{};{}", refusal.code.name(), refusal.message),
        "ExceptionMessage":
            format!("Tracking ID:{tracking_id}-TimeStamp:{}", now.tracking_stamp()),
    })
}

/// The inner object of the nested form, which MQTT answers carry as their body (HUB-TWIN-016).
#[must_use]
pub fn nested_error(refusal: &Refusal, tracking_id: &str, now: Time) -> Value {
    json!({
        "errorCode": refusal.code.number(),
        "trackingId": tracking_id,
        "message": refusal.message,
        "timestampUtc": now.to_string(),
    })
}

/// The nested form of HTTP errors: `Message` is a string that holds the inner object.
#[must_use]
pub fn wrapped_error(refusal: &Refusal, tracking_id: &str, now: Time) -> Value {
    let info = Some(refusal.info.clone()).filter(|info| !info.is_null());
    let mut inner = nested_error(refusal, tracking_id, now);
    if let Some(members) = inner.as_object_mut() {
        members.insert("info".to_owned(), info.unwrap_or_else(|| json!({})));
    }
    json!({ "Message": inner.to_string(), "ExceptionMessage": "" })
}
