//! Defects of TLS and WebSocket (HUB-CONN-001 to -006).

use std::collections::BTreeSet;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::response::Parts;
use http::{HeaderValue, StatusCode, Uri};
use twinspec_harness::hub::Overlay;
use twinspec_harness::tls::ServerKeys;
use twinspec_model::hub::{ConnectionId, Input};
use twinspec_model::wire::mqtt::Packet;

use super::connect::spoil;
use crate::mutants::Mutant;
use crate::mutants::overlay::on_connect;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "connection-mqtt-3-1-1-refused",
        title: "A CONNECT of MQTT 3.1.1 is refused for its protocol level",
        requirements: &["HUB-CONN-001"],
        overlay: || {
            on_connect(|_, connect| {
                if connect.level == 4 {
                    connect.level = 3;
                }
            })
        },
    },
    Mutant {
        id: "connection-websocket-connect-refused",
        title: "Every CONNECT over WebSocket is refused",
        requirements: &["HUB-CONN-002"],
        overlay: || Box::new(RefusingWebSockets::default()),
    },
    Mutant {
        id: "connection-websocket-no-protocol",
        title: "The answer to an upgrade selects no sub-protocol",
        requirements: &["HUB-CONN-003"],
        overlay: || upgrading(|_, answer| drop(answer.headers.remove(SEC_WEBSOCKET_PROTOCOL))),
    },
    Mutant {
        id: "connection-websocket-other-protocol",
        title: "The answer to an upgrade selects mqttv3.1",
        requirements: &["HUB-CONN-003"],
        overlay: || {
            upgrading(|_, answer| {
                let other = HeaderValue::from_static("mqttv3.1");
                drop(answer.headers.insert(SEC_WEBSOCKET_PROTOCOL, other));
            })
        },
    },
    Mutant {
        id: "connection-websocket-not-found",
        title: "There is no WebSocket at the documented path",
        requirements: &["HUB-CONN-003"],
        overlay: || upgrading(|_, answer| answer.status = StatusCode::NOT_FOUND),
    },
    Mutant {
        id: "connection-websocket-query-refused",
        title: "An upgrade with a query is answered 400",
        requirements: &["HUB-CONN-004"],
        overlay: || {
            upgrading(|uri, answer| {
                if uri.query().is_some() {
                    answer.status = StatusCode::BAD_REQUEST;
                }
            })
        },
    },
    Mutant {
        id: "connection-clear-text",
        title: "The TLS port serves clients in clear text too",
        requirements: &["HUB-CONN-005"],
        overlay: || Box::new(ClearText),
    },
    Mutant {
        id: "connection-ecdsa-alone",
        title: "The hub has no RSA certificate for clients that offer RSA suites alone",
        requirements: &["HUB-CONN-006"],
        overlay: || Box::new(EcdsaAlone),
    },
];

struct EcdsaAlone;

impl Overlay for EcdsaAlone {
    fn server_keys(&self) -> ServerKeys {
        ServerKeys::EcdsaAlone
    }
}

struct ClearText;

impl Overlay for ClearText {
    fn takes_clear_text(&self) -> bool {
        true
    }
}

fn upgrading(edit: fn(&Uri, &mut Parts)) -> Box<dyn Overlay> {
    Box::new(Upgrading(edit))
}

struct Upgrading(fn(&Uri, &mut Parts));

impl Overlay for Upgrading {
    fn upgrade(&mut self, uri: &Uri, answer: &mut Parts) {
        (self.0)(uri, answer);
    }
}

/// What is opened after an upgrade is a WebSocket.
#[derive(Default)]
struct RefusingWebSockets {
    upgrades: usize,
    opened: BTreeSet<ConnectionId>,
}

impl Overlay for RefusingWebSockets {
    fn input(&mut self, mut input: Input) -> Vec<Input> {
        match &mut input {
            Input::Opened(id, _) if self.upgrades > 0 => {
                self.upgrades -= 1;
                self.opened.insert(*id);
            }
            Input::Packet(id, Packet::Connect(connect)) if self.opened.contains(id) => {
                spoil(connect);
            }
            _ => {}
        }
        vec![input]
    }

    fn upgrade(&mut self, _: &Uri, _: &mut Parts) {
        self.upgrades += 1;
    }
}
