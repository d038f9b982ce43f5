//! Defects of bulk calls (HUB-REG-028 to -034).

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Input;

use super::calls::{also, text};
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_input, on_request, on_response, set, set_status};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "registry-bulk-update-unknown",
        title: "A bulk call does not know the mode update",
        requirements: &["HUB-REG-028"],
        overlay: || unknown_mode("update"),
    },
    Mutant {
        id: "registry-bulk-delete-unknown",
        title: "A bulk call does not know the mode delete",
        requirements: &["HUB-REG-028"],
        overlay: || unknown_mode("delete"),
    },
    Mutant {
        id: "registry-bulk-delete-if-match-unknown",
        title: "A bulk call does not know the mode deleteIfMatchETag",
        requirements: &["HUB-REG-028"],
        overlay: || unknown_mode("deleteIfMatchETag"),
    },
    Mutant {
        id: "registry-bulk-twin-if-match-unknown",
        title: "A bulk call does not know the mode updateTwinIfMatchETag",
        requirements: &["HUB-REG-028"],
        overlay: || unknown_mode("updateTwinIfMatchETag"),
    },
    Mutant {
        id: "registry-bulk-modes-case-sensitive",
        title: "A bulk call takes the modes in one letter case only",
        requirements: &["HUB-REG-028"],
        overlay: || {
            on_items(|items| {
                for item in items {
                    let mode = text(item, "/importMode");
                    let known = MODES.iter().find(|known| known.eq_ignore_ascii_case(mode));
                    if known.is_some_and(|known| *known != mode) {
                        set(item, "importMode", "unknown");
                    }
                }
            })
        },
    },
    Mutant {
        id: "registry-bulk-success-answered-201",
        title: "A bulk call that succeeds is answered 201",
        requirements: &["HUB-REG-029"],
        overlay: || {
            on_result(|is_successful, response| {
                if is_successful {
                    set_status(response, 201);
                }
            })
        },
    },
    Mutant {
        id: "registry-bulk-success-not-told",
        title: "A bulk call that succeeds does not say so",
        requirements: &["HUB-REG-029"],
        overlay: || on_result_body(|result| drop(take(result, "isSuccessful"))),
    },
    Mutant {
        id: "registry-bulk-failure-answered-200",
        title: "A bulk call with failing items is answered 200",
        requirements: &["HUB-REG-030"],
        overlay: || {
            on_result(|is_successful, response| {
                if !is_successful {
                    set_status(response, 200);
                }
            })
        },
    },
    Mutant {
        id: "registry-bulk-first-failure-only",
        title: "A bulk call tells its first error only",
        requirements: &["HUB-REG-030"],
        overlay: || {
            on_result_body(|result| {
                if let Some(Value::Array(errors)) = result.get_mut("errors") {
                    errors.truncate(1);
                }
            })
        },
    },
    Mutant {
        id: "registry-bulk-error-by-number",
        title: "The errors of a bulk call have numbers for names",
        requirements: &["HUB-REG-030"],
        overlay: || {
            on_result_body(|result| {
                let errors = result.get_mut("errors").and_then(Value::as_array_mut);
                for error in errors.into_iter().flatten() {
                    set(error, "errorCode", 409_001);
                }
            })
        },
    },
    Mutant {
        id: "registry-bulk-delete-etag-ignored",
        title: "A bulk item is deleted under an outdated etag",
        requirements: &["HUB-REG-030"],
        overlay: || in_another_mode("deleteIfMatchETag", "delete"),
    },
    Mutant {
        id: "registry-bulk-twin-etag-ignored",
        title: "A bulk item writes a twin under an outdated etag",
        requirements: &["HUB-REG-030"],
        overlay: || in_another_mode("updateTwinIfMatchETag", "updateTwin"),
    },
    Mutant {
        id: "registry-bulk-error-without-module",
        title: "The errors of a bulk call do not name modules",
        requirements: &["HUB-REG-030"],
        overlay: || {
            on_result_body(|result| {
                let errors = result.get_mut("errors").and_then(Value::as_array_mut);
                errors.into_iter().flatten().for_each(|error| drop(take(error, "moduleId")));
            })
        },
    },
    Mutant {
        id: "registry-bulk-missing-not-told",
        title: "A bulk call does not tell of devices that are not there",
        requirements: &["HUB-REG-030"],
        overlay: || {
            on_result_body(|result| {
                if let Some(Value::Array(errors)) = result.get_mut("errors") {
                    errors.retain(|error| text(error, "/errorCode") != "DeviceNotFound");
                }
            })
        },
    },
    Mutant {
        id: "registry-bulk-module-deletes-device",
        title: "A bulk item that deletes a module deletes its device",
        requirements: &["HUB-REG-028"],
        overlay: || modules_are_devices("delete"),
    },
    Mutant {
        id: "registry-bulk-module-is-its-device",
        title: "A bulk item that creates a module is taken for one that creates its device",
        requirements: &["HUB-REG-029"],
        overlay: || modules_are_devices("create"),
    },
    Mutant {
        id: "registry-bulk-etag-ignored",
        title: "A bulk item is updated under an outdated etag",
        requirements: &["HUB-REG-030"],
        overlay: || {
            on_items(|items| {
                let wanted = |item: &&mut Value| text(item, "/importMode") == "updateIfMatchETag";
                items.iter_mut().filter(wanted).for_each(|item| set(item, "importMode", "update"));
            })
        },
    },
    Mutant {
        id: "registry-bulk-twin-replaced",
        title: "A bulk update of a twin drops what it does not name",
        requirements: &["HUB-REG-031"],
        overlay: replacing_twins,
    },
    Mutant {
        id: "registry-bulk-twin-without-tags",
        title: "A bulk update of a twin leaves the tags alone",
        requirements: &["HUB-REG-031"],
        overlay: || on_items(|items| items.iter_mut().for_each(|item| drop(take(item, "tags")))),
    },
    Mutant {
        id: "registry-bulk-module-twin-mistaken",
        title: "A bulk update of a module's twin is made to its device's twin",
        requirements: &["HUB-REG-031"],
        overlay: || {
            on_items(|items| items.iter_mut().for_each(|item| drop(take(item, "moduleId"))))
        },
    },
    Mutant {
        id: "registry-bulk-hundred-refused",
        title: "A bulk call of 100 items is refused",
        requirements: &["HUB-REG-032"],
        overlay: || {
            on_items(|items| {
                if items.len() == 100 {
                    items.extend(items.clone());
                }
            })
        },
    },
    Mutant {
        id: "registry-bulk-hundred-and-one-taken",
        title: "A bulk call of 101 items succeeds",
        requirements: &["HUB-REG-033"],
        overlay: taking_more,
    },
    Mutant {
        id: "registry-bulk-twice-taken",
        title: "The second item for a device in a bulk call is left out without an error",
        requirements: &["HUB-REG-034"],
        overlay: || {
            on_items(|items| {
                let mut seen = BTreeSet::new();
                items.retain(|item| {
                    seen.insert((text(item, "/id").to_owned(), text(item, "/moduleId").to_owned()))
                });
            })
        },
    },
    Mutant {
        id: "registry-bulk-module-twice-taken",
        title: "The second item for a module in a bulk call is left out without an error",
        requirements: &["HUB-REG-034"],
        overlay: || {
            on_items(|items| {
                let mut seen = BTreeSet::new();
                items.retain(|item| match text(item, "/moduleId") {
                    "" => true,
                    module => seen.insert((text(item, "/id").to_owned(), module.to_owned())),
                });
            })
        },
    },
    Mutant {
        id: "registry-bulk-modules-of-one-device-are-one",
        title: "A bulk call with two modules of one device is taken for one with a device twice",
        requirements: &["HUB-REG-029"],
        overlay: || {
            on_items(|items| {
                let mut seen = BTreeSet::new();
                for item in items {
                    let is_module = !text(item, "/moduleId").is_empty();
                    if is_module && !seen.insert(text(item, "/id").to_owned()) {
                        set(item, "importMode", "unknown");
                    }
                }
            })
        },
    },
];

/// The modes as the specification writes them.
const MODES: [&str; 7] = [
    "create",
    "update",
    "updateIfMatchETag",
    "delete",
    "deleteIfMatchETag",
    "updateTwin",
    "updateTwinIfMatchETag",
];

fn is_bulk(request: &Request<Bytes>) -> bool {
    request.method() == Method::POST && request.uri().path().trim_end_matches('/') == "/devices"
}

/// Edits the items of bulk calls.
fn on_items(edit: impl Fn(&mut Vec<Value>) + Send + 'static) -> Box<dyn Overlay> {
    on_request(move |request| {
        if is_bulk(request) {
            edit_json(request.body_mut(), |body| {
                if let Value::Array(items) = body {
                    edit(items);
                }
            });
        }
    })
}

fn unknown_mode(mode: &'static str) -> Box<dyn Overlay> {
    on_request(move |request| {
        if is_bulk(request) {
            edit_json(request.body_mut(), |body| {
                for item in body.as_array_mut().into_iter().flatten() {
                    if text(item, "/importMode").eq_ignore_ascii_case(mode) {
                        set(item, "importMode", "unknown");
                    }
                }
            });
        }
    })
}

/// Edits the responses to bulk calls, given whether these succeeded.
fn on_result(edit: fn(bool, &mut http::Response<Bytes>)) -> Box<dyn Overlay> {
    on_response(move |response| {
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        if body.get("isSuccessful").is_some() {
            edit(response.status() == StatusCode::OK, response);
        }
    })
}

/// Edits the results of bulk calls.
fn on_result_body(edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_response(move |response| {
        edit_json(response.body_mut(), |body| {
            if body.get("isSuccessful").is_some() {
                edit(body);
            }
        });
    })
}

fn take(object: &mut Value, member: &str) -> Option<Value> {
    object.as_object_mut()?.remove(member)
}

/// Empties each twin before a bulk call updates it.
fn replacing_twins() -> Box<dyn Overlay> {
    on_input(|input| {
        let mut inputs = Vec::new();
        if let Input::Request(_, request) = &input
            && is_bulk(request)
        {
            let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            for item in body.as_array().into_iter().flatten() {
                let path = match text(item, "/moduleId") {
                    "" => format!("/twins/{}", text(item, "/id")),
                    module => format!("/twins/{}/modules/{module}", text(item, "/id")),
                };
                let empty = json!({ "tags": {}, "properties": { "desired": {} } }).to_string();
                inputs.push(also(request, Method::PUT, &path, empty));
            }
        }
        inputs.push(input);
        inputs
    })
}

/// Carries out long bulk calls in two.
fn taking_more() -> Box<dyn Overlay> {
    on_input(|mut input| {
        let mut inputs = Vec::new();
        if let Input::Request(_, request) = &mut input
            && is_bulk(request)
        {
            let mut items: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            if let Some(items) = items.as_array_mut().filter(|items| items.len() > 100) {
                let rest = items.split_off(100);
                *request.body_mut() = Bytes::from(json!(items).to_string());
                inputs.push(also(request, Method::POST, "/devices", json!(rest).to_string()));
            }
        }
        inputs.push(input);
        inputs
    })
}

/// Carries items of the mode `from` out in the mode `to`.
fn in_another_mode(from: &'static str, to: &'static str) -> Box<dyn Overlay> {
    on_items(move |items| {
        let wanted = |item: &&mut Value| text(item, "/importMode") == from;
        items.iter_mut().filter(wanted).for_each(|item| set(item, "importMode", to));
    })
}

/// Does not see the module ids of items of a mode.
fn modules_are_devices(mode: &'static str) -> Box<dyn Overlay> {
    on_items(move |items| {
        for item in items {
            if text(item, "/importMode") == mode {
                drop(take(item, "moduleId"));
            }
        }
    })
}
