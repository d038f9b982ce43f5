//! The agent of the preview, over all orders of commands (device-update-agent.md § 8).

use serde_json::{Value, json};

use crate::agent::preview::{Command, Effect, Event, Preview, State};
use crate::agent::{Outcome, Phase};
use crate::update::UpdateId;

fn preview() -> Preview {
    let id = r#"{"provider":"Fabrikam","name":"Lathe","version":"4.2"}"#;
    Preview::new(UpdateId::parse(id).unwrap())
}

fn ended(code: i32) -> Event {
    Event::Ended(Outcome::of(code))
}

fn report(effects: &[Effect]) -> Value {
    match effects {
        [Effect::Report(patch)] => patch["azureDeviceUpdateAgent"]["client"].clone(),
        _ => Value::Null,
    }
}

#[test]
fn three_commands_lead_to_the_installed_update() {
    let mut agent = preview();
    let steps = [
        (Command::Download, Phase::Download, 500, 2),
        (Command::Install, Phase::Install, 600, 4),
        (Command::Apply, Phase::Apply, 700, 0),
    ];
    for (command, phase, code, state) in steps {
        assert_eq!(agent.handle(&Event::Command(command)), [Effect::Start(phase)]);
        assert_eq!(agent.handle(&Event::Command(command)), []);
        let client = report(&agent.handle(&ended(code)));
        let numbers = [&client["state"], &client["resultCode"], &client["extendedResultCode"]];
        assert_eq!(numbers, [&json!(state), &json!(code), &json!(0)]);
        let installed = client.get("installedUpdateId");
        assert_eq!(installed.is_some(), phase == Phase::Apply);
        if phase != Phase::Apply {
            assert_eq!(agent.handle(&Event::Command(command)), []);
        }
    }
}

#[test]
fn a_failure_waits_for_a_cancel() {
    let mut agent = preview();
    agent.handle(&Event::Command(Command::Download));
    let failure = Event::Ended(Outcome::failure(0x8030_0001, "no"));
    let client = report(&agent.handle(&failure));
    assert_eq!(
        client,
        json!({ "state": 255, "resultCode": 0, "extendedResultCode": -2_144_337_919 })
    );
    let client = report(&agent.handle(&Event::Command(Command::Cancel)));
    assert_eq!(client["state"], 0);
    assert_eq!(agent.handle(&Event::Command(Command::Cancel)), []);
}

#[test]
fn a_cancel_stops_what_runs_and_leads_to_idle() {
    let mut agent = preview();
    agent.handle(&Event::Command(Command::Download));
    assert_eq!(agent.handle(&Event::Command(Command::Cancel)), [Effect::Cancel]);
    assert_eq!(agent.handle(&Event::Command(Command::Cancel)), []);
    let client = report(&agent.handle(&ended(-1)));
    assert_eq!(client, json!({ "state": 0, "resultCode": -1, "extendedResultCode": 0 }));
}

#[test]
fn an_action_out_of_order_runs_nothing() {
    for command in [Command::Install, Command::Apply] {
        let mut agent = preview();
        let effects = agent.handle(&Event::Command(command));
        assert_eq!(report(&effects)["state"], 255);
        assert_eq!(report(&effects)["extendedResultCode"], 0x2000_0001);
    }
}

#[test]
fn actions_are_read_from_their_numbers() {
    for (action, command) in [
        (json!(0), Some(Command::Download)),
        (json!(1), Some(Command::Install)),
        (json!(2), Some(Command::Apply)),
        (json!(255), Some(Command::Cancel)),
        (json!(3), None),
        (json!("0"), None),
    ] {
        assert_eq!(Command::read(&json!({ "action": action })), command);
    }
}

/// All orders of up to seven events: the states on the wire are the documented ones, one phase runs
/// at a time, and success is reported of an apply that succeeded only.
#[test]
fn every_order_of_events_keeps_to_the_wire_states() {
    let events = [
        Event::Command(Command::Download),
        Event::Command(Command::Install),
        Event::Command(Command::Apply),
        Event::Command(Command::Cancel),
        ended(700),
        ended(0),
    ];
    let mut states = vec![(preview(), false)];
    for _ in 0..7 {
        let mut next = Vec::new();
        for (agent, runs) in &states {
            for event in &events {
                if matches!(event, Event::Ended(_)) && !runs {
                    continue;
                }
                let mut agent = agent.clone();
                let before = agent.state();
                let effects = agent.handle(event);
                let mut runs = *runs && !matches!(event, Event::Ended(_));
                for effect in &effects {
                    if let Effect::Start(_) = effect {
                        assert!(!runs, "two phases at once");
                        runs = true;
                    }
                }
                check(&report(&effects), before, event);
                next.push((agent, runs));
            }
        }
        states = next;
    }
    assert!(states.len() > 10_000, "{}", states.len());
}

fn check(client: &Value, before: State, event: &Event) {
    if client.is_null() {
        return;
    }
    assert!([json!(0), json!(2), json!(4), json!(255)].contains(&client["state"]), "{client}");
    if client.get("installedUpdateId").is_some() {
        assert_eq!((before, event), (State::ApplyStarted, &ended(700)));
        assert_eq!(client["state"], 0);
    }
}
