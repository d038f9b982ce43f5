//! Objects and deliveries that no service would send (device-update-agent.md § 6.2).

mod delivery;
mod object;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[object::CASES, delivery::CASES];
