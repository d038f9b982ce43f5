//! Defects of direct methods.

mod answer;
mod call;
mod edges;
mod late;
mod lost;
mod members;
mod module;
mod offline;
mod payload;
mod session;
mod timeout;
mod tools;

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[
    call::MUTANTS,
    session::MUTANTS,
    payload::MUTANTS,
    answer::MUTANTS,
    module::MUTANTS,
    offline::MUTANTS,
    timeout::MUTANTS,
    late::MUTANTS,
    members::MUTANTS,
    lost::MUTANTS,
    edges::MUTANTS,
];
