//! Defects of the identity registry.

mod bulk;
pub(super) mod calls;
mod create;
mod ids;
mod kinds;
mod update;

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] =
    &[create::MUTANTS, update::MUTANTS, ids::MUTANTS, kinds::MUTANTS, bulk::MUTANTS];
