//! Cancels (device-update-agent.md § 3, 6.7).

mod idle;
mod running;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[running::CASES, idle::CASES];
