//! What conditions select and what SELECT shows (QRY-031 to -058).

use serde_json::{Value, json};

use super::fleet::{Fleet, settled};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "query-strings",
        title: "Strings are compared, in either quotes and with escapes",
        requirements: &["QRY-033", "QRY-046", "QRY-047"],
        needs: &[],
        run: body!(strings),
    },
    Case {
        id: "query-logic",
        title: "Conditions are joined with AND and OR and put in parentheses",
        requirements: &["QRY-034"],
        needs: &[],
        run: body!(logic),
    },
    Case {
        id: "query-numbers",
        title: "Numbers are compared, and a missing one never matches",
        requirements: &["QRY-035", "QRY-036", "QRY-040"],
        needs: &[],
        run: body!(numbers),
    },
    Case {
        id: "query-lists",
        title: "IN looks into an array, and a missing value is in none",
        requirements: &["QRY-037", "QRY-040"],
        needs: &[],
        run: body!(lists),
    },
    Case {
        id: "query-not-in-list",
        title: "NIN leaves out what its list names",
        requirements: &["QRY-038"],
        needs: &[],
        run: body!(not_in_list),
    },
    Case {
        id: "query-defined",
        title: "IS_DEFINED tells what exists from what does not",
        requirements: &["QRY-039"],
        needs: &[],
        run: body!(defined),
    },
    Case {
        id: "query-two-properties",
        title: "Two properties are compared with each other",
        requirements: &["QRY-043", "QRY-069"],
        needs: &[],
        run: body!(two_properties),
    },
    Case {
        id: "query-names",
        title: "Names have brackets and case where the rules say so",
        requirements: &["QRY-051", "QRY-052", "QRY-053"],
        needs: &[],
        run: body!(names),
    },
    Case {
        id: "query-keywords",
        title: "Keywords are read in any case",
        requirements: &["QRY-031"],
        needs: &[],
        run: body!(keywords),
    },
    Case {
        id: "query-counts",
        title: "Devices are counted, alone and in groups",
        requirements: &["QRY-032", "QRY-055", "QRY-057"],
        needs: &[],
        run: body!(counts),
    },
    Case {
        id: "query-projection",
        title: "Projected root names come back in camel case",
        requirements: &["QRY-054"],
        needs: &[],
        run: body!(projection),
    },
];

/// Four devices that tell the readings of a condition apart.
async fn orchard(bench: &mut Bench) -> Checked<Fleet> {
    let twins = [
        (
            json!({ "kind": "pump", "site": { "region": "north", "bay": 4 } }),
            json!({ "rate": 30, "cap": 30 }),
        ),
        (
            json!({ "kind": "pump", "site": { "region": "south", "bay": 7 } }),
            json!({ "rate": 60, "cap": 45 }),
        ),
        (
            json!({ "kind": "valve", "site": { "region": "north" }, "note": "it's \\ é" }),
            json!({ "cap": 45 }),
        ),
        (json!({ "Kind": "pump", "group": { "name": "x" } }), json!({})),
    ];
    Fleet::new(bench, &twins).await
}

type Expectation = (&'static str, &'static str, &'static [usize]);

/// Demands of each condition that it selects the devices with these numbers.
async fn check(bench: &mut Bench, expectations: &[Expectation]) -> Checked {
    let fleet = orchard(bench).await?;
    for (requirement, condition, expected) in expectations {
        fleet.selects(bench, requirement, condition, expected).await?;
    }
    Ok(())
}

async fn strings(bench: &mut Bench) -> Checked {
    let expectations: [Expectation; 6] = [
        ("QRY-033", "tags.site.region = 'north'", &[0, 2]),
        ("QRY-033", "tags.site.region = 'nort'", &[]),
        ("QRY-046", "tags.site.region = \"north\"", &[0, 2]),
        ("QRY-047", r"tags.note = 'it\'s \\ \u00e9'", &[2]),
        ("QRY-047", r#"tags.note = "it's \\ é""#, &[2]),
        ("QRY-047", r"tags.kind = 'p\u0075mp'", &[0, 1]),
    ];
    check(bench, &expectations).await
}

async fn logic(bench: &mut Bench) -> Checked {
    let expectations: [Expectation; 3] = [
        ("QRY-034", "tags.kind = 'pump' AND tags.site.region = 'north'", &[0]),
        ("QRY-034", "tags.kind = 'valve' OR tags.site.region = 'south'", &[1, 2]),
        (
            "QRY-034",
            "tags.site.region = 'north' AND (tags.kind = 'valve' OR tags.kind = 'gate')",
            &[2],
        ),
    ];
    check(bench, &expectations).await
}

async fn numbers(bench: &mut Bench) -> Checked {
    let expectations: [Expectation; 8] = [
        ("QRY-035", "tags.site.bay = 4", &[0]),
        ("QRY-035", "tags.site.bay >= 4 AND tags.site.bay <= 7", &[0, 1]),
        ("QRY-035", "tags.site.bay > 4 AND tags.site.bay < 8", &[1]),
        ("QRY-035", "IS_DEFINED(tags.site.bay) AND tags.site.bay != 4", &[1]),
        ("QRY-036", "IS_DEFINED(tags.site.bay) AND tags.site.bay <> 4", &[1]),
        ("QRY-040", "tags.site.bay < 100", &[0, 1]),
        ("QRY-040", "tags.site.bay > 0", &[0, 1]),
        ("QRY-040", "tags.site.bay = 0", &[]),
    ];
    check(bench, &expectations).await
}

async fn lists(bench: &mut Bench) -> Checked {
    let expectations: [Expectation; 3] = [
        ("QRY-037", "tags.kind IN ['valve']", &[2]),
        ("QRY-037", "tags.kind IN ['valve', 'pump']", &[0, 1, 2]),
        ("QRY-040", "tags.site.region IN ['north', 'south', '']", &[0, 1, 2]),
    ];
    check(bench, &expectations).await
}

async fn not_in_list(bench: &mut Bench) -> Checked {
    let expectations: [Expectation; 3] = [
        ("QRY-038", "IS_DEFINED(tags.kind) AND tags.kind NIN ['valve']", &[0, 1]),
        ("QRY-038", "IS_DEFINED(tags.kind) AND tags.kind NIN ['gate']", &[0, 1, 2]),
        ("QRY-038", "IS_DEFINED(tags.kind) AND tags.kind NIN ['valve', 'pump']", &[]),
    ];
    check(bench, &expectations).await
}

async fn defined(bench: &mut Bench) -> Checked {
    let expectations: [Expectation; 2] = [
        ("QRY-039", "IS_DEFINED(tags.site.bay)", &[0, 1]),
        ("QRY-039", "NOT IS_DEFINED(tags.site.bay)", &[2, 3]),
    ];
    check(bench, &expectations).await
}

async fn two_properties(bench: &mut Bench) -> Checked {
    let expectations: [Expectation; 2] = [
        ("QRY-043", "properties.desired.rate = properties.desired.cap", &[0]),
        ("QRY-069", "properties.desired.$version > 0 AND tags.kind = 'valve'", &[2]),
    ];
    check(bench, &expectations).await
}

async fn names(bench: &mut Bench) -> Checked {
    let fleet = orchard(bench).await?;
    fleet.selects(bench, "QRY-051", "tags.[[group]].name = 'x'", &[3]).await?;
    fleet.selects(bench, "QRY-052", "tags.kind = 'pump'", &[0, 1]).await?;
    let first = fleet.ids.first().cloned().unwrap_or_default();
    fleet.selects(bench, "QRY-053", &format!("DeviceId = '{first}'"), &[0]).await
}

async fn keywords(bench: &mut Bench) -> Checked {
    let fleet = orchard(bench).await?;
    let condition = "tags.kind = 'valve' or not is_defined(tags.site) and true";
    fleet.selects(bench, "QRY-031", condition, &[2, 3]).await
}

async fn counts(bench: &mut Bench) -> Checked {
    let fleet = orchard(bench).await?;
    let all = format!("FROM devices WHERE tags.mark = '{}'", fleet.mark);
    let count = format!("SELECT COUNT() AS total {all}");
    let expected = json!([{ "total": 4 }]);
    let rows = settled(bench, &count, |rows| *rows == expected).await?.json();
    bench.equal_json("QRY-032", &count, &expected, &rows);
    let has_name = rows.pointer("/0/total").is_some();
    bench.demand("QRY-055", has_name, "a member total", rows.to_string());
    let grouped = format!(
        "SELECT tags.kind AS kind, COUNT() AS n {all} AND IS_DEFINED(tags.kind) GROUP BY tags.kind"
    );
    let expected = json!([{ "kind": "pump", "n": 2 }, { "kind": "valve", "n": 1 }]);
    let mut rows = settled(bench, &grouped, |rows| sorted(rows) == expected).await?.json();
    rows = sorted(&rows);
    bench.equal_json("QRY-057", &grouped, &expected, &rows);
    Ok(())
}

/// Rows in the order of their kinds.
fn sorted(rows: &Value) -> Value {
    let mut rows = rows.as_array().cloned().unwrap_or_default();
    rows.sort_by_key(|row| row["kind"].to_string());
    Value::Array(rows)
}

async fn projection(bench: &mut Bench) -> Checked {
    let fleet = Fleet::new(bench, &[(json!({}), json!({}))]).await?;
    let query = format!("SELECT DeviceId, STATUS FROM devices WHERE tags.mark = '{}'", fleet.mark);
    let expected = json!([{ "deviceId": fleet.ids.first(), "status": "enabled" }]);
    let rows = settled(bench, &query, |rows| *rows == expected).await?.json();
    bench.equal_json("QRY-054", &query, &expected, &rows);
    Ok(())
}
