//! What keeps a case about one thing from being judged by another that a hub may well do at times: the
//! case is run again, and is without a verdict when that does not help.
//!
//! Only hubs that are not ours are borne with, and never in what a case is about: a requirement that
//! a case names is judged at once.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use twinspec_harness::trace::{Event, Record};

use crate::case::Case;
use crate::pace::{Courtesy, is_unwell};
use crate::run::depends_on_target;
use crate::verdict::{Finding, Outcome, Verdict};

/// Cases in a row that a hub may keep from being judged before nobody tries them again.
const IN_A_ROW_MAX: u32 = 5;

/// Why a case is to be run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// A request was throttled that could not be sent again by itself.
    Throttled,
    /// A step that only prepares the case was answered 5xx: which, and how.
    Unwell(String),
    /// The hub could not be reached, or was gone under a request.
    Broken,
}

impl Hindrance {
    /// What hindered a case with this outcome, if anything did.
    pub(crate) fn of(case: &Case, courtesy: &Courtesy, outcome: &Outcome) -> Option<Self> {
        if !courtesy.bears() || !depends_on_target(outcome.verdict) {
            return None;
        }
        if courtesy.is_unrepeated(&outcome.trace) {
            return Some(Self::Throttled);
        }
        if outcome.verdict == Verdict::Inconclusive && courtesy.is_broken() {
            return Some(Self::Broken);
        }
        unwell(case, outcome).map(Self::Unwell)
    }

    /// The outcome of a case that was hindered in each of its `attempts`, of which `last` is the last.
    pub(crate) fn outcome(self, last: Outcome, attempts: u32) -> Outcome {
        let why = match self {
            Self::Broken => return last,
            Self::Throttled => format!("the hub throttles the case, {attempts} times in a row"),
            Self::Unwell(why) => {
                format!(
                    "the hub answers {why}, which only prepares the case; tried {attempts} times"
                )
            }
        };
        let at = last.trace.len();
        let findings = vec![Finding::trouble("no verdict was reached", why, at)];
        Outcome { verdict: Verdict::Inconclusive, findings, ..last }
    }
}

/// The answer 5xx after which `case` failed, when that was about nothing that the case names.
fn unwell(case: &Case, outcome: &Outcome) -> Option<String> {
    let failures = outcome.findings.iter().filter(|f| f.verdict() == Verdict::Fail);
    let mut why = None;
    for failure in failures {
        let id = failure.requirement.as_deref()?;
        if case.requirements.contains(&id) {
            return None;
        }
        let answer = twin_answer(failure).or_else(|| last_answer(failure, &outcome.trace))?;
        why = Some(format!("{answer} ({id})"));
    }
    why
}

/// The answer 5xx to a twin request over MQTT that `failure` is about.
fn twin_answer(failure: &Finding) -> Option<String> {
    let status = failure.seen.strip_prefix("$iothub/twin/res/")?.split('/').next()?;
    status.parse().is_ok_and(is_unwell).then(|| format!("status {status} to a twin request"))
}

/// The last exchange over HTTP before `failure`, if it was answered 5xx and the failure is about that.
fn last_answer(failure: &Finding, trace: &[Record]) -> Option<String> {
    let mut before = trace.get(..failure.at.min(trace.len()))?.iter().rev();
    let answer = before.find_map(|record| match &record.event {
        Event::Response(answer) => Some(answer),
        _ => None,
    })?;
    if !answer.start.parse().is_ok_and(is_unwell) || !failure.seen.contains(&answer.start) {
        return None;
    }
    let request = before.find_map(|record| match &record.event {
        Event::Request(request) => request.start.split('?').next(),
        _ => None,
    })?;
    // What a hub answers to a method call is about the device.
    (!request.ends_with("/methods")).then(|| format!("HTTP {} to {request}", answer.start))
}

/// What a run has borne with.
#[derive(Debug, Default)]
pub struct Borne {
    /// Answers 5xx to what only prepared a case.
    unwell: AtomicUsize,
    /// Cases in a row without a verdict for them.
    in_a_row: AtomicU32,
}

impl Borne {
    /// Notes `more` answers 5xx to what only prepared a case.
    pub(crate) fn count(&self, more: usize) {
        self.unwell.fetch_add(more, Ordering::Relaxed);
    }

    /// How many answers 5xx to what only prepared a case there were since the last time.
    #[must_use]
    pub fn take_unwell(&self) -> usize {
        self.unwell.swap(0, Ordering::Relaxed)
    }

    /// How often a case that met `hindrance` is tried, at most `most` times. A hub that is never well
    /// would cost every case all its tries.
    pub(crate) fn tries(&self, hindrance: Option<&Hindrance>, most: u32) -> u32 {
        match hindrance {
            None => {
                self.in_a_row.store(0, Ordering::Relaxed);
                most
            }
            Some(Hindrance::Unwell(_)) => {
                self.count(1);
                let before = self.in_a_row.fetch_add(1, Ordering::Relaxed);
                if before >= most.saturating_mul(IN_A_ROW_MAX) { 1 } else { most }
            }
            Some(Hindrance::Throttled | Hindrance::Broken) => most,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use http::HeaderMap;
    use twinspec_harness::trace::Recorder;

    use super::*;
    use crate::pace::Pace;

    const CASE: Case = Case {
        id: "twin-one",
        title: "A case of one requirement",
        requirements: &["HUB-TWIN-001"],
        needs: &[],
        run: |_| Box::pin(async { Ok(()) }),
    };

    /// What hinders a case that failed by `ids` after an answer of `status`.
    fn hindrance(bears: bool, status: &str, ids: &[&str]) -> Option<Hindrance> {
        let seen = format!("HTTP {status} {{}}");
        hindrance_at("PUT /devices/d?api-version=1", bears, status, &seen, ids)
    }

    fn hindrance_at(
        request: &str,
        bears: bool,
        status: &str,
        seen: &str,
        ids: &[&str],
    ) -> Option<Hindrance> {
        let recorder = Recorder::new(false);
        let message = |start: &str| {
            recorder.http(start.to_owned(), &HeaderMap::new(), &Bytes::from_static(b"{}"))
        };
        recorder.record("operator", Event::Request(message(request)));
        recorder.record("operator", Event::Response(message(status)));
        let finding = |id: &&str| Finding::broken(id, String::new(), seen.to_owned(), 2);
        let outcome = Outcome {
            verdict: Verdict::Fail,
            findings: ids.iter().map(finding).collect(),
            trace: recorder.records(),
            duration: Duration::ZERO,
        };
        let courtesy = Courtesy::new(Arc::new(Pace::new(None)), bears);
        Hindrance::of(&CASE, &courtesy, &outcome)
    }

    #[test]
    fn a_broken_preparation_is_no_failure_of_the_case() {
        let why = "HTTP 503 to PUT /devices/d (HUB-REG-001)".to_owned();
        assert_eq!(hindrance(true, "503", &["HUB-REG-001"]), Some(Hindrance::Unwell(why)));
    }

    #[test]
    fn what_a_case_is_about_is_never_borne_with() {
        assert_eq!(hindrance(true, "503", &["HUB-TWIN-001"]), None);
        assert_eq!(hindrance(true, "503", &["HUB-REG-001", "HUB-TWIN-001"]), None);
        assert_eq!(hindrance(true, "200", &["HUB-REG-001"]), None, "the hub was well");
        assert_eq!(hindrance(true, "501", &["HUB-REG-001"]), None, "it does not do such a thing");
        assert_eq!(hindrance(false, "503", &["HUB-REG-001"]), None, "ours is never unwell");
    }

    #[test]
    fn only_a_failure_that_is_about_the_answer_is_borne_with() {
        let ids = &["HUB-SESS-002"];
        let put = "PUT /devices/d?api-version=1";
        assert_eq!(hindrance_at(put, true, "503", "the hub closed", ids), None);
        let call = "POST /twins/d/methods?api-version=1";
        assert_eq!(hindrance_at(call, true, "504", "HTTP 504 {}", ids), None, "the device's part");
        let seen = "$iothub/twin/res/500/?$rid=1 with body \"\"";
        let why = "status 500 to a twin request (HUB-SESS-002)".to_owned();
        assert_eq!(hindrance_at(put, true, "200", seen, ids), Some(Hindrance::Unwell(why)));
        assert_eq!(hindrance_at(put, true, "200", seen, &["HUB-TWIN-001"]), None);
    }

    #[test]
    fn a_hub_that_is_never_well_does_not_cost_every_case_all_its_tries() {
        let (borne, unwell) = (Borne::default(), Hindrance::Unwell(String::new()));
        let tries: Vec<u32> = (0..30).map(|_| borne.tries(Some(&unwell), 4)).collect();
        assert_eq!((tries.first(), tries.last()), (Some(&4), Some(&1)));
        assert_eq!(borne.take_unwell(), 30);
        borne.tries(None, 4);
        assert_eq!(borne.tries(Some(&unwell), 4), 4);
    }
}
