//! The ways in which defects are laid over an agent's packets.

use std::time::Duration;

use twinspec_harness::agent::{Overlay, Tamper, Wire};
use twinspec_model::wire::mqtt::Packet;

/// Rewrites packets in both directions, and remembers something.
#[derive(Clone)]
pub(super) struct Packets<S> {
    pub(super) state: S,
    pub(super) sent: fn(&mut S, Packet) -> Vec<Wire>,
    pub(super) received: fn(&mut S, Packet) -> Vec<Wire>,
}

impl<S: Clone + Send + 'static> Overlay for Packets<S> {
    fn tamper(&mut self) -> Option<Box<dyn Tamper>> {
        Some(Box::new(self.clone()))
    }
}

impl<S: Send> Tamper for Packets<S> {
    fn sent(&mut self, packet: Packet) -> Vec<Wire> {
        (self.sent)(&mut self.state, packet)
    }

    fn received(&mut self, packet: Packet) -> Vec<Wire> {
        (self.received)(&mut self.state, packet)
    }
}

/// The hub is sent what the agent sends.
pub(super) fn same_sent<S>(_: &mut S, packet: Packet) -> Vec<Wire> {
    vec![Wire::Hub(packet)]
}

/// The agent is sent what the hub sends.
pub(super) fn same_received<S>(_: &mut S, packet: Packet) -> Vec<Wire> {
    vec![Wire::Agent(packet)]
}

/// Rewrites the CONNECT.
pub(super) fn connects(
    change: fn(&mut twinspec_model::wire::mqtt::Connect),
) -> Packets<fn(&mut twinspec_model::wire::mqtt::Connect)> {
    Packets {
        state: change,
        sent: |change, mut packet| {
            if let Packet::Connect(connect) = &mut packet {
                change(connect);
            }
            vec![Wire::Hub(packet)]
        },
        received: same_received,
    }
}

/// Connects at a steady beat.
#[derive(Clone, Copy)]
pub(super) struct Beat(pub(super) Duration);

impl Overlay for Beat {
    fn config(&mut self, config: &mut twinspec_harness::agent::Config) {
        config.limits.back_off_min = Duration::from_millis(10);
        config.limits.back_off_max = Duration::from_millis(10);
    }

    fn tamper(&mut self) -> Option<Box<dyn Tamper>> {
        Some(Box::new(*self))
    }
}

impl Tamper for Beat {
    fn pause(&mut self, packet: &Packet) -> Duration {
        if matches!(packet, Packet::Connect(_)) { self.0 } else { Duration::ZERO }
    }
}
