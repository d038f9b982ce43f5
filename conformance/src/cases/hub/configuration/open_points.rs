//! What the sources leave open about configurations: any allowed outcome will do, unless the profile
//! pins one.

use http::Method;
use serde_json::{Value, json};

use super::calls::{Member, at, document, etag_of, id_of, idle, looked_at, put, setting};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "configuration-open-side-by-side",
        title: "Configurations that set different paths stand side by side, or one wins it all",
        requirements: &["A-H59"],
        needs: &[],
        run: body!(side_by_side),
    },
    Case {
        id: "configuration-open-overwritten",
        title: "A setting that a back end overwrites is restored, or stays overwritten",
        requirements: &["A-H60"],
        needs: &[],
        run: body!(overwritten),
    },
    Case {
        id: "configuration-open-star-for-missing",
        title: "A PUT with If-Match * for a missing configuration is refused, or creates it",
        requirements: &["A-H61"],
        needs: &[],
        run: body!(star_for_missing),
    },
    Case {
        id: "configuration-open-update-without-content",
        title: "An update without content keeps it, or is refused",
        requirements: &["A-H62"],
        needs: &[],
        run: body!(update_without_content),
    },
    Case {
        id: "configuration-open-good-queries",
        title: "A test of good queries names no error: null, an empty text or nothing",
        requirements: &["A-H63"],
        needs: &[],
        run: body!(good_queries),
    },
];

async fn side_by_side(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    member.configure(bench, 20, &setting("fan", json!(1))).await?;
    member.gets(bench, "HUB-CFG-006", &json!({ "fan": 1 })).await?;
    let lower = member.configure(bench, 10, &setting("led", json!("on"))).await?;
    looked_at(bench, id_of(&lower)).await?;
    let seen = member.looked_at_again(bench).await?;
    let tag = match (seen.get("fan").is_some(), seen.get("led").is_some()) {
        (true, true) => "side-by-side",
        (true, false) => "winner-only",
        _ => "other",
    };
    bench.decides("A-H59", tag, seen.to_string());
    Ok(())
}

async fn overwritten(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    member.configure(bench, 20, &setting("fan", json!(1))).await?;
    member.gets(bench, "HUB-CFG-006", &json!({ "fan": 1 })).await?;
    let body = json!({ "properties": { "desired": { "fan": 9 } } });
    bench.patch_twin(member.identity(), &body).await?;
    let seen = member.looked_at_again(bench).await?;
    let tag = match seen.get("fan").and_then(Value::as_u64) {
        Some(1) => "restored",
        Some(9) => "kept",
        _ => "other",
    };
    bench.decides("A-H60", tag, seen.to_string());
    Ok(())
}

async fn star_for_missing(bench: &mut Bench) -> Checked {
    let id = bench.new_configuration();
    let document = document(&id, "", 1, &setting("fan", json!(1)));
    let answer = put(bench, IfMatch::Any, &document).await?;
    let tag = match answer.status.as_u16() {
        404 => "not-found",
        412 => "precondition-failed",
        200 | 201 => "created",
        _ => "other",
    };
    bench.decides("A-H61", tag, answer.to_string());
    Ok(())
}

async fn update_without_content(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let body = json!({ "id": id_of(&made), "priority": 12, "targetCondition": "" });
    let answer = put(bench, IfMatch::Etag(etag_of(&made)), &body).await?;
    let kept = at(&answer.json(), "content") == at(&made, "content");
    let tag = match answer.status.as_u16() {
        200 | 201 if kept => "kept",
        400 => "refused",
        _ => "other",
    };
    bench.decides("A-H62", tag, answer.to_string());
    Ok(())
}

async fn good_queries(bench: &mut Bench) -> Checked {
    let body = json!({
        "targetCondition": "tags.mark = 'x'",
        "customMetricQueries": { "mine": "SELECT deviceId FROM devices" },
    });
    let path = "/configurations/testQueries";
    let answer = bench.call(Method::POST, path, IfMatch::Absent, Some(&body)).await?;
    let json = answer.json();
    let tag = match json.get("targetConditionError") {
        _ if answer.status.as_u16() != 200 => "other",
        None => "absent",
        Some(Value::Null) => "null",
        Some(Value::String(text)) if text.is_empty() => "empty",
        Some(_) => "other",
    };
    bench.decides("A-H63", tag, answer.to_string());
    Ok(())
}
