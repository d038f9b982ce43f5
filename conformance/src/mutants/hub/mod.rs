//! Defects of a hub, a folder for each subject.

mod auth;
mod configuration;
mod connection;
mod device_job;
mod firmware;
mod http;
mod job;
mod method;
mod query;
mod registry;
mod session;
mod telemetry;
mod twin;

use super::Mutant;

/// All of them, by subject.
pub const MUTANTS: &[&[&[Mutant]]] = &[
    connection::MUTANTS,
    session::MUTANTS,
    telemetry::MUTANTS,
    twin::MUTANTS,
    method::MUTANTS,
    query::MUTANTS,
    job::MUTANTS,
    configuration::MUTANTS,
    firmware::MUTANTS,
    device_job::MUTANTS,
    auth::MUTANTS,
    registry::MUTANTS,
    http::MUTANTS,
];
