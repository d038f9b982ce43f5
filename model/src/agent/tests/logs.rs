//! Uploads of logs (device-update-agent.md § 10.2).

use serde_json::{Value, json};

use super::world::{now, settings};
use crate::agent::{Agent, Generation, Input, Output, Persisted, Upload};

/// Gives the agent an input, answers all it reports, and returns reports and other wishes.
fn handle(agent: &mut Agent, input: Input) -> (Vec<Value>, Vec<Output>) {
    let (mut reports, mut wishes, mut inputs) = (Vec::new(), Vec::new(), vec![input]);
    while let Some(input) = inputs.pop() {
        for output in agent.handle(input, now()) {
            match output {
                Output::Send { report, patch } => {
                    inputs.push(Input::Answered { report, status: 204 });
                    reports.extend(patch.get("diagnosticInformation").cloned());
                }
                Output::Persist(_) | Output::ReadTwin => {}
                wish => wishes.push(wish),
            }
        }
    }
    (reports, wishes)
}

fn agent(persisted: Persisted) -> Agent {
    let mut agent = Agent::new(settings(Generation::Three), persisted);
    handle(&mut agent, Input::Connected);
    agent
}

fn request(version: u64, operation: Value, url: Value) -> Input {
    let service = json!({ "operationId": operation, "storageSasUrl": url });
    let component = json!({ "__t": "c", "service": service });
    Input::Patch(json!({ "diagnosticInformation": component, "$version": version }))
}

#[test]
fn a_request_is_acknowledged_without_its_secret_and_answered() {
    let mut agent = agent(Persisted::default());
    let (reports, wishes) = handle(&mut agent, request(2, json!("op"), json!("https://s/c?sig=x")));
    let value = json!({ "operationId": "op" });
    let service = json!({ "value": value, "ac": 200, "ad": "", "av": 2 });
    assert_eq!(reports, [json!({ "__t": "c", "service": service })]);
    let (job, operation, url) = (1, "op".to_owned(), "https://s/c?sig=x".to_owned());
    assert_eq!(wishes, [Output::Upload { job, operation, url }]);
    let uploaded = Input::Uploaded { job: 1, upload: Upload::Done };
    let (reports, _) = handle(&mut agent, uploaded);
    let result = json!({ "resultCode": 200, "operationId": "op" });
    assert_eq!(reports, [json!({ "__t": "c", "agent": result })]);
}

#[test]
fn a_request_that_came_before_is_acknowledged_only_also_after_a_restart() {
    let mut first = agent(Persisted::default());
    handle(&mut first, request(2, json!("op"), json!("https://s/c")));
    let (_, wishes) = handle(&mut first, request(3, json!("op"), json!("https://s/c")));
    assert!(wishes.is_empty());
    handle(&mut first, Input::Uploaded { job: 1, upload: Upload::Failed });
    let mut second = agent(first.persisted().clone());
    let (reports, wishes) = handle(&mut second, request(4, json!("op"), json!("https://s/c")));
    assert_eq!((reports.len(), wishes.len()), (1, 0));
}

#[test]
fn what_is_missing_is_said() {
    for (operation, url, code, named) in [
        (json!(null), json!("https://s/c"), -6, ""),
        (json!(""), json!("https://s/c"), -6, ""),
        (json!("op"), json!(null), -7, "op"),
    ] {
        let mut agent = agent(Persisted::default());
        let (reports, wishes) = handle(&mut agent, request(2, operation, url));
        assert!(wishes.is_empty());
        let expected = json!({ "resultCode": code, "operationId": named });
        assert_eq!(reports[1]["agent"], expected);
    }
}
