//! Known failures: cases a vendor knows to fail. Strict both ways: a case that passes although it
//! is listed is an unexpected pass, and an entry that names no case is an error.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::case;
use crate::text;
use crate::verdict::Verdict;

/// The content of a known-failures file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFailures {
    /// The entries.
    #[serde(default)]
    pub known: Vec<Known>,
}

/// One case that is known to fail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Id of the case.
    pub case: String,
    /// Why it fails; never empty.
    pub reason: String,
}

/// A file that cannot be used.
#[derive(Clone, Debug)]
pub struct KnownFailuresError(String);

impl fmt::Display for KnownFailuresError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for KnownFailuresError {}

impl KnownFailures {
    /// Reads the TOML file at `path`.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, KnownFailuresError> {
        let problem = |what: String| {
            KnownFailuresError(format!(
                "known failures {}: {}",
                path.display(),
                text::shortened(&what)
            ))
        };
        let text = text::read(path, text::FILE_MAX).map_err(|error| problem(error.to_string()))?;
        Self::parse(&text).map_err(problem)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let list: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (index, entry) in list.known.iter().enumerate() {
            if entry.reason.trim().is_empty() {
                return Err(format!("{} has no reason", entry.case));
            }
            if !case::all().any(|(_, case)| case.id == entry.case) {
                return Err(format!("there is no case {}", entry.case));
            }
            if list.known.iter().take(index).any(|earlier| earlier.case == entry.case) {
                return Err(format!("{} is listed twice", entry.case));
            }
        }
        Ok(list)
    }

    /// The verdict of `case` when its run came to `verdict`, and the reason where one is listed.
    #[must_use]
    pub fn judge(&self, case: &str, verdict: Verdict) -> (Verdict, Option<&str>) {
        let Some(entry) = self.known.iter().find(|entry| entry.case == case) else {
            return (verdict, None);
        };
        let verdict = match verdict {
            Verdict::Fail => Verdict::ExpectedFail,
            Verdict::Pass | Verdict::Note | Verdict::Warn => Verdict::UnexpectedPass,
            Verdict::Unsupported
            | Verdict::ExpectedFail
            | Verdict::UnexpectedPass
            | Verdict::Inconclusive
            | Verdict::Error => verdict,
        };
        (verdict, Some(&entry.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_for_no_case_is_refused() {
        let text = "[[known]]\ncase = \"nothing\"\nreason = \"r\"";
        assert_eq!(KnownFailures::parse(text).unwrap_err(), "there is no case nothing");
    }

    #[test]
    fn listed_cases_are_judged_both_ways() {
        let id = case::all().next().unwrap().1.id;
        let text = format!("[[known]]\ncase = \"{id}\"\nreason = \"r\"");
        let list = KnownFailures::parse(&text).unwrap();
        assert_eq!(list.judge(id, Verdict::Fail), (Verdict::ExpectedFail, Some("r")));
        assert_eq!(list.judge(id, Verdict::Pass), (Verdict::UnexpectedPass, Some("r")));
        assert_eq!(list.judge("other", Verdict::Fail), (Verdict::Fail, None));
    }
}
