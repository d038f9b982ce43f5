//! Conditions, contents and metrics that are refused (HUB-CFG-011, -012).

use http::Method;
use serde_json::{Map, Value, json};

use super::calls::{at, create, document, etag_of, id_of, idle, put, read, setting, with};
use crate::bench::{Bench, IfMatch, identity_path};
use crate::body;
use crate::case::Case;
use crate::cases::hub::registry::calls::demand_refused;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "configuration-bad-condition",
        title: "A condition that cannot be read is refused with InvalidConfigurationTargetCondition",
        requirements: &["HUB-CFG-011"],
        needs: &[],
        run: body!(bad_condition),
    },
    Case {
        id: "configuration-bad-content",
        title: "A content that sets no desired properties is refused with InvalidConfigurationContent",
        requirements: &["HUB-CFG-011"],
        needs: &[],
        run: body!(bad_content),
    },
    Case {
        id: "configuration-bad-metric",
        title: "A metric that is no query is refused with InvalidConfigurationCustomMetricsQuery",
        requirements: &["HUB-CFG-011"],
        needs: &[],
        run: body!(bad_metric),
    },
    Case {
        id: "configuration-bad-condition-in-update",
        title: "An update with a condition that cannot be read is refused and changes nothing",
        requirements: &["HUB-CFG-011"],
        needs: &[],
        run: body!(bad_condition_in_update),
    },
    Case {
        id: "configuration-six-metrics",
        title: "Five custom metrics are taken, six are refused",
        requirements: &["HUB-CFG-011"],
        needs: &[],
        run: body!(six_metrics),
    },
    Case {
        id: "configuration-content-for-plain-device",
        title: "Content cannot be applied to a single device that is no Edge device",
        requirements: &["HUB-CFG-012"],
        needs: &[],
        run: body!(content_for_plain_device),
    },
];

/// Demands that a good document is taken, and refused with 400 and `name` when `member` is `bad`.
async fn demand_bad(bench: &mut Bench, member: &str, bad: Value, name: &str) -> Checked {
    for (value, is_good) in [(None, true), (Some(bad), false)] {
        let id = bench.new_configuration();
        let good = document(&id, "tags.mark = 'nobody'", 1, &setting("fan", json!(1)));
        match value {
            Some(bad) => {
                let answer = put(bench, IfMatch::Absent, &with(&good, member, bad)).await?;
                demand_refused(bench, "HUB-CFG-011", &answer, 400, name);
            }
            None if is_good => drop(create(bench, "HUB-CFG-001", &good).await?),
            None => {}
        }
    }
    Ok(())
}

const CONDITION: &str = "InvalidConfigurationTargetCondition";

async fn bad_condition(bench: &mut Bench) -> Checked {
    for text in ["tags.mark = ", "tags.mark ~ 'x'", "(tags.mark = 'x'"] {
        demand_bad(bench, "targetCondition", json!(text), CONDITION).await?;
    }
    Ok(())
}

async fn bad_content(bench: &mut Bench) -> Checked {
    let content = json!({ "deviceContent": { "properties.reported.fan": 1 } });
    demand_bad(bench, "content", content, "InvalidConfigurationContent").await
}

fn metrics(count: usize, query: &str) -> Value {
    let named = |number: usize| (format!("m{number}"), json!(query));
    json!({ "queries": (0..count).map(named).collect::<Map<String, Value>>() })
}

const METRIC: &str = "InvalidConfigurationCustomMetricsQuery";

async fn bad_metric(bench: &mut Bench) -> Checked {
    let bad = metrics(1, "SELECT deviceId FROM devices WHERE");
    demand_bad(bench, "metrics", bad, METRIC).await
}

async fn bad_condition_in_update(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let bad = with(&made, "targetCondition", json!("tags.mark ="));
    let answer = put(bench, IfMatch::Etag(etag_of(&made)), &bad).await?;
    demand_refused(bench, "HUB-CFG-011", &answer, 400, CONDITION);
    let found = read(bench, "HUB-CFG-011", id_of(&made)).await?;
    let (kept, seen) = (at(&made, "targetCondition"), at(&found, "targetCondition"));
    bench.equal_json("HUB-CFG-011", "targetCondition", kept, seen);
    Ok(())
}

async fn six_metrics(bench: &mut Bench) -> Checked {
    let query = "SELECT deviceId FROM devices WHERE tags.mark = 'nobody'";
    let id = bench.new_configuration();
    let good = document(&id, "", 1, &setting("fan", json!(1)));
    create(bench, "HUB-CFG-011", &with(&good, "metrics", metrics(5, query))).await?;
    let id = bench.new_configuration();
    let bad = with(&with(&good, "id", json!(id)), "metrics", metrics(6, query));
    let answer = put(bench, IfMatch::Absent, &bad).await?;
    // That it is this code is documented for bad queries only.
    demand_refused(bench, "HUB-CFG-011", &answer, 400, "");
    Ok(())
}

async fn content_for_plain_device(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let path = format!("{}/applyConfigurationContent", identity_path(&device));
    for content in [
        json!({ "deviceContent": setting("fan", json!(1)) }),
        json!({ "modulesContent": { "fan": { "properties.desired": { "rpm": 1 } } } }),
    ] {
        let answer = bench.call(Method::POST, &path, IfMatch::Absent, Some(&content)).await?;
        demand_refused(bench, "HUB-CFG-012", &answer, 400, "");
    }
    let twin = bench.read_twin(&device).await?;
    let seen = super::calls::desired(&twin);
    bench.equal_json("HUB-CFG-012", "desired properties", &json!({}), &seen);
    Ok(())
}
