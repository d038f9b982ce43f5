//! The hub: every subject composed into one sans-I/O state machine.
//!
//! [`Hub::handle`] takes one input and returns what must be sent; [`Hub::next_deadline`] says when
//! to call it with [`Input::Tick`]. The same value backs the reference hub, the in-memory tests
//! and the oracle. It never blocks, sleeps, draws or panics.

mod bulk;
mod config;
mod configuration;
mod device;
mod device_job;
mod entropy;
mod events;
mod job;
mod message;
mod method;
mod query;
mod registry;
mod rollout;
mod row;
mod service;
mod session;
mod twin;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

pub use config::{HubConfig, HubLimits, Throttles};
use device_job::DeviceJobs;
use entropy::Entropy;
use job::Jobs;
use method::Calls;
use rollout::Rollout;

use crate::auth::{Certificate, Policy};
use crate::configuration::{Configuration, Targeting};
use crate::event::Event;
use crate::identity::Identity;
use crate::message::Mailbox;
use crate::registry::Record;
use crate::session::Session;
use crate::throttle::Throttle;
use crate::time::Time;
use crate::twin::Twin;
use crate::wire::coap::{self, Message};
use crate::wire::mqtt::{Malformed, Packet, Will};

/// Names one connection of the shell, for MQTT or for LWM2M.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Names one HTTP exchange of the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client opened a connection for MQTT, with the certificate it showed.
    Opened(ConnectionId, Option<Certificate>),
    /// A packet arrived.
    Packet(ConnectionId, Packet),
    /// Bytes arrived that are no MQTT packet.
    Malformed(ConnectionId, Malformed),
    /// A client opened a connection for LWM2M.
    Lwm2mOpened(ConnectionId),
    /// An LWM2M message arrived.
    Lwm2m(ConnectionId, Message),
    /// Bytes arrived that are no LWM2M message.
    Lwm2mMalformed(ConnectionId, coap::Malformed),
    /// The client's side of the connection ended.
    Closed(ConnectionId),
    /// An HTTP request arrived.
    Request(ExchangeId, http::Request<Bytes>),
    /// Time passed.
    Tick,
}

/// Something to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a packet.
    Send(ConnectionId, Packet),
    /// Send an LWM2M message.
    Lwm2m(ConnectionId, Message),
    /// Close the connection after what was sent before.
    Close(ConnectionId),
    /// Answer an HTTP request.
    Respond(ExchangeId, http::Response<Bytes>),
    /// Tell whoever listens to events.
    Event(Event),
}

/// The hub's whole state.
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
    policies: Vec<Policy>,
    entropy: Entropy,
    entities: BTreeMap<Identity, Entity>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// When to look at a connection again; entries may be early, never late.
    deadlines: BTreeSet<(Time, ConnectionId)>,
    twin_reads: Option<Throttle>,
    twin_updates: Option<Throttle>,
    registry_calls: Option<Throttle>,
    queries: Option<Throttle>,
    /// Method calls in flight.
    calls: Calls,
    jobs: Jobs,
    /// Device jobs of 2016, and the LWM2M connections they need.
    device_jobs: DeviceJobs,
    /// Counts connection-state events.
    connection_events: u64,
    /// Automatic device configurations by id.
    configurations: BTreeMap<String, Configuration>,
    /// The twins they have yet to look at.
    rollout: Rollout,
}

/// One registered identity with all that hangs on it.
#[derive(Debug)]
struct Entity {
    record: Record,
    twin: Twin,
    /// The Plug and Play model of the last CONNECT.
    model_id: String,
    /// Kept while the identity connects with clean session 0.
    session: Option<Session>,
    connection: Option<ConnectionId>,
    mailbox: Mailbox,
    /// Until when a fault command throttles the identity.
    throttled_until: Option<Time>,
    /// Until when a fault command keeps the identity out.
    refused_until: Option<Time>,
    /// What configurations set in the twin; none for nearly every twin.
    targeting: Option<Box<Targeting>>,
}

/// One open MQTT connection.
#[derive(Debug)]
struct Connection {
    /// Who connected; nobody before an accepted CONNECT.
    peer: Option<Identity>,
    clean_session: bool,
    /// Longest silence before the hub closes.
    idle_max: std::time::Duration,
    last_packet: Time,
    /// When the credentials end, grace included.
    credentials_end: Option<Time>,
    /// When a fault command cuts the connection.
    cut_at: Option<Time>,
    /// Published when the connection breaks.
    will: Option<Will>,
    /// What the client showed in the TLS handshake.
    certificate: Option<Certificate>,
}

impl Hub {
    /// An empty hub.
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        let mut entropy = Entropy::new(config.seed);
        let policies = config.policies(&mut entropy);
        Self {
            config,
            policies,
            entropy,
            entities: BTreeMap::new(),
            connections: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            twin_reads: None,
            twin_updates: None,
            registry_calls: None,
            queries: None,
            calls: Calls::default(),
            jobs: Jobs::default(),
            device_jobs: DeviceJobs::default(),
            connection_events: 0,
            configurations: BTreeMap::new(),
            rollout: Rollout::default(),
        }
    }

    /// Takes one input and returns what to do, in order.
    pub fn handle(&mut self, now: Time, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Opened(id, certificate) => self.opened(now, id, certificate),
            Input::Packet(id, packet) => self.packet(now, id, packet, &mut outputs),
            Input::Malformed(id, malformed) => self.malformed(now, id, &malformed, &mut outputs),
            Input::Lwm2mOpened(id) => self.lwm2m_opened(now, id),
            Input::Lwm2m(id, message) => self.lwm2m_message(now, id, &message, &mut outputs),
            // Where the next message begins is not known any more.
            Input::Lwm2mMalformed(id, _) => {
                self.device_jobs.forget(id);
                outputs.push(Output::Close(id));
            }
            Input::Closed(id) => {
                self.device_jobs.forget(id);
                self.forget(now, id, &mut outputs);
            }
            Input::Request(id, request) => {
                if let Some(response) = self.request(now, id, &request, &mut outputs) {
                    outputs.push(Output::Respond(id, response));
                }
            }
            Input::Tick => {
                self.tick(now, &mut outputs);
                self.expire_calls(now, &mut outputs);
                self.run_jobs(now, &mut outputs);
                self.run_device_jobs(now, &mut outputs);
                self.roll_out(now, &mut outputs);
            }
        }
        if !self.config.events {
            outputs.retain(|output| !matches!(output, Output::Event(_)));
        }
        outputs
    }

    /// When [`Input::Tick`] is due; `None` while nothing waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let connection = self.deadlines.first().map(|(time, _)| *time);
        let jobs = [self.jobs.next_due(), self.device_jobs.next_due()];
        let others = [self.calls.next_deadline(), self.rollout.due()];
        others.into_iter().chain(jobs).chain([connection]).flatten().min()
    }

    /// The hub's shared access policies.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The host name the hub answers to.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.config.hostname
    }
}

#[cfg(test)]
mod tests;
