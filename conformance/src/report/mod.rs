//! The record of a run: one typed, versioned value. Everything a person or a machine reads is a
//! view of it.

pub mod junit;
pub mod output;
pub mod terminal;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use twinspec_harness::trace::Record;

use crate::known::KnownFailures;
use crate::run::Selected;
use crate::verdict::{Finding, Outcome, Verdict};

/// Name and version of the record's format.
pub const SCHEMA: &str = "twinspec-report/1";

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// `twinspec-report/1`.
    pub schema: String,
    /// What made the report.
    pub tool: Tool,
    /// What was judged.
    pub target: String,
    /// The seed of the order in which cases run.
    pub seed: u64,
    /// How many cases came to which verdict.
    pub summary: Summary,
    /// The cases in the order of the suite.
    pub cases: Vec<CaseRecord>,
    /// Devices, configurations and jobs that the run made and the hub did not remove when it was asked to;
    /// they are there still.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub left_behind: Vec<String>,
    /// How many more cases were selected and did not come to their end, because the run was broken off;
    /// left out for a run that was not.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub not_run: usize,
    /// How often the hub answered 5xx to a request that only prepared a case; the request or the case was
    /// tried again. Left out when it never did.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub set_up_errors: usize,
    /// What all runs so far came to, of which this report is the last; left out for a single one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repeated: Option<Repeated>,
}

/// What several runs of the same cases came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    /// How many runs there were.
    pub runs: usize,
    /// The cases that did not always come to the same verdict.
    pub differing: Vec<Differing>,
}

/// A case that did not always come to the same verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Differing {
    /// The case.
    pub id: String,
    /// Its verdicts in the order of the runs.
    pub verdicts: Vec<Verdict>,
}

/// The verdicts of all runs.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    runs: usize,
    verdicts: BTreeMap<String, Vec<Verdict>>,
}

impl Runs {
    /// Adds the verdicts of one more run.
    pub fn add(&mut self, report: &Report) {
        self.runs += 1;
        for case in &report.cases {
            self.verdicts.entry(case.id.clone()).or_default().push(case.verdict);
        }
    }

    /// What they came to, if there was more than one.
    #[must_use]
    pub fn repeated(&self) -> Option<Repeated> {
        let differs = |verdicts: &[Verdict]| verdicts.iter().any(|v| Some(v) != verdicts.first());
        let differing = self.verdicts.iter().filter(|(_, verdicts)| differs(verdicts));
        let differing = differing
            .map(|(id, verdicts)| Differing { id: id.clone(), verdicts: verdicts.clone() });
        (self.runs > 1).then(|| Repeated { runs: self.runs, differing: differing.collect() })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it like that")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The program that made a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `twinspec`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// How many cases came to which verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Everything demanded was seen.
    pub pass: usize,
    /// A MUST was broken.
    pub fail: usize,
    /// A SHOULD was broken.
    pub warn: usize,
    /// Not claimed or not possible.
    pub unsupported: usize,
    /// Failed as known.
    pub expected_fail: usize,
    /// Passed although known to fail.
    pub unexpected_pass: usize,
    /// A budget ran out or the environment broke.
    pub inconclusive: usize,
    /// The harness is at fault.
    pub error: usize,
    /// An observed behaviour differs.
    pub note: usize,
}

/// What one case came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseRecord {
    /// The case.
    pub id: String,
    /// Whom it judges.
    pub role: String,
    /// Its subject.
    pub subject: String,
    /// What it shows.
    pub title: String,
    /// The requirements it checks.
    pub requirements: Vec<String>,
    /// What it came to.
    pub verdict: Verdict,
    /// Why the failure is expected, where a known-failures file says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub known: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What was found, worst first; empty for a pass.
    pub findings: Vec<Finding>,
    /// What was sent and received; empty for a pass.
    pub trace: Vec<Record>,
}

/// What a report means for the caller: the exit code of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conformance {
    /// 0: nothing a MUST demands is missing.
    Conformant,
    /// 3: some case reached no verdict, the run was broken off, or nothing was judged.
    Unknown,
    /// 1: a MUST is broken, or a known failure passes.
    NotConformant,
}

impl Conformance {
    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Conformant => 0,
            Self::NotConformant => 1,
            Self::Unknown => 3,
        }
    }
}

impl Report {
    /// The report of a run.
    #[must_use]
    pub fn new(
        target: &str,
        seed: u64,
        known: &KnownFailures,
        outcomes: Vec<(Selected, Outcome)>,
    ) -> Self {
        let mut cases: Vec<CaseRecord> =
            outcomes.into_iter().map(|(case, outcome)| record(known, case, outcome)).collect();
        let order: BTreeMap<&str, usize> =
            crate::case::all().enumerate().map(|(index, (_, case))| (case.id, index)).collect();
        cases.sort_by_key(|case| order.get(case.id.as_str()).copied());
        let mut summary = Summary::default();
        cases.iter().for_each(|case| summary.add(case.verdict));
        Self {
            schema: SCHEMA.to_owned(),
            tool: Tool {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            target: target.to_owned(),
            seed,
            summary,
            cases,
            left_behind: Vec::new(),
            not_run: 0,
            set_up_errors: 0,
            repeated: None,
        }
    }

    /// Whether nothing was judged: every case is unsupported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.summary.unsupported == self.cases.len()
    }

    /// What the report means.
    #[must_use]
    pub fn conformance(&self) -> Conformance {
        let summary = &self.summary;
        if summary.fail + summary.unexpected_pass > 0 {
            Conformance::NotConformant
        } else if summary.inconclusive + summary.error + self.not_run > 0 || self.is_empty() {
            Conformance::Unknown
        } else {
            Conformance::Conformant
        }
    }
}

impl Summary {
    /// Counts one more case.
    pub fn add(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Note => &mut self.note,
            Verdict::Warn => &mut self.warn,
            Verdict::Unsupported => &mut self.unsupported,
            Verdict::ExpectedFail => &mut self.expected_fail,
            Verdict::UnexpectedPass => &mut self.unexpected_pass,
            Verdict::Fail => &mut self.fail,
            Verdict::Inconclusive => &mut self.inconclusive,
            Verdict::Error => &mut self.error,
        };
        *count += 1;
    }

    /// How many cases came to `verdict`.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        match verdict {
            Verdict::Pass => self.pass,
            Verdict::Note => self.note,
            Verdict::Warn => self.warn,
            Verdict::Unsupported => self.unsupported,
            Verdict::ExpectedFail => self.expected_fail,
            Verdict::UnexpectedPass => self.unexpected_pass,
            Verdict::Fail => self.fail,
            Verdict::Inconclusive => self.inconclusive,
            Verdict::Error => self.error,
        }
    }
}

/// The JSON Schema of a report.
#[must_use]
pub fn schema() -> Schema {
    schema_for!(Report)
}

fn record(known: &KnownFailures, (group, case): Selected, outcome: Outcome) -> CaseRecord {
    let (verdict, reason) = known.judge(case.id, outcome.verdict);
    CaseRecord {
        id: case.id.to_owned(),
        role: group.role.name().to_owned(),
        subject: group.subject.to_owned(),
        title: case.title.to_owned(),
        requirements: case.requirements.iter().map(|id| (*id).to_owned()).collect(),
        verdict,
        known: reason.map(str::to_owned),
        duration_ms: u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX),
        findings: outcome.findings,
        trace: if outcome.verdict == Verdict::Pass { Vec::new() } else { outcome.trace },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run_of(verdicts: [Verdict; 2]) -> Report {
        let outcome = |verdict| Outcome {
            verdict,
            findings: Vec::new(),
            trace: Vec::new(),
            duration: Duration::ZERO,
        };
        let outcomes = crate::case::all().zip(verdicts.map(outcome)).collect();
        Report::new("a hub", 1, &KnownFailures::default(), outcomes)
    }

    #[test]
    fn several_runs_tell_which_verdicts_differ() {
        let mut runs = Runs::default();
        runs.add(&run_of([Verdict::Pass, Verdict::Pass]));
        assert_eq!(runs.repeated(), None, "one run is not repeated");
        runs.add(&run_of([Verdict::Pass, Verdict::Fail]));
        let id = crate::case::all().nth(1).unwrap().1.id.to_owned();
        let differing = vec![Differing { id, verdicts: vec![Verdict::Pass, Verdict::Fail] }];
        assert_eq!(runs.repeated(), Some(Repeated { runs: 2, differing }));
    }
}
