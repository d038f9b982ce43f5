//! Devices of the older firmware-update patterns (firmware-patterns.md (b) to (d)).

mod direct_method;
mod direct_method_2018;
mod direct_method_failure;
mod twin_job;
mod twin_job_failure;
mod twin_job_refusal;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    twin_job::CASES,
    twin_job_refusal::CASES,
    twin_job_failure::CASES,
    direct_method::CASES,
    direct_method_failure::CASES,
    direct_method_2018::CASES,
];
