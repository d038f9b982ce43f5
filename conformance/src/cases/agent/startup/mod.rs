//! What an agent says of itself when it connects, and what it makes of what waits for it
//! (device-update-agent.md § 1, 4.1, 6.3, 10.1).

mod message;
mod pending;
mod unknown;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[message::CASES, pending::CASES, unknown::CASES];
