//! Where MQTT is spoken: TLS, WebSocket, and nowhere in clear text (HUB-CONN-001 to -006).

use tokio::time::Instant;
use twinspec_harness::device::Seen;
use twinspec_harness::tls::RsaSuite;
use twinspec_model::wire::mqtt::{Connect, ConnectCode, Packet, Qos};
use twinspec_model::wire::topic::Filter;

use crate::bench::{ANSWER, Bench, Connection, Registered, Upgrade, words};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "connection-tls",
        title: "A CONNECT of MQTT 3.1.1 over TLS is accepted",
        requirements: &["HUB-CONN-001"],
        needs: &[Need::Tls],
        run: body!(tls),
    },
    Case {
        id: "connection-websocket",
        title: "A device connects over WebSocket and reads its twin there",
        requirements: &["HUB-CONN-002"],
        needs: &[],
        run: body!(websocket),
    },
    Case {
        id: "connection-websocket-module",
        title: "A module connects over WebSocket",
        requirements: &["HUB-CONN-002"],
        needs: &[],
        run: body!(websocket_module),
    },
    Case {
        id: "connection-websocket-upgrade",
        title: "The upgrade at the documented path is answered 101 and selects mqtt",
        requirements: &["HUB-CONN-003"],
        needs: &[],
        run: body!(websocket_upgrade),
    },
    Case {
        id: "connection-websocket-query",
        title: "Unknown query parameters do not prevent the upgrade",
        requirements: &["HUB-CONN-004"],
        needs: &[],
        run: body!(websocket_query),
    },
    Case {
        id: "connection-no-clear-text",
        title: "A CONNECT without TLS is not answered",
        requirements: &["HUB-CONN-005"],
        needs: &[Need::Tls],
        run: body!(no_clear_text),
    },
    Case {
        id: "connection-tls-1-2-aes-128",
        title: "A client limited to TLS 1.2 and ECDHE-RSA-AES128-GCM-SHA256 is served",
        requirements: &["HUB-CONN-006"],
        needs: &[Need::Tls],
        run: |bench| Box::pin(tls_1_2(bench, RsaSuite::Aes128Gcm)),
    },
    Case {
        id: "connection-tls-1-2-aes-256",
        title: "A client limited to TLS 1.2 and ECDHE-RSA-AES256-GCM-SHA384 is served",
        requirements: &["HUB-CONN-006"],
        needs: &[Need::Tls],
        run: |bench| Box::pin(tls_1_2(bench, RsaSuite::Aes256Gcm)),
    },
];

const PATH: &str = "/$iothub/websocket";

/// The port that clear-text MQTT usually has, and the one that MQTT over TLS has.
const USUAL_PORTS: (u16, u16) = (1883, 8883);

async fn tls(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let login = bench.login(&device);
    bench.equal("HUB-CONN-001", "protocol level", 4, login.connect.level);
    let (mut connection, answer) = bench.connect_with("tls", &login).await?;
    bench.equal("HUB-CONN-001", "CONNACK", 0, answer.code.number());
    if answer.code == ConnectCode::Accepted {
        let open = connection.is_open().await?;
        bench.demand("HUB-CONN-001", open, "a connection that stays", "a closed connection");
    }
    Ok(())
}

async fn websocket(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let Some(mut connection) = demand_websocket(bench, "HUB-CONN-002", &device).await? else {
        return Ok(());
    };
    connection.subscribe(&Filter::TwinResponse, Qos::AtMostOnce).await?;
    let answer = connection.twin_get().await?;
    bench.equal("HUB-CONN-002", "status of a twin GET", 200, answer.status);
    Ok(())
}

async fn websocket_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_websocket(bench, "HUB-CONN-002", &module).await.map(drop)
}

/// Connects `who` over WebSocket and demands that it is accepted; the connection, if so.
pub(super) async fn demand_websocket(
    bench: &mut Bench,
    requirement: &'static str,
    who: &Registered,
) -> Checked<Option<Connection>> {
    let Upgrade { status, connection, .. } = bench.open_websocket(PATH, "mqtt").await?;
    let Some(mut connection) = connection else {
        let seen = format!("status {status}");
        bench.demand(requirement, false, "an upgrade that is answered 101 for mqtt", seen);
        return Ok(None);
    };
    let login = bench.login(who);
    connection.send(&Packet::Connect(Box::new(login.connect))).await?;
    let code = connection.expect(requirement, "a CONNACK over WebSocket", |packet| match packet {
        Packet::ConnAck(answer) => Some(answer.code),
        _ => None,
    });
    let code = code.await?;
    let accepted = bench.equal(requirement, "CONNACK over WebSocket", 0, code.number());
    Ok(accepted.then_some(connection))
}

async fn websocket_upgrade(bench: &mut Bench) -> Checked {
    let Upgrade { status, protocol, .. } = bench.open_websocket(PATH, "mqtt").await?;
    bench.equal("HUB-CONN-003", "status", 101, status);
    bench.equal("HUB-CONN-003", "sub-protocol", Some("mqtt".to_owned()), protocol);
    Ok(())
}

async fn websocket_query(bench: &mut Bench) -> Checked {
    let plain = bench.open_websocket(PATH, "mqtt").await?;
    if plain.status != 101 {
        return Err(Stop::Broken {
            requirement: "HUB-CONN-003",
            allowed: "101 without a query".to_owned(),
            seen: format!("status {}", plain.status),
        });
    }
    for query in ["iothub-no-client-cert=true", "suite=1&suite-empty="] {
        let upgrade = bench.open_websocket(&format!("{PATH}?{query}"), "mqtt").await?;
        bench.equal("HUB-CONN-004", &format!("status with {query}"), 101, upgrade.status);
    }
    Ok(())
}

async fn no_clear_text(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    let connect = bench.login(&device).connect;
    let port = bench.target.mqtt.port;
    let (clear, tls) = USUAL_PORTS;
    for port in if port == tls { vec![tls, clear] } else { vec![port] } {
        let answered = answers_in_clear_text(bench, port, &connect).await?;
        let seen = format!("a CONNACK in clear text at port {port}");
        bench.demand("HUB-CONN-005", !answered, "no CONNACK in clear text", seen);
    }
    Ok(())
}

/// Whether a CONNECT without TLS gets a CONNACK at `port`.
async fn answers_in_clear_text(bench: &mut Bench, port: u16, connect: &Connect) -> Checked<bool> {
    let Some(mut connection) = bench.open_clear("clear text", port).await else {
        return Ok(false);
    };
    let deadline = Instant::now() + bench.budget(ANSWER);
    let device = connection.raw();
    if device.send(&Packet::Connect(Box::new(connect.clone()))).await.is_err() {
        return Ok(false);
    }
    loop {
        match device.next(deadline).await {
            Some(Seen::Packet(Packet::ConnAck(_))) => return Ok(true),
            Some(Seen::Packet(_)) => {}
            // A TLS alert is no MQTT packet.
            Some(Seen::Malformed(_) | Seen::Closed) | None => return Ok(false),
        }
    }
}

async fn tls_1_2(bench: &mut Bench, suite: RsaSuite) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    let mut connection = match bench.open_with_suite("limited", suite).await? {
        Ok(connection) => connection,
        Err(error) => {
            let seen = format!("a handshake that fails: {error}");
            bench.demand(
                "HUB-CONN-006",
                false,
                format!("a handshake with {}", words(&suite)),
                seen,
            );
            return Ok(());
        }
    };
    let login = bench.login(&device);
    connection.send(&Packet::Connect(Box::new(login.connect))).await?;
    let code = connection.expect("HUB-CONN-006", "a CONNACK", |packet| match packet {
        Packet::ConnAck(answer) => Some(answer.code),
        _ => None,
    });
    let code = code.await?;
    bench.equal("HUB-CONN-006", "CONNACK", 0, code.number());
    Ok(())
}
