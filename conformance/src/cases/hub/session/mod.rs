//! Sessions, subscriptions and quality of service.

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[];
