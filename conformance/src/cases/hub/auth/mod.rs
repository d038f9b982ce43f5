//! Authentication and authorization.

mod certificate;
mod expiry;
mod header;
mod keys;
mod open_points;
mod permission;
mod policy;
mod scope;
mod signature;
mod status;
mod token;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    keys::CASES,
    signature::CASES,
    expiry::CASES,
    scope::CASES,
    policy::CASES,
    certificate::CASES,
    status::CASES,
    header::CASES,
    permission::CASES,
    open_points::CASES,
];
