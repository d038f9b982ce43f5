//! Defects of calls for whoever is not there or does not exist (HUB-METH-009 to -012, -018, -019,
//! -026).

use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};

use super::tools::{ERROR_HEADER, error_of, is_call, on_call, recode, recoding, says, seconds};
use crate::mutants::Mutant;
use crate::mutants::overlay::{ClientIds, edit_json, on_both, on_response, set};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-offline-not-found",
        title: "An absent device is reported as unknown",
        requirements: &["HUB-METH-009"],
        overlay: || recoding(404_103, 404_001, "DeviceNotFound"),
    },
    Mutant {
        id: "method-offline-timed-out",
        title: "An absent device is reported as not answering",
        requirements: &["HUB-METH-009"],
        overlay: || recoding(404_103, 504_101, "GatewayTimeout"),
    },
    Mutant {
        id: "method-unsubscribed-timed-out",
        title: "A connected device that does not listen is reported as not answering",
        requirements: &["HUB-METH-010"],
        overlay: unsubscribed_timed_out,
    },
    Mutant {
        id: "method-connect-wait-default-30",
        title: "A call waits 30 s for the device when no connect timeout is asked for",
        requirements: &["HUB-METH-011"],
        overlay: || rewriting_wait(|wait| if wait == 0 { 30 } else { wait }),
    },
    Mutant {
        id: "method-connect-wait-ignored",
        title: "A call waits for no device, whatever its connect timeout",
        requirements: &["HUB-METH-012"],
        overlay: || rewriting_wait(|wait| if (0..=300).contains(&wait) { 0 } else { wait }),
    },
    Mutant {
        id: "method-connect-wait-capped",
        title: "A call waits 30 s for the device at most",
        requirements: &["HUB-METH-012"],
        overlay: || rewriting_wait(|wait| if wait <= 300 { wait.min(30) } else { wait }),
    },
    Mutant {
        id: "method-connect-wait-endless",
        title: "A call that waits for the device waits 300 s",
        requirements: &["HUB-METH-012"],
        overlay: || rewriting_wait(|wait| if (1..=300).contains(&wait) { 300 } else { wait }),
    },
    Mutant {
        id: "method-unknown-device-offline",
        title: "An unknown device is reported as not online",
        requirements: &["HUB-METH-018"],
        overlay: || recoding(404_001, 404_103, "DeviceNotOnline"),
    },
    Mutant {
        id: "method-unknown-module-as-device",
        title: "An unknown module is reported as an unknown device",
        requirements: &["HUB-METH-019"],
        overlay: || recoding(404_010, 404_001, "DeviceNotFound"),
    },
    Mutant {
        id: "method-error-flat",
        title: "Errors of calls are written in the flat form",
        requirements: &["HUB-METH-026"],
        overlay: error_flat,
    },
    Mutant {
        id: "method-error-without-header",
        title: "Errors of calls have no iothub-errorcode header",
        requirements: &["HUB-METH-026"],
        overlay: || {
            on_response(|response| {
                if error_of(response).is_some() {
                    response.headers_mut().remove(ERROR_HEADER);
                }
            })
        },
    },
];

/// Lets calls wait for a device as `rewrite` has it; 0 stands for no connect timeout too.
fn rewriting_wait(rewrite: fn(i64) -> i64) -> Box<dyn Overlay> {
    on_call(move |call| {
        let wait = seconds(call, "connectTimeoutInSeconds").unwrap_or(0);
        set(call, "connectTimeoutInSeconds", rewrite(wait));
    })
}

fn unsubscribed_timed_out() -> Box<dyn Overlay> {
    on_both(
        (ClientIds::default(), String::new()),
        |(client_ids, called), input| {
            client_ids.learn(&input);
            if let Input::Request(_, request) = &input
                && is_call(request)
            {
                let path = request.uri().path().replace("/modules/", "/");
                let path = path.strip_prefix("/twins/").unwrap_or_default();
                *called = path.strip_suffix("/methods").unwrap_or_default().to_owned();
            }
            vec![input]
        },
        |(client_ids, called), mut output| {
            if let Output::Respond(_, response) = &mut output
                && says(response, 404_103)
                && client_ids.iter().any(|(_, client_id)| client_id == called)
            {
                recode(response, 504_101, "GatewayTimeout");
            }
            vec![output]
        },
    )
}

fn error_flat() -> Box<dyn Overlay> {
    on_response(|response| {
        let Some(error) = error_of(response) else { return };
        let name = response.headers().get(ERROR_HEADER).and_then(|name| name.to_str().ok());
        let text = error.get("message").and_then(Value::as_str).unwrap_or_default();
        let message = format!("ErrorCode:{};{text}", name.unwrap_or_default());
        edit_json(response.body_mut(), |body| *body = json!({ "Message": message }));
    })
}
