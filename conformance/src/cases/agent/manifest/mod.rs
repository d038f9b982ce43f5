//! Update manifests, as an agent treats them (device-update-manifests.md § 1, 2).

mod accepted;
mod refused;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[accepted::CASES, refused::CASES];
