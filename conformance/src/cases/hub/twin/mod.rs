//! Device twins and module twins.

mod device;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[device::CASES];
