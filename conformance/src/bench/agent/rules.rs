//! Rules that hold for everything an agent sends, in every case.

use std::fmt::Debug;

use serde_json::Value;

use super::AgentBench;
use super::report::Report;

impl AgentBench<'_> {
    /// Demands the rules of everything seen so far.
    pub(super) fn demand_rules(&mut self) {
        for report in self.reports(0) {
            for flaw in flaws(&report, self.generation()) {
                let seen = report.to_string();
                self.demand(flaw.requirement, false, flaw.allowed, seen);
            }
        }
    }

    /// Demands that `holds`, as [`crate::bench::Bench::demand`] does.
    pub fn demand(
        &mut self,
        requirement: &'static str,
        holds: bool,
        allowed: impl Into<String>,
        seen: impl Into<String>,
    ) -> bool {
        self.bench.demand(requirement, holds, allowed, seen)
    }

    /// Demands that `seen` equals `allowed`, as [`crate::bench::Bench::equal`] does.
    pub fn equal<T: PartialEq + Debug>(
        &mut self,
        requirement: &'static str,
        what: &str,
        allowed: T,
        seen: T,
    ) -> bool {
        self.bench.equal(requirement, what, allowed, seen)
    }

    /// Demands the rules named `requirements`, and that there is a report to which they apply.
    ///
    /// What is broken is told at the end of the case; here it counts as checked.
    pub fn rules_apply(&mut self, requirements: &[&'static str], reports: &[Report]) {
        for requirement in requirements {
            let seen = "no report that could show it";
            self.demand(requirement, !reports.is_empty(), "a report to look at", seen);
        }
    }
}

struct Flaw {
    requirement: &'static str,
    allowed: &'static str,
}

/// What is wrong with a report, whatever the case is about.
fn flaws(report: &Report, generation: u8) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let mut demand = |requirement, holds: bool, allowed| {
        if !holds {
            flaws.push(Flaw { requirement, allowed });
        }
    };
    let component = report.component();
    if !component.is_null() {
        let marked = component.get("__t").and_then(Value::as_str) == Some("c");
        demand("ADU-AGENT-002", marked, "__t is \"c\"");
    }
    let misplaced = ["state", "lastInstallResult", "installedUpdateId", "deviceProperties"];
    let is_misplaced = misplaced.iter().any(|name| report.patch.get(name).is_some());
    demand("ADU-AGENT-002", !is_misplaced, "everything about updates is under deviceUpdate");
    if let Some(ack) = report.acknowledgement() {
        demand("ADU-AGENT-031", ack.value.is_object(), "value is an object");
        demand("ADU-AGENT-035", component.get("__t").is_some(), "__t is there");
    }
    if report.is_state() {
        let known = matches!(report.state(), Some(0 | 6 | 255));
        demand("ADU-AGENT-016", known, "state is 0, 6 or 255");
        let id = report.agent().get("installedUpdateId");
        demand("ADU-AGENT-018", !id.is_some_and(Value::is_null), "installedUpdateId is not null");
        let readable = id.is_none_or(|id| id.is_null() || is_update_id(report));
        demand("ADU-AGENT-017", readable, "installedUpdateId is a string with JSON in it");
        if report.is_terminal() {
            demand("ADU-AGENT-019", report.result().is_object(), "lastInstallResult is there");
        }
        if report.result().is_object() {
            let right = results(report.result()).all(|result| has_codes(result, generation));
            let (requirement, allowed) = if generation >= 3 {
                ("ADU-AGENT-020", "extendedResultCodes matches ^[0-9A-F]{8}(,[0-9A-F]{8})*$")
            } else {
                ("ADU-AGENT-021", "extendedResultCode is a signed 32-bit integer")
            };
            demand(requirement, right, allowed);
        }
    }
    flaws
}

fn is_update_id(report: &Report) -> bool {
    let Some(Value::Object(id)) = report.installed() else { return false };
    ["provider", "name", "version"].iter().all(|name| id.get(*name).is_some_and(Value::is_string))
}

/// The result of the whole and those of the steps.
fn results(result: &Value) -> impl Iterator<Item = &Value> {
    let steps = result.get("stepResults").and_then(Value::as_object);
    let steps = steps.into_iter().flat_map(|steps| steps.values());
    std::iter::once(result).chain(steps.filter(|step| step.is_object()))
}

/// Whether the extended result code has the form of the generation; later agents send both.
fn has_codes(result: &Value, generation: u8) -> bool {
    if generation >= 3 {
        let codes = result.get("extendedResultCodes").and_then(Value::as_str);
        codes.is_some_and(|codes| codes.split(',').all(is_code))
    } else {
        let code = result.get("extendedResultCode").and_then(Value::as_i64);
        code.is_some_and(|code| i32::try_from(code).is_ok())
    }
}

fn is_code(text: &str) -> bool {
    let is_digit = |c: u8| c.is_ascii_digit() || (b'A'..=b'F').contains(&c);
    text.len() == 8 && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    fn broken(agent: &Value, generation: u8) -> Vec<&'static str> {
        let patch = json!({ "deviceUpdate": { "__t": "c", "agent": agent } });
        let report = Report { at: Instant::now(), patch, number: 0 };
        flaws(&report, generation).into_iter().map(|flaw| flaw.requirement).collect()
    }

    #[tokio::test]
    async fn a_right_report_has_no_flaw_and_each_wrong_one_its_own() {
        let right = json!({
            "state": 0,
            "workflow": { "action": 3, "id": "w" },
            "installedUpdateId": "{\"provider\":\"p\",\"name\":\"n\",\"version\":\"1.0\"}",
            "lastInstallResult": {
                "resultCode": 700, "extendedResultCodes": "00000000,A0000FFF", "resultDetails": "",
                "stepResults": { "step_0": { "resultCode": 700, "extendedResultCodes": "00000000" } },
            },
        });
        assert_eq!(broken(&right, 3), Vec::<&str>::new());
        assert_eq!(broken(&right, 2), ["ADU-AGENT-021"]);
        for (pointer, value, requirement) in [
            ("/state", json!(5), "ADU-AGENT-016"),
            ("/installedUpdateId", Value::Null, "ADU-AGENT-018"),
            ("/installedUpdateId", json!({ "provider": "p" }), "ADU-AGENT-017"),
            ("/installedUpdateId", json!("p n 1.0"), "ADU-AGENT-017"),
            ("/lastInstallResult", Value::Null, "ADU-AGENT-019"),
            ("/lastInstallResult/extendedResultCodes", json!("0"), "ADU-AGENT-020"),
            (
                "/lastInstallResult/stepResults/step_0/extendedResultCodes",
                json!("abcdef01"),
                "ADU-AGENT-020",
            ),
        ] {
            let mut wrong = right.clone();
            *wrong.pointer_mut(pointer).unwrap() = value;
            assert_eq!(broken(&wrong, 3), [requirement], "{pointer}");
        }
    }
}
