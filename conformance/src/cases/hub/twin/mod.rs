//! Device twins and module twins.

mod atomic;
mod concurrency;
mod content;
mod content_reported;
mod device;
mod echo;
mod merging;
mod race;
mod replace;
mod values;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    device::CASES,
    content::CASES,
    content_reported::CASES,
    values::CASES,
    atomic::CASES,
    echo::CASES,
    replace::CASES,
    concurrency::CASES,
    race::CASES,
];
