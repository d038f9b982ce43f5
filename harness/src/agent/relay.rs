//! A relay between an agent and its hub that takes packets apart: there a [`Tamper`] is laid over
//! what the library for MQTT does by itself.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use twinspec_model::wire::mqtt::{self, Packet};

use super::overlay::{Tamper, Wire};
use crate::device::{Stream, dial};
use crate::endpoint::{Endpoint, Scheme};
use crate::tls::Trust;

/// The largest packet that is relayed.
const PACKET_MAX: usize = 1 << 20;

/// How long the hub may take to be reached.
const DIAL: Duration = Duration::from_secs(10);

type Shared = Arc<Mutex<Box<dyn Tamper>>>;

/// Relays to `hub` as long as this process runs; where the agent finds the relay.
pub(super) async fn relay(
    hub: Endpoint,
    trust: Trust,
    tamper: Box<dyn Tamper>,
) -> io::Result<Endpoint> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let tamper: Shared = Arc::new(Mutex::new(tamper));
    tokio::spawn(async move {
        while let Ok((agent, _)) = listener.accept().await {
            let (hub, trust, tamper) = (hub.clone(), trust.clone(), Arc::clone(&tamper));
            tokio::spawn(async move {
                // What breaks on one side ends on the other.
                let _ended_either_way = pass(agent, &hub, &trust, &tamper).await;
            });
        }
    });
    Ok(Endpoint { scheme: Scheme::Mqtt, host: "127.0.0.1".to_owned(), port })
}

async fn pass(agent: TcpStream, hub: &Endpoint, trust: &Trust, tamper: &Shared) -> io::Result<()> {
    agent.set_nodelay(true)?;
    let hub = timeout(DIAL, dial(hub, trust)).await.map_err(io::Error::other)??;
    let mut ends = Ends { agent: Box::new(agent), hub };
    let (mut from_agent, mut from_hub) = (BytesMut::new(), BytesMut::new());
    loop {
        let read = tokio::select! {
            read = ends.agent.read_buf(&mut from_agent) => read?,
            read = ends.hub.read_buf(&mut from_hub) => read?,
        };
        if read == 0 {
            return Ok(());
        }
        while let Some(packet) = next(&mut from_agent)? {
            let pause = lock(tamper).pause(&packet);
            sleep(pause).await;
            let wires = lock(tamper).sent(packet);
            ends.write(wires).await?;
        }
        while let Some(packet) = next(&mut from_hub)? {
            let wires = lock(tamper).received(packet);
            ends.write(wires).await?;
        }
    }
}

fn next(bytes: &mut BytesMut) -> io::Result<Option<Packet>> {
    mqtt::decode(bytes, PACKET_MAX).map_err(|malformed| io::Error::other(malformed.to_string()))
}

fn lock(tamper: &Shared) -> std::sync::MutexGuard<'_, Box<dyn Tamper>> {
    tamper.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both ends of a connection.
struct Ends {
    agent: Box<dyn Stream>,
    hub: Box<dyn Stream>,
}

impl Ends {
    async fn write(&mut self, wires: Vec<Wire>) -> io::Result<()> {
        for wire in wires {
            let (end, bytes) = match wire {
                Wire::Hub(packet) => (&mut self.hub, packet.to_bytes().to_vec()),
                Wire::HubBytes(bytes) => (&mut self.hub, bytes),
                Wire::Agent(packet) => (&mut self.agent, packet.to_bytes().to_vec()),
            };
            end.write_all(&bytes).await?;
            end.flush().await?;
        }
        Ok(())
    }
}
