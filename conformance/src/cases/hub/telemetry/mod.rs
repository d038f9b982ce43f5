//! Telemetry topics and cloud-to-device properties.

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[];
