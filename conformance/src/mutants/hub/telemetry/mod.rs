//! Defects of telemetry and cloud-to-device messages.

use crate::mutants::Mutant;

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[];
