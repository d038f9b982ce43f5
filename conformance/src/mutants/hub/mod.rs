//! Defects of a hub, a file for each family of requirements.

mod notification;
mod notification_scope;
mod twin;
mod twin_module;
mod twin_refused;
mod twin_report;
mod twin_request;
mod atomic;
mod concurrency;
mod merge;
mod replace;
mod values;
mod writes;
mod document;
mod keys;
mod metadata;
mod size;
mod validation;
mod versions;

use super::Mutant;

/// All of them.
pub const MUTANTS: &[&[Mutant]] = &[
    notification::MUTANTS,
    notification_scope::MUTANTS,
    twin::MUTANTS,
    twin_module::MUTANTS,
    twin_refused::MUTANTS,
    twin_report::MUTANTS,
    twin_request::MUTANTS,
    merge::MUTANTS,
    values::MUTANTS,
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
