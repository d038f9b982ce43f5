//! The transport floor: reconnection, back-off, keep-alive, sessions, order, TLS.

mod lost;
mod overtaken;
mod reconnect;
mod session;
mod tls;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] =
    &[reconnect::CASES, lost::CASES, session::CASES, overtaken::CASES, tls::CASES];
