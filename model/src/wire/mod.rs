//! The one reading of the protocol: bytes, topics, user names, paths and bodies.
//!
//! Reference hub, scripted clients and judge all use this codec. It is pure and strict: whatever
//! MQTT 3.1.1 forbids is an error with its clause, and every malformed packet can be built too.

pub mod body;
pub mod coap;
pub mod mqtt;
pub mod percent;
pub mod route;
pub mod topic;
pub mod username;
