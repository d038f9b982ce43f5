//! Named defects of the reference hub and the reference agent, and the ledger of the cases that see
//! them.
//!
//! A mutant changes one observable, from outside: it rewrites what goes into the model or what
//! comes out of it.

pub mod agent;
pub mod firmware;
pub mod hub;
pub mod overlay;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use twinspec_harness::tls::rsa_key;

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

/// How much longer budgets are when a mutant that survived is tried again.
const SECOND_CHANCE: f64 = 10.0;

/// Cases that run at once against one mutant.
const JOBS: usize = 16;

/// The same for agents, which are processes and start others.
const AGENT_PATIENCE: f64 = 0.25;
const AGENT_JOBS: usize = 8;

/// Cases that run at once against one mutant of the agent before it is looked whether it is killed.
const AGENT_BATCH: usize = 2;

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
    /// The requirements that no case found broken.
    pub unseen: Vec<&'static str>,
    /// How long its cases took.
    pub time_ms: u64,
    #[serde(skip)]
    role: Role,
}

impl Kill {
    /// Whether it is not seen as it should be: by no case, or, of the agent, not in each of the
    /// requirements that it breaks.
    #[must_use]
    pub fn survives(&self) -> bool {
        match self.role {
            Role::Hub | Role::Device => self.killed_by.is_empty(),
            Role::Agent => !self.unseen.is_empty(),
        }
    }
}

/// How mutants are tried.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// The program whose reference agent is tried.
    pub twinspec: PathBuf,
    /// Factor on all budgets, which are short.
    pub patience: f64,
    /// Whether every case is run that could see a mutant; otherwise those that are left when all
    /// its requirements were seen broken are not run against a mutant of the agent.
    pub every_case: bool,
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

/// Runs the cases that could see `mutant` against it.
///
/// # Errors
/// When hub or agent cannot be started.
pub async fn try_out(mutant: Entry, conditions: &Conditions) -> io::Result<Kill> {
    let began = Instant::now();
    let role = mutant.role();
    let mut target = match mutant.kind {
        Kind::Hub(overlay) => Target::mutant(overlay, Profile::default()).await?,
        Kind::Agent => reference_agent(&conditions.twinspec, Some(mutant.id)).await?,
        Kind::Device(mutant) => mutant.kind.target(mutant.lay).await?,
    };
    target.patience = patience(role) * conditions.patience;
    let target = Arc::new(target);
    let cases = cases_for(&mutant);
    let batch = match role {
        Role::Agent if !conditions.every_case => AGENT_BATCH,
        Role::Hub | Role::Agent | Role::Device => cases.len().max(1),
    };
    let (mut killed_by, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for cases in cases.chunks(batch) {
        let leftovers = Leftovers::default();
        for ((_, case), outcome) in
            run::run(&target, cases, jobs(role), &leftovers, |_, _| {}).await
        {
            let blamed = blamed(&mutant, case, &outcome);
            if !blamed.is_empty() {
                killed_by.insert(case.id);
            }
            seen.extend(blamed);
        }
        if mutant.requirements.iter().all(|requirement| seen.contains(requirement)) {
            break;
        }
    }
    let unseen = mutant.requirements.iter().copied().filter(|id| !seen.contains(id)).collect();
    let time_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let killed_by = killed_by.into_iter().collect();
    Ok(Kill { id: mutant.id, requirements: mutant.requirements, killed_by, unseen, time_ms, role })
}

/// Tries a mutant again, with more patience, before it counts as one that survives: its cases may
/// have met a moment in which the machine did nothing for longer than their budgets.
async fn try_patiently(mutant: Entry, conditions: &Conditions) -> io::Result<Kill> {
    let kill = try_out(mutant, conditions).await?;
    if !kill.survives() {
        return Ok(kill);
    }
    let patience = conditions.patience * SECOND_CHANCE;
    try_out(mutant, &Conditions { patience, ..conditions.clone() }).await
}

/// Tries mutants, those of the agent several at a time, and tells `progress` of each in their
/// order.
///
/// # Errors
/// When hub or agent cannot be started, or `progress` fails.
pub async fn try_all(
    mutants: &[Entry],
    conditions: &Conditions,
    mut progress: impl FnMut(&Kill) -> io::Result<()>,
) -> io::Result<Vec<Kill>> {
    let places = Arc::new(Semaphore::new(AGENT_JOBS));
    let mut running = JoinSet::new();
    for (index, mutant) in mutants.iter().copied().enumerate() {
        // Hubs take all that a machine has: they are tried one by one.
        let weight = if mutant.role() == Role::Hub { AGENT_JOBS } else { AGENT_BATCH };
        let weight = u32::try_from(weight).unwrap_or(1);
        let (places, conditions) = (Arc::clone(&places), conditions.clone());
        running.spawn(async move {
            // The semaphore is never closed; a failure would only mean less waiting.
            let _place = places.acquire_many_owned(weight).await;
            (index, try_patiently(mutant, &conditions).await)
        });
    }
    let mut waiting = BTreeMap::new();
    let mut ledger = Vec::new();
    while let Some(joined) = running.join_next().await {
        let (index, kill) = joined.map_err(io::Error::other)?;
        waiting.insert(index, kill?);
        while let Some(kill) = waiting.remove(&ledger.len()) {
            progress(&kill)?;
            ledger.push(kill);
        }
    }
    Ok(ledger)
}

/// The cases that could see `mutant`, those that check least besides first.
fn cases_for(mutant: &Entry) -> Vec<Selected> {
    let names =
        |case: &case::Case| case.requirements.iter().any(|id| mutant.requirements.contains(id));
    let role = mutant.role();
    let is_judged = |group: &case::Group, case: &case::Case| match mutant.kind {
        Kind::Hub(_) | Kind::Agent => group.role == role,
        Kind::Device(mutant) => mutant.kind.is_judged_by(group, case),
    };
    let cases = case::all().filter(|(group, case)| is_judged(group, case) && names(case));
    let mut cases: Vec<Selected> = cases.collect();
    if role == Role::Agent {
        cases.sort_by_key(|(_, case)| case.requirements.len());
    }
    cases
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

/// How often budgets are doubled for a slow machine.
const DOUBLED_MAX: u32 = 4;

/// Runs all cases that any of `mutants` concerns against hub and agent without a defect, as fast as
/// they run against mutants: none must find anything. While some do, `conditions` get twice the
/// patience, which `progress` is told with the ids of those cases.
///
/// # Errors
/// When hub or agent cannot be started, or cases find something with patience too: it names them.
pub async fn settle(
    mutants: &[Entry],
    conditions: &mut Conditions,
    mut progress: impl FnMut(&str, f64),
) -> io::Result<()> {
    // Not within the budgets of the first case that needs it.
    tokio::task::spawn_blocking(rsa_key).await?;
    for doubled in 0..=DOUBLED_MAX {
        let alarms = canary(mutants, conditions).await?.join(" ");
        if alarms.is_empty() {
            break;
        }
        if doubled == DOUBLED_MAX {
            let why = format!("without a mutant these cases find something: {alarms}");
            return Err(io::Error::other(why));
        }
        conditions.patience *= 2.0;
        progress(&alarms, conditions.patience);
    }
    Ok(())
}

/// The cases that find something without a mutant.
async fn canary(mutants: &[Entry], conditions: &Conditions) -> io::Result<Vec<String>> {
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
            Role::Agent | Role::Device => reference_agent(&conditions.twinspec, None).await?,
        };
        target.patience = patience(role) * conditions.patience;
        let leftovers = Leftovers::default();
        let outcomes = run::run(&Arc::new(target), &cases, jobs(role), &leftovers, |_, _| {}).await;
        let found = outcomes.into_iter().filter(|(_, outcome)| finds(outcome.verdict));
        alarms.extend(found.map(|((_, case), _)| case.id.to_owned()));
    }
    let of_device = mutants.iter().filter_map(|mutant| match mutant.kind {
        Kind::Device(mutant) => Some(mutant),
        Kind::Hub(_) | Kind::Agent => None,
    });
    let of_device = firmware::canary(&of_device.collect::<Vec<_>>(), conditions.patience).await?;
    alarms.extend(of_device.into_iter().map(str::to_owned));
    Ok(alarms)
}

/// Whether a verdict says that something is wrong. What the reference agent does not claim it
/// cannot show, and what was merely noted binds nobody.
fn finds(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Pass | Verdict::Note | Verdict::Unsupported => false,
        Verdict::Warn
        | Verdict::ExpectedFail
        | Verdict::UnexpectedPass
        | Verdict::Fail
        | Verdict::Inconclusive
        | Verdict::Error => true,
    }
}

/// The requirements of the mutant that `case` names and found broken.
fn blamed(mutant: &Entry, case: &case::Case, outcome: &Outcome) -> Vec<&'static str> {
    let found = |id: &str| {
        let mut findings = outcome.findings.iter();
        findings.any(|finding| finding.requirement.as_deref() == Some(id))
    };
    let of_mutant = mutant.requirements.iter().copied();
    of_mutant.filter(|id| case.requirements.contains(id) && found(id)).collect()
}
