//! Reported-property updates through the reference hub against mosquitto echoing the same bytes.
//!
//! A hundred devices, plain MQTT at QoS 0, pipelined on both sides: each device sends a window of
//! requests in one write and waits for as many answers. The hub parses, validates, merges and
//! answers; the broker routes the message back to its sender.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

#[expect(dead_code, reason = "this benchmark measures no memory")]
mod peers;

use std::time::Instant;

use bytes::BytesMut;
use peers::{Client, Server};
use tokio::task::JoinSet;
use twinspec_model::wire::mqtt::{Packet, Publish};

const DEVICES: usize = 100;
const RUNS: usize = 7;
/// Requests in one write.
const WINDOW: usize = 50;
/// Windows of one device in one run.
const WINDOWS: usize = 40;

#[tokio::main]
async fn main() {
    let hub = Server::reference_hub(DEVICES);
    let Some(broker) = Server::mosquitto() else {
        return peers::no_mosquitto();
    };
    let mut to_hub = Vec::new();
    for (device, key) in &hub.devices {
        let filter = "$iothub/twin/res/#";
        let client = Client::connect(hub.port, device, Some(key), filter).await.unwrap();
        to_hub.push((client, window("$iothub/twin/PATCH/properties/reported/?$rid=")));
    }
    let mut to_broker = Vec::new();
    for n in 0..DEVICES {
        // As long as the hub's topic, and of this device alone.
        let device = format!("b{n:06}");
        let client =
            Client::connect(broker.port, &device, None, &format!("{device}/#")).await.unwrap();
        to_broker
            .push((client, window(&format!("{device}/twin/PATCH/properties/reported/?$rid="))));
    }
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (rate, clients) = run(to_hub).await;
        to_hub = clients;
        let (their_rate, clients) = run(to_broker).await;
        to_broker = clients;
        ours.push(rate);
        theirs.push(their_rate);
        ratios.push(rate / their_rate);
    }
    println!(
        "reported updates, {DEVICES} devices: ours {:.0}/s, mosquitto echo {:.0}/s, ratio {:.2} \
         (median of {RUNS})",
        peers::median(ours),
        peers::median(theirs),
        peers::median(ratios)
    );
}

/// The bytes of one window of requests.
fn window(topic: &str) -> BytesMut {
    let mut bytes = BytesMut::new();
    for n in 0..WINDOW {
        let body =
            format!("{{\"rpm\":{n},\"limits\":{{\"low\":1,\"high\":{n}}},\"mode\":\"eco\"}}");
        Packet::Publish(Publish::at_most_once(format!("{topic}{n:08}"), body)).encode(&mut bytes);
    }
    bytes
}

/// Runs all clients at once: answers per second, and the clients for the next run.
async fn run(clients: Vec<(Client, BytesMut)>) -> (f64, Vec<(Client, BytesMut)>) {
    let count = clients.len() * WINDOW * WINDOWS;
    let began = Instant::now();
    let mut running = JoinSet::new();
    for (mut client, bytes) in clients {
        running.spawn(async move {
            for _ in 0..WINDOWS {
                client.send(&bytes).await.unwrap();
                client.receive(WINDOW).await.unwrap();
            }
            (client, bytes)
        });
    }
    let clients = running.join_all().await;
    (count as f64 / began.elapsed().as_secs_f64(), clients)
}
