//! Defects of what configurations count.

use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;

use super::tools::{on_documents, on_put};
use crate::mutants::Mutant;
use crate::mutants::overlay::set;

/// All of them.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "configuration-metrics-count-nothing",
        title: "Queries of one's own count nothing",
        requirements: &["HUB-CFG-013"],
        overlay: || {
            on_documents(|document| {
                if let Some(Value::Object(results)) = document.pointer_mut("/metrics/results") {
                    results.values_mut().for_each(|count| *count = json!(0));
                }
            })
        },
    },
    Mutant {
        id: "configuration-metrics-without-results",
        title: "The numbers of queries of one's own are not shown",
        requirements: &["HUB-CFG-013"],
        overlay: || at_member("/metrics/results", |results| *results = json!({})),
    },
    Mutant {
        id: "configuration-metrics-queries-hidden",
        title: "A configuration does not show the queries of its metrics",
        requirements: &["HUB-CFG-013"],
        overlay: || at_member("/metrics/queries", |queries| *queries = json!({})),
    },
    Mutant {
        id: "configuration-metrics-update-ignored",
        title: "An update does not change the metrics",
        requirements: &["HUB-CFG-013"],
        overlay: || {
            on_put(|updates, body| {
                if updates {
                    set(body, "metrics", json!({ "queries": {} }));
                }
            })
        },
    },
    Mutant {
        id: "configuration-applied-counts-targets",
        title: "Every target counts as one in which the configuration is applied",
        requirements: &["HUB-CFG-014"],
        overlay: || {
            at_member("/systemMetrics/results", |results| {
                let targeted = results["targetedCount"].clone();
                set(results, "appliedCount", targeted);
            })
        },
    },
    Mutant {
        id: "configuration-targeted-counts-applied",
        title: "Targets in which another configuration won are not counted",
        requirements: &["HUB-CFG-014"],
        overlay: || {
            at_member("/systemMetrics/results", |results| {
                let applied = results["appliedCount"].clone();
                set(results, "targetedCount", applied);
            })
        },
    },
    Mutant {
        id: "configuration-system-queries-hidden",
        title: "System metrics come without their queries",
        requirements: &["HUB-CFG-015"],
        overlay: || at_member("/systemMetrics/queries", |queries| *queries = json!({})),
    },
    Mutant {
        id: "configuration-system-query-too-wide",
        title: "The query of the devices that are applied does not name the configuration",
        requirements: &["HUB-CFG-015"],
        overlay: || {
            at_member("/systemMetrics/queries", |queries| {
                set(queries, "appliedCount", "SELECT deviceId FROM devices");
            })
        },
    },
];

/// An overlay that edits one member of each document that is answered.
fn at_member(
    pointer: &'static str,
    edit: impl Fn(&mut Value) + Send + 'static,
) -> Box<dyn Overlay> {
    on_documents(move |document| document.pointer_mut(pointer).into_iter().for_each(&edit))
}
