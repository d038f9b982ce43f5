//! A device of an older firmware-update pattern on the wire: the model's device with a connection, and
//! work that is only acted out.
//!
//! What the image at an address is like is part of its name, so that anybody can make any phase fail.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use twinspec_model::auth;
use twinspec_model::firmware::{Device as Logic, Failure, Input, Output, Phase, Work, twin_job};
use twinspec_model::identity::Identity;
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::{Connect, ConnectCode, Packet, PacketId, Publish, Qos, Subscribe};
use twinspec_model::wire::topic::{DeviceTopic, Filter, HubTopic};
use twinspec_model::wire::username::UserName;

use crate::clock::Clock;
use crate::connection_string::{ConnectionString, Holder};
use crate::device::{Device as Link, Seen};
use crate::endpoint::Endpoint;
use crate::tls::Trust;
use crate::trace::Recorder;

/// The check value of every image.
pub const CHECK_VALUE: &str = "c0ffee77";
/// An image whose address holds this word is not there.
pub const MISSING: &str = "missing";
/// An image whose address holds this word cannot be applied.
pub const BROKEN: &str = "broken";

/// How long the hub may take to answer.
const WAIT: Duration = Duration::from_secs(10);
/// Seconds between two packets at most, as told to the hub.
const KEEP_ALIVE_S: u16 = 60;
/// How long the device is silent before it pings.
const PING: Duration = Duration::from_secs(30);
/// How long a token is valid.
const TOKEN: Duration = Duration::from_secs(3600);
/// Inputs that may wait for the twin; a hub that sends more before its answer is not served.
const EARLY_MAX: usize = 1_000;
/// The request id of the twin.
const TWIN: &str = "twin";

/// Where a device connects, and how it works.
#[derive(Clone)]
pub struct Setup {
    /// The hub.
    pub endpoint: Endpoint,
    /// Whom the device trusts.
    pub trust: Trust,
    /// Who it is.
    pub login: ConnectionString,
    /// How long the shortest phase lasts; the longest lasts four times as long.
    pub unit: Duration,
    /// The phase that fails, whatever the image.
    pub fail_at: Option<Phase>,
    /// Pause between two attempts to connect.
    pub reconnect: Duration,
}

/// What a device tells of itself, for people.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// It is connected and has read its twin.
    Connected,
    /// It is not connected any more, or not yet.
    Away(String),
    /// It reported these properties.
    Reported(Value),
    /// It answered a call.
    Answered(i64, Value),
    /// The work of a phase begins and will take so long.
    Began(Phase, Duration),
    /// The work of a phase has ended.
    Ended(Phase, Result<(), Failure>),
}

/// Runs a device for ever; `tell` hears what it does.
///
/// # Errors
/// When the hub refuses the device, or the login is not that of a device.
pub async fn run(
    logic: Box<dyn Logic>,
    setup: &Setup,
    tell: impl FnMut(Told) + Send,
) -> io::Result<()> {
    let Holder::Identity(identity) = &setup.login.holder else {
        return Err(io::Error::other(
            "the connection string is that of a back end, not of a device",
        ));
    };
    let mut runner = Runner { logic, setup, tell, clock: Clock::default(), work: VecDeque::new() };
    loop {
        let error = match runner.session(identity).await {
            Ok(never) => match never {},
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Err(error) => error,
        };
        (runner.tell)(Told::Away(error.to_string()));
        runner.go_on_alone().await;
    }
}

/// What the image of `work` is like; `fail_at` fails whatever it is like.
fn outcome(work: &Work, fail_at: Option<Phase>) -> Result<(), Failure> {
    let failure = |code: &str, message: &str| {
        Err(Failure { code: code.to_owned(), message: message.to_owned() })
    };
    let fails = fail_at == Some(work.phase);
    match work.phase {
        Phase::Download if fails || work.uri.contains(MISSING) => {
            failure("DownloadFailed", "The image cannot be fetched")
        }
        Phase::Verify if fails || (!work.check.is_empty() && work.check != CHECK_VALUE) => {
            failure("VerificationFailed", twin_job::VERIFICATION_FAILED)
        }
        Phase::Apply if fails || work.uri.contains(BROKEN) => {
            failure("ApplyFailed", "The image cannot be written")
        }
        Phase::Wait | Phase::Reboot | Phase::RollBack if fails => {
            failure("Failed", &format!("The phase {} failed", work.phase.name()))
        }
        _ => Ok(()),
    }
}

/// How many units a phase lasts: as they relate in the samples.
fn units(phase: Phase) -> u32 {
    match phase {
        Phase::Wait | Phase::Verify | Phase::RollBack => 1,
        Phase::Download | Phase::Apply => 3,
        Phase::Reboot => 4,
    }
}

enum Never {}

struct Runner<'a, T> {
    logic: Box<dyn Logic>,
    setup: &'a Setup,
    tell: T,
    clock: Clock,
    /// What is worked on, with its end.
    work: VecDeque<(Instant, Work)>,
}

/// An open connection.
struct Session {
    link: Link,
    sent: Instant,
    requests: u64,
    /// What came before the twin did.
    early: Option<Vec<Came>>,
}

/// Something that arrived.
enum Came {
    Desired(u64, Value),
    Called { name: String, rid: String, payload: Value },
}

impl Session {
    async fn send(&mut self, packet: &Packet) -> io::Result<()> {
        self.sent = Instant::now();
        self.link.send(packet).await
    }

    async fn publish(&mut self, topic: &DeviceTopic, body: String) -> io::Result<()> {
        self.send(&Packet::Publish(Publish::at_most_once(topic.to_topic(), body))).await
    }

    /// Waits for the packet that `is` takes.
    async fn expect(&mut self, what: &str, is: impl Fn(&Packet) -> bool) -> io::Result<Packet> {
        match self.link.next(Instant::now() + WAIT).await {
            Some(Seen::Packet(packet)) if is(&packet) => Ok(packet),
            Some(other) => Err(io::Error::other(format!("{other} instead of {what}"))),
            None => Err(io::Error::other(format!("no {what} within {WAIT:?}"))),
        }
    }
}

impl<T: FnMut(Told) + Send> Runner<'_, T> {
    async fn session(&mut self, identity: &Identity) -> io::Result<Never> {
        let mut session = open(self.setup, identity, self.now()).await?;
        session.publish(&DeviceTopic::TwinGet { rid: TWIN.to_owned() }, String::new()).await?;
        let twin_by = Instant::now() + WAIT;
        loop {
            let due = self.work.front().map(|(end, _)| *end);
            let mut until = due.map_or(session.sent + PING, |due| due.min(session.sent + PING));
            if session.early.is_some() {
                until = until.min(twin_by);
            }
            if let Some(seen) = session.link.next(until).await {
                self.take(&mut session, seen).await?;
            } else if session.early.is_some() && Instant::now() >= twin_by {
                return Err(io::Error::other(format!("no twin within {WAIT:?}")));
            } else if session.sent + PING <= Instant::now() {
                session.send(&Packet::PingReq).await?;
            }
            for input in self.ended() {
                self.handle(&mut session, None, input).await?;
            }
        }
    }

    /// Takes what the hub sent.
    async fn take(&mut self, session: &mut Session, seen: Seen) -> io::Result<()> {
        let publish = match seen {
            Seen::Packet(Packet::Publish(publish)) => publish,
            Seen::Packet(_) => return Ok(()),
            other => return Err(io::Error::other(other.to_string())),
        };
        let body = || serde_json::from_slice(&publish.payload).unwrap_or(Value::Null);
        let came = match HubTopic::parse(&publish.topic) {
            Some(HubTopic::TwinResponse { status, rid, .. }) => {
                if !(200..300).contains(&status) {
                    // The truth is told again after the reconnect.
                    return Err(io::Error::other(format!("the hub answers {status}")));
                }
                return if rid == TWIN { self.connected(session, body()).await } else { Ok(()) };
            }
            Some(HubTopic::Desired { version }) => Came::Desired(version, body()),
            Some(HubTopic::MethodRequest { name, rid }) => {
                Came::Called { name, rid, payload: body() }
            }
            _ => return Ok(()),
        };
        match session.early.as_mut() {
            Some(early) if early.len() < EARLY_MAX => early.push(came),
            Some(_) => return Err(io::Error::other("the hub sends everything but the twin")),
            None => self.came(session, came).await?,
        }
        Ok(())
    }

    /// The twin is there: what came before it is looked at now.
    async fn connected(&mut self, session: &mut Session, twin: Value) -> io::Result<()> {
        let section = |name: &str| twin.get(name).cloned().unwrap_or_default();
        let (desired, reported) = (section("desired"), section("reported"));
        let version = desired.get("$version").and_then(Value::as_u64).unwrap_or(0);
        (self.tell)(Told::Connected);
        let early = session.early.take().unwrap_or_default();
        self.handle(session, None, Input::Connected { desired, reported }).await?;
        for came in early {
            let is_known = matches!(came, Came::Desired(patch, _) if patch <= version);
            if !is_known {
                self.came(session, came).await?;
            }
        }
        Ok(())
    }

    async fn came(&mut self, session: &mut Session, came: Came) -> io::Result<()> {
        match came {
            Came::Desired(_, patch) => self.handle(session, None, Input::Desired(patch)).await,
            Came::Called { name, rid, payload } => {
                self.handle(session, Some(rid), Input::Called { name, payload }).await
            }
        }
    }

    /// Lets the device handle `input` and sends what it wants to say.
    async fn handle(
        &mut self,
        session: &mut Session,
        call: Option<String>,
        input: Input,
    ) -> io::Result<()> {
        let mut call = call;
        for output in self.decide(input) {
            match output {
                Output::Report(patch) => {
                    session.requests += 1;
                    let rid = Some(session.requests.to_string());
                    let topic = DeviceTopic::TwinPatch { rid, version: None };
                    session.publish(&topic, patch.to_string()).await?;
                    (self.tell)(Told::Reported(patch));
                }
                Output::Answer { status, payload } => {
                    let Some(rid) = call.take() else { continue };
                    let topic = DeviceTopic::MethodResponse { status, rid };
                    session.publish(&topic, payload.to_string()).await?;
                    (self.tell)(Told::Answered(status, payload));
                }
                Output::Begin(_) => {}
            }
        }
        Ok(())
    }

    /// Lets the device handle `input`, and begins the work that it wants.
    fn decide(&mut self, input: Input) -> Vec<Output> {
        let outputs = self.logic.handle(self.now(), input);
        for output in &outputs {
            if let Output::Begin(work) = output {
                let lasts = self.setup.unit * units(work.phase);
                (self.tell)(Told::Began(work.phase, lasts));
                self.work.push_back((Instant::now() + lasts, work.clone()));
            }
        }
        self.work.make_contiguous().sort_by_key(|(end, _)| *end);
        outputs
    }

    /// The work that has ended by now.
    fn ended(&mut self) -> Vec<Input> {
        let mut inputs = Vec::new();
        while let Some((end, _)) = self.work.front()
            && *end <= Instant::now()
            && let Some((_, work)) = self.work.pop_front()
        {
            let result = outcome(&work, self.setup.fail_at);
            (self.tell)(Told::Ended(work.phase, result.clone()));
            inputs.push(Input::Done(work.phase, result));
        }
        inputs
    }

    /// Works without a connection until it is time to connect again: what is reported meanwhile is
    /// lost, and the device says it again when it is connected.
    async fn go_on_alone(&mut self) {
        let back = Instant::now() + self.setup.reconnect;
        loop {
            let due = self.work.front().map_or(back, |(end, _)| back.min(*end));
            sleep_until(due).await;
            for input in self.ended() {
                let _said_again_later = self.decide(input);
            }
            if Instant::now() >= back {
                return;
            }
        }
    }

    fn now(&self) -> Time {
        self.clock.now()
    }
}

/// Connects and subscribes to everything that the patterns use.
async fn open(setup: &Setup, identity: &Identity, now: Time) -> io::Result<Session> {
    let Setup { endpoint, trust, login, .. } = setup;
    let name = identity.to_string();
    let link = Link::open(&name, endpoint, trust, WAIT, Recorder::new(false)).await?;
    let mut session = Session { link, sent: Instant::now(), requests: 0, early: Some(Vec::new()) };
    let resource = format!("{}/{}", login.host, identity.resource_path());
    let token = auth::sign(&login.key, &resource, now.after(TOKEN), None);
    let token = token.ok_or_else(|| io::Error::other("the key is no base64"))?;
    let mut connect = Connect::new(name);
    connect.clean_session = true;
    connect.keep_alive = KEEP_ALIVE_S;
    connect.password = Some(Bytes::from(token));
    let user_name = UserName {
        host: login.host.clone(),
        identity: identity.clone(),
        api_version: Some("2021-04-12".to_owned()),
        model_id: None,
    };
    connect.user_name = Some(user_name.to_text());
    session.send(&Packet::Connect(Box::new(connect))).await?;
    let answer = session.expect("CONNACK", |packet| matches!(packet, Packet::ConnAck(_))).await?;
    if let Packet::ConnAck(answer) = answer
        && answer.code != ConnectCode::Accepted
    {
        let why = format!("the hub refuses the device: CONNACK {}", answer.code.number());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let filters = [Filter::TwinResponse, Filter::Desired, Filter::Methods { name: None }];
    let filters = filters.map(|filter| (filter.to_filter(), Qos::AtMostOnce));
    let subscribe = Subscribe { id: PacketId::MIN, filters: filters.into() };
    session.send(&Packet::Subscribe(subscribe)).await?;
    session.expect("SUBACK", |packet| matches!(packet, Packet::SubAck(_))).await?;
    Ok(session)
}
