//! Defects of when a hub looks at whom its configurations are for.

use bytes::Bytes;
use http::{Method, Request};
use twinspec_harness::hub::Overlay;

use crate::mutants::Mutant;
use crate::mutants::overlay::on_request;

/// All of them.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "configuration-blind-to-puts",
        title: "Conditions do not see tags that a PUT wrote",
        requirements: &["HUB-CFG-006"],
        overlay: || {
            unseen(|request| {
                request.method() == Method::PUT && request.uri().path().starts_with("/twins/")
            })
        },
    },
    Mutant {
        id: "configuration-blind-to-bulk",
        title: "Conditions do not see tags that a bulk update wrote",
        requirements: &["HUB-CFG-006"],
        overlay: || {
            unseen(|request| request.method() == Method::POST && request.uri().path() == "/devices")
        },
    },
    Mutant {
        id: "configuration-blind-to-jobs",
        title: "Conditions do not see tags that a job wrote",
        requirements: &["HUB-CFG-006"],
        overlay: || {
            unseen(|request| {
                request.method() == Method::PUT && request.uri().path().starts_with("/jobs/v2/")
            })
        },
    },
];

/// Stores the tags that some requests write under another name than the one conditions ask for.
fn unseen(writes: fn(&Request<Bytes>) -> bool) -> Box<dyn Overlay> {
    on_request(move |request| {
        if writes(request) {
            let body = String::from_utf8_lossy(request.body()).replace("\"mark\"", "\"unseen\"");
            *request.body_mut() = Bytes::from(body);
        }
    })
}
