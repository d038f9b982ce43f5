//! What the HTTP clients of operator and agent have in common.

use std::error::Error;
use std::sync::Arc;

use hyper::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::tls::Trust;

/// A client that speaks HTTP/1.1, over TLS where the URL says so.
pub(crate) type HttpClient<B> = Client<HttpsConnector<HttpConnector>, B>;

/// A client that trusts whom `trust` trusts.
pub(crate) fn http_client<B>(trust: &Trust) -> HttpClient<B>
where
    B: Body + Send,
    B::Data: Send,
{
    let config = Arc::unwrap_or_clone(trust.client_config());
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
    Client::builder(TokioExecutor::new()).build(connector.build())
}

/// An error with all its causes: the outermost says little.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
