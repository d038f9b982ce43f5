//! Values that are easily misread (QRY-033 to -040, -049, -057, -058).

use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::fleet::{Fleet, devices, settled};
use crate::bench::{Bench, words};
use crate::body;
use crate::case::Case;
use crate::cases::hub::registry::calls::create as registered;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "query-falsy-values",
        title: "Zero, false, empty texts and empty arrays are defined and are found",
        requirements: &["QRY-033", "QRY-035", "QRY-039", "QRY-045"],
        needs: &[],
        run: body!(falsy_values),
    },
    Case {
        id: "query-every-device",
        title: "Devices that nobody has touched and devices that are disabled are found",
        requirements: &["QRY-030"],
        needs: &[],
        run: body!(every_device),
    },
    Case {
        id: "query-missing-at-most",
        title: "A missing number is neither at most nor at least anything",
        requirements: &["QRY-040"],
        needs: &[],
        run: body!(missing_at_most),
    },
    Case {
        id: "query-numbers-exact",
        title: "Fractions, large numbers and constants on the left are compared as they are",
        requirements: &["QRY-035", "QRY-043"],
        needs: &[],
        run: body!(numbers_exact),
    },
    Case {
        id: "query-strings-exact",
        title: "Strings are compared with case and blanks, whatever words are in them",
        requirements: &["QRY-033"],
        needs: &[],
        run: body!(strings_exact),
    },
    Case {
        id: "query-long-list",
        title: "IN finds the last one of many",
        requirements: &["QRY-037"],
        needs: &[],
        run: body!(long_list),
    },
    Case {
        id: "query-arithmetic-exact",
        title: "Divisions keep their fraction and differences are taken from left to right",
        requirements: &["QRY-048", "QRY-049"],
        needs: &[],
        run: body!(arithmetic_exact),
    },
    Case {
        id: "query-aggregates-of-numbers",
        title: "Aggregates look at numbers only, negative ones included",
        requirements: &["QRY-058"],
        needs: &[],
        run: body!(aggregates_of_numbers),
    },
    Case {
        id: "query-groups-exact",
        title: "Values that differ in case are different groups, and the condition comes first",
        requirements: &["QRY-057"],
        needs: &[],
        run: body!(groups_exact),
    },
];

type Expectation = (&'static str, &'static str, &'static [usize]);

async fn check(bench: &mut Bench, tags: &[Value], expectations: &[Expectation]) -> Checked {
    let twins: Vec<(Value, Value)> = tags.iter().map(|tags| (tags.clone(), json!({}))).collect();
    let fleet = Fleet::new(bench, &twins).await?;
    for (requirement, condition, expected) in expectations {
        fleet.selects(bench, requirement, condition, expected).await?;
    }
    Ok(())
}

async fn falsy_values(bench: &mut Bench) -> Checked {
    let tags = [
        json!({ "n": 0, "on": false, "text": "", "list": [] }),
        json!({ "n": 1, "on": true, "text": "a", "list": ["b"] }),
        json!({}),
    ];
    let expectations: [Expectation; 8] = [
        ("QRY-039", "IS_DEFINED(tags.n)", &[0, 1]),
        ("QRY-039", "IS_DEFINED(tags.on)", &[0, 1]),
        ("QRY-039", "IS_DEFINED(tags.text)", &[0, 1]),
        ("QRY-039", "IS_DEFINED(tags.list)", &[0, 1]),
        ("QRY-035", "tags.n = 0", &[0]),
        ("QRY-045", "tags.on = false", &[0]),
        ("QRY-033", "tags.text = ''", &[0]),
        ("QRY-035", "IS_DEFINED(tags.n) AND tags.n != 0", &[1]),
    ];
    check(bench, &tags, &expectations).await
}

async fn every_device(bench: &mut Bench) -> Checked {
    let untouched = bench.device().await?.identity.device;
    let disabled = bench.new_name();
    let identity = Identity::device(&disabled);
    registered(bench, "HUB-REG-001", &identity, json!({ "status": "disabled" })).await?;
    let query = format!("SELECT * FROM devices WHERE deviceId IN ['{untouched}', '{disabled}']");
    let mut expected = [untouched.as_str(), disabled.as_str()];
    expected.sort_unstable();
    let answer = settled(bench, &query, |rows| devices(rows) == expected).await?;
    let holds = devices(&answer.json()) == expected;
    bench.demand("QRY-030", holds, format!("{query}: {}", words(&expected)), answer.to_string());
    Ok(())
}

async fn missing_at_most(bench: &mut Bench) -> Checked {
    let tags = [json!({ "n": -5 }), json!({ "n": 0 }), json!({ "n": 5 }), json!({})];
    let expectations: [Expectation; 5] = [
        ("QRY-040", "tags.n <= 100", &[0, 1, 2]),
        ("QRY-040", "tags.n <= 0", &[0, 1]),
        ("QRY-040", "tags.n < 0", &[0]),
        ("QRY-040", "tags.n >= 0", &[1, 2]),
        ("QRY-040", "tags.n > 0", &[2]),
    ];
    check(bench, &tags, &expectations).await
}

async fn numbers_exact(bench: &mut Bench) -> Checked {
    let tags = [
        json!({ "n": 2.5, "count": 16_777_216, "other": 16_777_217 }),
        json!({ "n": 2, "count": 16_777_217, "other": 16_777_217 }),
        json!({ "n": 3, "count": 1_925_089_445_123_u64, "other": 1_925_089_445_124_u64 }),
    ];
    let expectations: [Expectation; 8] = [
        ("QRY-035", "tags.n > 2", &[0, 2]),
        ("QRY-035", "tags.n < 3", &[0, 1]),
        ("QRY-035", "tags.n = 2.5", &[0]),
        ("QRY-035", "2.5 = tags.n", &[0]),
        ("QRY-035", "2.5 < tags.n", &[2]),
        ("QRY-035", "tags.count = 16777217", &[1]),
        ("QRY-035", "tags.count >= 1925089445123", &[2]),
        ("QRY-043", "tags.count = tags.other", &[1]),
    ];
    check(bench, &tags, &expectations).await
}

async fn strings_exact(bench: &mut Bench) -> Checked {
    let tags = [
        json!({ "word": "pump" }),
        json!({ "word": "Pump" }),
        json!({ "word": "pump " }),
        json!({ "word": "pump AND valve" }),
        json!({ "word": "a ' OR true) WHERE [[x]]" }),
    ];
    let expectations: [Expectation; 5] = [
        ("QRY-033", "tags.word = 'pump'", &[0]),
        ("QRY-033", "tags.word = 'Pump'", &[1]),
        ("QRY-033", "tags.word = 'pump '", &[2]),
        ("QRY-033", "tags.word = 'pump AND valve'", &[3]),
        ("QRY-033", r#"tags.word = "a ' OR true) WHERE [[x]]""#, &[4]),
    ];
    check(bench, &tags, &expectations).await
}

async fn long_list(bench: &mut Bench) -> Checked {
    let tags = [json!({ "word": "last" }), json!({ "word": "w7" }), json!({ "word": "none" })];
    let list = "tags.word IN ['w1', 'w2', 'w3', 'w4', 'w5', 'w6', 'w7', 'w8', 'w9', 'last']";
    check(bench, &tags, &[("QRY-037", list, &[0, 1])]).await
}

async fn arithmetic_exact(bench: &mut Bench) -> Checked {
    let tags = [json!({ "n": 5 }), json!({ "n": 4 }), json!({ "n": 255 })];
    let expectations: [Expectation; 4] = [
        ("QRY-049", "tags.n / 2 = 2.5", &[0]),
        ("QRY-049", "10 - tags.n - 2 = 3", &[0]),
        ("QRY-049", "8 / tags.n / 2 = 1", &[1]),
        ("QRY-048", "tags.n = 0xFF", &[2]),
    ];
    check(bench, &tags, &expectations).await
}

async fn aggregates_of_numbers(bench: &mut Bench) -> Checked {
    let row = |rate: Value| (json!({ "rate": rate }), json!({}));
    let twins = [row(json!(-30)), row(json!(-61)), row(json!("70")), row(json!(true))];
    let fleet = Fleet::new(bench, &[&twins[..], &[(json!({}), json!({}))]].concat()).await?;
    let query = format!(
        "SELECT AVG(tags.rate) AS a, MIN(tags.rate) AS lo, MAX(tags.rate) AS hi, \
         SUM(tags.rate) AS s FROM devices WHERE tags.mark = '{}'",
        fleet.mark
    );
    let is_right = |rows: &Value| {
        [("a", -45.5), ("lo", -61.0), ("hi", -30.0), ("s", -91.0)].iter().all(|(name, expected)| {
            let seen = rows.pointer(&format!("/0/{name}")).and_then(Value::as_f64);
            seen.is_some_and(|seen: f64| (seen - expected).abs() < 1e-9)
        })
    };
    let answer = settled(bench, &query, is_right).await?;
    let holds = is_right(&answer.json());
    bench.demand("QRY-058", holds, "a -45.5, lo -61, hi -30, s -91", answer.to_string());
    Ok(())
}

async fn groups_exact(bench: &mut Bench) -> Checked {
    let row = |kind: &str, site: &str| (json!({ "kind": kind, "site": site }), json!({}));
    let twins = [row("pump", "n"), row("Pump", "n"), row("pump", "n"), row("pump", "s")];
    let fleet = Fleet::new(bench, &twins).await?;
    let query = format!(
        "SELECT tags.kind AS kind, COUNT() AS n FROM devices WHERE tags.mark = '{}' AND tags.site \
         = 'n' GROUP BY tags.kind",
        fleet.mark
    );
    let expected = json!([{ "kind": "Pump", "n": 1 }, { "kind": "pump", "n": 2 }]);
    let sorted = |rows: &Value| {
        let mut rows = rows.as_array().cloned().unwrap_or_default();
        rows.sort_by_key(|row| row["kind"].to_string());
        Value::Array(rows)
    };
    let rows = settled(bench, &query, |rows| sorted(rows) == expected).await?.json();
    bench.equal_json("QRY-057", &query, &expected, &sorted(&rows));
    Ok(())
}
