//! Quality of service of what both sides publish (HUB-SESS-003 to -006).

use serde_json::json;
use twinspec_model::wire::mqtt::{Delivery, Packet, Publish, Qos};
use twinspec_model::wire::topic::Filter;

use super::grant::set_desired;
use crate::bench::{Bench, Connection, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "session-qos-2-telemetry-closes",
        title: "Telemetry at QoS 2 closes the connection without PUBREC",
        requirements: &["HUB-SESS-003"],
        needs: &[],
        run: body!(qos_2_telemetry_closes),
    },
    Case {
        id: "session-qos-2-twin-closes",
        title: "A twin request at QoS 2 closes the connection without PUBREC",
        requirements: &["HUB-SESS-003"],
        needs: &[],
        run: body!(qos_2_twin_closes),
    },
    Case {
        id: "session-qos-1-telemetry-acknowledged",
        title: "Telemetry at QoS 1 of a device is acknowledged with its packet id",
        requirements: &["HUB-SESS-004"],
        needs: &[],
        run: body!(qos_1_telemetry_acknowledged),
    },
    Case {
        id: "session-qos-1-module-acknowledged",
        title: "Telemetry at QoS 1 of a module is acknowledged with its packet id",
        requirements: &["HUB-SESS-004"],
        needs: &[],
        run: body!(qos_1_module_acknowledged),
    },
    Case {
        id: "session-qos-1-twin-acknowledged",
        title: "Twin requests at QoS 1 are acknowledged with their packet ids and answered",
        requirements: &["HUB-SESS-004"],
        needs: &[],
        run: body!(qos_1_twin_acknowledged),
    },
    Case {
        id: "session-qos-0-get-answered",
        title: "A twin GET at QoS 0 is answered",
        requirements: &["HUB-SESS-005"],
        needs: &[],
        run: body!(qos_0_get_answered),
    },
    Case {
        id: "session-qos-0-report-applied",
        title: "A reported PATCH at QoS 0 is answered and applied",
        requirements: &["HUB-SESS-005"],
        needs: &[],
        run: body!(qos_0_report_applied),
    },
    Case {
        id: "session-twin-answers-at-qos-0",
        title: "Twin answers come at QoS 0, whatever was subscribed",
        requirements: &["HUB-SESS-006"],
        needs: &[],
        run: body!(twin_answers_at_qos_0),
    },
    Case {
        id: "session-notifications-at-qos-0",
        title: "Desired notifications come at QoS 0, whatever was subscribed",
        requirements: &["HUB-SESS-006"],
        needs: &[],
        run: body!(notifications_at_qos_0),
    },
    Case {
        id: "session-module-answers-at-qos-0",
        title: "Twin answers and notifications of a module come at QoS 0",
        requirements: &["HUB-SESS-006"],
        needs: &[],
        run: body!(module_answers_at_qos_0),
    },
];

async fn qos_2_telemetry_closes(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let topic = telemetry_topic(&device);
    connection.publish_acknowledged("HUB-SESS-004", &topic, "once").await?;
    demand_closed_by_qos_2(bench, connection, &topic).await
}

async fn qos_2_twin_closes(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.twin().await?;
    demand_closed_by_qos_2(bench, connection, "$iothub/twin/GET/?$rid=twice").await
}

async fn demand_closed_by_qos_2(
    bench: &mut Bench,
    mut connection: Connection,
    topic: &str,
) -> Checked {
    let delivery = Delivery::ExactlyOnce(connection.new_id());
    let publish = Publish { delivery, ..Publish::at_most_once(topic, "twice") };
    connection.send(&Packet::Publish(publish)).await?;
    let before = connection.closed("HUB-SESS-003").await?;
    let names: Vec<&str> = before.iter().map(Packet::name).collect();
    let silent = !names.contains(&"PUBREC");
    bench.demand("HUB-SESS-003", silent, "the end without PUBREC", format!("{names:?}"));
    Ok(())
}

async fn qos_1_telemetry_acknowledged(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = bench.connect(&device).await?;
    let topic = telemetry_topic(&device);
    demand_acknowledged(bench, connection, &[&topic, &topic, &topic]).await
}

async fn qos_1_module_acknowledged(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let connection = bench.connect(&module).await?;
    let topic = telemetry_topic(&module);
    demand_acknowledged(bench, connection, &[&topic, &topic]).await
}

async fn qos_1_twin_acknowledged(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = bench.connect_and_listen(&device).await?;
    let topics =
        ["$iothub/twin/GET/?$rid=get", "$iothub/twin/PATCH/properties/reported/?$rid=patch"];
    demand_acknowledged(bench, connection, &topics).await
}

/// Demands PUBACKs with the packet ids of what is published, and the answers to twin requests.
async fn demand_acknowledged(
    bench: &mut Bench,
    mut connection: Connection,
    topics: &[&str],
) -> Checked {
    // Not from one upwards: an id that the hub counted itself would do by chance.
    for id in [7, 3, 40_000, u16::MAX].into_iter().filter_map(std::num::NonZeroU16::new) {
        for topic in topics {
            let publish = Publish::at_least_once(id, *topic, "{}");
            connection.send(&Packet::Publish(publish)).await?;
            let allowed = format!("PUBACK {id}");
            let seen = connection.expect("HUB-SESS-004", &allowed, |packet| match packet {
                Packet::PubAck(seen) => Some(*seen),
                _ => None,
            });
            let seen = seen.await?;
            bench.equal("HUB-SESS-004", "packet id of the PUBACK", id, seen);
            if let Some((_, rid)) = topic.split_once("$rid=") {
                let is_get = topic.starts_with("$iothub/twin/GET/");
                let requirement = if is_get { "HUB-TWIN-001" } else { "HUB-TWIN-008" };
                connection.twin_answer(requirement, rid).await?;
            }
        }
    }
    Ok(())
}

async fn qos_0_get_answered(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let topic = "$iothub/twin/GET/?$rid=once";
    let answer = connection.ask("HUB-SESS-005", topic, "once", "").await?;
    bench.equal("HUB-SESS-005", "status", 200, answer.status);
    Ok(())
}

async fn qos_0_report_applied(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=once";
    let answer = connection.ask("HUB-SESS-005", topic, "once", "{\"fan\":1}").await?;
    bench.equal("HUB-SESS-005", "status", 204, answer.status);
    let document = connection.twin().await?;
    let fan = document.pointer("/reported/fan").cloned().unwrap_or_default();
    bench.equal_json("HUB-SESS-005", "reported.fan", &json!(1), &fan);
    Ok(())
}

async fn twin_answers_at_qos_0(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = connect_at_qos_1(bench, &device).await?;
    demand_answers_at_qos_0(bench, &mut connection).await
}

async fn notifications_at_qos_0(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = connect_at_qos_1(bench, &device).await?;
    demand_notification_at_qos_0(bench, &device, &mut connection).await
}

async fn module_answers_at_qos_0(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let mut connection = connect_at_qos_1(bench, &module).await?;
    demand_answers_at_qos_0(bench, &mut connection).await?;
    demand_notification_at_qos_0(bench, &module, &mut connection).await
}

/// Subscribes to twin answers and notifications at QoS 1.
async fn connect_at_qos_1(bench: &mut Bench, who: &Registered) -> Checked<Connection> {
    let mut connection = bench.connect(who).await?;
    connection.subscribe(&Filter::TwinResponse, Qos::AtLeastOnce).await?;
    connection.subscribe(&Filter::Desired, Qos::AtLeastOnce).await?;
    bench.settle().await;
    Ok(connection)
}

async fn demand_answers_at_qos_0(bench: &mut Bench, connection: &mut Connection) -> Checked {
    let read = connection.twin_get().await?;
    bench.equal("HUB-SESS-006", "QoS of the answer to a GET", Qos::AtMostOnce, read.qos);
    let reported = connection.report(&json!({ "fan": 1 })).await?;
    bench.equal("HUB-SESS-006", "QoS of the answer to a PATCH", Qos::AtMostOnce, reported.qos);
    let refused = connection.report_text("{").await?;
    bench.equal("HUB-SESS-006", "QoS of a refusal", Qos::AtMostOnce, refused.qos);
    Ok(())
}

async fn demand_notification_at_qos_0(
    bench: &mut Bench,
    who: &Registered,
    connection: &mut Connection,
) -> Checked {
    set_desired(bench, who, json!({ "fan": 2 })).await?;
    let seen = connection.notification().await?;
    bench.equal("HUB-SESS-006", "QoS of a notification", Qos::AtMostOnce, seen.qos);
    Ok(())
}

/// Where `who` sends its telemetry.
fn telemetry_topic(who: &Registered) -> String {
    format!("{}/messages/events/", who.identity.resource_path())
}
