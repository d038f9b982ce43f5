//! Jobs: created, followed, listed, cancelled, and what they do on devices.

mod cancel;
mod condition;
mod create;
mod effect;
mod list;
mod method;
mod open_points;
mod read;
mod refusal;
mod row;
mod time;
pub(in crate::cases::hub) mod tools;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    create::CASES,
    refusal::CASES,
    condition::CASES,
    read::CASES,
    list::CASES,
    time::CASES,
    cancel::CASES,
    effect::CASES,
    method::CASES,
    row::CASES,
    open_points::CASES,
];
