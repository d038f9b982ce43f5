//! What the sources leave open about methods: any allowed outcome will do, unless the profile pins
//! one.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{Line, call, with};
use crate::bench::{Bench, IfMatch, twin_path};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-open-unknown-request-id",
        title: "An answer to a call that was never made is ignored, or ends the connection",
        requirements: &["A-H13"],
        needs: &[],
        run: body!(unknown_request_id),
    },
    Case {
        id: "method-open-status-not-a-number",
        title: "An answer whose status is no number ends the connection, or is ignored",
        requirements: &["A-H14"],
        needs: &[],
        run: body!(status_not_a_number),
    },
    Case {
        id: "method-open-lost-device",
        title: "A device that goes during a call is not online, or unavailable by one of two names",
        requirements: &["A-H54"],
        needs: &[],
        run: body!(lost_device),
    },
    Case {
        id: "method-open-garbage-answer",
        title: "An answer that is no JSON is answered 502 or passed on, and calls go on",
        requirements: &["A-H55", "HUB-METH-004"],
        needs: &[],
        run: body!(garbage_answer),
    },
    Case {
        id: "method-open-unknown-device",
        title: "A call of an unknown device with a connect timeout fails at once, or after it",
        requirements: &["A-H56"],
        needs: &[],
        run: body!(unknown_device),
    },
    Case {
        id: "method-open-no-payload",
        title: "A call without a payload shows the device null, or nothing",
        requirements: &["A-H57"],
        needs: &[],
        run: body!(no_payload),
    },
    Case {
        id: "method-open-name-characters",
        title: "A name with a forbidden character is refused, or delivered",
        requirements: &["A-H58"],
        needs: &[],
        run: body!(name_characters),
    },
];

async fn after_publish(bench: &mut Bench, id: &'static str, topic: &str) -> Checked {
    let mut line = Line::open(bench).await?;
    line.demand_served(bench, "HUB-METH-001", &call("before", &json!(1))).await?;
    line.connection.publish(topic, "{}").await?;
    let tag = if line.connection.is_open().await? { "ignored" } else { "closed" };
    bench.decides(id, tag, format!("{tag} after {topic}"));
    Ok(())
}

async fn unknown_request_id(bench: &mut Bench) -> Checked {
    after_publish(bench, "A-H13", "$iothub/methods/res/200/?$rid=never-made").await
}

async fn status_not_a_number(bench: &mut Bench) -> Checked {
    after_publish(bench, "A-H14", "$iothub/methods/res/fine/?$rid=1").await
}

async fn lost_device(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = with(call("fall", &json!(2)), "responseTimeoutInSeconds", 5);
    let call = line.call(bench, &body).await;
    line.connection.method_request("HUB-METH-001").await?;
    line.connection.cut().await;
    let answer = bench.outcome("HUB-METH-027", call).await?;
    let text = format!("{answer} {:?}", answer.header("iothub-errorcode"));
    let tag = match answer.status.as_u16() {
        404 if text.contains("404103") || text.contains("DeviceNotOnline") => "not-online",
        404 if text.to_ascii_lowercase().contains("unavailable") => "device-unavailable",
        503 => "service-unavailable",
        _ => "otherwise",
    };
    bench.decides("A-H54", tag, text);
    Ok(())
}

async fn garbage_answer(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    for garbage in ["done", "{\"a\":", "\u{1}\u{2}\u{3}"] {
        let body = call("measure", &json!(1));
        let answer = line.exchange(bench, "HUB-METH-004", &body, (200, garbage)).await?.answer;
        let is_passed_on = String::from_utf8_lossy(&answer.body).contains(garbage);
        let tag = match answer.status.as_u16() {
            200 if is_passed_on => "passed-through",
            502 => "bad-gateway",
            _ => "otherwise",
        };
        bench.decides("A-H55", tag, format!("{garbage:?}: {answer}"));
    }
    line.demand_served(bench, "HUB-METH-004", &call("after", &json!(2))).await.map(drop)
}

async fn unknown_device(bench: &mut Bench) -> Checked {
    const CONNECT_SECONDS: u64 = 6;
    let nobody = bench.new_name();
    let path = twin_path(&twinspec_model::identity::Identity::device(nobody));
    let body = with(call("go", &Value::Null), "connectTimeoutInSeconds", CONNECT_SECONDS);
    let began = Instant::now();
    let path = format!("{path}/methods");
    let answer = bench.call(Method::POST, &path, IfMatch::Absent, Some(&body)).await?;
    bench.equal("HUB-METH-018", "status", 404, answer.status.as_u16());
    let took = began.elapsed();
    let is_delayed = took >= Duration::from_secs(CONNECT_SECONDS);
    let tag = if is_delayed { "delayed" } else { "at-once" };
    bench.decides("A-H56", tag, format!("{answer} after {took:?}"));
    Ok(())
}

async fn no_payload(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = json!({ "methodName": "reboot", "connectTimeoutInSeconds": 30 });
    let request = line.exchange(bench, "HUB-METH-001", &body, (200, "{}")).await?.request;
    let text = request.text();
    let tag = match text.as_str() {
        "null" => "null",
        "" => "empty",
        _ => "otherwise",
    };
    bench.decides("A-H57", tag, format!("the body {text:?}"));
    Ok(())
}

async fn name_characters(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    line.demand_served(bench, "HUB-METH-001", &call("fine", &json!(1))).await?;
    let path = format!("{}/methods", twin_path(&line.who.identity));
    let body = with(call("not@fine", &json!(1)), "responseTimeoutInSeconds", 5);
    // The device never answers: a call that was delivered ends with 504.
    let answer = bench.call(Method::POST, &path, IfMatch::Absent, Some(&body)).await?;
    let tag = match answer.status.as_u16() {
        400 => "refused",
        504 => "delivered",
        _ => "otherwise",
    };
    bench.decides("A-H58", tag, answer.to_string());
    Ok(())
}
