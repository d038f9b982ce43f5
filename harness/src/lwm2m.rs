//! A device of the device jobs of 2016 on the wire: CoAP over TLS, and work that is acted out.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use twinspec_model::auth;
use twinspec_model::firmware::device_job::client::{Action, Client};
use twinspec_model::firmware::device_job::device::{Device, Input, Stance, UpdateFailure, Work};
use twinspec_model::time::Time;
use twinspec_model::wire::coap::{self, Code, Message};

use crate::connection_string::{ConnectionString, Holder};
use crate::device::{Stream, dial_tls};
use crate::tls::Trust;
use crate::trace::{Event, REDACTED, Recorder};

/// How long the hub may take to let a device in.
const WAIT: Duration = Duration::from_secs(10);

/// How long the token of a registration is valid (firmware-patterns.md § a.5).
const TOKEN: Duration = Duration::from_secs(3600);

/// One connection: messages in and out, nothing by itself.
pub struct Link {
    actor: String,
    stream: Box<dyn Stream>,
    inbox: BytesMut,
    recorder: Recorder,
}

impl Link {
    /// Opens TCP and TLS.
    ///
    /// # Errors
    /// When the hub cannot be reached in time, or TLS fails.
    pub async fn open(
        name: &str,
        (host, port): (&str, u16),
        trust: &Trust,
        recorder: Recorder,
    ) -> io::Result<Self> {
        let late = |_| {
            let what = format!("no connection to {host}:{port} within {WAIT:?}");
            io::Error::new(io::ErrorKind::TimedOut, what)
        };
        let stream = timeout(WAIT, dial_tls(host, port, trust)).await.map_err(late)??;
        let actor = format!("device {name}");
        recorder.record(&actor, Event::Opened { endpoint: format!("coaps+tcp://{host}:{port}") });
        Ok(Self { actor, stream, inbox: BytesMut::new(), recorder })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When it is too long, or the connection is broken.
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        self.recorder.record(&self.actor, Event::Sent(recorded(message)));
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes).map_err(io::Error::other)?;
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    /// Waits until `deadline` for a message; `None` when none comes.
    ///
    /// # Errors
    /// When the hub ends the connection or sends what is no message.
    pub async fn receive(&mut self, deadline: Instant) -> io::Result<Option<Message>> {
        loop {
            let decoded = coap::decode(&mut self.inbox).map_err(|malformed| {
                let event = Event::ReceivedMalformed(malformed.to_string());
                self.recorder.record(&self.actor, event);
                io::Error::new(io::ErrorKind::InvalidData, malformed)
            })?;
            if let Some(message) = decoded {
                self.recorder.record(&self.actor, Event::Received(recorded(&message)));
                return Ok(Some(message));
            }
            let read = timeout_at(deadline, self.stream.read_buf(&mut self.inbox)).await;
            let Ok(read) = read else { return Ok(None) };
            if read? == 0 {
                self.recorder.record(&self.actor, Event::ClosedByPeer);
                let what = "the hub ended the connection";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
        }
    }

    /// Ends the connection.
    pub async fn close(mut self) {
        self.recorder.record(&self.actor, Event::Closed);
        let _best_effort_the_peer_may_be_gone = self.stream.shutdown().await;
    }
}

/// Where a device connects, and how its work ends.
#[derive(Clone)]
pub struct Setup {
    /// Host and port of the hub.
    pub address: (String, u16),
    /// Whom the device trusts.
    pub trust: Trust,
    /// Who it is.
    pub login: ConnectionString,
    /// The version that it runs, and that of the image.
    pub versions: (String, String),
    /// What it chose where the sources leave a choice.
    pub stance: Stance,
    /// How the download ends.
    pub download: Result<(), UpdateFailure>,
    /// How the application ends.
    pub apply: Result<(), UpdateFailure>,
    /// How long either takes; the hub waits meanwhile.
    pub unit: Duration,
}

/// What a device tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The hub has let it in.
    Registered,
    /// The hub asked something, in words.
    Asked(String),
    /// A value has changed, and the hub was told: path and value.
    Value(String, String),
    /// Work has begun.
    Began(&'static str, Duration),
}

/// Where a device tells of itself.
type Tell<'a> = &'a mut (dyn FnMut(Told) + Send);

/// A device that does what the hub asks.
pub struct Lwm2mDevice {
    setup: Setup,
    client: Client,
    link: Link,
    recorder: Recorder,
}

impl Lwm2mDevice {
    /// Connects and registers at the time `now` of the hub.
    ///
    /// # Errors
    /// When the hub cannot be reached or does not let the device in.
    pub async fn start(setup: Setup, now: Time, recorder: Recorder) -> io::Result<Self> {
        let mut client = Client::new(Device::new(&setup.versions.0, setup.stance));
        let link = register(&setup, &mut client, now, &recorder).await?;
        Ok(Self { setup, client, link, recorder })
    }

    /// Does what the hub asks until `deadline`; `now` is the time of the hub.
    ///
    /// # Errors
    /// When the connection breaks for another reason than a restart of the device.
    pub async fn serve(
        &mut self,
        deadline: Instant,
        now: impl Fn() -> Time,
        tell: Tell<'_>,
    ) -> io::Result<()> {
        tell(Told::Registered);
        while let Some(message) = self.link.receive(deadline).await? {
            if message.code.is_request() && message.observe.is_none() {
                tell(Told::Asked(words(&message)));
            }
            let actions = self.client.receive(&message);
            self.act(actions, &now, tell).await?;
        }
        Ok(())
    }

    async fn act(
        &mut self,
        actions: Vec<Action>,
        now: &impl Fn() -> Time,
        tell: Tell<'_>,
    ) -> io::Result<()> {
        // Messages first: the hub is told that work has begun, not only that it has ended.
        let (messages, works): (Vec<_>, Vec<_>) =
            actions.into_iter().partition(|action| matches!(action, Action::Send(_)));
        let mut actions = VecDeque::from([messages, works].concat());
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Send(message) => {
                    self.link.send(&message).await?;
                    if message.observe.is_some() {
                        let path = self.client.observed(&message.token);
                        let path = path.map(|path| path.to_string()).unwrap_or_default();
                        tell(Told::Value(path, message.text().to_owned()));
                    }
                }
                Action::Begin(work) => actions.extend(self.work(work, now, tell).await?),
            }
        }
        Ok(())
    }

    async fn work(
        &mut self,
        work: Work,
        now: &impl Fn() -> Time,
        tell: Tell<'_>,
    ) -> io::Result<Vec<Action>> {
        let (name, lasts) = match work {
            Work::Download { .. } => ("download", self.setup.unit),
            Work::Apply { .. } => ("apply", self.setup.unit),
            Work::Restart => ("restart", Duration::ZERO),
            Work::FactoryReset => ("factory reset", Duration::ZERO),
            Work::Configure => ("configure", Duration::ZERO),
        };
        tell(Told::Began(name, lasts));
        tokio::time::sleep(lasts).await;
        match work {
            Work::Download { attempt, .. } => {
                Ok(self.client.happen(Input::Downloaded(attempt, self.setup.download)))
            }
            Work::Apply { attempt } => {
                let result = self.setup.apply.map(|()| self.setup.versions.1.clone());
                Ok(self.client.happen(Input::Applied(attempt, result)))
            }
            Work::Restart | Work::FactoryReset => {
                self.link = register(&self.setup, &mut self.client, now(), &self.recorder).await?;
                tell(Told::Registered);
                Ok(Vec::new())
            }
            Work::Configure => Ok(Vec::new()),
        }
    }
}

/// A request in the words of LWM2M.
fn words(message: &Message) -> String {
    let operation = match message.code {
        Code::GET => "read",
        Code::PUT => "write",
        _ => "execute",
    };
    format!("{operation} /{} {}", message.path.join("/"), message.text()).trim_end().to_owned()
}

/// Opens a connection and registers on it.
async fn register(
    setup: &Setup,
    client: &mut Client,
    now: Time,
    recorder: &Recorder,
) -> io::Result<Link> {
    let (name, token) = credentials(&setup.login, now)?;
    let address = (setup.address.0.as_str(), setup.address.1);
    let mut link = Link::open(&name, address, &setup.trust, recorder.clone()).await?;
    link.send(&client.register(&name, &token)).await?;
    let deadline = Instant::now() + WAIT;
    while let Some(message) = link.receive(deadline).await? {
        for action in client.receive(&message) {
            if let Action::Send(message) = action {
                link.send(&message).await?;
            }
        }
        if client.is_registered() {
            return Ok(link);
        }
        if !message.code.is_request() {
            let what = format!("the hub refused the registration of {name}: {}", message.code);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to the registration"))
}

/// Device id and token; the client library of the preview signs for the whole hub.
fn credentials(login: &ConnectionString, now: Time) -> io::Result<(String, String)> {
    let Holder::Identity(identity) = &login.holder else {
        return Err(io::Error::other("a device job needs the connection string of a device"));
    };
    let token = auth::sign(&login.key, &login.host, now.after(TOKEN), None);
    let token = token.ok_or_else(|| io::Error::other("the key of the device is no base64"))?;
    Ok((identity.device.clone(), token))
}

/// A message as people read it, without the token that it may carry.
fn recorded(message: &Message) -> crate::trace::Message {
    let secret = message.query.iter().position(|part| part.starts_with("tk="));
    let query = message.query.get(..secret.unwrap_or(message.query.len())).unwrap_or_default();
    let secret = secret.map(|_| format!("tk={REDACTED}"));
    let observe = message.observe.map(|observe| format!("observe={observe}"));
    let words: Vec<String> = query.iter().cloned().chain(secret).chain(observe).collect();
    let path = if message.path.is_empty() { &message.location } else { &message.path };
    let payload = (!message.payload.is_empty())
        .then(|| String::from_utf8_lossy(&message.payload).into_owned());
    crate::trace::Message {
        packet: format!("CoAP {}", message.code),
        topic: (!path.is_empty()).then(|| format!("/{}", path.join("/"))),
        qos: None,
        id: None,
        detail: words.join(" "),
        payload,
    }
}
