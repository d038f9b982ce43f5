//! Queries: pages, refusals and the language.

mod edges;
mod finer;
pub(in crate::cases::hub) mod fleet;
mod jobs;
mod language;
mod open_points;
mod other_pages;
mod pages;
mod wide;

pub(super) use fleet::settled;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    pages::CASES,
    other_pages::CASES,
    wide::CASES,
    jobs::CASES,
    language::CASES,
    finer::CASES,
    edges::CASES,
    open_points::CASES,
];
