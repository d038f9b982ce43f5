//! Defects laid over the reference hub from outside.
//!
//! The model never knows: an overlay sees what goes in and what comes out, and may change both.

use twinspec_model::hub::{Input, Output};

/// Something that stands between the sockets and the model.
pub trait Overlay: Send {
    /// What the model is given in place of `input`.
    fn input(&mut self, input: Input) -> Vec<Input> {
        vec![input]
    }

    /// What the sockets are given in place of `output`.
    fn output(&mut self, output: Output) -> Vec<Output> {
        vec![output]
    }
}

/// Changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faithful;

impl Overlay for Faithful {}
