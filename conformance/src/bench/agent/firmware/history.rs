//! What a device has reported of its updates, from the first report to the last.

use serde_json::{Value, json};

use super::words::{Pattern, Words};
use crate::bench::agent::Report;

/// Everything that was reported, in order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What each report made of the twin.
    pub states: Vec<State>,
}

/// A report, and what the twin shows after it, both from the pattern's root on.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Its place among everything that the device did.
    pub number: usize,
    /// What was reported.
    pub patch: Value,
    /// What the twin shows.
    pub block: Value,
    /// What it showed before.
    pub before: Value,
    /// Whether it is the first report after a connect: what came before it may have been lost.
    pub is_first: bool,
}

impl History {
    /// The reports of a device that follows `pattern`; those about other things are left out.
    /// `connects` are the places of its connects, in order.
    #[must_use]
    pub fn new(
        pattern: Pattern,
        words: Option<&Words>,
        reports: &[Report],
        connects: &[usize],
    ) -> Self {
        let patches = reports.iter().map(|report| (report.number, &report.patch));
        let mut history = Self::of_patches(root(pattern, words), patches);
        for connect in connects {
            let first = history.states.iter_mut().find(|state| state.number > *connect);
            if let Some(first) = first {
                first.is_first = true;
            }
        }
        history
    }

    /// The same from patches alone.
    pub fn of_patches<'a>(
        root: &str,
        patches: impl IntoIterator<Item = (usize, &'a Value)>,
    ) -> Self {
        let mut twin = json!({});
        let mut states = Vec::new();
        for (number, patch) in patches {
            let before = twin.pointer(root).cloned().unwrap_or_default();
            merge(&mut twin, patch);
            if let Some(patch) = patch.pointer(root) {
                let block = twin.pointer(root).cloned().unwrap_or_default();
                let patch = patch.clone();
                states.push(State { number, patch, block, before, is_first: false });
            }
        }
        Self { states }
    }

    /// What was reported from the number `from` on.
    pub fn since(&self, from: usize) -> impl Iterator<Item = &State> {
        self.states.iter().filter(move |state| state.number >= from)
    }

    /// The member `name` as it is now; empty when there is none.
    #[must_use]
    pub fn now(&self, name: &str) -> &str {
        self.states.last().map_or("", |state| state.text(name))
    }
}

impl State {
    /// The member `name` of what the twin shows; empty when it is no text.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        text(&self.block, name)
    }

    /// The member `name` as it was before.
    #[must_use]
    pub fn was(&self, name: &str) -> &str {
        text(&self.before, name)
    }

    /// Whether the report has changed anything: after a reconnect the same may be said again.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.block != self.before
    }
}

/// Where `pattern` reports.
#[must_use]
pub fn root(pattern: Pattern, words: Option<&Words>) -> &'static str {
    match pattern {
        Pattern::TwinJob => "/firmware",
        Pattern::DirectMethod => words.map_or("/iothubDM/firmwareUpdate", |words| words.root),
        Pattern::DirectMethod2018 => "",
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// RFC 7396.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Whether `text` is a time of ISO 8601 in UTC.
#[must_use]
pub fn is_utc(text: &str) -> bool {
    let Some(time) = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00")) else {
        return false;
    };
    time.split_once('T').is_some_and(|(date, time)| is_date(date) && is_time(time))
}

/// Whether `text` is a time as Python prints it: a blank between date and time, and no zone.
#[must_use]
pub fn is_blank_separated(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(date, time)| is_date(date) && is_time(time))
}

fn is_date(text: &str) -> bool {
    has_digits(text, &[4, 2, 2], '-')
}

/// `hh:mm:ss` with or without a fraction.
fn is_time(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|c| c.is_ascii_digit());
    is_fraction && has_digits(whole, &[2, 2, 2], ':')
}

fn has_digits(text: &str, lengths: &[usize], between: char) -> bool {
    let parts: Vec<&str> = text.split(between).collect();
    parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == *length && part.bytes().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_apart() {
        for (text, utc, blank) in [
            ("2031-02-03T04:05:06Z", true, false),
            ("2031-02-03T04:05:06.789Z", true, false),
            ("2031-02-03T04:05:06+00:00", true, false),
            ("2031-02-03T04:05:06", false, false),
            ("2031-02-03 04:05:06.789012", false, true),
            ("Tue Feb 03 2031", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_utc(text), is_blank_separated(text)), (utc, blank), "{text}");
        }
    }

    #[test]
    fn a_history_merges_and_removes() {
        let patches = [
            json!({ "a": { "b": { "x": 1, "y": 2 } } }),
            json!({ "other": 1 }),
            json!({ "a": { "b": { "x": null, "z": 3 } } }),
        ];
        let history = History::of_patches("/a/b", patches.iter().enumerate());
        assert_eq!(history.states.len(), 2);
        assert_eq!(history.states[1].block, json!({ "y": 2, "z": 3 }));
        assert_eq!(history.states[1].before, json!({ "x": 1, "y": 2 }));
    }
}
