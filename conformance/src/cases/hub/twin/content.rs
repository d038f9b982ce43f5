//! How a back end's PATCH merges into desired properties and tags (HUB-MERGE-001 to -016).
//!
//! Values are strings and Booleans: how numbers travel is judged in `values`.

use serde_json::json;

use super::merging::{Merge, Part, Section, Step, merges};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-merge-desired-adds-and-replaces",
        title: "A desired PATCH adds absent keys and replaces scalar values",
        requirements: &["HUB-MERGE-001"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-001", adds_and_replaces())),
    },
    Case {
        id: "twin-merge-desired-keeps-unmentioned",
        title: "A desired PATCH leaves keys alone that it does not mention, nested ones too",
        requirements: &["HUB-MERGE-002"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-002", keeps_unmentioned())),
    },
    Case {
        id: "twin-merge-desired-nested",
        title: "Nested desired objects merge recursively",
        requirements: &["HUB-MERGE-003"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-003", nested())),
    },
    Case {
        id: "twin-merge-desired-null-removes",
        title: "A null removes a desired key, at top level and nested",
        requirements: &["HUB-MERGE-004"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-004", null_removes())),
    },
    Case {
        id: "twin-merge-desired-null-absent",
        title: "A null for an absent desired key is accepted and creates nothing",
        requirements: &["HUB-MERGE-005"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-005", null_absent())),
    },
    Case {
        id: "twin-merge-desired-null-creates-parent",
        title: "A null inside an absent desired object creates the object, empty",
        requirements: &["HUB-MERGE-006"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-006", null_creates_parent())),
    },
    Case {
        id: "twin-merge-desired-null-spares-siblings",
        title: "A null for an absent nested desired key spares its siblings",
        requirements: &["HUB-MERGE-007"],
        needs: &[],
        run: |bench| {
            Box::pin(merges(bench, Part::Desired, "HUB-MERGE-007", null_spares_siblings()))
        },
    },
    Case {
        id: "twin-merge-desired-other-kind",
        title: "Scalars replace desired objects and objects replace desired scalars",
        requirements: &["HUB-MERGE-008"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-008", other_kind())),
    },
    Case {
        id: "twin-merge-desired-last-member",
        title: "A desired object whose last member is removed stays, empty",
        requirements: &["HUB-MERGE-011"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Desired, "HUB-MERGE-011", last_member())),
    },
    Case {
        id: "twin-merge-tags",
        title: "A PATCH of tags adds, replaces, keeps, merges and removes like one of desired",
        requirements: &["HUB-MERGE-015"],
        needs: &[],
        run: body!(tags),
    },
    Case {
        id: "twin-merge-tags-null-absent",
        title: "Nulls for absent tags create nothing but the object around them",
        requirements: &["HUB-MERGE-015"],
        needs: &[],
        run: body!(tags_null_absent),
    },
    Case {
        id: "twin-merge-desired-null-section",
        title: "A null for the whole desired section empties it for the back end and the device",
        requirements: &["HUB-MERGE-016"],
        needs: &[],
        run: body!(desired_null_section),
    },
    Case {
        id: "twin-merge-module-desired",
        title: "A PATCH of a module's desired properties merges like one of a device's",
        requirements: &["HUB-MERGE-001", "HUB-MERGE-002", "HUB-MERGE-003", "HUB-MERGE-004"],
        needs: &[],
        run: body!(module_desired),
    },
];

pub(super) fn adds_and_replaces() -> Merge {
    Merge {
        before: json!({ "mode": "eco", "fan": true }),
        patch: json!({ "mode": "boost", "fan": false, "led": "on" }),
        after: json!({ "mode": "boost", "fan": false, "led": "on" }),
    }
}

pub(super) fn keeps_unmentioned() -> Merge {
    Merge {
        before: json!({ "mode": "eco", "o": { "x": "1", "y": "2" } }),
        patch: json!({ "o": { "x": "3" } }),
        after: json!({ "mode": "eco", "o": { "x": "3", "y": "2" } }),
    }
}

pub(super) fn nested() -> Merge {
    Merge {
        before: json!({ "a": { "b": { "c": "1", "d": "2" } } }),
        patch: json!({ "a": { "b": { "c": "3", "e": "4" }, "f": { "g": "5" } } }),
        after: json!({ "a": { "b": { "c": "3", "d": "2", "e": "4" }, "f": { "g": "5" } } }),
    }
}

pub(super) fn null_removes() -> Merge {
    Merge {
        before: json!({ "a": "1", "b": "2", "o": { "x": "3", "y": "4" }, "p": { "q": "5" } }),
        patch: json!({ "a": null, "o": { "x": null }, "p": null }),
        after: json!({ "b": "2", "o": { "y": "4" } }),
    }
}

pub(super) fn null_absent() -> Merge {
    Merge { before: json!({}), patch: json!({ "zz": null }), after: json!({}) }
}

pub(super) fn null_creates_parent() -> Merge {
    Merge { before: json!({}), patch: json!({ "a": { "b": null } }), after: json!({ "a": {} }) }
}

pub(super) fn null_spares_siblings() -> Merge {
    Merge {
        before: json!({ "k": { "x": "1" } }),
        patch: json!({ "k": { "z": null } }),
        after: json!({ "k": { "x": "1" } }),
    }
}

pub(super) fn other_kind() -> Merge {
    Merge {
        before: json!({ "o": { "n": "1" }, "s": "2" }),
        patch: json!({ "o": false, "s": { "n": "3" } }),
        after: json!({ "o": false, "s": { "n": "3" } }),
    }
}

pub(super) fn last_member() -> Merge {
    Merge {
        before: json!({ "o": { "x": "1" }, "p": "2" }),
        patch: json!({ "o": { "x": null } }),
        after: json!({ "o": {}, "p": "2" }),
    }
}

async fn tags(bench: &mut Bench) -> Checked {
    let merge = Merge {
        before: json!({ "site": "north", "floor": "2", "old": "x", "at": { "row": "1", "hall": "a" } }),
        patch: json!({ "site": "south", "new": "y", "old": null, "at": { "row": "2" } }),
        after: json!({ "site": "south", "floor": "2", "new": "y", "at": { "row": "2", "hall": "a" } }),
    };
    merges(bench, Part::Tags, "HUB-MERGE-015", merge).await
}

async fn tags_null_absent(bench: &mut Bench) -> Checked {
    let merge = Merge {
        before: json!({ "site": "north" }),
        patch: json!({ "zz": null, "at": { "row": null } }),
        after: json!({ "site": "north", "at": {} }),
    };
    merges(bench, Part::Tags, "HUB-MERGE-015", merge).await
}

async fn desired_null_section(bench: &mut Bench) -> Checked {
    const REQUIREMENT: &str = "HUB-MERGE-016";
    let mut section = Section::of_device(bench, Part::Desired).await?;
    section.fill(bench, &json!({ "mode": "eco", "o": { "x": "1" } })).await?;
    section.patch(bench, REQUIREMENT, &json!(null)).await?;
    section.holds(bench, REQUIREMENT, &json!({})).await?;
    let seen = section.read_by_device().await?;
    bench.equal_json(REQUIREMENT, "desired as the device reads it", &json!({}), &seen);
    Ok(())
}

async fn module_desired(bench: &mut Bench) -> Checked {
    let mut section = Section::of_module(bench, Part::Desired).await?;
    section.walk(bench, module_steps()).await
}

/// PATCHes of a module's section, each with what the section then holds.
pub(super) fn module_steps() -> Vec<Step> {
    let step = |requirement, patch, content| Step { requirement, patch, content };
    vec![
        step(
            "HUB-MERGE-001",
            json!({ "a": "1", "b": "2", "o": { "x": "3" } }),
            json!({ "a": "1", "b": "2", "o": { "x": "3" } }),
        ),
        step(
            "HUB-MERGE-002",
            json!({ "a": "4", "o": { "x": "5" } }),
            json!({ "a": "4", "b": "2", "o": { "x": "5" } }),
        ),
        step(
            "HUB-MERGE-003",
            json!({ "o": { "y": "6" } }),
            json!({ "a": "4", "b": "2", "o": { "x": "5", "y": "6" } }),
        ),
        step(
            "HUB-MERGE-004",
            json!({ "b": null, "o": { "x": null } }),
            json!({ "a": "4", "o": { "y": "6" } }),
        ),
    ]
}
