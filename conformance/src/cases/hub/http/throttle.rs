//! Overload (HUB-HTTP-013).

use http::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, IfMatch, identity_path, twin_path};
use crate::case::{Case, Need};
use crate::cases::hub::registry::calls::demand_refused;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "http-overload-of-twin-reads",
        title: "Too many reads of a twin are answered 429 ThrottlingException",
        requirements: &["HUB-HTTP-013"],
        needs: &[Need::Throttling],
        run: |bench| Box::pin(overload(bench, Kind::TwinRead)),
    },
    Case {
        id: "http-overload-of-twin-updates",
        title: "Too many updates of a twin are answered 429 ThrottlingException",
        requirements: &["HUB-HTTP-013"],
        needs: &[Need::Throttling],
        run: |bench| Box::pin(overload(bench, Kind::TwinUpdate)),
    },
    Case {
        id: "http-overload-of-registry-calls",
        title: "Too many calls of the registry are answered 429 ThrottlingException",
        requirements: &["HUB-HTTP-013"],
        needs: &[Need::Throttling],
        run: |bench| Box::pin(overload(bench, Kind::Registry)),
    },
];

/// Requests of one kind that a hub with very low limits must not take in a row.
const REQUESTS_MAX: usize = 100;

/// What is throttled by itself.
#[derive(Clone, Copy)]
enum Kind {
    TwinRead,
    TwinUpdate,
    Registry,
}

async fn overload(bench: &mut Bench, kind: Kind) -> Checked {
    let device = bench.device().await?.identity;
    let patch: Value = json!({ "tags": { "fan": 1 } });
    let (method, path, body) = match kind {
        Kind::TwinRead => (Method::GET, twin_path(&device), None),
        Kind::TwinUpdate => (Method::PATCH, twin_path(&device), Some(&patch)),
        Kind::Registry => (Method::GET, identity_path(&device), None),
    };
    let first = bench.call(method.clone(), &path, IfMatch::Absent, body).await?;
    bench.equal("HUB-HTTP-003", "status", 200, first.status.as_u16());
    for _ in 0..REQUESTS_MAX {
        let answer = bench.call(method.clone(), &path, IfMatch::Absent, body).await?;
        if !answer.status.is_success() {
            demand_refused(bench, "HUB-HTTP-013", &answer, 429, "ThrottlingException");
            return Ok(());
        }
    }
    let seen = format!("{REQUESTS_MAX} successes in a row");
    bench.demand("HUB-HTTP-013", false, "429 ThrottlingException", seen);
    Ok(())
}
