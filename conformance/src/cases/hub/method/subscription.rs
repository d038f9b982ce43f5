//! The methods subscription ends and lasts (HUB-METH-001, HUB-SESS-012, HUB-SESS-017).

use serde_json::json;
use twinspec_model::wire::mqtt::Qos;
use twinspec_model::wire::topic::Filter;

use super::call::{Line, NOT_ONLINE, call, demand_error};
use crate::bench::{Bench, Connection, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-unsubscribe",
        title: "After UNSUBSCRIBE calls fail as not online, until the device subscribes again",
        requirements: &["HUB-SESS-012"],
        needs: &[],
        run: body!(unsubscribe),
    },
    Case {
        id: "method-others-unsubscribed",
        title: "A device that unsubscribes from notifications and twin answers is still called",
        requirements: &["HUB-METH-001"],
        needs: &[],
        run: body!(others_unsubscribed),
    },
    Case {
        id: "method-subscription-to-one",
        title: "A device that subscribes to one method is called by it and by no other",
        requirements: &["HUB-METH-001", "HUB-METH-010"],
        needs: &[],
        run: body!(subscription_to_one),
    },
    Case {
        id: "method-subscription-survives-cut",
        title: "A device that reconnects after a broken connection is called without SUBSCRIBE",
        requirements: &["HUB-SESS-017"],
        needs: &[],
        run: body!(subscription_survives_cut),
    },
    Case {
        id: "method-subscription-survives-goodbye",
        title: "A device that reconnects after a goodbye is called without SUBSCRIBE",
        requirements: &["HUB-SESS-017"],
        needs: &[],
        run: body!(subscription_survives_goodbye),
    },
];

async fn unsubscribe(bench: &mut Bench) -> Checked {
    let all = Filter::Methods { name: None };
    let mut line = Line::open(bench).await?;
    line.demand_served(bench, "HUB-METH-001", &call("reboot", &json!(1))).await?;
    line.connection.unsubscribe(&all).await?;
    let call_at_once = line.call(bench, &json!({ "methodName": "reboot", "payload": 2 })).await;
    let answer = bench.outcome("HUB-SESS-012", call_at_once).await?;
    demand_error(bench, "HUB-SESS-012", &answer, NOT_ONLINE);
    line.connection.subscribe(&all, Qos::AtMostOnce).await?;
    bench.settle().await;
    let request = line.demand_served(bench, "HUB-METH-001", &call("again", &json!(3))).await?;
    bench.equal("HUB-SESS-012", "method delivered next", "again", &request.name);
    Ok(())
}

async fn others_unsubscribed(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    line.demand_served(bench, "HUB-METH-001", &call("before", &json!(1))).await?;
    for (filter, name) in [(Filter::Desired, "first"), (Filter::TwinResponse, "second")] {
        line.connection.subscribe(&filter, Qos::AtMostOnce).await?;
        line.connection.unsubscribe(&filter).await?;
        let request = line.demand_served(bench, "HUB-METH-001", &call(name, &json!(2))).await?;
        bench.equal("HUB-METH-001", "method delivered", name, &request.name);
    }
    Ok(())
}

async fn subscription_to_one(bench: &mut Bench) -> Checked {
    let who = bench.device().await?;
    let mut connection = bench.connect(&who).await?;
    let one = Filter::Methods { name: Some("reboot".to_owned()) };
    connection.subscribe(&one, Qos::AtMostOnce).await?;
    bench.settle().await;
    let mut line = Line { who, connection };
    line.demand_served(bench, "HUB-METH-001", &call("reboot", &json!(1))).await?;
    let other = line.call(bench, &json!({ "methodName": "rebootAll", "payload": 2 })).await;
    let answer = bench.outcome("HUB-METH-010", other).await?;
    demand_error(bench, "HUB-METH-010", &answer, NOT_ONLINE);
    let request = line.demand_served(bench, "HUB-METH-001", &call("reboot", &json!(3))).await?;
    bench.equal("HUB-METH-010", "method delivered next", "reboot", &request.name);
    Ok(())
}

async fn subscription_survives_cut(bench: &mut Bench) -> Checked {
    let (device, connection) = served_once(bench).await?;
    connection.cut().await;
    demand_served_after_reconnect(bench, device).await
}

async fn subscription_survives_goodbye(bench: &mut Bench) -> Checked {
    let (device, connection) = served_once(bench).await?;
    connection.disconnect().await?;
    demand_served_after_reconnect(bench, device).await
}

async fn served_once(bench: &mut Bench) -> Checked<(Registered, Connection)> {
    let mut line = Line::open(bench).await?;
    line.demand_served(bench, "HUB-METH-001", &call("before", &json!(1))).await?;
    Ok((line.who, line.connection))
}

async fn demand_served_after_reconnect(bench: &mut Bench, who: Registered) -> Checked {
    let connection = bench.connect(&who).await?;
    let mut line = Line { who, connection };
    line.demand_served(bench, "HUB-SESS-017", &call("after", &json!(2))).await.map(drop)
}
