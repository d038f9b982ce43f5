//! How devices reach the hub: transports, CONNECT, keep-alive, will.

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[];
