//! Running cases: concurrently, each with its own bench and bounded in time.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout, timeout_at};
use twinspec_harness::trace::{Record, Recorder};

use crate::bench::{Again, Bench, Leftovers, Reserved, remove};
use crate::case::{Body, Case, Group};
use crate::hindrance::Hindrance;
use crate::pace::Courtesy;
use crate::preflight;
use crate::target::Target;
use crate::verdict::{Checked, Finding, Outcome, Stop, Verdict};

/// The longest a case may take, before the patience factor.
const CASE: Duration = Duration::from_secs(120);

/// How often a case is run while the hub throttles it.
const AGAIN_MAX: u32 = 4;

/// Cases that wait in real time at once, besides the others.
const SLOW: usize = 64;

/// Pauses before further looks at a target that seems to be gone: it may only be started anew.
const LOOK_AGAIN: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// How long cases may take to be dropped when a run is broken off.
const DROP: Duration = Duration::from_secs(10);

/// A selected case.
pub type Selected = (&'static Group, &'static Case);

/// Runs `cases` in this order, up to `jobs` at a time (those that wait in real time do so besides),
/// and tells `progress` of each that ended.
pub async fn run(
    target: &Arc<Target>,
    cases: &[Selected],
    jobs: usize,
    leftovers: &Leftovers,
    progress: impl FnMut(&'static Case, &Outcome),
) -> Vec<(Selected, Outcome)> {
    run_until(target, cases, jobs, leftovers, progress, std::future::pending()).await
}

/// Like [`run`], but only until `stop`: cases that have not ended by then are dropped, and are not
/// among the outcomes.
pub async fn run_until(
    target: &Arc<Target>,
    cases: &[Selected],
    jobs: usize,
    leftovers: &Leftovers,
    mut progress: impl FnMut(&'static Case, &Outcome),
    stop: impl Future<Output = ()>,
) -> Vec<(Selected, Outcome)> {
    let health = Arc::new(Health::default());
    let mut outcomes: Vec<Option<Outcome>> = vec![None; cases.len()];
    let (alone, together): (Vec<_>, Vec<_>) =
        cases.iter().enumerate().partition(|(_, (_, case))| target.runs_alone(case.needs));
    // Those that wait in real time do next to nothing meanwhile: they keep nobody waiting.
    let slow_places = Arc::new(Semaphore::new(SLOW));
    let mut stop = pin!(stop);
    for (batch, jobs) in [(together, jobs.max(1)), (alone, 1)] {
        let places = Arc::new(Semaphore::new(jobs));
        let mut running = JoinSet::new();
        let mut indices = HashMap::new();
        for (index, &(_, case)) in batch {
            let places = if target.is_slow(case.needs) { &slow_places } else { &places };
            let (places, target, leftovers, health) =
                (Arc::clone(places), Arc::clone(target), leftovers.clone(), Arc::clone(&health));
            let task = running.spawn(async move {
                // The semaphore is never closed; a failure would only mean less waiting.
                let _place = places.acquire().await;
                health.run(&target, case, &leftovers).await
            });
            indices.insert(task.id(), (index, case));
        }
        loop {
            let joined = tokio::select! {
                biased;
                () = &mut stop => {
                    let _what_hangs_ends_with_the_process = timeout(DROP, running.shutdown()).await;
                    return ended(cases, outcomes);
                }
                joined = running.join_next_with_id() => joined,
            };
            let (id, outcome) = match joined {
                None => break,
                Some(Ok((id, outcome))) => (id, outcome),
                Some(Err(error)) => (error.id(), panicked()),
            };
            let Some((index, case)) = indices.get(&id) else { continue };
            progress(case, &outcome);
            if let Some(slot) = outcomes.get_mut(*index) {
                *slot = Some(outcome);
            }
        }
    }
    ended(cases, outcomes)
}

/// The cases that ended, with their outcomes.
fn ended(cases: &[Selected], outcomes: Vec<Option<Outcome>>) -> Vec<(Selected, Outcome)> {
    let all = cases.iter().copied().zip(outcomes);
    all.filter_map(|(case, outcome)| Some((case, outcome?))).collect()
}

/// Whether the target still answers: without it, a hub that froze would cost every case its budgets,
/// and one that died would be blamed for what it could no longer do.
#[derive(Default)]
struct Health {
    /// Why the target is given up, once it is.
    lost: watch::Sender<Option<String>>,
    /// Held while somebody looks.
    looking: Mutex<()>,
}

impl Health {
    fn lost(&self) -> Option<String> {
        self.lost.borrow().clone()
    }

    /// Runs a case unless the target is given up before.
    async fn run(
        &self,
        target: &Arc<Target>,
        case: &'static Case,
        leftovers: &Leftovers,
    ) -> Outcome {
        if let Some(why) = self.lost() {
            return unreachable(why);
        }
        // Whoever still waits when the target is gone waits in vain.
        let outcome = tokio::select! {
            outcome = run_case(target, case, leftovers) => outcome,
            why = self.until_lost() => return unreachable(why),
        };
        self.confirm(target, outcome).await
    }

    /// Waits until the target is given up: why it is.
    async fn until_lost(&self) -> String {
        let mut lost = self.lost.subscribe();
        let why = lost.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            // The sender lives as long as this value: the wait cannot fail.
            None => std::future::pending().await,
        }
    }

    /// The outcome of a case that has just ended; without a verdict when the target is gone by now.
    async fn confirm(&self, target: &Arc<Target>, outcome: Outcome) -> Outcome {
        if target.is_embedded() || !depends_on_target(outcome.verdict) {
            return outcome;
        }
        match self.look(target).await {
            None => outcome,
            Some(why) => {
                Outcome { trace: outcome.trace, duration: outcome.duration, ..unreachable(why) }
            }
        }
    }

    /// Looks whether the target is there, several times before it is given up: why it is not.
    async fn look(&self, target: &Arc<Target>) -> Option<String> {
        let _one_at_a_time = self.looking.lock().await;
        if let Some(why) = self.lost() {
            return Some(why);
        }
        for pause in LOOK_AGAIN {
            preflight::is_alive(target).await.err()?;
            sleep(pause).await;
        }
        let why = preflight::is_alive(target).await.err()?;
        self.lost.send_replace(Some(why.clone()));
        Some(why)
    }
}

/// Whether a target that went away may be why a case ended like this.
pub(crate) fn depends_on_target(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Pass | Verdict::Unsupported => false,
        Verdict::Note
        | Verdict::Warn
        | Verdict::ExpectedFail
        | Verdict::UnexpectedPass
        | Verdict::Fail
        | Verdict::Inconclusive
        | Verdict::Error => true,
    }
}

/// The outcome of a case without a verdict because the target is gone.
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
    let mut attempt = 0;
    let mut reserved = Reserved::default();
    loop {
        let tried = try_case(&target, case, leftovers, std::mem::take(&mut reserved)).await;
        if let Some(again) = tried.again {
            reserved = reserve(&target, again).await;
            continue;
        }
        let hindrance = tried.hindrance;
        let outcome = Outcome { duration: began.elapsed(), ..tried.outcome };
        attempt += 1;
        let tries = target.bears.tries(hindrance.as_ref(), AGAIN_MAX);
        match hindrance {
            None => return outcome,
            Some(_) if attempt < tries => sleep(Duration::from_secs(1 << (attempt - 1))).await,
            Some(hindrance) => return hindrance.outcome(outcome, attempt),
        }
    }
}

/// Waits for what a case is to be run again with, while it has nothing that others want.
async fn reserve(target: &Target, again: Again) -> Reserved {
    match again {
        Again::WithAllDevices => {
            Reserved { devices: target.pool.take_all().await, ..Reserved::default() }
        }
        Again::WithJobTurn => {
            let turn = Arc::clone(&target.job_turns).acquire_owned().await;
            Reserved { job_turn: turn.ok(), ..Reserved::default() }
        }
    }
}

/// What came of running a case once.
struct Tried {
    outcome: Outcome,
    /// What may well not hinder it when it is run again.
    hindrance: Option<Hindrance>,
    /// What it needs to be run again, which it has not been to its end.
    again: Option<Again>,
}

/// Runs the body of a case once and removes what it registered.
async fn try_case(
    target: &Arc<Target>,
    case: &'static Case,
    leftovers: &Leftovers,
    reserved: Reserved,
) -> Tried {
    let began = Instant::now();
    let bench = Bench::new(Arc::clone(target), leftovers.clone()).with(reserved);
    let mut bench = bench.about(case.requirements);
    let budget = target.stretched(CASE);
    let courtesy = bench.courtesy.clone();
    let result = bounded((case.run)(&mut bench), budget, &courtesy).await;
    let recorder = bench.recorder.clone();
    let trace = recorder.records();
    bench.clean_up().await;
    let again = bench.again();
    let (findings, checked) = bench.into_findings();
    let ended = match result {
        Some(Ok(())) => Ended::Whole(findings, checked),
        Some(Err(stop)) => Ended::Stopped(findings, stop),
        None => Ended::Stopped(
            findings,
            Stop::Inconclusive(format!("the case did not end within {budget:?}")),
        ),
    };
    target.bears.count(courtesy.recovered());
    let outcome = conclude(case, ended, trace, began.elapsed());
    let hindrance = Hindrance::of(case, &courtesy, &outcome);
    Tried { outcome, hindrance, again }
}

/// Runs a body for at most `budget`, not counting the time that it waits on purpose.
async fn bounded(mut body: Body<'_>, budget: Duration, courtesy: &Courtesy) -> Option<Checked> {
    let began = tokio::time::Instant::now();
    loop {
        let deadline = began + budget + courtesy.held();
        if let Ok(result) = timeout_at(deadline, &mut body).await {
            return Some(result);
        }
        if began + budget + courtesy.held() <= deadline {
            return None;
        }
    }
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
            // A broken MUST may well be why the rest was not looked at; less is no excuse.
            let is_failed = findings.iter().any(|finding| finding.verdict() == Verdict::Fail);
            if !is_failed && !unchecked.is_empty() {
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

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: Case = Case {
        id: "twin-two",
        title: "A case of two requirements",
        requirements: &["HUB-TWIN-001", "HUB-TWIN-002"],
        needs: &[],
        run: |_| Box::pin(async { Ok(()) }),
    };

    /// What becomes of a case that checked the first requirement only and found `broken`.
    fn half_checked(broken: Option<&str>) -> Outcome {
        let finding = |id| Finding::broken(id, String::new(), String::new(), 0);
        let findings = broken.map(finding).into_iter().collect();
        let ended = Ended::Whole(findings, BTreeSet::from(["HUB-TWIN-001"]));
        conclude(&CASE, ended, Vec::new(), Duration::ZERO)
    }

    #[tokio::test]
    async fn waiting_for_other_cases_does_not_count_against_a_case() {
        let courtesy = Courtesy::new(Arc::new(crate::pace::Pace::new(None)), true);
        let waiting = |time: Duration, counts: bool| -> Body<'_> {
            let courtesy = courtesy.clone();
            Box::pin(async move {
                if counts {
                    sleep(time).await;
                } else {
                    courtesy.during(Duration::from_secs(60), sleep(time)).await;
                }
                Ok(())
            })
        };
        let (long, budget) = (Duration::from_millis(1500), Duration::from_millis(100));
        let counted = bounded(waiting(long, true), budget, &courtesy).await;
        assert!(counted.is_none());
        let held = bounded(waiting(long, false), budget, &courtesy).await;
        assert!(matches!(held, Some(Ok(()))));
    }

    #[test]
    fn what_was_not_checked_is_excused_by_a_broken_must_only() {
        assert_eq!(half_checked(None).verdict, Verdict::Error);
        assert_eq!(half_checked(Some("JOB-004")).verdict, Verdict::Error, "a SHOULD");
        assert_eq!(half_checked(Some("JOB-005")).verdict, Verdict::Error, "only observed");
        let failed = half_checked(Some("HUB-TWIN-001"));
        assert_eq!((failed.verdict, failed.findings.len()), (Verdict::Fail, 1));
    }
}
