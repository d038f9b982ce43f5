//! Named defects of the reference hub and the reference agent, and the ledger of the cases that see
//! them.
//!
//! A mutant changes one observable, from outside: it rewrites what goes into the model or what
//! comes out of it.

pub mod agent;
pub mod firmware;
pub mod hub;
pub mod overlay;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::agent_profile::AgentProfile;
use crate::bench::Leftovers;
use crate::case::{self, Role};
use crate::profile::Profile;
use crate::run::{self, Selected};
use crate::target::{MakeOverlay, Target};
use crate::verdict::{Outcome, Verdict};
use firmware::DeviceMutant;

/// How much shorter budgets are than against a hub that is expected to be right.
const PATIENCE: f64 = 0.03;

/// Cases that run at once against one mutant.
const JOBS: usize = 16;

/// The same for agents, which are processes and start others.
const AGENT_PATIENCE: f64 = 0.25;
const AGENT_JOBS: usize = 8;

/// A named defect.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// Minted once, never renamed or reused.
    pub id: &'static str,
    /// What the hub does wrong, as a sentence.
    pub title: &'static str,
    /// The requirements it breaks.
    pub requirements: &'static [&'static str],
    /// Makes the defect.
    pub overlay: MakeOverlay,
}

/// One line of the ledger.
#[derive(Clone, Debug, Serialize)]
pub struct Kill {
    /// Id of the mutant.
    pub id: &'static str,
    /// The requirements it breaks.
    pub requirements: &'static [&'static str],
    /// The cases that saw it: each names one of the requirements and found it broken.
    pub killed_by: Vec<&'static str>,
    /// How long its cases took.
    pub time_ms: u64,
}

/// A mutant of either kind.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Minted once, never renamed or reused.
    pub id: &'static str,
    /// What is done wrong, as a sentence.
    pub title: &'static str,
    /// The requirements it breaks.
    pub requirements: &'static [&'static str],
    kind: Kind,
}

/// Whose defect it is.
#[derive(Clone, Copy)]
enum Kind {
    /// The reference hub's.
    Hub(MakeOverlay),
    /// The reference agent's, which is started with the mutant's id.
    Agent,
    /// That of a reference device of an older firmware-update pattern.
    Device(&'static DeviceMutant),
}

impl Entry {
    /// Whom the cases judge that can see it.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.kind {
            Kind::Hub(_) => Role::Hub,
            Kind::Agent => Role::Agent,
            Kind::Device(_) => Role::Device,
        }
    }
}

/// All mutants in a fixed order.
pub fn all() -> impl Iterator<Item = Entry> {
    let hub = hub::MUTANTS.iter().flat_map(|subject| subject.iter().flat_map(|group| group.iter()));
    let hub = hub.map(|mutant| Entry {
        id: mutant.id,
        title: mutant.title,
        requirements: mutant.requirements,
        kind: Kind::Hub(mutant.overlay),
    });
    let agent = agent::all().map(|defect| Entry {
        id: defect.id,
        title: defect.title,
        requirements: defect.requirements,
        kind: Kind::Agent,
    });
    let device = firmware::all().map(|mutant| Entry {
        id: mutant.id,
        title: mutant.title,
        requirements: mutant.requirements,
        kind: Kind::Device(mutant),
    });
    hub.chain(agent).chain(device)
}

/// Runs the cases that could see `mutant` against it; the reference agent is that of the program at
/// `twinspec`.
///
/// # Errors
/// When hub or agent cannot be started.
pub async fn try_out(mutant: &Entry, twinspec: &Path) -> io::Result<Kill> {
    let began = Instant::now();
    let mut target = match mutant.kind {
        Kind::Hub(overlay) => Target::mutant(overlay, Profile::default()).await?,
        Kind::Agent => reference_agent(twinspec, Some(mutant.id)).await?,
        Kind::Device(mutant) => mutant.kind.target(mutant.lay).await?,
    };
    target.patience = patience(mutant.role());
    let names = |case: &case::Case| {
        case.requirements.iter().any(|requirement| mutant.requirements.contains(requirement))
    };
    let role = mutant.role();
    let is_judged = |group: &case::Group, case: &case::Case| match mutant.kind {
        Kind::Hub(_) | Kind::Agent => group.role == role,
        Kind::Device(mutant) => mutant.kind.is_judged_by(group, case),
    };
    let cases: Vec<Selected> =
        case::all().filter(|(group, case)| is_judged(group, case) && names(case)).collect();
    let outcomes =
        run::run(&Arc::new(target), &cases, jobs(role), &Leftovers::default(), |_, _| {}).await;
    let killers = outcomes.iter().filter(|(_, outcome)| sees(mutant, outcome));
    let killed_by: BTreeSet<&'static str> = killers.map(|((_, case), _)| case.id).collect();
    let time_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let killed_by = killed_by.into_iter().collect();
    Ok(Kill { id: mutant.id, requirements: mutant.requirements, killed_by, time_ms })
}

/// The reference agent, with a defect or without.
async fn reference_agent(twinspec: &Path, defect: Option<&str>) -> io::Result<Target> {
    let mut profile = AgentProfile::reference(twinspec).map_err(io::Error::other)?;
    if let (Some(start), Some(defect)) = (profile.start.as_mut(), defect) {
        start.command.extend(["--defect".to_owned(), defect.to_owned()]);
    }
    Target::agent(profile).await
}

fn patience(role: Role) -> f64 {
    match role {
        Role::Hub => PATIENCE,
        Role::Agent | Role::Device => AGENT_PATIENCE,
    }
}

fn jobs(role: Role) -> usize {
    match role {
        Role::Hub => JOBS,
        Role::Agent | Role::Device => AGENT_JOBS,
    }
}

/// Runs all cases that any of `mutants` concerns against hub and agent without a defect, as fast as
/// they run against mutants, and returns those that find something: there must be none.
///
/// # Errors
/// When hub or agent cannot be started.
pub async fn canary(mutants: &[Entry], twinspec: &Path) -> io::Result<Vec<&'static str>> {
    let mut alarms = Vec::new();
    for role in [Role::Hub, Role::Agent] {
        let concerns = |case: &case::Case| {
            let names = |id: &&str| {
                let mut of_role = mutants.iter().filter(|mutant| mutant.role() == role);
                of_role.any(|mutant| mutant.requirements.contains(id))
            };
            case.requirements.iter().any(names)
        };
        let cases: Vec<Selected> =
            case::all().filter(|(group, case)| group.role == role && concerns(case)).collect();
        if cases.is_empty() {
            continue;
        }
        let mut target = match role {
            Role::Hub => Target::embedded(Profile::default()).await?,
            Role::Agent | Role::Device => reference_agent(twinspec, None).await?,
        };
        target.patience = patience(role);
        let leftovers = Leftovers::default();
        let outcomes = run::run(&Arc::new(target), &cases, jobs(role), &leftovers, |_, _| {}).await;
        let finds = |outcome: &Outcome| outcome.verdict != Verdict::Pass;
        let found = outcomes.into_iter().filter(|(_, outcome)| finds(outcome));
        alarms.extend(found.map(|((_, case), _)| case.id));
    }
    let of_device = mutants.iter().filter_map(|mutant| match mutant.kind {
        Kind::Device(mutant) => Some(mutant),
        Kind::Hub(_) | Kind::Agent => None,
    });
    alarms.extend(firmware::canary(&of_device.collect::<Vec<_>>()).await?);
    Ok(alarms)
}

/// Whether an outcome blames one of the mutant's requirements.
fn sees(mutant: &Entry, outcome: &Outcome) -> bool {
    let blames = |requirement: &String| mutant.requirements.contains(&requirement.as_str());
    outcome.findings.iter().any(|finding| finding.requirement.as_ref().is_some_and(blames))
}
