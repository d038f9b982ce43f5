//! The identity registry.

mod bulk;
mod bulk_twin;
pub(super) mod calls;
mod create;
mod delete;
mod ids;
mod kinds;
mod list;
mod modules;
mod open_points;
mod update;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    create::CASES,
    update::CASES,
    delete::CASES,
    ids::CASES,
    list::CASES,
    kinds::CASES,
    modules::CASES,
    bulk::CASES,
    bulk_twin::CASES,
    open_points::CASES,
];
