//! Defects of the order of packets and of take-overs (HUB-CONN-018 to -020).

use std::collections::BTreeSet;

use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::{ConnAck, ConnectCode, Packet};

use super::connect::spoil;
use crate::mutants::Mutant;
use crate::mutants::overlay::{ClientIds, accepted, answering, on_both, remembering};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "connection-early-ping-answered",
        title: "A PINGREQ before any CONNECT is answered",
        requirements: &["HUB-CONN-018"],
        overlay: || {
            answering_by_order(|id, packet, is_first| {
                let answer = Output::Send(id, Packet::PingResp);
                (is_first && *packet == Packet::PingReq).then(|| vec![answer])
            })
        },
    },
    Mutant {
        id: "connection-early-packets-ignored",
        title: "Packets before any CONNECT are ignored",
        requirements: &["HUB-CONN-018"],
        overlay: || {
            answering_by_order(|_, packet, is_first| {
                (is_first && !matches!(packet, Packet::Connect(_))).then(Vec::new)
            })
        },
    },
    Mutant {
        id: "connection-second-connect-answered",
        title: "A second CONNECT is answered with CONNACK 0",
        requirements: &["HUB-CONN-018"],
        overlay: || {
            answering_by_order(|id, packet, is_first| {
                let code = ConnectCode::Accepted;
                let answer = Packet::ConnAck(ConnAck { session_present: true, code });
                let is_second = !is_first && matches!(packet, Packet::Connect(_));
                is_second.then(|| vec![Output::Send(id, answer)])
            })
        },
    },
    Mutant {
        id: "connection-older-kept",
        title: "The existing connection of an identity stays when a new one is let in",
        requirements: &["HUB-CONN-019"],
        overlay: || {
            remembering(None, remember_connecting, |connecting, output| match output {
                Output::Close(id) if connecting.is_some_and(|new| new != id) => Vec::new(),
                other => vec![other],
            })
        },
    },
    Mutant {
        id: "connection-both-dropped",
        title: "A take-over ends both connections",
        requirements: &["HUB-CONN-019"],
        overlay: both_dropped,
    },
    Mutant {
        id: "connection-newer-refused",
        title: "A CONNECT is refused while the identity is connected",
        requirements: &["HUB-CONN-019"],
        overlay: newer_refused,
    },
    Mutant {
        id: "connection-device-drops-modules",
        title: "The connection of a device ends those of its modules",
        requirements: &["HUB-CONN-020"],
        overlay: || dropping_others(|new, old| old.starts_with(&format!("{new}/"))),
    },
    Mutant {
        id: "connection-module-drops-modules",
        title: "The connection of a module ends those of other modules of its device",
        requirements: &["HUB-CONN-020"],
        overlay: || {
            dropping_others(|new, old| match (new.split_once('/'), old.split_once('/')) {
                (Some((device, new)), Some((same, old))) => device == same && new != old,
                _ => false,
            })
        },
    },
];

/// Answers packets in the model's place, told whether they are the first of their connection.
fn answering_by_order(
    answer: fn(ConnectionId, &Packet, bool) -> Option<Vec<Output>>,
) -> Box<dyn Overlay> {
    let mut connected = BTreeSet::new();
    answering(move |id, packet| {
        let answered = answer(id, packet, !connected.contains(&id));
        if matches!(packet, Packet::Connect(_)) {
            connected.insert(id);
        }
        answered
    })
}

/// Remembers which connection the input being handled wants to connect.
fn remember_connecting(connecting: &mut Option<ConnectionId>, input: Input) -> Vec<Input> {
    *connecting = match &input {
        Input::Packet(id, Packet::Connect(_)) => Some(*id),
        _ => None,
    };
    vec![input]
}

fn both_dropped() -> Box<dyn Overlay> {
    on_both(
        (None, false),
        |(connecting, ended), input| {
            *ended = false;
            remember_connecting(connecting, input)
        },
        |(connecting, ended), output| {
            if let (Output::Close(id), Some(new)) = (&output, *connecting) {
                *ended = *id != new;
            }
            match accepted(&output) {
                Some(id) if *ended => vec![output, Output::Close(id)],
                _ => vec![output],
            }
        },
    )
}

fn newer_refused() -> Box<dyn Overlay> {
    on_both(
        ClientIds::default(),
        |clients, mut input| {
            if let Input::Packet(_, Packet::Connect(connect)) = &mut input
                && clients.iter().any(|(_, client_id)| client_id == connect.client_id)
            {
                spoil(connect);
            }
            clients.learn(&input);
            vec![input]
        },
        |_, output| vec![output],
    )
}

/// Closes connections when another is let in, by the client ids of the new and the old one.
fn dropping_others(drops: fn(&str, &str) -> bool) -> Box<dyn Overlay> {
    on_both(
        ClientIds::default(),
        |clients, input| {
            clients.learn(&input);
            vec![input]
        },
        move |clients, output| {
            let Some(id) = accepted(&output) else { return vec![output] };
            let new = clients.of(id).to_owned();
            let dropped = clients.iter().filter(|(_, old)| drops(&new, old));
            let dropped = dropped.map(|(id, _)| Output::Close(id));
            dropped.chain([output]).collect()
        },
    )
}
