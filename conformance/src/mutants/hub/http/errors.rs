//! Defects of errors, of throttling and of device-side HTTPS (HUB-HTTP-005 to -008, -013, -014).

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::event::Source;
use twinspec_model::hub::Output;

use crate::mutants::Mutant;
use crate::mutants::hub::registry::calls::{on_answer, refuse, renaming, succeed, text};
use crate::mutants::overlay::{edit_json, on_output, on_request, on_response, set, set_status};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "http-error-without-exception-message",
        title: "Errors have no ExceptionMessage",
        requirements: &["HUB-HTTP-005"],
        overlay: || {
            on_error_body(|body| {
                if let Some(members) = body.as_object_mut() {
                    members.remove("ExceptionMessage");
                }
            })
        },
    },
    Mutant {
        id: "http-error-message-object",
        title: "The message of errors about twins is an object",
        requirements: &["HUB-HTTP-005"],
        overlay: || {
            on_answer(is_twin_call, |response| {
                if !response.status().is_success() {
                    edit_json(response.body_mut(), |body| {
                        let text = text(body, "/Message").to_owned();
                        set(body, "Message", json!({ "text": text }));
                    });
                }
            })
        },
    },
    Mutant {
        id: "http-error-message-without-code",
        title: "The message of errors does not begin with the code",
        requirements: &["HUB-HTTP-006"],
        overlay: || {
            on_error_body(|body| {
                let message = text(body, "/Message").replace("ErrorCode:", "");
                set(body, "Message", message);
            })
        },
    },
    Mutant {
        id: "http-error-header-generic",
        title: "The header of errors names a general error where the body is exact",
        requirements: &["HUB-HTTP-007"],
        overlay: || {
            on_response(|response| {
                if response.status() == StatusCode::PRECONDITION_FAILED {
                    let name = HeaderValue::from_static("GenericPreconditionFailed");
                    response.headers_mut().insert("iothub-errorcode", name);
                }
            })
        },
    },
    Mutant {
        id: "http-error-header-missing-on-unauthorized",
        title: "Answers with 401 have no iothub-errorcode",
        requirements: &["HUB-HTTP-007"],
        overlay: || {
            on_response(|response| {
                if response.status() == StatusCode::UNAUTHORIZED {
                    response.headers_mut().remove("iothub-errorcode");
                }
            })
        },
    },
    Mutant {
        id: "http-error-header-missing-on-methods",
        title: "Errors of method calls have no iothub-errorcode",
        requirements: &["HUB-HTTP-007"],
        overlay: || {
            let is_method = |request: &Request<Bytes>| request.uri().path().ends_with("/methods");
            on_answer(is_method, |response| drop(response.headers_mut().remove("iothub-errorcode")))
        },
    },
    Mutant {
        id: "http-error-header-missing-on-queries",
        title: "Errors of queries have no iothub-errorcode",
        requirements: &["HUB-HTTP-007"],
        overlay: || {
            let is_query = |request: &Request<Bytes>| request.uri().path() == "/devices/query";
            on_answer(is_query, |response| drop(response.headers_mut().remove("iothub-errorcode")))
        },
    },
    Mutant {
        id: "http-error-header-generic-on-jobs",
        title: "The header of errors about missing jobs names a general error",
        requirements: &["HUB-HTTP-007"],
        overlay: || {
            on_response(|response| {
                let name = response.headers_mut().get_mut("iothub-errorcode");
                if let Some(name) = name.filter(|name| *name == "JobNotFound") {
                    *name = HeaderValue::from_static("GenericNotFound");
                }
            })
        },
    },
    Mutant {
        id: "http-error-header-missing-on-configurations",
        title: "Errors about configurations have no iothub-errorcode",
        requirements: &["HUB-HTTP-007"],
        overlay: || {
            let is_theirs =
                |request: &Request<Bytes>| request.uri().path().starts_with("/configurations");
            on_answer(is_theirs, |response| drop(response.headers_mut().remove("iothub-errorcode")))
        },
    },
    Mutant {
        id: "http-error-header-of-modules-names-devices",
        title: "The header of errors about missing modules names a missing device",
        requirements: &["HUB-HTTP-007"],
        overlay: || {
            on_response(|response| {
                let name = response.headers_mut().get_mut("iothub-errorcode");
                if let Some(name) = name.filter(|name| *name == "ModuleNotFound") {
                    *name = HeaderValue::from_static("DeviceNotFound");
                }
            })
        },
    },
    Mutant {
        id: "http-error-header-generic-on-versions",
        title: "The header of a refused api-version names a general error",
        requirements: &["HUB-HTTP-007"],
        overlay: || {
            on_response(|response| {
                let name = response.headers_mut().get_mut("iothub-errorcode");
                if let Some(name) = name.filter(|name| *name == "InvalidProtocolVersion") {
                    *name = HeaderValue::from_static("GenericBadRequest");
                }
            })
        },
    },
    Mutant {
        id: "http-error-status-general",
        title: "Refusals of twin writes under an old etag are answered 409",
        requirements: &["HUB-HTTP-008"],
        overlay: || {
            on_answer(is_twin_call, |response| {
                if response.status() == StatusCode::PRECONDITION_FAILED {
                    set_status(response, 409);
                }
            })
        },
    },
    Mutant {
        id: "http-error-status-missing-400",
        title: "Missing devices are answered 400",
        requirements: &["HUB-HTTP-008"],
        overlay: || {
            on_response(|response| {
                if response.status() == StatusCode::NOT_FOUND {
                    set_status(response, 400);
                }
            })
        },
    },
    Mutant {
        id: "http-overload-unavailable",
        title: "Overload is answered 503 ServiceUnavailable",
        requirements: &["HUB-HTTP-013"],
        overlay: || renaming("ThrottlingException", "ServiceUnavailable", 503),
    },
    Mutant {
        id: "http-overload-generic",
        title: "Overload is answered 429 GenericTooManyRequests",
        requirements: &["HUB-HTTP-013"],
        overlay: || renaming("ThrottlingException", "GenericTooManyRequests", 429),
    },
    Mutant {
        id: "http-overload-of-reads-pretended",
        title: "Too many reads of twins are answered 200 with an empty twin",
        requirements: &["HUB-HTTP-013"],
        overlay: || {
            let reads =
                |request: &Request<Bytes>| is_twin_call(request) && request.method() == Method::GET;
            on_answer(reads, |response| {
                if response.status() == StatusCode::TOO_MANY_REQUESTS {
                    succeed(response, &json!({ "properties": {} }));
                }
            })
        },
    },
    Mutant {
        id: "http-device-telemetry-answered-200",
        title: "A telemetry POST by a device is answered 200",
        requirements: &["HUB-HTTP-014"],
        overlay: || {
            let posts = |request: &Request<Bytes>| request.uri().path().ends_with("/events");
            on_answer(posts, |response| {
                if response.status() == StatusCode::NO_CONTENT {
                    set_status(response, 200);
                }
            })
        },
    },
    Mutant {
        id: "http-device-telemetry-lost",
        title: "A telemetry POST by a device is answered 204 and lost",
        requirements: &["HUB-HTTP-014"],
        overlay: || {
            on_output(|output| match output {
                Output::Event(event) if event.source == Source::Telemetry => Vec::new(),
                other => vec![other],
            })
        },
    },
    Mutant {
        id: "http-device-batch-is-one-message",
        title: "A batch of a device is delivered as one message",
        requirements: &["HUB-HTTP-020"],
        overlay: || {
            on_request(|request| {
                if request.headers().contains_key(CONTENT_TYPE) {
                    let json = HeaderValue::from_static("application/json");
                    request.headers_mut().insert(CONTENT_TYPE, json);
                }
            })
        },
    },
    Mutant {
        id: "http-device-batch-without-properties",
        title: "The messages of a batch lose their properties",
        requirements: &["HUB-HTTP-020"],
        overlay: || {
            on_request(|request| {
                if request.uri().path().ends_with("/messages/events") {
                    edit_json(request.body_mut(), |body| {
                        for message in body.as_array_mut().into_iter().flatten() {
                            set(message, "properties", json!({}));
                        }
                    });
                }
            })
        },
    },
    Mutant {
        id: "http-device-messages-unknown",
        title: "A device cannot receive messages over HTTPS",
        requirements: &["HUB-HTTP-014"],
        overlay: || {
            let receives =
                |request: &Request<Bytes>| request.uri().path().ends_with("/messages/devicebound");
            on_answer(receives, |response| refuse(response, 404, "GenericNotFound"))
        },
    },
    Mutant {
        id: "http-device-twin-offered",
        title: "A device is shown a twin over HTTPS",
        requirements: &["HUB-HTTP-014"],
        overlay: || {
            let asks = |request: &Request<Bytes>| request.uri().path().ends_with("/twin");
            on_answer(asks, |response| {
                let section = json!({ "$version": 1 });
                succeed(response, &json!({ "desired": section, "reported": section }));
            })
        },
    },
];

fn is_twin_call(request: &Request<Bytes>) -> bool {
    request.uri().path().starts_with("/twins/")
}

/// Edits the bodies of errors.
fn on_error_body(edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_response(move |response| {
        if !response.status().is_success() {
            edit_json(response.body_mut(), |body| {
                if body.get("Message").is_some() {
                    edit(body);
                }
            });
        }
    })
}
