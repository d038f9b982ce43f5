//! Direct method calls in flight: handed to the device, answered, or given up in time.

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

/// A call that is not answered yet.
#[derive(Debug)]
pub(super) struct PendingCall {
    exchange: ExchangeId,
    identity: Identity,
    call: MethodCall,
    stage: Stage,
    /// When it is given up.
    until: Time,
}

/// A device's answer as it came.
pub(super) struct MethodAnswer<'a> {
    pub(super) rid: &'a str,
    pub(super) status: i64,
    pub(super) body: &'a [u8],
}

/// Whom a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The device, to connect and listen.
    Device,
    /// The answer of the device on this connection.
    Answer(ConnectionId),
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
        if self.calls.values().filter(|pending| pending.identity == *identity).count() >= CALLS_MAX
        {
            return Err(Refusal::new(
                ErrorCode::DeviceMaximumInflightMethodExceeded,
                format!("The device has {CALLS_MAX} method calls in flight"),
            ));
        }
        if call.connect_wait.is_zero() && self.listener(identity, &call.name).is_none() {
            return Err(not_online(call.connect_wait));
        }
        let until = now.after(call.connect_wait);
        let pending =
            PendingCall { exchange, identity: identity.clone(), call, stage: Stage::Device, until };
        let key = self.entropy.serial();
        self.calls.insert(key, pending);
        self.call_deadlines.insert((until, key));
        self.deliver_calls(now, identity, outputs);
        Ok(())
    }

    /// Hands waiting calls to a device that listens.
    pub(super) fn deliver_calls(
        &mut self,
        now: Time,
        identity: &Identity,
        outputs: &mut Vec<Output>,
    ) {
        let waits =
            |pending: &PendingCall| pending.identity == *identity && pending.stage == Stage::Device;
        let keys: Vec<u64> =
            self.calls.iter().filter(|(_, call)| waits(call)).map(|(key, _)| *key).collect();
        for key in keys {
            let name = self.calls.get(&key).map(|pending| pending.call.name.clone());
            let Some(connection) = name.and_then(|name| self.listener(identity, &name)) else {
                continue;
            };
            let Some(pending) = self.calls.get_mut(&key) else { continue };
            pending.stage = Stage::Answer(connection);
            self.call_deadlines.remove(&(pending.until, key));
            pending.until = now.after(pending.call.response_wait);
            self.call_deadlines.insert((pending.until, key));
            let topic = HubTopic::MethodRequest { name: pending.call.name.clone(), rid: rid(key) };
            let publish = Publish::at_most_once(topic.to_topic(), pending.call.payload.clone());
            outputs.push(Output::Send(connection, Packet::Publish(publish)));
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
        let Some(key) = key.filter(|key| self.calls.get(key).filter(waits).is_some()) else {
            return;
        };
        self.finish_call(now, key, answer_reply(answer.status, answer.body), outputs);
    }

    /// Fails the calls that wait for an answer on a connection that has ended.
    pub(super) fn fail_calls_on(
        &mut self,
        now: Time,
        connection: ConnectionId,
        outputs: &mut Vec<Output>,
    ) {
        let on_it = |pending: &PendingCall| pending.stage == Stage::Answer(connection);
        let keys: Vec<u64> =
            self.calls.iter().filter(|(_, call)| on_it(call)).map(|(key, _)| *key).collect();
        for key in keys {
            self.finish_call(now, key, Err(not_online(Duration::ZERO)), outputs);
        }
    }

    /// Gives up what has waited long enough.
    pub(super) fn expire_calls(&mut self, now: Time, outputs: &mut Vec<Output>) {
        while let Some((due, key)) = self.call_deadlines.first().copied() {
            if due > now {
                return;
            }
            self.call_deadlines.pop_first();
            let Some(pending) = self.calls.get(&key).filter(|pending| pending.until <= now) else {
                continue;
            };
            let refusal = match pending.stage {
                Stage::Device => not_online(pending.call.connect_wait),
                Stage::Answer(_) => Refusal::new(
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
        result: Result<Reply, Refusal>,
        outputs: &mut Vec<Output>,
    ) {
        let Some(pending) = self.calls.remove(&key) else { return };
        self.call_deadlines.remove(&(pending.until, key));
        let request_id = self.entropy.guid();
        let response = respond(result, ErrorForm::Nested, &request_id, now);
        outputs.push(Output::Respond(pending.exchange, response));
    }
}

/// The rid of a call: hex, opaque to the device.
fn rid(key: u64) -> String {
    format!("{key:x}")
}

/// `{"status":…,"payload":…}` with the device's own text (HUB-METH-006).
fn answer_reply(status: i64, body: &[u8]) -> Result<Reply, Refusal> {
    let payload = answer_payload(body)?;
    let text = format!("{{\"status\":{status},\"payload\":{payload}}}");
    Ok(Reply::json_text(Bytes::from(text)))
}

fn not_online(connect_wait: Duration) -> Refusal {
    let seconds = connect_wait.as_secs();
    let timeout = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    Refusal {
        info: json!({ "timeout": timeout }),
        ..Refusal::new(ErrorCode::DeviceNotOnline, "Timed out waiting for device to connect.")
    }
}
