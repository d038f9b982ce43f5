//! MQTT over WebSocket: the upgrade, and frames as a byte stream.

use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc::UnboundedSender;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use twinspec_model::auth::Certificate;

use super::mqtt;
use super::shared::Shared;
use crate::websocket::bridge;

/// Where MQTT over WebSocket lives (HUB-CONN-003).
const PATH: &str = "/$iothub/websocket";

/// The sub-protocol.
const PROTOCOL: &str = "mqtt";

/// The only version of the protocol.
const VERSION: &str = "13";

/// The largest message and frame: one packet with its fixed header, which has five bytes at most.
const MESSAGE_MAX: usize = mqtt::PACKET_MAX + 5;

/// Whether `request` asks for a WebSocket at the hub's path; its query is ignored (HUB-CONN-004).
pub(super) fn is_upgrade(request: &http::Request<Incoming>) -> bool {
    let upgrade = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok());
    let path = twinspec_model::wire::percent::decode(request.uri().path());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
        && path.as_deref() == Some(PATH)
}

/// Whether `Connection` names the upgrade (RFC 6455 § 4.2.1).
fn asks_to_upgrade(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|name| name.trim().eq_ignore_ascii_case("upgrade")))
}

/// Whether a key is the base64 of sixteen bytes (RFC 6455 § 4.2.1).
fn is_key(key: &HeaderValue) -> bool {
    let digits = key.as_bytes().strip_suffix(b"==");
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.is_some_and(|digits| digits.len() == 22 && digits.iter().all(is_digit))
}

fn refuse(status: StatusCode, why: &'static str) -> Response<Full<Bytes>> {
    let mut refusal = Response::new(Full::new(Bytes::from_static(why.as_bytes())));
    *refusal.status_mut() = status;
    refusal
}

/// Serves MQTT on what a connection has become.
pub(super) async fn serve(upgraded: OnUpgrade, certificate: Option<Certificate>, shared: &Shared) {
    // The client may go away before the upgrade; then there is nobody to serve.
    let Ok(upgraded) = upgraded.await else { return };
    // Whoever has not said who it is must not make the hub hold more than a packet.
    let limits = WebSocketConfig::default()
        .max_frame_size(Some(MESSAGE_MAX))
        .max_message_size(Some(MESSAGE_MAX));
    let io = TokioIo::new(upgraded);
    let frames = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
    mqtt::serve(bridge(frames), certificate, shared).await;
}

/// Answers the upgrade; what it becomes is sent to `upgrades`.
pub(super) fn upgrade(
    mut request: http::Request<Incoming>,
    upgrades: &UnboundedSender<OnUpgrade>,
) -> Response<Full<Bytes>> {
    let headers = request.headers();
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        let mut refusal = refuse(StatusCode::UPGRADE_REQUIRED, "expected: version 13");
        let version = HeaderValue::from_static(VERSION);
        refusal.headers_mut().insert(SEC_WEBSOCKET_VERSION, version);
        return refusal;
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
    let Some(key) = key.filter(|_| request.method() == Method::GET && asks_to_upgrade(headers))
    else {
        return refuse(StatusCode::BAD_REQUEST, "expected: GET, Connection: Upgrade and a key");
    };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let offers_mqtt = offered.is_some_and(|o| o.split(',').any(|name| name.trim() == PROTOCOL));
    let (Ok(accept), true) = (accept, offers_mqtt) else {
        return refuse(StatusCode::BAD_REQUEST, "expected: the sub-protocol mqtt");
    };
    let _the_connection_listens = upgrades.send(hyper::upgrade::on(&mut request));
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    response
}
