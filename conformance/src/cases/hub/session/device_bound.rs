//! Cloud-to-device messages and the session that receives them (HUB-SESS-007 to -009).

use twinspec_model::wire::mqtt::{Packet, Publish, Qos};
use twinspec_model::wire::topic::Filter;

use super::away::noticed;
use crate::bench::{Bench, Connection, Registered};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "session-device-bound-unsubscribed",
        title: "A device receives no cloud-to-device message before it subscribes",
        requirements: &["HUB-SESS-007"],
        needs: &[Need::Control],
        run: body!(unsubscribed),
    },
    Case {
        id: "session-device-bound-while-away",
        title: "A message sent while a device is away arrives when it resumes its session",
        requirements: &["HUB-SESS-008"],
        needs: &[Need::Control],
        run: body!(while_away),
    },
    Case {
        id: "session-device-bound-after-cut",
        title: "A message sent after a cut connection arrives when the device resumes its session",
        requirements: &["HUB-SESS-008"],
        needs: &[Need::Control],
        run: body!(after_cut),
    },
    Case {
        id: "session-device-bound-resumed",
        title: "A message sent after a device has resumed its session arrives",
        requirements: &["HUB-SESS-008"],
        needs: &[Need::Control],
        run: body!(resumed),
    },
    Case {
        id: "session-device-bound-clean",
        title: "A device with a clean session receives no message until it subscribes again",
        requirements: &["HUB-SESS-009"],
        needs: &[Need::Control],
        run: body!(clean),
    },
];

/// The filter of a device's cloud-to-device messages.
pub(super) fn filter_of(device: &Registered) -> String {
    format!("devices/{}/messages/devicebound/#", device.identity.device)
}

/// Subscribes a device to its cloud-to-device messages.
pub(super) async fn listen(connection: &mut Connection, device: &Registered) -> Checked {
    let filter = Filter::DeviceBound { device: device.identity.device.clone() };
    connection.subscribe(&filter, Qos::AtMostOnce).await.map(drop)
}

/// Waits for the next cloud-to-device message.
pub(super) async fn device_bound(
    requirement: &'static str,
    connection: &mut Connection,
) -> Checked<Publish> {
    let allowed = "a cloud-to-device message";
    let message = connection.expect(requirement, allowed, |packet| match packet {
        Packet::Publish(publish) if is_device_bound(publish) => Some(publish.clone()),
        _ => None,
    });
    message.await
}

fn is_device_bound(publish: &Publish) -> bool {
    publish.topic.starts_with("devices/") && publish.topic.contains("/messages/devicebound/")
}

async fn unsubscribed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = bench.connect_and_listen(&device).await?;
    demand_none_before_subscribing(bench, "HUB-SESS-007", &device, connection).await
}

async fn clean(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    listening(bench, &device).await?.disconnect().await?;
    let mut login = bench.login(&device);
    login.connect.clean_session = true;
    let (mut connection, answer) = bench.connect_with("clean", &login).await?;
    bench.equal("HUB-SESS-009", "CONNACK", 0, answer.code.number());
    connection.subscribe(&Filter::TwinResponse, Qos::AtMostOnce).await?;
    demand_none_before_subscribing(bench, "HUB-SESS-009", &device, connection).await
}

/// Demands that a message reaches `connection` only once it subscribes.
///
/// The answers to twin requests, sent after the message, show that the hub had time to send it.
async fn demand_none_before_subscribing(
    bench: &mut Bench,
    requirement: &'static str,
    device: &Registered,
    mut connection: Connection,
) -> Checked {
    bench.send_to_device(&device.identity.device, &[], "waiting").await?;
    connection.twin_get().await?;
    connection.twin_get().await?;
    let early = connection.received(|packet| match packet {
        Packet::Publish(publish) => is_device_bound(publish),
        _ => false,
    });
    bench.demand(requirement, !early, "no message before SUBSCRIBE", "a message");
    listen(&mut connection, device).await?;
    let message = device_bound(requirement, &mut connection).await?;
    let body = String::from_utf8_lossy(&message.payload);
    bench.equal(requirement, "body of the message after SUBSCRIBE", "waiting", &body);
    Ok(())
}

async fn while_away(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = listening(bench, &device).await?;
    connection.disconnect().await?;
    demand_arrives_later(bench, &device).await
}

async fn after_cut(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = listening(bench, &device).await?;
    // At QoS 1: what a hub sends before it notices the cut is not acknowledged and sent again.
    let filter = Filter::DeviceBound { device: device.identity.device.clone() };
    connection.subscribe(&filter, Qos::AtLeastOnce).await?;
    connection.cut().await;
    noticed(bench, &device).await?;
    demand_arrives_later(bench, &device).await
}

/// Demands that a message sent now arrives on a connection made later, without a SUBSCRIBE.
async fn demand_arrives_later(bench: &mut Bench, device: &Registered) -> Checked {
    bench.send_to_device(&device.identity.device, &[], "away").await?;
    let mut connection = bench.connect(device).await?;
    let message = device_bound("HUB-SESS-008", &mut connection).await?;
    let body = String::from_utf8_lossy(&message.payload);
    bench.equal("HUB-SESS-008", "body", "away", &body);
    Ok(())
}

async fn resumed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let connection = listening(bench, &device).await?;
    connection.disconnect().await?;
    let mut connection = bench.connect(&device).await?;
    bench.send_to_device(&device.identity.device, &[], "resumed").await?;
    let message = device_bound("HUB-SESS-008", &mut connection).await?;
    let body = String::from_utf8_lossy(&message.payload);
    bench.equal("HUB-SESS-008", "body", "resumed", &body);
    Ok(())
}

/// A connection that keeps its session and has received a message.
async fn listening(bench: &mut Bench, device: &Registered) -> Checked<Connection> {
    let mut connection = bench.connect(device).await?;
    listen(&mut connection, device).await?;
    bench.settle().await;
    bench.send_to_device(&device.identity.device, &[], "first").await?;
    let message = device_bound("HUB-SESS-008", &mut connection).await?;
    let body = String::from_utf8_lossy(&message.payload);
    bench.equal("HUB-SESS-008", "body", "first", &body);
    Ok(connection)
}
