//! Nothing is delivered that was not subscribed (HUB-SESS-007, -009).

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
        id: "session-desired-unsubscribed",
        title: "A device is not notified before it subscribes, even when it listens to answers",
        requirements: &["HUB-SESS-007"],
        needs: &[],
        run: body!(desired_unsubscribed),
    },
    Case {
        id: "session-desired-unsubscribed-module",
        title: "A module is not notified before it subscribes",
        requirements: &["HUB-SESS-007"],
        needs: &[],
        run: body!(desired_unsubscribed_module),
    },
    Case {
        id: "session-answers-unsubscribed",
        title: "A device gets no twin answer before it subscribes to answers",
        requirements: &["HUB-SESS-007"],
        needs: &[],
        run: body!(answers_unsubscribed),
    },
    Case {
        id: "session-clean-not-notified",
        title: "A device with a clean session is not notified until it subscribes again",
        requirements: &["HUB-SESS-009"],
        needs: &[],
        run: body!(clean_not_notified),
    },
    Case {
        id: "session-clean-not-answered",
        title: "A device with a clean session gets no twin answer until it subscribes again",
        requirements: &["HUB-SESS-009"],
        needs: &[],
        run: body!(clean_not_answered),
    },
];

async fn desired_unsubscribed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    connection.subscribe(&Filter::TwinResponse, Qos::AtMostOnce).await?;
    demand_not_notified(bench, "HUB-SESS-007", &device, connection).await
}

async fn desired_unsubscribed_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let connection = bench.connect(&module).await?;
    demand_not_notified(bench, "HUB-SESS-007", &module, connection).await
}

async fn answers_unsubscribed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = bench.connect(&device).await?;
    demand_not_answered(bench, "HUB-SESS-007", &device, connection).await
}

async fn clean_not_notified(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    set_desired(bench, &device, json!({ "fan": 1 })).await?;
    connection.notification().await?;
    connection.disconnect().await?;
    let connection = connect_clean(bench, &device).await?;
    demand_not_notified(bench, "HUB-SESS-009", &device, connection).await
}

async fn clean_not_answered(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.twin().await?;
    connection.disconnect().await?;
    let connection = connect_clean(bench, &device).await?;
    demand_not_answered(bench, "HUB-SESS-009", &device, connection).await
}

/// Connects with a clean session.
async fn connect_clean(bench: &mut Bench, device: &Registered) -> Checked<Connection> {
    let mut login = bench.login(device);
    login.connect.clean_session = true;
    let (connection, answer) = bench.connect_with("clean", &login).await?;
    bench.equal("HUB-SESS-009", "CONNACK to a clean session", 0, answer.code.number());
    Ok(connection)
}

/// Demands that a change made now is not notified: after a SUBSCRIBE, the next one is.
pub(super) async fn demand_not_notified(
    bench: &mut Bench,
    requirement: &'static str,
    who: &Registered,
    mut connection: Connection,
) -> Checked {
    bench.settle().await;
    set_desired(bench, who, json!({ "unheard": true })).await?;
    connection.subscribe(&Filter::Desired, Qos::AtMostOnce).await?;
    bench.settle().await;
    let sentinel = set_desired(bench, who, json!({ "heard": true })).await?;
    let before = connection.notifications_before(sentinel).await?;
    let seen = words(&before);
    bench.demand(requirement, before.is_empty(), "no notification before SUBSCRIBE", seen);
    Ok(())
}

/// Demands that a report made now is not answered, though it is processed.
async fn demand_not_answered(
    bench: &mut Bench,
    requirement: &'static str,
    who: &Registered,
    mut connection: Connection,
) -> Checked {
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=unheard";
    connection.publish(topic, "{\"fan\":7}").await?;
    // Once the back end sees it, an answer would be on its way.
    let shows = |twin: &Value| twin.pointer("/properties/reported/fan") == Some(&json!(7));
    bench.watch_twin(&who.identity, shows).await?;
    connection.subscribe(&Filter::TwinResponse, Qos::AtMostOnce).await?;
    connection.publish("$iothub/twin/GET/?$rid=heard", "").await?;
    let first = connection.any_twin_answer("HUB-TWIN-001").await?;
    bench.equal(requirement, "request id of the first answer", "heard", &first.rid);
    Ok(())
}
