//! Device twins and module twins.

mod device;
mod document;
mod keys;
mod metadata;
mod resize;
mod sides;
mod size;
mod stamps;
mod validation;
mod versions;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    device::CASES,
    document::CASES,
    keys::CASES,
    metadata::CASES,
    resize::CASES,
    size::CASES,
    stamps::CASES,
    validation::CASES,
    versions::CASES,
];
