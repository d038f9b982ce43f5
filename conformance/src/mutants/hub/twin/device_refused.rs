//! Defects of refusing reported properties (HUB-TWIN-015 to -019).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Output};
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use crate::mutants::Mutant;
use crate::mutants::overlay::{
    edit_device_publish, edit_hub_publish, edit_json, on_both, on_device_publish, on_hub_publish,
    on_output,
};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-malformed-answered-500",
        title: "A report refused for its body is answered 500",
        requirements: &["HUB-TWIN-015"],
        overlay: || {
            on_refused(|publish| publish.topic = publish.topic.replace("/res/400/", "/res/500/"))
        },
    },
    Mutant {
        id: "twin-malformed-closes",
        title: "A report refused for its body ends the connection",
        requirements: &["HUB-TWIN-015"],
        overlay: || {
            on_output(|output| match output {
                Output::Send(id, Packet::Publish(publish))
                    if publish.topic.starts_with("$iothub/twin/res/400/") =>
                {
                    vec![Output::Close(id)]
                }
                other => vec![other],
            })
        },
    },
    Mutant {
        id: "twin-malformed-taken-as-empty",
        title: "Malformed JSON in a report is taken as an empty object",
        requirements: &["HUB-TWIN-015"],
        overlay: || {
            on_report(|_, publish| {
                if is_malformed(publish) {
                    publish.payload = Bytes::from_static(b"{}");
                }
            })
        },
    },
    Mutant {
        id: "twin-malformed-start-applied",
        title: "The whole members before the error in a malformed report are applied",
        requirements: &["HUB-TWIN-015"],
        overlay: applying_start,
    },
    Mutant {
        id: "twin-error-without-tracking-id",
        title: "The body of a refusal has no trackingId",
        requirements: &["HUB-TWIN-016"],
        overlay: || {
            on_refused(|publish| {
                edit_json(&mut publish.payload, |body| {
                    body.as_object_mut().map(|body| body.remove("trackingId"));
                });
            })
        },
    },
    Mutant {
        id: "twin-error-without-body",
        title: "A refusal has no body",
        requirements: &["HUB-TWIN-016"],
        overlay: || on_refused(|publish| publish.payload = Bytes::new()),
    },
    Mutant {
        id: "twin-condition-ignored",
        title: "A $version condition in the topic of a report is ignored",
        requirements: &["HUB-TWIN-017"],
        overlay: || on_report(|_, publish| drop_condition(publish)),
    },
    Mutant {
        id: "twin-stale-report-applied",
        title: "A report for another version is answered 412 and applied all the same",
        requirements: &["HUB-TWIN-017"],
        overlay: applying_stale,
    },
    Mutant {
        id: "twin-future-version-accepted",
        title: "A report for a version not yet reached is accepted",
        requirements: &["HUB-TWIN-017"],
        overlay: accepting_future,
    },
    Mutant {
        id: "twin-condition-never-met",
        title: "A report for the current version is answered 412",
        requirements: &["HUB-TWIN-018"],
        overlay: || {
            on_report(|condition, publish| {
                if condition.is_some() {
                    publish.topic.push_str("000");
                }
            })
        },
    },
    Mutant {
        id: "twin-version-in-body-ignored",
        title: "$version in the body of a report is ignored",
        requirements: &["HUB-TWIN-019"],
        overlay: || {
            on_report(|_, publish| {
                edit_json(&mut publish.payload, |body| {
                    body.as_object_mut().map(|body| body.remove("$version"));
                });
            })
        },
    },
    Mutant {
        id: "twin-version-in-body-other-code",
        title: "$version in the body of a report is refused with another error code",
        requirements: &["HUB-TWIN-019"],
        overlay: || {
            on_refused(|publish| {
                edit_json(&mut publish.payload, |body| {
                    if let Some(code) = body.get_mut("errorCode") {
                        *code = json!(400_000);
                    }
                });
            })
        },
    },
];

/// Edits every 400.
fn on_refused(edit: fn(&mut Publish)) -> Box<dyn Overlay> {
    on_hub_publish(move |topic, publish| {
        if let HubTopic::TwinResponse { status: 400, .. } = topic {
            edit(publish);
        }
        true
    })
}

/// Edits every report, given its condition.
fn on_report(edit: fn(Option<&str>, &mut Publish)) -> Box<dyn Overlay> {
    on_device_publish(move |_, topic, publish| {
        if let DeviceTopic::TwinPatch { version, .. } = topic {
            edit(version.as_deref(), publish);
        }
        true
    })
}

fn is_malformed(publish: &Publish) -> bool {
    serde_json::from_slice::<Value>(&publish.payload).is_err()
}

fn drop_condition(publish: &mut Publish) {
    if let Some((topic, _)) = publish.topic.split_once("&$version=") {
        publish.topic = topic.to_owned();
    }
}

fn applying_start() -> Box<dyn Overlay> {
    on_both(
        BTreeSet::new(),
        |cut, input| {
            edit_device_publish(input, |_, topic, publish| {
                let DeviceTopic::TwinPatch { rid: Some(rid), .. } = topic else {
                    return true;
                };
                let text = String::from_utf8_lossy(&publish.payload).into_owned();
                if let (true, Some((start, _))) = (is_malformed(publish), text.rsplit_once(',')) {
                    publish.payload = Bytes::from(format!("{start}}}"));
                    cut.insert(rid.clone());
                }
                true
            })
        },
        |cut, output| {
            edit_hub_publish(output, |_, topic, publish| {
                if let HubTopic::TwinResponse { rid, .. } = topic
                    && cut.remove(rid)
                {
                    publish.topic = format!("$iothub/twin/res/400/?$rid={rid}");
                }
                true
            })
        },
    )
}

fn applying_stale() -> Box<dyn Overlay> {
    on_both(
        BTreeMap::new(),
        |conditions, input| {
            edit_device_publish(input, |_, topic, publish| {
                if let DeviceTopic::TwinPatch { rid: Some(rid), version: Some(version) } = topic {
                    conditions.insert(rid.clone(), version.clone());
                    drop_condition(publish);
                }
                true
            })
        },
        |conditions, output| {
            edit_hub_publish(output, |_, topic, publish| {
                if let HubTopic::TwinResponse { rid, version: Some(version), .. } = topic
                    && let Some(condition) = conditions.remove(rid)
                    && condition != (version - 1).to_string()
                {
                    publish.topic = format!("$iothub/twin/res/412/?$rid={rid}");
                }
                true
            })
        },
    )
}

fn accepting_future() -> Box<dyn Overlay> {
    on_both(
        BTreeMap::<ConnectionId, u64>::new(),
        |current, input| {
            edit_device_publish(input, |id, topic, publish| {
                if let DeviceTopic::TwinPatch { version: Some(version), .. } = topic
                    && version.parse().ok() > current.get(&id).copied()
                {
                    drop_condition(publish);
                }
                true
            })
        },
        |current, output| {
            edit_hub_publish(output, |id, topic, _| {
                if let HubTopic::TwinResponse { version: Some(version), .. } = topic {
                    current.insert(id, *version);
                }
                true
            })
        },
    )
}
