//! The judge itself: it takes a faultless history, and finds each fault.

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::deployment::{Deployment, Force, Kind};
use crate::judge::{Fate, Report, flaws, parse};

/// Lines, reports, and a word of the flaw that is to be found; none when there is none.
type Example = (&'static str, &'static str, &'static [Fate], Vec<Report>, Option<&'static str>);

const GOOD: &str = "w 0 0 is-installed begin\nw 0 0 is-installed end 901\n\
    w 0 0 download begin\nw 0 0 download end 500\nw 0 0 install begin\nw 0 0 install end 600\n\
    w 0 0 apply begin\nw 0 0 apply end 700\n";

/// Killed in apply, with all it had started, and run again.
const AGAIN: &str = "w 0 0 download begin\nw 0 0 download end 500\nw 0 0 install begin\n\
    w 0 0 install end 600\nw 0 0 apply begin\nw 0 1 download begin\nw 0 1 download end 500\n\
    w 0 1 install begin\nw 0 1 install end 600\nw 0 1 apply begin\nw 0 1 apply end 700\n";

/// Installed a second time after it was in force.
const TWICE: &str = "w 0 0 download begin\nw 0 0 download end 500\nw 0 0 install begin\n\
    w 0 0 install end 600\nw 0 0 apply begin\nw 0 0 apply end 700\nw 0 1 download begin\n\
    w 0 1 download end 500\nw 0 1 install begin\nw 0 1 install end 600\n";

const UNAPPLIED: &str = "w 0 0 download begin\nw 0 0 download end 500\nw 0 0 install begin\n\
    w 0 0 install end 600\n";

const CORRUPT: &str = "w 0 0 install begin\nw 0 0 install corrupt\nw 0 0 install end 600\n";

const UNPREPARED: &str = "w 0 0 install begin\nw 0 0 install end 600\n";

fn deployment() -> Deployment {
    Deployment {
        workflow: "w".to_owned(),
        kind: Kind::AtApply,
        update: json!({ "provider": "p", "name": "n", "version": "1" }),
        steps: vec![Force::Apply],
        manifest: String::new(),
    }
}

fn progress() -> Report {
    Report { agent: json!({ "state": 6, "workflow": { "id": "w" } }), lines: 0 }
}

fn success(lines: usize) -> Report {
    let result = json!({ "resultCode": 700, "extendedResultCodes": "00000000,A0000FFF" });
    let mut agent = json!({
        "state": 0,
        "workflow": { "id": "w" },
        "installedUpdateId": "{\"provider\":\"p\",\"name\":\"n\",\"version\":\"1\"}",
        "lastInstallResult": result,
    });
    agent["lastInstallResult"]["stepResults"] = json!({ "step_0": { "resultCode": 700 } });
    Report { agent, lines }
}

fn failure() -> Report {
    let mut report = success(8);
    report.agent["state"] = json!(255);
    report.agent["installedUpdateId"] = Value::Null;
    report
}

pub(crate) fn trials() -> Vec<Trial> {
    use Fate::{Alone, Own, Together};
    let lived: &[Fate] = &[Own, Own];
    let examples: [Example; 13] = [
        ("a_good_run_is_good", GOOD, lived, vec![progress(), success(8)], None),
        ("a_report_may_come_again", GOOD, lived, vec![success(8), success(8)], None),
        ("a_killed_run_may_be_repeated", AGAIN, &[Together, Own], vec![success(11)], None),
        ("two_at_once", AGAIN, &[Alone, Own], vec![success(11)], Some("while there runs")),
        ("installed_twice", TWICE, lived, vec![success(10)], Some("installed already")),
        ("run_after_the_end", TWICE, lived, vec![success(6)], Some("after its end")),
        ("a_lie", UNAPPLIED, lived, vec![success(4)], Some("not installed")),
        ("an_early_success", GOOD, lived, vec![success(7)], Some("not installed")),
        ("a_corrupt_file", CORRUPT, lived, vec![success(3)], Some("what the manifest says")),
        ("an_unprepared_install", UNPREPARED, lived, vec![success(2)], Some("not downloaded")),
        ("no_end", GOOD, lived, vec![progress()], Some("no end")),
        ("back_to_progress", GOOD, lived, vec![success(8), progress()], Some("after {")),
        ("another_end", GOOD, lived, vec![failure()], Some("wanted state 0")),
    ];
    let trial = |(name, log, lives, reports, expected): Example| {
        Trial::test(format!("judge::{name}"), move || {
            let lines = parse(log)?;
            check(&flaws(&[deployment()], &lines, &reports, lives), expected)
        })
    };
    examples.into_iter().map(trial).collect()
}

fn check(flaws: &[String], expected: Option<&str>) -> Result<(), Failed> {
    let holds = match expected {
        None => flaws.is_empty(),
        Some(word) => flaws.iter().any(|flaw| flaw.contains(word)),
    };
    if holds { Ok(()) } else { Err(format!("expected {expected:?}, found {flaws:#?}").into()) }
}
