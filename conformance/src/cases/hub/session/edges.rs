//! Packets that many a server reads too hastily (HUB-SESS-004, -007, -011, -013, HUB-TWIN).

use serde_json::json;
use twinspec_model::wire::mqtt::{Packet, Publish, Qos, Unsubscribe};
use twinspec_model::wire::topic::Filter;

use super::grant::{ask, connect_with_five, set_desired};
use super::silence::demand_not_notified;
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "session-unsubscribed-from-two",
        title: "One UNSUBSCRIBE ends each of the subscriptions that it names",
        requirements: &["HUB-SESS-011"],
        needs: &[],
        run: body!(unsubscribed_from_two),
    },
    Case {
        id: "session-clean-leaves-nothing",
        title: "What was subscribed in a clean session is not subscribed after it",
        requirements: &["HUB-SESS-007"],
        needs: &[],
        run: body!(clean_leaves_nothing),
    },
    Case {
        id: "session-five-filters-again",
        title: "One of five filters can be subscribed again",
        requirements: &["HUB-SESS-013"],
        needs: &[],
        run: body!(five_filters_again),
    },
    Case {
        id: "session-qos-1-again-acknowledged",
        title: "A PUBLISH that is sent again, with DUP, is acknowledged",
        requirements: &["HUB-SESS-004"],
        needs: &[],
        run: body!(qos_1_again_acknowledged),
    },
    Case {
        id: "session-first-with-dup-answered",
        title: "A twin request whose first PUBLISH was lost, sent with DUP, is answered",
        requirements: &["HUB-TWIN-001"],
        needs: &[],
        run: body!(first_with_dup_answered),
    },
    Case {
        id: "session-report-with-dup-kept",
        title: "A report whose first PUBLISH was lost, sent with DUP, is kept",
        requirements: &["HUB-TWIN-008"],
        needs: &[],
        run: body!(report_with_dup_kept),
    },
];

async fn unsubscribed_from_two(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    set_desired(bench, &device, json!({ "fan": 1 })).await?;
    connection.notification().await?;
    let id = connection.new_id();
    let filters = [Filter::TwinResponse, Filter::Desired].map(|filter| filter.to_filter()).to_vec();
    connection.send(&Packet::Unsubscribe(Unsubscribe { id, filters })).await?;
    let is_answer = |packet: &Packet| (*packet == Packet::UnsubAck(id)).then_some(());
    connection.expect("HUB-SESS-011", "an UNSUBACK", is_answer).await?;
    demand_not_notified(bench, "HUB-SESS-011", &device, connection).await
}

async fn clean_leaves_nothing(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut login = bench.login(&device);
    login.connect.clean_session = true;
    let (mut connection, answer) = bench.connect_with("clean", &login).await?;
    bench.equal("HUB-SESS-009", "CONNACK to a clean session", 0, answer.code.number());
    connection.subscribe(&Filter::Desired, Qos::AtMostOnce).await?;
    bench.settle().await;
    set_desired(bench, &device, json!({ "fan": 1 })).await?;
    connection.notification().await?;
    connection.disconnect().await?;
    let connection = bench.connect(&device).await?;
    demand_not_notified(bench, "HUB-SESS-007", &device, connection).await
}

async fn five_filters_again(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = connect_with_five(bench, &device).await?;
    let asked = [(Filter::TwinResponse.to_filter(), Qos::AtMostOnce)];
    let granted = ask(&mut connection, "HUB-SESS-013", &asked).await?;
    bench.equal("HUB-SESS-013", "grant", vec![Some(Qos::AtMostOnce)], granted);
    let answer = connection.twin_get().await?;
    bench.equal("HUB-SESS-013", "status of a twin GET", 200, answer.status);
    Ok(())
}

async fn qos_1_again_acknowledged(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let telemetry = format!("{}/messages/events/", device.identity.resource_path());
    for topic in [telemetry.as_str(), "$iothub/twin/GET/?$rid=again"] {
        let id = connection.new_id();
        for dup in [false, true] {
            let publish = Publish { dup, ..Publish::at_least_once(id, topic, "{}") };
            connection.send(&Packet::Publish(publish)).await?;
            let is_answer = |packet: &Packet| (*packet == Packet::PubAck(id)).then_some(());
            connection.expect("HUB-SESS-004", &format!("PUBACK {id}"), is_answer).await?;
        }
    }
    bench.demand("HUB-SESS-004", true, "a PUBACK each time", "a PUBACK each time");
    Ok(())
}

async fn first_with_dup_answered(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.twin().await?;
    let (id, rid) = (connection.new_id(), connection.new_rid());
    let topic = format!("$iothub/twin/GET/?$rid={rid}");
    let publish = Publish { dup: true, ..Publish::at_least_once(id, topic, "") };
    connection.send(&Packet::Publish(publish)).await?;
    let answer = connection.twin_answer("HUB-TWIN-001", &rid).await?;
    bench.equal("HUB-TWIN-001", "status", 200, answer.status);
    Ok(())
}

async fn report_with_dup_kept(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "fan": 1 })).await?;
    let (id, rid) = (connection.new_id(), connection.new_rid());
    let topic = format!("$iothub/twin/PATCH/properties/reported/?$rid={rid}");
    let publish = Publish { dup: true, ..Publish::at_least_once(id, topic, "{\"fan\":2}") };
    connection.send(&Packet::Publish(publish)).await?;
    let answer = connection.twin_answer("HUB-TWIN-008", &rid).await?;
    bench.equal("HUB-TWIN-008", "status", 204, answer.status);
    let twin = connection.twin().await?;
    let seen = twin.pointer("/reported/fan").cloned().unwrap_or_default();
    bench.equal_json("HUB-TWIN-008", "reported.fan", &json!(2), &seen);
    Ok(())
}
