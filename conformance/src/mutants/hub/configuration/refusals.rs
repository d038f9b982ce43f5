//! Defects of what is refused: ids, contents, conditions, metrics.

use http::{Method, Request};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::wire::percent;

use super::tools::{id_of, is_call, is_update, misreading, on_put};
use crate::mutants::Mutant;
use crate::mutants::hub::registry::calls::{on_answer, refuse, renaming, set_path, succeed};
use crate::mutants::overlay::{edit_json, on_request, set, set_status};

/// All of them.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "configuration-id-made-small",
        title: "Capital letters in ids are made small",
        requirements: &["HUB-CFG-005"],
        overlay: || changing_ids(str::to_lowercase),
    },
    Mutant {
        id: "configuration-id-stripped",
        title: "Characters that no id may have are left out",
        requirements: &["HUB-CFG-005"],
        overlay: || changing_ids(|id| id.replace(|c: char| "&^[]{}\\|\"<>/ ".contains(c), "")),
    },
    Mutant {
        id: "configuration-id-cut",
        title: "Ids that are too long are cut",
        requirements: &["HUB-CFG-005"],
        overlay: || changing_ids(|id| id.chars().take(128).collect()),
    },
    Mutant {
        id: "configuration-id-letters-only",
        title: "Ids may have no plus sign",
        requirements: &["HUB-CFG-005"],
        overlay: || {
            let has_plus = |request: &Request<_>| {
                id_of(request).and_then(percent::decode).is_some_and(|id| id.contains('+'))
            };
            on_answer(has_plus, |response| refuse(response, 400, "ArgumentInvalid"))
        },
    },
    Mutant {
        id: "configuration-other-content-ignored",
        title: "Another content in an update is ignored",
        requirements: &["HUB-CFG-010"],
        overlay: || {
            on_request(|request| {
                if is_update(request) {
                    edit_json(request.body_mut(), |body| {
                        body.as_object_mut().map(|body| body.remove("content"));
                    });
                }
            })
        },
    },
    Mutant {
        id: "configuration-other-content-conflict",
        title: "Another content in an update is refused with 409",
        requirements: &["HUB-CFG-010"],
        overlay: || {
            let name = "CannotModifyImmutableConfigurationContent";
            renaming(name, "ConfigurationAlreadyExists", 409)
        },
    },
    Mutant {
        id: "configuration-echo-refused",
        title: "An update with the content as it is stored is refused, unless the rest is an echo too",
        requirements: &["HUB-CFG-010"],
        overlay: || {
            on_put(|updates, body| {
                if updates && body["priority"] == 12 {
                    set(body, "content", json!({ "deviceContent": { "properties.desired.x": 1 } }));
                }
            })
        },
    },
    Mutant {
        id: "configuration-bad-condition-argument",
        title: "A bad condition is an invalid argument like any other",
        requirements: &["HUB-CFG-011"],
        overlay: || renaming("InvalidConfigurationTargetCondition", "ArgumentInvalid", 400),
    },
    Mutant {
        id: "configuration-bad-condition-taken",
        title: "A condition that cannot be read is stored as an empty one",
        requirements: &["HUB-CFG-011"],
        overlay: || {
            misreading(
                |text| {
                    if text.trim_end().ends_with('=') { String::new() } else { text.to_owned() }
                },
            )
        },
    },
    Mutant {
        id: "configuration-bad-content-argument",
        title: "A bad content is an invalid argument like any other",
        requirements: &["HUB-CFG-011"],
        overlay: || renaming("InvalidConfigurationContent", "ArgumentInvalid", 400),
    },
    Mutant {
        id: "configuration-bad-metric-argument",
        title: "A bad metric is an invalid argument like any other",
        requirements: &["HUB-CFG-011"],
        overlay: || renaming("InvalidConfigurationCustomMetricsQuery", "ArgumentInvalid", 400),
    },
    Mutant {
        id: "configuration-metrics-cut",
        title: "The sixth metric is left out",
        requirements: &["HUB-CFG-011"],
        overlay: || {
            on_put(|_, body| {
                if let Some(Value::Object(queries)) = body.pointer_mut("/metrics/queries") {
                    let extra: Vec<String> = queries.keys().skip(5).cloned().collect();
                    extra.iter().for_each(|name| drop(queries.remove(name)));
                }
            })
        },
    },
    Mutant {
        id: "configuration-applied-to-plain-device",
        title: "Content for a single device is taken and forgotten",
        requirements: &["HUB-CFG-012"],
        overlay: || {
            on_answer(is_apply, |response| {
                succeed(response, &Value::Null);
                set_status(response, 204);
            })
        },
    },
];

fn is_apply(request: &Request<bytes::Bytes>) -> bool {
    request.method() == Method::POST && request.uri().path().ends_with("/applyConfigurationContent")
}

/// An overlay that changes ids in paths and bodies of PUTs and GETs.
fn changing_ids(change: impl Fn(&str) -> String + Send + 'static) -> Box<dyn Overlay> {
    on_request(move |request| {
        let Some(id) = id_of(request).and_then(percent::decode) else { return };
        let id = change(&id);
        if is_call(request, &Method::PUT) {
            edit_json(request.body_mut(), |body| set(body, "id", id.clone()));
        }
        set_path(request, &format!("/configurations/{}", percent::encode(&id)));
    })
}
