//! A refused write changes nothing (HUB-MERGE-023).
//!
//! Each write mixes good members with one whose key holds a blank, which is refused
//! (HUB-VALI-001). The good ones stand on both sides of the bad one, so that a hub that stores
//! members one by one, in either order, is seen.

use http::Method;
use serde_json::{Value, json};

use super::merging::{Part, Section};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-refused-patch-desired",
        title: "A desired PATCH with one bad key among good ones changes nothing",
        requirements: &["HUB-MERGE-023"],
        needs: &[],
        run: body!(patch_of_desired),
    },
    Case {
        id: "twin-refused-patch-both-sections",
        title: "A PATCH with good tags and a bad desired key changes neither section",
        requirements: &["HUB-MERGE-023"],
        needs: &[],
        run: body!(patch_of_both_sections),
    },
    Case {
        id: "twin-refused-put",
        title: "A PUT with one bad key among good ones changes nothing",
        requirements: &["HUB-MERGE-023"],
        needs: &[],
        run: body!(put),
    },
    Case {
        id: "twin-refused-report",
        title: "A reported PATCH with one bad key among good ones changes nothing",
        requirements: &["HUB-MERGE-023"],
        needs: &[],
        run: body!(report),
    },
];

const REQUIREMENT: &str = "HUB-MERGE-023";

async fn patch_of_desired(bench: &mut Bench) -> Checked {
    let bad = json!({ "a": "new", "m": { "b": "new", "bad key": "x", "c": "new" }, "z": "new" });
    refused(bench, Method::PATCH, &json!({ "properties": { "desired": bad } })).await
}

async fn patch_of_both_sections(bench: &mut Bench) -> Checked {
    let body = json!({
        "tags": { "a": "new" },
        "properties": { "desired": { "bad key": "x" } },
    });
    refused(bench, Method::PATCH, &body).await?;
    let body = json!({
        "tags": { "bad key": "x" },
        "properties": { "desired": { "a": "new" } },
    });
    refused(bench, Method::PATCH, &body).await
}

async fn put(bench: &mut Bench) -> Checked {
    let body = json!({
        "tags": { "a": "new" },
        "properties": { "desired": { "a": "new", "bad key": "x", "z": "new" } },
    });
    refused(bench, Method::PUT, &body).await
}

/// Demands that the write of `body` is refused and the twin of a new device stays as it was.
async fn refused(bench: &mut Bench, method: Method, body: &Value) -> Checked {
    let device = bench.device().await?.identity;
    let before = json!({ "a": "old", "m": { "b": "old" } });
    let good = json!({ "tags": before, "properties": { "desired": before } });
    bench.patch_twin(&device, &good).await?;
    let before = bench.read_twin(&device).await?;
    let answer = bench.write_twin(method, &device, IfMatch::Absent, body).await?;
    must_be_refused(answer.status.as_u16(), &answer.to_string())?;
    let after = bench.read_twin(&device).await?;
    bench.equal_json(REQUIREMENT, "twin", &writable(&before), &writable(&after));
    Ok(())
}

async fn report(bench: &mut Bench) -> Checked {
    let mut section = Section::of_device(bench, Part::Reported).await?;
    section.fill(bench, &json!({ "a": "old", "m": { "b": "old" } })).await?;
    let before = section.connection.twin().await?;
    let bad = json!({ "a": "new", "m": { "b": "new", "bad key": "x", "c": "new" }, "z": "new" });
    let answer = section.connection.report(&bad).await?;
    must_be_refused(answer.status, &answer.to_string())?;
    let after = section.connection.twin().await?;
    bench.equal_json(REQUIREMENT, "twin as the device reads it", &before, &after);
    // What a lagging back-end read might hide shows together with the next write.
    section.patch(bench, "HUB-MERGE-001", &json!({ "after": "yes" })).await?;
    let content = json!({ "a": "old", "m": { "b": "old" }, "after": "yes" });
    section.holds(bench, REQUIREMENT, &content).await?;
    Ok(())
}

/// Without a refusal there is nothing to judge here.
fn must_be_refused(status: u16, seen: &str) -> Checked {
    if status == 400 {
        return Ok(());
    }
    Err(Stop::Broken {
        requirement: "HUB-VALI-001",
        allowed: "400 for a key with a blank".to_owned(),
        seen: seen.to_owned(),
    })
}

/// What writes of the twin change: the sections, their versions and the etag.
pub(super) fn writable(twin: &Value) -> Value {
    let member = |name: &str| twin.get(name).cloned().unwrap_or_default();
    json!({
        "tags": member("tags"),
        "properties": member("properties"),
        "etag": member("etag"),
        "version": member("version"),
    })
}
