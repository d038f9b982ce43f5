//! Defects that only odd values and odd orders of events bring to light.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use super::tools::{error_of, is_call, on_delivery, on_result, recode, says};
use crate::mutants::Mutant;
use crate::mutants::overlay::{
    edit_hub_publish, edit_json, on_both, on_exchange, on_input, on_response, set,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-status-zero-is-success",
        title: "A device status of zero becomes 200",
        requirements: &["HUB-METH-005"],
        overlay: || on_status(|status| if status == 0 { 200 } else { status }),
    },
    Mutant {
        id: "method-status-without-sign",
        title: "A device status loses its sign",
        requirements: &["HUB-METH-005"],
        overlay: || on_status(i64::abs),
    },
    Mutant {
        id: "method-status-16-bits",
        title: "A device status is kept in 16 bits",
        requirements: &["HUB-METH-005"],
        overlay: || on_status(|status| status & 0xffff),
    },
    Mutant {
        id: "method-answer-sorted",
        title: "Answers are read and written again",
        requirements: &["HUB-METH-006"],
        overlay: || on_result(|response| edit_json(response.body_mut(), |_| {})),
    },
    Mutant {
        id: "method-payload-sorted",
        title: "Payloads are read and written again",
        requirements: &["HUB-METH-002"],
        overlay: || {
            on_delivery(|publish| {
                if let Ok(payload) = serde_json::from_slice::<Value>(&publish.payload) {
                    publish.payload = Bytes::from(payload.to_string());
                }
                true
            })
        },
    },
    Mutant {
        id: "method-answer-of-anybody",
        title: "Whoever answers to a request id completes the call",
        requirements: &["HUB-METH-021"],
        overlay: answer_of_anybody,
    },
    Mutant {
        id: "method-resumed-not-called",
        title: "A call that waits is not delivered to a session that is resumed",
        requirements: &["HUB-METH-012"],
        overlay: || {
            on_both(
                false,
                |connects, input| {
                    *connects = matches!(&input, Input::Packet(_, Packet::Connect(_)));
                    vec![input]
                },
                |connects, output| {
                    let connects = *connects;
                    edit_hub_publish(output, |_, topic, _| {
                        !(connects && matches!(topic, HubTopic::MethodRequest { .. }))
                    })
                },
            )
        },
    },
    Mutant {
        id: "method-deaf-is-late",
        title: "A call for which nobody came to listen in time is answered as one without an answer",
        requirements: &["HUB-METH-010"],
        overlay: deaf_is_late,
    },
    Mutant {
        id: "method-filter-of-one-is-of-all",
        title: "Who subscribes to one method is called by all",
        requirements: &["HUB-METH-010"],
        overlay: || on_filter_of_one("$iothub/methods/POST/#"),
    },
    Mutant {
        id: "method-filter-of-one-is-of-none",
        title: "Who subscribes to one method is never called",
        requirements: &["HUB-METH-001"],
        overlay: || on_filter_of_one("$iothub/methods/POST/nothing/#"),
    },
    Mutant {
        id: "method-module-of-unknown-device",
        title: "For a module of an unknown device the module is said to be missing",
        requirements: &["HUB-METH-018"],
        overlay: || {
            on_exchange(
                (),
                |(), request| {
                    let path = request.uri().path();
                    (is_call(request) && path.contains("/modules/")).then_some(())
                },
                |(), (), response| {
                    if says(response, 404_001) {
                        recode(response, 404_010, "ModuleNotFound");
                    }
                },
            )
        },
    },
];

/// Passes device statuses on as `map` has them.
fn on_status(map: fn(i64) -> i64) -> Box<dyn Overlay> {
    on_result(move |response| {
        edit_json(response.body_mut(), |body| {
            if let Some(status) = body.get("status").and_then(Value::as_i64) {
                set(body, "status", map(status));
            }
        });
    })
}

fn answer_of_anybody() -> Box<dyn Overlay> {
    on_both(
        HashMap::<String, ConnectionId>::new(),
        |called, mut input| {
            if let Input::Packet(id, Packet::Publish(Publish { topic, .. })) = &mut input
                && let Some(DeviceTopic::MethodResponse { rid, .. }) = DeviceTopic::parse(topic)
                && let Some(connection) = called.get(&rid)
            {
                *id = *connection;
            }
            vec![input]
        },
        |called, output: Output| {
            edit_hub_publish(output, |id, topic, _| {
                if let HubTopic::MethodRequest { rid, .. } = topic {
                    called.insert(rid.clone(), id);
                }
                true
            })
        },
    )
}

fn deaf_is_late() -> Box<dyn Overlay> {
    on_response(|response| {
        let error = error_of(response).unwrap_or_default();
        let waited = error.pointer("/info/timeout").and_then(Value::as_str);
        if says(response, 404_103) && waited.is_some_and(|time| time != "00:00:00") {
            recode(response, 504_101, "GatewayTimeout");
        }
    })
}

/// Has the hub read filters of one method as others.
fn on_filter_of_one(other: &'static str) -> Box<dyn Overlay> {
    on_input(move |mut input| {
        if let Input::Packet(_, Packet::Subscribe(subscribe)) = &mut input {
            for (filter, _) in &mut subscribe.filters {
                let of_methods = filter.starts_with("$iothub/methods/POST/");
                if of_methods && filter != "$iothub/methods/POST/#" {
                    other.clone_into(filter);
                }
            }
        }
        vec![input]
    })
}
