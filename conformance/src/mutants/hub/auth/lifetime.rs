//! Defects of how long a connection lasts: the end of its token, and the end of its identity's
//! right to connect (HUB-AUTH-015, -016, -021 to -023).

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use twinspec_harness::clock::Clock;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};

use super::doors::{admitting, keeping_out, on_password};
use super::keyring::Attempt;
use crate::mutants::Mutant;
use crate::mutants::overlay::on_both;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "auth-connection-outlives-token",
        title: "A connection lasts a day longer than its token",
        requirements: &["HUB-AUTH-015"],
        overlay: || on_password(|attempt| lasting_longer(attempt, 86_400)),
    },
    Mutant {
        id: "auth-module-outlives-token",
        title: "A module's connection lasts a day longer than its token",
        requirements: &["HUB-AUTH-015"],
        overlay: || {
            on_password(|attempt| {
                attempt.is_module().then(|| lasting_longer(attempt, 86_400)).flatten()
            })
        },
    },
    Mutant {
        id: "auth-grace-too-long",
        title: "A connection is closed a quarter of an hour after its token ended",
        requirements: &["HUB-AUTH-016"],
        overlay: || on_password(|attempt| lasting_longer(attempt, 300)),
    },
    Mutant {
        id: "auth-disabled-admitted",
        title: "A disabled device is let in",
        requirements: &["HUB-AUTH-021"],
        overlay: || admitting(|attempt| attempt.entry.is_disabled),
    },
    Mutant {
        id: "auth-disabled-keeps-connection",
        title: "A device that is disabled keeps its connection",
        requirements: &["HUB-AUTH-022"],
        overlay: || keeping_connections(&Method::PUT, ""),
    },
    Mutant {
        id: "auth-deleted-keeps-connection",
        title: "A device that is deleted keeps its connection",
        requirements: &["HUB-AUTH-022"],
        overlay: || keeping_connections(&Method::DELETE, ""),
    },
    Mutant {
        id: "auth-deleted-module-keeps-connection",
        title: "A module that is deleted keeps its connection",
        requirements: &["HUB-AUTH-022"],
        overlay: || keeping_connections(&Method::DELETE, "/modules/"),
    },
    Mutant {
        id: "auth-disabled-for-ever",
        title: "A device that was disabled once is never let in again",
        requirements: &["HUB-AUTH-023"],
        overlay: || keeping_out(|attempt| attempt.entry.was_disabled),
    },
];

/// The token signed anew, ending `seconds` later, unless it has ended already.
fn lasting_longer(attempt: &Attempt, seconds: u64) -> Option<Bytes> {
    let end = attempt.token.expiry();
    let lasts = attempt.is_own() && end > Clock::default().now();
    lasts.then(|| attempt.good_token(end.after(Duration::from_secs(seconds))))
}

/// Keeps connections open that a request of this method, with this in its path, would close.
fn keeping_connections(method: &Method, path: &'static str) -> Box<dyn Overlay> {
    let method = method.clone();
    on_both(
        false,
        move |keeps, input| {
            *keeps = match &input {
                Input::Request(_, request) => {
                    *request.method() == method && request.uri().path().contains(path)
                }
                _ => false,
            };
            vec![input]
        },
        |keeps, output| match output {
            Output::Close(_) if *keeps => Vec::new(),
            other => vec![other],
        },
    )
}
