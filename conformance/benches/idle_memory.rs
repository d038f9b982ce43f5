//! Resident memory for each connected idle device, beside mosquitto's.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

#[expect(dead_code, reason = "this benchmark measures no speed")]
mod peers;

use peers::{Client, Server};

const DEVICES: usize = 5000;

#[tokio::main]
async fn main() {
    let wanted = u64::try_from(DEVICES).unwrap() * 3;
    let limit = rlimit::increase_nofile_limit(wanted).unwrap();
    assert!(limit >= wanted, "this machine allows {limit} open files, needed are {wanted}");
    let hub = Server::reference_hub(DEVICES);
    let ours = {
        let before = hub.resident_bytes();
        let mut clients = Vec::new();
        for (device, key) in &hub.devices {
            let filter = "$iothub/twin/res/#";
            clients.push(Client::connect(hub.port, device, Some(key), filter).await.unwrap());
        }
        (hub.resident_bytes() - before) as f64 / DEVICES as f64 / 1024.0
    };
    println!("idle device: ours {ours:.1} KiB at {DEVICES} connected devices");
    let Some(broker) = Server::mosquitto() else {
        return peers::no_mosquitto();
    };
    let before = broker.resident_bytes();
    let mut clients = Vec::new();
    for n in 0..DEVICES {
        let device = format!("b{n}");
        let filter = format!("{device}/#");
        clients.push(Client::connect(broker.port, &device, None, &filter).await.unwrap());
    }
    let theirs = (broker.resident_bytes() - before) as f64 / DEVICES as f64 / 1024.0;
    println!("idle device: mosquitto {theirs:.1} KiB, ratio {:.2}", ours / theirs);
}
