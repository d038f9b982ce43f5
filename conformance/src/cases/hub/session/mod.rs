//! Sessions, subscriptions and quality of service.

mod away;
mod device_bound;
mod edges;
mod foreign;
mod grant;
mod publish;
mod resume;
mod silence;
mod unsubscribe;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    grant::CASES,
    publish::CASES,
    silence::CASES,
    device_bound::CASES,
    resume::CASES,
    unsubscribe::CASES,
    foreign::CASES,
    away::CASES,
    edges::CASES,
];
