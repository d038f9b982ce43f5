//! Defects of what a device gets as the body of a method request (HUB-METH-002, -003, -017).

use bytes::Bytes;
use serde_json::Value;
use twinspec_harness::hub::Overlay;

use super::tools::{on_call, on_delivery};
use crate::mutants::Mutant;
use crate::mutants::overlay::set;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-string-unquoted",
        title: "A string reaches the device without its quotes",
        requirements: &["HUB-METH-002"],
        overlay: || {
            rewriting(|payload| match payload {
                Value::String(text) if !text.is_empty() => Some(text.clone()),
                _ => None,
            })
        },
    },
    Mutant {
        id: "method-object-as-string",
        title: "An object reaches the device as a string that holds its JSON text",
        requirements: &["HUB-METH-002"],
        overlay: || {
            rewriting(|payload| {
                payload.is_object().then(|| Value::from(payload.to_string()).to_string())
            })
        },
    },
    Mutant {
        id: "method-null-as-nothing",
        title: "A null payload reaches the device as an empty body",
        requirements: &["HUB-METH-003"],
        overlay: || rewriting(|payload| payload.is_null().then(String::new)),
    },
    Mutant {
        id: "method-empty-string-as-nothing",
        title: "An empty string reaches the device as an empty body",
        requirements: &["HUB-METH-003"],
        overlay: || rewriting(|payload| (payload == "").then(String::new)),
    },
    Mutant {
        id: "method-payload-limit-64-kb",
        title: "Payloads above 64 KB are refused",
        requirements: &["HUB-METH-017"],
        overlay: || {
            larger_than(64 << 10, || {
                // What the model refuses.
                Value::from("x".repeat(140_000))
            })
        },
    },
    Mutant {
        id: "method-payload-limit-dropped",
        title: "A call with a payload above 128 KB is delivered without the payload",
        requirements: &["HUB-METH-017"],
        overlay: || larger_than(128 << 10, || Value::Null),
    },
];

/// Delivers payloads as `text` has them; `None` leaves one alone.
fn rewriting(text: fn(&Value) -> Option<String>) -> Box<dyn Overlay> {
    on_delivery(move |publish| {
        let payload = serde_json::from_slice(&publish.payload).ok();
        if let Some(text) = payload.as_ref().and_then(text) {
            publish.payload = Bytes::from(text);
        }
        true
    })
}

/// Puts another payload in place of each one with more than `limit` bytes.
fn larger_than(limit: usize, other: fn() -> Value) -> Box<dyn Overlay> {
    on_call(move |call| {
        if call.get("payload").is_some_and(|payload| payload.to_string().len() > limit) {
            set(call, "payload", other());
        }
    })
}
