//! Who watches an update from outside, by reading the reported properties now and then.
//!
//! An observer sees some of the states and not all (FW-S03), ends at any ending of the pattern
//! (FW-C15), and takes nothing for an ending that was there before the update was asked for (FW-D08,
//! A-F09).

use serde_json::Value;

use super::Pattern;
use super::direct_method_2018::Status as Status2018;
use super::twin_job::Status;

/// What a reading of the twin tells of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing has changed since the update was asked for.
    Waiting,
    /// The update is under way: its status and, where the pattern has one, a detail.
    Running(String),
    /// The update has succeeded.
    Succeeded(String),
    /// The update has failed, or was refused.
    Failed(String),
}

impl Progress {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Succeeded(_) | Self::Failed(_))
    }

    /// The status that was read; empty while nothing has changed.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Waiting => "",
            Self::Running(text) | Self::Succeeded(text) | Self::Failed(text) => text,
        }
    }
}

/// Somebody who watches one update of one device.
#[derive(Clone, Debug)]
pub struct Observer {
    pattern: Pattern,
    /// What was reported before the update was asked for.
    before: Value,
    /// The version that is to run in the end, where the pattern knows versions.
    target: String,
}

impl Observer {
    /// Watches an update to `target`, asked for when `reported` was read.
    ///
    /// Only the pattern with a twin job knows versions; the others leave `target` alone.
    #[must_use]
    pub fn new(pattern: Pattern, reported: &Value, target: &str) -> Self {
        let before = block(pattern, reported).cloned().unwrap_or_default();
        Self { pattern, before, target: target.to_owned() }
    }

    /// Reads the reported properties.
    #[must_use]
    pub fn look(&self, reported: &Value) -> Progress {
        match block(self.pattern, reported) {
            Some(now) if *now != self.before => match self.pattern {
                Pattern::TwinJob => self.twin_job(now),
                Pattern::DirectMethod(words) => {
                    let status = text(now, "status");
                    let is = |word: &str| status.eq_ignore_ascii_case(word);
                    let success = words.applied.unwrap_or(words.applying);
                    if is(words.download_failed) || is(words.apply_failed) {
                        Progress::Failed(told(status, text(now, "error/message")))
                    } else if is(success) {
                        Progress::Succeeded(status.to_owned())
                    } else {
                        Progress::Running(status.to_owned())
                    }
                }
                Pattern::DirectMethod2018 => self.direct_method_2018(now),
            },
            _ => Progress::Waiting,
        }
    }

    fn twin_job(&self, now: &Value) -> Progress {
        let (status, detail) = (text(now, "fwUpdateStatus"), text(now, "fwUpdateSubstatus"));
        let is = |wanted: Status| status == wanted.name();
        let pending = text(now, "pendingFwVersion");
        let shown = told(status, detail);
        if is(Status::Current) && text(now, "currentFwVersion") == self.target {
            Progress::Succeeded(shown)
        } else if is(Status::RolledBack) || (is(Status::Error) && pending != self.target) {
            // An error within an attempt is followed by the roll-back, that of a refusal by nothing.
            Progress::Failed(shown)
        } else {
            Progress::Running(shown)
        }
    }

    fn direct_method_2018(&self, now: &Value) -> Progress {
        let status = text(now, "firmwareStatus");
        let is = |wanted: Status2018| status == wanted.name();
        let is_new = |wanted: Status2018| {
            text(now, wanted.companion()) != text(&self.before, wanted.companion())
        };
        let shown = status.to_owned();
        if is(Status2018::Completed) && is_new(Status2018::Completed) {
            Progress::Succeeded(shown)
        } else if is(Status2018::StandBy) && is_new(Status2018::StandBy) {
            // The pattern has no word for a failure: the device is where it was at its start.
            Progress::Failed(shown)
        } else if is(Status2018::Downloading) || is(Status2018::Applying) {
            Progress::Running(shown)
        } else {
            Progress::Waiting
        }
    }
}

/// Where the pattern reports.
fn block(pattern: Pattern, reported: &Value) -> Option<&Value> {
    match pattern {
        Pattern::TwinJob => reported.get("firmware"),
        Pattern::DirectMethod(words) => {
            words.root.iter().try_fold(reported, |value, name| value.get(name))
        }
        Pattern::DirectMethod2018 => Some(reported),
    }
}

/// The text at `path` below `value`; empty when there is none.
fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(&format!("/{path}")).and_then(Value::as_str).unwrap_or_default()
}

fn told(status: &str, detail: &str) -> String {
    if detail.is_empty() { status.to_owned() } else { format!("{status}: {detail}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::direct_method::{SPELLINGS, Spelling};
    use super::super::{Failure, Input, Output, Phase};
    use super::*;
    use crate::time::Time;

    fn merge(target: &mut Value, patch: &Value) {
        match (target, patch) {
            (Value::Object(target), Value::Object(patch)) => {
                for (name, value) in patch {
                    if value.is_null() {
                        target.remove(name);
                    } else {
                        merge(target.entry(name.clone()).or_insert(json!({})), value);
                    }
                }
            }
            (target, patch) => *target = patch.clone(),
        }
    }

    fn patterns() -> Vec<Pattern> {
        let methods = SPELLINGS.iter().map(Pattern::DirectMethod);
        [Pattern::TwinJob, Pattern::DirectMethod2018].into_iter().chain(methods).collect()
    }

    fn trigger(pattern: Pattern, version: &str) -> Input {
        let uri = "https://files.example/fw.bin";
        match pattern {
            Pattern::TwinJob => Input::Desired(json!({
                "firmware": { "fwVersion": version, "fwPackageURI": uri, "fwPackageCheckValue": "c" },
            })),
            Pattern::DirectMethod(Spelling { bare_payload: true, .. }) => {
                Input::Called { name: "firmwareUpdate".to_owned(), payload: json!(uri) }
            }
            Pattern::DirectMethod(_) | Pattern::DirectMethod2018 => Input::Called {
                name: "firmwareUpdate".to_owned(),
                payload: json!({ "fwPackageUri": uri }),
            },
        }
    }

    /// What the twin shows after each report of an update in which `fails` fails, and what it showed
    /// before; the device has done `runs` good updates already.
    fn readings(pattern: Pattern, runs: u32, fails: Option<Phase>) -> (Value, Vec<Value>) {
        let mut device = pattern.device();
        let mut twin = json!({});
        let mut seconds = 1_900_000_000;
        let empty = || Input::Connected { desired: json!({}), reported: json!({}) };
        let mut all = vec![(empty(), None)];
        for run in 0..=runs {
            let fails = fails.filter(|_| run == runs);
            all.push((trigger(pattern, &format!("2.{run}")), fails));
        }
        let mut readings = Vec::new();
        let mut before = json!({});
        for (input, fails) in all {
            before = twin.clone();
            readings.clear();
            let mut inputs = vec![input];
            while let Some(input) = inputs.pop() {
                seconds += 1;
                for output in device.handle(Time::from_unix_seconds(seconds), input) {
                    match output {
                        Output::Report(patch) => {
                            merge(&mut twin, &patch);
                            readings.push(twin.clone());
                        }
                        Output::Begin(work) => {
                            let failure = Failure { code: "e".to_owned(), message: "m".to_owned() };
                            let fails = fails == Some(work.phase);
                            let result = if fails { Err(failure) } else { Ok(()) };
                            inputs.push(Input::Done(work.phase, result));
                        }
                        Output::Answer { .. } => {}
                    }
                }
            }
        }
        (before, readings)
    }

    /// The phases of a pattern whose failure ends an attempt.
    fn failing(pattern: Pattern) -> Vec<Option<Phase>> {
        let phases: &[Phase] = match pattern {
            Pattern::TwinJob => &[Phase::Download, Phase::Verify, Phase::Apply, Phase::Reboot],
            Pattern::DirectMethod(_) | Pattern::DirectMethod2018 => {
                &[Phase::Download, Phase::Apply]
            }
        };
        std::iter::once(None).chain(phases.iter().copied().map(Some)).collect()
    }

    #[test]
    fn whatever_is_skipped_the_ending_is_seen_and_nothing_before_it_is_one() {
        for pattern in patterns() {
            for fails in failing(pattern) {
                for runs in [0, 1] {
                    let (before, readings) = readings(pattern, runs, fails);
                    let observer = Observer::new(pattern, &before, &format!("2.{runs}"));
                    let (last, earlier) = readings.split_last().unwrap();
                    // Each reading is judged alone: which ones were skipped makes no difference.
                    let is_port =
                        matches!(pattern, Pattern::DirectMethod(words) if words.applied.is_none());
                    for reading in earlier.iter().filter(|_| !is_port) {
                        let seen = observer.look(reading);
                        assert!(!seen.is_over(), "{pattern:?} {fails:?}: {seen:?} {reading}");
                    }
                    let seen = observer.look(last);
                    let holds = match fails {
                        None => matches!(seen, Progress::Succeeded(_)),
                        Some(_) => matches!(seen, Progress::Failed(_)),
                    };
                    assert!(holds, "{pattern:?} {fails:?} after {runs}: {seen:?} {last}");
                }
            }
        }
    }

    #[test]
    fn what_was_there_before_is_no_ending() {
        for pattern in patterns() {
            let (_, readings) = readings(pattern, 0, None);
            let last = readings.last().unwrap();
            let seen = Observer::new(pattern, last, "9").look(last);
            assert_eq!(seen, Progress::Waiting, "{pattern:?}");
        }
    }

    #[test]
    fn a_failure_is_seen_in_capitals_or_without() {
        let observer = Observer::new(Pattern::DirectMethod(&SPELLINGS[0]), &json!({}), "");
        for word in ["downloadfailed", "downloadFailed"] {
            let reported = json!({ "iothubDM": { "firmwareUpdate": { "status": word } } });
            assert_eq!(observer.look(&reported), Progress::Failed(word.to_owned()));
        }
    }

    #[test]
    fn a_refusal_is_a_failure() {
        let observer = Observer::new(Pattern::TwinJob, &json!({}), "2");
        let block = json!({
            "currentFwVersion": "1", "pendingFwVersion": "",
            "fwUpdateStatus": "error", "fwUpdateSubstatus": "Insecure package URI",
        });
        let seen = observer.look(&json!({ "firmware": block }));
        assert_eq!(seen, Progress::Failed("error: Insecure package URI".to_owned()));
    }
}
