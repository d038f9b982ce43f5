//! The Device Update agent (device-update-agent.md): what a device does with the deployments it is
//! told of, and what it reports.
//!
//! [`Agent::handle`] takes what happened and returns what must be done; [`Agent::next_deadline`]
//! says when to call it with [`Input::Tick`]. [`Persisted`] is all that must survive the process:
//! it is put out before anything that depends on it, so that a kill at any moment loses nothing.
//!
//! The agent follows the intended rules, not the defects of one product (§§ 6.6, 6.8).
//! It never decides what a handler does, and never trusts a manifest that was not validated.

mod admission;
mod conclude;
mod device;
mod io;
mod logs;
mod machine;
mod order;
mod outbox;
mod outcome;
mod plan;
pub mod preview;
mod profile;
mod report;
mod run;

#[cfg(test)]
mod tests;

pub use admission::{Validation, Verifier};
pub use conclude::conclude;
pub use device::{Device, DeviceFlaw, DeviceInformation};
pub use io::{Call, FetchOrder, Fetched, Input, Output, Phase, RestartKind};
pub use logs::Upload;
pub use machine::{Agent, Held, Persisted, Settings, Status};
pub use order::{Action, Malformed, Order, Workflow};
pub use outbox::{Kind, Outbox, Pending, Resend};
pub use outcome::{Outcome, code, extended};
pub use plan::{Component, File, HandlerKind, Plan, Step, Work};
pub use profile::Generation;
