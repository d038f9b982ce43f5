//! Defects of properties (HUB-TELE-002, -003, -005, -009).

use std::collections::BTreeMap;

use twinspec_harness::hub::Overlay;
use twinspec_model::event::{Event, Source};
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::{ConnectCode, Packet};
use twinspec_model::wire::percent;
use twinspec_model::wire::topic::HubTopic;

use super::message::on_telemetry;
use crate::mutants::Mutant;
use crate::mutants::overlay::{on_both, on_device_publish, on_hub_publish, on_output};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "telemetry-properties-lost",
        title: "Telemetry is delivered without its application properties",
        requirements: &["HUB-TELE-002"],
        overlay: || {
            on_telemetry(|event| {
                event.properties.clear();
                true
            })
        },
    },
    Mutant {
        id: "telemetry-values-not-decoded",
        title: "Values of application properties are delivered as they stand in the topic",
        requirements: &["HUB-TELE-002"],
        overlay: || {
            on_telemetry(|event| {
                for (_, value) in &mut event.properties {
                    *value = percent::encode(value);
                }
                true
            })
        },
    },
    Mutant {
        id: "telemetry-values-decoded-twice",
        title: "Values of application properties are decoded twice",
        requirements: &["HUB-TELE-002"],
        overlay: || {
            on_telemetry(|event| {
                for (_, value) in &mut event.properties {
                    *value = percent::decode(value).unwrap_or_default();
                }
                true
            })
        },
    },
    Mutant {
        id: "telemetry-plus-is-blank",
        title: "A plus in the value of a property is delivered as a blank",
        requirements: &["HUB-TELE-002"],
        overlay: || {
            on_telemetry(|event| {
                for (_, value) in &mut event.properties {
                    *value = value.replace('+', " ");
                }
                true
            })
        },
    },
    Mutant {
        id: "telemetry-names-not-decoded",
        title: "Names of application properties are delivered as they stand in the topic",
        requirements: &["HUB-TELE-002"],
        overlay: || on_names(percent::encode),
    },
    Mutant {
        id: "telemetry-names-decoded-twice",
        title: "Names of application properties are decoded twice",
        requirements: &["HUB-TELE-002"],
        overlay: || on_names(|name| percent::decode(name).unwrap_or_default()),
    },
    Mutant {
        id: "telemetry-names-in-lower-case",
        title: "Names of application properties are delivered in lower case",
        requirements: &["HUB-TELE-002"],
        overlay: || on_names(str::to_lowercase),
    },
    Mutant {
        id: "telemetry-empty-values-lost",
        title: "Application properties with an empty value are not delivered",
        requirements: &["HUB-TELE-002"],
        overlay: || {
            on_telemetry(|event| {
                event.properties.retain(|(_, value)| !value.is_empty());
                true
            })
        },
    },
    Mutant {
        id: "telemetry-bag-keeps-slash",
        title: "The slash at the end of a bag belongs to the last value",
        requirements: &["HUB-TELE-002"],
        overlay: || {
            on_device_publish(|_, _, publish| {
                if let Some(bag) = publish.topic.strip_suffix('/')
                    && bag.contains('=')
                {
                    publish.topic = format!("{bag}%2F");
                }
                true
            })
        },
    },
    Mutant {
        id: "telemetry-system-encoded-ignored",
        title: "Names that begin with %24. set no system properties",
        requirements: &["HUB-TELE-003"],
        overlay: || without_system("%24."),
    },
    Mutant {
        id: "telemetry-system-plain-ignored",
        title: "Names that begin with $. set no system properties",
        requirements: &["HUB-TELE-003"],
        overlay: || without_system("$."),
    },
    Mutant {
        id: "telemetry-system-ids-swapped",
        title: "Message id and correlation id are delivered one in place of the other",
        requirements: &["HUB-TELE-003"],
        overlay: || {
            on_telemetry(|event| {
                for (name, _) in &mut event.system {
                    let other = match name.as_str() {
                        "message-id" => "correlation-id",
                        "correlation-id" => "message-id",
                        _ => continue,
                    };
                    other.clone_into(name);
                }
                true
            })
        },
    },
    Mutant {
        id: "telemetry-system-among-application",
        title: "System properties are delivered among the application properties as well",
        requirements: &["HUB-TELE-003"],
        overlay: || {
            on_telemetry(|event| {
                event.properties.extend(event.system.clone());
                true
            })
        },
    },
    Mutant {
        id: "telemetry-retain-unmarked",
        title: "A message with RETAIN is delivered without mqtt-retain",
        requirements: &["HUB-TELE-005"],
        overlay: || {
            on_telemetry(|event| {
                event.properties.retain(|(name, _)| name != "mqtt-retain");
                true
            })
        },
    },
    Mutant {
        id: "telemetry-retain-everywhere",
        title: "Messages without RETAIN are delivered with mqtt-retain too",
        requirements: &["HUB-TELE-005"],
        overlay: || {
            on_telemetry(|event| {
                event.properties.push(("mqtt-retain".to_owned(), "true".to_owned()));
                true
            })
        },
    },
    Mutant {
        id: "telemetry-retain-kept",
        title: "A message with RETAIN is delivered again when its device connects again",
        requirements: &["HUB-TELE-005"],
        overlay: keeping_retained,
    },
    Mutant {
        id: "telemetry-null-has-equals",
        title: "A null property in a cloud-to-device topic has an equals sign",
        requirements: &["HUB-TELE-009"],
        overlay: || {
            on_pairs(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
        },
    },
    Mutant {
        id: "telemetry-empty-lacks-equals",
        title: "An empty property in a cloud-to-device topic has no equals sign",
        requirements: &["HUB-TELE-009"],
        overlay: || on_pairs(|pair| pair.strip_suffix('=').unwrap_or(pair).to_owned()),
    },
    Mutant {
        id: "telemetry-values-in-quotes",
        title: "Values in a cloud-to-device topic stand in quotes",
        requirements: &["HUB-TELE-009"],
        overlay: || {
            on_pairs(|pair| match pair.split_once('=') {
                Some((name, value)) if !value.is_empty() => format!("{name}=%22{value}%22"),
                _ => pair.to_owned(),
            })
        },
    },
];

/// Edits the names of application properties.
fn on_names(edit: fn(&str) -> String) -> Box<dyn Overlay> {
    on_output(move |mut output| {
        if let Output::Event(event) = &mut output
            && event.source == Source::Telemetry
        {
            for (name, _) in &mut event.properties {
                *name = edit(name);
            }
        }
        vec![output]
    })
}

/// Hides the system properties of messages in whose topic this stands.
fn without_system(mark: &'static str) -> Box<dyn Overlay> {
    on_both(
        false,
        move |hides, input| {
            if let Input::Packet(_, Packet::Publish(publish)) = &input {
                *hides = publish.topic.contains(mark);
            }
            vec![input]
        },
        |hides, mut output| {
            if let Output::Event(event) = &mut output
                && *hides
            {
                event.system.clear();
            }
            vec![output]
        },
    )
}

/// What a hub remembers that keeps messages.
#[derive(Default)]
struct Retained {
    clients: BTreeMap<ConnectionId, String>,
    /// By client id.
    kept: BTreeMap<String, Event>,
}

fn keeping_retained() -> Box<dyn Overlay> {
    on_both(
        Retained::default(),
        |retained, input| {
            if let Input::Packet(id, Packet::Connect(connect)) = &input {
                retained.clients.insert(*id, connect.client_id.clone());
            }
            vec![input]
        },
        |retained, output| match &output {
            Output::Event(event) => {
                if event.properties.iter().any(|(name, _)| name == "mqtt-retain") {
                    retained.kept.insert(event.identity.to_string(), event.clone());
                }
                vec![output]
            }
            Output::Send(id, Packet::ConnAck(answer)) if answer.code == ConnectCode::Accepted => {
                let client = retained.clients.get(id).map(String::as_str).unwrap_or_default();
                let again = retained.kept.get(client).cloned().map(Output::Event);
                std::iter::once(output).chain(again).collect()
            }
            _ => vec![output],
        },
    )
}

/// Rewrites each pair in the bag of a cloud-to-device topic.
fn on_pairs(rewrite: fn(&str) -> String) -> Box<dyn Overlay> {
    on_hub_publish(move |topic, publish| {
        if let HubTopic::DeviceBound { device, .. } = topic {
            let start = format!("devices/{device}/messages/devicebound/");
            let bag = publish.topic.strip_prefix(&start).unwrap_or_default();
            let pairs: Vec<String> = bag.split('&').map(rewrite).collect();
            publish.topic = format!("{start}{}", pairs.join("&"));
        }
        true
    })
}
