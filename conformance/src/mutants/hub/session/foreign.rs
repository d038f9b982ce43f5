//! Defects of who receives what, and of what is kept for later (HUB-SESS-015, -016).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::{Packet, Publish, Qos, SubAck, Subscribe};
use twinspec_model::wire::topic::HubTopic;

use crate::mutants::Mutant;
use crate::mutants::overlay::{ClientIds, accepted, is_nudged, nudge, on_both, set};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "session-foreign-device-bound-granted",
        title: "A device may subscribe to the messages of another one",
        requirements: &["HUB-SESS-015"],
        overlay: || foreign_granted(|filter| !filter.contains('+')),
    },
    Mutant {
        id: "session-all-device-bound-granted",
        title: "A device may subscribe to the messages of all devices by a wildcard",
        requirements: &["HUB-SESS-015"],
        overlay: || foreign_granted(|filter| filter.contains('+')),
    },
    Mutant {
        id: "session-notifications-kept",
        title: "The last change made while a client is away is notified when it is back",
        requirements: &["HUB-SESS-016"],
        overlay: notifications_kept,
    },
];

/// Who listens to the messages of others.
#[derive(Default)]
struct Eavesdroppers {
    clients: ClientIds,
    listeners: Vec<(ConnectionId, String)>,
    suback: Option<Output>,
}

impl Eavesdroppers {
    /// Grants a SUBSCRIBE to another device's messages in the model's place.
    fn grant(&mut self, id: ConnectionId, subscribe: &Subscribe, granted: fn(&str) -> bool) {
        let own = format!("devices/{}/messages/", self.clients.of(id));
        let foreign = subscribe.filters.iter().map(|(filter, _)| filter).find(|filter| {
            filter.ends_with("/messages/devicebound/#") && !filter.starts_with(&own)
        });
        if let Some(filter) = foreign.filter(|filter| granted(filter)) {
            self.listeners.push((id, filter.clone()));
            let suback = SubAck { id: subscribe.id, granted: vec![Some(Qos::AtMostOnce)] };
            self.suback = Some(Output::Send(id, Packet::SubAck(suback)));
        }
    }

    /// Copies of a message for those who listen to it.
    fn copies(&self, receiver: ConnectionId, publish: &Publish) -> Vec<Output> {
        let Some(HubTopic::DeviceBound { device, .. }) = HubTopic::parse(&publish.topic) else {
            return Vec::new();
        };
        let exact = format!("devices/{device}/messages/devicebound/#");
        let hears = |(id, filter): &&(ConnectionId, String)| {
            *id != receiver && (*filter == exact || filter.contains('+'))
        };
        let copy =
            |(id, _): &(ConnectionId, String)| Output::Send(*id, Packet::Publish(publish.clone()));
        self.listeners.iter().filter(hears).map(copy).collect()
    }
}

fn foreign_granted(granted: fn(&str) -> bool) -> Box<dyn Overlay> {
    on_both(
        Eavesdroppers::default(),
        move |eavesdroppers, input| {
            eavesdroppers.clients.learn(&input);
            if let Input::Packet(id, Packet::Subscribe(subscribe)) = &input {
                eavesdroppers.grant(*id, subscribe, granted);
            }
            if eavesdroppers.suback.is_some() { vec![nudge()] } else { vec![input] }
        },
        |eavesdroppers, output| {
            if is_nudged(&output) {
                return eavesdroppers.suback.take().into_iter().collect();
            }
            let mut copies = match &output {
                Output::Send(id, Packet::Publish(publish)) => eavesdroppers.copies(*id, publish),
                _ => Vec::new(),
            };
            copies.push(output);
            copies
        },
    )
}

/// What was changed for clients that are away.
#[derive(Default)]
struct Kept {
    clients: ClientIds,
    /// Client id and desired members of the write being handled.
    written: Option<(String, Value)>,
    notifications: BTreeMap<String, Publish>,
}

impl Kept {
    fn learn(&mut self, input: &Input) {
        self.clients.learn(input);
        self.written = None;
        let Input::Request(_, request) = input else { return };
        let Some(path) = request.uri().path().strip_prefix("/twins/") else { return };
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        if let Some(desired) = body.pointer("/properties/desired") {
            self.written = Some((path.replace("/modules/", "/"), desired.clone()));
        }
    }

    /// Keeps the notification of an accepted write for a client that is away.
    fn keep(&mut self, twin: &Bytes) {
        let Some((client_id, mut desired)) = self.written.take() else { return };
        let twin: Value = serde_json::from_slice(twin).unwrap_or_default();
        let version = twin.pointer("/properties/desired/$version").and_then(Value::as_u64);
        let is_away = self.clients.iter().all(|(_, connected)| connected != client_id);
        if let (Some(version), true) = (version, is_away) {
            set(&mut desired, "$version", version);
            let topic = HubTopic::Desired { version }.to_topic();
            let publish = Publish::at_most_once(topic, desired.to_string());
            self.notifications.insert(client_id, publish);
        }
    }
}

fn notifications_kept() -> Box<dyn Overlay> {
    on_both(
        Kept::default(),
        |kept, input| {
            kept.learn(&input);
            vec![input]
        },
        |kept, output| {
            if let Output::Respond(_, response) = &output {
                kept.keep(response.body());
            }
            let Some(id) = accepted(&output) else { return vec![output] };
            let publish = kept.notifications.remove(kept.clients.of(id));
            let notified = publish.map(|publish| Output::Send(id, Packet::Publish(publish)));
            [output].into_iter().chain(notified).collect()
        },
    )
}
