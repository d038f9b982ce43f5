//! Keep-alive: how long a client may be silent (HUB-CONN-021 to -024).

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use twinspec_harness::device::Seen;
use twinspec_harness::operator::Answer;
use twinspec_model::wire::mqtt::{Packet, Publish, Qos, Subscribe, Unsubscribe};
use twinspec_model::wire::topic::Filter;

use super::login::demand_accepted;
use crate::bench::{ANSWER, Bench, Connection, Registered, identity_path};
use crate::body;
use crate::case::{Case, Need};
use crate::cases::hub::registry::calls::watch;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "connection-idle-dropped",
        title: "A device silent for more than one and a half of its keep-alive is dropped, no earlier",
        requirements: &["HUB-CONN-021"],
        needs: &[Need::Clock],
        run: body!(idle_dropped),
    },
    Case {
        id: "connection-idle-dropped-module",
        title: "A module silent for more than one and a half of its keep-alive is dropped, no earlier",
        requirements: &["HUB-CONN-021"],
        needs: &[Need::Clock],
        run: body!(idle_dropped_module),
    },
    Case {
        id: "connection-idle-limit",
        title: "A device that asks for an hour is dropped after half of it",
        requirements: &["HUB-CONN-022"],
        needs: &[Need::Clock],
        run: body!(idle_limit),
    },
    Case {
        id: "connection-long-keep-alive",
        title: "A keep-alive that the hub will not honour is not refused",
        requirements: &["HUB-CONN-023"],
        needs: &[],
        run: body!(long_keep_alive),
    },
    Case {
        id: "connection-ping-answered",
        title: "A PINGREQ is answered",
        requirements: &["HUB-CONN-024"],
        needs: &[],
        run: body!(ping_answered),
    },
    Case {
        id: "connection-ping-restarts-timer",
        title: "A device that only pings stays connected",
        requirements: &["HUB-CONN-024"],
        needs: &[Need::Clock],
        run: body!(ping_restarts_timer),
    },
    Case {
        id: "connection-publish-restarts-timer",
        title: "A device that only publishes stays connected",
        requirements: &["HUB-CONN-024"],
        needs: &[Need::Clock],
        run: body!(publish_restarts_timer),
    },
    Case {
        id: "connection-twin-get-restarts-timer",
        title: "A device that only publishes at QoS 0 stays connected",
        requirements: &["HUB-CONN-024"],
        needs: &[Need::Clock],
        run: body!(twin_get_restarts_timer),
    },
    Case {
        id: "connection-any-packet-restarts-timer",
        title: "A device that only subscribes and unsubscribes stays connected",
        requirements: &["HUB-CONN-024"],
        needs: &[Need::Clock],
        run: body!(any_packet_restarts_timer),
    },
    Case {
        id: "connection-puback-restarts-timer",
        title: "A device that only acknowledges messages stays connected",
        requirements: &["HUB-CONN-024"],
        needs: &[Need::Clock, Need::Control],
        run: body!(puback_restarts_timer),
    },
];

async fn idle_dropped(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_dropped(bench, &device, 40).await
}

async fn idle_dropped_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_dropped(bench, &module, 60).await
}

/// Demands that `who` may be silent for 1.3 of `keep_alive`, and not for 1.8 of it.
async fn demand_dropped(bench: &mut Bench, who: &Registered, keep_alive: u16) -> Checked {
    let mut connection = connect(bench, "HUB-CONN-021", who, keep_alive).await?;
    let keep_alive = Duration::from_secs(keep_alive.into());
    bench.advance(keep_alive.mul_f64(1.3)).await?;
    let open = connection.is_open().await?;
    let allowed = "a connection that outlives 1.3 of its keep-alive";
    if bench.demand("HUB-CONN-021", open, allowed, "a closed connection") {
        bench.advance(keep_alive.mul_f64(1.8)).await?;
        connection.closed("HUB-CONN-021").await?;
    }
    Ok(())
}

async fn idle_limit(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = connect(bench, "HUB-CONN-023", &device, 3600).await?;
    // Five per cent on either side of 1767 s.
    bench.advance(Duration::from_secs(1678)).await?;
    let open = connection.is_open().await?;
    let allowed = "a connection that outlives 1678 s at a keep-alive of 3600";
    if bench.demand("HUB-CONN-021", open, allowed, "a closed connection") {
        bench.advance(Duration::from_secs(1856)).await?;
        let before = connection.closed("HUB-CONN-022").await?;
        bench.equal("HUB-CONN-022", "packets before the end", 0, before.len());
    }
    Ok(())
}

async fn long_keep_alive(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    for keep_alive in [1300, 3600, u16::MAX] {
        let mut login = bench.login(&device);
        login.connect.keep_alive = keep_alive;
        demand_accepted(bench, "HUB-CONN-023", &login).await?;
    }
    Ok(())
}

async fn ping_answered(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    for _ in 0..2 {
        demand_ping_answered(bench, &mut connection).await?;
    }
    Ok(())
}

/// Demands a PINGRESP. The answer to a SUBSCRIBE sent with the PINGREQ shows that the hub is there.
async fn demand_ping_answered(bench: &mut Bench, connection: &mut Connection) -> Checked {
    connection.send(&Packet::PingReq).await?;
    let subscribe = subscribe(connection);
    connection.send(&subscribe).await?;
    let deadline = Instant::now() + bench.budget(ANSWER);
    let (mut answered, mut there) = (false, false);
    while !(answered && there) {
        match connection.raw().next(deadline).await {
            Some(Seen::Packet(Packet::PingResp)) => answered = true,
            Some(Seen::Packet(Packet::SubAck(_))) => there = true,
            Some(Seen::Packet(_)) => {}
            Some(other) => {
                bench.demand("HUB-CONN-024", false, "PINGRESP", other.to_string());
                return Ok(());
            }
            None if there => break,
            None => return Err(Stop::Inconclusive("neither PINGRESP nor SUBACK".to_owned())),
        }
    }
    let seen = "a SUBACK, but no PINGRESP to the PINGREQ before";
    bench.demand("HUB-CONN-024", answered, "PINGRESP", seen);
    Ok(())
}

async fn ping_restarts_timer(bench: &mut Bench) -> Checked {
    demand_kept_by(bench, |_, _| Packet::PingReq).await
}

async fn publish_restarts_timer(bench: &mut Bench) -> Checked {
    demand_kept_by(bench, |connection, device| {
        let topic = format!("{}/messages/events/", device.identity.resource_path());
        // Acknowledged, so that the clock moves after the hub has seen it.
        Packet::Publish(Publish::at_least_once(connection.new_id(), topic, "still here"))
    })
    .await
}

async fn twin_get_restarts_timer(bench: &mut Bench) -> Checked {
    demand_kept_by(bench, |connection, _| {
        let topic = format!("$iothub/twin/GET/?$rid={}", connection.new_rid());
        Packet::Publish(Publish::at_most_once(topic, ""))
    })
    .await
}

async fn any_packet_restarts_timer(bench: &mut Bench) -> Checked {
    let mut subscribes = false;
    demand_kept_by(bench, |connection, _| {
        subscribes = !subscribes;
        if subscribes {
            return subscribe(connection);
        }
        let filters = vec![FILTER.to_owned()];
        Packet::Unsubscribe(Unsubscribe { id: connection.new_id(), filters })
    })
    .await
}

async fn puback_restarts_timer(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let id = device.identity.device.clone();
    let mut connection = connect(bench, "HUB-CONN-007", &device, 10).await?;
    connection.subscribe(&Filter::DeviceBound { device: id.clone() }, Qos::AtLeastOnce).await?;
    bench.settle().await;
    let mut messages = Vec::new();
    for _ in 0..3 {
        bench.send_to_device(&id, &[], "for you").await?;
        let message = connection.expect("HUB-TELE-009", "a message at QoS 1", |packet| {
            if let Packet::Publish(publish) = packet { publish.delivery.id() } else { None }
        });
        messages.push(message.await?);
    }
    for (index, message) in messages.into_iter().enumerate() {
        bench.advance(Duration::from_secs(8)).await?;
        if connection.raw().send(&Packet::PubAck(message)).await.is_err() {
            break;
        }
        // No packet answers a PUBACK: the back end sees that the hub has read it.
        let count = json!(2_usize.saturating_sub(index));
        let is_read =
            |answer: &Answer| answer.json().get("cloudToDeviceMessageCount") == Some(&count);
        watch(bench, &identity_path(&device.identity), is_read).await?;
    }
    bench.advance(Duration::from_secs(8)).await?;
    let open = connection.is_open().await?;
    let allowed = "a connection that a PUBACK every 8 s keeps at a keep-alive of 10";
    bench.demand("HUB-CONN-024", open, allowed, "a closed connection");
    Ok(())
}

const FILTER: &str = "$iothub/twin/res/#";

fn subscribe(connection: &mut Connection) -> Packet {
    let filters = vec![(FILTER.to_owned(), Qos::AtMostOnce)];
    Packet::Subscribe(Subscribe { id: connection.new_id(), filters })
}

/// Demands that a packet of one kind every 8 s keeps a connection with a keep-alive of 10 s.
async fn demand_kept_by(
    bench: &mut Bench,
    mut packet: impl FnMut(&mut Connection, &Registered) -> Packet,
) -> Checked {
    let device = bench.device().await?;
    let mut connection = connect(bench, "HUB-CONN-007", &device, 10).await?;
    connection.subscribe(&Filter::TwinResponse, Qos::AtMostOnce).await?;
    for _ in 0..5 {
        bench.advance(Duration::from_secs(8)).await?;
        let packet = packet(&mut connection, &device);
        let deadline = Instant::now() + bench.budget(ANSWER);
        let seen = match connection.raw().send(&packet).await {
            Ok(()) => connection.raw().next(deadline).await,
            Err(_) => Some(Seen::Closed),
        };
        let name = packet.name();
        let Some(seen) = seen else {
            return Err(Stop::Inconclusive(format!("{name}: neither an answer nor the end")));
        };
        let kept = matches!(seen, Seen::Packet(_));
        let allowed = format!("an answer to {name} 8 s after the packet before");
        if !bench.demand("HUB-CONN-024", kept, allowed, seen.to_string()) {
            return Ok(());
        }
    }
    Ok(())
}

/// Connects with another keep-alive.
async fn connect(
    bench: &mut Bench,
    requirement: &'static str,
    who: &Registered,
    keep_alive: u16,
) -> Checked<Connection> {
    let mut login = bench.login(who);
    login.connect.keep_alive = keep_alive;
    let connection = demand_accepted(bench, requirement, &login).await?;
    connection.ok_or_else(|| Stop::Broken {
        requirement,
        allowed: format!("a connection with a keep-alive of {keep_alive} s"),
        seen: "a refusal".to_owned(),
    })
}
