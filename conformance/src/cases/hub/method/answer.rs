//! What a back end gets of a device's answer (HUB-METH-004 to -007).

use serde_json::{Value, json};
use twinspec_model::wire::mqtt::{Packet, Publish};

use super::call::{Line, call, demand_answered};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-answer-completes",
        title: "The device's answer completes the call with its status and payload",
        requirements: &["HUB-METH-004"],
        needs: &[],
        run: body!(answer_completes),
    },
    Case {
        id: "method-answer-qos-1",
        title: "An answer published at QoS 1 is acknowledged and completes the call",
        requirements: &["HUB-METH-004"],
        needs: &[],
        run: body!(answer_qos_1),
    },
    Case {
        id: "method-answer-status-unusual",
        title: "Device statuses that HTTP does not know are passed on inside HTTP 200",
        requirements: &["HUB-METH-005"],
        needs: &[],
        run: body!(answer_status_unusual),
    },
    Case {
        id: "method-answer-status-error",
        title: "Device statuses 404 and 500 are passed on inside HTTP 200",
        requirements: &["HUB-METH-005"],
        needs: &[],
        run: body!(answer_status_error),
    },
    Case {
        id: "method-answer-text-kept",
        title: "A compact answer with a time in it is passed on to the letter",
        requirements: &["HUB-METH-006"],
        needs: &[],
        run: body!(answer_text_kept),
    },
    Case {
        id: "method-answer-values-kept",
        title: "Answers of every JSON type are passed on with their value",
        requirements: &["HUB-METH-006"],
        needs: &[],
        run: body!(answer_values_kept),
    },
    Case {
        id: "method-answer-empty",
        title: "An answer without a body completes the call without a payload",
        requirements: &["HUB-METH-007"],
        needs: &[],
        run: body!(answer_empty),
    },
];

async fn answer_completes(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = call("measure", &json!({ "probe": 3 }));
    let reply = (201, r#"{"celsius":21.5,"probe":3}"#);
    let answer = line.exchange(bench, "HUB-METH-004", &body, reply).await?.answer;
    let allowed = json!({ "status": 201, "payload": { "celsius": 21.5, "probe": 3 } });
    demand_answered(bench, "HUB-METH-004", &answer, &allowed);
    Ok(())
}

async fn answer_qos_1(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let call = line.call(bench, &call("measure", &json!(3))).await;
    let request = line.connection.method_request("HUB-METH-001").await?;
    let id = line.connection.new_id();
    let topic = format!("$iothub/methods/res/200/?$rid={}", request.rid);
    let publish = Publish::at_least_once(id, topic, r#"{"celsius":21.5}"#);
    line.connection.send(&Packet::Publish(publish)).await?;
    let acknowledged = |packet: &Packet| (*packet == Packet::PubAck(id)).then_some(());
    line.connection.expect("HUB-METH-004", "a PUBACK of the answer", acknowledged).await?;
    let answer = bench.outcome("HUB-METH-004", call).await?;
    let allowed = json!({ "status": 200, "payload": { "celsius": 21.5 } });
    demand_answered(bench, "HUB-METH-004", &answer, &allowed);
    Ok(())
}

async fn answer_status_unusual(bench: &mut Bench) -> Checked {
    demand_statuses(bench, &[222, 299, 1234, 0, -1, 65_536, 2_147_483_647]).await
}

async fn answer_status_error(bench: &mut Bench) -> Checked {
    demand_statuses(bench, &[200, 404, 500]).await
}

async fn demand_statuses(bench: &mut Bench, statuses: &[i64]) -> Checked {
    let mut line = Line::open(bench).await?;
    for status in statuses {
        let body = call("measure", &json!(1));
        let reply = (*status, r#"{"why":"so"}"#);
        let answer = line.exchange(bench, "HUB-METH-005", &body, reply).await?.answer;
        let allowed = json!({ "status": status, "payload": { "why": "so" } });
        demand_answered(bench, "HUB-METH-005", &answer, &allowed);
    }
    Ok(())
}

async fn answer_text_kept(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    // Neither in the order of the alphabet nor in the shortest form.
    let text = r#"{"z":"x","name":1.50,"t":"2031-01-02T03:04:05.1234567+01:00"}"#;
    let body = call("measure", &json!(1));
    let answer = line.exchange(bench, "HUB-METH-004", &body, (200, text)).await?.answer;
    let kept = String::from_utf8_lossy(&answer.body).contains(text);
    bench.demand("HUB-METH-006", kept, format!("a body that holds {text}"), answer.to_string());
    Ok(())
}

async fn answer_values_kept(bench: &mut Bench) -> Checked {
    let payloads = [
        json!({ "a": null, "b": { "c": [1, 2.5, "three"] }, "d": "" }),
        json!([{ "a": 1 }, null, []]),
        json!({}),
        json!(-17),
        json!(true),
        json!("just \"text\""),
        Value::Null,
    ];
    let mut line = Line::open(bench).await?;
    for payload in payloads {
        let body = call("measure", &json!(1));
        let reply = (200, &*payload.to_string());
        let answer = line.exchange(bench, "HUB-METH-004", &body, reply).await?.answer;
        bench.equal("HUB-METH-004", "HTTP status", 200, answer.status.as_u16());
        let seen = answer.json().get("payload").cloned().unwrap_or_default();
        bench.equal_json("HUB-METH-006", "payload", &payload, &seen);
    }
    Ok(())
}

async fn answer_empty(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = call("reboot", &Value::Null);
    let answer = line.exchange(bench, "HUB-METH-007", &body, (200, "")).await?.answer;
    let seen = answer.json();
    let empty = seen.get("payload").is_none_or(Value::is_null);
    let holds = answer.status.as_u16() == 200 && seen.get("status") == Some(&json!(200)) && empty;
    let allowed = r#"HTTP 200 {"status":200} with payload null or absent"#;
    bench.demand("HUB-METH-007", holds, allowed, answer.to_string());
    Ok(())
}
