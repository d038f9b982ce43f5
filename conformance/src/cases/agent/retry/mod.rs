//! Duplicates, retries and replacements (device-update-agent.md § 6.6).

mod again;
mod replace;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[again::CASES, replace::CASES];
