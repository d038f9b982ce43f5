//! Direct method calls in flight: handed to the device, answered, or given up in time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::service::{ErrorForm, Reply, respond};
use super::{ConnectionId, ExchangeId, Hub, Output};
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::method::{MethodCall, answer_payload};
use crate::registry::not_found;
use crate::time::Time;
use crate::wire::mqtt::{Packet, Publish};
use crate::wire::topic::{Filter, HubTopic};

/// Calls that one identity may have in flight.
const CALLS_MAX: usize = 2000;

/// The calls that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Calls {
    by_key: BTreeMap<u64, PendingCall>,
    /// The keys of each identity's calls.
    of_identity: BTreeMap<Identity, BTreeSet<u64>>,
    /// When each is given up: exactly those of `by_key`.
    deadlines: BTreeSet<(Time, u64)>,
}

/// A call that is not answered yet.
#[derive(Debug)]
struct PendingCall {
    caller: Caller,
    identity: Identity,
    call: Arc<MethodCall>,
    stage: Stage,
    /// When it is given up.
    until: Time,
}

/// Who gets to know how a call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// An HTTP client.
    Exchange(ExchangeId),
    /// A row of a job.
    Job { id: String, row: usize },
}

/// A device's answer as it came.
pub(super) struct MethodAnswer<'a> {
    pub(super) rid: &'a str,
    pub(super) status: i64,
    pub(super) body: &'a [u8],
}

/// A device's answer with a payload that is JSON.
pub(super) struct DeviceAnswer {
    pub(super) status: i64,
    /// The device's own text.
    pub(super) payload: String,
}

/// Whom a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The device, to connect and listen.
    Device,
    /// The answer of the device on this connection.
    Answer(ConnectionId),
}

impl Calls {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(time, _)| *time)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.of_identity.is_empty() && self.deadlines.is_empty()
    }

    fn insert(&mut self, key: u64, call: PendingCall) {
        self.deadlines.insert((call.until, key));
        self.of_identity.entry(call.identity.clone()).or_default().insert(key);
        self.by_key.insert(key, call);
    }

    fn remove(&mut self, key: u64) -> Option<PendingCall> {
        let call = self.by_key.remove(&key)?;
        self.deadlines.remove(&(call.until, key));
        if let Some(keys) = self.of_identity.get_mut(&call.identity) {
            keys.remove(&key);
            if keys.is_empty() {
                self.of_identity.remove(&call.identity);
            }
        }
        Some(call)
    }

    fn keys(&self, identity: &Identity) -> impl Iterator<Item = u64> {
        self.of_identity.get(identity).into_iter().flatten().copied()
    }
}

impl Hub {
    /// Takes a call in; it is answered later through its exchange.
    pub(super) fn invoke_method(
        &mut self,
        now: Time,
        exchange: ExchangeId,
        identity: &Identity,
        body: &[u8],
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let device = Identity::device(&identity.device);
        let enabled = self.entity(&device)?.record.settings.enabled;
        self.entity(identity)?;
        let call = MethodCall::parse(body)?;
        if !enabled {
            return Err(not_found(&device));
        }
        if self.calls.keys(identity).count() >= CALLS_MAX {
            return Err(Refusal::new(
                ErrorCode::DeviceMaximumInflightMethodExceeded,
                format!("The device has {CALLS_MAX} method calls in flight"),
            ));
        }
        if call.connect_wait.is_zero() && self.listener(identity, &call.name).is_none() {
            return Err(not_online(call.connect_wait));
        }
        let until = now.after(call.connect_wait);
        let caller = Caller::Exchange(exchange);
        self.take_call_in(now, caller, identity, Arc::new(call), until, outputs);
        Ok(())
    }

    /// Calls a device for a row of a job, once it listens, no later than `until`.
    pub(super) fn call_for_job(
        &mut self,
        now: Time,
        caller: Caller,
        device: &Identity,
        call: Arc<MethodCall>,
        until: Time,
        outputs: &mut Vec<Output>,
    ) {
        if self.entities.contains_key(device) {
            self.take_call_in(now, caller, device, call, until, outputs);
        } else {
            self.tell_caller(now, caller, Err(not_found(device)), outputs);
        }
    }

    fn take_call_in(
        &mut self,
        now: Time,
        caller: Caller,
        identity: &Identity,
        call: Arc<MethodCall>,
        until: Time,
        outputs: &mut Vec<Output>,
    ) {
        let identity = identity.clone();
        let key = self.entropy.serial();
        let stage = Stage::Device;
        let pending = PendingCall { caller, identity: identity.clone(), call, stage, until };
        self.calls.insert(key, pending);
        self.deliver_calls(now, &identity, outputs);
    }

    /// Hands waiting calls to a device that listens.
    pub(super) fn deliver_calls(
        &mut self,
        now: Time,
        identity: &Identity,
        outputs: &mut Vec<Output>,
    ) {
        let keys: Vec<u64> = self.calls.keys(identity).collect();
        for key in keys {
            let Some(waiting) = self.calls.by_key.get(&key) else { continue };
            if waiting.stage != Stage::Device {
                continue;
            }
            let Some(connection) = self.listener(identity, &waiting.call.name) else { continue };
            let Some(mut pending) = self.calls.remove(key) else { continue };
            pending.stage = Stage::Answer(connection);
            let until = now.after(pending.call.response_wait);
            // A job gives all of its rows up at its deadline.
            pending.until = match pending.caller {
                Caller::Exchange(_) => until,
                Caller::Job { .. } => until.min(pending.until),
            };
            let topic = HubTopic::MethodRequest { name: pending.call.name.clone(), rid: rid(key) };
            let publish = Publish::at_most_once(topic.to_topic(), pending.call.payload.clone());
            outputs.push(Output::Send(connection, Packet::Publish(publish)));
            if let Caller::Job { id, row } = &pending.caller {
                self.job_call_sent(now, id, *row);
            }
            self.calls.insert(key, pending);
        }
    }

    /// The connection on which `identity` listens to the method `name`.
    fn listener(&self, identity: &Identity, name: &str) -> Option<ConnectionId> {
        let entity = self.entities.get(identity)?;
        let session = entity.session.as_ref()?;
        let one = Filter::Methods { name: Some(name.to_owned()) };
        let listens = session.has(&Filter::Methods { name: None }) || session.has(&one);
        entity.connection.filter(|_| listens)
    }

    /// Takes a device's answer; one that nobody waits for is dropped (A-H13).
    pub(super) fn method_answered(
        &mut self,
        now: Time,
        identity: &Identity,
        answer: &MethodAnswer<'_>,
        outputs: &mut Vec<Output>,
    ) {
        let key = u64::from_str_radix(answer.rid, 16).ok();
        let waits = |pending: &&PendingCall| {
            pending.identity == *identity && matches!(pending.stage, Stage::Answer(_))
        };
        let Some(key) = key.filter(|key| self.calls.by_key.get(key).filter(waits).is_some()) else {
            return;
        };
        self.finish_call(now, key, device_answer(answer.status, answer.body), outputs);
    }

    /// Fails the calls to `identity` that wait for an answer on a connection that has ended.
    pub(super) fn fail_calls_on(
        &mut self,
        now: Time,
        identity: &Identity,
        connection: ConnectionId,
        outputs: &mut Vec<Output>,
    ) {
        let on_it = |pending: &PendingCall| pending.stage == Stage::Answer(connection);
        let keys = self.calls.keys(identity);
        let keys: Vec<u64> =
            keys.filter(|key| self.calls.by_key.get(key).is_some_and(on_it)).collect();
        for key in keys {
            self.finish_call(now, key, Err(not_online(Duration::ZERO)), outputs);
        }
    }

    /// Fails the calls of jobs to a device that is deleted. Back ends wait on, as for a device that
    /// is not connected.
    pub(super) fn fail_job_calls_to(
        &mut self,
        now: Time,
        identity: &Identity,
        outputs: &mut Vec<Output>,
    ) {
        let of_job = |pending: &PendingCall| matches!(pending.caller, Caller::Job { .. });
        let keys = self.calls.keys(identity);
        let keys: Vec<u64> =
            keys.filter(|key| self.calls.by_key.get(key).is_some_and(of_job)).collect();
        for key in keys {
            self.finish_call(now, key, Err(not_found(identity)), outputs);
        }
    }

    /// Forgets the calls of a job whose time is over.
    pub(super) fn drop_job_calls(&mut self, job: &str) {
        let of_it = |pending: &PendingCall| match &pending.caller {
            Caller::Job { id, .. } => id == job,
            Caller::Exchange(_) => false,
        };
        let calls = self.calls.by_key.iter();
        let keys: Vec<u64> = calls.filter(|(_, call)| of_it(call)).map(|(key, _)| *key).collect();
        for key in keys {
            self.calls.remove(key);
        }
    }

    /// Gives up what has waited long enough.
    pub(super) fn expire_calls(&mut self, now: Time, outputs: &mut Vec<Output>) {
        while let Some((due, key)) = self.calls.deadlines.first().copied() {
            if due > now {
                return;
            }
            self.calls.deadlines.pop_first();
            let Some(pending) = self.calls.by_key.get(&key) else { continue };
            let refusal = match (&pending.caller, pending.stage) {
                (Caller::Job { .. }, Stage::Device) => Refusal::new(
                    ErrorCode::JobRunPreconditionFailed,
                    "The run did not begin before the end time of the job: the device was not \
                     reached.",
                ),
                (Caller::Exchange(_), Stage::Device) => not_online(pending.call.connect_wait),
                (_, Stage::Answer(_)) => Refusal::new(
                    ErrorCode::GatewayTimeout,
                    "Timed out waiting for the response from device.",
                ),
            };
            self.finish_call(now, key, Err(refusal), outputs);
        }
    }

    fn finish_call(
        &mut self,
        now: Time,
        key: u64,
        result: Result<DeviceAnswer, Refusal>,
        outputs: &mut Vec<Output>,
    ) {
        if let Some(pending) = self.calls.remove(key) {
            self.tell_caller(now, pending.caller, result, outputs);
        }
    }

    fn tell_caller(
        &mut self,
        now: Time,
        caller: Caller,
        result: Result<DeviceAnswer, Refusal>,
        outputs: &mut Vec<Output>,
    ) {
        match caller {
            Caller::Exchange(exchange) => {
                let request_id = self.entropy.guid();
                let reply = result.map(DeviceAnswer::into_reply);
                let response = respond(reply, ErrorForm::Nested, &request_id, now);
                outputs.push(Output::Respond(exchange, response));
            }
            Caller::Job { id, row } => self.job_call_ended(now, &id, row, result),
        }
    }
}

impl DeviceAnswer {
    /// `{"status":…,"payload":…}` with the device's own text (HUB-METH-006).
    fn into_reply(self) -> Reply {
        let text = format!("{{\"status\":{},\"payload\":{}}}", self.status, self.payload);
        Reply::json_text(Bytes::from(text))
    }
}

/// The rid of a call: hex, opaque to the device.
fn rid(key: u64) -> String {
    format!("{key:x}")
}

/// The answer of a device, which must be JSON to be passed on.
fn device_answer(status: i64, body: &[u8]) -> Result<DeviceAnswer, Refusal> {
    let payload = answer_payload(body)?;
    Ok(DeviceAnswer { status, payload: payload.to_owned() })
}

fn not_online(connect_wait: Duration) -> Refusal {
    let seconds = connect_wait.as_secs();
    let timeout = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    Refusal {
        info: json!({ "timeout": timeout }),
        ..Refusal::new(ErrorCode::DeviceNotOnline, "Timed out waiting for device to connect.")
    }
}
