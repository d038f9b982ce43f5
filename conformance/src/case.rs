//! A case: one trial of one or a few requirements, as a value.

use std::future::Future;
use std::pin::Pin;

use crate::bench::Bench;
use crate::bench::agent::firmware::Pattern;
use crate::cases;
use crate::verdict::Checked;

/// The running body of a case.
pub type Body<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;

/// Whom a case judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A hub.
    Hub,
    /// A Device Update agent.
    Agent,
    /// A device of an older firmware-update pattern.
    Device,
}

impl Role {
    /// The word in names of cases.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Agent => "agent",
            Self::Device => "device",
        }
    }
}

/// What a case needs from the target besides device and service endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A hub that throttles twin operations and registry calls to a few per second.
    Throttling,
    /// A hub that runs one job at a time and refuses a second, as the smallest tiers do.
    OneJob,
    /// The control interface: events and cloud-to-device messages.
    Control,
    /// Time: the control interface and a clock that may be moved forward, or patience.
    Clock,
    /// A hub that nobody else uses meanwhile: the case counts or changes what belongs to all.
    Alone,
    /// Keys of the policies that every hub has.
    Policies,
    /// An authority that signs device certificates and is registered with the hub.
    DeviceAuthority,
    /// A device-facing endpoint with TLS.
    Tls,
    /// The device jobs of 2016, with their LWM2M endpoint.
    Lwm2m,
    /// Something that an agent claims.
    Claim(Claim),
}

/// What an agent under test claims, as far as cases depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It trusts the root keys it is given.
    RootKeys,
    /// It takes root key packages.
    RootKeyPackage,
    /// It runs payload scripts on this machine.
    Scripts,
    /// It updates components.
    Components,
    /// It takes delta updates.
    Delta,
    /// It uploads logs.
    Diagnostics,
    /// It restarts when a handler asks for it.
    Restarts,
    /// It can be killed and started again.
    Resumes,
    /// The suite starts it.
    Started,
    /// It follows an older firmware-update pattern.
    Pattern(Pattern),
}

impl Need {
    /// Whether the embedded hub must be one of the case's own.
    #[must_use]
    pub fn is_private(self) -> bool {
        match self {
            Self::Throttling | Self::OneJob | Self::Clock | Self::Alone => true,
            Self::Control
            | Self::Policies
            | Self::DeviceAuthority
            | Self::Tls
            | Self::Lwm2m
            | Self::Claim(_) => false,
        }
    }
}

/// One trial.
#[derive(Clone, Copy)]
pub struct Case {
    /// Minted once, never renamed or reused.
    pub id: &'static str,
    /// What is shown, as a sentence.
    pub title: &'static str,
    /// The requirements, or open points of the sources, that the case checks; each must be checked
    /// in a run that passes.
    pub requirements: &'static [&'static str],
    /// What it needs.
    pub needs: &'static [Need],
    /// The body.
    pub run: for<'a> fn(&'a mut Bench) -> Body<'a>,
}

/// The cases of one role and subject.
pub struct Group {
    /// Whom they judge.
    pub role: Role,
    /// The subject: the same word in every room.
    pub subject: &'static str,
    /// The cases.
    pub cases: &'static [&'static [Case]],
}

/// Turns an `async fn(&mut Bench) -> Checked` into the body of a [`Case`].
#[macro_export]
macro_rules! body {
    ($function:path) => {
        |bench| Box::pin($function(bench))
    };
}

/// Turns an `async fn(&mut AgentBench<'_>, …) -> Checked` into the body of a [`Case`] of an agent.
#[macro_export]
macro_rules! agent_body {
    ($function:path $(, $argument:expr)*) => {
        |bench| {
            Box::pin(async move {
                let mut agent = $crate::bench::agent::AgentBench::new(bench).await?;
                let result = $function(&mut agent $(, $argument)*).await;
                agent.finish(result).await
            })
        }
    };
}

/// Turns an `async fn(&mut AgentBench<'_>) -> Checked` into the body of a [`Case`] of a device that
/// follows an older firmware-update pattern.
#[macro_export]
macro_rules! firmware_body {
    ($pattern:expr, $function:path $(, $argument:expr)*) => {
        |bench| {
            Box::pin(async move {
                let mut agent = $crate::bench::agent::AgentBench::new(bench).await?;
                let result = $function(&mut agent $(, $argument)*).await;
                agent.finish_device($pattern, result).await
            })
        }
    };
}

/// All groups.
pub const GROUPS: &[Group] = &[
    hub("connection", cases::hub::connection::CASES),
    hub("session", cases::hub::session::CASES),
    hub("telemetry", cases::hub::telemetry::CASES),
    hub("twin", cases::hub::twin::CASES),
    hub("method", cases::hub::method::CASES),
    hub("query", cases::hub::query::CASES),
    hub("job", cases::hub::job::CASES),
    hub("configuration", cases::hub::configuration::CASES),
    hub("firmware", cases::hub::firmware::CASES),
    hub("auth", cases::hub::auth::CASES),
    hub("registry", cases::hub::registry::CASES),
    hub("http", cases::hub::http::CASES),
    agent("startup", cases::agent::startup::CASES),
    agent("acknowledge", cases::agent::acknowledge::CASES),
    agent("outcome", cases::agent::outcome::CASES),
    agent("deployment", cases::agent::deployment::CASES),
    agent("failure", cases::agent::failure::CASES),
    agent("retry", cases::agent::retry::CASES),
    agent("cancel", cases::agent::cancel::CASES),
    agent("restart", cases::agent::restart::CASES),
    agent("hostile", cases::agent::hostile::CASES),
    agent("signature", cases::agent::signature::CASES),
    agent("manifest", cases::agent::manifest::CASES),
    agent("diagnostics", cases::agent::diagnostics::CASES),
    agent("network", cases::agent::network::CASES),
    device("firmware", cases::device::firmware::CASES),
];

const fn hub(subject: &'static str, cases: &'static [&'static [Case]]) -> Group {
    Group { role: Role::Hub, subject, cases }
}

const fn agent(subject: &'static str, cases: &'static [&'static [Case]]) -> Group {
    Group { role: Role::Agent, subject, cases }
}

const fn device(subject: &'static str, cases: &'static [&'static [Case]]) -> Group {
    Group { role: Role::Device, subject, cases }
}

/// All cases with their groups, in a fixed order.
pub fn all() -> impl Iterator<Item = (&'static Group, &'static Case)> {
    let cases = |group: &'static Group| group.cases.iter().flat_map(|cases| cases.iter());
    GROUPS.iter().flat_map(move |group| cases(group).map(move |case| (group, case)))
}
