//! Queries: pages, refusals and the language.

mod finer;
pub(in crate::cases::hub) mod fleet;
mod jobs;
mod language;
mod open_points;
mod pages;
mod wide;

pub(super) use fleet::settled;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] =
    &[pages::CASES, wide::CASES, jobs::CASES, language::CASES, finer::CASES, open_points::CASES];
