//! Defects that show when a device is lost during a call (HUB-METH-027).

use bytes::Bytes;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};

use super::tools::error_of;
use crate::mutants::Mutant;
use crate::mutants::overlay::{on_both, set_status};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-lost-hangs",
        title: "The call of a device that is lost is never answered",
        requirements: &["HUB-METH-027"],
        overlay: || on_loss(|_| false),
    },
    Mutant {
        id: "method-lost-succeeds",
        title: "The call of a device that is lost is answered as if it had succeeded",
        requirements: &["HUB-METH-027"],
        overlay: || {
            on_loss(|response| {
                set_status(response, 200);
                *response.body_mut() = Bytes::from_static(br#"{"status":200,"payload":null}"#);
                true
            })
        },
    },
];

/// Edits the errors that calls get because a connection ended, or drops them where `edit` returns
/// `false`.
fn on_loss(edit: fn(&mut http::Response<Bytes>) -> bool) -> Box<dyn Overlay> {
    on_both(
        false,
        |ended, input| {
            // A call that fails at once, or for lack of time, fails for another reason.
            *ended = !matches!(input, Input::Request(..) | Input::Tick);
            vec![input]
        },
        move |ended, mut output| {
            if let Output::Respond(_, response) = &mut output
                && *ended
                && error_of(response).is_some()
                && !edit(response)
            {
                return Vec::new();
            }
            vec![output]
        },
    )
}
