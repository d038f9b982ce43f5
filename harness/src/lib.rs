//! The wire: the only room that knows sockets, TLS, processes and tokio.
//!
//! - [`agent`] is the reference Device Update agent.
//! - [`hub`] serves the model's hub; no protocol rule lives there.
//! - [`device`] is the scripted device client that can send any bytes; [`everyday`] is the device
//!   on rumqttc, the independent cross-check.
//! - [`firmware`] is a device of an older firmware-update pattern, [`lwm2m`] that of the oldest.
//! - [`operator`] is the back end's HTTP client.
//! - [`process`] starts and ends programs under test; [`content`] serves them files, or fails to.
//! - [`signing`] makes and forges what the update service signs.
//! - [`trace`] is the recorded history of all of them.

pub mod agent;
mod client;
pub mod clock;
pub mod connection_string;
pub mod content;
pub mod device;
pub mod endpoint;
pub mod everyday;
pub mod firmware;
pub mod hub;
mod listen;
pub mod lwm2m;
pub mod operator;
pub mod process;
pub mod signing;
pub mod tls;
pub mod trace;
pub mod websocket;
