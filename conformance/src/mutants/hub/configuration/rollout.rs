//! Defects of what twins get and lose.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Map, Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::Publish;
use twinspec_model::wire::topic::HubTopic;

use super::tools::{id_of, is_call, misreading, on_documents, on_put};
use crate::mutants::Mutant;
use crate::mutants::hub::registry::calls::{also, refuse, text};
use crate::mutants::overlay::{
    edit_hub_publish, edit_json, on_both, on_exchange, on_input, on_request, on_twin, on_written,
    set_status,
};

/// All of them.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "configuration-reaches-nobody",
        title: "No device with a tag ever gets a content",
        requirements: &["HUB-CFG-006"],
        overlay: || misreading(|text| text.replace("tags.mark", "tags.other")),
    },
    Mutant {
        id: "configuration-reaches-everybody",
        title: "Every device with the tag gets the content, whatever the tag holds",
        requirements: &["HUB-CFG-006"],
        overlay: || {
            misreading(|text| {
                if text.starts_with("tags.mark =") { "IS_DEFINED(tags.mark)" } else { text }
                    .to_owned()
            })
        },
    },
    Mutant {
        id: "configuration-looks-at-tags-only",
        title: "Conditions do not see reported properties",
        requirements: &["HUB-CFG-006"],
        overlay: || misreading(|text| text.replace("properties.reported", "tags.reported")),
    },
    Mutant {
        id: "configuration-looks-at-no-ids",
        title: "Conditions do not see device ids",
        requirements: &["HUB-CFG-006"],
        overlay: || misreading(|text| text.replace("deviceId", "tags.deviceId")),
    },
    Mutant {
        id: "configuration-modules-left-out",
        title: "Content for modules reaches no module",
        requirements: &["HUB-CFG-006"],
        overlay: || {
            misreading(
                |text| if text.starts_with("from") { String::new() } else { text.to_owned() },
            )
        },
    },
    Mutant {
        id: "configuration-silent",
        title: "Connected devices are not told of the content",
        requirements: &["HUB-CFG-006"],
        overlay: || on_rollout_publish(has_null),
    },
    Mutant {
        id: "configuration-version-kept",
        title: "The content does not raise the version",
        requirements: &["HUB-CFG-006"],
        overlay: || {
            on_twin(|twin| {
                if twin.get("configurations").is_some()
                    && let Some(version) = twin.pointer_mut("/properties/desired/$version")
                {
                    *version = json!(1);
                }
            })
        },
    },
    Mutant {
        id: "configuration-neighbours-lost",
        title: "A setting inside an object replaces the whole object",
        requirements: &["HUB-CFG-006"],
        overlay: || {
            on_settings(|path, value| match path.strip_suffix(".rpm") {
                Some(above) => (above.to_owned(), json!({ "rpm": value, "led": null })),
                None => (path.to_owned(), value),
            })
        },
    },
    Mutant {
        id: "configuration-section-replaced",
        title: "Content for the whole section removes all other properties",
        requirements: &["HUB-CFG-006"],
        overlay: || {
            on_settings(|path, mut value| {
                if let (true, Some(members)) = (path == "properties.desired", value.as_object_mut())
                {
                    members.insert("led".to_owned(), Value::Null);
                }
                (path.to_owned(), value)
            })
        },
    },
    Mutant {
        id: "configuration-null-ignored",
        title: "A setting of null does nothing",
        requirements: &["HUB-CFG-006"],
        overlay: || {
            on_settings(|path, value| match value {
                Value::Null => ("properties.desired.unused".to_owned(), value),
                value => (path.to_owned(), value),
            })
        },
    },
    Mutant {
        id: "configuration-status-unknown",
        title: "Queries do not see what is applied",
        requirements: &["QRY-070"],
        overlay: || {
            on_request(|request| {
                if request.uri().path() == "/devices/query" {
                    edit_json(request.body_mut(), |body| {
                        if let Some(Value::String(text)) = body.get_mut("query") {
                            *text = text.replace("configurations.", "tags.configurations.");
                        }
                    });
                }
            })
        },
    },
    Mutant {
        id: "configuration-never-left",
        title: "A device that leaves a condition keeps the settings",
        requirements: &["HUB-CFG-008"],
        overlay: || {
            on_written(|place, members| {
                if place.ends_with(" tags") && members.get("mark") == Some(&Value::Null) {
                    members.remove("mark");
                }
            })
        },
    },
    Mutant {
        id: "configuration-left-silently",
        title: "Connected devices are not told of settings that are removed",
        requirements: &["HUB-CFG-008"],
        overlay: || on_rollout_publish(|publish| !has_null(publish)),
    },
    Mutant {
        id: "configuration-left-object-removed",
        title: "Leaving removes the whole object that a setting is in",
        requirements: &["HUB-CFG-008"],
        overlay: || {
            on_twin(|twin| {
                if twin.get("configurations").is_none()
                    && let Some(Value::Object(desired)) = twin.pointer_mut("/properties/desired")
                {
                    desired.remove("fan");
                }
            })
        },
    },
    Mutant {
        id: "configuration-deleted-settings-stay",
        title: "The settings of a deleted configuration stay",
        requirements: &["HUB-CFG-008"],
        overlay: deleting_in_name_only,
    },
    Mutant {
        id: "configuration-next-forgotten",
        title: "A configuration that another one outranked is not found again",
        requirements: &["HUB-CFG-008"],
        overlay: forgetting_the_outranked,
    },
    Mutant {
        id: "configuration-entered-once",
        title: "A device gets the settings once only",
        requirements: &["HUB-CFG-008"],
        overlay: || {
            let mut entered = BTreeSet::new();
            on_written(move |place, members| {
                let enters = members.get("mark").is_some_and(Value::is_string);
                if place.ends_with(" tags") && enters && !entered.insert(place.to_owned()) {
                    members.remove("mark");
                }
            })
        },
    },
    Mutant {
        id: "configuration-condition-kept",
        title: "A changed condition is shown and not used",
        requirements: &["HUB-CFG-008"],
        overlay: || {
            let mut first = BTreeMap::new();
            on_put(move |updates, body| {
                let id = body["id"].as_str().unwrap_or_default().to_owned();
                if !updates {
                    first.insert(id, body["targetCondition"].clone());
                } else if let Some(condition) = first.get(&id) {
                    body["targetCondition"] = condition.clone();
                }
            })
        },
    },
    Mutant {
        id: "configuration-star-reaches-nobody",
        title: "The condition * selects nobody",
        requirements: &["HUB-CFG-009"],
        overlay: || misreading(|text| if text == "*" { "false" } else { text }.to_owned()),
    },
    Mutant {
        id: "configuration-star-reaches-tagged",
        title: "The condition * selects devices with tags only",
        requirements: &["HUB-CFG-009"],
        overlay: || misreading(|text| text.replace('*', "IS_DEFINED(tags.mark)")),
    },
    Mutant {
        id: "configuration-empty-condition-refused",
        title: "An empty condition is refused",
        requirements: &["HUB-CFG-009"],
        overlay: || misreading(|text| if text.is_empty() { "(" } else { text }.to_owned()),
    },
    Mutant {
        id: "configuration-empty-condition-reaches-all",
        title: "An empty condition selects everybody",
        requirements: &["HUB-CFG-009"],
        overlay: empty_for_all,
    },
];

/// An overlay that edits the settings for devices in the content of configurations.
fn on_settings(edit: impl Fn(&str, Value) -> (String, Value) + Send + 'static) -> Box<dyn Overlay> {
    on_put(move |_, body| {
        if let Some(Value::Object(settings)) = body.pointer_mut("/content/deviceContent") {
            let old = std::mem::take(settings);
            *settings = old.into_iter().map(|(path, value)| edit(&path, value)).collect();
        }
    })
}

/// An overlay that drops those notifications of what the hub does by itself for which `keep` does
/// not hold.
fn on_rollout_publish(keep: fn(&Publish) -> bool) -> Box<dyn Overlay> {
    on_both(
        false,
        |ticks, input| {
            *ticks = matches!(input, Input::Tick);
            vec![input]
        },
        move |ticks, output: Output| {
            let is_rollout = *ticks;
            edit_hub_publish(output, |_, topic, publish| {
                !is_rollout || !matches!(topic, HubTopic::Desired { .. }) || keep(publish)
            })
        },
    )
}

fn has_null(publish: &Publish) -> bool {
    let members: Map<String, Value> = serde_json::from_slice(&publish.payload).unwrap_or_default();
    members.values().any(Value::is_null)
}

/// DELETE answers 204 and the configuration is not found any more, but it goes on.
fn deleting_in_name_only() -> Box<dyn Overlay> {
    on_exchange(
        BTreeSet::<String>::new(),
        |deleted, request| {
            let id = id_of(request)?.to_owned();
            let deletes = is_call(request, &Method::DELETE);
            if deletes {
                *request.method_mut() = Method::GET;
                deleted.insert(id);
                return Some(true);
            }
            deleted.contains(&id).then_some(false)
        },
        |_, deletes, response| match deletes {
            true if response.status().is_success() => set_status(response, 204),
            true => {}
            false => refuse(response, 404, "ConfigurationNotFound"),
        },
    )
}

/// A new configuration of a higher priority drops the one before it for the same device.
fn forgetting_the_outranked() -> Box<dyn Overlay> {
    let mut last: BTreeMap<String, (String, Option<u64>)> = BTreeMap::new();
    on_input(move |input| {
        let Input::Request(_, request) = &input else { return vec![input] };
        if !is_call(request, &Method::PUT) {
            return vec![input];
        }
        let path = request.uri().path().to_owned();
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let priority = body.get("priority").and_then(Value::as_u64);
        // The device is what stands in quotes.
        let condition = text(&body, "/targetCondition");
        let device = condition.split('\'').nth(1).unwrap_or_default().to_owned();
        match last.insert(device, (path, priority)) {
            Some((outranked, below)) if below < priority => {
                let forget = also(request, Method::DELETE, &outranked, "");
                vec![input, forget]
            }
            _ => vec![input],
        }
    })
}

/// Empty conditions are shown as such and select everybody.
fn empty_for_all() -> Box<dyn Overlay> {
    struct Both(Box<dyn Overlay>, Box<dyn Overlay>);
    impl Overlay for Both {
        fn input(&mut self, input: Input) -> Vec<Input> {
            let inputs = self.0.input(input);
            inputs.into_iter().flat_map(|input| self.1.input(input)).collect()
        }

        fn output(&mut self, output: Output) -> Vec<Output> {
            self.1.output(output)
        }
    }
    let all = misreading(|text| if text.is_empty() { "true" } else { text }.to_owned());
    let shown = on_documents(|document| {
        if document["targetCondition"] == "true" {
            document["targetCondition"] = json!("");
        }
    });
    Box::new(Both(all, shown))
}
