//! Defects of a hub, a file for each family of requirements.

mod document;
mod keys;
mod metadata;
mod size;
mod twin;
mod validation;
mod versions;

use super::Mutant;

/// All of them.
pub const MUTANTS: &[&[Mutant]] = &[
    document::MUTANTS,
    keys::MUTANTS,
    metadata::MUTANTS,
    size::MUTANTS,
    twin::MUTANTS,
    validation::MUTANTS,
    versions::MUTANTS,
];
