//! What happens while a device is away (HUB-SESS-016).

use serde_json::{Value, json};
use twinspec_model::wire::mqtt::Qos;
use twinspec_model::wire::topic::Filter;

use super::grant::set_desired;
use crate::bench::{Bench, Connection, Registered, words};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "session-away-not-notified",
        title: "Changes made while a device is away are not notified when it is back",
        requirements: &["HUB-SESS-016"],
        needs: &[],
        run: body!(away_not_notified),
    },
    Case {
        id: "session-cut-not-notified",
        title: "Changes made after a cut connection are not notified when the device is back",
        requirements: &["HUB-SESS-016"],
        needs: &[],
        run: body!(cut_not_notified),
    },
    Case {
        id: "session-away-not-notified-module",
        title: "Changes made while a module is away are not notified when it is back",
        requirements: &["HUB-SESS-016"],
        needs: &[],
        run: body!(away_not_notified_module),
    },
];

async fn away_not_notified(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    notified_once(bench, &device).await?.disconnect().await?;
    demand_nothing_queued(bench, &device).await
}

async fn cut_not_notified(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    // At QoS 1, which a hub might take for a reason to queue.
    let mut connection = notified_once(bench, &device).await?;
    connection.subscribe(&Filter::Desired, Qos::AtLeastOnce).await?;
    connection.cut().await;
    noticed(bench, &device).await?;
    demand_nothing_queued(bench, &device).await
}

async fn away_not_notified_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    notified_once(bench, &module).await?.disconnect().await?;
    demand_nothing_queued(bench, &module).await
}

/// Waits until the hub has noticed that a connection is gone, as far as back ends are told.
pub(super) async fn noticed(bench: &mut Bench, who: &Registered) -> Checked {
    let shows = |twin: &Value| twin.get("connectionState") == Some(&json!("Disconnected"));
    bench.watch_twin(&who.identity, shows).await.map(drop)
}

async fn notified_once(bench: &mut Bench, who: &Registered) -> Checked<Connection> {
    let mut connection = bench.connect_and_listen(who).await?;
    set_desired(bench, who, json!({ "fan": 1 })).await?;
    connection.notification().await?;
    Ok(connection)
}

/// Demands that changes made now, while `who` is away, are not notified when it comes back: the
/// first notification is that of a change made then.
async fn demand_nothing_queued(bench: &mut Bench, who: &Registered) -> Checked {
    for fan in [2, 3] {
        set_desired(bench, who, json!({ "fan": fan })).await?;
    }
    // Subscribed again, so that a hub which forgets subscriptions is judged on this rule alone.
    let mut connection = bench.connect_and_listen(who).await?;
    connection.twin().await?;
    let sentinel = set_desired(bench, who, json!({ "sentinel": true })).await?;
    let before = connection.notifications_before(sentinel).await?;
    let seen = words(&before);
    bench.demand("HUB-SESS-016", before.is_empty(), "no notification of old changes", seen);
    Ok(())
}
