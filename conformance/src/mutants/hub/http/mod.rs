//! Defects of HTTP conventions, errors and events.

mod conventions;
mod errors;
mod events;

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[conventions::MUTANTS, errors::MUTANTS, events::MUTANTS];
