//! Cases that judge a device of an older firmware-update pattern.

pub mod firmware;
