//! The report of a deployment's outcome: its members and their forms (device-update-agent.md
//! § 4.2).

mod members;
mod steps;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[members::CASES, steps::CASES];
