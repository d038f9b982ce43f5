//! Deployments that succeed (device-update-agent.md § 6.4, 6.5, 6.11, 6.12).

mod components;
mod content;
mod generation;
mod steps;
mod success;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] =
    &[success::CASES, content::CASES, steps::CASES, components::CASES, generation::CASES];
