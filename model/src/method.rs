//! Direct methods: what a back end may ask of a device (hub-methods.md).

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::error::{ErrorCode, Refusal};

/// The longest method name, in characters (MethodRequestValidator.cs).
const NAME_LENGTH_MAX: usize = 100;

/// The largest payload, in bytes of its JSON text (HUB-METH-017).
pub const PAYLOAD_BYTES_MAX: usize = 128 * 1024;

/// Allowed response timeouts, in seconds (HUB-METH-015).
const RESPONSE_SECONDS: std::ops::RangeInclusive<i64> = 5..=300;
/// The response timeout when none is given (HUB-METH-014).
const RESPONSE_SECONDS_DEFAULT: i64 = 30;

/// Allowed connect timeouts, in seconds (HUB-METH-016); the default is 0.
const CONNECT_SECONDS: std::ops::RangeInclusive<i64> = 0..=300;

/// Characters that a method name may not hold; iot-hub-devguide-direct-methods.md § Method
/// lifecycle, note.
///
/// `#` and `+` are ours: no topic name may hold them (MQTT-3.3.2-2).
const NAME_FORBIDDEN: &str = "$()<>@,;:\\\"/[]?={}#+ \t";

/// A call as a back end makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodCall {
    /// Method name.
    pub name: String,
    /// The payload's JSON text, as it was written; `null` when there is none.
    pub payload: String,
    /// How long the device may take to come online and listen.
    pub connect_wait: Duration,
    /// How long the device may take to answer.
    pub response_wait: Duration,
}

/// The body of the call; unknown members are ignored (HUB-METH-025).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(default)]
    method_name: Option<String>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    response_timeout_in_seconds: Option<i64>,
    #[serde(default)]
    connect_timeout_in_seconds: Option<i64>,
}

impl MethodCall {
    /// Reads the body of a call.
    ///
    /// # Errors
    /// Names the member that is wrong and what it may hold.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let body: Body<'_> =
            serde_json::from_slice(body).map_err(|error| unreadable(body, &error))?;
        let payload = body.payload.map_or("null", RawValue::get);
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Refusal::invalid(format!(
                "'payload' size should be less than {PAYLOAD_BYTES_MAX} bytes."
            )));
        }
        let response = body.response_timeout_in_seconds.unwrap_or(RESPONSE_SECONDS_DEFAULT);
        let connect = body.connect_timeout_in_seconds.unwrap_or(0);
        Ok(Self {
            name: name(body.method_name)?,
            payload: payload.to_owned(),
            connect_wait: within("connectTimeoutInSeconds", connect, &CONNECT_SECONDS)?,
            response_wait: within("responseTimeoutInSeconds", response, &RESPONSE_SECONDS)?,
        })
    }
}

/// The refusal of a body that is no call: JSON of another shape breaks a rule for calls, not for JSON
/// (hub-http.md § 6.2, A-H66).
fn unreadable(body: &[u8], error: &serde_json::Error) -> Refusal {
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    let code = if is_json { ErrorCode::ArgumentInvalid } else { ErrorCode::IotHubFormatError };
    Refusal::new(code, format!("Cannot read the method call: {error}"))
}

/// The JSON text that a back end gets of what a device answered: the device's own, or `null` where it
/// sent nothing (HUB-METH-006, HUB-METH-007).
///
/// # Errors
/// [`ErrorCode::GenericBadGateway`] for what is too large or no JSON (A-H55).
pub fn answer_payload(body: &[u8]) -> Result<&str, Refusal> {
    let bad = |why: &str| Refusal::new(ErrorCode::GenericBadGateway, why);
    match body {
        [] => Ok("null"),
        body if body.len() > PAYLOAD_BYTES_MAX => {
            Err(bad("The device's answer is larger than the hub passes on."))
        }
        body => match serde_json::from_slice::<&RawValue>(body) {
            Ok(raw) => Ok(raw.get()),
            Err(_) => Err(bad("The device's answer is not JSON.")),
        },
    }
}

fn name(name: Option<String>) -> Result<String, Refusal> {
    let name = name.unwrap_or_default();
    if name.trim().is_empty() {
        return Err(Refusal::invalid("methodName is missing or blank"));
    }
    if name.chars().count() > NAME_LENGTH_MAX {
        return Err(Refusal::invalid(format!(
            "methodName is longer than {NAME_LENGTH_MAX} characters"
        )));
    }
    let allowed = |c: char| c.is_ascii_graphic() && !NAME_FORBIDDEN.contains(c);
    match name.chars().find(|c| !allowed(*c)) {
        None => Ok(name),
        Some(found) => Err(Refusal::invalid(format!(
            "methodName contains {found:?}; allowed are ASCII characters other than blanks and any \
             of {NAME_FORBIDDEN}"
        ))),
    }
}

fn within(
    member: &str,
    seconds: i64,
    allowed: &std::ops::RangeInclusive<i64>,
) -> Result<Duration, Refusal> {
    match u64::try_from(seconds) {
        Ok(whole) if allowed.contains(&seconds) => Ok(Duration::from_secs(whole)),
        _ => Err(Refusal::invalid(format!(
            "{member} must be within [{}; {}].",
            allowed.start(),
            allowed.end()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_kept_as_it_was_written() {
        let body = br#"{"methodName":"go","payload":{"b":1.50, "a":"2031-01-02T03:04:05.1Z"}}"#;
        let call = MethodCall::parse(body).unwrap();
        assert_eq!(call.payload, r#"{"b":1.50, "a":"2031-01-02T03:04:05.1Z"}"#);
        assert_eq!(call.response_wait, Duration::from_secs(30));
        assert_eq!(call.connect_wait, Duration::ZERO);
    }

    #[test]
    fn json_of_another_shape_is_no_format_error() {
        let code = |body: &str| MethodCall::parse(body.as_bytes()).unwrap_err().code;
        for body in [r#""go""#, "[]", "7", r#"{"methodName":7}"#] {
            assert_eq!(code(body), ErrorCode::ArgumentInvalid, "{body}");
        }
        for body in ["", r#"{"methodName":"go""#, r#""go" and more"#] {
            assert_eq!(code(body), ErrorCode::IotHubFormatError, "{body}");
        }
    }

    #[test]
    fn a_bad_member_is_named() {
        for (body, words) in [
            (r#"{"payload":1}"#, "methodName is missing"),
            (r#"{"methodName":"a b"}"#, "methodName contains ' '"),
            (r#"{"methodName":"a","responseTimeoutInSeconds":4}"#, "within [5; 300]"),
            (r#"{"methodName":"a","connectTimeoutInSeconds":-1}"#, "within [0; 300]"),
        ] {
            let refusal = MethodCall::parse(body.as_bytes()).unwrap_err();
            assert!(refusal.message.contains(words), "{refusal}");
        }
    }
}
