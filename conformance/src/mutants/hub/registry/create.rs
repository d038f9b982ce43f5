//! Defects of creating devices (HUB-REG-001 to -007).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Input;

use super::calls::{
    Whose, also, each, is_call, is_conditional, is_put, on_answer, on_put, renaming, set_at,
    set_condition, succeed, text,
};
use crate::mutants::Mutant;
use crate::mutants::overlay::{
    edit_json, on_exchange, on_input, on_request, on_response, set, set_status,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "registry-create-answered-201",
        title: "A new device is answered 201",
        requirements: &["HUB-REG-001"],
        overlay: || {
            let creates = |request: &http::Request<Bytes>| {
                is_call(request, &Method::PUT, Whose::Device) && !is_conditional(request)
            };
            on_answer(creates, |response| {
                if response.status() == StatusCode::OK {
                    set_status(response, 201);
                }
            })
        },
    },
    Mutant {
        id: "registry-create-again-updates",
        title: "A second PUT of a device without If-Match updates it",
        requirements: &["HUB-REG-002"],
        overlay: || updating_again(Whose::Device),
    },
    Mutant {
        id: "registry-create-again-generic",
        title: "A second PUT of a device without If-Match is refused as GenericConflict",
        requirements: &["HUB-REG-002"],
        overlay: || renaming("DeviceAlreadyExists", "GenericConflict", 409),
    },
    Mutant {
        id: "registry-keys-absent-not-generated",
        title: "A device created without authentication has no keys",
        requirements: &["HUB-REG-003"],
        overlay: || without_keys(|body| body.get("authentication").is_none()),
    },
    Mutant {
        id: "registry-keys-empty-kept",
        title: "Empty keys stay empty",
        requirements: &["HUB-REG-003"],
        overlay: || without_keys(|body| body.pointer(PRIMARY).is_some_and(|key| key == "")),
    },
    Mutant {
        id: "registry-keys-given-ignored",
        title: "The secondary key given at creation is replaced by the primary one",
        requirements: &["HUB-REG-004"],
        overlay: || {
            on_put(|updates, body| {
                if !updates {
                    let primary = text(body, PRIMARY).to_owned();
                    set_at(body, SECONDARY, primary);
                }
            })
        },
    },
    Mutant {
        id: "registry-keys-given-ignored-on-update",
        title: "Keys given in an update are ignored",
        requirements: &["HUB-REG-004"],
        overlay: || {
            on_put(|updates, body| {
                if updates && let Some(members) = body.as_object_mut() {
                    members.remove("authentication");
                }
            })
        },
    },
    Mutant {
        id: "registry-key-invalid-taken",
        title: "A device is created in spite of a key that is no base64",
        requirements: &["HUB-REG-005"],
        overlay: || taking_bad_keys(false),
    },
    Mutant {
        id: "registry-key-invalid-taken-on-update",
        title: "A device is updated in spite of a key that is no base64",
        requirements: &["HUB-REG-005"],
        overlay: || taking_bad_keys(true),
    },
    Mutant {
        id: "registry-twin-outlives-device",
        title: "The twin of a deleted device is still shown",
        requirements: &["HUB-REG-006"],
        overlay: twin_outlives_device,
    },
    Mutant {
        id: "registry-twin-inherited",
        title: "A device that is created again gets what was last written to its old twin",
        requirements: &["HUB-REG-006"],
        overlay: twin_inherited,
    },
    Mutant {
        id: "registry-missing-device-generic",
        title: "A missing device is reported as GenericNotFound",
        requirements: &["HUB-REG-007"],
        overlay: || renaming("DeviceNotFound", "GenericNotFound", 404),
    },
    Mutant {
        id: "registry-missing-device-without-header",
        title: "The answer about a missing device has no iothub-errorcode",
        requirements: &["HUB-REG-007"],
        overlay: || {
            on_response(|response| {
                if response.status() == StatusCode::NOT_FOUND {
                    response.headers_mut().remove("iothub-errorcode");
                }
            })
        },
    },
];

const PRIMARY: &str = "/authentication/symmetricKey/primaryKey";
const SECONDARY: &str = "/authentication/symmetricKey/secondaryKey";

/// PUTs without a condition update what is there.
pub(super) fn updating_again(of: Whose) -> Box<dyn Overlay> {
    let mut created = BTreeSet::new();
    on_request(move |request| {
        let path = request.uri().path().to_owned();
        if is_call(request, &Method::DELETE, of) {
            created.remove(&path);
        }
        let creates = is_call(request, &Method::PUT, of) && !is_conditional(request);
        if creates && !created.insert(path) {
            set_condition(request, "*");
        }
    })
}

/// Answers show empty keys after a creation whose body `chosen` takes.
fn without_keys(chosen: fn(&Value) -> bool) -> Box<dyn Overlay> {
    on_exchange(
        (),
        move |(), request| {
            let body = serde_json::from_slice(request.body()).unwrap_or_default();
            (is_put(request) && chosen(&body)).then_some(())
        },
        |(), (), response| {
            edit_json(response.body_mut(), |body| {
                each(body, &mut |entity| {
                    set_at(entity, PRIMARY, "");
                    set_at(entity, SECONDARY, "");
                });
            });
        },
    )
}

/// Replaces bad keys by good ones before the model sees them.
fn taking_bad_keys(when_updating: bool) -> Box<dyn Overlay> {
    on_put(move |updates, body| {
        if updates == when_updating && text(body, PRIMARY) == "1" {
            let good = "AAECAwQFBgcICQoLDA0ODw==";
            set_at(body, PRIMARY, good);
            set_at(body, SECONDARY, good);
        }
    })
}

fn twin_outlives_device() -> Box<dyn Overlay> {
    on_exchange(
        BTreeMap::new(),
        |_, request| {
            let path = request.uri().path();
            let reads = request.method() == Method::GET && path.starts_with("/twins/");
            reads.then(|| path.to_owned())
        },
        |twins: &mut BTreeMap<String, Value>, path, response| {
            if response.status() == StatusCode::OK {
                let twin = serde_json::from_slice(response.body()).unwrap_or_default();
                twins.insert(path, twin);
            } else if let Some(twin) = twins.get(&path) {
                succeed(response, twin);
            }
        },
    )
}

fn twin_inherited() -> Box<dyn Overlay> {
    let mut written: BTreeMap<String, Bytes> = BTreeMap::new();
    on_input(move |input| {
        let mut inputs = vec![input.clone()];
        if let Input::Request(_, request) = &input {
            let path = request.uri().path();
            if request.method() == Method::PATCH {
                written.insert(path.to_owned(), request.body().clone());
            }
            let twin = path.replace("/devices/", "/twins/");
            if is_call(request, &Method::PUT, Whose::Device)
                && let Some(body) = written.get(&twin)
            {
                inputs.push(also(request, Method::PATCH, &twin, body.clone()));
            }
        }
        inputs
    })
}

/// Sets a member of each identity that is answered, given the old entity.
pub(super) fn showing(member: &'static str, value: fn(&Value) -> Value) -> Box<dyn Overlay> {
    super::calls::on_identity(move |entity| {
        let value = value(entity);
        set(entity, member, value);
    })
}

/// A value that stands for nothing.
pub(super) fn nothing(_: &Value) -> Value {
    json!(null)
}
