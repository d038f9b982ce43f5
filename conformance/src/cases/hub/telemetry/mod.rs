//! Telemetry topics and cloud-to-device properties.

mod message;
mod properties;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[message::CASES, properties::CASES];
