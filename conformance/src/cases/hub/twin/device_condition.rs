//! Reported PATCHes with a `$version` condition in the topic (HUB-TWIN-017, -018).

use serde_json::{Value, json};

use super::device::at;
use crate::bench::{Bench, Connection, TwinAnswer};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-report-stale-version",
        title: "A reported PATCH for a version that is past is answered 412 and not applied",
        requirements: &["HUB-TWIN-017"],
        needs: &[],
        run: body!(report_stale_version),
    },
    Case {
        id: "twin-report-future-version",
        title: "A reported PATCH for a version not yet reached is answered 412 and not applied",
        requirements: &["HUB-TWIN-017"],
        needs: &[],
        run: body!(report_future_version),
    },
    Case {
        id: "twin-report-current-version",
        title: "Reported PATCHes for the current version are applied one after the other",
        requirements: &["HUB-TWIN-018"],
        needs: &[],
        run: body!(report_current_version),
    },
];

async fn report_stale_version(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let stale = connection.reported(&json!({ "fan": 1 })).await?;
    connection.reported(&json!({ "fan": 2 })).await?;
    demand_refused(bench, &mut connection, stale).await
}

async fn report_future_version(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let current = connection.reported(&json!({ "fan": 1 })).await?;
    demand_refused(bench, &mut connection, current + 1).await
}

/// A report for `version` is answered 412 and leaves the section as it is.
async fn demand_refused(bench: &mut Bench, connection: &mut Connection, version: u64) -> Checked {
    let before = connection.twin().await?;
    let patch = json!({ "fan": 9, "door": "open" });
    let answer = report_if("HUB-TWIN-017", connection, version, &patch).await?;
    bench.equal("HUB-TWIN-017", "status", 412, answer.status);
    let after = connection.twin().await?;
    bench.equal_json("HUB-TWIN-017", "reported", at(&before, "/reported"), at(&after, "/reported"));
    Ok(())
}

async fn report_current_version(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let mut version = connection.reported(&json!({ "fan": 1 })).await?;
    for fan in [2, 3] {
        let patch = json!({ "fan": fan });
        let answer = report_if("HUB-TWIN-018", &mut connection, version, &patch).await?;
        bench.equal("HUB-TWIN-018", "status", 204, answer.status);
        let document = connection.twin().await?;
        let applied = at(&document, "/reported/fan");
        bench.equal_json("HUB-TWIN-018", "reported.fan", &json!(fan), applied);
        version = answer.version.unwrap_or_default();
    }
    Ok(())
}

/// Reports on the condition that `version` is current.
async fn report_if(
    requirement: &'static str,
    connection: &mut Connection,
    version: u64,
    patch: &Value,
) -> Checked<TwinAnswer> {
    let rid = connection.new_rid();
    let topic = format!("$iothub/twin/PATCH/properties/reported/?$rid={rid}&$version={version}");
    connection.ask(requirement, &topic, &rid, &patch.to_string()).await
}
