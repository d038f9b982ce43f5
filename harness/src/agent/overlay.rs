//! Defects laid over the reference agent from outside, as [`crate::hub::overlay`] does for the hub.

use twinspec_model::agent::{Input, Output, Settings};
use twinspec_model::wire::username::UserName;

use super::Limits;

/// What becomes of something that the machine wants.
#[derive(Debug)]
pub enum Effect {
    /// It is done.
    Do(Output),
    /// The machine learns something instead.
    Feed(Input),
}

/// Something that stands between the machine and the world.
pub trait Overlay: Send {
    /// May change what the agent is, before it starts.
    fn settings(&mut self, _settings: &mut Settings) {}

    /// May change how long things may take.
    fn limits(&mut self, _limits: &mut Limits) {}

    /// May change with which user name it logs in.
    fn user_name(&mut self, _user_name: &mut UserName) {}

    /// What the machine is given in place of `input`.
    fn input(&mut self, input: Input) -> Vec<Input> {
        vec![input]
    }

    /// What happens in place of `output`.
    fn output(&mut self, output: Output) -> Vec<Effect> {
        vec![Effect::Do(output)]
    }
}

/// Changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faithful;

impl Overlay for Faithful {}
