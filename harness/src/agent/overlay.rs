//! Defects laid over the reference agent from outside, as [`crate::hub::overlay`] does for the hub.

use std::time::Duration;

use twinspec_model::agent::{Input, Output, Persisted, Settings};
use twinspec_model::wire::mqtt::Packet;
use twinspec_model::wire::username::UserName;

use super::Config;

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
    /// May change what the agent is told, before it starts.
    fn config(&mut self, _config: &mut Config) {}

    /// May change what the machine is told, before it starts.
    fn settings(&mut self, _settings: &mut Settings) {}

    /// May change what an earlier run left.
    fn persisted(&mut self, _persisted: &mut Persisted) {}

    /// May change with which user name it logs in.
    fn user_name(&mut self, _user_name: &mut UserName) {}

    /// Whether it ends when it is told to.
    fn obeys(&self) -> bool {
        true
    }

    /// What stands between its packets and the hub.
    fn tamper(&mut self) -> Option<Box<dyn Tamper>> {
        None
    }

    /// What the machine is given in place of `input`.
    fn input(&mut self, input: Input) -> Vec<Input> {
        vec![input]
    }

    /// What happens in place of `output`.
    fn output(&mut self, output: Output) -> Vec<Effect> {
        vec![Effect::Do(output)]
    }
}

/// What goes over the wire in place of a packet.
#[derive(Debug)]
pub enum Wire {
    /// The hub is sent this.
    Hub(Packet),
    /// The hub is sent these bytes.
    HubBytes(Vec<u8>),
    /// The agent is sent this.
    Agent(Packet),
}

/// Something that stands between an agent's packets and its hub.
pub trait Tamper: Send {
    /// How long a packet of the agent is held up.
    fn pause(&mut self, _packet: &Packet) -> Duration {
        Duration::ZERO
    }

    /// What happens in place of `packet`, which the agent sent.
    fn sent(&mut self, packet: Packet) -> Vec<Wire> {
        vec![Wire::Hub(packet)]
    }

    /// What happens in place of `packet`, which the hub sent.
    fn received(&mut self, packet: Packet) -> Vec<Wire> {
        vec![Wire::Agent(packet)]
    }
}

/// Changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faithful;

impl Overlay for Faithful {}
