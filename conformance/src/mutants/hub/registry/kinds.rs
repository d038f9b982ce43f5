//! Defects of certificates, Edge devices and modules (HUB-REG-019 to -026).

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Input;

use super::calls::{
    Whose, also, each, is_call, is_conditional, is_put, on_answer, on_identity, on_put, renaming,
    set_at, succeed, text, whose,
};
use super::create::updating_again;
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_exchange, on_input, on_request, set, set_status};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "registry-self-signed-secondary-lost",
        title: "A selfSigned device has no secondary thumbprint",
        requirements: &["HUB-REG-019"],
        overlay: || on_identity(|entity| set_at(entity, SECONDARY, Value::Null)),
    },
    Mutant {
        id: "registry-self-signed-not-updated",
        title: "An update does not change the thumbprints of a selfSigned device",
        requirements: &["HUB-REG-019"],
        overlay: not_updating_thumbprints,
    },
    Mutant {
        id: "registry-certificate-authority-thumbprint",
        title: "A certificateAuthority device has a thumbprint",
        requirements: &["HUB-REG-019"],
        overlay: || {
            on_identity(|entity| {
                if text(entity, "/authentication/type") == "certificateAuthority" {
                    set_at(entity, "/authentication/x509Thumbprint/primaryThumbprint", "A1B2");
                }
            })
        },
    },
    Mutant {
        id: "registry-modules-have-one-generation",
        title: "All modules have one generationId",
        requirements: &["HUB-REG-012"],
        overlay: || {
            on_identity(|entity| {
                if entity.get("moduleId").is_some() {
                    set(entity, "generationId", "1");
                }
            })
        },
    },
    Mutant {
        id: "registry-list-with-modules",
        title: "The list of devices has modules in it",
        requirements: &["HUB-REG-017"],
        overlay: || {
            on_answer(
                |request| request.uri().path().trim_end_matches('/') == "/devices",
                |response| {
                    edit_json(response.body_mut(), |body| {
                        if let Some(last) = body.as_array_mut().and_then(|list| list.last_mut()) {
                            set(last, "moduleId", "vision");
                        }
                    });
                },
            )
        },
    },
    Mutant {
        id: "registry-update-clears-twin",
        title: "An update of a device clears its twin",
        requirements: &["HUB-REG-006"],
        overlay: || {
            on_input(|input| {
                let Input::Request(_, request) = &input else { return vec![input] };
                if !is_call(request, &Method::PUT, Whose::Device) || !is_conditional(request) {
                    return vec![input];
                }
                let twin = request.uri().path().replacen("/devices/", "/twins/", 1);
                let nothing = json!({ "tags": {}, "properties": { "desired": {} } });
                let clears = also(request, Method::PUT, &twin, nothing.to_string());
                vec![input, clears]
            })
        },
    },
    Mutant {
        id: "registry-edge-without-scope",
        title: "An Edge device has no deviceScope",
        requirements: &["HUB-REG-020"],
        overlay: || {
            on_identity(|entity| {
                if entity.pointer("/capabilities/iotEdge") == Some(&json!(true)) {
                    set(entity, "deviceScope", Value::Null);
                }
            })
        },
    },
    Mutant {
        id: "registry-leaf-without-parent-scopes",
        title: "The scope of a leaf is not copied to its parent scopes",
        requirements: &["HUB-REG-021"],
        overlay: || on_identity(|entity| set_at(entity, "/parentScopes", json!([]))),
    },
    Mutant {
        id: "registry-leaf-scope-lost",
        title: "The scope of a leaf is not kept",
        requirements: &["HUB-REG-021"],
        overlay: || {
            on_identity(|entity| {
                if entity.pointer("/capabilities/iotEdge") == Some(&json!(false)) {
                    set(entity, "deviceScope", Value::Null);
                }
            })
        },
    },
    Mutant {
        id: "registry-leaf-unknown-scope-taken",
        title: "A leaf is moved to a scope that no Edge device has",
        requirements: &["HUB-REG-022"],
        overlay: taking_unknown_scopes,
    },
    Mutant {
        id: "registry-module-list-empty",
        title: "The list of a device's modules is empty",
        requirements: &["HUB-REG-023"],
        overlay: || {
            let lists =
                |request: &http::Request<bytes::Bytes>| request.uri().path().ends_with("/modules");
            on_answer(lists, |response| succeed(response, &json!([])))
        },
    },
    Mutant {
        id: "registry-module-not-updated",
        title: "An update of a module is answered 200 and changes nothing",
        requirements: &["HUB-REG-023"],
        overlay: || {
            on_request(|request| {
                if is_call(request, &Method::PUT, Whose::Module) && is_conditional(request) {
                    *request.method_mut() = Method::GET;
                }
            })
        },
    },
    Mutant {
        id: "registry-module-delete-answered-200",
        title: "A DELETE of a module is answered 200",
        requirements: &["HUB-REG-023"],
        overlay: || {
            on_answer(
                |request| is_call(request, &Method::DELETE, Whose::Module),
                |response| set_status(response, 200),
            )
        },
    },
    Mutant {
        id: "registry-module-again-updates",
        title: "A second PUT of a module without If-Match updates it",
        requirements: &["HUB-REG-024"],
        overlay: || updating_again(Whose::Module),
    },
    Mutant {
        id: "registry-module-again-named-device",
        title: "A second PUT of a module is refused as DeviceAlreadyExists",
        requirements: &["HUB-REG-024"],
        overlay: || renaming("ModuleAlreadyExistsOnDevice", "DeviceAlreadyExists", 409),
    },
    Mutant {
        id: "registry-module-creates-device",
        title: "A module under a missing device creates the device",
        requirements: &["HUB-REG-025"],
        overlay: creating_devices,
    },
    Mutant {
        id: "registry-module-without-device-named-module",
        title: "A module under a missing device is refused as ModuleNotFound",
        requirements: &["HUB-REG-025"],
        overlay: || renaming("DeviceNotFound", "ModuleNotFound", 404),
    },
    Mutant {
        id: "registry-module-limit-forbidden",
        title: "More modules than the limit are refused as 403 GenericForbidden",
        requirements: &["HUB-REG-026"],
        overlay: || renaming("TooManyModulesOnDevice", "GenericForbidden", 403),
    },
    Mutant {
        id: "registry-module-limit-pretended",
        title: "More modules than the limit are answered 200",
        requirements: &["HUB-REG-026"],
        overlay: || {
            on_answer(is_put, |response| {
                if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    succeed(response, &json!({ "moduleId": "one more" }));
                }
            })
        },
    },
];

const SECONDARY: &str = "/authentication/x509Thumbprint/secondaryThumbprint";

fn not_updating_thumbprints() -> Box<dyn Overlay> {
    let mut first = None;
    on_put(move |updates, body| {
        if text(body, "/authentication/type") == "selfSigned" {
            if updates && let Some(first) = &first {
                set(body, "authentication", Value::clone(first));
            } else {
                first = body.get("authentication").cloned();
            }
        }
    })
}

/// Hides unknown scopes from the model and shows them in every answer.
fn taking_unknown_scopes() -> Box<dyn Overlay> {
    on_exchange(
        BTreeMap::new(),
        |moved: &mut BTreeMap<String, String>, request| {
            let path = request.uri().path().to_owned();
            if is_put(request) && is_conditional(request) {
                edit_json(request.body_mut(), |body| {
                    let scope = text(body, "/deviceScope").to_owned();
                    if scope.contains("nobody") {
                        moved.insert(path.clone(), scope);
                        set(body, "deviceScope", Value::Null);
                    }
                });
            }
            moved.get(&path).cloned()
        },
        |_, scope, response| {
            edit_json(response.body_mut(), |body| {
                each(body, &mut |entity| {
                    set(entity, "deviceScope", scope.as_str());
                    set(entity, "parentScopes", json!([scope]));
                });
            });
        },
    )
}

/// Creates the device of each module that is created under none.
fn creating_devices() -> Box<dyn Overlay> {
    let mut devices = BTreeSet::new();
    on_input(move |input| {
        let mut inputs = Vec::new();
        if let Input::Request(_, request) = &input
            && request.method() == Method::PUT
        {
            let path = request.uri().path();
            let device = path.split("/modules/").next().unwrap_or_default().to_owned();
            let is_new = devices.insert(device.clone());
            if whose(path) == Some(Whose::Module) && is_new {
                inputs.push(also(request, Method::PUT, &device, "{}"));
            }
        }
        inputs.push(input);
        inputs
    })
}
