//! An open connection of a case's device, with a memory for what was not asked for yet.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;
use twinspec_harness::device::{Device, Seen};
use twinspec_model::wire::mqtt::{Packet, PacketId, Publish, Qos, SubAck, Subscribe, Unsubscribe};
use twinspec_model::wire::topic::{DeviceTopic, Filter, HubTopic};

use super::{shorten, words};
use crate::pace::Courtesy;
use crate::verdict::{Checked, Stop};

/// An open connection of a scripted device.
pub struct Connection {
    device: Device,
    answer_budget: Duration,
    alive_budget: Duration,
    courtesy: Courtesy,
    backlog: VecDeque<Packet>,
    next_id: u16,
    next_rid: u32,
}

/// The answer to a twin request.
#[derive(Clone, Debug, PartialEq)]
pub struct TwinAnswer {
    /// Status level of the topic.
    pub status: u16,
    /// Request id.
    pub rid: String,
    /// `$version` of the topic.
    pub version: Option<u64>,
    /// The whole topic.
    pub topic: String,
    /// Quality of service it came with.
    pub qos: Qos,
    /// The body.
    pub body: Bytes,
}

impl TwinAnswer {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl fmt::Display for TwinAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(formatter, "{} with body {:?}", self.topic, shorten(&body))
    }
}

/// A desired-properties notification.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// `$version` of the topic.
    pub version: u64,
    /// Quality of service it came with.
    pub qos: Qos,
    /// The body as JSON; null when it is none.
    pub body: Value,
}

impl Notification {
    /// The body without `$version`.
    #[must_use]
    pub fn members(&self) -> Value {
        let mut members = self.body.clone();
        if let Some(object) = members.as_object_mut() {
            object.remove("$version");
        }
        members
    }
}

/// Why something awaited did not come.
#[derive(Clone, Debug)]
enum Absent {
    /// The peer closed the connection.
    Closed,
    /// The peer sent bytes that are no packet.
    Malformed(String),
    /// Nothing came, although the peer answers pings.
    Alive(Duration),
    /// Nothing came, not even a PINGRESP.
    Silent(Duration),
}

impl Absent {
    fn stop(self, requirement: &'static str, allowed: &str) -> Stop {
        let seen = match self {
            Self::Closed => "the hub closed the connection".to_owned(),
            Self::Malformed(what) => format!("the hub sent bytes that are no packet: {what}"),
            Self::Alive(wait) => format!("nothing within {wait:?}, while the hub answers pings"),
            Self::Silent(wait) => {
                return Stop::Inconclusive(format!(
                    "{allowed}: nothing within {wait:?}, and the hub answers no ping"
                ));
            }
        };
        Stop::Broken { requirement, allowed: allowed.to_owned(), seen }
    }
}

impl Connection {
    /// A connection on an open transport.
    pub(super) fn new(
        device: Device,
        answer_budget: Duration,
        alive_budget: Duration,
        courtesy: Courtesy,
    ) -> Self {
        Self {
            device,
            answer_budget,
            alive_budget,
            courtesy,
            backlog: VecDeque::new(),
            next_id: 1,
            next_rid: fastrand::u32(..),
        }
    }

    /// Sends a packet; a request waits for its turn.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when the connection is broken.
    pub async fn send(&mut self, packet: &Packet) -> Checked {
        if is_request(packet) {
            self.courtesy.place().await;
        }
        let sent = self.device.send(packet).await;
        sent.map_err(|error| Stop::Inconclusive(format!("cannot send {}: {error}", packet.name())))
    }

    /// Publishes at QoS 0.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when the connection is broken.
    pub async fn publish(&mut self, topic: &str, payload: &str) -> Checked {
        let publish = Publish::at_most_once(topic, payload.to_owned());
        self.send(&Packet::Publish(publish)).await
    }

    /// Publishes at QoS 1 and waits until the hub has acknowledged it.
    ///
    /// # Errors
    /// Blames `requirement` when it does not.
    pub async fn publish_acknowledged(
        &mut self,
        requirement: &'static str,
        topic: &str,
        payload: &str,
    ) -> Checked {
        let id = self.new_id();
        let publish = Publish::at_least_once(id, topic, payload.to_owned());
        self.send(&Packet::Publish(publish)).await?;
        let acknowledged = self.pick(|packet| (*packet == Packet::PubAck(id)).then_some(()));
        let allowed = format!("PUBACK {id} for {topic}");
        acknowledged.await.map_err(|absent| absent.stop(requirement, &allowed))
    }

    /// Subscribes and waits for the grant.
    ///
    /// # Errors
    /// When the hub does not grant it (HUB-SESS-002).
    pub async fn subscribe(&mut self, filter: &Filter, qos: Qos) -> Checked<Qos> {
        let allowed = format!("a SUBACK that grants {}", filter.to_filter());
        let id = self.new_id();
        let filters = vec![(filter.to_filter(), qos)];
        self.send(&Packet::Subscribe(Subscribe { id, filters })).await?;
        let suback = self.pick(|packet| match packet {
            Packet::SubAck(suback) if suback.id == id => Some(suback.clone()),
            _ => None,
        });
        let suback: SubAck =
            suback.await.map_err(|absent| absent.stop("HUB-SESS-002", &allowed))?;
        match suback.granted.as_slice() {
            [Some(granted)] => Ok(*granted),
            other => Err(Stop::Broken {
                requirement: "HUB-SESS-002",
                allowed,
                seen: format!("a SUBACK with {}", words(&other)),
            }),
        }
    }

    /// Unsubscribes and waits for the confirmation.
    ///
    /// # Errors
    /// When the hub does not confirm (HUB-SESS-011).
    pub async fn unsubscribe(&mut self, filter: &Filter) -> Checked {
        let id = self.new_id();
        let filters = vec![filter.to_filter()];
        self.send(&Packet::Unsubscribe(Unsubscribe { id, filters })).await?;
        let confirmed = self.pick(|packet| (*packet == Packet::UnsubAck(id)).then_some(()));
        confirmed.await.map_err(|absent| absent.stop("HUB-SESS-011", "an UNSUBACK"))
    }

    /// Reads the twin and returns the answer, whatever its status.
    ///
    /// # Errors
    /// When no answer comes (HUB-TWIN-001).
    pub async fn twin_get(&mut self) -> Checked<TwinAnswer> {
        let request = |rid| DeviceTopic::TwinGet { rid };
        self.twin_request("HUB-TWIN-001", request, " ").await
    }

    /// Reads the twin: its document.
    ///
    /// # Errors
    /// When it cannot be read (HUB-TWIN-001).
    pub async fn twin(&mut self) -> Checked<Value> {
        let answer = self.twin_get().await?;
        if answer.status == 200 {
            return Ok(answer.json());
        }
        Err(Stop::Broken {
            requirement: "HUB-TWIN-001",
            allowed: "status 200".to_owned(),
            seen: answer.to_string(),
        })
    }

    /// Patches the reported properties and returns the answer, whatever its status.
    ///
    /// # Errors
    /// When no answer comes (HUB-TWIN-008).
    pub async fn report(&mut self, patch: &Value) -> Checked<TwinAnswer> {
        self.report_text(&patch.to_string()).await
    }

    /// Like [`Self::report`] with any text as the body.
    ///
    /// # Errors
    /// When no answer comes (HUB-TWIN-008).
    pub async fn report_text(&mut self, body: &str) -> Checked<TwinAnswer> {
        let request = |rid| DeviceTopic::TwinPatch { rid: Some(rid), version: None };
        self.twin_request("HUB-TWIN-008", request, body).await
    }

    /// Sends a twin request with a new request id, and again with another while the hub throttles.
    async fn twin_request(
        &mut self,
        requirement: &'static str,
        request: impl Fn(String) -> DeviceTopic,
        body: &str,
    ) -> Checked<TwinAnswer> {
        let mut attempt = 0;
        loop {
            let rid = self.new_rid();
            self.publish(&request(rid.clone()).to_topic(), body).await?;
            let answer = self.twin_answer(requirement, &rid).await?;
            if !self.courtesy.twin_again(answer.status, attempt).await? {
                return Ok(answer);
            }
            attempt += 1;
        }
    }

    /// Patches the reported properties, which must be accepted: the new version.
    ///
    /// # Errors
    /// When it is not accepted (HUB-TWIN-008, HUB-TWIN-009).
    pub async fn reported(&mut self, patch: &Value) -> Checked<u64> {
        let answer = self.report(patch).await?;
        let broken = |requirement, allowed: &str| Stop::Broken {
            requirement,
            allowed: allowed.to_owned(),
            seen: answer.to_string(),
        };
        if answer.status != 204 {
            return Err(broken("HUB-TWIN-008", "status 204"));
        }
        answer.version.ok_or_else(|| broken("HUB-TWIN-009", "a topic with $version"))
    }

    /// Publishes a twin request as it is and waits for the answer to `rid`.
    ///
    /// # Errors
    /// Blames `requirement` when no answer comes.
    pub async fn ask(
        &mut self,
        requirement: &'static str,
        topic: &str,
        rid: &str,
        body: &str,
    ) -> Checked<TwinAnswer> {
        let mut attempt = 0;
        loop {
            self.publish(topic, body).await?;
            let answer = self.twin_answer(requirement, rid).await?;
            if !self.courtesy.twin_again(answer.status, attempt).await? {
                return Ok(answer);
            }
            attempt += 1;
        }
    }

    /// Waits for the answer to the request `rid`, which was sent before.
    ///
    /// # Errors
    /// Blames `requirement`, that of the request, when it does not come.
    pub async fn twin_answer(
        &mut self,
        requirement: &'static str,
        rid: &str,
    ) -> Checked<TwinAnswer> {
        let answer = self.pick(|packet| twin_answer(packet).filter(|answer| answer.rid == rid));
        let allowed = format!("an answer on $iothub/twin/res/… with $rid={rid}");
        answer.await.map_err(|absent| absent.stop(requirement, &allowed))
    }

    /// Waits for the next twin answer, whatever its request.
    ///
    /// # Errors
    /// Blames `requirement`, that of the request, when none comes.
    pub async fn any_twin_answer(&mut self, requirement: &'static str) -> Checked<TwinAnswer> {
        let answer = self.pick(twin_answer).await;
        answer.map_err(|absent| absent.stop(requirement, "a twin answer"))
    }

    /// Waits for the next desired-properties notification.
    ///
    /// # Errors
    /// When none comes (HUB-NOTI-001).
    pub async fn notification(&mut self) -> Checked<Notification> {
        self.notification_by("HUB-NOTI-001").await
    }

    /// Like [`Self::notification`] for a change that another requirement is about.
    ///
    /// # Errors
    /// Blames `requirement` when none comes.
    pub async fn notification_by(&mut self, requirement: &'static str) -> Checked<Notification> {
        let found = self.pick(notification).await;
        found.map_err(|absent| absent.stop(requirement, "a desired-properties notification"))
    }

    /// Waits for the notification of the version `sentinel` and returns all that came before it:
    /// the proof that something was not sent.
    ///
    /// # Errors
    /// When it does not come (HUB-NOTI-001).
    pub async fn notifications_before(&mut self, sentinel: u64) -> Checked<Vec<Notification>> {
        let mut before = Vec::new();
        loop {
            let notification = self.notification().await?;
            if notification.version == sentinel {
                return Ok(before);
            }
            before.push(notification);
        }
    }

    /// Waits for a packet that `pick` takes; others are kept for later.
    ///
    /// # Errors
    /// Blames `requirement` when it does not come.
    pub async fn expect<T>(
        &mut self,
        requirement: &'static str,
        allowed: &str,
        pick: impl FnMut(&Packet) -> Option<T>,
    ) -> Checked<T> {
        self.pick(pick).await.map_err(|absent| absent.stop(requirement, allowed))
    }

    /// Whether a packet that `wanted` takes has come and nobody has asked for it yet.
    #[must_use]
    pub fn received(&self, wanted: impl FnMut(&Packet) -> bool) -> bool {
        self.backlog.iter().any(wanted)
    }

    /// Waits until the hub closes the connection and returns what it sent before.
    ///
    /// # Errors
    /// Blames `requirement` when the hub keeps the connection.
    pub async fn closed(&mut self, requirement: &'static str) -> Checked<Vec<Packet>> {
        let deadline = Instant::now() + self.answer_budget;
        let mut before: Vec<Packet> = self.backlog.drain(..).collect();
        loop {
            match self.device.next(deadline).await {
                Some(Seen::Packet(packet)) => before.push(packet),
                Some(Seen::Closed) => return Ok(before),
                Some(Seen::Malformed(what)) => {
                    let absent = Absent::Malformed(what.to_string());
                    return Err(absent.stop(requirement, "the connection closed"));
                }
                None => {
                    return Err(Stop::Broken {
                        requirement,
                        allowed: "the connection closed".to_owned(),
                        seen: format!("an open connection after {:?}", self.answer_budget),
                    });
                }
            }
        }
    }

    /// Whether the hub keeps the connection: it answers a ping.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when it does neither that nor close.
    pub async fn is_open(&mut self) -> Checked<bool> {
        if self.device.send(&Packet::PingReq).await.is_err() {
            return Ok(false);
        }
        match self.pick(|packet| (*packet == Packet::PingResp).then_some(())).await {
            Ok(()) => Ok(true),
            Err(Absent::Closed | Absent::Malformed(_)) => Ok(false),
            Err(Absent::Alive(wait) | Absent::Silent(wait)) => {
                Err(Stop::Inconclusive(format!("no PINGRESP within {wait:?}")))
            }
        }
    }

    /// Says goodbye and waits until the hub has closed.
    ///
    /// # Errors
    /// When the hub does not close (MQTT 3.1.1 § 3.14.4), as HUB-CONN-026 needs.
    pub async fn disconnect(mut self) -> Checked {
        self.send(&Packet::Disconnect).await?;
        self.closed("HUB-CONN-026").await.map(drop)
    }

    /// Breaks the connection off without a word.
    pub async fn cut(self) {
        self.device.cut().await;
    }

    /// The scripted device below, for raw bytes.
    pub fn raw(&mut self) -> &mut Device {
        &mut self.device
    }

    /// A packet identifier not used before on this connection.
    pub fn new_id(&mut self) -> PacketId {
        let id = PacketId::new(self.next_id).unwrap_or(PacketId::MIN);
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    /// A request id not used before on this connection.
    pub fn new_rid(&mut self) -> String {
        self.next_rid = self.next_rid.wrapping_add(1);
        format!("{:08x}", self.next_rid)
    }

    async fn pick<T>(&mut self, mut pick: impl FnMut(&Packet) -> Option<T>) -> Result<T, Absent> {
        for index in 0..self.backlog.len() {
            if let Some(found) = self.backlog.get(index).and_then(&mut pick) {
                self.backlog.remove(index);
                return Ok(found);
            }
        }
        match self.pick_until(Instant::now() + self.answer_budget, &mut pick).await {
            Err(Absent::Silent(_)) => self.last_call(&mut pick).await,
            result => result,
        }
    }

    async fn pick_until<T>(
        &mut self,
        deadline: Instant,
        pick: &mut impl FnMut(&Packet) -> Option<T>,
    ) -> Result<T, Absent> {
        loop {
            match self.device.next(deadline).await {
                None => return Err(Absent::Silent(self.answer_budget)),
                Some(Seen::Closed) => return Err(Absent::Closed),
                Some(Seen::Malformed(what)) => return Err(Absent::Malformed(what.to_string())),
                Some(Seen::Packet(packet)) => match pick(&packet) {
                    Some(found) => return Ok(found),
                    None => self.backlog.push_back(packet),
                },
            }
        }
    }

    /// After a vain wait: is the peer there at all?
    async fn last_call<T>(
        &mut self,
        pick: &mut impl FnMut(&Packet) -> Option<T>,
    ) -> Result<T, Absent> {
        let (waited, deadline) = (self.answer_budget, Instant::now() + self.alive_budget);
        if self.device.send(&Packet::PingReq).await.is_err() {
            return Err(Absent::Closed);
        }
        let mut found_or_ping = |packet: &Packet| match pick(packet) {
            Some(found) => Some(Some(found)),
            None => (*packet == Packet::PingResp).then_some(None),
        };
        match self.pick_until(deadline, &mut found_or_ping).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Absent::Alive(waited)),
            Err(absent) => Err(absent),
        }
    }
}

/// Whether a packet asks the hub for something, so that a cap on requests holds for it; answers to
/// the hub and signs of life do not wait.
fn is_request(packet: &Packet) -> bool {
    match packet {
        Packet::Connect(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) => true,
        Packet::Publish(publish) => !publish.topic.starts_with("$iothub/methods/res/"),
        Packet::ConnAck(_)
        | Packet::PubAck(_)
        | Packet::PubRec(_)
        | Packet::PubRel(_)
        | Packet::PubComp(_)
        | Packet::SubAck(_)
        | Packet::UnsubAck(_)
        | Packet::PingReq
        | Packet::PingResp
        | Packet::Disconnect => false,
    }
}

fn twin_answer(packet: &Packet) -> Option<TwinAnswer> {
    let Packet::Publish(publish) = packet else {
        return None;
    };
    let HubTopic::TwinResponse { status, rid, version } = HubTopic::parse(&publish.topic)? else {
        return None;
    };
    Some(TwinAnswer {
        status,
        rid,
        version,
        topic: publish.topic.clone(),
        qos: publish.delivery.qos(),
        body: publish.payload.clone(),
    })
}

fn notification(packet: &Packet) -> Option<Notification> {
    let Packet::Publish(publish) = packet else {
        return None;
    };
    let HubTopic::Desired { version } = HubTopic::parse(&publish.topic)? else {
        return None;
    };
    Some(Notification {
        version,
        qos: publish.delivery.qos(),
        body: serde_json::from_slice(&publish.payload).unwrap_or(Value::Null),
    })
}
