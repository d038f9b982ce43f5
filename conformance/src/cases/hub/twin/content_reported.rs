//! How a device's PATCH merges into its reported properties (HUB-MERGE-001 to -011).
//!
//! The merges are those of `content`; here the device makes them and both sides read the result.

use super::content::{
    adds_and_replaces, keeps_unmentioned, last_member, module_steps, nested, null_absent,
    null_creates_parent, null_removes, null_spares_siblings, other_kind,
};
use super::merging::{Part, Section, merges};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-merge-reported-adds-and-replaces",
        title: "A reported PATCH adds absent keys and replaces scalar values",
        requirements: &["HUB-MERGE-001"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Reported, "HUB-MERGE-001", adds_and_replaces())),
    },
    Case {
        id: "twin-merge-reported-keeps-unmentioned",
        title: "A reported PATCH leaves keys alone that it does not mention, nested ones too",
        requirements: &["HUB-MERGE-002"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Reported, "HUB-MERGE-002", keeps_unmentioned())),
    },
    Case {
        id: "twin-merge-reported-nested",
        title: "Nested reported objects merge recursively",
        requirements: &["HUB-MERGE-003"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Reported, "HUB-MERGE-003", nested())),
    },
    Case {
        id: "twin-merge-reported-null-removes",
        title: "A null removes a reported key, at top level and nested",
        requirements: &["HUB-MERGE-004"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Reported, "HUB-MERGE-004", null_removes())),
    },
    Case {
        id: "twin-merge-reported-null-absent",
        title: "A null for an absent reported key is accepted and creates nothing",
        requirements: &["HUB-MERGE-005"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Reported, "HUB-MERGE-005", null_absent())),
    },
    Case {
        id: "twin-merge-reported-null-creates-parent",
        title: "A null inside an absent reported object creates the object, empty",
        requirements: &["HUB-MERGE-006"],
        needs: &[],
        run: |bench| {
            Box::pin(merges(bench, Part::Reported, "HUB-MERGE-006", null_creates_parent()))
        },
    },
    Case {
        id: "twin-merge-reported-null-spares-siblings",
        title: "A null for an absent nested reported key spares its siblings",
        requirements: &["HUB-MERGE-007"],
        needs: &[],
        run: |bench| {
            Box::pin(merges(bench, Part::Reported, "HUB-MERGE-007", null_spares_siblings()))
        },
    },
    Case {
        id: "twin-merge-reported-other-kind",
        title: "Scalars replace reported objects and objects replace reported scalars",
        requirements: &["HUB-MERGE-008"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Reported, "HUB-MERGE-008", other_kind())),
    },
    Case {
        id: "twin-merge-reported-last-member",
        title: "A reported object whose last member is removed stays, empty",
        requirements: &["HUB-MERGE-011"],
        needs: &[],
        run: |bench| Box::pin(merges(bench, Part::Reported, "HUB-MERGE-011", last_member())),
    },
    Case {
        id: "twin-merge-module-reported",
        title: "A module's reported PATCH merges like a device's",
        requirements: &["HUB-MERGE-001", "HUB-MERGE-002", "HUB-MERGE-003", "HUB-MERGE-004"],
        needs: &[],
        run: body!(module_reported),
    },
];

async fn module_reported(bench: &mut Bench) -> Checked {
    let mut section = Section::of_module(bench, Part::Reported).await?;
    section.walk(bench, module_steps()).await
}
