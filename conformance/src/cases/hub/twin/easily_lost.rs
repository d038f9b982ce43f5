//! Values that are easily taken for nothing, or for something else (HUB-MERGE-001, -002, -005, -010,
//! -015).

use serde_json::{Value, json};

use super::merging::{Merge, Part, Section, Step, merges};
use crate::bench::{Bench, shorten};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-falsy-values-desired",
        title: "Empty texts, false and zero are stored in desired properties like other values",
        requirements: &["HUB-MERGE-001"],
        needs: &[],
        run: |bench| Box::pin(falsy(bench, Part::Desired, "HUB-MERGE-001")),
    },
    Case {
        id: "twin-falsy-values-reported",
        title: "Empty texts, false and zero are stored in reported properties like other values",
        requirements: &["HUB-MERGE-001"],
        needs: &[],
        run: |bench| Box::pin(falsy(bench, Part::Reported, "HUB-MERGE-001")),
    },
    Case {
        id: "twin-falsy-values-tags",
        title: "Empty texts, false and zero are stored in tags like other values",
        requirements: &["HUB-MERGE-015"],
        needs: &[],
        run: |bench| Box::pin(falsy(bench, Part::Tags, "HUB-MERGE-015")),
    },
    Case {
        id: "twin-empty-containers-desired",
        title: "Empty desired objects and arrays are added; the one spares members, the other not",
        requirements: &["HUB-MERGE-001", "HUB-MERGE-002", "HUB-MERGE-010"],
        needs: &[],
        run: |bench| Box::pin(empty_containers(bench, Part::Desired)),
    },
    Case {
        id: "twin-empty-containers-reported",
        title: "Empty reported objects and arrays are added; the one spares members, the other not",
        requirements: &["HUB-MERGE-001", "HUB-MERGE-002", "HUB-MERGE-010"],
        needs: &[],
        run: |bench| Box::pin(empty_containers(bench, Part::Reported)),
    },
    Case {
        id: "twin-texts-desired",
        title: "Desired texts reach back end and device unchanged, whatever is in them",
        requirements: &["HUB-MERGE-001"],
        needs: &[],
        run: |bench| Box::pin(texts_intact(bench, Part::Desired)),
    },
    Case {
        id: "twin-texts-reported",
        title: "Reported texts reach back end and device unchanged, whatever is in them",
        requirements: &["HUB-MERGE-001"],
        needs: &[],
        run: |bench| Box::pin(texts_intact(bench, Part::Reported)),
    },
    Case {
        id: "twin-null-beside-new-desired",
        title: "A null beside members of a new desired object creates nothing",
        requirements: &["HUB-MERGE-005"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-005", null_in_new_object())),
    },
    Case {
        id: "twin-null-beside-new-reported",
        title: "A null beside members of a new reported object creates nothing",
        requirements: &["HUB-MERGE-005"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Reported, "HUB-MERGE-005", null_in_new_object())),
    },
    Case {
        id: "twin-array-of-objects-replaced",
        title: "A desired array of objects replaces a stored one of the same length as a whole",
        requirements: &["HUB-MERGE-010"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-010", array_of_objects())),
    },
];

fn null_in_new_object() -> Merge {
    Merge {
        before: json!({}),
        patch: json!({ "a": { "b": null, "c": "1", "d": { "e": null, "f": "2" } } }),
        after: json!({ "a": { "c": "1", "d": { "f": "2" } } }),
    }
}

fn array_of_objects() -> Merge {
    Merge {
        before: json!({ "l": [{ "x": "1", "y": "2" }, "3"] }),
        patch: json!({ "l": [{ "x": "4" }, "5"] }),
        after: json!({ "l": [{ "x": "4" }, "5"] }),
    }
}

/// They are added where nothing was and replace what was there. Whether zero has a fraction is not
/// judged here.
async fn falsy(bench: &mut Bench, part: Part, requirement: &'static str) -> Checked {
    let mut section = Section::of_device(bench, part).await?;
    section.fill(bench, &json!({ "text": "a", "flag": true, "number": 1.5 })).await?;
    let members = json!({ "text": "", "flag": false, "number": 0 });
    section.patch(bench, requirement, &members).await?;
    let added = json!({ "newText": "", "newFlag": false, "newNumber": 0 });
    section.patch(bench, requirement, &added).await?;
    let seen = section.read_by_service(bench).await?;
    for (name, allowed) in members.as_object().into_iter().chain(added.as_object()).flatten() {
        let found = seen.get(name);
        let holds = match allowed.as_f64() {
            Some(number) => found.and_then(Value::as_f64) == Some(number),
            None => found == Some(allowed),
        };
        let seen = shorten(&seen.to_string());
        bench.demand(requirement, holds, format!("{name} is {allowed}"), seen);
    }
    Ok(())
}

async fn empty_containers(bench: &mut Bench, part: Part) -> Checked {
    let step = |requirement, patch, content| Step { requirement, patch, content };
    let mut section = Section::of_device(bench, part).await?;
    let steps = vec![
        step("HUB-MERGE-001", json!({ "l": [], "o": {} }), json!({ "l": [], "o": {} })),
        step(
            "HUB-MERGE-001",
            json!({ "l": ["1"], "o": { "x": "2", "p": { "y": "3" } } }),
            json!({ "l": ["1"], "o": { "x": "2", "p": { "y": "3" } } }),
        ),
        step(
            "HUB-MERGE-002",
            json!({ "o": {} }),
            json!({ "l": ["1"], "o": { "x": "2", "p": { "y": "3" } } }),
        ),
        step(
            "HUB-MERGE-002",
            json!({ "o": { "p": {} } }),
            json!({ "l": ["1"], "o": { "x": "2", "p": { "y": "3" } } }),
        ),
        step(
            "HUB-MERGE-010",
            json!({ "l": [] }),
            json!({ "l": [], "o": { "x": "2", "p": { "y": "3" } } }),
        ),
    ];
    section.walk(bench, steps).await
}

/// Blanks at the ends, escapes, letters beyond ASCII and beyond the first plane, words that mean
/// something elsewhere.
fn texts() -> Value {
    json!({
        "blanks": "  a  ",
        "quotes": "say \"a\\b\" 'c'",
        "letters": "Grüße, 水",
        "beyond": "a😀b",
        "words": ["null", "true", "0", "undefined", "NaN"],
        "number": "007",
        "large": "12345678901234567890",
        "markup": "<a href=\"x\">&amp;</a>",
        "escaped": "a%20b+c",
    })
}

async fn texts_intact(bench: &mut Bench, part: Part) -> Checked {
    const REQUIREMENT: &str = "HUB-MERGE-001";
    let mut section = Section::of_device(bench, part).await?;
    section.patch(bench, REQUIREMENT, &texts()).await?;
    let seen = section.read_by_service(bench).await?;
    bench.equal_json(REQUIREMENT, "as the back end reads it", &texts(), &seen);
    let seen = section.read_by_device().await?;
    bench.equal_json(REQUIREMENT, "as the device reads it", &texts(), &seen);
    Ok(())
}
