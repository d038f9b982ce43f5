//! The hub as a stage: what an agent sends is seen in order, and what it is sent can be steered.
//!
//! It is an overlay of the reference hub, so agents talk to the real one; a case decides which
//! packets reach it, are answered in its place, are held back or lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;
use twinspec_harness::hub::Overlay;
use twinspec_harness::trace::{Event, Recorder};
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::{Connect, Delivery, Packet, Publish};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};
use twinspec_model::wire::username::UserName;

use crate::mutants::overlay::{is_nudged, nudge};

/// Events of one agent kept; an agent that sends more floods the hub.
const SEEN_MAX: usize = 5_000;

/// How agents appear in traces.
pub(super) const ACTOR: &str = "agent";

/// All agents of a run.
#[derive(Clone, Default)]
pub struct Stage(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    watches: BTreeMap<String, Arc<Watch>>,
    connections: BTreeMap<ConnectionId, Arc<Watch>>,
}

/// One agent, as its hub sees it.
pub(super) struct Watch {
    inner: Mutex<Inner>,
    bell: Notify,
    recorder: Recorder,
}

struct Inner {
    seen: Vec<Seen>,
    flooded: bool,
    steer: Option<Steer>,
    /// Notifications that wait for the case; none are held back without a list.
    held: Option<Vec<Packet>>,
    muted: bool,
    connection: Option<ConnectionId>,
}

/// What an agent did.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When the hub saw it.
    pub at: Instant,
    /// On which connection.
    pub connection: ConnectionId,
    /// What it was.
    pub what: What,
}

/// One thing that an agent did.
#[derive(Clone, Debug)]
pub enum What {
    /// It asked to be let in.
    Connect(Box<Connect>),
    /// It changed its reported properties.
    Report {
        /// The patch; null when it is no JSON.
        patch: Value,
        /// Request id.
        rid: Option<String>,
    },
    /// It sent another packet.
    Packet(Packet),
    /// It sent bytes that are no packet.
    Malformed(String),
    /// Its connection ended.
    Closed,
    /// The hub answered a report.
    Answered {
        /// Status.
        status: u16,
        /// Request id.
        rid: String,
    },
}

impl What {
    /// The request id, when the twin was asked for.
    #[must_use]
    pub fn twin_request(&self) -> Option<String> {
        let Self::Packet(Packet::Publish(publish)) = self else { return None };
        match DeviceTopic::parse(&publish.topic) {
            Some(DeviceTopic::TwinGet { rid }) => Some(rid),
            _ => None,
        }
    }
}

/// Decides what happens to what an agent does.
pub type Steer = Box<dyn FnMut(&What) -> Treatment + Send>;

/// What happens to a packet of an agent.
#[derive(Clone, Debug)]
pub enum Treatment {
    /// The hub handles it.
    Pass,
    /// It is lost on its way.
    Lose,
    /// The hub handles it, and its answers are lost.
    LoseAnswer,
    /// The case answers in the hub's place.
    Answer(Packet),
    /// The hub handles it, after it has sent this.
    After(Packet),
    /// A report is refused with this status.
    Refuse(u16),
    /// The connection breaks before the hub has seen it.
    CutBefore,
    /// The hub handles it, and the connection breaks before its answer.
    CutAfter,
}

impl Stage {
    /// Watches the agent that connects as `identity` from now on.
    pub(super) fn watch(&self, identity: &str, recorder: Recorder) -> Arc<Watch> {
        let inner = Inner {
            seen: Vec::new(),
            flooded: false,
            steer: None,
            held: None,
            muted: false,
            connection: None,
        };
        let watch = Arc::new(Watch { inner: Mutex::new(inner), bell: Notify::new(), recorder });
        lock(&self.0).watches.insert(identity.to_owned(), Arc::clone(&watch));
        watch
    }

    /// Watches `identity` no longer.
    pub(super) fn forget(&self, identity: &str) {
        lock(&self.0).watches.remove(identity);
    }

    /// What is laid over the hub.
    #[must_use]
    pub fn overlay(&self) -> Box<dyn Overlay> {
        Box::new(StageOverlay { stage: self.clone(), answers: Vec::new(), deaf: None })
    }
}

impl Watch {
    /// Everything seen from the number `from` on.
    pub(super) fn seen(&self, from: usize) -> Vec<Seen> {
        self.inner().seen.get(from..).unwrap_or_default().to_vec()
    }

    /// How much was seen.
    pub(super) fn count(&self) -> usize {
        self.inner().seen.len()
    }

    /// Whether the agent sent more than anybody wants to read.
    pub(super) fn is_flooded(&self) -> bool {
        self.inner().flooded
    }

    /// Ready when something was seen after this call.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.bell.notified()
    }

    /// The open connection.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        self.inner().connection
    }

    /// Lets `steer` decide from now on; `None`: everything passes.
    pub(super) fn steer(&self, steer: Option<Steer>) {
        self.inner().steer = steer;
    }

    /// Nothing passes in either direction, although the connection stays open.
    pub(super) fn mute(&self, muted: bool) {
        self.inner().muted = muted;
    }

    /// Keeps notifications back from now on.
    pub(super) fn hold(&self) {
        self.inner().held.get_or_insert_default();
    }

    /// The notifications kept back; new ones pass again.
    pub(super) fn take_held(&self) -> Vec<Packet> {
        self.inner().held.take().unwrap_or_default()
    }

    /// How many notifications are kept back.
    pub(super) fn held_count(&self) -> usize {
        self.inner().held.as_ref().map_or(0, Vec::len)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    fn note(&self, connection: ConnectionId, what: What) -> Treatment {
        let mut inner = self.inner();
        let treatment = match inner.steer.as_mut() {
            Some(steer) => steer(&what),
            None => Treatment::Pass,
        };
        if inner.seen.len() < SEEN_MAX {
            inner.seen.push(Seen { at: Instant::now(), connection, what });
        } else {
            inner.flooded = true;
        }
        let muted = inner.muted;
        drop(inner);
        self.bell.notify_waiters();
        if muted { Treatment::Lose } else { treatment }
    }

    fn record(&self, event: Event) {
        // A flood is no evidence that anybody reads to its end.
        if self.recorder.len() < SEEN_MAX {
            self.recorder.record(ACTOR, event);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct StageOverlay {
    stage: Stage,
    /// What is sent in the hub's place at its next turn.
    answers: Vec<Output>,
    /// The connection whose answers to the current input are lost.
    deaf: Option<ConnectionId>,
}

impl StageOverlay {
    fn watch(&self, id: ConnectionId) -> Option<Arc<Watch>> {
        lock(&self.stage.0).connections.get(&id).cloned()
    }

    /// Learns from a CONNECT whose connection this is.
    fn introduce(&self, id: ConnectionId, connect: &Connect) -> Option<Arc<Watch>> {
        let identity = UserName::parse(connect.user_name.as_deref()?)?.identity.to_string();
        let mut state = lock(&self.stage.0);
        let watch = state.watches.get(&identity).cloned()?;
        state.connections.insert(id, Arc::clone(&watch));
        drop(state);
        let endpoint = "the hub".to_owned();
        watch.record(Event::Opened { endpoint });
        watch.inner().connection = Some(id);
        Some(watch)
    }

    fn treat(&mut self, id: ConnectionId, packet: Packet) -> Vec<Input> {
        let watch = match &packet {
            Packet::Connect(connect) => self.introduce(id, connect),
            _ => self.watch(id),
        };
        let Some(watch) = watch else { return vec![Input::Packet(id, packet)] };
        watch.record(Event::Sent(watch.recorder.message(&packet)));
        let what = what(&packet);
        let rid = match &what {
            What::Report { rid, .. } => rid.clone(),
            _ => None,
        };
        let taken = acknowledgement(&packet);
        let passed = Input::Packet(id, packet);
        match watch.note(id, what) {
            Treatment::Pass => vec![passed],
            Treatment::Lose => Vec::new(),
            Treatment::LoseAnswer => {
                self.deaf = Some(id);
                vec![passed]
            }
            Treatment::Answer(answer) => {
                self.answers.extend(taken.map(|taken| Output::Send(id, taken)));
                self.answer(Output::Send(id, answer))
            }
            Treatment::After(packet) => {
                let mut inputs = self.answer(Output::Send(id, packet));
                inputs.push(passed);
                inputs
            }
            Treatment::Refuse(status) => match rid {
                Some(rid) => {
                    self.answers.extend(taken.map(|taken| Output::Send(id, taken)));
                    self.answer(Output::Send(id, refusal(status, rid)))
                }
                None => Vec::new(),
            },
            Treatment::CutBefore => self.answer(Output::Close(id)),
            Treatment::CutAfter => {
                self.deaf = Some(id);
                let mut inputs = vec![passed];
                inputs.extend(self.answer(Output::Close(id)));
                inputs
            }
        }
    }

    fn answer(&mut self, output: Output) -> Vec<Input> {
        self.answers.push(output);
        vec![nudge()]
    }
}

impl Overlay for StageOverlay {
    fn input(&mut self, input: Input) -> Vec<Input> {
        self.deaf = None;
        match input {
            Input::Packet(id, packet) => self.treat(id, packet),
            Input::Closed(id) => {
                let watch = lock(&self.stage.0).connections.remove(&id);
                if let Some(watch) = watch {
                    let mut inner = watch.inner();
                    if inner.connection == Some(id) {
                        inner.connection = None;
                    }
                    drop(inner);
                    watch.record(Event::Closed);
                    watch.note(id, What::Closed);
                }
                vec![Input::Closed(id)]
            }
            Input::Malformed(id, malformed) => {
                if let Some(watch) = self.watch(id) {
                    watch.record(Event::ReceivedMalformed(malformed.to_string()));
                    watch.note(id, What::Malformed(malformed.to_string()));
                }
                vec![Input::Malformed(id, malformed)]
            }
            other => vec![other],
        }
    }

    fn output(&mut self, output: Output) -> Vec<Output> {
        let outputs = if is_nudged(&output) {
            std::mem::take(&mut self.answers)
        } else {
            let lost = matches!(&output, Output::Send(id, _) if Some(*id) == self.deaf);
            if lost { Vec::new() } else { vec![output] }
        };
        outputs.into_iter().filter_map(|output| self.pass(output)).collect()
    }
}

impl StageOverlay {
    /// What of an output reaches the agent now.
    fn pass(&self, output: Output) -> Option<Output> {
        let (Output::Send(id, _) | Output::Close(id)) = &output else { return Some(output) };
        let id = *id;
        let Some(watch) = self.watch(id) else { return Some(output) };
        let Output::Send(_, packet) = output else {
            // What breaks a connection on purpose is not held up.
            return Some(output).filter(|_| !watch.inner().muted);
        };
        let topic = match &packet {
            Packet::Publish(publish) => HubTopic::parse(&publish.topic),
            _ => None,
        };
        let mut inner = watch.inner();
        if inner.muted {
            return None;
        }
        if let (Some(HubTopic::Desired { .. }), Some(held)) = (&topic, inner.held.as_mut()) {
            held.push(packet);
            drop(inner);
            watch.bell.notify_waiters();
            return None;
        }
        drop(inner);
        watch.record(Event::Received(watch.recorder.message(&packet)));
        if let Some(HubTopic::TwinResponse { status, rid, .. }) = topic {
            watch.note(id, What::Answered { status, rid });
        }
        Some(Output::Send(id, packet))
    }
}

fn what(packet: &Packet) -> What {
    match packet {
        Packet::Connect(connect) => What::Connect(connect.clone()),
        Packet::Publish(publish) => match DeviceTopic::parse(&publish.topic) {
            Some(DeviceTopic::TwinPatch { rid, .. }) => What::Report {
                patch: serde_json::from_slice(&publish.payload).unwrap_or(Value::Null),
                rid,
            },
            _ => What::Packet(packet.clone()),
        },
        other => What::Packet(other.clone()),
    }
}

/// What tells that `packet` has arrived: a hub that refuses a report says that too.
fn acknowledgement(packet: &Packet) -> Option<Packet> {
    match packet {
        Packet::Publish(Publish { delivery: Delivery::AtLeastOnce(id), .. }) => {
            Some(Packet::PubAck(*id))
        }
        _ => None,
    }
}

/// How a hub refuses a report.
fn refusal(status: u16, rid: String) -> Packet {
    let topic = HubTopic::TwinResponse { status, rid, version: None }.to_topic();
    let body = format!("{{\"errorCode\":{status}000,\"message\":\"refused on purpose\"}}");
    Packet::Publish(Publish::at_most_once(topic, body))
}
