//! Defects of conditional and concurrent writes (HUB-CONC).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::Method;
use http::header::{HeaderValue, IF_MATCH};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;

use super::writes::{is_twin_write, on_exchange};
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_request, on_response, set_status};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-patch-if-match-refused",
        title: "A PATCH under an etag is always answered 412",
        requirements: &["HUB-CONC-001"],
        overlay: || refuses_under(Method::PATCH, is_etag),
    },
    Mutant {
        id: "twin-patch-if-match-ignored",
        title: "The etag in If-Match of a PATCH is ignored",
        requirements: &["HUB-CONC-002"],
        overlay: || ignores_etag(Method::PATCH),
    },
    Mutant {
        id: "twin-patch-mismatch-applied",
        title: "A PATCH under a wrong etag is answered 412 but applied",
        requirements: &["HUB-CONC-002"],
        overlay: || applies_mismatch(Method::PATCH),
    },
    Mutant {
        id: "twin-patch-earlier-etag-passes",
        title: "A PATCH passes under any etag that the twin ever had",
        requirements: &["HUB-CONC-002", "HUB-CONC-007"],
        overlay: || accepts_earlier_etags(Method::PATCH),
    },
    Mutant {
        id: "twin-patch-mismatch-409",
        title: "A PATCH under a wrong etag is answered 409",
        requirements: &["HUB-CONC-002"],
        overlay: || answers_mismatch(409),
    },
    Mutant {
        id: "twin-patch-quoted-star-literal",
        title: "A quoted star in If-Match of a PATCH is compared like an etag",
        requirements: &["HUB-CONC-003"],
        overlay: || refuses_under(Method::PATCH, |condition| condition == Some("\"*\"")),
    },
    Mutant {
        id: "twin-patch-bare-star-literal",
        title: "A bare star in If-Match of a PATCH is compared like an etag",
        requirements: &["HUB-CONC-004"],
        overlay: || refuses_under(Method::PATCH, |condition| condition == Some("*")),
    },
    Mutant {
        id: "twin-put-bare-star-literal",
        title: "A bare star in If-Match of a PUT is compared like an etag",
        requirements: &["HUB-CONC-004"],
        overlay: || refuses_under(Method::PUT, |condition| condition == Some("*")),
    },
    Mutant {
        id: "twin-patch-needs-if-match",
        title: "A PATCH without If-Match is answered 412",
        requirements: &["HUB-CONC-005"],
        overlay: || refuses_under(Method::PATCH, |condition| condition.is_none()),
    },
    Mutant {
        id: "twin-put-needs-if-match",
        title: "A PUT without If-Match is answered 412",
        requirements: &["HUB-CONC-005"],
        overlay: || refuses_under(Method::PUT, |condition| condition.is_none()),
    },
    Mutant {
        id: "twin-put-if-match-refused",
        title: "A PUT under an etag is always answered 412",
        requirements: &["HUB-CONC-006"],
        overlay: || refuses_under(Method::PUT, is_etag),
    },
    Mutant {
        id: "twin-put-if-match-ignored",
        title: "The etag in If-Match of a PUT is ignored",
        requirements: &["HUB-CONC-006"],
        overlay: || ignores_etag(Method::PUT),
    },
    Mutant {
        id: "twin-put-mismatch-applied",
        title: "A PUT under a wrong etag is answered 412 but applied",
        requirements: &["HUB-CONC-006"],
        overlay: || applies_mismatch(Method::PUT),
    },
    Mutant {
        id: "twin-put-earlier-etag-passes",
        title: "A PUT passes under any etag that the twin ever had",
        requirements: &["HUB-CONC-006"],
        overlay: || accepts_earlier_etags(Method::PUT),
    },
    Mutant {
        id: "twin-put-quoted-star-literal",
        title: "A quoted star in If-Match of a PUT is compared like an etag",
        requirements: &["HUB-CONC-006"],
        overlay: || refuses_under(Method::PUT, |condition| condition == Some("\"*\"")),
    },
    Mutant {
        id: "twin-second-writer-told-success",
        title: "A PATCH under a wrong etag is answered 200 but not applied",
        requirements: &["HUB-CONC-007"],
        overlay: || answers_mismatch(200),
    },
    Mutant {
        id: "twin-seventh-patch-lost",
        title: "Every seventh PATCH of a twin is answered 200 but not made",
        requirements: &["HUB-CONC-008"],
        overlay: || loses_every(7),
    },
    Mutant {
        id: "twin-many-patches-miscounted",
        title: "After more than ten updates the desired version is one too low",
        requirements: &["HUB-CONC-008"],
        overlay: || {
            on_response(|response| {
                edit_json(response.body_mut(), |twin| {
                    let version = twin.pointer_mut("/properties/desired/$version");
                    if let Some(version) = version
                        && let Some(count) = version.as_u64().filter(|count| *count > 10)
                    {
                        *version = json!(count - 1);
                    }
                });
            })
        },
    },
];

/// Finds the writes of `method` and returns their path and condition.
fn condition(request: &http::Request<Bytes>, method: &Method) -> Option<(String, Option<String>)> {
    let condition = request.headers().get(IF_MATCH).and_then(|value| value.to_str().ok());
    let found = is_twin_write(request) && request.method() == *method;
    found.then(|| (request.uri().path().to_owned(), condition.map(str::to_owned)))
}

fn is_etag(condition: Option<&str>) -> bool {
    condition.is_some_and(|text| text != "\"*\"" && text.starts_with('"'))
}

/// Gives the writes whose condition is `chosen` one that never holds.
fn refuses_under(method: Method, chosen: fn(Option<&str>) -> bool) -> Box<dyn Overlay> {
    on_request(move |request| {
        let found = condition(request, &method);
        if found.is_some_and(|(_, condition)| chosen(condition.as_deref())) {
            let never = HeaderValue::from_static("\"never\"");
            request.headers_mut().insert(IF_MATCH, never);
        }
    })
}

fn ignores_etag(method: Method) -> Box<dyn Overlay> {
    on_request(move |request| {
        if condition(request, &method).is_some_and(|(_, etag)| is_etag(etag.as_deref())) {
            request.headers_mut().remove(IF_MATCH);
        }
    })
}

/// The etags that were answered for each path, the current one last.
type Etags = BTreeMap<String, Vec<String>>;

/// An overlay that knows the etags of each twin. `edit` gets them with the condition of a write of
/// `method`, in quotes as both are, and the status that must stand in its answer comes back.
fn on_etag(
    method: Method,
    edit: impl Fn(&[String], &str, &mut http::Request<Bytes>) -> Option<u16> + Send + 'static,
) -> Box<dyn Overlay> {
    let request = move |etags: &mut Etags, request: &mut http::Request<Bytes>| {
        let path = request.uri().path().to_owned();
        let mut status = None;
        if let Some((path, Some(etag))) = condition(request, &method)
            && is_etag(Some(&etag))
        {
            let known = etags.entry(path).or_default();
            status = edit(known, &etag, request);
        }
        path.starts_with("/twins/").then_some((path, status))
    };
    on_exchange(Etags::new(), request, |etags, (path, status), response| {
        let twin: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        if let Some(etag) = twin.get("etag").and_then(Value::as_str) {
            etags.entry(path).or_default().push(format!("\"{etag}\""));
        }
        if let Some(status) = status {
            set_status(response, status);
        }
    })
}

fn applies_mismatch(method: Method) -> Box<dyn Overlay> {
    on_etag(method, |etags, etag, request| {
        let wrong = etags.last().is_some_and(|current| current != etag);
        wrong.then(|| request.headers_mut().remove(IF_MATCH)).map(|_| 412)
    })
}

fn answers_mismatch(status: u16) -> Box<dyn Overlay> {
    on_etag(Method::PATCH, move |etags, etag, _| {
        etags.last().is_some_and(|current| current != etag).then_some(status)
    })
}

fn accepts_earlier_etags(method: Method) -> Box<dyn Overlay> {
    on_etag(method, |etags, etag, request| {
        let known: BTreeSet<&str> = etags.iter().map(String::as_str).collect();
        if known.contains(etag) {
            request.headers_mut().remove(IF_MATCH);
        }
        None
    })
}

/// Makes each `nth` PATCH of a twin an empty one.
fn loses_every(nth: usize) -> Box<dyn Overlay> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    on_request(move |request| {
        if let Some((path, _)) = condition(request, &Method::PATCH) {
            let count = counts.entry(path).or_default();
            *count += 1;
            if count.is_multiple_of(nth) {
                *request.body_mut() = Bytes::from_static(b"{}");
            }
        }
    })
}
