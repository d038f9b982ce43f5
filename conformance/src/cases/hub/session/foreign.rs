//! Filters that are not the device's own (HUB-SESS-014, -015).

use tokio::time::Instant;
use twinspec_harness::device::Seen;
use twinspec_model::wire::mqtt::{Packet, Qos, Subscribe};

use super::device_bound::{device_bound, listen};
use crate::bench::{ANSWER, Bench, Connection, words};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "session-unknown-filter-closes",
        title: "A filter that is not documented ends the connection",
        requirements: &["HUB-SESS-014"],
        needs: &[],
        run: body!(unknown_filter_closes),
    },
    Case {
        id: "session-wildcard-filter-closes",
        title: "A filter for everything ends the connection",
        requirements: &["HUB-SESS-014"],
        needs: &[],
        run: body!(wildcard_filter_closes),
    },
    Case {
        id: "session-foreign-device-bound",
        title: "A device does not receive the messages of another one whose filter it asks for",
        requirements: &["HUB-SESS-015"],
        needs: &[Need::Control],
        run: body!(foreign_device_bound),
    },
    Case {
        id: "session-all-device-bound",
        title: "A device does not receive the messages of another one by a wildcard filter",
        requirements: &["HUB-SESS-015"],
        needs: &[Need::Control],
        run: body!(all_device_bound),
    },
];

async fn unknown_filter_closes(bench: &mut Bench) -> Checked {
    demand_closed_by(bench, &["suite/none/#", "suite/none"]).await
}

async fn wildcard_filter_closes(bench: &mut Bench) -> Checked {
    demand_closed_by(bench, &["#", "$iothub/#"]).await
}

async fn demand_closed_by(bench: &mut Bench, filters: &[&str]) -> Checked {
    let device = bench.device().await?;
    for filter in filters {
        let mut connection = bench.connect_and_listen(&device).await?;
        let after = subscribe(bench, &mut connection, filter).await?;
        let closed = matches!(after, After::Closed);
        let allowed = format!("the connection closed by a SUBSCRIBE to {filter}");
        bench.demand("HUB-SESS-014", closed, allowed, words(&after));
    }
    Ok(())
}

/// What came of a SUBSCRIBE.
#[derive(Debug)]
enum After {
    /// The hub ended the connection.
    Closed,
    /// A SUBACK, `None` for failure.
    Answered(#[expect(dead_code, reason = "shown in findings by its Debug form")] Vec<Option<Qos>>),
}

async fn subscribe(bench: &mut Bench, connection: &mut Connection, filter: &str) -> Checked<After> {
    let id = connection.new_id();
    let filters = vec![(filter.to_owned(), Qos::AtMostOnce)];
    connection.send(&Packet::Subscribe(Subscribe { id, filters })).await?;
    let deadline = Instant::now() + bench.budget(ANSWER);
    loop {
        match connection.raw().next(deadline).await {
            Some(Seen::Packet(Packet::SubAck(suback))) => {
                return Ok(After::Answered(suback.granted));
            }
            Some(Seen::Packet(_)) => {}
            Some(Seen::Closed) => return Ok(After::Closed),
            Some(Seen::Malformed(what)) => return Err(Stop::Inconclusive(what.to_string())),
            None => {
                let what = format!("neither a SUBACK for {filter} nor the end");
                return Err(Stop::Inconclusive(what));
            }
        }
    }
}

async fn foreign_device_bound(bench: &mut Bench) -> Checked {
    demand_own_messages_only(bench, |other| format!("devices/{other}/messages/devicebound/#")).await
}

async fn all_device_bound(bench: &mut Bench) -> Checked {
    demand_own_messages_only(bench, |_| "devices/+/messages/devicebound/#".to_owned()).await
}

/// Demands that a device which asks for another's messages receives none of them: the first that
/// it receives is its own, sent later.
async fn demand_own_messages_only(bench: &mut Bench, filter: fn(&str) -> String) -> Checked {
    let device = bench.device().await?;
    let other = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let mut others = bench.connect(&other).await?;
    listen(&mut others, &other).await?;
    let after = subscribe(bench, &mut connection, &filter(&other.identity.device)).await?;
    if matches!(after, After::Closed) {
        // Refused, and still: the session must not have kept the subscription.
        connection = bench.connect(&device).await?;
    }
    listen(&mut connection, &device).await?;
    bench.settle().await;
    bench.send_to_device(&other.identity.device, &[], "for the other").await?;
    let received = device_bound("HUB-SESS-007", &mut others).await?;
    let body = String::from_utf8_lossy(&received.payload);
    bench.equal("HUB-SESS-007", "body", "for the other", &body);
    bench.send_to_device(&device.identity.device, &[], "own").await?;
    let first = device_bound("HUB-SESS-015", &mut connection).await?;
    let body = String::from_utf8_lossy(&first.payload);
    bench.equal("HUB-SESS-015", "body of the first message", "own", &body);
    Ok(())
}
