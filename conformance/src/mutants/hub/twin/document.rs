//! Defects of the document that a back end reads (HUB-META-011 to -015).

use std::collections::BTreeSet;

use bytes::Bytes;
use http::HeaderValue;
use http::header::ETAG;
use serde_json::Value;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::Packet;

use crate::mutants::Mutant;
use crate::mutants::overlay::{ClientIds, edit_json, on_both, on_response, on_twin, set};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-etag-constant",
        title: "The etag of a twin stays the same",
        requirements: &["HUB-META-011"],
        overlay: || etag(|_| "AAAAAAAAAAE=".to_owned()),
    },
    Mutant {
        id: "twin-etag-without-tags",
        title: "The etag of a twin does not change with its tags",
        requirements: &["HUB-META-011"],
        overlay: || etag(|twin| format!("d{}", desired_version(twin))),
    },
    Mutant {
        id: "twin-new-times-now",
        title: "A new twin shows some real time where nothing happened yet",
        requirements: &["HUB-META-012"],
        overlay: new_times_now,
    },
    Mutant {
        id: "twin-document-no-authentication-type",
        title: "A twin has no authenticationType",
        requirements: &["HUB-META-013"],
        overlay: || on_twin(|twin| remove(twin, "authenticationType")),
    },
    Mutant {
        id: "twin-document-version-text",
        title: "The version of a twin is a text",
        requirements: &["HUB-META-013"],
        overlay: || on_twin(|twin| set(twin, "version", "2")),
    },
    Mutant {
        id: "twin-document-generation",
        title: "A twin shows generationId",
        requirements: &["HUB-META-014"],
        overlay: || on_twin(|twin| set(twin, "generationId", "637")),
    },
    Mutant {
        id: "twin-document-connection-time",
        title: "A twin shows connectionStateUpdatedTime",
        requirements: &["HUB-META-014"],
        overlay: || {
            let time = "2031-05-04T10:11:12Z";
            on_twin(move |twin| set(twin, "connectionStateUpdatedTime", time))
        },
    },
    Mutant {
        id: "twin-connection-state-never",
        title: "A twin always shows Disconnected",
        requirements: &["HUB-META-015"],
        overlay: || on_twin(|twin| set(twin, "connectionState", "Disconnected")),
    },
    Mutant {
        id: "twin-connection-state-lost-in-take-over",
        title: "A twin shows Disconnected when a newer connection has replaced one",
        requirements: &["HUB-META-015"],
        overlay: connection_state_lost_in_take_over,
    },
    Mutant {
        id: "twin-connection-state-ever",
        title: "A twin always shows Connected",
        requirements: &["HUB-META-015"],
        overlay: || on_twin(|twin| set(twin, "connectionState", "Connected")),
    },
];

fn desired_version(twin: &Value) -> u64 {
    let version = twin.pointer("/properties/desired/$version");
    version.and_then(Value::as_u64).unwrap_or_default()
}

fn remove(twin: &mut Value, member: &str) {
    if let Some(twin) = twin.as_object_mut() {
        twin.remove(member);
    }
}

/// Shows another etag, in the body and in the header.
fn etag(of: fn(&Value) -> String) -> Box<dyn Overlay> {
    on_response(move |response| {
        let mut header = None;
        edit_json(response.body_mut(), |twin| {
            if twin.get("properties").is_some() {
                let etag = of(twin);
                header = HeaderValue::from_str(&format!("\"{etag}\"")).ok();
                set(twin, "etag", etag);
            }
        });
        if let Some(header) = header {
            response.headers_mut().insert(ETAG, header);
        }
    })
}

fn new_times_now() -> Box<dyn Overlay> {
    on_response(|response| {
        let text = String::from_utf8_lossy(response.body());
        let text = text.replace("0001-01-01T00:00:00Z", "2031-05-04T10:11:12.1234567Z");
        *response.body_mut() = Bytes::from(text);
    })
}

/// Counts the connections that each client has had at a time.
fn connection_state_lost_in_take_over() -> Box<dyn Overlay> {
    let memory = (ClientIds::default(), BTreeSet::<String>::new(), BTreeSet::<String>::new());
    on_both(
        memory,
        |(ids, open, replaced), input| {
            ids.learn(&input);
            match &input {
                Input::Packet(_, Packet::Connect(connect))
                    if !open.insert(connect.client_id.clone()) =>
                {
                    replaced.insert(connect.client_id.clone());
                }
                Input::Packet(id, Packet::Disconnect) => {
                    open.remove(ids.of(*id));
                }
                _ => {}
            }
            vec![input]
        },
        |(_, _, replaced), mut output| {
            if let Output::Respond(_, response) = &mut output {
                edit_json(response.body_mut(), |twin| {
                    let device = twin.get("deviceId").and_then(Value::as_str).unwrap_or_default();
                    if twin.get("properties").is_some() && replaced.contains(device) {
                        set(twin, "connectionState", "Disconnected");
                    }
                });
            }
            vec![output]
        },
    )
}
