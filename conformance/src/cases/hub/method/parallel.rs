//! Calls at the same time (HUB-METH-021).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::call::{Line, call, demand_answered};
use crate::bench::{Bench, Invocation};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-parallel-reversed",
        title: "Two callers get their own answers although the device answers in reverse order",
        requirements: &["HUB-METH-021"],
        needs: &[],
        run: body!(parallel_reversed),
    },
    Case {
        id: "method-parallel-many",
        title: "Eight calls have eight request ids, and each caller gets its own answer",
        requirements: &["HUB-METH-021"],
        needs: &[],
        run: body!(parallel_many),
    },
    Case {
        id: "method-parallel-crowd",
        title: "A hundred calls of one device at once are all delivered, and each is answered",
        requirements: &["HUB-METH-021"],
        needs: &[],
        run: body!(parallel_crowd),
    },
    Case {
        id: "method-parallel-devices",
        title: "Calls for two devices at the same time are answered by each",
        requirements: &["HUB-METH-021"],
        needs: &[],
        run: body!(parallel_devices),
    },
    Case {
        id: "method-answer-of-another",
        title: "What another device answers to the same request id completes no call",
        requirements: &["HUB-METH-021"],
        needs: &[],
        run: body!(answer_of_another),
    },
];

async fn parallel_reversed(bench: &mut Bench) -> Checked {
    demand_own_answers(bench, &[1, 0]).await
}

async fn parallel_many(bench: &mut Bench) -> Checked {
    demand_own_answers(bench, &[3, 7, 0, 5, 2, 6, 1, 4]).await
}

async fn parallel_crowd(bench: &mut Bench) -> Checked {
    let order: Vec<usize> = (0..100).rev().collect();
    demand_own_answers(bench, &order).await
}

/// As many calls as `order` names, answered in this order, get their own answers.
async fn demand_own_answers(bench: &mut Bench, order: &[usize]) -> Checked {
    let mut line = Line::open(bench).await?;
    let mut calls = Vec::new();
    for number in 0..order.len() {
        calls.push((number, line.call(bench, &call("compute", &json!(number))).await));
    }
    let mut requests = Vec::new();
    for _ in order {
        requests.push(line.connection.method_request("HUB-METH-021").await?);
    }
    let rids: BTreeSet<&str> = requests.iter().map(|request| request.rid.as_str()).collect();
    bench.equal("HUB-METH-021", "number of distinct request ids", order.len(), rids.len());
    for request in order.iter().filter_map(|index| requests.get(*index)) {
        let number: Value = serde_json::from_str(&request.text()).unwrap_or_default();
        let reply = json!({ "computed": number }).to_string();
        line.connection.respond(request, 200, &reply).await?;
    }
    for (number, call) in calls {
        demand_computed(bench, call, number).await?;
    }
    Ok(())
}

async fn demand_computed(bench: &mut Bench, call: Invocation, number: usize) -> Checked {
    let answer = bench.outcome("HUB-METH-021", call).await?;
    let allowed = json!({ "status": 200, "payload": { "computed": number } });
    demand_answered(bench, "HUB-METH-021", &answer, &allowed);
    Ok(())
}

async fn parallel_devices(bench: &mut Bench) -> Checked {
    let mut first = Line::open(bench).await?;
    let mut second = Line::open(bench).await?;
    let calls = [
        first.call(bench, &call("compute", &json!(0))).await,
        second.call(bench, &call("compute", &json!(1))).await,
    ];
    let early = first.connection.method_request("HUB-METH-021").await?;
    let late = second.connection.method_request("HUB-METH-021").await?;
    second.connection.respond(&late, 200, r#"{"computed":1}"#).await?;
    first.connection.respond(&early, 200, r#"{"computed":0}"#).await?;
    for (number, call) in calls.into_iter().enumerate() {
        demand_computed(bench, call, number).await?;
    }
    Ok(())
}

async fn answer_of_another(bench: &mut Bench) -> Checked {
    let mut called = Line::open(bench).await?;
    let mut other = Line::open(bench).await?;
    let call = called.call(bench, &call("compute", &json!(0))).await;
    let request = called.connection.method_request("HUB-METH-021").await?;
    other.connection.respond(&request, 200, r#"{"computed":99}"#).await?;
    // Kept or closed, the hub has read it: what it does with an unknown request id is open.
    let _open_or_not = other.connection.is_open().await?;
    bench.demand("HUB-METH-021", call.is_open(), "a call that waits", "an answer of another");
    called.connection.respond(&request, 200, r#"{"computed":0}"#).await?;
    demand_computed(bench, call, 0).await
}
