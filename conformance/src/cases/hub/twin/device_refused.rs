//! Reported PATCHes that a hub refuses for their body (HUB-TWIN-015, -016, -019).

use serde_json::json;

use super::device::at;
use crate::bench::{Bench, Connection, TwinAnswer};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-report-malformed",
        title: "Malformed JSON in a reported PATCH is answered 400 and changes nothing",
        requirements: &["HUB-TWIN-015"],
        needs: &[],
        run: body!(report_malformed),
    },
    Case {
        id: "twin-report-malformed-tail",
        title: "The well-formed start of a malformed reported PATCH is not applied",
        requirements: &["HUB-TWIN-015"],
        needs: &[],
        run: body!(report_malformed_tail),
    },
    Case {
        id: "twin-report-malformed-module",
        title: "Malformed JSON from a module is answered 400 and changes nothing",
        requirements: &["HUB-TWIN-015"],
        needs: &[],
        run: body!(report_malformed_module),
    },
    Case {
        id: "twin-report-error-body",
        title: "The answer to a refused report explains itself in a JSON body",
        requirements: &["HUB-TWIN-016"],
        needs: &[],
        run: body!(report_error_body),
    },
    Case {
        id: "twin-report-version-in-body",
        title: "A reported PATCH with $version in its body is refused and not applied",
        requirements: &["HUB-TWIN-019"],
        needs: &[],
        run: body!(report_version_in_body),
    },
];

/// Bodies that no parser takes for JSON, however forgiving it is.
const MALFORMED: [&str; 4] =
    ["{\"door\":", "{\"door\":\"open\"", "{\"door\" \"open\"}", "door=open"];

async fn report_malformed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    demand_malformed(bench, &mut connection, &MALFORMED).await
}

async fn report_malformed_tail(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let bodies =
        ["{\"fan\":2,\"door\":\"open\",\"led\":", "{\"fan\":null,\"door\":\"open\",\"led\""];
    demand_malformed(bench, &mut connection, &bodies).await
}

async fn report_malformed_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let mut connection = bench.connect_and_listen(&module).await?;
    demand_malformed(bench, &mut connection, &MALFORMED).await
}

/// Each of `bodies` is answered 400, and what was reported before stays as it is.
async fn demand_malformed(
    bench: &mut Bench,
    connection: &mut Connection,
    bodies: &[&str],
) -> Checked {
    connection.reported(&json!({ "fan": 1 })).await?;
    let before = connection.twin().await?;
    for body in bodies {
        let answer = report("HUB-TWIN-015", connection, body).await?;
        bench.equal("HUB-TWIN-015", &format!("status for {body}"), 400, answer.status);
    }
    let after = connection.twin().await?;
    bench.equal_json("HUB-TWIN-015", "reported", at(&before, "/reported"), at(&after, "/reported"));
    Ok(())
}

async fn report_error_body(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    for body in ["{\"door\":", "{\"front.door\":\"open\"}"] {
        let answer = report("HUB-TWIN-016", &mut connection, body).await?;
        let error = answer.json();
        let explained = at(&error, "/errorCode").is_u64()
            && ["trackingId", "message", "timestampUtc"]
                .iter()
                .all(|name| at(&error, &format!("/{name}")).is_string());
        bench.demand(
            "HUB-TWIN-016",
            answer.status >= 400 && explained,
            "a JSON body with errorCode, trackingId, message and timestampUtc",
            answer.to_string(),
        );
    }
    Ok(())
}

async fn report_version_in_body(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "fan": 1 })).await?;
    let before = connection.twin().await?;
    let answer = report("HUB-TWIN-019", &mut connection, "{\"fan\":2,\"$version\":3}").await?;
    bench.equal("HUB-TWIN-019", "status", 400, answer.status);
    let error = answer.json();
    let code = at(&error, "/errorCode");
    bench.equal_json("HUB-TWIN-019", "errorCode", &json!(400_004), code);
    let after = connection.twin().await?;
    bench.equal_json("HUB-TWIN-019", "reported", at(&before, "/reported"), at(&after, "/reported"));
    Ok(())
}

/// Reports `body` and waits for the answer; without one `requirement` is broken.
async fn report(
    requirement: &'static str,
    connection: &mut Connection,
    body: &str,
) -> Checked<TwinAnswer> {
    let rid = connection.new_rid();
    let topic = format!("$iothub/twin/PATCH/properties/reported/?$rid={rid}");
    connection.ask(requirement, &topic, &rid, body).await
}
