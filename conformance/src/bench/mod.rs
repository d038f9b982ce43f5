//! What a case works with: fresh identities, a scripted device, the back end, and judgement.
//!
//! Every step that relies on a requirement names it: when the step breaks, the finding says which
//! sentence was broken, even where the case is about another one.

pub mod agent;
mod configuration;
mod connection;
mod control;
mod device;
mod device_job;
mod job;
mod method;
mod service;
mod transport;
mod words;

use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};
use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use twinspec_harness::tls::ClientCertificate;
use twinspec_harness::trace::Recorder;
use twinspec_model::identity::Identity;
use twinspec_model::time::Time;

use configuration::ConfigurationTurn;
pub use connection::{Connection, Notification, TwinAnswer};
pub use device::{Login, Upgrade};
pub use device_job::{Asked, Lwm2m};
pub use job::{JobHistory, is_over, job_path, method_job, status, twin_job};
pub use method::{Invocation, MethodRequest};
pub use service::IfMatch;
pub(crate) use service::{
    configuration_path, identity_path, request as service_request, twin_path,
};
pub use words::words;

use crate::ambiguity;
use crate::pace::Courtesy;
use crate::pool::Lent;
use crate::target::{Target, in_an_hour};
use crate::verdict::{Checked, Finding, Stop, keep};

/// How long an answer may take.
pub const ANSWER: Duration = Duration::from_secs(10);
/// How long a change may take to be seen by a back-end read (hub-twins.md § 9).
pub const VISIBLE: Duration = Duration::from_secs(10);
/// How long configurations may take to reach a twin. The service looks at all twins every five
/// minutes: against it, the factor of `--patience` must be 6 or more.
pub const ROLLOUT: Duration = Duration::from_secs(60);
/// How long a peer may take to show that it is alive.
pub const ALIVE: Duration = Duration::from_secs(5);
/// How long one case may wait in real time where the hub's clock cannot be moved.
pub const REAL_TIME_MAX: Duration = Duration::from_secs(600);
/// How long a case may wait for its turn: most cases of a suite, one after the other.
const TURN_MAX: Duration = Duration::from_secs(3600);
/// Pause between two looks at something that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Something that a case made on the hub, by its id; in the order in which they are removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leftover {
    /// A job that may wait for its start; it is cancelled.
    Job(String),
    /// An automatic device configuration.
    Configuration(String),
    /// A device with its modules.
    Device(String),
}

impl Leftover {
    fn path(&self) -> String {
        match self {
            Self::Job(id) => job::job_path(id),
            Self::Configuration(id) => service::configuration_path(id),
            Self::Device(device) => service::identity_path(&Identity::device(device)),
        }
    }
}

impl fmt::Display for Leftover {
    /// The name of a device, or the path of what is none.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(_) | Self::Configuration(_) => formatter.write_str(&self.path()),
            Self::Device(device) => formatter.write_str(device),
        }
    }
}

/// What a run has made on the hub and not yet removed.
#[derive(Clone, Debug, Default)]
pub struct Leftovers(Arc<Mutex<BTreeSet<Leftover>>>);

impl Leftovers {
    fn add(&self, leftover: Leftover) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(leftover);
    }

    pub(crate) fn remove(&self, leftover: &Leftover) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(leftover);
    }

    /// What is still there.
    #[must_use]
    pub fn all(&self) -> Vec<Leftover> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// What a case is given before it begins: waiting for it in between would keep it from others.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    /// Devices of the pool.
    pub(crate) devices: Vec<Lent>,
    /// The turn to have jobs.
    pub(crate) job_turn: Option<OwnedSemaphorePermit>,
}

/// What a case is to be run again with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// All devices of the pool: others had those that it wanted besides its own.
    WithAllDevices,
    /// The turn to have jobs: its devices could wait no longer.
    WithJobTurn,
}

/// The bench of one case.
pub struct Bench {
    pub(crate) target: Arc<Target>,
    pub(crate) recorder: Recorder,
    pub(crate) courtesy: Courtesy,
    /// The requirements that the case is about; what breaks another one only keeps it from them.
    about: &'static [&'static str],
    /// How long the case has waited in real time for protocol times to pass.
    waited: Duration,
    leftovers: Leftovers,
    mine: Vec<Leftover>,
    borrowed: Vec<Lent>,
    /// Devices of the pool that the case was given beforehand.
    reserved: Vec<Lent>,
    /// Whether a device of the case has had a connection.
    has_connected: bool,
    /// Whether the case waited for its turn to have jobs for longer than its devices bear.
    is_late: AtomicBool,
    /// Whether the case wanted a further device while others had all that were left.
    is_crowded: bool,
    /// Ids of jobs that may wait for their start.
    jobs: Vec<String>,
    /// Held by a case that has jobs.
    job_turn: OnceCell<OwnedSemaphorePermit>,
    /// Held by a case that has configurations.
    configuration_turn: Option<ConfigurationTurn>,
    findings: Vec<Finding>,
    checked: BTreeSet<&'static str>,
}

/// A registered identity with its key.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Device or module.
    pub identity: Identity,
    /// Primary key, base64.
    pub key: String,
}

impl Bench {
    /// A bench for one case.
    #[must_use]
    pub fn new(target: Arc<Target>, leftovers: Leftovers) -> Self {
        let recorder = Recorder::new(target.keep_secrets);
        let courtesy = target.courtesy();
        Self {
            target,
            recorder,
            courtesy,
            about: &[],
            waited: Duration::ZERO,
            leftovers,
            mine: Vec::new(),
            borrowed: Vec::new(),
            reserved: Vec::new(),
            has_connected: false,
            is_late: AtomicBool::new(false),
            is_crowded: false,
            jobs: Vec::new(),
            job_turn: OnceCell::new(),
            configuration_turn: None,
            findings: Vec::new(),
            checked: BTreeSet::new(),
        }
    }

    /// The same bench for a case about `requirements`.
    #[must_use]
    pub(crate) fn about(self, requirements: &'static [&'static str]) -> Self {
        Self { about: requirements, ..self }
    }

    /// The same bench with what the case need not wait for.
    #[must_use]
    pub(crate) fn with(self, reserved: Reserved) -> Self {
        let job_turn = OnceCell::new_with(reserved.job_turn);
        Self { reserved: reserved.devices, job_turn, ..self }
    }

    /// Registers a device of this case's own, or borrows one from the profile's pool.
    ///
    /// # Errors
    /// When the hub refuses (HUB-REG-001).
    pub async fn device(&mut self) -> Checked<Registered> {
        if !self.target.pool.is_empty() {
            return self.borrow_device().await;
        }
        let device = self.new_name();
        self.register(Identity::device(&device), json!({ "deviceId": device })).await
    }

    /// Registers the one device of an agent that connects by itself, with an empty twin.
    pub(crate) async fn meet_device(&mut self, device: &str, key: &str) -> Checked<Registered> {
        // It stays registered from case to case only if the last one could not remove it.
        self.claim(device);
        let authentication = json!({
            "type": "sas", "symmetricKey": { "primaryKey": key, "secondaryKey": key },
        });
        let body = json!({ "deviceId": device, "authentication": authentication });
        self.register(Identity::device(device), body).await
    }

    /// A device id never handed out before; whatever is registered under it is removed after the
    /// case.
    pub fn new_name(&mut self) -> String {
        let device = self.target.new_name();
        self.claim(&device);
        device
    }

    /// Has `device` removed after the case, however it gets registered.
    pub fn claim(&mut self, device: &str) {
        self.claim_leftover(Leftover::Device(device.to_owned()));
    }

    /// A configuration id never handed out before; what gets it is removed after the case.
    pub fn new_configuration(&mut self) -> String {
        let id = self.target.new_name();
        self.claim_configuration(&id);
        id
    }

    /// Has the configuration `id` removed after the case, however it gets created.
    pub fn claim_configuration(&mut self, id: &str) {
        self.claim_leftover(Leftover::Configuration(id.to_owned()));
    }

    fn claim_leftover(&mut self, leftover: Leftover) {
        self.leftovers.add(leftover.clone());
        self.mine.push(leftover);
    }

    /// Registers a module of `device`.
    ///
    /// # Errors
    /// When the hub refuses (HUB-REG-023).
    pub async fn module(&mut self, device: &Registered, module: &str) -> Checked<Registered> {
        if !self.target.pool.is_empty() {
            let why = "needs modules, and the profile's pool has devices only";
            return Err(Stop::Unsupported(why.to_owned()));
        }
        let device = &device.identity.device;
        let body = json!({ "deviceId": device, "moduleId": module });
        self.register(Identity::module(device, module), body).await
    }

    /// A device that no other case has.
    async fn lent(&mut self) -> Checked<Lent> {
        let pool = Arc::clone(&self.target.pool);
        if self.borrowed.len() >= pool.size() {
            let why = "needs more devices at once than the profile's pool has";
            return Err(Stop::Unsupported(why.to_owned()));
        }
        if let Some(lent) = self.reserved.pop() {
            return Ok(lent);
        }
        let lent = if self.borrowed.is_empty() {
            self.turn("have a device of the pool", pool.take()).await?
        } else {
            pool.take_now()
        };
        lent.ok_or_else(|| {
            self.is_crowded = true;
            Stop::Inconclusive("other cases have all devices of the pool".to_owned())
        })
    }

    /// Whether the case ended because others had what it wanted besides its own.
    pub(crate) fn again(&self) -> Option<Again> {
        if self.is_crowded {
            return Some(Again::WithAllDevices);
        }
        self.is_late.load(Ordering::Relaxed).then_some(Again::WithJobTurn)
    }

    /// A device of the pool with an empty twin.
    async fn borrow_device(&mut self) -> Checked<Registered> {
        let lent = self.lent().await?;
        let device = Registered::clone(&lent);
        self.borrowed.push(lent);
        let nothing = json!({ "tags": {}, "properties": { "desired": {} } });
        let twin = self.replace_twin(&device.identity, &nothing).await?;
        let reported = twin.pointer("/properties/reported").and_then(Value::as_object);
        let names = reported.into_iter().flat_map(|members| members.keys());
        let nulls: Map<String, Value> = names
            .filter(|name| !name.starts_with('$'))
            .map(|name| (name.clone(), Value::Null))
            .collect();
        if !nulls.is_empty() {
            let mut connection = self.connect_and_listen(&device).await?;
            connection.reported(&Value::Object(nulls)).await?;
            connection.disconnect().await?;
        }
        Ok(device)
    }

    /// A certificate for `common_name`, signed by an authority that the hub knows.
    ///
    /// # Errors
    /// [`Stop::Unsupported`] when there is no such authority.
    pub fn device_certificate(&self, common_name: &str) -> Checked<Arc<ClientCertificate>> {
        let authority = self.target.device_authority.as_ref().ok_or_else(|| {
            Stop::Unsupported("there is no authority that signs device certificates".to_owned())
        })?;
        let certificate = authority.sign(common_name);
        certificate.map(Arc::new).map_err(|error| Stop::Harness(error.to_string()))
    }

    async fn register(&mut self, identity: Identity, body: Value) -> Checked<Registered> {
        let path = service::identity_path(&identity);
        let (mut answer, repeated) =
            self.prepare("HUB-REG-001", Method::PUT, &path, Some(&body)).await?;
        if repeated > 0 && answer.status.as_u16() == 409 {
            // What was answered 5xx had been done all the same.
            answer = self.prepare("HUB-REG-001", Method::GET, &path, None).await?.0;
        }
        let body = answer.json();
        let key = body.pointer("/authentication/symmetricKey/primaryKey").and_then(Value::as_str);
        let key = key.unwrap_or_default().to_owned();
        if !answer.status.is_success() || key.is_empty() {
            return Err(Stop::Broken {
                requirement: "HUB-REG-001",
                allowed: "200 with the new identity and its keys".to_owned(),
                seen: answer.to_string(),
            });
        }
        Ok(Registered { identity, key })
    }

    /// Demands that `holds`; otherwise `seen` is reported against `allowed`.
    ///
    /// Returns `holds`, for steps that make no sense after a broken demand.
    pub fn demand(
        &mut self,
        requirement: &'static str,
        holds: bool,
        allowed: impl Into<String>,
        seen: impl Into<String>,
    ) -> bool {
        self.checked.insert(requirement);
        if !holds {
            let at = self.recorder.len();
            let finding = Finding::broken(requirement, allowed.into(), seen.into(), at);
            keep(&mut self.findings, finding);
        }
        holds
    }

    /// Demands that `seen` equals `allowed`; `what` names the thing compared.
    pub fn equal<T: PartialEq + Debug>(
        &mut self,
        requirement: &'static str,
        what: &str,
        allowed: T,
        seen: T,
    ) -> bool {
        let holds = seen == allowed;
        let text = |value: T| format!("{what} {}", shorten(&words(&value)));
        self.demand(requirement, holds, text(allowed), text(seen))
    }

    /// Demands that two JSON documents are equal.
    pub fn equal_json(
        &mut self,
        requirement: &'static str,
        what: &str,
        allowed: &Value,
        seen: &Value,
    ) -> bool {
        let text = |value: &Value| format!("{what} {}", shorten(&value.to_string()));
        self.demand(requirement, allowed == seen, text(allowed), text(seen))
    }

    /// Says how the hub decides the open point `id`: `tag` is the outcome that was seen, `seen` how.
    ///
    /// Any outcome that the point allows will do, unless the profile pins one.
    pub fn decides(&mut self, id: &'static str, tag: &str, seen: impl Into<String>) {
        self.checked.insert(id);
        let pinned = self.target.profile.pins.get(id);
        let tags = ambiguity::find(id).into_iter().flat_map(|point| &point.allowed);
        let allowed: Vec<&str> = match pinned {
            Some(pinned) => vec![pinned],
            None => tags.map(|allowed| allowed.tag.as_str()).collect(),
        };
        if !allowed.contains(&tag) {
            let (allowed, seen) = (allowed.join(" or "), format!("{tag}: {}", seen.into()));
            let (is_pinned, at) = (pinned.is_some(), self.recorder.len());
            self.findings.push(Finding::open_point(id, is_pinned, allowed, seen, at));
        }
    }

    /// Waits as long as the target's profile asks for between a SUBACK and the change that is to
    /// be notified; not at all unless it asks.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(self.target.profile.settle_ms)).await;
    }

    /// Waits for a turn among cases, which is not counted against this case's budget.
    async fn turn<T>(&self, to: &str, turn: impl Future<Output = T>) -> Checked<T> {
        let late = || Stop::Inconclusive(format!("no turn to {to} within {TURN_MAX:?}"));
        self.courtesy.during(TURN_MAX, turn).await.ok_or_else(late)
    }

    /// A short pause before another look at something that is not there yet.
    pub async fn look_again(&self) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }

    /// When a token ends that is to be valid throughout the case.
    #[must_use]
    pub fn in_an_hour(&self) -> Time {
        in_an_hour(&self.target.clock)
    }

    /// Whether the target is the reference hub in this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.target.is_embedded()
    }

    /// Removes what this case registered and cancels what it planned.
    pub(crate) async fn clean_up(&mut self) {
        self.cancel_jobs().await;
        self.borrowed.clear();
        self.reserved.clear();
        // Configurations first: without them, no device changes any more.
        self.mine.sort();
        for leftover in std::mem::take(&mut self.mine) {
            if remove(&self.target, &leftover, &self.recorder).await {
                self.leftovers.remove(&leftover);
            }
        }
        self.configuration_turn = None;
    }

    pub(crate) fn into_findings(self) -> (Vec<Finding>, BTreeSet<&'static str>) {
        (self.findings, self.checked)
    }

    pub(crate) fn budget(&self, budget: Duration) -> Duration {
        self.target.stretched(budget)
    }
}

/// Removes a leftover; `true` when the hub has it no more.
pub(crate) async fn remove(target: &Target, leftover: &Leftover, recorder: &Recorder) -> bool {
    let path = leftover.path();
    let is_job = matches!(leftover, Leftover::Job(_));
    let request = if is_job {
        let path = format!("{path}/cancel");
        service::request(target, Method::POST, &path, IfMatch::Absent, None)
    } else {
        service::request(target, Method::DELETE, &path, IfMatch::Any, None)
    };
    let courtesy = target.courtesy();
    let mut attempt = 0;
    loop {
        let answer = service::exchange(target, &courtesy, &request, recorder).await;
        let Ok(answer) = answer else { return false };
        let (status, asked) = (answer.status.as_u16(), answer.header("retry-after"));
        if !courtesy.recovers(status, asked, attempt).await {
            target.bears.count(courtesy.recovered());
            // A job that has run, or was never created, refuses: nothing is left to do then.
            return answer.status.is_success() || status == 404 || is_job;
        }
        attempt += 1;
    }
}

/// `text`, cut where nobody reads on.
pub(crate) fn shorten(text: &str) -> String {
    const LENGTH_MAX: usize = 600;
    match text.char_indices().nth(LENGTH_MAX) {
        None => text.to_owned(),
        Some((at, _)) => {
            let start = text.get(..at).unwrap_or_default();
            format!("{start}… ({} bytes in all)", text.len())
        }
    }
}
