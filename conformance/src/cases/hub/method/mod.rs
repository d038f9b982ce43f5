//! Direct methods.

mod answer;
mod call;
mod lost;
mod members;
mod module;
mod offline;
mod open_points;
mod parallel;
mod payload;
mod subscription;
mod timeout;
mod wait;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    call::CASES,
    payload::CASES,
    answer::CASES,
    module::CASES,
    offline::CASES,
    subscription::CASES,
    wait::CASES,
    timeout::CASES,
    members::CASES,
    parallel::CASES,
    lost::CASES,
    open_points::CASES,
];
