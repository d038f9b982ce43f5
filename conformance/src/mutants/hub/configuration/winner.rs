//! Defects of who wins a setting.

use std::collections::BTreeMap;

use super::tools::ranking;
use crate::mutants::Mutant;

/// All of them.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "configuration-lowest-wins",
        title: "The lowest priority wins",
        requirements: &["HUB-CFG-007"],
        overlay: || ranking((), |(), _, _, priority| 1000_u64.saturating_sub(priority)),
    },
    Mutant {
        id: "configuration-priority-ignored",
        title: "The newest wins whatever the priorities are",
        requirements: &["HUB-CFG-007"],
        overlay: || ranking((), |(), _, _, _| 7),
    },
    Mutant {
        id: "configuration-oldest-wins-tie",
        title: "Among configurations of one priority the oldest wins",
        requirements: &["HUB-CFG-007"],
        overlay: || {
            ranking(BTreeMap::new(), |ages: &mut BTreeMap<String, u64>, _, id, priority| {
                let next = u64::try_from(ages.len()).unwrap_or_default();
                let age = *ages.entry(id.to_owned()).or_insert(next);
                priority * 10_000 + 10_000_u64.saturating_sub(age + 1)
            })
        },
    },
    Mutant {
        id: "configuration-last-update-wins-tie",
        title: "Among configurations of one priority the one updated last wins",
        requirements: &["HUB-CFG-007"],
        overlay: || {
            ranking(0, |updates: &mut u64, _, _, priority| {
                *updates += 1;
                priority * 10_000 + *updates
            })
        },
    },
    Mutant {
        id: "configuration-first-priority-counts",
        title: "A changed priority is shown and not used",
        requirements: &["HUB-CFG-007"],
        overlay: || {
            ranking(BTreeMap::new(), |first: &mut BTreeMap<String, u64>, _, id, priority| {
                *first.entry(id.to_owned()).or_insert(priority)
            })
        },
    },
    Mutant {
        id: "configuration-priority-as-text",
        title: "Priorities are compared as text: 9 is higher than 10",
        requirements: &["HUB-CFG-007"],
        overlay: || {
            ranking((), |(), _, _, priority| if priority < 10 { priority * 10 } else { priority })
        },
    },
];
