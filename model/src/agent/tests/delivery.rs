//! Reports reach the hub, whatever it answers (device-update-agent.md § 9).

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{deploy, now, settings, simple};
use crate::agent::{Agent, Generation, Input, Outcome, Output, Persisted, Validation};
use crate::time::Time;

fn sent(outputs: &[Output]) -> Option<(u64, Value)> {
    outputs.iter().find_map(|output| match output {
        Output::Send { report, patch } => Some((*report, patch.clone())),
        _ => None,
    })
}

/// An agent whose startup messages were taken and that was given a deployment it refuses; the
/// report of that is under way.
fn refusing() -> (Agent, u64) {
    let mut agent = Agent::new(settings(Generation::Two), Persisted::default());
    agent.handle(Input::Connected, now());
    let mut next = Some(1);
    while let Some(report) = next {
        let outputs = agent.handle(Input::Answered { report, status: 204 }, now());
        next = sent(&outputs).map(|(report, _)| report);
    }
    let service = json!({ "service": deploy("a", &simple("a")) });
    let patch = json!({ "deviceUpdate": service, "$version": 2 });
    agent.handle(Input::Patch(patch), now());
    let validation = Box::new(Validation::refused(Outcome::failure(0x8030_0001, "no")));
    let outputs = agent.handle(Input::Validated { job: 1, validation }, now());
    let (report, patch) = sent(&outputs).unwrap();
    assert_eq!(patch["deviceUpdate"]["agent"]["state"], 255);
    (agent, report)
}

fn later(seconds: u64) -> Time {
    now().after(Duration::from_secs(seconds))
}

#[test]
fn a_throttled_report_is_sent_again_after_a_pause_and_in_order() {
    for status in [429, 500, 503] {
        let (mut agent, report) = refusing();
        assert!(sent(&agent.handle(Input::Answered { report, status }, now())).is_none());
        assert_eq!(agent.next_deadline(), Some(later(31)));
        assert!(sent(&agent.handle(Input::Tick, later(30))).is_none());
        let (again, _) = sent(&agent.handle(Input::Tick, later(31))).unwrap();
        assert_eq!(again, report);
        let outputs = agent.handle(Input::Answered { report, status: 204 }, later(31));
        let (_, patch) = sent(&outputs).unwrap();
        assert_eq!(patch["deviceUpdate"]["service"]["ac"], 406);
    }
}

#[test]
fn a_refused_report_lets_others_pass_and_is_tried_again() {
    for status in [400, 413] {
        let (mut agent, report) = refusing();
        let outputs = agent.handle(Input::Answered { report, status }, now());
        let (acknowledgement, patch) = sent(&outputs).unwrap();
        assert_eq!(patch["deviceUpdate"]["service"]["ac"], 406);
        agent.handle(Input::Answered { report: acknowledgement, status: 204 }, now());
        let (again, _) = sent(&agent.handle(Input::Tick, later(31))).unwrap();
        assert_eq!(again, report);
        agent.handle(Input::Answered { report, status }, later(31));
        // The pause doubles.
        assert_eq!(agent.next_deadline(), Some(later(31 + 62)));
    }
}

#[test]
fn a_report_that_is_refused_for_ever_is_given_up() {
    let (mut agent, report) = refusing();
    let mut at = now();
    for _ in 0..12 {
        let outputs = agent.handle(Input::Answered { report, status: 400 }, at);
        if let Some((report, _)) = sent(&outputs) {
            agent.handle(Input::Answered { report, status: 204 }, at);
        }
        at = at.after(Duration::from_secs(100_000));
        agent.handle(Input::Tick, at);
    }
    assert!(agent.persisted().outbox.is_empty());
    assert_eq!(agent.next_deadline(), None);
}

#[test]
fn a_report_without_answer_is_sent_again() {
    let (mut agent, report) = refusing();
    assert_eq!(agent.next_deadline(), Some(later(30)));
    assert!(sent(&agent.handle(Input::Tick, later(29))).is_none());
    assert_eq!(sent(&agent.handle(Input::Tick, later(30))).unwrap().0, report);
}

#[test]
fn what_was_not_answered_is_sent_on_the_next_connection() {
    let (mut agent, report) = refusing();
    agent.handle(Input::Disconnected, now());
    assert_eq!(agent.next_deadline(), None);
    // An answer of the old connection counts for nothing.
    agent.handle(Input::Answered { report, status: 204 }, now());
    let outputs = agent.handle(Input::Connected, now());
    assert_eq!(sent(&outputs).unwrap().0, report);
}

#[test]
fn what_was_not_answered_survives_a_kill_and_is_in_safety_before_it_is_sent() {
    let (agent, report) = refusing();
    let mut next = Agent::new(settings(Generation::Two), agent.persisted().clone());
    let outputs = next.handle(Input::Connected, now());
    assert_eq!(sent(&outputs).unwrap().0, report);
    assert!(matches!(outputs.first(), Some(Output::Persist(_))));
}

#[test]
fn startup_messages_are_made_anew_for_each_connection() {
    let mut agent = Agent::new(settings(Generation::Two), Persisted::default());
    for _ in 0..3 {
        agent.handle(Input::Connected, now());
        agent.handle(Input::Disconnected, now());
    }
    assert_eq!(agent.persisted().outbox.reports().len(), 2);
}
