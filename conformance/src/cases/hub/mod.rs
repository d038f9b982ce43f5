//! Cases that judge a hub.

pub mod twin;
