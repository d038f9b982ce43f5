//! Conditional writes of one back end: `If-Match` on PATCH and PUT (HUB-CONC-001 to -006).
//!
//! Whether a report changes the etag is not promised, so no device takes part.

use http::Method;
use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::merging::Part;
use crate::bench::{Bench, IfMatch, words};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-patch-if-match",
        title: "A PATCH with the current etag in If-Match is applied",
        requirements: &["HUB-CONC-001"],
        needs: &[],
        run: |bench| Box::pin(current_etag(bench, "HUB-CONC-001", Method::PATCH)),
    },
    Case {
        id: "twin-patch-if-match-module",
        title: "A PATCH of a module's twin is applied under its current etag and no other",
        requirements: &["HUB-CONC-001", "HUB-CONC-002"],
        needs: &[],
        run: body!(module_etag),
    },
    Case {
        id: "twin-patch-if-match-wrong",
        title: "A PATCH with an etag that never was is answered 412 and changes nothing",
        requirements: &["HUB-CONC-002"],
        needs: &[],
        run: |bench| Box::pin(wrong_etag(bench, "HUB-CONC-002", Method::PATCH)),
    },
    Case {
        id: "twin-patch-if-match-stale",
        title: "A PATCH with an earlier etag is answered 412 and changes nothing",
        requirements: &["HUB-CONC-002"],
        needs: &[],
        run: |bench| Box::pin(stale_etag(bench, "HUB-CONC-002", Method::PATCH)),
    },
    Case {
        id: "twin-patch-if-match-any",
        title: "A PATCH with a quoted star in If-Match is unconditional",
        requirements: &["HUB-CONC-003"],
        needs: &[],
        run: |bench| Box::pin(always(bench, "HUB-CONC-003", Method::PATCH, IfMatch::Any)),
    },
    Case {
        id: "twin-patch-if-match-bare-any",
        title: "A PATCH with a bare star in If-Match is unconditional",
        requirements: &["HUB-CONC-004"],
        needs: &[],
        run: |bench| Box::pin(always(bench, "HUB-CONC-004", Method::PATCH, BARE_STAR)),
    },
    Case {
        id: "twin-put-if-match-bare-any",
        title: "A PUT with a bare star in If-Match is unconditional",
        requirements: &["HUB-CONC-004"],
        needs: &[],
        run: |bench| Box::pin(always(bench, "HUB-CONC-004", Method::PUT, BARE_STAR)),
    },
    Case {
        id: "twin-patch-unconditional",
        title: "A PATCH without If-Match is unconditional",
        requirements: &["HUB-CONC-005"],
        needs: &[],
        run: |bench| Box::pin(always(bench, "HUB-CONC-005", Method::PATCH, IfMatch::Absent)),
    },
    Case {
        id: "twin-put-unconditional",
        title: "A PUT without If-Match is unconditional",
        requirements: &["HUB-CONC-005"],
        needs: &[],
        run: |bench| Box::pin(always(bench, "HUB-CONC-005", Method::PUT, IfMatch::Absent)),
    },
    Case {
        id: "twin-put-if-match",
        title: "A PUT with the current etag in If-Match is applied",
        requirements: &["HUB-CONC-006"],
        needs: &[],
        run: |bench| Box::pin(current_etag(bench, "HUB-CONC-006", Method::PUT)),
    },
    Case {
        id: "twin-put-if-match-wrong",
        title: "A PUT with an etag that never was is answered 412 and changes nothing",
        requirements: &["HUB-CONC-006"],
        needs: &[],
        run: |bench| Box::pin(wrong_etag(bench, "HUB-CONC-006", Method::PUT)),
    },
    Case {
        id: "twin-put-if-match-stale",
        title: "A PUT with an earlier etag is answered 412 and changes nothing",
        requirements: &["HUB-CONC-006"],
        needs: &[],
        run: |bench| Box::pin(stale_etag(bench, "HUB-CONC-006", Method::PUT)),
    },
    Case {
        id: "twin-put-if-match-any",
        title: "A PUT with a quoted star in If-Match is unconditional",
        requirements: &["HUB-CONC-006"],
        needs: &[],
        run: |bench| Box::pin(always(bench, "HUB-CONC-006", Method::PUT, IfMatch::Any)),
    },
];

const BARE_STAR: IfMatch<'static> = IfMatch::Raw("*");

async fn current_etag(bench: &mut Bench, requirement: &'static str, method: Method) -> Checked {
    let device = bench.device().await?.identity;
    let etag = etag(&mode(bench, &device, "first").await?);
    applied(bench, &device, requirement, (method, IfMatch::Etag(&etag)), "second").await
}

async fn module_etag(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?.identity;
    let first = etag(&mode(bench, &module, "first").await?);
    let condition = (Method::PATCH, IfMatch::Etag(&first));
    applied(bench, &module, "HUB-CONC-001", condition.clone(), "second").await?;
    refused(bench, &module, "HUB-CONC-002", condition, "second").await
}

async fn wrong_etag(bench: &mut Bench, requirement: &'static str, method: Method) -> Checked {
    let device = bench.device().await?.identity;
    let etag = etag(&mode(bench, &device, "first").await?);
    applied(bench, &device, requirement, (method.clone(), IfMatch::Etag(&etag)), "second").await?;
    refused(bench, &device, requirement, (method, IfMatch::Etag("abc")), "second").await
}

async fn stale_etag(bench: &mut Bench, requirement: &'static str, method: Method) -> Checked {
    let device = bench.device().await?.identity;
    let stale = etag(&mode(bench, &device, "first").await?);
    let current = etag(&mode(bench, &device, "second").await?);
    applied(bench, &device, requirement, (method.clone(), IfMatch::Etag(&current)), "third")
        .await?;
    refused(bench, &device, requirement, (method, IfMatch::Etag(&stale)), "third").await
}

/// Demands that `condition` lets a write pass, and another on the twin so changed.
///
/// Both writes use it, so that no other condition can be what breaks.
async fn always(
    bench: &mut Bench,
    requirement: &'static str,
    method: Method,
    condition: IfMatch<'_>,
) -> Checked {
    let device = bench.device().await?.identity;
    applied(bench, &device, requirement, (method.clone(), condition), "first").await?;
    applied(bench, &device, requirement, (method, condition), "second").await
}

/// Demands that a write of `mode` under a condition passes and is stored.
async fn applied(
    bench: &mut Bench,
    identity: &Identity,
    requirement: &'static str,
    (method, condition): (Method, IfMatch<'_>),
    mode: &str,
) -> Checked {
    let answer = bench.write_twin(method, identity, condition, &body(mode)).await?;
    let allowed = format!("200 under If-Match {}", words(&condition));
    bench.demand(requirement, answer.status.as_u16() == 200, allowed, answer.to_string());
    let twin = bench.watch_twin(identity, |twin| holds(twin, mode)).await?;
    demand_mode(bench, requirement, &twin, mode);
    Ok(())
}

/// Demands that a write under a condition is refused and the twin stays as it was, at `mode`.
async fn refused(
    bench: &mut Bench,
    identity: &Identity,
    requirement: &'static str,
    (method, condition): (Method, IfMatch<'_>),
    mode: &str,
) -> Checked {
    let before = bench.watch_twin(identity, |twin| holds(twin, mode)).await?;
    let answer = bench.write_twin(method, identity, condition, &body("refused")).await?;
    let allowed = format!("412 under If-Match {}", words(&condition));
    bench.demand(requirement, answer.status.as_u16() == 412, allowed, answer.to_string());
    let after = bench.read_twin(identity).await?;
    demand_mode(bench, requirement, &after, mode);
    bench.equal(requirement, "etag", etag(&before), etag(&after));
    Ok(())
}

/// Writes without a condition, as another back end would; the twin after it.
async fn mode(bench: &mut Bench, identity: &Identity, mode: &str) -> Checked<Value> {
    bench.patch_twin(identity, &body(mode)).await
}

/// A write of both sections that a back end may write.
fn body(mode: &str) -> Value {
    json!({ "tags": { "mode": mode }, "properties": { "desired": { "mode": mode } } })
}

fn holds(twin: &Value, mode: &str) -> bool {
    [Part::Tags, Part::Desired].iter().all(|part| part.content(twin) == json!({ "mode": mode }))
}

fn demand_mode(bench: &mut Bench, requirement: &'static str, twin: &Value, mode: &str) {
    for (part, name) in [(Part::Tags, "tags"), (Part::Desired, "desired")] {
        bench.equal_json(requirement, name, &json!({ "mode": mode }), &part.content(twin));
    }
}

/// The etag of a twin; empty when it has none.
pub(super) fn etag(twin: &Value) -> String {
    twin.get("etag").and_then(Value::as_str).unwrap_or_default().to_owned()
}
