//! HTTP conventions, errors and events.

mod content;
mod device;
mod errors;
mod events;
mod headers;
mod throttle;
mod versions;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    versions::CASES,
    headers::CASES,
    errors::CASES,
    content::CASES,
    throttle::CASES,
    device::CASES,
    events::CASES,
];
