//! One MQTT connection of the reference hub.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use twinspec_model::auth::Certificate;
use twinspec_model::hub::{ConnectionId, Input};
use twinspec_model::wire::mqtt;

use super::shared::{Link, Shared};
use crate::device::Stream;

/// The largest packet the hub reads: a 256 KB message plus its topic (HUB-TELE-006).
const PACKET_MAX: usize = 256 * 1024 + 16 * 1024;

pub(super) async fn serve(
    mut stream: impl Stream,
    certificate: Option<Certificate>,
    shared: &Shared,
) {
    let (id, link) = shared.open_link(|id| Input::Opened(id, certificate));
    // However the connection ends, the model is told once below.
    let _ended = converse(&mut stream, shared, id, &link, inputs).await;
    shared.close_link(id);
    let _best_effort_the_peer_may_be_gone = stream.shutdown().await;
}

/// Hands what `inputs` makes of the bytes that arrive to the model, and writes what it wants sent,
/// until either side ends the connection.
pub(super) async fn converse(
    stream: &mut impl Stream,
    shared: &Shared,
    id: ConnectionId,
    link: &Link,
    inputs: fn(ConnectionId, &mut BytesMut) -> Vec<Input>,
) -> io::Result<()> {
    let mut inbox = BytesMut::with_capacity(4096);
    loop {
        tokio::select! {
            read = stream.read_buf(&mut inbox) => {
                if read? == 0 {
                    return Ok(());
                }
                shared.handle(inputs(id, &mut inbox));
            }
            () = link.ready.notified() => {}
        }
        let (bytes, closing) = link.take();
        if !bytes.is_empty() {
            tokio::select! {
                written = write(stream, &bytes) => written?,
                () = link.overflow.notified() => return Ok(()),
            }
        }
        if closing {
            return Ok(());
        }
    }
}

async fn write(stream: &mut impl Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Everything complete in `inbox`; decoding stops at the first malformed packet.
fn inputs(id: ConnectionId, inbox: &mut BytesMut) -> Vec<Input> {
    let mut inputs = Vec::new();
    loop {
        match mqtt::decode(inbox, PACKET_MAX) {
            Ok(Some(packet)) => inputs.push(Input::Packet(id, packet)),
            Ok(None) => return inputs,
            Err(malformed) => {
                inbox.clear();
                inputs.push(Input::Malformed(id, malformed));
                return inputs;
            }
        }
    }
}
