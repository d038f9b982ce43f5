//! Devices that are lost during a call (HUB-METH-027).

use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Line, call, with};
use crate::bench::{Bench, Invocation, Registered};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-lost-cut",
        title: "A call fails in time when the connection breaks after its delivery",
        requirements: &["HUB-METH-027"],
        needs: &[Need::Clock],
        run: body!(lost_cut),
    },
    Case {
        id: "method-lost-goodbye",
        title: "A call fails in time when the device says goodbye after its delivery",
        requirements: &["HUB-METH-027"],
        needs: &[Need::Clock],
        run: body!(lost_goodbye),
    },
    Case {
        id: "method-lost-replaced",
        title: "A call fails in time when another connection of the device replaces the first",
        requirements: &["HUB-METH-027"],
        needs: &[Need::Clock],
        run: body!(lost_replaced),
    },
];

async fn lost_cut(bench: &mut Bench) -> Checked {
    let (line, call) = delivered(bench).await?;
    line.connection.cut().await;
    demand_failure(bench, &line.who, "Disconnected", call).await
}

async fn lost_goodbye(bench: &mut Bench) -> Checked {
    let (line, call) = delivered(bench).await?;
    line.connection.disconnect().await?;
    demand_failure(bench, &line.who, "Disconnected", call).await
}

async fn lost_replaced(bench: &mut Bench) -> Checked {
    let (line, call) = delivered(bench).await?;
    let _second = bench.connect(&line.who).await?;
    demand_failure(bench, &line.who, "Connected", call).await
}

/// A call that its device has received and not answered, after one that it has answered.
async fn delivered(bench: &mut Bench) -> Checked<(Line, Invocation)> {
    let mut line = Line::open(bench).await?;
    line.demand_served(bench, "HUB-METH-001", &call("before", &json!(1))).await?;
    let body = with(call("fall", &json!(2)), "responseTimeoutInSeconds", 20);
    let call = line.call(bench, &body).await;
    line.connection.method_request("HUB-METH-001").await?;
    Ok((line, call))
}

/// `call` has failed when its response timeout is over; how is for the hub to choose.
async fn demand_failure(
    bench: &mut Bench,
    who: &Registered,
    state: &str,
    call: Invocation,
) -> Checked {
    // The hub has noticed, as far as it ever does.
    let shows = |twin: &Value| twin.get("connectionState") == Some(&json!(state));
    bench.watch_twin(&who.identity, shows).await?;
    bench.advance(Duration::from_secs(25)).await?;
    let answer = bench.outcome("HUB-METH-027", call).await?;
    let failed = answer.status.is_client_error() || answer.status.is_server_error();
    bench.demand("HUB-METH-027", failed, "an HTTP error", answer.to_string());
    Ok(())
}
