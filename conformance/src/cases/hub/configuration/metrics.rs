//! What a configuration counts: system metrics, and queries of its writer's own (HUB-CFG-013 to
//! -015).

use serde_json::{Value, json};
use tokio::time::Instant;

use super::calls::{Member, at, create, document, id_of, read, setting, with};
use crate::bench::{Bench, ROLLOUT};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "configuration-metrics-of-own",
        title: "Queries of one's own come back as they were given, with the number of devices each finds",
        requirements: &["HUB-CFG-013"],
        needs: &[],
        run: body!(metrics_of_own),
    },
    Case {
        id: "configuration-metrics-follow-update",
        title: "A query that an update brings is counted, the one it leaves out is gone",
        requirements: &["HUB-CFG-013"],
        needs: &[],
        run: body!(metrics_follow_update),
    },
    Case {
        id: "configuration-metrics-of-system",
        title: "A device whose setting a higher priority took is targeted, and not applied",
        requirements: &["HUB-CFG-014"],
        needs: &[],
        run: body!(metrics_of_system),
    },
    Case {
        id: "configuration-metrics-system-queries",
        title: "The queries of the system metrics find the devices that are counted",
        requirements: &["HUB-CFG-015"],
        needs: &[],
        run: body!(system_queries),
    },
];

/// Where the numbers of a writer's own queries are.
const OWN: &str = "/metrics/results";

/// Where the hub's own numbers are.
const SYSTEM: &str = "/systemMetrics/results";

/// Demands that the member `pointer` of the configuration becomes `expected`: the document then.
///
/// Metrics are counted when the configuration runs, which is at intervals.
async fn counts(
    bench: &mut Bench,
    requirement: &'static str,
    id: &str,
    pointer: &str,
    expected: &Value,
) -> Checked<Value> {
    let deadline = Instant::now() + bench.budget(ROLLOUT);
    loop {
        let found = read(bench, requirement, id).await?;
        let seen = found.pointer(pointer).unwrap_or(&Value::Null);
        if seen == expected || Instant::now() >= deadline {
            bench.equal_json(requirement, pointer, expected, seen);
            return Ok(found);
        }
        bench.look_again().await;
    }
}

/// A query for the device alone, while it reports `mode`.
fn in_mode(member: &Member, mode: &str) -> String {
    let device = &member.identity().device;
    format!(
        "SELECT deviceId FROM devices WHERE deviceId = '{device}' AND properties.reported.mode = '{mode}'"
    )
}

async fn metrics_of_own(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    let queries = json!({ "eco": in_mode(&member, "eco"), "fast": in_mode(&member, "fast") });
    let id = bench.new_configuration();
    let plain = document(&id, &member.condition, 10, &setting("fan", json!(1)));
    let metrics = json!({ "queries": queries });
    create(bench, "HUB-CFG-013", &with(&plain, "metrics", metrics)).await?;
    let mut connection = bench.connect_and_listen(&member.device).await?;
    connection.reported(&json!({ "mode": "eco" })).await?;
    let expected = json!({ "eco": 1, "fast": 0 });
    let found = counts(bench, "HUB-CFG-013", &id, OWN, &expected).await?;
    let seen = at(at(&found, "metrics"), "queries");
    bench.equal_json("HUB-CFG-013", "metrics.queries", &queries, seen);
    connection.reported(&json!({ "mode": "fast" })).await?;
    let expected = json!({ "eco": 0, "fast": 1 });
    counts(bench, "HUB-CFG-013", &id, OWN, &expected).await?;
    Ok(())
}

async fn metrics_follow_update(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    let made = member.configure(bench, 10, &setting("fan", json!(1))).await?;
    let mut connection = bench.connect_and_listen(&member.device).await?;
    connection.reported(&json!({ "mode": "eco" })).await?;
    for (name, mode, count) in [("first", "eco", 1), ("second", "fast", 0)] {
        let current = read(bench, "HUB-CFG-013", id_of(&made)).await?;
        let mut queries = serde_json::Map::new();
        queries.insert(name.to_owned(), json!(in_mode(&member, mode)));
        let metrics = json!({ "queries": queries });
        super::calls::update(bench, "HUB-CFG-013", &current, "metrics", metrics).await?;
        let mut expected = serde_json::Map::new();
        expected.insert(name.to_owned(), json!(count));
        counts(bench, "HUB-CFG-013", id_of(&made), OWN, &Value::Object(expected)).await?;
    }
    Ok(())
}

async fn metrics_of_system(bench: &mut Bench) -> Checked {
    let (first, second) = (Member::inside(bench).await?, Member::inside(bench).await?);
    let high = first.configure(bench, 20, &setting("fan", json!(20))).await?;
    first.gets(bench, "HUB-CFG-006", &json!({ "fan": 20 })).await?;
    let expected = json!({ "targetedCount": 1, "appliedCount": 1 });
    counts(bench, "HUB-CFG-014", id_of(&high), SYSTEM, &expected).await?;
    let both = format!("{} OR {}", first.condition, second.condition);
    let low = bench.new_configuration();
    let settings = setting("fan", json!(10));
    create(bench, "HUB-CFG-001", &document(&low, &both, 10, &settings)).await?;
    second.gets(bench, "HUB-CFG-006", &json!({ "fan": 10 })).await?;
    let expected = json!({ "targetedCount": 2, "appliedCount": 1 });
    counts(bench, "HUB-CFG-014", &low, SYSTEM, &expected).await?;
    Ok(())
}

async fn system_queries(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    let other = Member::inside(bench).await?;
    other.configure(bench, 10, &setting("fan", json!(1))).await?;
    let made = member.configure(bench, 10, &setting("fan", json!(1))).await?;
    let expected = json!({ "targetedCount": 1, "appliedCount": 1 });
    let found = counts(bench, "HUB-CFG-014", id_of(&made), SYSTEM, &expected).await?;
    let device = &member.identity().device;
    for name in ["targetedCount", "appliedCount"] {
        let query = found.pointer(&format!("/systemMetrics/queries/{name}"));
        let query = query.and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_expected = |rows: &Value| {
            let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
            let ids: Option<Vec<&str>> =
                rows.iter().map(|row| at(row, "deviceId").as_str()).collect();
            ids.as_deref() == Some(&[device.as_str()])
        };
        let answer = super::super::query::settled(bench, &query, is_expected).await?;
        let holds = answer.status.as_u16() == 200 && is_expected(&answer.json());
        let allowed = format!("{name}: a query that finds {device} alone");
        bench.demand("HUB-CFG-015", holds, allowed, format!("{query:?}: {answer}"));
    }
    Ok(())
}
