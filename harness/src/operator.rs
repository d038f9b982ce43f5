//! The back end: an HTTP client that signs its own requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::Value;
use tokio::time::timeout;

use crate::client::{HttpClient, chain, http_client};
use crate::endpoint::Endpoint;
use crate::tls::Trust;
use crate::trace::{Event, Recorder};

/// The largest answer the client reads, in bytes.
const BODY_MAX: usize = 16 << 20;

/// An HTTP client for one hub, shared by all cases.
#[derive(Clone)]
pub struct Operator {
    endpoint: Arc<Endpoint>,
    client: HttpClient<Full<Bytes>>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path and query, percent-encoded.
    pub target: String,
    /// `Authorization` header; absent when `None`.
    pub authorization: Option<String>,
    /// Further headers.
    pub headers: Vec<(HeaderName, String)>,
    /// Body; sent with a JSON content type when it is not empty.
    pub body: Bytes,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let short: String = body.chars().take(300).collect();
        write!(formatter, "HTTP {} {short}", self.status.as_u16())
    }
}

/// A request that got no answer.
#[derive(Clone, Debug)]
pub struct OperatorError {
    what: String,
    is_late: bool,
}

impl OperatorError {
    /// Whether the peer was there and did not answer in time; otherwise it could not be reached, or
    /// ended the connection.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.is_late
    }
}

impl fmt::Display for OperatorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

impl std::error::Error for OperatorError {}

impl Operator {
    /// A client for the hub at `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint, trust: &Trust) -> Self {
        Self { endpoint: Arc::new(endpoint), client: http_client(trust) }
    }

    /// Sends `request` and waits up to `wait` for the whole answer.
    ///
    /// # Errors
    /// When no answer comes in time or the peer does not speak HTTP.
    pub async fn call(
        &self,
        request: &Request,
        wait: Duration,
        recorder: &Recorder,
    ) -> Result<Answer, OperatorError> {
        let what = format!("{} {}", request.method, request.target);
        let told = |why: String, is_late| {
            let what = format!("{what} at {}: {why}", self.endpoint);
            OperatorError { what, is_late }
        };
        let problem = |why| told(why, false);
        let request = self.build(request).map_err(|error| problem(error.to_string()))?;
        let body = request.1;
        let message = recorder.http(what.clone(), request.0.headers(), &body);
        recorder.record("operator", Event::Request(message));
        let exchange = async {
            let answer = self.client.request(request.0).await.map_err(|error| chain(&error))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, BODY_MAX).collect().await.map_err(|e| e.to_string())?;
            Ok::<_, String>(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes(),
            })
        };
        let answer = timeout(wait, exchange).await;
        let answer = answer.map_err(|_| told(format!("no answer within {wait:?}"), true))?;
        let answer = answer.map_err(problem)?;
        let start = answer.status.as_u16().to_string();
        let message = recorder.http(start, &answer.headers, &answer.body);
        recorder.record("operator", Event::Response(message));
        Ok(answer)
    }

    fn build(&self, request: &Request) -> http::Result<(http::Request<Full<Bytes>>, Bytes)> {
        let scheme = if self.endpoint.scheme.is_tls() { "https" } else { "http" };
        let uri = format!("{scheme}://{}{}", self.endpoint.authority(), request.target);
        let mut builder = http::Request::builder().method(request.method.clone()).uri(uri);
        if let Some(token) = &request.authorization {
            builder = builder.header(AUTHORIZATION, token);
        }
        let names_its_type = request.headers.iter().any(|(name, _)| name == CONTENT_TYPE);
        if !request.body.is_empty() && !names_its_type {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            builder = builder.header(CONTENT_TYPE, json);
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let body = request.body.clone();
        Ok((builder.body(Full::new(body.clone()))?, body))
    }
}
