//! MQTT over WebSocket: the upgrade, and frames as a byte stream.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    UPGRADE,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use twinspec_model::auth::Certificate;

use super::mqtt;
use super::shared::Shared;
use crate::websocket::bridge;

/// Where MQTT over WebSocket lives (HUB-CONN-003).
const PATH: &str = "/$iothub/websocket";

/// The sub-protocol.
const PROTOCOL: &str = "mqtt";

/// Whether `request` asks for a WebSocket at the hub's path; its query is ignored (HUB-CONN-004).
pub(super) fn is_upgrade(request: &http::Request<Incoming>) -> bool {
    let upgrade = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok());
    let path = twinspec_model::wire::percent::decode(request.uri().path());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
        && path.as_deref() == Some(PATH)
}

/// Answers the upgrade and serves MQTT on what it becomes.
pub(super) fn upgrade(
    mut request: http::Request<Incoming>,
    certificate: Option<Certificate>,
    shared: Arc<Shared>,
) -> Response<Full<Bytes>> {
    let headers = request.headers();
    let key = headers.get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let offers_mqtt = offered.is_some_and(|o| o.split(',').any(|name| name.trim() == PROTOCOL));
    let accept = key.and_then(|key| HeaderValue::from_str(&key).ok());
    let (Some(accept), true) = (accept, offers_mqtt) else {
        let mut refusal = Response::new(Full::new(Bytes::from_static(b"expected: mqtt")));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return refusal;
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // The client may go away before the upgrade; then there is nobody to serve.
        let Ok(upgraded) = upgraded.await else { return };
        let io = TokioIo::new(upgraded);
        let frames = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        mqtt::serve(bridge(frames), certificate, &shared).await;
    });
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    response
}
