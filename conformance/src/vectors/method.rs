//! Family `method`: what a device sees of a call, and what the caller sees of its answer.

use serde_json::{Value, json};
use twinspec_model::method::{MethodCall, answer_payload};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use super::{Input, member, number, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    match text(case, "side")? {
        "call" => call(case),
        "answer" => device_answer(case),
        other => Err(format!("unknown side {other:?}")),
    }
}

fn call(case: &Value) -> Result<Value, String> {
    let rid = text(case, "rid")?.to_owned();
    let (body, is_filled) = match case.get("fill") {
        None => (text(case, "body")?.to_owned(), false),
        Some(fill) => (filled(fill)?, true),
    };
    let call = match MethodCall::parse(body.as_bytes()) {
        Ok(call) => call,
        Err(refusal) => {
            let (status, code) = (refusal.code.status(), refusal.code.number());
            return Ok(json!({ "status": status, "code": code }));
        }
    };
    let payload = if is_filled {
        ("payload_bytes", json!(call.payload.len()))
    } else {
        ("payload", json!(call.payload))
    };
    Ok(json!({
        "topic": HubTopic::MethodRequest { name: call.name, rid }.to_topic(),
        payload.0: payload.1,
        "connect_seconds": call.connect_wait.as_secs(),
        "response_seconds": call.response_wait.as_secs(),
    }))
}

/// A call whose payload is a string of `length` times the letter x.
fn filled(fill: &Value) -> Result<String, String> {
    let length = usize::try_from(number(fill, "length")?).map_err(|error| error.to_string())?;
    let name = text(fill, "name")?;
    Ok(json!({ "methodName": name, "payload": "x".repeat(length) }).to_string())
}

fn device_answer(case: &Value) -> Result<Value, String> {
    let Some(DeviceTopic::MethodResponse { status, rid }) =
        DeviceTopic::parse(text(case, "topic")?)
    else {
        return Err("the topic is none of an answer".to_owned());
    };
    let payload = member(case, "payload")?.as_str().ok_or("payload is no string")?;
    Ok(match answer_payload(payload.as_bytes()) {
        Ok(payload) => json!({ "rid": rid, "http": 200, "status": status, "payload": payload }),
        Err(refusal) => json!({ "rid": rid, "http": refusal.code.status() }),
    })
}

/// Signs that names are known to have, besides letters and digits.
const NAME_SIGNS: &str = "-_.*";

pub(super) fn open_point(case: &Value, expect: &Value) -> Option<&'static str> {
    if expect.get("http") == Some(&json!(502)) {
        return Some("A-H55");
    }
    let body: Value = serde_json::from_str(case.get("body")?.as_str()?).ok()?;
    let Some(call) = body.as_object() else {
        return Some("A-H66");
    };
    let name = call.get("methodName").and_then(Value::as_str).unwrap_or_default();
    let is_settled = |sign: char| sign.is_ascii_alphanumeric() || NAME_SIGNS.contains(sign);
    if !name.trim().is_empty() && !name.chars().all(is_settled) {
        Some("A-H58")
    } else {
        (expect.get("topic").is_some() && !call.contains_key("payload")).then_some("A-H57")
    }
}

/// Every timeout at and next to its bounds, and names with each printable character.
pub(super) fn inputs() -> Vec<Input> {
    let call = |title: String, requirements: Vec<&'static str>, body: Value| Input {
        title,
        requirements,
        members: vec![
            ("side", json!("call")),
            ("rid", json!("2a")),
            ("body", json!(body.to_string())),
        ],
    };
    let timeout = |member: &'static str, requirement: &'static str, seconds: i64| {
        let body = json!({ "methodName": "go", "payload": null, member: seconds });
        call(format!("A call with {member} {seconds}."), vec![requirement], body)
    };
    let response = [-1, 0, 4, 5, 6, 299, 300, 301];
    let response =
        response.map(|seconds| timeout("responseTimeoutInSeconds", "HUB-METH-015", seconds));
    let connect = [-1, 0, 1, 299, 300, 301];
    let connect =
        connect.map(|seconds| timeout("connectTimeoutInSeconds", "HUB-METH-016", seconds));
    let names = "!#$%&'()*+,-./:;<=>?@[]^_`{|}~\"\\".chars().map(|sign| {
        call(
            format!("A call of a method with {sign} in its name."),
            vec!["HUB-METH-001"],
            json!({ "methodName": format!("a{sign}b"), "payload": null }),
        )
    });
    response.into_iter().chain(connect).chain(names).collect()
}
