//! Everything a person reads, as snapshots.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use twinspec::case;
use twinspec::known::KnownFailures;
use twinspec::report::{Report, junit, terminal};
use twinspec::verdict::{Finding, Outcome, Verdict};
use twinspec_harness::trace::{Event, Recorder};
use twinspec_model::wire::mqtt::{Packet, Publish};

/// A report with one case of each kind that a person has to be told of.
fn report() -> Report {
    let recorder = Recorder::new(false);
    let topic = "$iothub/twin/GET/?$rid=0a";
    let get = recorder.message(&Packet::Publish(Publish::at_most_once(topic, " ")));
    recorder.record("device pump", Event::Sent(get));
    let topic = "$iothub/twin/res/500/?$rid=0a";
    let answer = recorder.message(&Packet::Publish(Publish::at_most_once(topic, "{}")));
    recorder.record("device pump", Event::Received(answer));
    let mut trace = recorder.records();
    trace.iter_mut().for_each(|record| record.at_us = 12_000);
    let broken = |id: &str| {
        Finding::broken(id, "status 200".to_owned(), "status 500".to_owned(), trace.len())
    };
    let outcome = |verdict, findings| Outcome {
        verdict,
        findings,
        trace: trace.clone(),
        duration: Duration::from_millis(34),
    };
    let trouble = Finding::trouble("no verdict was reached", "the link broke".to_owned(), 1);
    let outcomes = [
        outcome(Verdict::Fail, vec![broken("HUB-TWIN-001")]),
        outcome(Verdict::Warn, vec![broken("HUB-META-002")]),
        outcome(Verdict::Inconclusive, vec![trouble]),
    ];
    let cases = ["twin-get-echoes-rid", "twin-report-acknowledged-empty", "twin-throttled-429"];
    let find = |id: &str| case::all().find(|(_, case)| case.id == id).unwrap();
    let outcomes = cases.map(find).into_iter().zip(outcomes).collect();
    let report = Report::new("a hub", 42, &KnownFailures::default(), outcomes);
    Report { left_behind: vec!["twinspec-1-7".to_owned(), "twinspec-1-9".to_owned()], ..report }
}

#[test]
fn terminal_view() {
    let plain = anstream::adapter::strip_str(&terminal::render(&report())).to_string();
    insta::assert_snapshot!("terminal", plain);
}

#[test]
fn junit_view() {
    insta::assert_snapshot!("junit", junit::render(&report()).unwrap());
}

#[test]
fn json_view() {
    insta::assert_json_snapshot!("json", report(), { ".tool.version" => "[version]" });
}
