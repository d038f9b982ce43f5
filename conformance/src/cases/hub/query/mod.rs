//! Queries: pages, refusals and the language.

mod finer;
mod fleet;
mod language;
mod pages;

pub(super) use fleet::settled;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[pages::CASES, language::CASES, finer::CASES];
