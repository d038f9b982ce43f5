//! The cases, by role and subject.
//!
//! Expectations are written from the protocol dossier and never computed by the model.

pub mod agent;
pub mod device;
pub mod hub;
