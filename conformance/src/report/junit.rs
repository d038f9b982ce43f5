//! JUnit XML, for continuous integration servers.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::{CaseRecord, Report};
use crate::report::terminal;
use crate::text::counted;
use crate::verdict::Verdict;

/// The report as JUnit XML: a suite for each role and subject.
///
/// # Errors
/// When a text cannot be written as XML.
pub fn render(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let mut junit = Junit::new(format!("twinspec: {}", report.target));
    let mut names: Vec<String> = report.cases.iter().map(suite_name).collect();
    names.dedup();
    for name in names {
        let mut suite = TestSuite::new(name.clone());
        let cases = report.cases.iter().filter(|case| suite_name(case) == name);
        suite.add_test_cases(cases.map(test_case));
        junit.add_test_suite(suite);
    }
    if report.not_run > 0 {
        junit.add_test_suite(broken_off(report.not_run));
    }
    junit.to_string()
}

/// A suite that says that others are not whole: nobody shall take them for that.
fn broken_off(not_run: usize) -> TestSuite {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type("broken-off");
    status.set_message(format!("broken off: {} not run to the end", counted(not_run, "case")));
    let mut suite = TestSuite::new("twinspec");
    suite.add_test_case(TestCase::new("run", status));
    suite
}

fn suite_name(case: &CaseRecord) -> String {
    format!("{}.{}", case.role, case.subject)
}

fn test_case(case: &CaseRecord) -> TestCase {
    let mut status = match case.verdict {
        Verdict::Pass | Verdict::Note | Verdict::Warn => TestCaseStatus::success(),
        Verdict::Unsupported | Verdict::ExpectedFail => TestCaseStatus::skipped(),
        Verdict::Fail | Verdict::UnexpectedPass => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
        Verdict::Inconclusive | Verdict::Error => {
            TestCaseStatus::non_success(NonSuccessKind::Error)
        }
    };
    let details = terminal::details(case);
    if case.verdict != Verdict::Pass {
        status.set_type(case.verdict.name());
        status.set_message(case.findings.first().map_or("", |finding| finding.statement.as_str()));
        status.set_description(details.clone());
    }
    let mut test = TestCase::new(case.id.clone(), status);
    test.set_classname(suite_name(case));
    test.set_time(Duration::from_millis(case.duration_ms));
    if matches!(case.verdict, Verdict::Note | Verdict::Warn) {
        // A success has no place for text of its own.
        test.set_system_out(details);
    }
    test
}
