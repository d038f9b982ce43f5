//! Defects of updating and deleting identities (HUB-REG-008 to -012, -015, -016, -027).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Input;

use super::calls::{
    Whose, also, each, is_call, is_conditional, is_put, on_answer, on_put, refuse, set_condition,
    succeed, text,
};
use super::create::{nothing, showing};
use crate::mutants::Mutant;
use crate::mutants::overlay::{
    edit_json, on_exchange, on_input, on_request, on_response, set, set_status,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "registry-update-unconditional",
        title: "A PUT of a device with any If-Match updates",
        requirements: &["HUB-REG-008"],
        overlay: || on_condition(Method::PUT, Whose::Device, |_| Some("*")),
    },
    Mutant {
        id: "registry-module-update-unconditional",
        title: "A PUT of a module with any If-Match updates",
        requirements: &["HUB-REG-008"],
        overlay: || on_condition(Method::PUT, Whose::Module, |_| Some("*")),
    },
    Mutant {
        id: "registry-update-star-refused",
        title: "A PUT with a star in If-Match is refused",
        requirements: &["HUB-REG-008"],
        overlay: || {
            on_condition(Method::PUT, Whose::Device, |old| {
                old.contains('*').then_some("\"no etag\"")
            })
        },
    },
    Mutant {
        id: "registry-update-matching-refused",
        title: "A PUT with the current etag in If-Match is refused",
        requirements: &["HUB-REG-008"],
        overlay: || {
            on_condition(Method::PUT, Whose::Device, |old| {
                (!old.contains('*')).then_some("\"no etag\"")
            })
        },
    },
    Mutant {
        id: "registry-delete-answered-200",
        title: "A DELETE is answered 200",
        requirements: &["HUB-REG-009"],
        overlay: || {
            let deletes = |request: &http::Request<Bytes>| request.method() == Method::DELETE;
            on_answer(deletes, |response| {
                if response.status() == StatusCode::NO_CONTENT {
                    set_status(response, 200);
                }
            })
        },
    },
    Mutant {
        id: "registry-delete-needs-condition",
        title: "A DELETE without If-Match is refused",
        requirements: &["HUB-REG-009"],
        overlay: || {
            on_request(|request| {
                if is_call(request, &Method::DELETE, Whose::Device) && !is_conditional(request) {
                    set_condition(request, "\"no etag\"");
                }
            })
        },
    },
    Mutant {
        id: "registry-delete-forgotten",
        title: "A DELETE is answered 204 and removes nothing",
        requirements: &["HUB-REG-009"],
        overlay: || {
            on_exchange(
                (),
                |(), request| {
                    let deletes = is_call(request, &Method::DELETE, Whose::Device);
                    if deletes {
                        *request.method_mut() = Method::GET;
                    }
                    deletes.then_some(())
                },
                |(), (), response| {
                    set_status(response, 204);
                    response.body_mut().clear();
                },
            )
        },
    },
    Mutant {
        id: "registry-delete-always-unconditional",
        title: "A DELETE of a device with any If-Match removes it",
        requirements: &["HUB-REG-010"],
        overlay: || on_condition(Method::DELETE, Whose::Device, |_| Some("*")),
    },
    Mutant {
        id: "registry-module-delete-always-unconditional",
        title: "A DELETE of a module with any If-Match removes it",
        requirements: &["HUB-REG-010"],
        overlay: || on_condition(Method::DELETE, Whose::Module, |_| Some("*")),
    },
    Mutant {
        id: "registry-etag-constant",
        title: "The etag of a device stays the same",
        requirements: &["HUB-REG-011"],
        overlay: || constant_etag(|entity| entity.get("moduleId").is_none()),
    },
    Mutant {
        id: "registry-module-etag-constant",
        title: "The etag of a module stays the same",
        requirements: &["HUB-REG-011"],
        overlay: || constant_etag(|entity| entity.get("moduleId").is_some()),
    },
    Mutant {
        id: "registry-generation-from-id",
        title: "The generationId depends on the id only",
        requirements: &["HUB-REG-012"],
        overlay: || {
            showing("generationId", |entity| json!(format!("of {}", text(entity, "/deviceId"))))
        },
    },
    Mutant {
        id: "registry-status-not-updated",
        title: "A device is not disabled by an update",
        requirements: &["HUB-REG-015"],
        overlay: || {
            on_put(|updates, body| {
                if updates {
                    set(body, "status", "enabled");
                }
            })
        },
    },
    Mutant {
        id: "registry-status-reason-lost",
        title: "The reason of a status is not kept",
        requirements: &["HUB-REG-015"],
        overlay: || showing("statusReason", nothing),
    },
    Mutant {
        id: "registry-generation-writable",
        title: "A PUT sets the generationId",
        requirements: &["HUB-REG-016"],
        overlay: || writable("generationId"),
    },
    Mutant {
        id: "registry-activity-time-writable",
        title: "A PUT sets lastActivityTime",
        requirements: &["HUB-REG-016"],
        overlay: || writable("lastActivityTime"),
    },
    Mutant {
        id: "registry-read-only-refused",
        title: "A PUT with a generationId that is not the device's is refused",
        requirements: &["HUB-REG-016"],
        overlay: || {
            let names = |request: &http::Request<Bytes>| {
                let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
                is_put(request) && text(&body, "/generationId").starts_with("suite")
            };
            on_answer(names, |response| refuse(response, 400, "ArgumentInvalid"))
        },
    },
    Mutant {
        id: "registry-modules-outlive-device",
        title: "The modules of a deleted device are still shown",
        requirements: &["HUB-REG-027"],
        overlay: modules_outlive_device,
    },
    Mutant {
        id: "registry-modules-return",
        title: "The modules of a deleted device come back with it",
        requirements: &["HUB-REG-027"],
        overlay: modules_return,
    },
];

/// Changes the condition of some calls.
fn on_condition(
    method: Method,
    of: Whose,
    change: fn(&str) -> Option<&'static str>,
) -> Box<dyn Overlay> {
    on_request(move |request| {
        let condition = request.headers().get(http::header::IF_MATCH);
        let condition = condition.and_then(|value| value.to_str().ok()).map(str::to_owned);
        if is_call(request, &method, of)
            && let Some(changed) = condition.as_deref().and_then(change)
        {
            set_condition(request, changed);
        }
    })
}

/// Shows one and the same etag, in the body and in the header.
fn constant_etag(of: fn(&Value) -> bool) -> Box<dyn Overlay> {
    on_response(move |response| {
        let mut shown = false;
        edit_json(response.body_mut(), |body| {
            each(body, &mut |entity| {
                if of(entity) {
                    set(entity, "etag", "NDAw");
                    shown = true;
                }
            });
        });
        if shown {
            response.headers_mut().insert(ETAG, HeaderValue::from_static("\"NDAw\""));
        }
    })
}

/// Shows what the last PUT said of a member.
fn writable(member: &'static str) -> Box<dyn Overlay> {
    on_exchange(
        BTreeMap::new(),
        move |written: &mut BTreeMap<String, Value>, request| {
            let path = request.uri().path().to_owned();
            let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            if is_put(request)
                && let Some(value) = body.get(member)
            {
                written.insert(path.clone(), value.clone());
            }
            written.get(&path).cloned()
        },
        move |_, value, response| {
            edit_json(response.body_mut(), |body| {
                each(body, &mut |entity| set(entity, member, value.clone()));
            });
        },
    )
}

fn modules_outlive_device() -> Box<dyn Overlay> {
    on_exchange(
        BTreeMap::new(),
        |seen: &mut BTreeMap<String, Value>, request| {
            let path = request.uri().path().to_owned();
            if is_call(request, &Method::DELETE, Whose::Module) {
                seen.remove(&path);
            }
            path.contains("/modules/").then_some(path)
        },
        |seen, path, response| {
            let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            if response.status() == StatusCode::OK && body.get("moduleId").is_some() {
                seen.insert(path, body);
            } else if let (StatusCode::NOT_FOUND, Some(body)) = (response.status(), seen.get(&path))
            {
                succeed(response, body);
            }
        },
    )
}

fn modules_return() -> Box<dyn Overlay> {
    let mut modules: BTreeSet<String> = BTreeSet::new();
    on_input(move |input| {
        let mut inputs = vec![input.clone()];
        if let Input::Request(_, request) = &input {
            let path = request.uri().path();
            if is_call(request, &Method::PUT, Whose::Module) {
                modules.insert(path.to_owned());
            } else if is_call(request, &Method::PUT, Whose::Device) {
                let below = format!("{path}/modules/");
                let again = modules.iter().filter(|module| module.starts_with(&below));
                inputs.extend(again.map(|module| also(request, Method::PUT, module, "{}")));
            }
        }
        inputs
    })
}
