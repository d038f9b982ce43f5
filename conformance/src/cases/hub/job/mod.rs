//! Jobs: created, followed, cancelled, and what they do on devices.

mod effect;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[effect::CASES];
