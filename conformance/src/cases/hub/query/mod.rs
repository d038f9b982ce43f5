//! Queries: pages, refusals and the language.

mod fleet;
mod language;
mod pages;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[pages::CASES, language::CASES];
