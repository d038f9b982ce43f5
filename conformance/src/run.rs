//! Running cases: concurrently, each with its own bench and bounded in time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use twinspec_harness::trace::{Record, Recorder};

use crate::bench::{Bench, Leftovers, remove};
use crate::case::{Case, Group};
use crate::preflight;
use crate::target::Target;
use crate::verdict::{Finding, Outcome, Stop, Verdict};

/// The longest a case may take, before the patience factor.
const CASE: Duration = Duration::from_secs(120);

/// A selected case.
pub type Selected = (&'static Group, &'static Case);

/// Runs `cases` in this order, up to `jobs` at a time, and tells `progress` of each that ended.
pub async fn run(
    target: &Arc<Target>,
    cases: &[Selected],
    jobs: usize,
    leftovers: &Leftovers,
    mut progress: impl FnMut(&'static Case, &Outcome),
) -> Vec<(Selected, Outcome)> {
    let health = Arc::new(Health::default());
    let mut outcomes: Vec<Option<Outcome>> = vec![None; cases.len()];
    let numbered = cases.iter().copied().map(|(_, case)| case).enumerate();
    let (alone, together): (Vec<_>, Vec<_>) =
        numbered.partition(|(_, case)| target.runs_alone(case.needs));
    for (batch, jobs) in [(together, jobs.max(1)), (alone, 1)] {
        let places = Arc::new(Semaphore::new(jobs));
        let mut running = JoinSet::new();
        for (index, case) in batch {
            let (places, target, leftovers, health) =
                (Arc::clone(&places), Arc::clone(target), leftovers.clone(), Arc::clone(&health));
            running.spawn(async move {
                // The semaphore is never closed; a failure would only mean less waiting.
                let _place = places.acquire().await;
                if let Some(why) = health.lost() {
                    return (index, case, unreachable(why));
                }
                let outcome = run_case(&target, case, &leftovers).await;
                health.note(&target, jobs, outcome.verdict).await;
                (index, case, outcome)
            });
        }
        while let Some(joined) = running.join_next().await {
            let Ok((index, case, outcome)) = joined else { continue };
            progress(case, &outcome);
            if let Some(slot) = outcomes.get_mut(index) {
                *slot = Some(outcome);
            }
        }
    }
    let outcome = |outcome: Option<Outcome>| outcome.unwrap_or_else(panicked);
    cases.iter().copied().zip(outcomes.into_iter().map(outcome)).collect()
}

/// Whether the target still answers: without it, a hub that froze would cost every case its budgets.
#[derive(Default)]
struct Health {
    /// Cases without a verdict in a row.
    in_vain: AtomicUsize,
    lost: Mutex<Option<String>>,
}

impl Health {
    fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how a case ended, and looks at the target when as many cases as run at once ended in
    /// vain.
    async fn note(&self, target: &Target, jobs: usize, verdict: Verdict) {
        if verdict == Verdict::Unsupported {
            return;
        }
        if verdict != Verdict::Inconclusive || target.is_embedded() {
            self.in_vain.store(0, Ordering::Relaxed);
            return;
        }
        if self.in_vain.fetch_add(1, Ordering::Relaxed) + 1 >= jobs
            && self.lost().is_none()
            && let Err(why) = preflight::check(target).await
        {
            *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        }
    }
}

/// The outcome of a case that was not begun because the target is gone.
fn unreachable(why: String) -> Outcome {
    Outcome {
        verdict: Verdict::Inconclusive,
        findings: vec![Finding::trouble("the target no longer answers", why, 0)],
        trace: Vec::new(),
        duration: Duration::ZERO,
    }
}

/// Runs one case and removes what it registered.
pub async fn run_case(target: &Arc<Target>, case: &'static Case, leftovers: &Leftovers) -> Outcome {
    let began = Instant::now();
    let finish = |findings, trace| conclude(case, findings, trace, began.elapsed());
    if let Some(reason) = target.profile.reason_against(case.requirements) {
        return finish(Ended::Stopped(Vec::new(), Stop::Unsupported(reason)), Vec::new());
    }
    let target = match target.private(case.needs).await {
        Ok(None) => Arc::clone(target),
        Ok(Some(private)) => Arc::new(private),
        Err(error) => {
            return finish(
                Ended::Stopped(Vec::new(), Stop::Harness(error.to_string())),
                Vec::new(),
            );
        }
    };
    if let Some(reason) = case.needs.iter().find_map(|need| target.lacks(*need)) {
        return finish(Ended::Stopped(Vec::new(), Stop::Unsupported(reason)), Vec::new());
    }
    let mut bench = Bench::new(Arc::clone(&target), leftovers.clone());
    let budget = target.stretched(CASE);
    let result = timeout(budget, (case.run)(&mut bench)).await;
    let recorder = bench.recorder.clone();
    let trace = recorder.records();
    bench.clean_up().await;
    let (findings, checked) = bench.into_findings();
    let ended = match result {
        Ok(Ok(())) => Ended::Whole(findings, checked),
        Ok(Err(stop)) => Ended::Stopped(findings, stop),
        Err(_) => Ended::Stopped(
            findings,
            Stop::Inconclusive(format!("the case did not end within {budget:?}")),
        ),
    };
    finish(ended, trace)
}

/// Removes whatever cases left behind, for example because the run was broken off.
///
/// What is gone is no leftover any more.
pub async fn clean_up(target: &Target, leftovers: &Leftovers) {
    let recorder = Recorder::new(false);
    for leftover in leftovers.all() {
        if remove(target, &leftover, &recorder).await {
            leftovers.remove(&leftover);
        }
    }
}

/// How a body ended.
enum Ended {
    Whole(Vec<Finding>, BTreeSet<&'static str>),
    Stopped(Vec<Finding>, Stop),
}

fn conclude(case: &Case, ended: Ended, trace: Vec<Record>, duration: Duration) -> Outcome {
    let at = trace.len();
    let (mut findings, forced) = match ended {
        Ended::Whole(mut findings, checked) => {
            let unchecked = case.requirements.iter().filter(|id| !checked.contains(**id));
            let unchecked: Vec<&str> = unchecked.copied().collect();
            if !unchecked.is_empty() {
                let seen = format!("the case ended without checking {}", unchecked.join(", "));
                findings.push(Finding::trouble("the suite is at fault", seen, at));
            }
            (findings, None)
        }
        Ended::Stopped(mut findings, stop) => {
            let forced = match stop {
                Stop::Broken { requirement, allowed, seen } => {
                    findings.push(Finding::broken(requirement, allowed, seen, at));
                    None
                }
                Stop::Unsupported(why) => {
                    findings.push(Finding::trouble("not supported", why, at));
                    Some(Verdict::Unsupported)
                }
                Stop::Inconclusive(why) => {
                    findings.push(Finding::trouble("no verdict was reached", why, at));
                    Some(Verdict::Inconclusive)
                }
                Stop::Harness(why) => {
                    findings.push(Finding::trouble("the suite is at fault", why, at));
                    None
                }
            };
            (findings, forced)
        }
    };
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict()));
    let worst = |findings: &[Finding]| findings.first().map_or(Verdict::Pass, Finding::verdict);
    // A MUST that was seen broken stays broken, whatever happened afterwards.
    let broken = findings.iter().any(|finding| finding.verdict() == Verdict::Fail);
    let verdict = match forced {
        Some(forced) if !broken => forced,
        _ if broken => Verdict::Fail,
        _ => worst(&findings),
    };
    Outcome { verdict, findings, trace, duration }
}

fn panicked() -> Outcome {
    let seen = "the case panicked".to_owned();
    Outcome {
        verdict: Verdict::Error,
        findings: vec![Finding::trouble("the suite is at fault", seen, 0)],
        trace: Vec::new(),
        duration: Duration::ZERO,
    }
}
