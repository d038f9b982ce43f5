//! What devices are offered over HTTPS (HUB-HTTP-014).

use http::Method;
use http::header::{CONTENT_TYPE, IF_MATCH};
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::auth;

use crate::bench::{Bench, Registered, identity_path, twin_path};
use crate::body;
use crate::case::{Case, Need};
use crate::cases::hub::registry::calls::text;

use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "http-device-telemetry-accepted",
        title: "A telemetry POST by a device is answered 204",
        requirements: &["HUB-HTTP-014"],
        needs: &[],
        run: body!(telemetry_accepted),
    },
    Case {
        id: "http-device-telemetry-routed",
        title: "A telemetry POST by a device becomes an event with its body",
        requirements: &["HUB-HTTP-014"],
        needs: &[Need::Control],
        run: body!(telemetry_routed),
    },
    Case {
        id: "http-device-batch-routed",
        title: "A batch of messages becomes an event for each, with its own body and properties",
        requirements: &["HUB-HTTP-020"],
        needs: &[Need::Control],
        run: body!(batch_routed),
    },
    Case {
        id: "http-device-message-received",
        title: "A device receives a message over HTTPS and completes it",
        requirements: &["HUB-HTTP-014"],
        needs: &[Need::Control],
        run: body!(message_received),
    },
    Case {
        id: "http-device-twin-not-offered",
        title: "A device is shown no twin over HTTPS",
        requirements: &["HUB-HTTP-014"],
        needs: &[],
        run: body!(twin_not_offered),
    },
];

/// The content type of a batch of messages.
const BATCH: &str = "application/vnd.microsoft.iothub.json";

/// Sends a request with the device's own token.
async fn call_by(
    bench: &mut Bench,
    device: &Registered,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Checked<Answer> {
    bench.call_as(token(bench, device), method, path, body).await
}

fn token(bench: &Bench, device: &Registered) -> Option<String> {
    let resource = format!("{}/{}", bench.host(), device.identity.resource_path());
    auth::sign(&device.key, &resource, bench.in_an_hour(), None)
}

async fn post_telemetry(bench: &mut Bench, device: &Registered, body: &Value) -> Checked {
    let path = format!("{}/messages/events", identity_path(&device.identity));
    let answer = call_by(bench, device, Method::POST, &path, Some(body)).await?;
    let accepted = answer.status.as_u16() == 204;
    bench.demand("HUB-HTTP-014", accepted, "204", answer.to_string());
    Ok(())
}

async fn telemetry_accepted(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    post_telemetry(bench, &device, &json!({ "rpm": 4 })).await
}

async fn telemetry_routed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let body = json!({ "rpm": 4 });
    post_telemetry(bench, &device, &body).await?;
    let id = &device.identity.device;
    let is_telemetry = |event: &Value| text(event, "/source") == "Telemetry";
    let event = bench.event("HUB-HTTP-014", "a telemetry event", id, is_telemetry).await?;
    let seen = event.pointer("/body/json").unwrap_or(&Value::Null);
    bench.equal_json("HUB-HTTP-014", "body", &body, seen);
    Ok(())
}

async fn batch_routed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    // `{"rpm":4}` and `{"rpm":5}`, as the SDKs write them.
    let batch = json!([
        { "body": "eyJycG0iOjR9", "properties": { "iothub-app-level": "high" } },
        { "body": "eyJycG0iOjV9" },
    ]);
    let path = format!("{}/messages/events", identity_path(&device.identity));
    let mut request = bench.request(Method::POST, &path, Some(&batch));
    request.authorization = token(bench, &device);
    request.headers.push((CONTENT_TYPE, BATCH.to_owned()));
    let answer = bench.exchange(&request).await?;
    bench.demand("HUB-HTTP-020", answer.status.as_u16() == 204, "204", answer.to_string());
    // What is sent after it shows that no more came of the batch.
    post_telemetry(bench, &device, &json!("last")).await?;
    let id = &device.identity.device;
    let is_last = |event: &Value| event.pointer("/body/json") == Some(&json!("last"));
    bench.event("HUB-HTTP-014", "the message after the batch", id, is_last).await?;
    let events = bench.events(id).await?;
    let telemetry = events.iter().filter(|event| text(event, "/source") == "Telemetry");
    let seen: Value = telemetry
        .filter(|event| !is_last(event))
        .map(|event| {
            let at = |pointer: &str| event.pointer(pointer).cloned().unwrap_or_default();
            json!({ "body": at("/body/json"), "properties": at("/properties") })
        })
        .collect();
    let expected = json!([
        { "body": { "rpm": 4 }, "properties": { "level": "high" } },
        { "body": { "rpm": 5 }, "properties": {} },
    ]);
    bench.equal_json("HUB-HTTP-020", "messages of the batch", &expected, &seen);
    Ok(())
}

async fn message_received(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.send_to_device(&device.identity.device, &[("level", Some("3"))], "wake up").await?;
    let path = format!("{}/messages/devicebound", identity_path(&device.identity));
    let answer = call_by(bench, &device, Method::GET, &path, None).await?;
    let holds = answer.status.as_u16() == 200 && *answer.body == *b"wake up";
    bench.demand("HUB-HTTP-014", holds, "200 with the message", answer.to_string());
    let lock = answer.header("etag").unwrap_or_default().trim_matches('"').to_owned();
    let settle = format!("{path}/{lock}");
    let mut request = bench.request(Method::DELETE, &settle, None);
    request.authorization = token(bench, &device);
    // SDKs name the lock here too (hub-http.md § 7).
    request.headers.push((IF_MATCH, lock));
    let answer = bench.exchange(&request).await?;
    let holds = answer.status.as_u16() == 204;
    bench.demand("HUB-HTTP-014", holds, "204 for the settled message", answer.to_string());
    let answer = call_by(bench, &device, Method::GET, &path, None).await?;
    let holds = answer.status.as_u16() == 204;
    bench.demand("HUB-HTTP-014", holds, "204 without a further message", answer.to_string());
    Ok(())
}

async fn twin_not_offered(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    post_telemetry(bench, &device, &json!({ "rpm": 4 })).await?;
    let own = format!("{}/twin", identity_path(&device.identity));
    for path in [own, twin_path(&device.identity)] {
        let answer = call_by(bench, &device, Method::GET, &path, None).await?;
        let refused = answer.status.is_client_error();
        bench.demand("HUB-HTTP-014", refused, format!("4xx for {path}"), answer.to_string());
    }
    Ok(())
}
