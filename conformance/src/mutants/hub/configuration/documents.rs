//! Defects of documents: created, read, listed, updated, deleted.

use std::collections::BTreeSet;

use http::header::IF_MATCH;
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::tools::{id_of, is_call, is_update, on_answers, on_documents, on_put};
use crate::mutants::Mutant;
use crate::mutants::hub::registry::calls::{on_answer, refuse, renaming, succeed};
use crate::mutants::overlay::{on_exchange, on_request, set, set_status};

/// All of them.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "configuration-content-hidden",
        title: "A configuration is read without its content",
        requirements: &["HUB-CFG-001"],
        overlay: || {
            on_documents(|document| drop(document.as_object_mut().map(|d| d.remove("content"))))
        },
    },
    Mutant {
        id: "configuration-content-rounded",
        title: "Fractions in content are rounded",
        requirements: &["HUB-CFG-001"],
        overlay: || {
            on_documents(|document| {
                if let Some(ratio) = document
                    .pointer_mut("/content/deviceContent/properties.desired.fan")
                    .and_then(|fan| fan.get_mut("ratio"))
                {
                    *ratio = json!(28);
                }
            })
        },
    },
    Mutant {
        id: "configuration-one-schema-version",
        title: "A document whose schemaVersion is not 1.0 is refused",
        requirements: &["HUB-CFG-016"],
        overlay: || {
            on_put(|_, body| {
                if body["schemaVersion"] == "2.0" {
                    set(body, "schemaVersion", 2);
                }
            })
        },
    },
    Mutant {
        id: "configuration-labels-dropped",
        title: "Labels are not kept",
        requirements: &["HUB-CFG-001"],
        overlay: || {
            on_put(|updates, body| {
                if !updates {
                    set(body, "labels", json!({}));
                }
            })
        },
    },
    Mutant {
        id: "configuration-without-times",
        title: "A configuration does not say when it was created",
        requirements: &["HUB-CFG-001"],
        overlay: || on_documents(|document| set(document, "createdTimeUtc", Value::Null)),
    },
    Mutant {
        id: "configuration-etag-of-priority",
        title: "The etag does not change with labels, conditions and metrics",
        requirements: &["HUB-CFG-003"],
        overlay: || {
            on_documents(|document| {
                let etag = format!("p{}", document["priority"]);
                set(document, "etag", etag);
            })
        },
    },
    Mutant {
        id: "configuration-list-empty",
        title: "The list of configurations is always empty",
        requirements: &["HUB-CFG-001"],
        overlay: || {
            let lists = |request: &http::Request<_>| request.uri().path() == "/configurations";
            on_answer(lists, |response| succeed(response, &json!([])))
        },
    },
    Mutant {
        id: "configuration-delete-200",
        title: "DELETE answers 200",
        requirements: &["HUB-CFG-001"],
        overlay: || {
            on_answers(Method::DELETE, |response| {
                if response.status().is_success() {
                    set_status(response, 200);
                }
            })
        },
    },
    Mutant {
        id: "configuration-delete-unconditional",
        title: "DELETE does not look at If-Match",
        requirements: &["HUB-CFG-001"],
        overlay: || {
            on_request(|request| {
                if is_call(request, &Method::DELETE) {
                    request.headers_mut().remove(IF_MATCH);
                }
            })
        },
    },
    Mutant {
        id: "configuration-delete-forgotten",
        title: "DELETE is answered and nothing is deleted",
        requirements: &["HUB-CFG-001"],
        overlay: || {
            on_exchange(
                (),
                |(), request| {
                    let deletes = is_call(request, &Method::DELETE);
                    if deletes {
                        *request.method_mut() = Method::GET;
                    }
                    deletes.then_some(())
                },
                |(), (), response| {
                    if response.status().is_success() {
                        set_status(response, 204);
                    }
                },
            )
        },
    },
    Mutant {
        id: "configuration-create-overwrites",
        title: "A second PUT without If-Match overwrites",
        requirements: &["HUB-CFG-002"],
        overlay: || {
            on_exchange(
                BTreeSet::<String>::new(),
                |known, request| {
                    let id = id_of(request)?.to_owned();
                    let creates = is_call(request, &Method::PUT) && !is_update(request);
                    if creates && !known.insert(id) {
                        let any = HeaderValue::from_static("\"*\"");
                        request.headers_mut().insert(IF_MATCH, any);
                    }
                    None::<()>
                },
                |_, (), _| {},
            )
        },
    },
    Mutant {
        id: "configuration-conflict-412",
        title: "A second PUT without If-Match is refused with 412",
        requirements: &["HUB-CFG-002"],
        overlay: || renaming("ConfigurationAlreadyExists", "PreconditionFailed", 412),
    },
    Mutant {
        id: "configuration-id-used-up",
        title: "An id that was deleted is never free again",
        requirements: &["HUB-CFG-002"],
        overlay: || {
            on_exchange(
                BTreeSet::<String>::new(),
                |deleted, request| {
                    let id = id_of(request)?.to_owned();
                    if is_call(request, &Method::DELETE) {
                        deleted.insert(id);
                        return None;
                    }
                    let creates = is_call(request, &Method::PUT) && !is_update(request);
                    (creates && deleted.contains(&id)).then_some(())
                },
                |_, (), response| refuse(response, 409, "ConfigurationAlreadyExists"),
            )
        },
    },
    Mutant {
        id: "configuration-update-keeps-priority",
        title: "An update does not change the priority",
        requirements: &["HUB-CFG-003"],
        overlay: || {
            on_put(|updates, body| {
                if updates {
                    set(body, "priority", 10);
                }
            })
        },
    },
    Mutant {
        id: "configuration-update-keeps-condition",
        title: "An update does not change the condition",
        requirements: &["HUB-CFG-003"],
        overlay: || {
            on_documents(|document| {
                if document["targetCondition"] == "tags.mark = 'nobody'" {
                    set(document, "targetCondition", "");
                }
            })
        },
    },
    Mutant {
        id: "configuration-update-keeps-etag",
        title: "All configurations have one etag for ever",
        requirements: &["HUB-CFG-003"],
        overlay: || on_documents(|document| set(document, "etag", "MQ==")),
    },
    Mutant {
        id: "configuration-update-unconditional",
        title: "An update does not look at the etag",
        requirements: &["HUB-CFG-003"],
        overlay: || {
            on_request(|request| {
                if is_update(request) {
                    let any = HeaderValue::from_static("\"*\"");
                    request.headers_mut().insert(IF_MATCH, any);
                }
            })
        },
    },
    Mutant {
        id: "configuration-update-star-refused",
        title: "If-Match * matches no etag",
        requirements: &["HUB-CFG-003"],
        overlay: || {
            on_request(|request| {
                if is_update(request) && request.headers()[IF_MATCH] == "\"*\"" {
                    let none = HeaderValue::from_static("\"none\"");
                    request.headers_mut().insert(IF_MATCH, none);
                }
            })
        },
    },
    Mutant {
        id: "configuration-missing-device-not-found",
        title: "A missing configuration is a missing device",
        requirements: &["HUB-CFG-004"],
        overlay: || renaming("ConfigurationNotFound", "DeviceNotFound", 404),
    },
    Mutant {
        id: "configuration-missing-empty",
        title: "A missing configuration is read as an empty one",
        requirements: &["HUB-CFG-004"],
        overlay: || {
            on_answers(Method::GET, |response| {
                if response.status().as_u16() == 404 {
                    succeed(response, &json!({}));
                }
            })
        },
    },
];
