//! Defects of HTTP conventions, errors and events.

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[];
