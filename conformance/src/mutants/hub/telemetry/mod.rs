//! Defects of telemetry and cloud-to-device messages.

mod message;
mod properties;

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[message::MUTANTS, properties::MUTANTS];
