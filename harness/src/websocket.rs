//! WebSocket frames as a byte stream, for both sides.

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Bytes that may be on their way inside the bridge.
const BUFFER: usize = 64 * 1024;

/// A byte stream whose bytes travel in binary frames of `frames`.
///
/// Packets and frames need not coincide (MQTT-6.0.0-2). The bridge ends with either side.
pub fn bridge<S>(frames: WebSocketStream<S>) -> DuplexStream
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (near, far) = duplex(BUFFER);
    tokio::spawn(carry(frames, far));
    near
}

async fn carry<S>(mut frames: WebSocketStream<S>, mut bytes: DuplexStream)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut chunk = vec![0; BUFFER];
    loop {
        tokio::select! {
            read = bytes.read(&mut chunk) => {
                let length = read.unwrap_or(0);
                let frame = chunk.get(..length).unwrap_or_default().to_vec();
                if length == 0 || frames.send(Message::Binary(frame.into())).await.is_err() {
                    break;
                }
            }
            frame = frames.next() => match frame {
                Some(Ok(Message::Binary(frame))) => {
                    if bytes.write_all(&frame).await.is_err() {
                        break;
                    }
                }
                // MQTT travels in binary frames only (MQTT-6.0.0-1).
                Some(Ok(Message::Text(_) | Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            },
        }
    }
    // The peer may be gone already.
    let _best_effort = frames.close(None).await;
}
