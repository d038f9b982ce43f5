//! The model's hub behind a lock, and where its outputs go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Uri;
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;
use twinspec_model::error::Refusal;
use twinspec_model::hub::{ConnectionId, ExchangeId, Hub, Input, Output};
use twinspec_model::message::DeviceBound;
use twinspec_model::time::Time;

use super::events::{EventLog, EventPage};
use super::mqtt::FAREWELL;
use super::overlay::Overlay;
use crate::clock::Clock;

/// Bytes that may wait for one slow reader before the hub gives it up.
const OUTBOX_MAX: usize = 8 << 20;

pub(super) struct Shared {
    pub(super) clock: Clock,
    /// Told when a deadline appears that is nearer than the one being waited for.
    pub(super) nearer_deadline: Notify,
    state: Mutex<State>,
}

struct State {
    hub: Hub,
    overlay: Box<dyn Overlay>,
    links: HashMap<ConnectionId, Arc<Link>>,
    exchanges: HashMap<ExchangeId, oneshot::Sender<http::Response<Bytes>>>,
    next_id: u64,
    awaited: Option<Time>,
    log: EventLog,
}

/// The way out to one MQTT connection.
#[derive(Default)]
pub(super) struct Link {
    outbox: Mutex<Outbox>,
    /// There is something to write, or the connection is to end.
    pub(super) ready: Notify,
    /// The reader is too slow: end without writing the rest.
    overflow: Notify,
    /// The hub has closed the connection: the rest may be written for a while.
    closed: Notify,
}

#[derive(Default)]
struct Outbox {
    bytes: BytesMut,
    closing: bool,
}

impl Link {
    /// Takes what is to be written, and whether the connection ends after it.
    pub(super) fn take(&self) -> (BytesMut, bool) {
        let mut outbox = lock(&self.outbox);
        (outbox.bytes.split(), outbox.closing)
    }

    /// Returns when the reader is not waited for any more.
    pub(super) async fn given_up(&self) {
        let closed = async {
            self.closed.notified().await;
            // A write that begins later is to hear it too.
            self.closed.notify_one();
            sleep(FAREWELL).await;
        };
        tokio::select! {
            () = self.overflow.notified() => {}
            () = closed => {}
        }
    }
}

impl Shared {
    pub(super) fn new(hub: Hub, overlay: Box<dyn Overlay>, clock: Clock) -> Self {
        let state = State {
            hub,
            overlay,
            links: HashMap::new(),
            exchanges: HashMap::new(),
            next_id: 0,
            awaited: None,
            log: EventLog::default(),
        };
        Self { clock, nearer_deadline: Notify::new(), state: Mutex::new(state) }
    }

    pub(super) fn with_hub<T>(&self, look: impl FnOnce(&Hub) -> T) -> T {
        look(&lock(&self.state).hub)
    }

    /// Lets the model handle `inputs` in order and passes on what it wants done.
    pub(super) fn handle(&self, inputs: impl IntoIterator<Item = Input>) {
        let mut state = lock(&self.state);
        for input in inputs {
            for input in state.overlay.input(input) {
                for output in state.hub.handle(self.clock.now(), input) {
                    let outputs = state.overlay.output(output);
                    outputs.into_iter().for_each(|output| state.carry_out(output));
                }
            }
        }
        let next = state.hub.next_deadline();
        if next.is_some_and(|next| state.awaited.is_none_or(|awaited| next < awaited)) {
            self.nearer_deadline.notify_one();
        }
    }

    /// Moves the hub's clock forward and lets everything that became due happen.
    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.handle([Input::Tick]);
        // The wait for the next tick was reckoned by the clock as it was.
        self.nearer_deadline.notify_one();
    }

    /// Lets the overlay change how a WebSocket upgrade is answered.
    pub(super) fn upgraded<B>(&self, uri: &Uri, answer: http::Response<B>) -> http::Response<B> {
        let (mut head, body) = answer.into_parts();
        lock(&self.state).overlay.upgrade(uri, &mut head);
        http::Response::from_parts(head, body)
    }

    /// Whether listeners with TLS serve clients in clear text too.
    pub(super) fn takes_clear_text(&self) -> bool {
        lock(&self.state).overlay.takes_clear_text()
    }

    pub(super) fn open_link(
        &self,
        opened: impl FnOnce(ConnectionId) -> Input,
    ) -> (ConnectionId, Arc<Link>) {
        let link = Arc::new(Link::default());
        let mut state = lock(&self.state);
        let id = ConnectionId(state.new_id());
        state.links.insert(id, Arc::clone(&link));
        drop(state);
        self.handle([opened(id)]);
        (id, link)
    }

    pub(super) fn close_link(&self, id: ConnectionId) {
        lock(&self.state).links.remove(&id);
        self.handle([Input::Closed(id)]);
    }

    /// Hands a request to the model and returns where its answer will arrive.
    pub(super) fn ask(
        &self,
        request: http::Request<Bytes>,
    ) -> oneshot::Receiver<http::Response<Bytes>> {
        let (answer, receiver) = oneshot::channel();
        let mut state = lock(&self.state);
        let id = ExchangeId(state.new_id());
        state.exchanges.insert(id, answer);
        drop(state);
        self.handle([Input::Request(id, request)]);
        receiver
    }

    /// Injects a cloud-to-device message.
    pub(super) fn send_to_device(&self, device: &str, message: DeviceBound) -> Result<(), Refusal> {
        let mut state = lock(&self.state);
        let outputs = state.hub.send_to_device(self.clock.now(), device, message)?;
        for output in outputs {
            let outputs = state.overlay.output(output);
            outputs.into_iter().for_each(|output| state.carry_out(output));
        }
        Ok(())
    }

    /// Does what no input led to.
    pub(super) fn carry_out(&self, outputs: impl IntoIterator<Item = Output>) {
        let mut state = lock(&self.state);
        for output in outputs {
            let outputs = state.overlay.output(output);
            outputs.into_iter().for_each(|output| state.carry_out(output));
        }
    }

    /// The events after the number `after`, of one device or of all.
    pub(super) fn events(&self, after: u64, device: Option<&str>) -> EventPage {
        lock(&self.state).log.page(after, device)
    }

    /// Told when an event happens.
    pub(super) fn event_bell(&self) -> Arc<Notify> {
        lock(&self.state).log.bell()
    }

    /// How long until the model needs a tick.
    pub(super) fn until_deadline(&self) -> Option<Duration> {
        let mut state = lock(&self.state);
        state.awaited = state.hub.next_deadline();
        state.awaited.map(|deadline| deadline.since(self.clock.now()))
    }
}

impl State {
    /// Appends to what waits for a connection; one to which something cannot be sent is given up.
    fn send(&self, id: ConnectionId, encode: impl FnOnce(&mut BytesMut) -> bool) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let mut outbox = lock(&link.outbox);
        let is_encoded = encode(&mut outbox.bytes);
        if !is_encoded || outbox.bytes.len() > OUTBOX_MAX {
            outbox.closing = true;
            link.overflow.notify_one();
        }
        link.ready.notify_one();
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send(id, packet) => self.send(id, |bytes| {
                packet.encode(bytes);
                true
            }),
            Output::Lwm2m(id, message) => self.send(id, |bytes| message.encode(bytes).is_ok()),
            Output::Close(id) => {
                if let Some(link) = self.links.remove(&id) {
                    lock(&link.outbox).closing = true;
                    link.closed.notify_one();
                    link.ready.notify_one();
                }
            }
            Output::Respond(id, response) => {
                if let Some(answer) = self.exchanges.remove(&id) {
                    // The caller may have gone away meanwhile; then nobody wants the answer.
                    drop(answer.send(response));
                }
            }
            Output::Event(event) => self.log.push(&event),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
