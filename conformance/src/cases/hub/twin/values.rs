//! How values survive storage: arrays, strings that look like dates, numbers, the case of keys
//! (HUB-MERGE-009, -010, -012 to -014).

use serde_json::{Value, json};

use super::merging::{Merge, Part, Section, merges};
use crate::bench::Bench;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-array-desired",
        title: "A desired array reaches back end and device in order, whatever its elements",
        requirements: &["HUB-MERGE-009"],
        needs: &[],
        run: |bench| Box::pin(intact(bench, Part::Desired, "HUB-MERGE-009", array())),
    },
    Case {
        id: "twin-array-reported",
        title: "A reported array reaches back end and device in order, whatever its elements",
        requirements: &["HUB-MERGE-009"],
        needs: &[],
        run: |bench| Box::pin(intact(bench, Part::Reported, "HUB-MERGE-009", array())),
    },
    Case {
        id: "twin-array-desired-replaced",
        title: "A desired array in a PATCH replaces the stored one as a whole",
        requirements: &["HUB-MERGE-010"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-010", other_array())),
    },
    Case {
        id: "twin-array-reported-replaced",
        title: "A reported array in a PATCH replaces the stored one as a whole",
        requirements: &["HUB-MERGE-010"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Reported, "HUB-MERGE-010", other_array())),
    },
    Case {
        id: "twin-date-strings-desired",
        title: "Desired strings that look like dates reach back end and device unchanged",
        requirements: &["HUB-MERGE-012"],
        needs: &[],
        run: |bench| Box::pin(intact(bench, Part::Desired, "HUB-MERGE-012", dates())),
    },
    Case {
        id: "twin-date-strings-reported",
        title: "Reported strings that look like dates reach back end and device unchanged",
        requirements: &["HUB-MERGE-012"],
        needs: &[],
        run: |bench| Box::pin(intact(bench, Part::Reported, "HUB-MERGE-012", dates())),
    },
    Case {
        id: "twin-numbers-desired",
        title: "Desired integers stay integers and fractions stay fractions",
        requirements: &["HUB-MERGE-013"],
        needs: &[],
        run: |bench| Box::pin(intact(bench, Part::Desired, "HUB-MERGE-013", numbers())),
    },
    Case {
        id: "twin-numbers-reported",
        title: "Reported integers stay integers and fractions stay fractions",
        requirements: &["HUB-MERGE-013"],
        needs: &[],
        run: |bench| Box::pin(intact(bench, Part::Reported, "HUB-MERGE-013", numbers())),
    },
    Case {
        id: "twin-key-case-desired",
        title: "Desired keys that differ in case only are different keys",
        requirements: &["HUB-MERGE-014"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-014", other_case())),
    },
    Case {
        id: "twin-key-case-reported",
        title: "Reported keys that differ in case only are different keys",
        requirements: &["HUB-MERGE-014"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Reported, "HUB-MERGE-014", other_case())),
    },
];

/// Every type that an array may hold; the number is a fraction so that it has one spelling only.
fn array() -> Value {
    json!({ "l": ["z", 1.5, { "c": true, "d": ["y", "x"] }, false, "b"] })
}

fn other_array() -> Merge {
    Merge {
        before: json!({ "l": ["1", "2", "3"] }),
        patch: json!({ "l": ["9"] }),
        after: json!({ "l": ["9"] }),
    }
}

fn dates() -> Value {
    json!({
        "offset": "2031-01-02T03:04:05.1234567+01:00",
        "utc": "2031-01-02T03:04:05Z",
        "local": "2031-01-02T03:04:05",
        "day": "2031-01-02",
        "american": "01/02/2031 03:04:05",
        "old": "/Date(1925089445000)/",
    })
}

/// `serde_json` keeps 66 and 66.0 apart, so comparing values compares tokens.
fn numbers() -> Value {
    json!({
        "count": 66, "zero": 0, "below": -7, "share": 28.02, "loss": -0.5, "fine": 0.123456789,
        "moment": 1_925_089_445_123_u64,
    })
}

fn other_case() -> Merge {
    Merge {
        before: json!({ "a": "1", "mode": { "eco": "2" } }),
        patch: json!({ "A": "3", "mode": { "Eco": "4" } }),
        after: json!({ "a": "1", "A": "3", "mode": { "eco": "2", "Eco": "4" } }),
    }
}

/// Demands that `content` comes back on both sides as it was written.
async fn intact(
    bench: &mut Bench,
    part: Part,
    requirement: &'static str,
    content: Value,
) -> Checked {
    let mut section = Section::of_device(bench, part).await?;
    section.patch(bench, requirement, &content).await?;
    let seen = section.read_by_service(bench).await?;
    bench.equal_json(requirement, "as the back end reads it", &content, &seen);
    let seen = section.read_by_device().await?;
    bench.equal_json(requirement, "as the device reads it", &content, &seen);
    Ok(())
}
