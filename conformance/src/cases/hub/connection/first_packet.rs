//! CONNECT comes first and once (HUB-CONN-018).

use tokio::time::Instant;
use twinspec_harness::device::Seen;
use twinspec_model::wire::mqtt::{Packet, Publish, Qos, Subscribe};

use crate::bench::{ANSWER, Bench, Connection};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "connection-ping-first",
        title: "A PINGREQ before any CONNECT closes the connection unanswered",
        requirements: &["HUB-CONN-018"],
        needs: &[],
        run: body!(ping_first),
    },
    Case {
        id: "connection-publish-first",
        title: "A PUBLISH or SUBSCRIBE before any CONNECT closes the connection unanswered",
        requirements: &["HUB-CONN-018"],
        needs: &[],
        run: body!(publish_first),
    },
    Case {
        id: "connection-connect-twice",
        title: "A second CONNECT closes the connection unanswered",
        requirements: &["HUB-CONN-018"],
        needs: &[],
        run: body!(connect_twice),
    },
];

async fn ping_first(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    let connection = bench.open("early").await?;
    demand_closed_by(bench, connection, &Packet::PingReq).await
}

async fn publish_first(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    let mut connection = bench.open("early").await?;
    let topic = format!("{}/messages/events/", device.identity.resource_path());
    let publish = Publish::at_least_once(connection.new_id(), topic, "early");
    demand_closed_by(bench, connection, &Packet::Publish(publish)).await?;
    let mut connection = bench.open("early").await?;
    let filters = vec![("$iothub/twin/res/#".to_owned(), Qos::AtMostOnce)];
    let subscribe = Subscribe { id: connection.new_id(), filters };
    demand_closed_by(bench, connection, &Packet::Subscribe(subscribe)).await
}

async fn connect_twice(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = bench.connect(&device).await?;
    let connect = bench.login(&device).connect;
    demand_closed_by(bench, connection, &Packet::Connect(Box::new(connect))).await
}

/// Demands that the hub answers `packet` with nothing but the end of the connection.
async fn demand_closed_by(
    bench: &mut Bench,
    mut connection: Connection,
    packet: &Packet,
) -> Checked {
    let name = packet.name();
    connection.send(packet).await?;
    let deadline = Instant::now() + bench.budget(ANSWER);
    let seen = match connection.raw().next(deadline).await {
        Some(Seen::Closed) => None,
        Some(other) => Some(format!("{other} in answer to {name}")),
        None => Some(format!("an open connection after {name}")),
    };
    let text = seen.clone().unwrap_or_default();
    bench.demand("HUB-CONN-018", seen.is_none(), "the connection closed", text);
    Ok(())
}
