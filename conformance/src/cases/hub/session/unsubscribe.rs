//! The end of a subscription (HUB-SESS-011), and of no other (HUB-NOTI-001, HUB-TWIN-001).

use serde_json::json;
use twinspec_model::wire::mqtt::Qos;
use twinspec_model::wire::topic::Filter;

use super::grant::set_desired;
use super::silence::demand_not_notified;
use crate::bench::{Bench, Connection, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "session-unsubscribed-desired",
        title: "A device that unsubscribes is not notified any more",
        requirements: &["HUB-SESS-011"],
        needs: &[],
        run: body!(unsubscribed_desired),
    },
    Case {
        id: "session-unsubscribed-desired-module",
        title: "A module that unsubscribes is not notified any more",
        requirements: &["HUB-SESS-011"],
        needs: &[],
        run: body!(unsubscribed_desired_module),
    },
    Case {
        id: "session-unsubscribed-reconnected",
        title: "A device that unsubscribes is not notified after it has resumed its session either",
        requirements: &["HUB-SESS-011"],
        needs: &[],
        run: body!(unsubscribed_reconnected),
    },
    Case {
        id: "session-unsubscribed-others-notified",
        title: "A device that unsubscribes from twin answers and methods is still notified",
        requirements: &["HUB-NOTI-001"],
        needs: &[],
        run: body!(unsubscribed_others),
    },
    Case {
        id: "session-unsubscribed-others-answered",
        title: "A device that unsubscribes from notifications and methods still gets twin answers",
        requirements: &["HUB-TWIN-001"],
        needs: &[],
        run: body!(unsubscribed_all_but_answers),
    },
];

async fn unsubscribed_desired(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = unsubscribed(bench, &device).await?;
    demand_not_notified(bench, "HUB-SESS-011", &device, connection).await
}

async fn unsubscribed_desired_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let connection = unsubscribed(bench, &module).await?;
    demand_not_notified(bench, "HUB-SESS-011", &module, connection).await
}

async fn unsubscribed_reconnected(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = unsubscribed(bench, &device).await?;
    connection.disconnect().await?;
    let connection = bench.connect(&device).await?;
    demand_not_notified(bench, "HUB-SESS-011", &device, connection).await
}

/// A connection that was notified once and has unsubscribed.
async fn unsubscribed(bench: &mut Bench, who: &Registered) -> Checked<Connection> {
    let mut connection = bench.connect_and_listen(who).await?;
    let version = set_desired(bench, who, json!({ "fan": 1 })).await?;
    let seen = connection.notification().await?;
    bench.equal("HUB-NOTI-001", "version notified", version, seen.version);
    connection.unsubscribe(&Filter::Desired).await?;
    Ok(connection)
}

async fn unsubscribed_others(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let methods = Filter::Methods { name: None };
    connection.subscribe(&methods, Qos::AtMostOnce).await?;
    set_desired(bench, &device, json!({ "fan": 1 })).await?;
    connection.notification_by("HUB-NOTI-001").await?;
    for (filter, fan) in [(Filter::TwinResponse, 2), (methods, 3)] {
        connection.unsubscribe(&filter).await?;
        bench.settle().await;
        let version = set_desired(bench, &device, json!({ "fan": fan })).await?;
        let seen = connection.notification_by("HUB-NOTI-001").await?;
        let what = format!("version notified after UNSUBSCRIBE from {}", filter.to_filter());
        bench.equal("HUB-NOTI-001", &what, version, seen.version);
    }
    Ok(())
}

async fn unsubscribed_all_but_answers(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let methods = Filter::Methods { name: None };
    connection.subscribe(&methods, Qos::AtMostOnce).await?;
    connection.twin().await?;
    for filter in [Filter::Desired, methods] {
        connection.unsubscribe(&filter).await?;
        let answer = connection.twin_get().await?;
        let what = format!("status after UNSUBSCRIBE from {}", filter.to_filter());
        bench.equal("HUB-TWIN-001", &what, 200, answer.status);
    }
    Ok(())
}
