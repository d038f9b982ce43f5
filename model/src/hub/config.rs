//! What a hub is told at its start.

use std::time::Duration;

use super::entropy::Entropy;
use crate::auth::{DEFAULT_POLICIES, Policy};
use crate::throttle::ThrottleRule;
use crate::twin::limits::TwinLimits;

/// Settings of a hub; all of its randomness comes from `seed`.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// The host name the hub answers to.
    pub hostname: String,
    /// Feeds every generated key, id and etag.
    pub seed: [u8; 32],
    /// Limits of everything but twins.
    pub limits: HubLimits,
    /// Limits of twin content.
    pub twin_limits: TwinLimits,
    /// What is throttled.
    pub throttles: Throttles,
    /// Whether telemetry, twin changes, lifecycle and connection state are told as events.
    pub events: bool,
    /// Whether the fault commands of SDK end-to-end tests are obeyed.
    pub fault_injection: bool,
}

/// Limits that the service documents for connections and sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubLimits {
    /// How long a client may take to send its CONNECT.
    pub connect_wait: Duration,
    /// Longest silence whatever the client asked for (HUB-CONN-022).
    pub idle_max: Duration,
    /// Topic filters an identity may subscribe (HUB-SESS-013).
    pub subscriptions_max: usize,
    /// How long a connection outlives its token (HUB-AUTH-016).
    pub token_grace: Duration,
    /// Jobs that may run at a time; no limit when absent, because a test bench wants many (A-J21
    /// counts running ones only). Tiers: 1 (Free, S1), 5 (S2), 10 (S3).
    pub running_jobs_max: Option<usize>,
    /// Configurations a hub may have.
    pub configurations_max: usize,
    /// How long after a change configurations look at the twins it concerns; the service looks at
    /// all twins every five minutes.
    pub rollout_wait: Duration,
}

/// Throttles; none by default, because a test bench wants speed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttles {
    /// Twin reads by devices and back ends.
    pub twin_reads: Option<ThrottleRule>,
    /// Twin updates by devices and back ends.
    pub twin_updates: Option<ThrottleRule>,
    /// Identity registry calls.
    pub registry: Option<ThrottleRule>,
    /// Queries.
    pub queries: Option<ThrottleRule>,
    /// Creating, reading, listing and cancelling jobs.
    pub jobs: Option<ThrottleRule>,
    /// What jobs do on devices; they are slowed down, never failed (A-J22).
    pub job_operations: Option<ThrottleRule>,
}

impl HubConfig {
    /// The documented settings for a hub called `hostname`.
    #[must_use]
    pub fn new(hostname: impl Into<String>, seed: [u8; 32]) -> Self {
        Self {
            hostname: hostname.into(),
            seed,
            limits: HubLimits::default(),
            twin_limits: TwinLimits::default(),
            throttles: Throttles::default(),
            events: false,
            fault_injection: true,
        }
    }

    pub(super) fn policies(&self, entropy: &mut Entropy) -> Vec<Policy> {
        let mut policy = |(name, permissions): &(&str, &[_])| Policy {
            name: (*name).to_owned(),
            primary_key: entropy.key(),
            secondary_key: entropy.key(),
            permissions: permissions.to_vec(),
        };
        DEFAULT_POLICIES.iter().map(&mut policy).collect()
    }
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            connect_wait: Duration::from_secs(30),
            idle_max: Duration::from_secs(1767),
            subscriptions_max: 5,
            token_grace: Duration::from_secs(600),
            running_jobs_max: None,
            configurations_max: 100,
            rollout_wait: Duration::from_millis(100),
        }
    }
}
