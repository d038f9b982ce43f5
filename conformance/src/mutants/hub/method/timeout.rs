//! Defects of response timeouts (HUB-METH-013, -014).

use twinspec_harness::hub::Overlay;

use super::tools::{on_call, recoding, seconds};
use crate::mutants::Mutant;
use crate::mutants::overlay::set;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-timeout-not-online",
        title: "A device that does not answer is reported as not online",
        requirements: &["HUB-METH-013"],
        overlay: || recoding(504_101, 404_103, "DeviceNotOnline"),
    },
    Mutant {
        id: "method-timeout-capped",
        title: "A call waits 60 s for the answer at most",
        requirements: &["HUB-METH-013"],
        overlay: || {
            rewriting_timeout(|timeout| match timeout {
                Some(61..=300) => Some(60),
                other => other,
            })
        },
    },
    Mutant {
        id: "method-timeout-raised",
        title: "A call waits 30 s for the answer at least",
        requirements: &["HUB-METH-013"],
        overlay: || {
            rewriting_timeout(|timeout| match timeout {
                Some(5..=30) => Some(30),
                other => other,
            })
        },
    },
    Mutant {
        id: "method-timeout-default-10",
        title: "The default response timeout is 10 s",
        requirements: &["HUB-METH-014"],
        overlay: || rewriting_timeout(|timeout| timeout.or(Some(10))),
    },
    Mutant {
        id: "method-timeout-default-300",
        title: "The default response timeout is 300 s",
        requirements: &["HUB-METH-014"],
        overlay: || rewriting_timeout(|timeout| timeout.or(Some(300))),
    },
];

/// Lets calls wait for an answer as `rewrite` has it.
fn rewriting_timeout(rewrite: fn(Option<i64>) -> Option<i64>) -> Box<dyn Overlay> {
    on_call(move |call| {
        if let Some(timeout) = rewrite(seconds(call, "responseTimeoutInSeconds")) {
            set(call, "responseTimeoutInSeconds", timeout);
        }
    })
}
