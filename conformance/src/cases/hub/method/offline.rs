//! Calls for whoever is not there or does not exist (HUB-METH-009 to -011, -018, -019, -026).

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;

use super::call::{Line, NOT_ONLINE, call, demand_bad_request, demand_error, with};
use crate::bench::{Bench, IfMatch, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-offline-never-connected",
        title: "A call for a device that never connected fails as not online",
        requirements: &["HUB-METH-009"],
        needs: &[],
        run: body!(offline_never_connected),
    },
    Case {
        id: "method-offline-disconnected",
        title: "A call for a device that listened and said goodbye fails as not online",
        requirements: &["HUB-METH-009"],
        needs: &[],
        run: body!(offline_disconnected),
    },
    Case {
        id: "method-offline-module",
        title: "A call for a module that is not connected fails as not online",
        requirements: &["HUB-METH-009"],
        needs: &[],
        run: body!(offline_module),
    },
    Case {
        id: "method-unsubscribed",
        title: "A connected device that subscribed to nothing is not online for methods",
        requirements: &["HUB-METH-010"],
        needs: &[],
        run: body!(unsubscribed),
    },
    Case {
        id: "method-unsubscribed-twin-only",
        title: "A device that listens to its twin only is not online for methods",
        requirements: &["HUB-METH-010"],
        needs: &[],
        run: body!(unsubscribed_twin_only),
    },
    Case {
        id: "method-offline-at-once",
        title: "Without a connect timeout, or with 0, a call for an absent device fails at once",
        requirements: &["HUB-METH-011"],
        needs: &[],
        run: body!(offline_at_once),
    },
    Case {
        id: "method-unknown-device",
        title: "A call for a device that is not registered fails as not found",
        requirements: &["HUB-METH-018"],
        needs: &[],
        run: body!(unknown_device),
    },
    Case {
        id: "method-unknown-module",
        title: "A call for a module that its device does not have fails as not found",
        requirements: &["HUB-METH-019"],
        needs: &[],
        run: body!(unknown_module),
    },
    Case {
        id: "method-error-form-offline",
        title: "The error of an absent device is a JSON text within Message, named in a header",
        requirements: &["HUB-METH-026"],
        needs: &[],
        run: body!(error_form_offline),
    },
    Case {
        id: "method-error-form-refused",
        title: "The error of a bad timeout is a JSON text within Message, named in a header",
        requirements: &["HUB-METH-026"],
        needs: &[],
        run: body!(error_form_refused),
    },
];

/// A call that waits for no device.
fn impatient_call() -> Value {
    json!({ "methodName": "reboot", "payload": null })
}

/// The answer to a call for `identity` that waits for no device.
async fn called(
    bench: &mut Bench,
    requirement: &'static str,
    identity: &Identity,
) -> Checked<Answer> {
    let call = bench.invoke(identity, &impatient_call()).await;
    bench.outcome(requirement, call).await
}

async fn offline_never_connected(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_offline(bench, "HUB-METH-009", &device).await
}

async fn offline_disconnected(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    line.demand_served(bench, "HUB-METH-001", &call("reboot", &json!(1))).await?;
    line.connection.disconnect().await?;
    demand_offline(bench, "HUB-METH-009", &line.who).await
}

async fn offline_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_offline(bench, "HUB-METH-009", &module).await
}

async fn unsubscribed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    demand_offline(bench, "HUB-METH-010", &device).await?;
    let open = connection.is_open().await?;
    bench.demand("HUB-METH-010", open, "the connection is kept", "it was closed");
    Ok(())
}

async fn unsubscribed_twin_only(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.twin().await?;
    demand_offline(bench, "HUB-METH-010", &device).await
}

async fn demand_offline(bench: &mut Bench, requirement: &'static str, who: &Registered) -> Checked {
    let answer = called(bench, requirement, &who.identity).await?;
    demand_error(bench, requirement, &answer, NOT_ONLINE);
    Ok(())
}

async fn offline_at_once(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let limit = bench.budget(Duration::from_secs(5));
    let explicit = with(impatient_call(), "connectTimeoutInSeconds", 0);
    for body in [impatient_call(), explicit] {
        let began = Instant::now();
        let call = bench.invoke(&device.identity, &body).await;
        let answer = bench.outcome("HUB-METH-011", call).await?;
        let took = began.elapsed();
        let holds = answer.status.as_u16() == 404 && took < limit;
        let allowed = format!("HTTP 404 within {limit:?}");
        bench.demand("HUB-METH-011", holds, allowed, format!("{answer} after {took:?}"));
    }
    Ok(())
}

async fn unknown_device(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    for rest in ["methods", "modules/vision/methods"] {
        let path = format!("/twins/{}-missing/{rest}", device.identity.device);
        let answer = posted(bench, &path).await?;
        demand_error(bench, "HUB-METH-018", &answer, (404_001, "DeviceNotFound"));
    }
    Ok(())
}

async fn unknown_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let path = format!("/twins/{}/modules/missing/methods", device.identity.device);
    let answer = posted(bench, &path).await?;
    demand_error(bench, "HUB-METH-019", &answer, (404_010, "ModuleNotFound"));
    Ok(())
}

/// The answer to a call for somebody who has no twin to look at meanwhile.
async fn posted(bench: &mut Bench, path: &str) -> Checked<Answer> {
    let body = impatient_call();
    bench.call(Method::POST, path, IfMatch::Absent, Some(&body)).await
}

async fn error_form_offline(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let answer = called(bench, "HUB-METH-026", &device.identity).await?;
    bench.equal("HUB-METH-009", "HTTP status", 404, answer.status.as_u16());
    demand_nested(bench, &answer, NOT_ONLINE);
    Ok(())
}

async fn error_form_refused(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = with(call("reboot", &Value::Null), "responseTimeoutInSeconds", 400);
    let call = line.call(bench, &body).await;
    let answer = bench.outcome("HUB-METH-015", call).await?;
    demand_bad_request(bench, "HUB-METH-015", "responseTimeoutInSeconds 400", &answer);
    demand_nested(bench, &answer, (400_004, "ArgumentInvalid"));
    Ok(())
}

/// The nested form with `number`, and `name` in the header.
fn demand_nested(bench: &mut Bench, answer: &Answer, (number, name): (u32, &str)) {
    let body = answer.json();
    let message = body.get("Message").and_then(Value::as_str).unwrap_or_default();
    let inner: Value = serde_json::from_str(message).unwrap_or_default();
    let nested = inner.get("errorCode") == Some(&json!(number));
    let allowed = format!("Message with a JSON text whose errorCode is {number}");
    bench.demand("HUB-METH-026", nested, allowed, answer.to_string());
    let seen = answer.header("iothub-errorcode").unwrap_or("none").to_owned();
    bench.equal("HUB-METH-026", "iothub-errorcode", name.to_owned(), seen);
}
