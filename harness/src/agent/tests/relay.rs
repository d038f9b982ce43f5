//! The relay passes packets on as the tamper says.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use twinspec_model::wire::mqtt::{Packet, PacketId};

use crate::agent::relay::relay;
use crate::agent::{Tamper, Wire};
use crate::device::{Device, Seen};
use crate::endpoint::{Endpoint, Scheme};
use crate::tls::Trust;
use crate::trace::Recorder;

/// Answers pings itself and keeps acknowledgements from the agent.
struct Meddler;

impl Tamper for Meddler {
    fn sent(&mut self, packet: Packet) -> Vec<Wire> {
        match packet {
            Packet::PingReq => vec![Wire::Agent(Packet::PingResp)],
            packet => vec![Wire::Hub(packet)],
        }
    }

    fn received(&mut self, packet: Packet) -> Vec<Wire> {
        match packet {
            Packet::PubAck(_) => Vec::new(),
            packet => vec![Wire::Agent(packet)],
        }
    }
}

#[tokio::test]
async fn packets_pass_as_the_tamper_says() {
    let hub = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = hub.local_addr().unwrap().port();
    let endpoint = Endpoint { scheme: Scheme::Mqtt, host: "127.0.0.1".to_owned(), port };
    let trust = Trust::machine().unwrap();
    let at = relay(endpoint, trust.clone(), Box::new(Meddler)).await.unwrap();
    let wait = Duration::from_secs(10);
    let open = Device::open("agent", &at, &trust, wait, Recorder::new(false));
    let mut agent = open.await.unwrap();
    let (mut hub, _) = timeout(wait, hub.accept()).await.unwrap().unwrap();

    agent.send(&Packet::PingReq).await.unwrap();
    let deadline = Instant::now() + wait;
    assert_eq!(agent.next(deadline).await, Some(Seen::Packet(Packet::PingResp)));

    // The second packet arrives, the first does not.
    for packet in [Packet::PubAck(PacketId::MAX), Packet::UnsubAck(PacketId::MIN)] {
        tokio::io::AsyncWriteExt::write_all(&mut hub, &packet.to_bytes()).await.unwrap();
    }
    let seen = agent.next(deadline).await;
    assert_eq!(seen, Some(Seen::Packet(Packet::UnsubAck(PacketId::MIN))));

    drop(hub);
    assert_eq!(agent.next(deadline).await, Some(Seen::Closed));
}
