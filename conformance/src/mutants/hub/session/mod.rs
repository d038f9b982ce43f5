//! Defects of sessions and subscriptions.

mod delivery;
mod edges;
mod foreign;
mod forgetting;
mod grant;
mod publish;

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[
    grant::MUTANTS,
    publish::MUTANTS,
    delivery::MUTANTS,
    forgetting::MUTANTS,
    foreign::MUTANTS,
    edges::MUTANTS,
];
