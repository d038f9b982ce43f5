//! WebSocket frames as a byte stream, for both sides.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf,
    duplex, split,
};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Bytes that may be on their way inside the bridge.
const BUFFER: usize = 64 * 1024;

/// How long the peer may take to read what is left when this end has gone.
const FAREWELL: Duration = Duration::from_secs(5);

/// A byte stream whose bytes travel in binary frames; what was written before it is dropped still
/// goes out, when the peer reads it.
pub struct Bridge {
    bytes: DuplexStream,
    /// Tells by its end that nobody is at this end any more.
    _here: oneshot::Sender<Infallible>,
}

/// A byte stream whose bytes travel in binary frames of `frames`.
///
/// Packets and frames need not coincide (MQTT-6.0.0-2). The bridge ends with either side.
pub fn bridge<S>(frames: WebSocketStream<S>) -> Bridge
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (near, far) = duplex(BUFFER);
    let (here, gone) = oneshot::channel::<Infallible>();
    let left_alone = async {
        let _gone = gone.await;
        sleep(FAREWELL).await;
    };
    tokio::spawn(async move {
        tokio::select! {
            () = carry(frames, far) => {}
            () = left_alone => {}
        }
    });
    Bridge { bytes: near, _here: here }
}

/// Carries both ways at once: however full one of them is, the other goes on.
async fn carry<S>(frames: WebSocketStream<S>, bytes: DuplexStream)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, stream) = frames.split();
    let (reader, writer) = split(bytes);
    tokio::select! {
        () = outward(reader, &mut sink) => {}
        () = inward(stream, writer) => {}
    }
    // The peer may be gone already, or never read it.
    let _best_effort = timeout(FAREWELL, sink.close()).await;
}

async fn outward<S>(
    mut bytes: ReadHalf<DuplexStream>,
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut chunk = vec![0; BUFFER];
    loop {
        let length = bytes.read(&mut chunk).await.unwrap_or(0);
        let frame = chunk.get(..length).unwrap_or_default().to_vec();
        if length == 0 || sink.send(Message::Binary(frame.into())).await.is_err() {
            return;
        }
    }
}

async fn inward<S>(mut frames: SplitStream<WebSocketStream<S>>, mut bytes: WriteHalf<DuplexStream>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match frames.next().await {
            Some(Ok(Message::Binary(frame))) => {
                if bytes.write_all(&frame).await.is_err() {
                    return;
                }
            }
            // MQTT travels in binary frames only (MQTT-6.0.0-1).
            Some(Ok(Message::Text(_) | Message::Close(_)) | Err(_)) | None => return,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
        }
    }
}

impl AsyncRead for Bridge {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(context, buffer)
    }
}

impl AsyncWrite for Bridge {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    #[tokio::test]
    async fn neither_direction_waits_for_the_other() {
        let (near, far) = duplex(BUFFER);
        let mut bytes = bridge(WebSocketStream::from_raw_socket(near, Role::Client, None).await);
        let mut frames = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        let sent = vec![7; 1 << 20];
        // Each end reads only after it has written more than fits in between.
        let this_end = async {
            bytes.write_all(&sent).await.unwrap();
            bytes.read_exact(&mut vec![0; 4 * BUFFER]).await.unwrap();
        };
        let other_end = async {
            frames.send(Message::Binary(vec![8; 4 * BUFFER].into())).await.unwrap();
            let mut length = 0;
            while length < sent.len() {
                length += frames.next().await.unwrap().unwrap().len();
            }
        };
        let both = async { tokio::join!(this_end, other_end) };
        timeout(Duration::from_secs(10), both).await.unwrap();
    }
}
