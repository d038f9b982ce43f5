//! What a hub does for devices of the older firmware-update patterns (firmware-patterns.md (a) to (d)).

mod device_job;
mod direct_method;
mod samples;
mod traces;
mod twin_job;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] =
    &[device_job::CASES, twin_job::CASES, direct_method::CASES, samples::CASES];
