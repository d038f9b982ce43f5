//! Defects of the transport floor: reconnection, back-off, keep-alive, sessions, TLS.

use std::time::Duration;

use serde_json::Value;
use twinspec_harness::agent::{Config, Effect, Overlay, Wire};
use twinspec_harness::tls::Carelessness;
use twinspec_model::agent::{Input, Output, Settings};
use twinspec_model::wire::mqtt::{ConnectCode, Packet, Publish, SubAck};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use super::Defect;
use super::rewrite::{Inputs, Login, Told, With, code_of};
use super::wire::{Beat, Packets, connects, same_received, same_sent};

/// What an agent has learned of the desired properties since it was connected.
#[derive(Clone, Copy)]
enum Read {
    Nothing,
    Notification,
    Twin,
}

/// As good as for ever.
const DAY: Duration = Duration::from_secs(86_400);

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-network-stays-away",
        "After its connection was lost the agent does not come back.",
        ["DEV-NET-001"],
        Told(|config| pauses(config, DAY, DAY))
    ),
    defect!(
        "agent-network-steady-pauses",
        "Pauses between attempts are always the same.",
        ["DEV-NET-003"],
        Beat(Duration::from_millis(700))
    ),
    defect!(
        "agent-network-waits-for-answers",
        "A CONNECT or SUBSCRIBE without an answer is waited for for ever.",
        ["DEV-NET-004", "DEV-NET-007"],
        PatientLink(Duration::ZERO)
    ),
    defect!(
        "agent-network-asks-for-the-twin-once",
        "A request for the twin that is refused or lost is not made again.",
        ["DEV-NET-012"],
        Packets {
            state: 0,
            sent: |asked: &mut u32, packet| {
                if matches!(packet, Packet::Connect(_)) {
                    *asked = 0;
                }
                let Packet::Publish(publish) = &packet else { return vec![Wire::Hub(packet)] };
                let Some(DeviceTopic::TwinGet { rid }) = DeviceTopic::parse(&publish.topic) else {
                    return vec![Wire::Hub(packet)];
                };
                *asked += 1;
                if *asked == 1 {
                    return vec![Wire::Hub(packet)];
                }
                // It believes that there is no news.
                let topic = HubTopic::TwinResponse { status: 200, rid, version: None }.to_topic();
                let twin = "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}";
                vec![Wire::Agent(Packet::Publish(Publish::at_most_once(topic, twin)))]
            },
            received: same_received,
        }
    ),
    defect!(
        "agent-network-no-puback",
        "Messages at QoS 1 are not acknowledged.",
        ["DEV-NET-006"],
        Packets {
            state: (),
            sent: |(), packet| match packet {
                Packet::PubAck(_) => Vec::new(),
                packet => vec![Wire::Hub(packet)],
            },
            received: same_received,
        }
    ),
    defect!(
        "agent-network-minds-no-silence",
        "A connection on which nothing is answered any more is kept.",
        ["DEV-NET-008"],
        Packets {
            state: (),
            sent: |(), packet| match packet {
                Packet::PingReq => vec![Wire::Hub(packet), Wire::Agent(Packet::PingResp)],
                packet => vec![Wire::Hub(packet)],
            },
            received: |(), packet| match packet {
                Packet::PingResp => Vec::new(),
                packet => vec![Wire::Agent(packet)],
            },
        }
    ),
    defect!(
        "agent-network-no-pings",
        "An idle agent sends no PINGREQ.",
        ["DEV-NET-009"],
        Packets {
            state: (),
            sent: |(), packet| match packet {
                Packet::PingReq => vec![Wire::Agent(Packet::PingResp)],
                packet => vec![Wire::Hub(packet)],
            },
            received: same_received,
        }
    ),
    defect!(
        "agent-network-long-keep-alive",
        "The keep-alive is longer than the hub allows.",
        ["DEV-NET-010"],
        connects(|connect| connect.keep_alive = 1768)
    ),
    defect!(
        "agent-network-subscribes-first-only",
        "Only the first connection subscribes to desired properties.",
        ["DEV-NET-011"],
        Packets {
            state: 0,
            sent: |connections, packet| {
                if matches!(packet, Packet::Connect(_)) {
                    *connections += 1;
                }
                match granted(&packet) {
                    Some(answer) if *connections > 1 && is_for_desired(&packet) => {
                        vec![Wire::Agent(answer)]
                    }
                    _ => vec![Wire::Hub(packet)],
                }
            },
            received: same_received,
        }
    ),
    defect!(
        "agent-network-misses",
        "The twin is read on the first connection only.",
        ["DEV-NET-012"],
        With {
            state: false,
            input: super::rewrite::same_input,
            output: |has_read, output| match &output {
                Output::ReadTwin if std::mem::replace(has_read, true) => Vec::new(),
                _ => vec![Effect::Do(output)],
            },
        }
    ),
    defect!(
        "agent-network-hidden-by-a-notification",
        "After a notification the answer to a request for the twin is not looked at.",
        ["DEV-NET-012"],
        With {
            state: Read::Nothing,
            input: |read, input| {
                *read = match (&input, *read) {
                    (Input::Connected, _) => Read::Nothing,
                    (Input::Patch(_), Read::Nothing) => Read::Notification,
                    (Input::Twin(_), Read::Notification) => return Vec::new(),
                    (Input::Twin(_), _) => Read::Twin,
                    (_, read) => read,
                };
                vec![input]
            },
            output: super::rewrite::same_output,
        }
    ),
    defect!(
        "agent-network-takes-older",
        "Older desired properties are taken for new ones.",
        ["DEV-NET-025"],
        With {
            state: 0,
            input: |newest, mut input| {
                let stamp = match &mut input {
                    Input::Patch(patch) => patch.pointer_mut("/$version"),
                    Input::Twin(twin) => twin.pointer_mut("/desired/$version"),
                    _ => None,
                };
                if let Some(stamp) = stamp
                    && let Some(version) = stamp.as_u64()
                {
                    if version < *newest {
                        *stamp = Value::from(*newest + 1);
                    }
                    *newest = version.max(*newest);
                }
                vec![input]
            },
            output: super::rewrite::same_output,
        }
    ),
    defect!(
        "agent-network-any-authority",
        "A hub is trusted whichever authority its certificate comes from.",
        ["DEV-NET-013"],
        Told(|config| careless(config, Carelessness::Authority))
    ),
    defect!(
        "agent-network-any-name",
        "A hub is trusted whatever name its certificate is for.",
        ["DEV-NET-014"],
        Told(|config| careless(config, Carelessness::Name))
    ),
    defect!(
        "agent-network-expired",
        "A hub is trusted although its certificate has expired.",
        ["DEV-NET-015"],
        Told(|config| careless(config, Carelessness::Validity))
    ),
    defect!(
        "agent-network-small-certificates",
        "A hub with a large certificate is refused.",
        ["DEV-NET-016"],
        Told(|config| careless(config, Carelessness::Size(2048)))
    ),
    defect!(
        "agent-network-small-messages",
        "A notification above 16 KB is passed over.",
        ["DEV-NET-017"],
        Inputs(|input| match input {
            Input::Patch(patch) if patch.to_string().len() > 16_384 => Vec::new(),
            input => vec![input],
        })
    ),
    defect!(
        "agent-network-no-api-version",
        "The user name has no api-version.",
        ["DEV-NET-018"],
        Login(|user_name| user_name.api_version = None)
    ),
    defect!(
        "agent-network-bare-key",
        "The password is no token.",
        ["DEV-NET-018"],
        connects(|connect| connect.password = Some("the key itself".into()))
    ),
    defect!(
        "agent-network-dies-of-topics",
        "A message on an unknown topic ends the agent.",
        ["DEV-NET-019"],
        Packets {
            state: (),
            sent: same_sent,
            received: |(), packet| {
                if let Packet::Publish(publish) = &packet
                    && HubTopic::parse(&publish.topic).is_none()
                {
                    std::process::exit(139);
                }
                vec![Wire::Agent(packet)]
            },
        }
    ),
    defect!(
        "agent-network-dies-of-text",
        "A notification that is no JSON ends the agent.",
        ["ADU-AGENT-103"],
        Packets {
            state: (),
            sent: same_sent,
            received: |(), packet| {
                if let Packet::Publish(publish) = &packet
                    && serde_json::from_slice::<Value>(&publish.payload).is_err()
                    && matches!(HubTopic::parse(&publish.topic), Some(HubTopic::Desired { .. }))
                {
                    std::process::exit(139);
                }
                vec![Wire::Agent(packet)]
            },
        }
    ),
    defect!(
        "agent-network-ignores-sigterm",
        "SIGTERM does not end the agent.",
        ["DEV-NET-021"],
        Deaf
    ),
    defect!(
        "agent-network-takes-no-for-an-answer",
        "An agent that is refused ends.",
        ["DEV-NET-022"],
        Packets {
            state: (),
            sent: same_sent,
            received: |(), packet| {
                if let Packet::ConnAck(answer) = &packet
                    && answer.code != ConnectCode::Accepted
                {
                    std::process::exit(1);
                }
                vec![Wire::Agent(packet)]
            },
        }
    ),
    defect!(
        "agent-network-malformed",
        "A packet with reserved flags follows the first report.",
        ["DEV-NET-023"],
        Packets {
            state: false,
            sent: |is_sent, packet| match &packet {
                Packet::Publish(_) if !std::mem::replace(is_sent, true) => {
                    // A DISCONNECT whose flags are not 0.
                    vec![Wire::Hub(packet), Wire::HubBytes(vec![0xE1, 0])]
                }
                _ => vec![Wire::Hub(packet)],
            },
            received: same_received,
        }
    ),
    defect!(
        "agent-network-cut-loses-end",
        "Once a connection broke, no success is reported.",
        ["DEV-NET-024"],
        With {
            state: false,
            input: |was_cut, input| {
                *was_cut |= matches!(input, Input::Disconnected);
                vec![input]
            },
            output: |was_cut, output| match output {
                Output::Send { report, patch }
                    if *was_cut
                        && patch.pointer("/deviceUpdate/agent").and_then(code_of) == Some(700) =>
                {
                    vec![Effect::Feed(Input::Answered { report, status: 204 })]
                }
                output => vec![Effect::Do(output)],
            },
        }
    ),
];

fn pauses(config: &mut Config, least: Duration, most: Duration) {
    (config.limits.back_off_min, config.limits.back_off_max) = (least, most);
}

/// A trust that cannot be made careless stays as it is: then the defect survives, and is seen.
fn careless(config: &mut Config, carelessness: Carelessness) {
    if let Ok(trust) = config.trust.careless(carelessness) {
        config.trust = trust;
    }
}

/// Waits for a day where the hub does not answer a CONNECT, and for reports as usual.
struct PatientLink(Duration);

impl Overlay for PatientLink {
    fn config(&mut self, config: &mut Config) {
        self.0 = std::mem::replace(&mut config.limits.answer, DAY);
    }

    fn settings(&mut self, settings: &mut Settings) {
        settings.resend.answer = self.0;
    }
}

/// Does not hear that it is to end.
struct Deaf;

impl Overlay for Deaf {
    fn obeys(&self) -> bool {
        false
    }
}

/// The answer that grants a SUBSCRIBE all it asks for.
fn granted(packet: &Packet) -> Option<Packet> {
    let Packet::Subscribe(subscribe) = packet else { return None };
    let granted = subscribe.filters.iter().map(|(_, qos)| Some(*qos)).collect();
    Some(Packet::SubAck(SubAck { id: subscribe.id, granted }))
}

fn is_for_desired(packet: &Packet) -> bool {
    let Packet::Subscribe(subscribe) = packet else { return false };
    subscribe.filters.iter().any(|(filter, _)| filter.contains("PATCH/properties/desired"))
}
