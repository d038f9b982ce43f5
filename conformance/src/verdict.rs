//! What is said about a case: verdict and findings.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twinspec_harness::trace::Record;

use crate::ambiguity;
use crate::requirement::{self, Level};

/// The outcome of one case.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything demanded was seen.
    Pass,
    /// An observed behaviour differs: reported, never counted against.
    Note,
    /// A SHOULD was broken.
    Warn,
    /// Not claimed by the profile, or not possible with this target; there is a reason.
    Unsupported,
    /// Failed, as the known-failures file says.
    ExpectedFail,
    /// Passed, although the known-failures file says it fails.
    UnexpectedPass,
    /// A MUST was broken.
    Fail,
    /// A budget ran out or the environment broke.
    Inconclusive,
    /// The harness is at fault.
    Error,
}

impl Verdict {
    /// All verdicts, harmless ones first.
    pub const ALL: [Self; 9] = [
        Self::Pass,
        Self::Note,
        Self::Warn,
        Self::Unsupported,
        Self::ExpectedFail,
        Self::UnexpectedPass,
        Self::Fail,
        Self::Inconclusive,
        Self::Error,
    ];

    /// The word in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Unsupported => "unsupported",
            Self::ExpectedFail => "expected-fail",
            Self::UnexpectedPass => "unexpected-pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A demand that was not met, or why there is no verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The requirement, where one was broken.
    pub requirement: Option<String>,
    /// Its level.
    pub level: Option<Level>,
    /// Its sentence, or what kind of trouble this is.
    pub statement: String,
    /// Where it comes from.
    pub source: Option<String>,
    /// What was allowed.
    pub allowed: String,
    /// What was seen.
    pub seen: String,
    /// How many events of the trace had been recorded when it was seen.
    pub at: usize,
}

/// Findings of one requirement that a case keeps: more of the same say nothing new.
const ALIKE_MAX: usize = 10;

/// Adds `finding` unless there are many of its requirement already.
pub(crate) fn keep(findings: &mut Vec<Finding>, finding: Finding) {
    let alike = findings.iter().filter(|known| known.requirement == finding.requirement);
    if alike.count() < ALIKE_MAX {
        findings.push(finding);
    }
}

impl Finding {
    /// The requirement `id` was broken.
    #[must_use]
    pub fn broken(id: &str, allowed: String, seen: String, at: usize) -> Self {
        let known = requirement::find(id).map(|(_, requirement)| requirement);
        Self {
            requirement: Some(id.to_owned()),
            level: known.map(|requirement| requirement.level),
            statement: known.map_or_else(
                || format!("the suite names the unknown requirement {id}"),
                |requirement| requirement.statement.clone(),
            ),
            source: known.map(|requirement| requirement.source.clone()),
            allowed,
            seen,
            at,
        }
    }

    /// The open point `id` was decided in a way that is not allowed: for a `pinned` one that is
    /// like a broken MUST, for others a note.
    #[must_use]
    pub fn open_point(id: &str, pinned: bool, allowed: String, seen: String, at: usize) -> Self {
        let point = ambiguity::find(id);
        Self {
            requirement: Some(id.to_owned()),
            level: Some(if pinned { Level::Must } else { Level::Observed }),
            statement: point.map_or_else(String::new, |point| point.point.clone()),
            source: point.map(|point| point.source.clone()),
            allowed,
            seen,
            at,
        }
    }

    /// There is no verdict on any requirement.
    #[must_use]
    pub fn trouble(statement: &str, seen: String, at: usize) -> Self {
        Self {
            requirement: None,
            level: None,
            statement: statement.to_owned(),
            source: None,
            allowed: String::new(),
            seen,
            at,
        }
    }

    /// The verdict this finding alone leads to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.level {
            Some(Level::Must) => Verdict::Fail,
            Some(Level::Should) => Verdict::Warn,
            Some(Level::May | Level::Observed) => Verdict::Note,
            None => Verdict::Error,
        }
    }
}

/// Why a case ended before its last line.
#[derive(Clone, Debug)]
pub enum Stop {
    /// A demand was not met and nothing can follow.
    Broken {
        /// The requirement.
        requirement: &'static str,
        /// What was allowed.
        allowed: String,
        /// What was seen.
        seen: String,
    },
    /// The target cannot show it.
    Unsupported(String),
    /// A budget ran out or the environment broke.
    Inconclusive(String),
    /// The harness is at fault.
    Harness(String),
}

/// What a case body returns.
pub type Checked<T = ()> = Result<T, Stop>;

/// Everything known of one case after its run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, worst first; empty for a pass.
    pub findings: Vec<Finding>,
    /// Everything that was sent and received.
    pub trace: Vec<Record>,
    /// How long it took.
    pub duration: std::time::Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_findings_of_one_requirement_hide_none_of_another() {
        let mut findings = Vec::new();
        for id in ["JOB-031"; 50].into_iter().chain(["JOB-050"]) {
            keep(&mut findings, Finding::broken(id, String::new(), String::new(), 0));
        }
        assert_eq!(findings.len(), ALIKE_MAX + 1);
        assert!(findings.iter().any(|finding| finding.requirement.as_deref() == Some("JOB-050")));
    }
}
