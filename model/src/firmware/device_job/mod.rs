//! Pattern (a), 2016 preview: device jobs that the hub drives over LWM2M (firmware-patterns.md § a).
//!
//! - [`lwm2m`]: the resources of a device, what may be done with them, and the answers.
//! - [`device`]: the firmware object of a device as a state machine, and the objects around it.
//! - [`client`]: a device on its connection: registration, observations, messages.
//! - [`job`]: the hub's side: a parent and one child for each device.
//! - [`history`]: the JSON query over jobs.

pub mod client;
pub mod device;
pub mod history;
pub mod job;
pub mod lwm2m;
pub mod request;

#[cfg(test)]
mod tests;
