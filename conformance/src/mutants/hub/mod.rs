//! Defects of a hub, a file for each family of requirements.

mod twin;

use super::Mutant;

/// All of them.
pub const MUTANTS: &[&[Mutant]] = &[twin::MUTANTS];
