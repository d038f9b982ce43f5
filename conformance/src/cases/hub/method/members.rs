//! What the body of a call may say (HUB-METH-015, -016, -022 to -025).

use std::time::Duration;

use serde_json::{Value, json};

use super::call::{
    Line, NOT_ONLINE, call, demand_answered, demand_bad_request, demand_error, with,
};
use crate::bench::{Bench, Invocation};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-response-timeout-bounds",
        title: "Response timeouts of 5 s and 300 s are taken, 4 s and 301 s are refused",
        requirements: &["HUB-METH-015"],
        needs: &[],
        run: body!(response_timeout_bounds),
    },
    Case {
        id: "method-connect-timeout-bounds",
        title: "Connect timeouts of 0 and 300 s are taken, -1 s and 301 s are refused",
        requirements: &["HUB-METH-016"],
        needs: &[],
        run: body!(connect_timeout_bounds),
    },
    Case {
        id: "method-name-missing",
        title: "A call without a method name is refused",
        requirements: &["HUB-METH-022"],
        needs: &[],
        run: body!(name_missing),
    },
    Case {
        id: "method-name-blank",
        title: "A call with an empty or blank method name is refused",
        requirements: &["HUB-METH-022"],
        needs: &[],
        run: body!(name_blank),
    },
    Case {
        id: "method-name-length",
        title: "A method name of 100 characters is delivered, one of 102 is refused",
        requirements: &["HUB-METH-023"],
        needs: &[],
        run: body!(name_length),
    },
    Case {
        id: "method-timeouts-absent",
        title: "A call without timeouts is delivered to a device that listens",
        requirements: &["HUB-METH-024"],
        needs: &[],
        run: body!(timeouts_absent),
    },
    Case {
        id: "method-timeouts-absent-waits",
        title: "A call without timeouts waits for the answer, but not for the device",
        requirements: &["HUB-METH-024"],
        needs: &[Need::Clock],
        run: body!(timeouts_absent_waits),
    },
    Case {
        id: "method-unknown-members",
        title: "A call with members that mean nothing is delivered",
        requirements: &["HUB-METH-025"],
        needs: &[],
        run: body!(unknown_members),
    },
    Case {
        id: "method-old-timeout-ignored",
        title: "timeoutInSeconds of the first API version does not shorten the response timeout",
        requirements: &["HUB-METH-025"],
        needs: &[Need::Clock],
        run: body!(old_timeout_ignored),
    },
];

async fn response_timeout_bounds(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = |seconds: i64| with(call("go", &json!(1)), "responseTimeoutInSeconds", seconds);
    demand_bounds(bench, "HUB-METH-015", &mut line, [5, 300].map(body), [4, 301].map(body)).await
}

async fn connect_timeout_bounds(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = |seconds: i64| with(call("go", &json!(1)), "connectTimeoutInSeconds", seconds);
    // The patient one first: a hub that waits has found the device for the other one.
    demand_bounds(bench, "HUB-METH-016", &mut line, [300, 0].map(body), [-1, 301].map(body)).await
}

/// Calls with the bodies `good` are served, those with `bad` are refused and not delivered.
async fn demand_bounds(
    bench: &mut Bench,
    requirement: &'static str,
    line: &mut Line,
    good: [Value; 2],
    bad: [Value; 2],
) -> Checked {
    for body in good {
        line.demand_served(bench, requirement, &body).await?;
    }
    for body in bad {
        demand_refused(bench, requirement, line, &body).await?;
    }
    line.demand_silence(bench, requirement).await
}

async fn demand_refused(
    bench: &mut Bench,
    requirement: &'static str,
    line: &mut Line,
    body: &Value,
) -> Checked {
    let call = line.call(bench, body).await;
    let answer = bench.outcome(requirement, call).await?;
    demand_bad_request(bench, requirement, &body.to_string(), &answer);
    Ok(())
}

async fn name_missing(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    line.demand_served(bench, "HUB-METH-001", &call("go", &json!(1))).await?;
    let body = json!({ "payload": 1, "connectTimeoutInSeconds": 30 });
    demand_refused(bench, "HUB-METH-022", &mut line, &body).await?;
    line.demand_silence(bench, "HUB-METH-022").await
}

async fn name_blank(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    line.demand_served(bench, "HUB-METH-001", &call("go", &json!(1))).await?;
    for name in ["", "   "] {
        demand_refused(bench, "HUB-METH-022", &mut line, &call(name, &json!(1))).await?;
    }
    line.demand_silence(bench, "HUB-METH-022").await
}

async fn name_length(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let name = "n".repeat(100);
    let request = line.demand_served(bench, "HUB-METH-023", &call(&name, &json!(1))).await?;
    bench.equal("HUB-METH-023", "method name", &name, &request.name);
    let refused = line.call(bench, &call(&"n".repeat(102), &json!(1))).await;
    let answer = bench.outcome("HUB-METH-023", refused).await?;
    let holds = answer.status.is_client_error();
    bench.demand("HUB-METH-023", holds, "a 4xx for 102 characters", answer.to_string());
    line.demand_silence(bench, "HUB-METH-023").await
}

async fn timeouts_absent(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    // Now the hub knows where the device is.
    line.demand_served(bench, "HUB-METH-001", &call("go", &json!(1))).await?;
    let body = json!({ "methodName": "x", "payload": null });
    let request = line.demand_served(bench, "HUB-METH-024", &body).await?;
    bench.equal("HUB-METH-024", "method name", "x", &request.name);
    Ok(())
}

async fn timeouts_absent_waits(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    line.demand_served(bench, "HUB-METH-001", &call("go", &json!(1))).await?;
    let body = json!({ "methodName": "x", "payload": null });
    let call = line.call(bench, &body).await;
    demand_answer_taken_after(bench, "HUB-METH-024", (&mut line, call), 25).await?;
    line.connection.disconnect().await?;
    let call = bench.invoke(&line.who.identity, &body).await;
    let answer = bench.outcome("HUB-METH-024", call).await?;
    demand_error(bench, "HUB-METH-024", &answer, NOT_ONLINE);
    Ok(())
}

/// A device that answers after `seconds` is in time.
async fn demand_answer_taken_after(
    bench: &mut Bench,
    requirement: &'static str,
    (line, call): (&mut Line, Invocation),
    seconds: u64,
) -> Checked {
    let request = line.connection.method_request(requirement).await?;
    bench.advance(Duration::from_secs(seconds)).await?;
    line.connection.respond(&request, 200, r#""in time""#).await?;
    let answer = bench.outcome(requirement, call).await?;
    let allowed = json!({ "status": 200, "payload": "in time" });
    demand_answered(bench, requirement, &answer, &allowed);
    Ok(())
}

async fn unknown_members(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = call("go", &json!({ "speed": 1 }));
    let body = with(body, "timeoutInSeconds", 60);
    let body = with(body, "comment", json!({ "by": "suite", "at": [1, null] }));
    let request = line.demand_served(bench, "HUB-METH-025", &body).await?;
    let seen: Value = serde_json::from_str(&request.text()).unwrap_or_default();
    bench.equal_json("HUB-METH-025", "payload", &json!({ "speed": 1 }), &seen);
    Ok(())
}

async fn old_timeout_ignored(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let body = with(call("go", &json!(1)), "timeoutInSeconds", 5);
    let call = line.call(bench, &body).await;
    demand_answer_taken_after(bench, "HUB-METH-025", (&mut line, call), 20).await
}
