//! Defects of ids and of lists (HUB-REG-013, -014, -017, -018, -035).

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::wire::percent;

use super::calls::{on_answer, refuse, set_path, set_query};
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_exchange, on_request, on_response, set};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "registry-id-asterisk-refused",
        title: "A device id with an asterisk is refused",
        requirements: &["HUB-REG-013"],
        overlay: || refusing_ids(|levels| levels.get(1).is_some_and(|id| id.contains('*'))),
    },
    Mutant {
        id: "registry-module-id-punctuation-refused",
        title: "A module id with an equals sign is refused",
        requirements: &["HUB-REG-013"],
        overlay: || refusing_ids(|levels| levels.get(3).is_some_and(|id| id.contains('='))),
    },
    Mutant {
        id: "registry-id-longest-refused",
        title: "A device id of 128 characters is refused",
        requirements: &["HUB-REG-013"],
        overlay: || refusing_ids(|levels| levels.get(1).is_some_and(|id| id.len() == 128)),
    },
    Mutant {
        id: "registry-id-blank-taken",
        title: "A device id with a blank is taken",
        requirements: &["HUB-REG-014"],
        overlay: || aliased(1, |id| id.contains(' ').then(|| id.replace(' ', "_"))),
    },
    Mutant {
        id: "registry-module-id-blank-taken",
        title: "A module id with a blank is taken",
        requirements: &["HUB-REG-014"],
        overlay: || aliased(3, |id| id.contains(' ').then(|| id.replace(' ', "_"))),
    },
    Mutant {
        id: "registry-id-too-long-taken",
        title: "A device id of 129 characters is taken",
        requirements: &["HUB-REG-014"],
        overlay: || aliased(1, |id| (id.len() == 129).then(|| id.replace("xx", "y"))),
    },
    Mutant {
        id: "registry-list-ignores-top",
        title: "A list has all devices whatever top is",
        requirements: &["HUB-REG-017"],
        overlay: || {
            on_request(|request| {
                if request.uri().query().is_some_and(|query| query.contains("top=")) {
                    set_query(request, "api-version=2021-04-12");
                }
            })
        },
    },
    Mutant {
        id: "registry-list-after-slash-unknown",
        title: "There is no list at the path with a trailing slash",
        requirements: &["HUB-REG-017"],
        overlay: || {
            on_request(|request| {
                if request.uri().path() == "/devices/" {
                    set_path(request, "/devices/list/of/all");
                }
            })
        },
    },
    Mutant {
        id: "registry-list-top-too-great-refused",
        title: "A top above 1000 is refused",
        requirements: &["HUB-REG-018"],
        overlay: || on_answer(is_greedy, |response| refuse(response, 400, "ArgumentInvalid")),
    },
    Mutant {
        id: "registry-list-top-zero-is-one",
        title: "A top of 0 is treated as 1",
        requirements: &["HUB-REG-018"],
        overlay: || {
            on_request(|request| {
                if request.uri().query().is_some_and(|query| query.starts_with("top=0&")) {
                    set_query(request, "top=1&api-version=2021-04-12");
                }
            })
        },
    },
    Mutant {
        id: "registry-statistics-disabled-counted-enabled",
        title: "Disabled devices are counted as enabled",
        requirements: &["HUB-REG-035"],
        overlay: || {
            on_counts(|counts| {
                let total = counts.get("totalDeviceCount").cloned();
                set(counts, "enabledDeviceCount", total.unwrap_or_default());
                set(counts, "disabledDeviceCount", 0);
            })
        },
    },
    Mutant {
        id: "registry-statistics-constant",
        title: "The total of devices stays the same",
        requirements: &["HUB-REG-035"],
        overlay: || on_counts(|counts| set(counts, "totalDeviceCount", 1000)),
    },
    Mutant {
        id: "registry-statistics-modules-counted",
        title: "Modules are counted among the devices",
        requirements: &["HUB-REG-035"],
        overlay: modules_counted,
    },
    Mutant {
        id: "registry-statistics-all-connected",
        title: "All devices that ever were created are counted as connected",
        requirements: &["HUB-REG-035"],
        overlay: all_connected,
    },
];

fn is_greedy(request: &Request<Bytes>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.starts_with("top=1001&") || query.starts_with("top=5000&")
}

/// The levels of a path, decoded.
fn levels(request: &Request<Bytes>) -> Vec<String> {
    let path = request.uri().path().trim_matches('/');
    path.split('/').map(|level| percent::decode(level).unwrap_or_default()).collect()
}

/// Refuses the creation of ids that `chosen` takes among the levels of a path.
fn refusing_ids(chosen: fn(&[String]) -> bool) -> Box<dyn Overlay> {
    on_exchange(
        (),
        move |(), request| {
            let refused = request.method() == Method::PUT && chosen(&levels(request));
            if refused {
                *request.method_mut() = Method::GET;
            }
            refused.then_some(())
        },
        |(), (), response| refuse(response, 400, "ArgumentInvalid"),
    )
}

/// Takes ids at a level of the path that the model refuses: there they have an alias.
fn aliased(level: usize, alias: fn(&str) -> Option<String>) -> Box<dyn Overlay> {
    on_exchange(
        (),
        move |(), request| {
            let mut levels = levels(request);
            let id = levels.get(level)?.clone();
            let alias = alias(&id)?;
            if let Some(level) = levels.get_mut(level) {
                level.clone_from(&alias);
            }
            let encoded: Vec<String> = levels.iter().map(|level| percent::encode(level)).collect();
            set_path(request, &format!("/{}", encoded.join("/")));
            replace(request.body_mut(), &id, &alias);
            Some((id, alias))
        },
        |(), (id, alias): (String, String), response| replace(response.body_mut(), &alias, &id),
    )
}

fn replace(body: &mut Bytes, from: &str, to: &str) {
    let text = String::from_utf8_lossy(body).replace(from, to);
    *body = Bytes::from(text);
}

/// Edits the counts of devices.
fn on_counts(edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_response(move |response| {
        edit_json(response.body_mut(), |body| {
            if body.get("totalDeviceCount").is_some() {
                edit(body);
            }
        });
    })
}

fn all_connected() -> Box<dyn Overlay> {
    on_exchange(
        (),
        |(), request| {
            let counts = request.uri().path() == "/statistics/service";
            if counts {
                set_path(request, "/statistics/devices");
            }
            counts.then_some(())
        },
        |(), (), response| {
            edit_json(response.body_mut(), |body| {
                let total = body.get("totalDeviceCount").cloned().unwrap_or_default();
                *body = json!({ "connectedDeviceCount": total });
            });
        },
    )
}

fn modules_counted() -> Box<dyn Overlay> {
    on_exchange(
        0_u64,
        |modules: &mut u64, request| {
            if request.method() == Method::PUT && request.uri().path().contains("/modules/") {
                *modules = modules.saturating_add(1);
            }
            (request.uri().path() == "/statistics/devices").then_some(())
        },
        |modules, (), response| {
            edit_json(response.body_mut(), |body| {
                for member in ["totalDeviceCount", "enabledDeviceCount"] {
                    let devices = body.get(member).and_then(Value::as_u64).unwrap_or_default();
                    set(body, member, devices.saturating_add(*modules));
                }
            });
        },
    )
}
