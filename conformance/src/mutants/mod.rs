//! Named defects of the reference hub, and the ledger of the cases that see them.
//!
//! A mutant changes one observable, from outside: it rewrites what goes into the model or what
//! comes out of it.

pub mod agent;
pub mod hub;
pub mod overlay;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::bench::Leftovers;
use crate::case;
use crate::profile::Profile;
use crate::run::{self, Selected};
use crate::target::{MakeOverlay, Target};
use crate::verdict::{Outcome, Verdict};

/// How much shorter budgets are than against a hub that is expected to be right.
const PATIENCE: f64 = 0.03;

/// Cases that run at once against one mutant.
const JOBS: usize = 16;

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

/// All mutants in a fixed order.
pub fn all() -> impl Iterator<Item = &'static Mutant> {
    hub::MUTANTS.iter().flat_map(|subject| subject.iter().flat_map(|mutants| mutants.iter()))
}

/// Runs the cases that could see `mutant` against it.
///
/// # Errors
/// When the hub cannot be started.
pub async fn try_out(mutant: &Mutant) -> io::Result<Kill> {
    let began = Instant::now();
    let mut target = Target::mutant(mutant.overlay, Profile::default()).await?;
    target.patience = PATIENCE;
    let names = |case: &case::Case| {
        case.requirements.iter().any(|requirement| mutant.requirements.contains(requirement))
    };
    let cases: Vec<Selected> = case::all().filter(|(_, case)| names(case)).collect();
    let outcomes =
        run::run(&Arc::new(target), &cases, JOBS, &Leftovers::default(), |_, _| {}).await;
    let killers = outcomes.iter().filter(|(_, outcome)| sees(mutant, outcome));
    let killed_by: BTreeSet<&'static str> = killers.map(|((_, case), _)| case.id).collect();
    let time_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let killed_by = killed_by.into_iter().collect();
    Ok(Kill { id: mutant.id, requirements: mutant.requirements, killed_by, time_ms })
}

/// Runs all cases that any of `mutants` concerns against the hub without a defect, as fast as they
/// run against mutants, and returns those that find something: there must be none.
///
/// # Errors
/// When the hub cannot be started.
pub async fn canary(mutants: &[&Mutant]) -> io::Result<Vec<&'static str>> {
    let mut target = Target::embedded(Profile::default()).await?;
    target.patience = PATIENCE;
    let concerns = |case: &case::Case| {
        let names = |id: &&str| mutants.iter().any(|mutant| mutant.requirements.contains(id));
        case.requirements.iter().any(names)
    };
    let cases: Vec<Selected> = case::all().filter(|(_, case)| concerns(case)).collect();
    let leftovers = Leftovers::default();
    let outcomes = run::run(&Arc::new(target), &cases, JOBS, &leftovers, |_, _| {}).await;
    let finds = |outcome: &Outcome| outcome.verdict != Verdict::Pass;
    Ok(outcomes.into_iter().filter(|(_, o)| finds(o)).map(|((_, case), _)| case.id).collect())
}

/// Whether an outcome blames one of the mutant's requirements.
fn sees(mutant: &Mutant, outcome: &Outcome) -> bool {
    let blames = |requirement: &String| mutant.requirements.contains(&requirement.as_str());
    outcome.findings.iter().any(|finding| finding.requirement.as_ref().is_some_and(blames))
}
