//! How devices reach the hub: transports, CONNECT, keep-alive, will.

mod first_packet;
mod identity;
mod idle;
mod login;
mod open_points;
mod refusal;
mod take_over;
mod transport;
mod user_name;
mod will;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    transport::CASES,
    identity::CASES,
    user_name::CASES,
    refusal::CASES,
    first_packet::CASES,
    take_over::CASES,
    idle::CASES,
    will::CASES,
    open_points::CASES,
];
