//! pending
use crate::case::Case;
/// All cases of the subject.
pub const CASES: &[&[Case]] = &[];
