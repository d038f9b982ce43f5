//! A back end's PUT replaces tags and desired properties, nothing else (HUB-MERGE-017 to -020).
//!
//! What a PUT does to a section that its body leaves out is not promised and not judged.

use http::Method;
use serde_json::{Value, json};

use super::merging::{Part, Section, body_of};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-put-desired",
        title: "A PUT replaces the desired section, objects in it included",
        requirements: &["HUB-MERGE-017"],
        needs: &[],
        run: body!(desired),
    },
    Case {
        id: "twin-put-desired-empty",
        title: "A PUT of an empty desired section leaves no desired properties",
        requirements: &["HUB-MERGE-017"],
        needs: &[],
        run: body!(desired_empty),
    },
    Case {
        id: "twin-put-tags",
        title: "A PUT replaces the tags, objects in them included",
        requirements: &["HUB-MERGE-018"],
        needs: &[],
        run: body!(tags),
    },
    Case {
        id: "twin-put-module",
        title: "A PUT replaces a module's desired section and tags",
        requirements: &["HUB-MERGE-017", "HUB-MERGE-018"],
        needs: &[],
        run: body!(module),
    },
    Case {
        id: "twin-put-spares-reported",
        title: "A PUT without a reported member leaves the reported properties alone",
        requirements: &["HUB-MERGE-019"],
        needs: &[],
        run: body!(spares_reported),
    },
    Case {
        id: "twin-put-reported-member",
        title: "A PUT with a reported member leaves the reported properties alone",
        requirements: &["HUB-MERGE-019"],
        needs: &[],
        run: body!(reported_member),
    },
    Case {
        id: "twin-put-null-tag",
        title: "A null tag in a PUT is refused with ArgumentInvalid",
        requirements: &["HUB-MERGE-020"],
        needs: &[],
        run: body!(null_tag),
    },
    Case {
        id: "twin-put-null-desired",
        title: "A nested null desired property in a PUT is refused with ArgumentInvalid",
        requirements: &["HUB-MERGE-020"],
        needs: &[],
        run: body!(null_desired),
    },
];

fn old_members() -> Value {
    json!({ "a": "1", "b": "2", "o": { "x": "3", "y": "4" }, "p": { "q": "5" } })
}

fn new_members() -> Value {
    json!({ "a": "6", "c": "7", "o": { "x": "8" } })
}

async fn desired(bench: &mut Bench) -> Checked {
    let mut section = Section::of_device(bench, Part::Desired).await?;
    section.fill(bench, &old_members()).await?;
    replaces(bench, &mut section, Part::Desired, "HUB-MERGE-017", &new_members()).await
}

async fn desired_empty(bench: &mut Bench) -> Checked {
    let mut section = Section::of_device(bench, Part::Desired).await?;
    section.fill(bench, &old_members()).await?;
    replaces(bench, &mut section, Part::Desired, "HUB-MERGE-017", &json!({})).await
}

async fn tags(bench: &mut Bench) -> Checked {
    let mut section = Section::of_device(bench, Part::Tags).await?;
    section.fill(bench, &old_members()).await?;
    replaces(bench, &mut section, Part::Tags, "HUB-MERGE-018", &new_members()).await
}

async fn module(bench: &mut Bench) -> Checked {
    let mut section = Section::of_module(bench, Part::Desired).await?;
    section.fill(bench, &old_members()).await?;
    let module = section.who.identity.clone();
    bench.patch_twin(&module, &body_of(Part::Tags, &old_members())).await?;
    replaces(bench, &mut section, Part::Desired, "HUB-MERGE-017", &new_members()).await?;
    replaces(bench, &mut section, Part::Tags, "HUB-MERGE-018", &new_members()).await
}

/// Demands that a PUT of `part` leaves `content` there and nothing else.
async fn replaces(
    bench: &mut Bench,
    section: &mut Section,
    part: Part,
    requirement: &'static str,
    content: &Value,
) -> Checked {
    let identity = section.who.identity.clone();
    bench.replace_twin(&identity, &body_of(part, content)).await?;
    let twin = bench.watch_twin(&identity, |twin| part.content(twin) == *content).await?;
    bench.equal_json(requirement, "section after the PUT", content, &part.content(&twin));
    Ok(())
}

async fn spares_reported(bench: &mut Bench) -> Checked {
    let body = json!({ "tags": { "t": "1" }, "properties": { "desired": { "d": "2" } } });
    keeps_reported(bench, &body).await
}

async fn reported_member(bench: &mut Bench) -> Checked {
    let body = json!({
        "tags": { "t": "1" },
        "properties": { "desired": { "d": "2" }, "reported": { "a": "new", "z": "new" } },
    });
    keeps_reported(bench, &body).await
}

/// Demands that an accepted PUT of `body` leaves what the device reported.
async fn keeps_reported(bench: &mut Bench, body: &Value) -> Checked {
    const REQUIREMENT: &str = "HUB-MERGE-019";
    let mut section = Section::of_device(bench, Part::Reported).await?;
    let reported = json!({ "a": "old", "o": { "x": "1" } });
    section.fill(bench, &reported).await?;
    let before = section.connection.twin().await?;
    let identity = section.who.identity.clone();
    bench.replace_twin(&identity, body).await?;
    let written = |twin: &Value| Part::Desired.content(twin) == json!({ "d": "2" });
    let twin = bench.watch_twin(&identity, written).await?;
    let seen = Part::Reported.content(&twin);
    bench.equal_json(REQUIREMENT, "reported as the back end reads it", &reported, &seen);
    let after = section.connection.twin().await?;
    let of = |twin: &Value| twin.get("reported").cloned().unwrap_or_default();
    bench.equal_json(REQUIREMENT, "reported as the device reads it", &of(&before), &of(&after));
    Ok(())
}

async fn null_tag(bench: &mut Bench) -> Checked {
    refuses_null(bench, &json!({ "tags": { "t": null } }), &json!({ "tags": { "t": "1" } })).await
}

async fn null_desired(bench: &mut Bench) -> Checked {
    let body = |x: Value| json!({ "properties": { "desired": { "o": { "x": x, "y": "2" } } } });
    refuses_null(bench, &body(json!(null)), &body(json!("1"))).await
}

/// Demands that a PUT of `bad` is refused, where one of `good`, without its null, is not.
async fn refuses_null(bench: &mut Bench, bad: &Value, good: &Value) -> Checked {
    const REQUIREMENT: &str = "HUB-MERGE-020";
    let device = bench.device().await?.identity;
    bench.replace_twin(&device, good).await?;
    let answer = bench.write_twin(Method::PUT, &device, IfMatch::Absent, bad).await?;
    bench.equal(REQUIREMENT, "status", 400, answer.status.as_u16());
    let named = answer.header("iothub-errorcode") == Some("ArgumentInvalid")
        || String::from_utf8_lossy(&answer.body).contains("ArgumentInvalid");
    bench.demand(REQUIREMENT, named, "the error ArgumentInvalid", answer.to_string());
    Ok(())
}
