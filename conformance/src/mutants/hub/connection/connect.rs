//! Defects of who may connect with which CONNECT (HUB-CONN-007 to -014).

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Output;
use twinspec_model::wire::mqtt::Connect;
use twinspec_model::wire::percent;
use twinspec_model::wire::username::UserName;

use crate::mutants::Mutant;
use crate::mutants::hub::registry::calls::{refuse, set_path};
use crate::mutants::overlay::{
    ClientIds, accepted, on_both, on_connect, on_exchange, on_request, on_twin, set,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "connection-device-dropped",
        title: "A device is dropped as soon as it is let in",
        requirements: &["HUB-CONN-007"],
        overlay: || dropping(|client_id| !client_id.contains('/')),
    },
    Mutant {
        id: "connection-old-version-refused",
        title: "A CONNECT with an api-version before 2020 is refused",
        requirements: &["HUB-CONN-007"],
        overlay: || refusing(|name| value(name, "api-version").is_some_and(|v| v < "2020")),
    },
    Mutant {
        id: "connection-module-dropped",
        title: "A module is dropped as soon as it is let in",
        requirements: &["HUB-CONN-008"],
        overlay: || dropping(|client_id| client_id.contains('/')),
    },
    Mutant {
        id: "connection-module-refused",
        title: "A CONNECT of a module is refused",
        requirements: &["HUB-CONN-008"],
        overlay: || {
            on_connect(|_, connect| {
                if connect.client_id.contains('/') {
                    spoil(connect);
                }
            })
        },
    },
    Mutant {
        id: "connection-any-client-id",
        title: "Any client id is taken",
        requirements: &["HUB-CONN-009"],
        overlay: || on_connect(|_, connect| connect.client_id = named(connect)),
    },
    Mutant {
        id: "connection-module-any-client-id",
        title: "A module may connect with the client id of its device",
        requirements: &["HUB-CONN-009"],
        overlay: || {
            on_connect(|_, connect| {
                let named = named(connect);
                if named.starts_with(&format!("{}/", connect.client_id)) {
                    connect.client_id = named;
                }
            })
        },
    },
    Mutant {
        id: "connection-version-first",
        title: "A CONNECT is refused unless api-version is the first key",
        requirements: &["HUB-CONN-010"],
        overlay: || refusing(|name| keys(name).first().is_some_and(|key| *key != "api-version")),
    },
    Mutant {
        id: "connection-model-before-client-type",
        title: "A CONNECT is refused when model-id comes after DeviceClientType",
        requirements: &["HUB-CONN-010"],
        overlay: || {
            refusing(|name| {
                let keys = keys(name);
                let place = |wanted: &str| keys.iter().position(|key| *key == wanted);
                place("model-id") > place("DeviceClientType")
            })
        },
    },
    Mutant {
        id: "connection-unknown-key-refused",
        title: "A CONNECT with an unknown key in its user name is refused",
        requirements: &["HUB-CONN-011"],
        overlay: || refusing(|name| keys(name).iter().any(|key| !KNOWN_KEYS.contains(key))),
    },
    Mutant {
        id: "connection-question-mark-required",
        title: "A CONNECT whose user name has no question mark is refused",
        requirements: &["HUB-CONN-012"],
        overlay: || refusing(|name| !name.contains('?')),
    },
    Mutant {
        id: "connection-model-id-lost",
        title: "The twin shows no modelId",
        requirements: &["HUB-CONN-013"],
        overlay: || on_twin(|twin| set(twin, "modelId", "")),
    },
    Mutant {
        id: "connection-model-id-encoded",
        title: "The twin shows the modelId percent-encoded",
        requirements: &["HUB-CONN-013"],
        overlay: || {
            on_twin(|twin| {
                let model = twin.get("modelId").and_then(Value::as_str).unwrap_or_default();
                let encoded = percent::encode(model);
                set(twin, "modelId", encoded);
            })
        },
    },
    Mutant {
        id: "connection-model-id-last-only",
        title: "A model-id before the api-version is not read",
        requirements: &["HUB-CONN-013"],
        overlay: || {
            on_connect(|_, connect| {
                if let Some(name) = &mut connect.user_name {
                    *name = name.replace("?model-id=", "?x-model-id=");
                }
            })
        },
    },
    Mutant {
        id: "connection-id-any-case",
        title: "Device ids are compared without regard to case",
        requirements: &["HUB-CONN-014"],
        overlay: || {
            on_connect(|_, connect| {
                connect.client_id.make_ascii_lowercase();
                if let Some(name) = &mut connect.user_name {
                    name.make_ascii_lowercase();
                }
            })
        },
    },
    Mutant {
        id: "connection-id-taken-in-other-case",
        title: "A device cannot be created when there is one whose id differs in letter case only",
        requirements: &["HUB-CONN-014"],
        overlay: || {
            on_exchange(
                BTreeMap::new(),
                |created: &mut BTreeMap<String, String>, request| {
                    let path = request.uri().path().to_owned();
                    let is_put = request.method() == Method::PUT;
                    let first = created.entry(path.to_lowercase()).or_insert_with(|| path.clone());
                    (is_put && *first != path).then_some(())
                },
                |_, (), response| refuse(response, 409, "DeviceAlreadyExists"),
            )
        },
    },
    Mutant {
        id: "connection-twin-of-id-in-lower-case",
        title: "The twin of a device is found by its id in lower case",
        requirements: &["HUB-CONN-014"],
        overlay: || {
            on_request(|request| {
                if let Some(id) = request.uri().path().strip_prefix("/twins/") {
                    let path = format!("/twins/{}", id.to_lowercase());
                    set_path(request, &path);
                }
            })
        },
    },
];

const KNOWN_KEYS: &[&str] = &["api-version", "DeviceClientType", "model-id", "auth-chain"];

/// Makes a CONNECT one that the model refuses with 5.
pub(super) fn spoil(connect: &mut Connect) {
    connect.client_id = "spoilt by the mutant".to_owned();
}

/// Refuses each CONNECT whose user name `is_bad`.
fn refusing(is_bad: fn(&str) -> bool) -> Box<dyn Overlay> {
    on_connect(move |_, connect| {
        if is_bad(connect.user_name.as_deref().unwrap_or_default()) {
            spoil(connect);
        }
    })
}

/// Closes each connection right after its CONNACK 0 whose client id is `hit`.
fn dropping(hit: fn(&str) -> bool) -> Box<dyn Overlay> {
    on_both(
        ClientIds::default(),
        |clients, input| {
            clients.learn(&input);
            vec![input]
        },
        move |clients, output| match accepted(&output) {
            Some(id) if hit(clients.of(id)) => vec![output, Output::Close(id)],
            _ => vec![output],
        },
    )
}

/// The client id that goes with the user name.
fn named(connect: &Connect) -> String {
    let name = connect.user_name.as_deref().and_then(UserName::parse);
    name.map_or_else(|| connect.client_id.clone(), |name| name.identity.to_string())
}

/// The keys and values of a user name, in order.
fn pairs(name: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = name.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| pair.split_once('='))
}

fn keys(name: &str) -> Vec<&str> {
    pairs(name).map(|(key, _)| key).collect()
}

fn value<'a>(name: &'a str, wanted: &str) -> Option<&'a str> {
    pairs(name).find(|(key, _)| *key == wanted).map(|(_, value)| value)
}
