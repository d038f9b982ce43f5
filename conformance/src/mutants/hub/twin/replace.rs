//! Defects of replacing, of echoed twins and of answers (HUB-MERGE-017 to -022).

use std::collections::HashMap;

use bytes::Bytes;
use http::Method;
use http::header::{HeaderValue, IF_MATCH};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;

use super::writes::{Members, Part, is_twin_write, on_exchange, on_write, reports_too};
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_request, set_status};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-put-keeps-desired",
        title: "A PUT keeps desired keys that its body leaves out",
        requirements: &["HUB-MERGE-017"],
        overlay: || keeps(Part::Desired),
    },
    Mutant {
        id: "twin-put-keeps-nested",
        title: "A PUT merges into objects of the desired section",
        requirements: &["HUB-MERGE-017"],
        overlay: || {
            on_write(|write| {
                for (key, value) in write.members.iter_mut().filter(|_| write.replaces) {
                    let stored = write.stored.get(key).and_then(Value::as_object);
                    if let (Part::Desired, Some(stored)) = (write.part, stored) {
                        add_missing(stored, value);
                    }
                }
            })
        },
    },
    Mutant {
        id: "twin-put-keeps-tags",
        title: "A PUT keeps tags that its body leaves out",
        requirements: &["HUB-MERGE-018"],
        overlay: || keeps(Part::Tags),
    },
    Mutant {
        id: "twin-put-writes-reported",
        title: "A PUT with a reported member changes the reported properties",
        requirements: &["HUB-MERGE-019"],
        overlay: || reports_too(Method::PUT, reported_member),
    },
    Mutant {
        id: "twin-put-marks-reported",
        title: "Every PUT leaves a mark in the reported properties",
        requirements: &["HUB-MERGE-019"],
        overlay: || reports_too(Method::PUT, |_| Some(json!({ "replaced": true }))),
    },
    Mutant {
        id: "twin-put-null-accepted",
        title: "Null values in a PUT are left out instead of refused",
        requirements: &["HUB-MERGE-020"],
        overlay: || {
            on_write(|write| {
                if write.replaces {
                    drop_nulls(write.members);
                }
            })
        },
    },
    Mutant {
        id: "twin-put-null-other-error",
        title: "Null values in a PUT are refused with another error than ArgumentInvalid",
        requirements: &["HUB-MERGE-020"],
        overlay: || {
            on_exchange((), writes(Method::PUT), |_, (), response| {
                let other = HeaderValue::from_static("GenericBadRequest");
                if response.status().is_client_error() {
                    response.headers_mut().insert("iothub-errorcode", other);
                    *response.body_mut() = Bytes::from_static(b"{}");
                }
            })
        },
    },
    Mutant {
        id: "twin-patch-echo-refused",
        title: "A PATCH that holds read-only members is refused",
        requirements: &["HUB-MERGE-021"],
        overlay: || refuses_echo(Method::PATCH),
    },
    Mutant {
        id: "twin-put-echo-refused",
        title: "A PUT that holds read-only members is refused",
        requirements: &["HUB-MERGE-021"],
        overlay: || refuses_echo(Method::PUT),
    },
    Mutant {
        id: "twin-patch-echo-writes-reported",
        title: "A PATCH with a reported member changes the reported properties",
        requirements: &["HUB-MERGE-021"],
        overlay: || reports_too(Method::PATCH, reported_member),
    },
    Mutant {
        id: "twin-echo-etag-is-condition",
        title: "The etag in the body of a write is taken as its condition",
        requirements: &["HUB-MERGE-021"],
        overlay: || {
            on_request(|request| {
                let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
                let etag = body.get("etag").and_then(Value::as_str);
                let etag = etag.and_then(|etag| format!("\"{etag}\"").parse().ok());
                if let (true, Some(etag)) = (is_twin_write(request), etag) {
                    request.headers_mut().insert(IF_MATCH, etag);
                }
            })
        },
    },
    Mutant {
        id: "twin-patch-answers-nothing",
        title: "A PATCH is answered 204 without a body",
        requirements: &["HUB-MERGE-022"],
        overlay: || answers_nothing(Method::PATCH),
    },
    Mutant {
        id: "twin-put-answers-nothing",
        title: "A PUT is answered 204 without a body",
        requirements: &["HUB-MERGE-022"],
        overlay: || answers_nothing(Method::PUT),
    },
    Mutant {
        id: "twin-patch-answers-partly",
        title: "The answer to a PATCH leaves out the reported section",
        requirements: &["HUB-MERGE-022"],
        overlay: || {
            on_exchange((), writes(Method::PATCH), |(), (), response| {
                edit_json(response.body_mut(), |twin| {
                    if let Some(Value::Object(properties)) = twin.get_mut("properties") {
                        properties.remove("reported");
                    }
                });
            })
        },
    },
    Mutant {
        id: "twin-put-answers-old-twin",
        title: "The answer to a PUT shows the twin as it was before",
        requirements: &["HUB-MERGE-022"],
        overlay: answers_old_twin,
    },
];

/// An overlay under which a PUT keeps the keys of `part` that its body leaves out.
fn keeps(part: Part) -> Box<dyn Overlay> {
    on_write(move |write| {
        if write.replaces && write.part == part {
            let kept = write.stored.iter().filter(|(key, _)| !write.members.contains_key(*key));
            let kept: Members = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
            write.members.extend(kept);
        }
    })
}

fn add_missing(stored: &Members, value: &mut Value) {
    if let Value::Object(members) = value {
        for (key, value) in stored {
            members.entry(key).or_insert_with(|| value.clone());
        }
    }
}

fn drop_nulls(members: &mut Members) {
    members.retain(|_, value| !value.is_null());
    members.values_mut().filter_map(Value::as_object_mut).for_each(drop_nulls);
}

/// The `reported` member of a back end's write, as the PATCH of a device.
fn reported_member(body: &Value) -> Option<Value> {
    let mut reported = body.pointer("/properties/reported")?.as_object()?.clone();
    reported.retain(|key, _| !key.starts_with('$'));
    Some(Value::Object(reported))
}

/// Finds the writes of `method`.
fn writes(method: Method) -> impl FnMut(&mut (), &mut http::Request<Bytes>) -> Option<()> {
    move |(), request| (is_twin_write(request) && request.method() == method).then_some(())
}

fn refuses_echo(method: Method) -> Box<dyn Overlay> {
    on_request(move |request| {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let echo = body.get("deviceId").is_some();
        if echo && is_twin_write(request) && request.method() == method {
            *request.body_mut() = Bytes::from_static(br#"{"tags":"must be an object"}"#);
        }
    })
}

fn answers_nothing(method: Method) -> Box<dyn Overlay> {
    on_exchange((), writes(method), |(), (), response| {
        if response.status().is_success() {
            set_status(response, 204);
            *response.body_mut() = Bytes::new();
        }
    })
}

fn answers_old_twin() -> Box<dyn Overlay> {
    let exchange = |_: &mut HashMap<String, Bytes>, request: &mut http::Request<Bytes>| {
        let path = request.uri().path().to_owned();
        path.starts_with("/twins/").then(|| (path, request.method() == Method::PUT))
    };
    on_exchange(HashMap::new(), exchange, |last, (path, replaced), response| {
        if response.status().is_success() {
            let before = last.insert(path, response.body().clone());
            if let (true, Some(before)) = (replaced, before) {
                *response.body_mut() = before;
            }
        }
    })
}
