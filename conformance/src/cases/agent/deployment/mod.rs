//! Deployments that succeed (device-update-agent.md § 6.4, 6.5, 6.11, 6.12).

mod components;
mod content;
mod generation;
mod one_component;
mod steps;
mod success;

pub(super) use components::{COMPONENTS, child_of, motors, refer};

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    success::CASES,
    content::CASES,
    steps::CASES,
    components::CASES,
    one_component::CASES,
    generation::CASES,
];
