//! The finer points of the language (QRY-042 to -071).

use serde_json::{Value, json};

use super::fleet::{Fleet, ask, settled};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "query-constants",
        title: "Constants alone, Booleans, and numbers in other spellings",
        requirements: &["QRY-044", "QRY-045", "QRY-048"],
        needs: &[],
        run: body!(constants),
    },
    Case {
        id: "query-types",
        title: "Strings are no numbers, and objects equal nothing",
        requirements: &["QRY-042", "QRY-071"],
        needs: &[],
        run: body!(types),
    },
    Case {
        id: "query-arithmetic",
        title: "Conditions calculate, and NOT binds before AND before OR",
        requirements: &["QRY-049", "QRY-050"],
        needs: &[],
        run: body!(arithmetic),
    },
    Case {
        id: "query-prefixes",
        title: "STARTSWITH works, and STARTS_WITH is refused",
        requirements: &["QRY-059", "QRY-060"],
        needs: &[],
        run: body!(prefixes),
    },
    Case {
        id: "query-aggregates",
        title: "Mean, total, smallest and largest are computed over numbers",
        requirements: &["QRY-058"],
        needs: &[],
        run: body!(aggregates),
    },
    Case {
        id: "query-nested-projection",
        title: "A projected path has the name of its last segment",
        requirements: &["QRY-056"],
        needs: &[],
        run: body!(nested_projection),
    },
    Case {
        id: "query-jobs-limits",
        title: "Rows of jobs are neither projected nor counted",
        requirements: &["QRY-065"],
        needs: &[],
        run: body!(jobs_limits),
    },
    Case {
        id: "query-list-in-parentheses",
        title: "IN with parentheses is refused",
        requirements: &["QRY-066"],
        needs: &[],
        run: body!(list_in_parentheses),
    },
    Case {
        id: "query-configurations-path",
        title: "The state of a configuration can stand in a condition",
        requirements: &["QRY-070"],
        needs: &[],
        run: body!(configurations_path),
    },
    Case {
        id: "query-modules",
        title: "Modules are found by ids and tags, with and without prefixes",
        requirements: &["QRY-062", "QRY-063"],
        needs: &[],
        run: body!(modules),
    },
];

/// Devices with values of several types.
async fn mixed(bench: &mut Bench) -> Checked<Fleet> {
    let twins = [
        (json!({ "name": "oak-1", "v": 60, "on": true, "site": { "row": 4 } }), json!({})),
        (json!({ "name": "oak-2", "v": "60", "on": false, "site": { "row": 7 } }), json!({})),
        (json!({ "name": "elm-1", "v": { "x": 60 } }), json!({})),
    ];
    Fleet::new(bench, &twins).await
}

async fn constants(bench: &mut Bench) -> Checked {
    let fleet = mixed(bench).await?;
    fleet.selects(bench, "QRY-044", "true", &[0, 1, 2]).await?;
    for condition in ["'abc'", "null", "false"] {
        fleet.selects(bench, "QRY-044", condition, &[]).await?;
    }
    fleet.selects(bench, "QRY-045", "tags.on = true", &[0]).await?;
    fleet.selects(bench, "QRY-045", "tags.on = false", &[1]).await?;
    fleet.selects(bench, "QRY-048", "tags.site.row = 0x7", &[1]).await?;
    fleet.selects(bench, "QRY-048", "tags.site.row = 4.0", &[0]).await
}

async fn types(bench: &mut Bench) -> Checked {
    let fleet = mixed(bench).await?;
    fleet.selects(bench, "QRY-042", "tags.v = 60", &[0]).await?;
    fleet.selects(bench, "QRY-042", "tags.v = '60'", &[1]).await?;
    let answer = ask(bench, &fleet.query("tags.v = 'x'"), &[]).await?;
    let selects_nobody = answer.status.as_u16() == 200 && answer.json() == json!([]);
    let holds = selects_nobody || answer.status.is_client_error();
    bench.demand("QRY-071", holds, "no row, or 4xx", answer.to_string());
    Ok(())
}

async fn arithmetic(bench: &mut Bench) -> Checked {
    let fleet = mixed(bench).await?;
    fleet.selects(bench, "QRY-049", "tags.site.row * 2 + 1 = 9", &[0]).await?;
    fleet.selects(bench, "QRY-049", "(tags.site.row - 1) / 2 = 3", &[1]).await?;
    fleet.selects(bench, "QRY-049", "tags.site.row % 4 = 3", &[1]).await?;
    let not_first = "NOT IS_DEFINED(tags.site) AND IS_DEFINED(tags.on)";
    fleet.selects(bench, "QRY-050", not_first, &[]).await?;
    let and_first = "tags.name = 'elm-1' OR tags.on = true AND tags.name = 'oak-2'";
    fleet.selects(bench, "QRY-050", and_first, &[2]).await
}

async fn prefixes(bench: &mut Bench) -> Checked {
    let fleet = mixed(bench).await?;
    fleet.selects(bench, "QRY-059", "STARTSWITH(tags.name, 'oak')", &[0, 1]).await?;
    refused(bench, "QRY-060", &fleet.query("STARTS_WITH(tags.name, 'oak')")).await
}

/// Demands that `query` is refused with 4xx.
async fn refused(bench: &mut Bench, requirement: &'static str, query: &str) -> Checked {
    let answer = ask(bench, query, &[]).await?;
    let allowed = format!("{query}: 4xx");
    bench.demand(requirement, answer.status.is_client_error(), allowed, answer.to_string());
    Ok(())
}

/// Demands that `query` shows exactly these rows.
async fn shows(
    bench: &mut Bench,
    requirement: &'static str,
    query: &str,
    expected: &Value,
) -> Checked {
    let rows = settled(bench, query, |rows| rows == expected).await?.json();
    bench.equal_json(requirement, query, expected, &rows);
    Ok(())
}

async fn aggregates(bench: &mut Bench) -> Checked {
    let row = |rate: u32| (json!({ "rate": rate }), json!({}));
    let fleet = Fleet::new(bench, &[row(30), row(60), row(60)]).await?;
    let query = format!(
        "SELECT AVG(tags.rate) AS a, MIN(tags.rate) AS lo, MAX(tags.rate) AS hi, \
         SUM(tags.rate) AS s FROM devices WHERE tags.mark = '{}'",
        fleet.mark
    );
    let is_close = |rows: &Value, name: &str, expected: f64| {
        let seen = rows.pointer(&format!("/0/{name}")).and_then(Value::as_f64);
        seen.is_some_and(|seen| (seen - expected).abs() < 1e-9)
    };
    let is_right = |rows: &Value| {
        let expected = [("a", 50.0), ("lo", 30.0), ("hi", 60.0), ("s", 150.0)];
        expected.iter().all(|(name, number)| is_close(rows, name, *number))
    };
    let answer = settled(bench, &query, is_right).await?;
    let holds = is_right(&answer.json());
    bench.demand("QRY-058", holds, "a 50, lo 30, hi 60, s 150", answer.to_string());
    Ok(())
}

async fn nested_projection(bench: &mut Bench) -> Checked {
    let fleet = Fleet::new(bench, &[(json!({ "site": { "Row": 4 } }), json!({}))]).await?;
    let query = format!("SELECT tags.site.Row FROM devices WHERE tags.mark = '{}'", fleet.mark);
    shows(bench, "QRY-056", &query, &json!([{ "Row": 4 }])).await
}

async fn jobs_limits(bench: &mut Bench) -> Checked {
    refused(bench, "QRY-065", "SELECT deviceId FROM devices.jobs").await?;
    refused(bench, "QRY-065", "SELECT COUNT() AS n FROM devices.jobs").await
}

async fn list_in_parentheses(bench: &mut Bench) -> Checked {
    let fleet = mixed(bench).await?;
    fleet.selects(bench, "QRY-066", "tags.name IN ['elm-1']", &[2]).await?;
    refused(bench, "QRY-066", &fleet.query("tags.name IN ('elm-1')")).await
}

/// No device has the configuration: that the question is understood is all there is to see.
async fn configurations_path(bench: &mut Bench) -> Checked {
    let fleet = mixed(bench).await?;
    let state = "configurations.[[rollout-7]].status = 'Applied'";
    fleet.selects(bench, "QRY-070", state, &[]).await?;
    fleet.selects(bench, "QRY-070", &format!("tags.name = 'elm-1' OR {state}"), &[2]).await
}

async fn modules(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    for name in ["left", "right"] {
        let module = bench.module(&device, name).await?.identity;
        bench.patch_twin(&module, &json!({ "tags": { "side": name } })).await?;
    }
    let device = &device.identity.device;
    let conditions = [
        ("QRY-062", format!("deviceId = '{device}' AND moduleId = 'left'")),
        ("QRY-062", format!("deviceId = '{device}' AND tags.side = 'left'")),
        ("QRY-063", format!("devices.deviceId = '{device}' AND tags.side = 'left'")),
        ("QRY-063", format!("deviceId = '{device}' AND devices.modules.moduleId = 'left'")),
    ];
    for (requirement, condition) in conditions {
        let query = format!("SELECT * FROM devices.modules WHERE {condition}");
        let is_left = |rows: &Value| {
            let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
            matches!(rows, [row] if row["deviceId"] == *device && row["moduleId"] == "left")
        };
        let answer = settled(bench, &query, is_left).await?;
        let holds = is_left(&answer.json());
        bench.demand(requirement, holds, format!("{query}: left"), answer.to_string());
    }
    Ok(())
}
