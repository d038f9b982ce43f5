//! The control interface: clock, cloud-to-device injection, event stream (harness/CONTROL.md).
//!
//! It is plain HTTP without credentials and any hub may offer it. Cases use nothing else to look
//! behind a hub's public endpoints.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};
use twinspec_model::message::DeviceBound;
use twinspec_model::wire::percent;

use super::http::BODY_WAIT;
use super::shared::Shared;
use crate::device::Stream;

/// The largest request body, in bytes.
const BODY_MAX: usize = 1 << 20;

/// The longest wait for an event.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The furthest one step moves the clock: about ten years.
const ADVANCE_MAX_MS: u64 = 10 * 366 * 86_400 * 1000;

/// Status and JSON text of an answer.
type Answer = (u16, String);

/// `POST /clock/advance`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    milliseconds: u64,
}

/// `POST /devices/{id}/messages`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    #[serde(default)]
    properties: Vec<(String, Option<String>)>,
    #[serde(default)]
    body: String,
}

pub(super) async fn serve(stream: impl Stream + 'static, shared: Arc<Shared>) {
    serve_within(BODY_WAIT, stream, shared).await;
}

/// Serves a client that has `wait` for the body of each request.
async fn serve_within(wait: Duration, stream: impl Stream + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(answer(request, wait, &shared).await)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // A client that breaks off ends its own connection and nothing else.
    let _ended = connection.await;
}

async fn answer(request: http::Request<Incoming>, wait: Duration, shared: &Shared) -> Answer {
    let (parts, body) = request.into_parts();
    let body = match timeout(wait, Limited::new(body, BODY_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return refuse(400, format!("the body is incomplete or larger than {BODY_MAX} bytes"));
        }
        Err(_) => return refuse(400, format!("the body did not arrive within {wait:?}")),
    };
    let path = parts.uri.path().trim_matches('/').to_owned();
    let levels: Vec<&str> = path.split('/').collect();
    match (parts.method.as_str(), levels.as_slice()) {
        ("GET", ["clock"]) => now(shared),
        ("POST", ["clock", "advance"]) => advance(shared, &body),
        ("POST", ["devices", device, "messages"]) => inject(shared, device, &body),
        ("GET", ["events"]) => events(shared, parts.uri.query().unwrap_or_default()).await,
        (method, _) => refuse(
            404,
            format!(
                "there is no {method} /{path}; see GET /clock, POST /clock/advance, \
                 POST /devices/{{id}}/messages and GET /events"
            ),
        ),
    }
}

fn now(shared: &Shared) -> Answer {
    (200, json!({ "now": shared.clock.now().to_string() }).to_string())
}

fn advance(shared: &Shared, body: &[u8]) -> Answer {
    match serde_json::from_slice::<Advance>(body) {
        Ok(Advance { milliseconds }) if milliseconds <= ADVANCE_MAX_MS => {
            shared.advance(Duration::from_millis(milliseconds));
            now(shared)
        }
        Ok(_) => refuse(400, format!("milliseconds may be at most {ADVANCE_MAX_MS}")),
        Err(error) => refuse(400, error.to_string()),
    }
}

fn inject(shared: &Shared, device: &str, body: &[u8]) -> Answer {
    let Some(device) = percent::decode(device) else {
        return refuse(400, "the device id is not UTF-8".to_owned());
    };
    let Message { properties, body } = match serde_json::from_slice(body) {
        Ok(message) => message,
        Err(error) => return refuse(400, error.to_string()),
    };
    let message = DeviceBound { properties, body: Bytes::from(body), expiry: None };
    match shared.send_to_device(&device, message) {
        Ok(()) => (200, "{}".to_owned()),
        Err(refusal) => refuse(refusal.code.status(), refusal.to_string()),
    }
}

async fn events(shared: &Shared, query: &str) -> Answer {
    let pairs = percent::decode_pairs(query).unwrap_or_default();
    let parameter = |name: &str| {
        let found = pairs.iter().find(|(key, _)| key == name);
        found.and_then(|(_, value)| value.clone())
    };
    let number = |name: &str| match parameter(name) {
        None => Ok(0),
        Some(text) => text.parse::<u64>().map_err(|_| format!("{name} is {text:?}, no number")),
    };
    let (after, wait) = match (number("after"), number("wait_ms")) {
        (Ok(after), Ok(wait)) => (after, Duration::from_millis(wait).min(WAIT_MAX)),
        (Err(problem), _) | (_, Err(problem)) => return refuse(400, problem),
    };
    let device = parameter("device");
    let deadline = Instant::now() + wait;
    let bell = shared.event_bell();
    loop {
        let mut rings = std::pin::pin!(bell.notified());
        rings.as_mut().enable();
        let page = shared.events(after, device.as_deref());
        if !page.events.is_empty() || Instant::now() >= deadline {
            return (200, page.to_json());
        }
        let _rung_or_late = timeout_at(deadline, rings).await;
    }
}

fn refuse(status: u16, message: String) -> Answer {
    (status, json!({ "error": message }).to_string())
}

fn respond((status, body): Answer) -> http::Response<Full<Bytes>> {
    let mut response = http::Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use twinspec_model::hub::{Hub, HubConfig};

    use super::*;
    use crate::clock::Clock;
    use crate::hub::Faithful;

    #[tokio::test]
    async fn a_body_that_never_comes_is_not_waited_for() {
        let hub = Hub::new(HubConfig::new("localhost", [1; 32]));
        let shared = Arc::new(Shared::new(hub, Box::new(Faithful), Clock::default()));
        let (mut client, server) = duplex(4096);
        let serving = tokio::spawn(serve_within(Duration::from_millis(50), server, shared));
        let head = "POST /clock/advance HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer);
        timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("did not arrive within 50ms"), "{answer}");
        serving.await.unwrap();
    }
}
