//! The four older firmware-update patterns (firmware-patterns.md).
//!
//! The devices of patterns (b), (c) and (d) are state machines of one shape: [`Device::handle`] takes
//! what happened and returns what to report, what to answer, and which work to begin. They follow
//! the rules of the patterns, with the spellings of the published samples and without their defects.

pub mod device_job;
pub mod direct_method;
pub mod direct_method_2018;
pub mod observer;
pub mod twin_job;

use serde_json::Value;

use crate::time::Time;

/// A pattern whose device reports in its twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// (b) of 2018: a job writes desired properties.
    TwinJob,
    /// (c) of 2016: a direct method, told in one of several spellings.
    DirectMethod(&'static direct_method::Spelling),
    /// (d) of 2018: a direct method, told at the root of reported.
    DirectMethod2018,
}

impl Pattern {
    /// A device of the pattern that was just started.
    #[must_use]
    pub fn device(self) -> Box<dyn Device> {
        match self {
            Self::TwinJob => Box::new(twin_job::TwinJobDevice::new(twin_job::FIRST_VERSION)),
            Self::DirectMethod(words) => Box::new(direct_method::DirectMethodDevice::new(words)),
            Self::DirectMethod2018 => Box::new(direct_method_2018::DirectMethod2018Device::new()),
        }
    }
}

/// Work that a device does on its own and that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// A pause before the update begins, or between two of its phases.
    Wait,
    /// Fetching the image.
    Download,
    /// Comparing the image with its check value.
    Verify,
    /// Writing the image.
    Apply,
    /// Restarting with the new image.
    Reboot,
    /// Going back to the old image.
    RollBack,
}

impl Phase {
    /// All phases, in the order in which they can follow each other.
    pub const ALL: [Self; 6] =
        [Self::Wait, Self::Download, Self::Verify, Self::Apply, Self::Reboot, Self::RollBack];

    /// The word for people and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Download => "download",
            Self::Verify => "verify",
            Self::Apply => "apply",
            Self::Reboot => "reboot",
            Self::RollBack => "roll-back",
        }
    }
}

/// Something that happened to a device.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The device connected and read its twin.
    Connected {
        /// All desired properties.
        desired: Value,
        /// All reported properties.
        reported: Value,
    },
    /// A desired-properties notification arrived.
    Desired(Value),
    /// A direct method was called.
    Called {
        /// Its name.
        name: String,
        /// Its payload.
        payload: Value,
    },
    /// The work of a phase has ended.
    Done(Phase, Result<(), Failure>),
}

/// Why the work of a phase has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A short word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// Something that a device must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Report these properties.
    Report(Value),
    /// Answer the method call.
    Answer {
        /// The status.
        status: i64,
        /// The payload.
        payload: Value,
    },
    /// Begin the work of a phase.
    Begin(Work),
}

/// The work of a phase, with what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Which work.
    pub phase: Phase,
    /// Where the image is.
    pub uri: String,
    /// What the image must have for a checksum; empty where the pattern knows none.
    pub check: String,
}

/// The device's side of a pattern.
pub trait Device: Send {
    /// Takes one input and returns what to do, in order.
    fn handle(&mut self, now: Time, input: Input) -> Vec<Output>;

    /// Whether an update is under way.
    fn is_busy(&self) -> bool;
}

#[cfg(test)]
mod tests;
