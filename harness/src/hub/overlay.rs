//! Defects laid over the reference hub from outside.
//!
//! The model never knows: an overlay sees what goes in and what comes out, and may change both.

use http::Uri;
use http::response::Parts;
use twinspec_model::hub::{Input, Output};

use crate::tls::ServerKeys;

/// Something that stands between the sockets and the model.
pub trait Overlay: Send {
    /// What the model is given in place of `input`.
    fn input(&mut self, input: Input) -> Vec<Input> {
        vec![input]
    }

    /// What the sockets are given in place of `output`.
    fn output(&mut self, output: Output) -> Vec<Output> {
        vec![output]
    }

    /// May change how a WebSocket upgrade at `uri` is answered.
    fn upgrade(&mut self, _uri: &Uri, _answer: &mut Parts) {}

    /// Which keys the hub has for its own certificate.
    fn server_keys(&self) -> ServerKeys {
        ServerKeys::EcdsaAndRsa
    }

    /// Whether listeners with TLS serve clients in clear text too.
    fn takes_clear_text(&self) -> bool {
        false
    }
}

/// Changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faithful;

impl Overlay for Faithful {}
