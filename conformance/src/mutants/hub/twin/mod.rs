//! Defects of device and module twins.

mod atomic;
mod concurrency;
mod device;
mod device_module;
mod device_refused;
mod device_report;
mod device_request;
mod document;
mod easily_lost;
mod keys;
mod merge;
mod metadata;
mod notification;
mod notification_scope;
mod replace;
mod size;
mod validation;
mod values;
mod versions;
mod writes;

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[
    device::MUTANTS,
    device_module::MUTANTS,
    device_refused::MUTANTS,
    device_report::MUTANTS,
    device_request::MUTANTS,
    notification::MUTANTS,
    notification_scope::MUTANTS,
    merge::MUTANTS,
    values::MUTANTS,
    easily_lost::MUTANTS,
    atomic::MUTANTS,
    replace::MUTANTS,
    concurrency::MUTANTS,
    document::MUTANTS,
    keys::MUTANTS,
    metadata::MUTANTS,
    size::MUTANTS,
    validation::MUTANTS,
    versions::MUTANTS,
];
