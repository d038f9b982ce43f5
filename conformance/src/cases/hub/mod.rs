//! Cases that judge a hub.

pub mod auth;
pub mod configuration;
pub mod connection;
pub mod firmware;
pub mod http;
pub mod job;
pub mod method;
pub mod query;
pub mod registry;
pub mod session;
pub mod telemetry;
pub mod twin;
