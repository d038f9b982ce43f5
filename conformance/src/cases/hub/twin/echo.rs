//! Whole twins on their way: what writes answer, and fetched twins sent back
//! (HUB-MERGE-021, -022).
//!
//! Clients read a twin, change it and send all of it back, with members that only the hub sets.

use http::Method;
use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::merging::{Part, Section};
use crate::bench::{Bench, IfMatch, words};
use crate::body;
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-patch-echo",
        title: "A PATCH of a whole fetched twin is accepted and leaves it as it was",
        requirements: &["HUB-MERGE-021"],
        needs: &[],
        run: |bench| Box::pin(echo(bench, Method::PATCH)),
    },
    Case {
        id: "twin-put-echo",
        title: "A PUT of a whole fetched twin is accepted and leaves it as it was",
        requirements: &["HUB-MERGE-021"],
        needs: &[],
        run: |bench| Box::pin(echo(bench, Method::PUT)),
    },
    Case {
        id: "twin-patch-echo-stale",
        title: "Outdated read-only members of an echoed twin are ignored in a PATCH",
        requirements: &["HUB-MERGE-021"],
        needs: &[],
        run: |bench| Box::pin(stale_echo(bench, Method::PATCH)),
    },
    Case {
        id: "twin-put-echo-stale",
        title: "Outdated read-only members of an echoed twin are ignored in a PUT",
        requirements: &["HUB-MERGE-021"],
        needs: &[],
        run: |bench| Box::pin(stale_echo(bench, Method::PUT)),
    },
    Case {
        id: "twin-patch-answers-twin",
        title: "A PATCH is answered 200 with the complete new twin",
        requirements: &["HUB-MERGE-022"],
        needs: &[],
        run: |bench| Box::pin(answers_twin(bench, Method::PATCH)),
    },
    Case {
        id: "twin-put-answers-twin",
        title: "A PUT is answered 200 with the complete new twin",
        requirements: &["HUB-MERGE-022"],
        needs: &[],
        run: |bench| Box::pin(answers_twin(bench, Method::PUT)),
    },
    Case {
        id: "twin-patch-answers-module-twin",
        title: "A PATCH of a module's twin is answered 200 with the complete new twin",
        requirements: &["HUB-MERGE-022"],
        needs: &[],
        run: body!(answers_module_twin),
    },
];

async fn echo(bench: &mut Bench, method: Method) -> Checked {
    let (section, _) = filled(bench).await?;
    let identity = &section.who.identity;
    let before = bench.read_twin(identity).await?;
    accepts_echo(bench, identity, method, &before).await?;
    let after = bench.read_twin(identity).await?;
    bench.equal_json("HUB-MERGE-021", "twin", &kept(&before), &kept(&after));
    Ok(())
}

async fn stale_echo(bench: &mut Bench, method: Method) -> Checked {
    const REQUIREMENT: &str = "HUB-MERGE-021";
    let (mut section, old) = filled(bench).await?;
    let identity = section.who.identity.clone();
    // Now etag, versions and the reported section of the fetched twin are outdated.
    section.patch(bench, "HUB-MERGE-001", &json!({ "a": "new", "b": "new" })).await?;
    bench.patch_twin(&identity, &json!({ "tags": { "site": "south" } })).await?;
    accepts_echo(bench, &identity, method, &old).await?;
    section.holds(bench, REQUIREMENT, &json!({ "a": "new", "b": "new" })).await?;
    let echoed = |twin: &Value| Part::Tags.content(twin) == json!({ "site": "north" });
    let after = bench.watch_twin(&identity, echoed).await?;
    let version =
        |twin: &Value| twin.pointer("/properties/desired/$version").and_then(Value::as_u64);
    let grown = version(&after) > version(&old);
    let seen = format!("desired.$version {}", words(&version(&after)));
    bench.demand(REQUIREMENT, grown, format!("more than {}", words(&version(&old))), seen);
    // The members that a back end may write are taken from the echo.
    bench.equal_json(REQUIREMENT, "tags", &json!({ "site": "north" }), &Part::Tags.content(&after));
    let seen = Part::Desired.content(&after);
    bench.equal_json(REQUIREMENT, "desired", &json!({ "mode": "eco" }), &seen);
    Ok(())
}

/// A device's twin with something in every section.
async fn filled(bench: &mut Bench) -> Checked<(Section, Value)> {
    let mut section = Section::of_device(bench, Part::Reported).await?;
    section.fill(bench, &json!({ "a": "old" })).await?;
    let body =
        json!({ "tags": { "site": "north" }, "properties": { "desired": { "mode": "eco" } } });
    let twin = bench.patch_twin(&section.who.identity, &body).await?;
    Ok((section, twin))
}

async fn accepts_echo(
    bench: &mut Bench,
    identity: &Identity,
    method: Method,
    twin: &Value,
) -> Checked {
    let allowed = format!("200 for a {method} of a fetched twin");
    let answer = bench.write_twin(method, identity, IfMatch::Absent, twin).await?;
    if answer.status.as_u16() == 200 {
        return Ok(());
    }
    Err(Stop::Broken { requirement: "HUB-MERGE-021", allowed, seen: answer.to_string() })
}

/// What an echo must leave alone: all but the marks of a write and of a live connection.
fn kept(twin: &Value) -> Value {
    let mut twin = lasting(twin);
    if let Some(members) = twin.as_object_mut() {
        members.remove("etag");
        members.remove("version");
        let sections = [Part::Desired, Part::Reported];
        let [desired, reported] =
            sections.map(|part| part.content(&Value::Object(members.clone())));
        members
            .insert("properties".to_owned(), json!({ "desired": desired, "reported": reported }));
    }
    twin
}

/// A twin without the members that may lag behind a connection.
fn lasting(twin: &Value) -> Value {
    let mut twin = twin.clone();
    if let Some(members) = twin.as_object_mut() {
        for name in ["connectionState", "lastActivityTime", "cloudToDeviceMessageCount"] {
            members.remove(name);
        }
    }
    twin
}

async fn answers_twin(bench: &mut Bench, method: Method) -> Checked {
    let (section, _) = filled(bench).await?;
    answers(bench, &section.who.identity, method).await
}

async fn answers_module_twin(bench: &mut Bench) -> Checked {
    let mut section = Section::of_module(bench, Part::Reported).await?;
    section.fill(bench, &json!({ "a": "old" })).await?;
    answers(bench, &section.who.identity, Method::PATCH).await
}

/// Demands that a write is answered with the twin that a read then shows.
async fn answers(bench: &mut Bench, identity: &Identity, method: Method) -> Checked {
    const REQUIREMENT: &str = "HUB-MERGE-022";
    let body =
        json!({ "tags": { "site": "west" }, "properties": { "desired": { "mode": "dry" } } });
    let answer = bench.write_twin(method, identity, IfMatch::Absent, &body).await?;
    bench.equal(REQUIREMENT, "status", 200, answer.status.as_u16());
    let answered = answer.json();
    let seen = Part::Desired.content(&answered);
    bench.equal_json(REQUIREMENT, "desired in the answer", &json!({ "mode": "dry" }), &seen);
    let same = |twin: &Value| lasting(twin) == lasting(&answered);
    let read = bench.watch_twin(identity, same).await?;
    bench.equal_json(REQUIREMENT, "twin in the answer", &lasting(&read), &lasting(&answered));
    Ok(())
}
