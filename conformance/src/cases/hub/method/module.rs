//! Methods of modules (HUB-METH-008).

use serde_json::json;

use super::call::{Line, NOT_ONLINE, call, demand_error};
use crate::bench::{Bench, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-module-not-device",
        title: "A call for a module is served by the module and not seen by its device",
        requirements: &["HUB-METH-008"],
        needs: &[],
        run: body!(module_not_device),
    },
    Case {
        id: "method-module-not-sibling",
        title: "A call for a module is served by the module and not seen by another one",
        requirements: &["HUB-METH-008"],
        needs: &[],
        run: body!(module_not_sibling),
    },
    Case {
        id: "method-module-own-connection",
        title: "A call for a module that is not connected fails although its device listens",
        requirements: &["HUB-METH-008"],
        needs: &[],
        run: body!(module_own_connection),
    },
];

async fn module_not_device(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_served_alone(bench, module, device).await
}

async fn module_not_sibling(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let sibling = bench.module(&device, "hearing").await?;
    demand_served_alone(bench, module, sibling).await
}

/// A call for `called` is served by it and not seen by `other`, while both listen.
async fn demand_served_alone(bench: &mut Bench, called: Registered, other: Registered) -> Checked {
    let mut line = Line::of(bench, called).await?;
    let mut silent = Line::of(bench, other).await?;
    line.demand_served(bench, "HUB-METH-008", &call("focus", &json!({ "metres": 2 }))).await?;
    silent.demand_silence(bench, "HUB-METH-008").await
}

async fn module_own_connection(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let mut line = Line::of(bench, device).await?;
    line.demand_served(bench, "HUB-METH-001", &call("focus", &json!(1))).await?;
    let body = json!({ "methodName": "focus", "payload": 2 });
    let call = bench.invoke(&module.identity, &body).await;
    let answer = bench.outcome("HUB-METH-008", call).await?;
    demand_error(bench, "HUB-METH-008", &answer, NOT_ONLINE);
    line.demand_silence(bench, "HUB-METH-008").await
}
