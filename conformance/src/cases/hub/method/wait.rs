//! Calls that wait for a device to come online (HUB-METH-012).

use std::time::Duration;

use serde_json::{Value, json};
use twinspec_model::wire::mqtt::Qos;
use twinspec_model::wire::topic::Filter;

use super::call::{Line, NOT_ONLINE, call, demand_answered, demand_error, with};
use crate::bench::{Bench, Connection, Invocation, Registered};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-connect-wait-delivers",
        title: "A call with a connect timeout is delivered when the device connects",
        requirements: &["HUB-METH-012"],
        needs: &[],
        run: body!(wait_for_connection),
    },
    Case {
        id: "method-connect-wait-subscription",
        title: "A call with a connect timeout is delivered when a connected device subscribes",
        requirements: &["HUB-METH-012"],
        needs: &[],
        run: body!(wait_for_subscription),
    },
    Case {
        id: "method-connect-wait-module",
        title: "A call with a connect timeout is delivered when the module connects",
        requirements: &["HUB-METH-012"],
        needs: &[],
        run: body!(wait_for_module),
    },
    Case {
        id: "method-connect-wait-late",
        title: "A call with a connect timeout of 60 s waits 50 s for the device",
        requirements: &["HUB-METH-012"],
        needs: &[Need::Clock],
        run: body!(wait_until_late),
    },
    Case {
        id: "method-connect-wait-ends",
        title: "A call with a connect timeout fails as not online when the time is up",
        requirements: &["HUB-METH-012"],
        needs: &[Need::Clock],
        run: body!(wait_ends),
    },
    Case {
        id: "method-connect-wait-resumed",
        title: "A call with a connect timeout is delivered when a device resumes its session",
        requirements: &["HUB-METH-012", "HUB-SESS-017"],
        needs: &[],
        run: body!(wait_for_resumption),
    },
    Case {
        id: "method-connect-wait-deaf",
        title: "A call with a connect timeout fails as not online if the device never subscribes",
        requirements: &["HUB-METH-010"],
        needs: &[Need::Clock],
        run: body!(wait_for_the_deaf),
    },
];

/// Looks at a call whose time is up before the clock is moved once more.
const LOOKS_MAX: usize = 20;

async fn wait_for_connection(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let call = waiting_call(bench, &device, 30).await?;
    let connection = bench.connect_for_methods(&device).await?;
    demand_delivered(bench, connection, call).await
}

async fn wait_for_subscription(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let call = waiting_call(bench, &device, 30).await?;
    connection.subscribe(&Filter::Methods { name: None }, Qos::AtMostOnce).await?;
    demand_delivered(bench, connection, call).await
}

async fn wait_for_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let call = waiting_call(bench, &module, 30).await?;
    let connection = bench.connect_for_methods(&module).await?;
    demand_delivered(bench, connection, call).await
}

async fn wait_until_late(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let call = waiting_call(bench, &device, 60).await?;
    bench.advance(Duration::from_secs(50)).await?;
    let connection = bench.connect_for_methods(&device).await?;
    demand_delivered(bench, connection, call).await
}

async fn wait_ends(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_not_online(bench, "HUB-METH-012", &device).await?;
    let mut line = Line::of(bench, device).await?;
    line.demand_silence(bench, "HUB-METH-012").await
}

async fn wait_for_the_deaf(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.twin().await?;
    demand_not_online(bench, "HUB-METH-010", &device).await
}

async fn wait_for_resumption(bench: &mut Bench) -> Checked {
    let line = Line::open(bench).await?;
    line.connection.disconnect().await?;
    let connection = bench.connect(&line.who).await?;
    let mut line = Line { who: line.who, connection };
    line.demand_served(bench, "HUB-SESS-017", &call("before", &json!(1))).await?;
    line.connection.disconnect().await?;
    let call = waiting_call(bench, &line.who, 30).await?;
    let connection = bench.connect(&line.who).await?;
    demand_delivered(bench, connection, call).await
}

/// A call to `who` that nobody takes fails when its connect timeout is over.
async fn demand_not_online(
    bench: &mut Bench,
    requirement: &'static str,
    who: &Registered,
) -> Checked {
    let call = waiting_call(bench, who, 20).await?;
    bench.advance(Duration::from_secs(21)).await?;
    for _ in 0..LOOKS_MAX {
        if call.is_open() {
            bench.look_again().await;
        }
    }
    if call.is_open() {
        // The hub may have read the call after the clock was moved.
        bench.advance(Duration::from_secs(21)).await?;
    }
    let answer = bench.outcome(requirement, call).await?;
    demand_error(bench, requirement, &answer, NOT_ONLINE);
    Ok(())
}

/// A call that waits up to `seconds` for `who`; the hub has had time to refuse it and has not.
async fn waiting_call(bench: &mut Bench, who: &Registered, seconds: u64) -> Checked<Invocation> {
    let body = call("wake", &json!({ "lamp": 1 }));
    let body = with(body, "connectTimeoutInSeconds", seconds);
    let call = bench.invoke(&who.identity, &body).await;
    // Each of these takes as long as a refusal would.
    for _ in 0..4 {
        bench.read_twin(&who.identity).await?;
    }
    bench.demand("HUB-METH-012", call.is_open(), "a call that waits", "an answer at once");
    Ok(call)
}

/// `call` reaches the device, and its answer comes back.
async fn demand_delivered(
    bench: &mut Bench,
    mut connection: Connection,
    call: Invocation,
) -> Checked {
    let request = connection.method_request("HUB-METH-012").await?;
    let seen: Value = serde_json::from_str(&request.text()).unwrap_or_default();
    bench.equal_json("HUB-METH-012", "payload", &json!({ "lamp": 1 }), &seen);
    connection.respond(&request, 200, r#"{"lamp":"on"}"#).await?;
    let answer = bench.outcome("HUB-METH-012", call).await?;
    let allowed = json!({ "status": 200, "payload": { "lamp": "on" } });
    demand_answered(bench, "HUB-METH-012", &answer, &allowed);
    Ok(())
}
