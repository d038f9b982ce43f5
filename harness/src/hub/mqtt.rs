//! One MQTT connection of the reference hub.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use twinspec_model::auth::Certificate;
use twinspec_model::hub::{ConnectionId, Input};
use twinspec_model::wire::mqtt;

use super::shared::{Link, Shared};
use crate::device::Stream;

/// The largest packet the hub reads: a 256 KB message plus its topic (HUB-TELE-006).
pub(super) const PACKET_MAX: usize = 256 * 1024 + 16 * 1024;

/// How long a client may take to read what is left for it when the hub has closed the connection.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

pub(super) async fn serve(stream: impl Stream, certificate: Option<Certificate>, shared: &Shared) {
    let (id, link) = shared.open_link(|id| Input::Opened(id, certificate));
    see_through(stream, shared, id, &link, inputs).await;
}

/// Serves a connection from its opening to its end, of which the model is told once.
pub(super) async fn see_through(
    mut stream: impl Stream,
    shared: &Shared,
    id: ConnectionId,
    link: &Link,
    inputs: fn(ConnectionId, &mut BytesMut) -> Vec<Input>,
) {
    let _however_it_ended = converse(&mut stream, shared, id, link, inputs).await;
    shared.close_link(id);
    // The peer may be gone, or never read what TLS wants written before the end.
    let _best_effort = timeout(FAREWELL, stream.shutdown()).await;
}

/// Hands what `inputs` makes of the bytes that arrive to the model, and writes what it wants sent,
/// until either side ends the connection.
async fn converse(
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
                () = link.given_up() => return Ok(()),
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
