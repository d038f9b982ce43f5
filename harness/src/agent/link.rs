//! The agent's connection to the hub: made, kept, renewed and made again.
//!
//! On rumqttc, with a fresh client for each connection: the library drops or repeats requests when
//! it reconnects by itself. What must not be lost is kept by the model, which hears of every new
//! connection.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Packet, QoS, SubscribeReasonCode,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use twinspec_model::agent::Input;
use twinspec_model::identity::Identity;
use twinspec_model::time::Time;
use twinspec_model::wire::topic::{DeviceTopic, Filter, HubTopic};
use twinspec_model::wire::username::UserName;

use super::{Limits, Log};
use crate::clock::wall_time;
use crate::endpoint::Endpoint;
use crate::everyday;
use crate::tls::Trust;

/// The shortest time that a connection attempt is given, whatever answers may take.
const CONNECT_MIN: Duration = Duration::from_secs(5);

/// How often the twin is asked for in vain before the connection is given up.
const TWIN_TRIES: u32 = 3;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Who logs in, and where.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) endpoint: Endpoint,
    pub(super) trust: Trust,
    pub(super) identity: Identity,
    pub(super) host: String,
    pub(super) key: String,
    pub(super) user_name: UserName,
}

/// What the agent wants of the hub.
#[derive(Debug)]
pub(super) enum Wish {
    ReadTwin,
    Report { report: u64, patch: Value },
}

/// Keeps a connection until `wishes` end, and tells `inputs` what comes of it.
pub(super) struct Link {
    pub(super) login: Login,
    pub(super) limits: Limits,
    pub(super) wishes: mpsc::Receiver<Wish>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) log: Log,
}

/// Why a connection ended.
enum End {
    /// Nobody wants it any more.
    Done,
    /// The token is about to end.
    Renewal,
    /// It broke.
    Broken(String),
}

impl Link {
    /// Runs until the agent ends.
    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            match self.connection().await {
                End::Done => return,
                End::Renewal => {
                    self.log.line("the token is renewed");
                    failures = 0;
                    continue;
                }
                End::Broken(why) => self.log.line(format!("connection lost: {why}")),
            }
            if began.elapsed() > self.limits.back_off_max {
                failures = 0;
            }
            let pause = back_off(self.limits, failures);
            failures = failures.saturating_add(1);
            if !self.rest(pause).await {
                return;
            }
        }
    }

    /// Waits; false when nobody wants a connection any more. What is wished meanwhile is wished
    /// again on the next connection.
    async fn rest(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                wish = self.wishes.recv() => if wish.is_none() { return false },
                () = sleep_until(until) => return true,
            }
        }
    }

    async fn connection(&mut self) -> End {
        let mut session = match Session::open(&self.login, self.limits).await {
            Ok(session) => session,
            Err(error) => return End::Broken(error.to_string()),
        };
        self.log.line(format!("connected to {}", self.login.endpoint));
        if self.inputs.send(Input::Connected).await.is_err() {
            return End::Done;
        }
        let renewal = Instant::now() + self.limits.token_lifetime * 3 / 4;
        let end = self.converse(&mut session, renewal).await;
        session.close(matches!(end, End::Done | End::Renewal)).await;
        // Nobody listens any more when the agent has ended.
        let _ended_with_the_agent = self.inputs.send(Input::Disconnected).await;
        end
    }

    async fn converse(&mut self, session: &mut Session, renewal: Instant) -> End {
        loop {
            let twin_due = session.twin_due;
            let result = tokio::select! {
                packet = session.packets.recv() => match packet {
                    None => return End::Broken("the client ended".to_owned()),
                    Some(Err(why)) => return End::Broken(why),
                    Some(Ok(packet)) => match session.take(packet, &self.log) {
                        None => Ok(()),
                        Some(input) => {
                            if self.inputs.send(input).await.is_err() {
                                return End::Done;
                            }
                            Ok(())
                        }
                    },
                },
                wish = self.wishes.recv() => match wish {
                    None => return End::Done,
                    Some(wish) => session.wish(wish),
                },
                () = sleep_until(renewal) => return End::Renewal,
                () = sleep_until(twin_due.unwrap_or_else(far)), if twin_due.is_some() => {
                    session.ask_for_twin()
                }
            };
            if let Err(why) = result {
                return End::Broken(why);
            }
        }
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}

/// The pause before another attempt: doubles up to the maximum, the upper half of it random, so
/// that a thousand devices do not come back at once.
fn back_off(limits: Limits, failures: u32) -> Duration {
    let factor = 1u32 << failures.min(20);
    let full = limits.back_off_min.saturating_mul(factor).min(limits.back_off_max);
    let mut dice = [0; 2];
    // Without entropy the pause is merely less random.
    let _pause_is_full_then = SystemRandom::new().fill(&mut dice);
    full / 2 + full.mul_f64(f64::from(u16::from_le_bytes(dice)) / f64::from(u16::MAX) / 2.0)
}

/// One connection.
struct Session {
    client: AsyncClient,
    packets: mpsc::Receiver<Result<Packet, String>>,
    poll: JoinHandle<()>,
    answer: Duration,
    requests: u64,
    /// Reports under way, by request id.
    reports: BTreeMap<String, u64>,
    /// The request for the twin that counts.
    twin: Option<String>,
    twin_due: Option<Instant>,
    twin_tries: u32,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

impl Session {
    /// Connects and subscribes.
    async fn open(login: &Login, limits: Limits) -> io::Result<Self> {
        let wait = limits.answer.max(CONNECT_MIN);
        let (client, mut events) = AsyncClient::new(options(login, limits), 32);
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(wait.as_secs().max(1)).set_tcp_nodelay(true);
        events.set_network_options(network);
        let (sender, packets) = mpsc::channel(64);
        let poll = tokio::spawn(poll(events, sender));
        let mut session = Self {
            client,
            packets,
            poll,
            answer: limits.answer,
            requests: 0,
            reports: BTreeMap::new(),
            twin: None,
            twin_due: None,
            twin_tries: 0,
        };
        let subscribed = timeout(wait, session.subscribe()).await;
        subscribed.map_err(|_| io::Error::other(format!("no answer within {wait:?}")))??;
        Ok(session)
    }

    async fn subscribe(&mut self) -> io::Result<()> {
        for filter in [Filter::TwinResponse, Filter::Desired] {
            let text = filter.to_filter();
            let sent = self.client.subscribe(text.clone(), QoS::AtLeastOnce).await;
            sent.map_err(io::Error::other)?;
            loop {
                match self.packets.recv().await {
                    Some(Ok(Packet::SubAck(granted))) => {
                        if granted.return_codes.contains(&SubscribeReasonCode::Failure) {
                            let what = format!("the hub refuses the subscription of {text}");
                            return Err(io::Error::other(what));
                        }
                        break;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(why)) => return Err(io::Error::other(why)),
                    None => return Err(io::Error::other("the client ended")),
                }
            }
        }
        Ok(())
    }

    fn wish(&mut self, wish: Wish) -> Result<(), String> {
        match wish {
            Wish::ReadTwin => {
                self.twin_tries = 0;
                self.ask_for_twin()
            }
            Wish::Report { report, patch } => {
                let rid = self.next_rid();
                let topic = DeviceTopic::TwinPatch { rid: Some(rid.clone()), version: None };
                self.reports.insert(rid, report);
                self.publish(&topic, patch.to_string())
            }
        }
    }

    fn ask_for_twin(&mut self) -> Result<(), String> {
        if self.twin_tries == TWIN_TRIES {
            return Err("the twin cannot be read".to_owned());
        }
        self.twin_tries += 1;
        let rid = self.next_rid();
        self.twin = Some(rid.clone());
        self.twin_due = Some(Instant::now() + self.answer);
        self.publish(&DeviceTopic::TwinGet { rid }, " ".to_owned())
    }

    fn next_rid(&mut self) -> String {
        self.requests += 1;
        self.requests.to_string()
    }

    /// Never waits: a hub that takes nothing in is no reason to stop listening to it.
    fn publish(&self, topic: &DeviceTopic, payload: String) -> Result<(), String> {
        let sent = self.client.try_publish(topic.to_topic(), QoS::AtLeastOnce, false, payload);
        sent.map_err(|error| format!("the hub takes nothing in: {error}"))
    }

    /// What a packet means for the agent.
    fn take(&mut self, packet: Packet, log: &Log) -> Option<Input> {
        let Packet::Publish(publish) = packet else {
            return None;
        };
        match HubTopic::parse(&publish.topic) {
            Some(HubTopic::TwinResponse { status, rid, .. }) => {
                self.answered(status, &rid, &publish.payload, log)
            }
            Some(HubTopic::Desired { version }) => {
                let mut patch = parse(&publish.payload, "desired properties", log)?;
                if let Some(members) = patch.as_object_mut() {
                    members.entry("$version").or_insert_with(|| version.into());
                }
                Some(Input::Patch(patch))
            }
            _ => {
                log.line(format!("a message on {:?} is passed over", publish.topic));
                None
            }
        }
    }

    fn answered(&mut self, status: u16, rid: &str, body: &Bytes, log: &Log) -> Option<Input> {
        if let Some(report) = self.reports.remove(rid) {
            return Some(Input::Answered { report, status });
        }
        if self.twin.as_deref() != Some(rid) {
            log.line(format!("an answer to the unknown request {rid:?} is passed over"));
            return None;
        }
        if status != 200 {
            // It is asked again when the answer is overdue.
            log.line(format!("the twin could not be read: status {status}"));
            return None;
        }
        let twin = parse(body, "twin", log)?;
        (self.twin, self.twin_due, self.twin_tries) = (None, None, 0);
        Some(Input::Twin(twin))
    }

    /// Ends the connection, politely when it still stands.
    async fn close(&mut self, polite: bool) {
        if polite && self.client.try_disconnect().is_ok() {
            let ended = async { while let Some(Ok(_)) = self.packets.recv().await {} };
            // A hub that does not react is left all the same.
            let _left_either_way = timeout(GOODBYE, ended).await;
        }
        self.poll.abort();
    }
}

fn parse(body: &[u8], what: &str, log: &Log) -> Option<Value> {
    let parsed = serde_json::from_slice(body);
    parsed.map_err(|error| log.line(format!("{what}: {error}"))).ok()
}

/// Reads and writes for a session. Polling is not interrupted: half a packet would be lost.
async fn poll(mut events: EventLoop, packets: mpsc::Sender<Result<Packet, String>>) {
    loop {
        let next = match events.poll().await {
            Ok(Event::Incoming(packet)) => Ok(packet),
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return,
            Ok(Event::Outgoing(_)) => continue,
            Err(error) => Err(error.to_string()),
        };
        let ended = next.is_err();
        if packets.send(next).await.is_err() || ended {
            return;
        }
    }
}

fn options(login: &Login, limits: Limits) -> MqttOptions {
    let Login { endpoint, trust, identity, host, key, user_name } = login;
    let login = everyday::Login {
        host: host.clone(),
        identity: identity.clone(),
        key: key.clone(),
        expiry: Time::from_unix(wall_time()).after(limits.token_lifetime),
    };
    let mut options = everyday::options(endpoint, trust, &login, user_name);
    options.set_keep_alive(limits.keep_alive);
    options.set_inflight(16);
    options
}
