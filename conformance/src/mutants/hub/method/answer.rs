//! Defects of what a back end gets of a device's answer (HUB-METH-004 to -007).

use bytes::Bytes;
use serde_json::Value;
use twinspec_harness::hub::Overlay;
use twinspec_model::wire::mqtt::Qos;

use super::tools::{on_reply, on_result, result_of};
use crate::mutants::Mutant;
use crate::mutants::overlay::{each_value, edit_json, set, set_status};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-result-202",
        title: "A call that was answered gets HTTP 202",
        requirements: &["HUB-METH-004"],
        overlay: || on_result(|response| set_status(response, 202)),
    },
    Mutant {
        id: "method-result-payload-alone",
        title: "The result of a call is the payload alone",
        requirements: &["HUB-METH-004"],
        overlay: || {
            on_result(|response| {
                edit_json(response.body_mut(), |body| {
                    *body = body.get("payload").cloned().unwrap_or_default();
                });
            })
        },
    },
    Mutant {
        id: "method-answer-qos-1-lost",
        title: "Answers published at QoS 1 are not taken",
        requirements: &["HUB-METH-004"],
        overlay: || on_reply(|publish| publish.delivery.qos() == Qos::AtMostOnce),
    },
    Mutant {
        id: "method-status-as-http",
        title: "A device status that HTTP knows becomes the HTTP status",
        requirements: &["HUB-METH-005"],
        overlay: || {
            on_result(|response| {
                if let Some(status @ 400..=599) = status_of(response) {
                    set_status(response, u16::try_from(status).unwrap_or(500));
                }
            })
        },
    },
    Mutant {
        id: "method-status-limited",
        title: "A device status above 599 becomes 500",
        requirements: &["HUB-METH-005"],
        overlay: || {
            on_result(|response| {
                if status_of(response) > Some(599) {
                    edit_json(response.body_mut(), |body| set(body, "status", 500));
                }
            })
        },
    },
    Mutant {
        id: "method-answer-time-without-offset",
        title: "Times in answers lose their offset",
        requirements: &["HUB-METH-006"],
        overlay: || {
            on_result(|response| {
                let text = String::from_utf8_lossy(response.body()).replace("+01:00\"", "\"");
                *response.body_mut() = Bytes::from(text);
            })
        },
    },
    Mutant {
        id: "method-answer-reformatted",
        title: "Answers are passed on with blanks after commas",
        requirements: &["HUB-METH-006"],
        overlay: || {
            on_result(|response| {
                let text = String::from_utf8_lossy(response.body()).replace("\",\"", "\", \"");
                *response.body_mut() = Bytes::from(text);
            })
        },
    },
    Mutant {
        id: "method-answer-without-nulls",
        title: "Null members of answers are dropped",
        requirements: &["HUB-METH-006"],
        overlay: || {
            editing_payload(|payload| {
                each_value(payload, &mut |value| {
                    if let Some(members) = value.as_object_mut() {
                        members.retain(|_, member| !member.is_null());
                    }
                });
            })
        },
    },
    Mutant {
        id: "method-answer-as-string",
        title: "Answers are passed on as strings that hold their JSON text",
        requirements: &["HUB-METH-006"],
        overlay: || editing_payload(|payload| *payload = Value::from(payload.to_string())),
    },
    Mutant {
        id: "method-answer-empty-ignored",
        title: "An answer without a body does not complete the call",
        requirements: &["HUB-METH-007"],
        overlay: || on_reply(|publish| !publish.payload.is_empty()),
    },
    Mutant {
        id: "method-answer-empty-broken",
        title: "An answer without a body, or with null, is passed on as broken JSON",
        requirements: &["HUB-METH-007"],
        overlay: || {
            on_result(|response| {
                let text = String::from_utf8_lossy(response.body());
                let text = text.replace("\"payload\":null}", "\"payload\":}");
                *response.body_mut() = Bytes::from(text);
            })
        },
    },
];

fn status_of(response: &http::Response<Bytes>) -> Option<i64> {
    result_of(response)?.get("status")?.as_i64()
}

fn editing_payload(edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_result(move |response| {
        edit_json(response.body_mut(), |body| {
            if let Some(payload) = body.get_mut("payload") {
                edit(payload);
            }
        });
    })
}
