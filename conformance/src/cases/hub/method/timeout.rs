//! Devices that do not answer in time (HUB-METH-013, -014, -020).

use std::time::Duration;

use serde_json::{Value, json};
use twinspec_harness::operator::Answer;

use super::call::{Line, call, demand_answered, demand_error, with};
use crate::bench::{Bench, MethodRequest};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-timeout-shortest",
        title: "A call with a response timeout of 5 s ends in a gateway timeout, not before 2 s",
        requirements: &["HUB-METH-013"],
        needs: &[Need::Clock],
        run: body!(timeout_shortest),
    },
    Case {
        id: "method-timeout-longest",
        title: "A call with a response timeout of 300 s ends in a gateway timeout, not before 290 s",
        requirements: &["HUB-METH-013"],
        needs: &[Need::Clock],
        run: body!(timeout_longest),
    },
    Case {
        id: "method-timeout-default",
        title: "A call without a response timeout ends in a gateway timeout after 30 s",
        requirements: &["HUB-METH-014"],
        needs: &[Need::Clock],
        run: body!(timeout_default),
    },
    Case {
        id: "method-timeout-then-call",
        title: "After a timeout and a late answer the next call on the connection works",
        requirements: &["HUB-METH-020"],
        needs: &[Need::Clock],
        run: body!(timeout_then_call),
    },
    Case {
        id: "method-timeout-answer-during-call",
        title: "A late answer does not complete the call that waits now",
        requirements: &["HUB-METH-020"],
        needs: &[Need::Clock],
        run: body!(timeout_answer_during_call),
    },
];

/// The error of a device that does not answer.
const TIMED_OUT: (u32, &str) = (504_101, "GatewayTimeout");

async fn timeout_shortest(bench: &mut Bench) -> Checked {
    let body = with(call("ponder", &Value::Null), "responseTimeoutInSeconds", 5);
    demand_timeout(bench, "HUB-METH-013", &body, (1, 6)).await
}

async fn timeout_longest(bench: &mut Bench) -> Checked {
    let body = with(call("ponder", &Value::Null), "responseTimeoutInSeconds", 300);
    demand_timeout(bench, "HUB-METH-013", &body, (290, 305)).await
}

async fn timeout_default(bench: &mut Bench) -> Checked {
    demand_timeout(bench, "HUB-METH-014", &call("ponder", &Value::Null), (24, 33)).await
}

/// An answer after `early` seconds completes the call; after `late` seconds of silence it failed.
async fn demand_timeout(
    bench: &mut Bench,
    requirement: &'static str,
    body: &Value,
    (early, late): (u64, u64),
) -> Checked {
    let mut line = Line::open(bench).await?;
    let call = line.call(bench, body).await;
    let request = line.connection.method_request("HUB-METH-001").await?;
    bench.advance(Duration::from_secs(early)).await?;
    line.connection.respond(&request, 200, r#""early""#).await?;
    let answer = bench.outcome(requirement, call).await?;
    let allowed = json!({ "status": 200, "payload": "early" });
    demand_answered(bench, requirement, &answer, &allowed);
    let (_, answer) = timed_out(bench, requirement, &mut line, body, late).await?;
    demand_error(bench, requirement, &answer, TIMED_OUT);
    Ok(())
}

/// A call that is delivered, and its answer after `seconds` of silence.
async fn timed_out(
    bench: &mut Bench,
    requirement: &'static str,
    line: &mut Line,
    body: &Value,
    seconds: u64,
) -> Checked<(MethodRequest, Answer)> {
    let call = line.call(bench, body).await;
    let request = line.connection.method_request("HUB-METH-001").await?;
    bench.advance(Duration::from_secs(seconds)).await?;
    let answer = bench.outcome(requirement, call).await?;
    Ok((request, answer))
}

async fn timeout_then_call(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = with(call("ponder", &json!(1)), "responseTimeoutInSeconds", 5);
    let (late, answer) = timed_out(bench, "HUB-METH-013", &mut line, &body, 6).await?;
    demand_error(bench, "HUB-METH-013", &answer, TIMED_OUT);
    line.connection.respond(&late, 200, r#""late""#).await?;
    line.demand_served(bench, "HUB-METH-020", &call("next", &json!(2))).await.map(drop)
}

async fn timeout_answer_during_call(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = with(call("ponder", &json!(1)), "responseTimeoutInSeconds", 5);
    let (late, answer) = timed_out(bench, "HUB-METH-013", &mut line, &body, 6).await?;
    demand_error(bench, "HUB-METH-013", &answer, TIMED_OUT);
    let next = line.call(bench, &call("next", &json!(2))).await;
    let request = line.connection.method_request("HUB-METH-020").await?;
    line.connection.respond(&late, 200, r#""late""#).await?;
    line.connection.respond(&request, 201, r#""in time""#).await?;
    let answer = bench.outcome("HUB-METH-020", next).await?;
    let allowed = json!({ "status": 201, "payload": "in time" });
    demand_answered(bench, "HUB-METH-020", &answer, &allowed);
    Ok(())
}
