//! One HTTP connection of the reference hub.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::mpsc;
use twinspec_model::auth::Certificate;
use twinspec_model::error::{ErrorCode, Refusal};
use twinspec_model::wire::body::flat_error;

use super::shared::Shared;
use super::websocket;
use crate::device::Stream;

/// The largest request body the hub reads, in bytes.
const BODY_MAX: usize = 4 << 20;

/// How far the hub reads on in a body that is too large, in bytes.
const DROPPED_MAX: usize = 64 << 20;

/// How long a client may take to send the head of a request.
const HEAD_WAIT: Duration = Duration::from_secs(30);

/// How long a client may take to send the body of a request.
pub(super) const BODY_WAIT: Duration = Duration::from_secs(60);

pub(super) async fn serve(
    stream: impl Stream + 'static,
    certificate: Option<Certificate>,
    shared: Arc<Shared>,
) {
    let (upgrades, mut upgraded) = mpsc::unbounded_channel();
    let service = service_fn(|request| {
        let (upgrades, shared) = (upgrades.clone(), Arc::clone(&shared));
        async move {
            if websocket::is_upgrade(&request) {
                let uri = request.uri().clone();
                let answer = websocket::upgrade(request, &upgrades);
                return Ok::<_, Infallible>(shared.upgraded(&uri, answer));
            }
            Ok(answer(request, shared).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A client that breaks off or sends no HTTP ends its own connection and nothing else.
    let _ended = connection.await;
    // Here and in no task of its own, so that it ends with the hub.
    while let Ok(upgraded) = upgraded.try_recv() {
        websocket::serve(upgraded, certificate.clone(), &shared).await;
    }
}

async fn answer(
    request: http::Request<Incoming>,
    shared: Arc<Shared>,
) -> http::Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let refusal = match tokio::time::timeout(BODY_WAIT, whole(body)).await {
        Ok(Ok(body)) => match shared.ask(http::Request::from_parts(parts, body)).await {
            Ok(response) => return response.map(Full::new),
            Err(_) => Refusal::new(ErrorCode::GenericBadGateway, "The hub gave no answer"),
        },
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::invalid(format!("The body did not arrive within {BODY_WAIT:?}")),
    };
    refused(&refusal, &shared).map(Full::new)
}

/// Reads a body, which may be too large or break off.
///
/// What is too much is read and dropped, within reason: a client that is still writing would never
/// see the answer.
async fn whole(mut body: Incoming) -> Result<Bytes, Refusal> {
    let (mut kept, mut length) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let cut_off = |_| Refusal::invalid("The body ended early or was framed wrongly");
        let data = frame.map_err(cut_off)?.into_data().unwrap_or_default();
        length += data.len();
        if length <= BODY_MAX {
            kept.extend_from_slice(&data);
        } else if length > DROPPED_MAX {
            break;
        }
    }
    if length <= BODY_MAX {
        return Ok(kept.freeze());
    }
    let code = ErrorCode::GenericRequestEntityTooLarge;
    Err(Refusal::new(code, format!("The body is larger than {BODY_MAX} bytes")))
}

/// The answer to a request that never reached the model.
fn refused(refusal: &Refusal, shared: &Shared) -> http::Response<Bytes> {
    let body = flat_error(refusal, "0", shared.clock.now()).to_string();
    let mut response = http::Response::new(Bytes::from(body));
    *response.status_mut() = http::StatusCode::from_u16(refusal.code.status())
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let json = http::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    let name = http::HeaderValue::from_static(refusal.code.name());
    response.headers_mut().insert("iothub-errorcode", name);
    response
}
