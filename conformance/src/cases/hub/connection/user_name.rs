//! What stands in the user name after the identity (HUB-CONN-010 to -013).

use serde_json::{Value, json};

use super::login::{demand_accepted, with_rest};
use crate::bench::{Bench, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "connection-user-name-key-order",
        title: "A device connects whatever the order of the keys in its user name",
        requirements: &["HUB-CONN-010"],
        needs: &[],
        run: body!(key_order),
    },
    Case {
        id: "connection-user-name-key-order-module",
        title: "A module connects whatever the order of the keys in its user name",
        requirements: &["HUB-CONN-010"],
        needs: &[],
        run: body!(key_order_module),
    },
    Case {
        id: "connection-user-name-unknown-key",
        title: "An unknown key in the user name is ignored",
        requirements: &["HUB-CONN-011"],
        needs: &[],
        run: body!(unknown_key),
    },
    Case {
        id: "connection-user-name-unknown-key-first",
        title: "Unknown keys before api-version are ignored",
        requirements: &["HUB-CONN-011"],
        needs: &[],
        run: body!(unknown_key_first),
    },
    Case {
        id: "connection-user-name-no-question-mark",
        title: "A device connects with a user name whose query part lacks the question mark",
        requirements: &["HUB-CONN-012"],
        needs: &[],
        run: body!(no_question_mark),
    },
    Case {
        id: "connection-model-id",
        title: "An encoded model-id in the user name is the modelId of the twin",
        requirements: &["HUB-CONN-013"],
        needs: &[],
        run: body!(model_id),
    },
    Case {
        id: "connection-model-id-raw",
        title: "A model-id that is not encoded is the modelId of the twin",
        requirements: &["HUB-CONN-013"],
        needs: &[],
        run: body!(model_id_raw),
    },
    Case {
        id: "connection-model-id-before-version",
        title: "A model-id before the api-version is the modelId of the twin",
        requirements: &["HUB-CONN-013"],
        needs: &[],
        run: body!(model_id_before_version),
    },
];

/// All orders of the keys that shipped clients send.
const ORDERS: &[&str] = &[
    "/?api-version=2021-04-12&model-id=dtmi%3Asuite%3APump%3B1&DeviceClientType=suite%2F1",
    "/?api-version=2021-04-12&DeviceClientType=suite%2F1&model-id=dtmi%3Asuite%3APump%3B1",
    "/?DeviceClientType=suite%2F1&api-version=2021-04-12&model-id=dtmi%3Asuite%3APump%3B1",
    "/?model-id=dtmi%3Asuite%3APump%3B1&DeviceClientType=suite%2F1&api-version=2021-04-12",
];

async fn key_order(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_all_accepted(bench, "HUB-CONN-010", &device, ORDERS).await
}

async fn key_order_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_all_accepted(bench, "HUB-CONN-010", &module, ORDERS).await
}

async fn unknown_key(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let rests = ["/?api-version=2021-04-12&x-suite=1"];
    demand_all_accepted(bench, "HUB-CONN-011", &device, &rests).await?;
    demand_all_accepted(bench, "HUB-CONN-011", &module, &rests).await
}

async fn unknown_key_first(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let rests = [
        "/?x-suite=1&api-version=2021-04-12",
        "/?x-suite=a%20b&y-suite=&api-version=2021-04-12&z-suite=3",
    ];
    demand_all_accepted(bench, "HUB-CONN-011", &device, &rests).await
}

async fn no_question_mark(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let rests = ["/api-version=2021-04-12", "/api-version=2020-09-30&DeviceClientType=suite%2F1"];
    demand_all_accepted(bench, "HUB-CONN-012", &device, &rests).await
}

/// Demands that `who` is accepted with each of `rests` in its user name.
async fn demand_all_accepted(
    bench: &mut Bench,
    requirement: &'static str,
    who: &Registered,
    rests: &[&str],
) -> Checked {
    bench.connect(who).await?.disconnect().await?;
    for rest in rests {
        let login = with_rest(bench, who, rest);
        demand_accepted(bench, requirement, &login).await?;
    }
    Ok(())
}

async fn model_id(bench: &mut Bench) -> Checked {
    demand_model_id(bench, "/?api-version=2021-04-12&model-id=dtmi%3Asuite%3APump%3B1").await
}

async fn model_id_raw(bench: &mut Bench) -> Checked {
    demand_model_id(bench, "/?api-version=2021-04-12&model-id=dtmi:suite:Pump;1").await
}

async fn model_id_before_version(bench: &mut Bench) -> Checked {
    demand_model_id(bench, "/?model-id=dtmi%3Asuite%3APump%3B1&api-version=2020-09-30").await
}

async fn demand_model_id(bench: &mut Bench, rest: &str) -> Checked {
    let device = bench.device().await?;
    let login = with_rest(bench, &device, rest);
    let connection = demand_accepted(bench, "HUB-CONN-013", &login).await?;
    let allowed = json!("dtmi:suite:Pump;1");
    let shows = |twin: &Value| twin.get("modelId") == Some(&json!("dtmi:suite:Pump;1"));
    let twin = bench.watch_twin(&device.identity, shows).await?;
    let seen = twin.get("modelId").cloned().unwrap_or_default();
    bench.equal_json("HUB-CONN-013", "modelId", &allowed, &seen);
    drop(connection);
    Ok(())
}
