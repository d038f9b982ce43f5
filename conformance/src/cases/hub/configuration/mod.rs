//! Automatic device configurations: documents, rollout, conflicts.

mod calls;
mod content;
mod create;
mod everyone;
mod ids;
mod leave;
mod metrics;
mod occasions;
mod open_points;
mod rollout;
mod update;
mod winner;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    create::CASES,
    ids::CASES,
    update::CASES,
    rollout::CASES,
    winner::CASES,
    leave::CASES,
    occasions::CASES,
    everyone::CASES,
    content::CASES,
    metrics::CASES,
    open_points::CASES,
];
