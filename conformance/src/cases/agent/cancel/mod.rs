//! Cancels (device-update-agent.md § 3, 6.7).

mod early;
mod idle;
mod running;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[running::CASES, idle::CASES, early::CASES];
