//! One HTTP connection of the reference hub.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use twinspec_model::auth::Certificate;
use twinspec_model::error::{ErrorCode, Refusal};
use twinspec_model::wire::body::flat_error;

use super::shared::Shared;
use super::websocket;
use crate::device::Stream;

/// The largest request body the hub reads, in bytes.
const BODY_MAX: usize = 4 << 20;

/// How long a client may take to send the head of a request.
const HEAD_WAIT: Duration = Duration::from_secs(30);

/// How long a client may take to send the body of a request.
const BODY_WAIT: Duration = Duration::from_secs(60);

pub(super) async fn serve(
    stream: impl Stream + 'static,
    certificate: Option<Certificate>,
    shared: Arc<Shared>,
) {
    let service = service_fn(move |request| {
        let (certificate, shared) = (certificate.clone(), Arc::clone(&shared));
        async move {
            if websocket::is_upgrade(&request) {
                let uri = request.uri().clone();
                let answer = websocket::upgrade(request, certificate, Arc::clone(&shared));
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
}

async fn answer(
    request: http::Request<Incoming>,
    shared: Arc<Shared>,
) -> http::Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_WAIT, Limited::new(body, BODY_MAX).collect()).await;
    let refusal = match body {
        Ok(Ok(body)) => {
            let request = http::Request::from_parts(parts, body.to_bytes());
            match shared.ask(request).await {
                Ok(response) => return response.map(Full::new),
                Err(_) => Refusal::new(ErrorCode::GenericBadGateway, "The hub gave no answer"),
            }
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => Refusal::new(
            ErrorCode::GenericRequestEntityTooLarge,
            format!("The body is larger than {BODY_MAX} bytes"),
        ),
        Ok(Err(_)) => Refusal::invalid("The body ended early or was framed wrongly"),
        Err(_) => Refusal::invalid(format!("The body did not arrive within {BODY_WAIT:?}")),
    };
    refused(&refusal, &shared).map(Full::new)
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
