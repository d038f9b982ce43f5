//! Defects of matching, bounding and cutting off twin requests (HUB-TWIN-007, -020 to -022).

use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_hub_publish, on_both, on_hub_publish, on_input, on_output};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-rid-lower-cased",
        title: "Request ids are echoed in lower case",
        requirements: &["HUB-TWIN-007"],
        overlay: || {
            on_hub_publish(|topic, publish| {
                if let HubTopic::TwinResponse { rid, .. } = topic {
                    publish.topic = publish.topic.replace(rid, &rid.to_ascii_lowercase());
                }
                true
            })
        },
    },
    Mutant {
        id: "twin-get-answered-twice",
        title: "A twin GET is answered twice",
        requirements: &["HUB-TWIN-007"],
        overlay: || {
            on_output(|output| match &output {
                Output::Send(_, Packet::Publish(publish))
                    if publish.topic.starts_with("$iothub/twin/res/200/") =>
                {
                    vec![output.clone(), output]
                }
                _ => vec![output],
            })
        },
    },
    Mutant {
        id: "twin-report-answers-last-get",
        title: "The answer to a report carries the request id of the GET before",
        requirements: &["HUB-TWIN-007"],
        overlay: answering_last_get,
    },
    Mutant {
        id: "twin-throttled-answered-503",
        title: "Throttled twin requests are answered 503",
        requirements: &["HUB-TWIN-020"],
        overlay: || {
            on_hub_publish(|_, publish| {
                publish.topic = publish.topic.replace("/res/429/", "/res/503/");
                true
            })
        },
    },
    Mutant {
        id: "twin-throttled-not-answered",
        title: "Throttled twin requests are not answered",
        requirements: &["HUB-TWIN-020"],
        overlay: || {
            on_hub_publish(|topic, _| !matches!(topic, HubTopic::TwinResponse { status: 429, .. }))
        },
    },
    Mutant {
        id: "twin-get-without-rid-answered",
        title: "A twin GET without a request id is answered without one",
        requirements: &["HUB-TWIN-021"],
        overlay: || {
            on_both(
                (),
                |(), input| {
                    vec![with_topic(input, |topic| {
                        let bare = topic == "$iothub/twin/GET/";
                        bare.then(|| "$iothub/twin/GET/?$rid=none".to_owned())
                    })]
                },
                |(), output| {
                    edit_hub_publish(output, |_, _, publish| {
                        publish.topic = publish.topic.replace("$rid=none", "$rid=");
                        true
                    })
                },
            )
        },
    },
    Mutant {
        id: "twin-extra-level-ignored",
        title: "A publish with an extra level under $iothub/twin/ is dropped in silence",
        requirements: &["HUB-TWIN-022"],
        overlay: || {
            on_input(|input| match &input {
                Input::Packet(_, Packet::Publish(publish)) if is_unknown(publish) => Vec::new(),
                _ => vec![input],
            })
        },
    },
    Mutant {
        id: "twin-extra-level-served",
        title: "A publish with an extra level under $iothub/twin/ is served as if without it",
        requirements: &["HUB-TWIN-022"],
        overlay: || {
            on_input(|input| {
                let shorter =
                    |topic: &str| topic.contains("/x/").then(|| topic.replace("/x/", "/"));
                vec![with_topic(input, shorter)]
            })
        },
    },
];

/// Whether a publish under `$iothub/twin/` is none that the protocol knows.
fn is_unknown(publish: &Publish) -> bool {
    publish.topic.starts_with("$iothub/twin/") && DeviceTopic::parse(&publish.topic).is_none()
}

/// A PUBLISH of a device with the topic that `change` gives it.
fn with_topic(input: Input, change: impl FnOnce(&str) -> Option<String>) -> Input {
    let Input::Packet(id, Packet::Publish(mut publish)) = input else {
        return input;
    };
    if let Some(topic) = change(&publish.topic) {
        publish.topic = topic;
    }
    Input::Packet(id, Packet::Publish(publish))
}

fn answering_last_get() -> Box<dyn Overlay> {
    let mut last = None;
    on_hub_publish(move |topic, publish| {
        match topic {
            HubTopic::TwinResponse { status: 200, rid, .. } => last = Some(rid.clone()),
            HubTopic::TwinResponse { status: 204, rid, .. } => {
                if let Some(last) = &last {
                    publish.topic = publish.topic.replace(rid, last);
                }
            }
            _ => {}
        }
        true
    })
}
