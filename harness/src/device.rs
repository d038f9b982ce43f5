//! The scripted device: a client on our codec that can send any packet and any bytes.
//!
//! It never reconnects, retries, acknowledges or pings by itself: a case sees every packet and
//! decides.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use twinspec_model::wire::mqtt::{self, Malformed, Packet};

use crate::endpoint::Endpoint;
use crate::tls::Trust;
use crate::trace::{Event, Recorder, hex};
use crate::websocket::bridge;

/// The largest packet the client reads.
const PACKET_MAX: usize = 1 << 20;

/// Anything a client can talk over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What the peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It sent a packet.
    Packet(Packet),
    /// It sent bytes that are no legal packet.
    Malformed(Malformed),
    /// It ended the connection.
    Closed,
}

impl fmt::Display for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(Packet::Publish(publish)) => {
                write!(formatter, "PUBLISH on {}", publish.topic)
            }
            Self::Packet(packet) => formatter.write_str(packet.name()),
            Self::Malformed(malformed) => write!(formatter, "malformed bytes: {malformed}"),
            Self::Closed => formatter.write_str("the connection closed by the peer"),
        }
    }
}

/// One connection of a scripted device.
pub struct Device {
    name: String,
    stream: Box<dyn Stream>,
    inbox: BytesMut,
    recorder: Recorder,
    ended: bool,
}

impl Device {
    /// Opens the transport; no MQTT packet is sent yet.
    ///
    /// # Errors
    /// When the peer cannot be reached within `wait`, or TLS fails.
    pub async fn open(
        name: &str,
        endpoint: &Endpoint,
        trust: &Trust,
        wait: Duration,
        recorder: Recorder,
    ) -> io::Result<Self> {
        let stream = timeout(wait, dial(endpoint, trust)).await.map_err(|_| {
            let what = format!("no connection to {endpoint} within {wait:?}");
            io::Error::new(io::ErrorKind::TimedOut, what)
        })??;
        let actor = format!("device {name}");
        recorder.record(&actor, Event::Opened { endpoint: endpoint.to_string() });
        Ok(Self { name: actor, stream, inbox: BytesMut::new(), recorder, ended: false })
    }

    /// Opens a WebSocket; no MQTT packet is sent yet.
    ///
    /// # Errors
    /// When the peer cannot be reached within `wait` or does not answer with HTTP.
    pub async fn open_websocket(
        name: &str,
        wanted: &WebSocket<'_>,
        trust: &Trust,
        wait: Duration,
        recorder: Recorder,
    ) -> io::Result<WebSocketAnswer> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer to the upgrade");
        let upgraded = timeout(wait, upgrade(wanted, trust)).await.map_err(late)??;
        let actor = format!("device {name}");
        let endpoint = format!("{}{}", wanted.endpoint, wanted.path);
        recorder.record(&actor, Event::Opened { endpoint });
        let device = upgraded.stream.map(|stream| Self {
            name: actor,
            stream,
            inbox: BytesMut::new(),
            recorder,
            ended: false,
        });
        Ok(WebSocketAnswer { status: upgraded.status, protocol: upgraded.protocol, device })
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send(&mut self, packet: &Packet) -> io::Result<()> {
        self.recorder.record(&self.name, Event::Sent(self.recorder.message(packet)));
        self.stream.write_all(&packet.to_bytes()).await?;
        self.stream.flush().await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.recorder.record(&self.name, Event::SentBytes(hex(bytes)));
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Waits until `deadline` for the next thing the peer does; `None` when it does nothing.
    pub async fn next(&mut self, deadline: Instant) -> Option<Seen> {
        loop {
            match mqtt::decode(&mut self.inbox, PACKET_MAX) {
                Ok(Some(packet)) => {
                    let message = self.recorder.message(&packet);
                    self.recorder.record(&self.name, Event::Received(message));
                    return Some(Seen::Packet(packet));
                }
                Ok(None) if self.ended => return Some(Seen::Closed),
                Ok(None) => {}
                Err(malformed) => {
                    let event = Event::ReceivedMalformed(malformed.to_string());
                    self.recorder.record(&self.name, event);
                    self.inbox.clear();
                    return Some(Seen::Malformed(malformed));
                }
            }
            let read = timeout_at(deadline, self.stream.read_buf(&mut self.inbox)).await.ok()?;
            if read.unwrap_or(0) == 0 {
                self.recorder.record(&self.name, Event::ClosedByPeer);
                self.ended = true;
            }
        }
    }

    /// Ends the connection without a DISCONNECT.
    pub async fn cut(mut self) {
        self.recorder.record(&self.name, Event::Closed);
        let _best_effort_the_peer_may_be_gone = self.stream.shutdown().await;
    }
}

/// A WebSocket that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct WebSocket<'a> {
    /// The HTTP endpoint.
    pub endpoint: &'a Endpoint,
    /// Path and query.
    pub path: &'a str,
    /// The sub-protocol offered.
    pub protocol: &'a str,
}

/// The answer to an upgrade.
pub struct WebSocketAnswer {
    /// HTTP status; 101 when it was accepted.
    pub status: u16,
    /// The sub-protocol chosen.
    pub protocol: Option<String>,
    /// The open connection, when it was accepted.
    pub device: Option<Device>,
}

pub(crate) async fn dial(endpoint: &Endpoint, trust: &Trust) -> io::Result<Box<dyn Stream>> {
    if endpoint.scheme.is_tls() {
        return dial_tls(&endpoint.host, endpoint.port, trust).await;
    }
    let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    tcp.set_nodelay(true)?;
    Ok(Box::new(tcp))
}

pub(crate) async fn dial_tls(host: &str, port: u16, trust: &Trust) -> io::Result<Box<dyn Stream>> {
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(trust.client_config()).connect(name, tcp).await?))
}

struct Upgraded {
    status: u16,
    protocol: Option<String>,
    stream: Option<Box<dyn Stream>>,
}

async fn upgrade(wanted: &WebSocket<'_>, trust: &Trust) -> io::Result<Upgraded> {
    let WebSocket { endpoint, path, protocol } = *wanted;
    let uri = format!("ws://{}{path}", endpoint.authority());
    let mut request = uri.into_client_request().map_err(io::Error::other)?;
    let offered = HeaderValue::from_str(protocol).map_err(io::Error::other)?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, offered);
    let chosen = |headers: &HeaderMap| {
        let value = headers.get(SEC_WEBSOCKET_PROTOCOL)?;
        value.to_str().ok().map(str::to_owned)
    };
    match tokio_tungstenite::client_async(request, dial(endpoint, trust).await?).await {
        Ok((frames, answer)) => Ok(Upgraded {
            status: answer.status().as_u16(),
            protocol: chosen(answer.headers()),
            stream: Some(Box::new(bridge(frames))),
        }),
        Err(tungstenite::Error::Http(answer)) => Ok(Upgraded {
            status: answer.status().as_u16(),
            protocol: chosen(answer.headers()),
            stream: None,
        }),
        // It said 101, but chose no sub-protocol or one that was not offered.
        Err(tungstenite::Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_))) => {
            Ok(Upgraded { status: 101, protocol: None, stream: None })
        }
        Err(error) => Err(io::Error::other(error)),
    }
}
