//! Queries: pages, refusals and the language.

mod finer;
pub(in crate::cases::hub) mod fleet;
mod jobs;
mod language;
mod pages;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[pages::CASES, language::CASES, finer::CASES, jobs::CASES];
