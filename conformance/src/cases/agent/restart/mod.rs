//! Agents that are killed, and restarts that handlers ask for (device-update-agent.md § 6.3, 6.9).

mod asked;
mod killed;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[killed::CASES, asked::CASES];
