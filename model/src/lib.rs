//! The executable specification of Azure-IoT-Hub-style device management.
//!
//! Everything here has the form `(state, input, now) -> outputs`.
//! This crate never performs I/O, never reads a clock, never draws a random number and never
//! panics: time, entropy and limits are inputs.
//!
//! - [`twin`], [`registry`], [`auth`], [`session`],
//!   [`message`], [`mod@method`], [`event`], [`throttle`]: the semantics of each subject.
//! - [`query`]: the query language; [`job`]: work on many devices; [`configuration`]: settings for
//!   many twins at once.
//! - [`agent`]: the Device Update agent.
//! - [`firmware`]: the four older firmware-update patterns.
//! - [`update`]: manifests, signatures and root keys of Device Update.
//! - [`wire`]: the one reading of bytes, topics, paths and bodies, used by hub, clients and judge.
//! - [`hub`]: the composition, a sans-I/O state machine.

pub mod agent;
pub mod auth;
pub mod configuration;
pub mod error;
pub mod event;
pub mod firmware;
pub mod hub;
pub mod identity;
pub mod job;
pub mod json;
pub mod message;
pub mod method;
pub mod query;
pub mod registry;
pub mod session;
pub mod throttle;
pub mod time;
pub mod twin;
pub mod update;
pub mod wire;
