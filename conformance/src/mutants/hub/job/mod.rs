//! Defects of jobs.

mod create;
mod effect;
mod read;
mod refusal;
mod row;
mod state;
mod tools;

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[
    create::MUTANTS,
    refusal::MUTANTS,
    read::READ,
    read::LIST,
    state::TIME,
    state::CANCEL,
    state::LIMIT,
    effect::TWIN,
    effect::METHOD,
    row::ROW,
    row::COUNTERS,
    row::QUERY,
];
