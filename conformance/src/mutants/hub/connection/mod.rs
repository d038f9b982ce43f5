//! Defects of how devices reach the hub.

mod connect;
mod idle;
mod packets;
mod refusal;
mod transport;
mod will;

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[
    transport::MUTANTS,
    connect::MUTANTS,
    refusal::MUTANTS,
    packets::MUTANTS,
    idle::MUTANTS,
    will::MUTANTS,
];
