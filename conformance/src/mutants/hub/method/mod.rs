//! Defects of direct methods.

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[];
