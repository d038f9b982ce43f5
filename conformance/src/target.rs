//! The hub under test: where it is, and with what right it is used.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use twinspec_harness::clock::Clock;
use twinspec_harness::connection_string::ConnectionString;
use twinspec_harness::endpoint::{Endpoint, Scheme};
use twinspec_harness::hub::{Faithful, Listen, Overlay, ReferenceHub};
use twinspec_harness::operator::Operator;
use twinspec_harness::tls::Trust;
use twinspec_model::auth;
use twinspec_model::hub::HubConfig;
use twinspec_model::throttle::ThrottleRule;

use crate::case::Need;
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
    /// Start of every identity's name.
    pub prefix: String,
    names: AtomicU64,
    embedded: Option<Embedded>,
}

/// Makes the defect of an embedded hub.
pub type MakeOverlay = fn() -> Box<dyn Overlay>;

/// The hub in this process.
struct Embedded {
    /// Serves until it is dropped.
    _hub: ReferenceHub,
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
        Self::new(name, mqtt, http, parts.credentials, parts.trust, profile, None)
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

    /// A private embedded hub for a case with `needs`; `None` when the shared target will do.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn private(&self, needs: &[Need]) -> io::Result<Option<Self>> {
        let Some(embedded) = self.embedded.as_ref().filter(|_| !needs.is_empty()) else {
            return Ok(None);
        };
        let mut config = HubConfig::new("localhost", seed());
        for need in needs {
            match need {
                Need::Throttling => {
                    let rule = ThrottleRule { operations_per_second: 1, burst: 5 };
                    config.throttles.twin_reads = Some(rule);
                    config.throttles.twin_updates = Some(rule);
                }
            }
        }
        let mut target =
            Self::embedded_with(embedded.overlay, config, self.profile.clone()).await?;
        target.patience = self.patience;
        target.keep_secrets = self.keep_secrets;
        Ok(Some(target))
    }

    async fn embedded_with(
        overlay: MakeOverlay,
        config: HubConfig,
        profile: Profile,
    ) -> io::Result<Self> {
        let free = Some("127.0.0.1:0".parse().map_err(io::Error::other)?);
        let listen = Listen { mqtts: free, https: free, ..Listen::default() };
        let clock = Clock::default();
        let hub = ReferenceHub::start_under(overlay(), config, &listen, clock).await?;
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
        let embedded = Some(Embedded { _hub: hub, overlay });
        Ok(Self::new(name, mqtt, http, credentials, trust, profile, embedded))
    }

    fn new(
        name: String,
        mqtt: Endpoint,
        http: Endpoint,
        credentials: ConnectionString,
        trust: Trust,
        profile: Profile,
        embedded: Option<Embedded>,
    ) -> Self {
        let operator = Operator::new(http.clone(), &trust);
        let prefix = format!("twinspec-{:010x}", fastrand::u64(..1 << 40));
        Self {
            name,
            mqtt,
            http,
            credentials,
            trust,
            operator,
            profile,
            patience: 1.0,
            keep_secrets: false,
            prefix,
            names: AtomicU64::new(0),
            embedded,
        }
    }

    /// Whether the target is a reference hub in this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
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
            twinspec_harness::connection_string::Holder::Policy(name) => name.as_str(),
            twinspec_harness::connection_string::Holder::Identity(_) => return None,
        };
        let expiry = Clock::default().now().after(Duration::from_secs(3600));
        auth::sign(&self.credentials.key, &self.credentials.host, expiry, Some(policy))
    }
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    fastrand::fill(&mut seed);
    seed
}
