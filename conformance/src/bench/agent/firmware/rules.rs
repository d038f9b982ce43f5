//! Rules that hold for everything a device reports of its updates, in every case.

use super::history::{History, State, is_blank_separated, is_utc};
use super::words::{DIRECT_METHOD_2018, Pattern, TWIN_JOB, Words, is_phase};

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The requirement.
    pub requirement: &'static str,
    /// What is allowed.
    pub allowed: &'static str,
    /// What was seen.
    pub seen: String,
}

/// Everything that is wrong in `history`.
#[must_use]
pub fn flaws(pattern: Pattern, words: Option<&Words>, history: &History) -> Vec<Flaw> {
    let mut flaws = Flaws(Vec::new());
    match (pattern, words) {
        (Pattern::TwinJob, _) => twin_job(history, &mut flaws),
        (Pattern::DirectMethod, Some(words)) => direct_method(words, history, &mut flaws),
        (Pattern::DirectMethod, None) => {}
        (Pattern::DirectMethod2018, _) => direct_method_2018(history, &mut flaws),
    }
    flaws.0
}

struct Flaws(Vec<Flaw>);

impl Flaws {
    fn demand(
        &mut self,
        requirement: &'static str,
        holds: bool,
        allowed: &'static str,
        state: &State,
    ) {
        if !holds {
            let seen = format!("{} after {}", state.patch, state.before);
            self.0.push(Flaw { requirement, allowed, seen });
        }
    }
}

fn twin_job(history: &History, flaws: &mut Flaws) {
    for state in &history.states {
        let (was, is) = (state.was("fwUpdateStatus"), state.text("fwUpdateStatus"));
        let allowed = "one of the seven values of fwUpdateStatus";
        flaws.demand("FW-B07", TWIN_JOB.contains(&is), allowed, state);
        // After a connect the steps before it may have been lost on their way.
        if !was.is_empty() && TWIN_JOB.contains(&is) && !state.is_first {
            twin_job_step(state, was, is, flaws);
        }
        twin_job_versions(state, was, is, flaws);
        for name in ["lastFwUpdateStartTime", "lastFwUpdateEndTime"] {
            let time = state.text(name);
            let holds = time.is_empty() || is_utc(time);
            flaws.demand("FW-B17", holds, "a time of ISO 8601 in UTC, or nothing", state);
        }
        let (began, ended) =
            (state.text("lastFwUpdateStartTime"), state.text("lastFwUpdateEndTime"));
        if state.patch.get("lastFwUpdateEndTime").is_some() && !ended.is_empty() {
            // Both have the same form, so that they compare as texts up to the second.
            let holds = began.get(..19) <= ended.get(..19);
            flaws.demand("FW-B17", holds, "an end that is not before the start", state);
        }
    }
}

/// From status to status (§ b.5).
fn twin_job_step(state: &State, was: &str, is: &str, flaws: &mut Flaws) {
    let has_new_version = state.text("currentFwVersion") != state.was("currentFwVersion");
    let holds = match (was, is) {
        (was, is) if was == is => true,
        ("current" | "rolledback" | "error", "downloading")
        | ("downloading", "verifying")
        | ("verifying", "applying")
        | ("applying", "rebooting")
        | ("error", "rolledback" | "current")
        | ("rolledback", "current")
        | (_, "error") => true,
        ("rebooting", "current") if has_new_version => true,
        _ => false,
    };
    let hides = is_phase(was) && is == "current" && !has_new_version;
    if hides && !state.text("fwUpdateSubstatus").is_empty() {
        let allowed = "the phase stays while another request is refused";
        flaws.demand("FW-B22", false, allowed, state);
    } else {
        let allowed = "downloading, verifying, applying, rebooting, current, one after the other";
        flaws.demand("FW-B08", holds, allowed, state);
    }
    if is_phase(was) && is == "error" {
        let holds = !state.text("fwUpdateSubstatus").is_empty();
        flaws.demand("FW-B15", holds, "an error that says what is wrong", state);
    }
}

fn twin_job_versions(state: &State, was: &str, is: &str, flaws: &mut Flaws) {
    let (version, before) = (state.text("currentFwVersion"), state.was("currentFwVersion"));
    if version != before && !before.is_empty() {
        let holds = is == "current" && (was == "rebooting" || state.is_first);
        let allowed = "another currentFwVersion only with the last report of a success";
        flaws.demand("FW-B11", holds, allowed, state);
        flaws.demand("FW-S02", holds, allowed, state);
        let holds = version == state.was("pendingFwVersion");
        flaws.demand(
            "FW-B10",
            holds,
            "the version that was pending becomes the current one",
            state,
        );
        let holds = state.text("pendingFwVersion").is_empty();
        flaws.demand("FW-B10", holds, "no pendingFwVersion after a success", state);
    }
    if is_phase(is) {
        let pending = state.text("pendingFwVersion");
        flaws.demand("FW-B10", !pending.is_empty(), "pendingFwVersion while a phase lasts", state);
        let changes = is_phase(was) && pending != state.was("pendingFwVersion");
        flaws.demand("FW-B18", !changes, "one pendingFwVersion throughout an attempt", state);
    }
}

fn direct_method(words: &Words, history: &History, flaws: &mut Flaws) {
    for state in history.states.iter().filter(|state| state.patch.get("status").is_some()) {
        let (was, is) = (state.was("status"), state.text("status"));
        let place = words.place(is);
        let is_known = place.is_some() || words.is_failure(is);
        flaws.demand("FW-C06", is_known, "a status of the variant that is claimed", state);
        if is_known && state.is_news() {
            direct_method_step(words, state, (was, is), flaws);
        }
        if words.is_failure(is) {
            let text = |name| state.block.pointer(name).is_some_and(|value| !value.is_null());
            let holds = text("/error/code") && text("/error/message");
            flaws.demand("FW-C09", holds, "error with code and message", state);
        }
        if let Some((_, Some(time))) = place.and_then(|place| words.steps.get(place)) {
            let holds = is_utc(state.text(time));
            flaws.demand("FW-C10", holds, "the time of the status, ISO 8601 in UTC", state);
        }
    }
}

fn direct_method_step(words: &Words, state: &State, (was, is): (&str, &str), flaws: &mut Flaws) {
    let begins = words.place(is) == Some(0);
    let was_over = was.is_empty() || words.is_failure(was) || was == words.last();
    if words.is_failure(was) {
        flaws.demand("FW-C11", begins, "after a failure only the beginning of another try", state);
        return;
    }
    let allowed = "the statuses of the variant in their order, each once";
    let holds = match words.place(is) {
        Some(0) => was_over,
        // What was said while it was away is lost.
        Some(place) if state.is_first => words.place(was) < Some(place),
        Some(place) => words.place(was) == Some(place - 1),
        None => {
            let applying = words.place("applying");
            let place = words.place(was);
            let fetches = place.is_some() && place < applying;
            // The pause before the application belongs to it.
            let applies = place.map(|place| place + 1) >= applying;
            let applies = applies && (was == "applying" || !was_over);
            if is == words.download_failed { fetches } else { applies }
        }
    };
    flaws.demand("FW-C07", holds, allowed, state);
}

fn direct_method_2018(history: &History, flaws: &mut Flaws) {
    for state in history.states.iter().filter(|state| state.patch.get("firmwareStatus").is_some()) {
        let (was, is) = (state.was("firmwareStatus"), state.text("firmwareStatus"));
        let companion = DIRECT_METHOD_2018.iter().find(|(status, _)| *status == is);
        let allowed = "standBy, downloading, applying or completed";
        flaws.demand("FW-D04", companion.is_some(), allowed, state);
        let Some((_, companion)) = companion else { continue };
        if state.is_news() {
            let holds = matches!(
                (was, is),
                ("", _)
                    | (_, "standBy")
                    | ("standBy" | "completed", "downloading")
                    | ("downloading", "applying")
                    | ("applying", "completed")
            ) || state.is_first && (was, is) == ("downloading", "completed");
            let allowed = "downloading, applying, completed, each once";
            flaws.demand("FW-D05", holds, allowed, state);
        }
        let time = state.patch.get(companion).and_then(serde_json::Value::as_str);
        flaws.demand("FW-D06", time.is_some(), "the status and its time in one patch", state);
        if let Some(time) = time {
            let is_sample = is_blank_separated(time);
            flaws.demand("FW-D07", is_sample, "a local time, with a blank and no zone", state);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::history::root;
    use super::*;

    fn broken(pattern: Pattern, words: Option<&Words>, patches: &[Value]) -> Vec<&'static str> {
        let history = History::of_patches(root(pattern, words), patches.iter().enumerate());
        flaws(pattern, words, &history).into_iter().map(|flaw| flaw.requirement).collect()
    }

    fn block(status: &str, detail: &str) -> Value {
        json!({ "firmware": { "fwUpdateStatus": status, "fwUpdateSubstatus": detail } })
    }

    fn start() -> Value {
        json!({ "firmware": {
            "currentFwVersion": "1", "pendingFwVersion": "2", "fwUpdateStatus": "current",
            "fwUpdateSubstatus": "", "lastFwUpdateStartTime": "2031-02-03T04:05:06.000Z",
        } })
    }

    #[test]
    fn each_wrong_step_of_a_twin_job_update_has_its_requirement() {
        let end = json!({ "firmware": {
            "currentFwVersion": "2", "pendingFwVersion": "", "fwUpdateStatus": "current",
            "fwUpdateSubstatus": "", "lastFwUpdateEndTime": "2031-02-03T04:05:07.000Z",
        } });
        let phases = ["downloading", "verifying", "applying", "rebooting"].map(|p| block(p, "x"));
        let [download, verify, apply, reboot] = phases;
        let good = [start(), download.clone(), verify.clone(), apply.clone(), reboot, end.clone()];
        assert_eq!(broken(Pattern::TwinJob, None, &good), [""; 0]);
        for (patches, requirement) in [
            (vec![start(), block("Downloading", "")], "FW-B07"),
            (vec![start(), verify.clone()], "FW-B08"),
            (vec![start(), download.clone(), verify.clone(), download.clone()], "FW-B08"),
            (vec![start(), download.clone(), block("current", "already running")], "FW-B22"),
            (vec![start(), download.clone(), block("error", "")], "FW-B15"),
            (vec![start(), download.clone(), end], "FW-B11"),
        ] {
            let seen = broken(Pattern::TwinJob, None, &patches);
            assert!(seen.contains(&requirement), "{requirement}: {seen:?}");
        }
    }

    #[test]
    fn each_wrong_step_of_a_direct_method_update_has_its_requirement() {
        let words = Words::find("dm-patterns").unwrap();
        let at = |status: &str| {
            json!({ "iothubDM": { "firmwareUpdate": {
                "status": status, "startedDownloadingTime": "2031-02-03T04:05:06Z",
                "error": { "code": "c", "message": "m" },
            } } })
        };
        let all = |statuses: &[&str]| {
            let patches: Vec<Value> = statuses.iter().map(|status| at(status)).collect();
            broken(Pattern::DirectMethod, Some(words), &patches)
        };
        let done = "apply firmware image complete";
        for good in [
            vec!["downloading", "download complete", "applying", done, "downloading"],
            vec!["downloading", "Download image failed", "downloading"],
            vec!["downloading", "download complete", "applying", "Apply image failed"],
        ] {
            assert_eq!(all(&good), [""; 0], "{good:?}");
        }
        for (bad, requirement) in [
            (vec!["waiting"], "FW-C06"),
            (vec!["download complete"], "FW-C07"),
            (vec!["downloading", "applying"], "FW-C07"),
            (vec!["downloading", "Apply image failed"], "FW-C07"),
            (vec!["downloading", "Download image failed", "applying"], "FW-C11"),
        ] {
            assert_eq!(all(&bad), [requirement], "{bad:?}");
        }
    }

    #[test]
    fn each_wrong_step_of_a_second_direct_method_update_has_its_requirement() {
        let at = |status: &str, name: &str| json!({ "firmwareStatus": status, name: "2031-02-03 04:05:06.000001" });
        for (last, requirement) in [
            (at("standby", "logTime"), Some("FW-D04")),
            (at("applying", "startedApplyingImage"), Some("FW-D05")),
            (at("downloading", "logTime"), Some("FW-D06")),
            (json!({ "firmwareStatus": "downloading", "downloadComplete": "now" }), Some("FW-D07")),
            (at("downloading", "downloadComplete"), None),
        ] {
            let seen = broken(Pattern::DirectMethod2018, None, &[at("standBy", "logTime"), last]);
            assert_eq!(seen.first().copied(), requirement);
        }
    }
}
