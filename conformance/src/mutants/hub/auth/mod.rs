//! Defects of authentication and authorization.

mod certificate;
mod device;
mod doors;
mod keyring;
mod lifetime;
mod permission;
mod request;

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[
    device::MUTANTS,
    lifetime::MUTANTS,
    certificate::MUTANTS,
    request::MUTANTS,
    permission::MUTANTS,
];
