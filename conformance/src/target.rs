//! The hub under test: where it is, and with what right it is used.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{RwLock, Semaphore};
use twinspec_harness::clock::Clock;
use twinspec_harness::connection_string::{ConnectionString, Holder};
use twinspec_harness::endpoint::{Endpoint, Scheme};
use twinspec_harness::hub::{Faithful, Listen, Overlay, ReferenceHub};
use twinspec_harness::operator::Operator;
use twinspec_harness::tls::{DeviceAuthority, Trust};
use twinspec_model::auth;
use twinspec_model::hub::{HubConfig, Throttles};
use twinspec_model::throttle::ThrottleRule;
use twinspec_model::time::Time;

use crate::agent_profile::AgentProfile;
use crate::bench::agent::{MakeDevice, Stage, Subject};
use crate::case::Need;
use crate::hindrance::Borne;
use crate::pace::{Courtesy, Pace};
use crate::pool::Pool;
use crate::profile::Profile;

/// The policy a run uses.
const POLICY: &str = "iothubowner";

/// A hub that cases can be run against.
pub struct Target {
    /// How reports call it.
    pub name: String,
    /// The device-facing endpoint.
    pub mqtt: Endpoint,
    /// The back-end-facing endpoint.
    pub http: Endpoint,
    /// Host name, policy and key.
    pub credentials: ConnectionString,
    /// Whom clients trust.
    pub trust: Trust,
    /// The back end's client.
    pub operator: Operator,
    /// What is claimed, and how patient to be.
    pub profile: Profile,
    /// Factor on every budget.
    pub patience: f64,
    /// Leave tokens and keys in traces.
    pub keep_secrets: bool,
    /// Whether nobody else uses the hub meanwhile.
    pub dedicated: bool,
    /// Whether cases may wait in real time where the hub's clock cannot be moved.
    pub takes_time: bool,
    /// The hub's clock, as far as it was moved through the control interface.
    pub clock: Clock,
    /// The control interface.
    pub control: Option<Operator>,
    /// Signs device certificates that the hub trusts.
    pub device_authority: Option<DeviceAuthority>,
    /// Devices made beforehand; empty where the hub has a registry.
    pub pool: Arc<Pool>,
    /// How fast requests may follow each other.
    pub pace: Arc<Pace>,
    /// How many cases may have jobs at a time.
    pub job_turns: Arc<Semaphore>,
    /// What was borne with so far.
    pub bears: Borne,
    /// Lets a case be the only one that has configurations.
    pub(crate) configuration_turns: Arc<RwLock<()>>,
    /// Start of every identity's name.
    pub prefix: String,
    /// The agent that is judged in place of the hub.
    pub(crate) agent: Option<Arc<Subject>>,
    names: AtomicU64,
    embedded: Option<Embedded>,
}

/// Makes the defect of an embedded hub.
pub type MakeOverlay = fn() -> Box<dyn Overlay>;

/// The hub in this process.
struct Embedded {
    /// Serves until it is dropped.
    hub: ReferenceHub,
    /// Laid over private hubs too.
    overlay: MakeOverlay,
}

/// Everything that names a target.
pub struct Parts {
    /// The device-facing endpoint; by default `mqtts` at the connection string's host.
    pub mqtt: Option<Endpoint>,
    /// The back-end-facing endpoint; by default `https` at the connection string's host.
    pub http: Option<Endpoint>,
    /// Host name, policy and key.
    pub credentials: ConnectionString,
    /// The control interface.
    pub control: Option<Endpoint>,
    /// Whom clients trust.
    pub trust: Trust,
}

impl Target {
    /// A hub that runs already.
    #[must_use]
    pub fn foreign(parts: Parts, profile: Profile) -> Self {
        let host = parts.credentials.host.clone();
        let mqtt = parts.mqtt.unwrap_or_else(|| Endpoint::usual(Scheme::Mqtts, &host));
        let http = parts.http.unwrap_or_else(|| Endpoint::usual(Scheme::Https, &host));
        let name = format!("{host} at {mqtt} and {http}");
        let control = parts.control.map(|control| Operator::new(control, &parts.trust));
        let target = Self::new(name, mqtt, http, parts.credentials, parts.trust, profile);
        Self { control, ..target }
    }

    /// The reference hub, started in this process on free loopback ports, over TLS.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn embedded(profile: Profile) -> io::Result<Self> {
        Self::mutant(|| Box::new(Faithful), profile).await
    }

    /// The reference hub with a defect laid over it.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn mutant(overlay: MakeOverlay, profile: Profile) -> io::Result<Self> {
        Self::embedded_with(overlay, HubConfig::new("localhost", seed()), profile).await
    }

    /// An agent: the hub that it talks to is the reference hub, started in this process.
    ///
    /// # Errors
    /// When the machine does not provide ports, keys or a folder for scratch files.
    pub async fn agent(profile: AgentProfile) -> io::Result<Self> {
        Self::any_agent(profile, None).await
    }

    /// A device of an older firmware-update pattern that runs inside this process, made anew for
    /// each start.
    ///
    /// # Errors
    /// As [`Self::agent`].
    pub async fn inner_device(profile: AgentProfile, make: MakeDevice) -> io::Result<Self> {
        Self::any_agent(profile, Some(make)).await
    }

    async fn any_agent(profile: AgentProfile, inner: Option<MakeDevice>) -> io::Result<Self> {
        let stage = Stage::default();
        let name = profile.name.clone();
        let mut listen = Listen::default();
        if let Some(meet) = &profile.meet {
            let problem = |error| io::Error::other(format!("meet.mqtts {:?}: {error}", meet.mqtts));
            listen.mqtts = Some(meet.mqtts.parse().map_err(problem)?);
        }
        let claims = profile.profile();
        let mut config = HubConfig::new("localhost", seed());
        // An agent that waits for ever is to show it: nobody ends the wait for it.
        config.limits.connect_wait = Duration::from_secs(3600);
        let laid = (stage.overlay(), as_faithful as MakeOverlay);
        let target = Self::embedded_on(laid, config, claims, listen).await?;
        let subject = Subject::new(profile, stage, inner).await?;
        if let Some(embedded) = &target.embedded {
            subject.trust(embedded.hub.ca_pem())?;
        }
        Ok(Self { name, agent: Some(Arc::new(subject)), ..target })
    }

    /// Removes scratch files, where nobody drops the target at the end of the process.
    pub fn remove_scratch(&self) {
        if let Some(agent) = &self.agent {
            agent.remove_scratch();
        }
    }

    /// The reference hub in this process.
    #[must_use]
    pub fn hub(&self) -> Option<&ReferenceHub> {
        self.embedded.as_ref().map(|embedded| &embedded.hub)
    }

    /// A private embedded hub for a case with `needs`; `None` when the shared target will do.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn private(&self, needs: &[Need]) -> io::Result<Option<Self>> {
        let is_private = needs.iter().any(|need| need.is_private());
        let Some(embedded) = self.embedded.as_ref().filter(|_| is_private) else {
            return Ok(None);
        };
        let mut config = HubConfig::new("localhost", seed());
        if needs.contains(&Need::Throttling) {
            let rule = Some(ThrottleRule { operations_per_second: 1, burst: 5 });
            config.throttles = Throttles {
                twin_reads: rule,
                twin_updates: rule,
                registry: rule,
                queries: rule,
                jobs: rule,
                ..Throttles::default()
            };
        }
        if needs.contains(&Need::OneJob) {
            config.limits.running_jobs_max = Some(1);
        }
        let mut target =
            Self::embedded_with(embedded.overlay, config, self.profile.clone()).await?;
        target.patience = self.patience;
        target.keep_secrets = self.keep_secrets;
        Ok(Some(target))
    }

    /// Why this target cannot show what needs `need`; `None` when it can.
    #[must_use]
    pub fn lacks(&self, need: Need) -> Option<String> {
        let dedicated = || {
            let why = "changes what all users of the hub share; see --dedicated-hub";
            (!self.dedicated).then(|| why.to_owned())
        };
        let control = || {
            let why = "needs the control interface; see --control";
            self.control.is_none().then(|| why.to_owned())
        };
        if let Need::Claim(claim) = need {
            return self.agent.as_ref().and_then(|agent| agent.lacks(claim));
        }
        if self.is_embedded() {
            return None;
        }
        match need {
            Need::Claim(_) => None,
            Need::Throttling => Some("needs a hub with very low limits".to_owned()),
            Need::OneJob => Some("needs a hub that runs one job at a time".to_owned()),
            Need::Control => control(),
            Need::Clock if self.control.is_some() => dedicated(),
            Need::Clock => (!self.takes_time)
                .then(|| "waits in real time, and --no-slow leaves that out".to_owned()),
            Need::Alone => dedicated(),
            Need::Policies => self
                .profile
                .policies
                .is_empty()
                .then(|| "needs keys of all policies; see [policies] of the profile".to_owned()),
            Need::DeviceAuthority => self.device_authority.is_none().then(|| {
                "needs an authority for device certificates; see [device_authority] of the profile"
                    .to_owned()
            }),
            Need::Lwm2m => Some(
                "needs the device jobs of 2016, which no hub but the embedded one has".to_owned(),
            ),
            Need::Tls => {
                (!self.mqtt.scheme.is_tls()).then(|| "needs an mqtts:// endpoint".to_owned())
            }
        }
    }

    /// Whether cases with `needs` must run while no other case does.
    #[must_use]
    pub fn runs_alone(&self, needs: &[Need]) -> bool {
        let concerns_all = |need: &Need| match need {
            // Without a control interface nobody moves the clock.
            Need::Clock => self.control.is_some(),
            need => need.is_private(),
        };
        // An agent that connects by itself is one device, which one case has at a time.
        let is_one_device = self.agent.as_ref().is_some_and(|agent| agent.profile.meet.is_some());
        is_one_device || (!self.is_embedded() && needs.iter().any(concerns_all))
    }

    /// Whether cases with `needs` wait in real time, because the hub's clock cannot be moved.
    #[must_use]
    pub fn is_slow(&self, needs: &[Need]) -> bool {
        needs.contains(&Need::Clock)
            && self.control.is_none()
            && needs.iter().all(|need| self.lacks(*need).is_none())
    }

    /// The base64 key of the policy `name`.
    #[must_use]
    pub fn policy_key(&self, name: &str) -> Option<String> {
        match &self.embedded {
            Some(embedded) => embedded.hub.policy_key(name),
            None => self.profile.policies.get(name).cloned(),
        }
    }

    async fn embedded_with(
        overlay: MakeOverlay,
        config: HubConfig,
        profile: Profile,
    ) -> io::Result<Self> {
        Self::embedded_on((overlay(), overlay), config, profile, Listen::default()).await
    }

    /// An embedded hub under the first overlay; private ones for its cases are under the second.
    async fn embedded_on(
        (laid, overlay): (Box<dyn Overlay>, MakeOverlay),
        config: HubConfig,
        profile: Profile,
        listen: Listen,
    ) -> io::Result<Self> {
        let free = Some("127.0.0.1:0".parse().map_err(io::Error::other)?);
        let device_authority = DeviceAuthority::new()?;
        let listen = Listen {
            mqtts: listen.mqtts.or(free),
            https: free,
            lwm2m: free,
            control: free,
            device_authorities: Some(device_authority.pem().to_owned()),
            ..listen
        };
        let config = HubConfig { events: true, ..config };
        let clock = Clock::default();
        let hub = ReferenceHub::start_under(laid, config, &listen, clock).await?;
        let trust = Trust::authorities(hub.ca_pem().as_bytes())?;
        let endpoint = |scheme, address: Option<std::net::SocketAddr>| Endpoint {
            scheme,
            host: "localhost".to_owned(),
            port: address.map_or(0, |address| address.port()),
        };
        let mqtt = endpoint(Scheme::Mqtts, hub.addresses().mqtts);
        let http = endpoint(Scheme::Https, hub.addresses().https);
        let key = hub.policy_key(POLICY).unwrap_or_default();
        let text = format!("HostName=localhost;SharedAccessKeyName={POLICY};SharedAccessKey={key}");
        let credentials = text.parse().map_err(io::Error::other)?;
        let name = "embedded reference hub".to_owned();
        let control = Operator::new(endpoint(Scheme::Http, hub.addresses().control), &trust);
        let target = Self::new(name, mqtt, http, credentials, trust, profile);
        Ok(Self {
            control: Some(control),
            device_authority: Some(device_authority),
            // Ours runs any number of jobs.
            job_turns: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            embedded: Some(Embedded { hub, overlay }),
            ..target
        })
    }

    fn new(
        name: String,
        mqtt: Endpoint,
        http: Endpoint,
        credentials: ConnectionString,
        trust: Trust,
        profile: Profile,
    ) -> Self {
        let operator = Operator::new(http.clone(), &trust);
        // The profile was checked when it was read.
        let device_authority =
            profile.device_authority.as_ref().and_then(|files| files.read().ok());
        let prefix = format!("twinspec-{:010x}", fastrand::u64(..1 << 40));
        Self {
            name,
            mqtt,
            http,
            credentials,
            trust,
            operator,
            // The profile was checked when it was read.
            pool: Arc::new(Pool::new(&profile.devices).unwrap_or_default()),
            pace: Arc::new(Pace::new(profile.requests_per_second)),
            job_turns: Arc::new(Semaphore::new(profile.running_jobs.map_or(1, NonZeroUsize::get))),
            configuration_turns: Arc::default(),
            profile,
            patience: 1.0,
            keep_secrets: false,
            dedicated: false,
            takes_time: true,
            clock: Clock::default(),
            control: None,
            device_authority,
            bears: Borne::default(),
            prefix,
            agent: None,
            names: AtomicU64::new(0),
            embedded: None,
        }
    }

    /// Whether the target is a reference hub in this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// How requests to this target wait for each other.
    #[must_use]
    pub fn courtesy(&self) -> Courtesy {
        Courtesy::new(Arc::clone(&self.pace), !self.is_embedded())
    }

    /// `budget` as this target's patience stretches it.
    #[must_use]
    pub fn stretched(&self, budget: Duration) -> Duration {
        budget.mul_f64(self.patience)
    }

    /// A device id never handed out before in this run.
    #[must_use]
    pub fn new_name(&self) -> String {
        format!("{}-{}", self.prefix, self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// An `Authorization` header of the run's policy, valid for an hour.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        let policy = match &self.credentials.holder {
            Holder::Policy(name) => name.as_str(),
            Holder::Identity(_) => return None,
        };
        auth::sign(
            &self.credentials.key,
            &self.credentials.host,
            in_an_hour(&self.clock),
            Some(policy),
        )
    }
}

/// Reads a factor on all budgets.
///
/// # Errors
/// Says what is allowed.
pub fn patience(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (0.001..=1000.0).contains(&factor) => Ok(factor),
        _ => Err("expected a number between 0.001 and 1000".to_owned()),
    }
}

/// When tokens end that are to be valid throughout a case, by the hub's clock.
#[must_use]
pub fn in_an_hour(clock: &Clock) -> Time {
    clock.now().after(Duration::from_secs(3600))
}

fn as_faithful() -> Box<dyn Overlay> {
    Box::new(Faithful)
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    fastrand::fill(&mut seed);
    seed
}
