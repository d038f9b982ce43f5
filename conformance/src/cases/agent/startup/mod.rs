//! What an agent says of itself when it connects (device-update-agent.md § 1, 4.1).

mod message;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[message::CASES];
