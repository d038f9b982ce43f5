//! What a device gets as the body of a method request (HUB-METH-002, -003, -017).

use serde_json::{Value, json};

use super::call::{Line, call};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-payload-structures",
        title: "Objects and arrays reach the device as their JSON text",
        requirements: &["HUB-METH-002"],
        needs: &[],
        run: body!(payload_structures),
    },
    Case {
        id: "method-payload-scalars",
        title: "Numbers, booleans and strings reach the device as their JSON text",
        requirements: &["HUB-METH-002"],
        needs: &[],
        run: body!(payload_scalars),
    },
    Case {
        id: "method-payload-text-kept",
        title: "A compact payload reaches the device to the letter",
        requirements: &["HUB-METH-002"],
        needs: &[],
        run: body!(payload_text_kept),
    },
    Case {
        id: "method-payload-null",
        title: "A null payload reaches the device as null",
        requirements: &["HUB-METH-003"],
        needs: &[],
        run: body!(payload_null),
    },
    Case {
        id: "method-payload-empty-string",
        title: "An empty string as payload reaches the device as two quotes",
        requirements: &["HUB-METH-003"],
        needs: &[],
        run: body!(payload_empty_string),
    },
    Case {
        id: "method-payload-large",
        title: "A payload of 120 KB is delivered whole, one of 140 KB is refused",
        requirements: &["HUB-METH-017"],
        needs: &[],
        run: body!(payload_large),
    },
    Case {
        id: "method-payload-large-object",
        title: "An object of 120 KB is delivered whole, one of 140 KB is refused",
        requirements: &["HUB-METH-017"],
        needs: &[],
        run: body!(payload_large_object),
    },
];

async fn payload_structures(bench: &mut Bench) -> Checked {
    let payloads = [
        json!({}),
        json!({ "delay": 5, "why": { "text": "a \"word\"", "codes": [1, 2], "note": null } }),
        json!([]),
        json!([1, "two", { "three": 3.5 }, [true, null]]),
    ];
    demand_delivered(bench, &payloads).await
}

async fn payload_scalars(bench: &mut Bench) -> Checked {
    let text = json!("2031-01-02T03:04:05Z");
    let payloads =
        [json!(0), json!(-17), json!(2.5), json!(true), json!(false), json!("go \"on\""), text];
    demand_delivered(bench, &payloads).await
}

/// Each of `payloads` arrives as JSON text of the same value.
async fn demand_delivered(bench: &mut Bench, payloads: &[Value]) -> Checked {
    let mut line = Line::open(bench).await?;
    for payload in payloads {
        let body = call("set", payload);
        let exchange = line.exchange(bench, "HUB-METH-001", &body, (200, "null")).await?;
        let text = exchange.request.text();
        let same = serde_json::from_str::<Value>(&text).is_ok_and(|seen| seen == *payload);
        bench.demand("HUB-METH-002", same, format!("the body {payload}"), format!("{text:?}"));
    }
    Ok(())
}

async fn payload_text_kept(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    // Neither in the order of the alphabet nor in the shortest form.
    let text = r#"{"z":1.50,"a":{"t":"2031-01-02T03:04:05.1234567+01:00","b":[3]}}"#;
    let body = format!(r#"{{"methodName":"set","payload":{text},"connectTimeoutInSeconds":30}}"#);
    let call = bench.invoke_text(&line.who.identity, body).await;
    let request = line.connection.method_request("HUB-METH-001").await?;
    bench.equal("HUB-METH-002", "body", text.to_owned(), request.text());
    line.connection.respond(&request, 200, "null").await?;
    bench.outcome("HUB-METH-004", call).await.map(drop)
}

async fn payload_null(bench: &mut Bench) -> Checked {
    demand_bytes(bench, &Value::Null, "null").await
}

async fn payload_empty_string(bench: &mut Bench) -> Checked {
    demand_bytes(bench, &json!(""), "\"\"").await
}

async fn demand_bytes(bench: &mut Bench, payload: &Value, allowed: &str) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = call("set", payload);
    let exchange = line.exchange(bench, "HUB-METH-001", &body, (200, "null")).await?;
    bench.equal("HUB-METH-003", "body", allowed.to_owned(), exchange.request.text());
    Ok(())
}

async fn payload_large(bench: &mut Bench) -> Checked {
    let text = |length: usize| Value::from("x".repeat(length));
    demand_limit(bench, &text(120_000), &text(140_000)).await
}

async fn payload_large_object(bench: &mut Bench) -> Checked {
    let object = |count: usize| {
        let lines: Vec<String> = (0..count).map(|n| format!("{n:07}")).collect();
        json!({ "lines": lines })
    };
    // Each line takes ten bytes: seven digits, two quotes and a comma.
    demand_limit(bench, &object(12_000), &object(14_000)).await
}

/// `small` is delivered whole; `large` is refused and not delivered.
async fn demand_limit(bench: &mut Bench, small: &Value, large: &Value) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = call("store", small);
    let exchange = line.exchange(bench, "HUB-METH-017", &body, (200, "null")).await?;
    let (allowed, seen) = (small.to_string().len(), exchange.request.body.len());
    let same = serde_json::from_slice::<Value>(&exchange.request.body).ok().as_ref() == Some(small);
    let seen = format!("{seen} bytes, equal: {same}");
    bench.demand("HUB-METH-017", same, format!("the payload of {allowed} bytes"), seen);
    let refused = line.call(bench, &call("store", large)).await;
    let answer = bench.outcome("HUB-METH-017", refused).await?;
    let is_refused = answer.status.is_client_error();
    bench.demand("HUB-METH-017", is_refused, "a 4xx for 140,000 bytes", answer.to_string());
    line.demand_silence(bench, "HUB-METH-017").await
}
