//! Defects of a hub, a file for each family of requirements.

mod atomic;
mod concurrency;
mod merge;
mod replace;
mod twin;
mod values;
mod writes;

use super::Mutant;

/// All of them.
pub const MUTANTS: &[&[Mutant]] = &[
    twin::MUTANTS,
    merge::MUTANTS,
    values::MUTANTS,
    atomic::MUTANTS,
    replace::MUTANTS,
    concurrency::MUTANTS,
];
