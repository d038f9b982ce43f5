//! Defects of automatic device configurations.

mod documents;
mod metrics;
mod occasions;
mod refusals;
mod rollout;
mod tools;
mod winner;

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[
    documents::MUTANTS,
    metrics::MUTANTS,
    occasions::MUTANTS,
    refusals::MUTANTS,
    rollout::MUTANTS,
    winner::MUTANTS,
];
