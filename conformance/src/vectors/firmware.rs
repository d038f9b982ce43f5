//! Family `firmware`: what a device of an older firmware-update pattern does about one event.

use serde_json::{Map, Value, json};
use twinspec_model::firmware::direct_method::Spelling;
use twinspec_model::firmware::{Device, Failure, Input as Event, Output, Pattern, Phase};
use twinspec_model::time::Time;

use super::{Input, member, text};

/// When everything happens: 2031-02-03T04:05:06Z.
const NOW: u64 = 1_927_857_906;

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let mut device = pattern(case)?.device();
    for before in member(case, "before")?.as_array().ok_or("before is no array")? {
        handle(device.as_mut(), before)?;
    }
    let outputs = handle(device.as_mut(), member(case, "event")?)?;
    let mut reports = Vec::new();
    let mut expect = Map::new();
    for output in outputs {
        match output {
            Output::Report(patch) => reports.push(patch),
            Output::Answer { status, payload } => {
                expect.insert("answer".to_owned(), json!({ "status": status, "payload": payload }));
            }
            Output::Begin(work) => {
                let begins =
                    json!({ "phase": work.phase.name(), "uri": work.uri, "check": work.check });
                expect.insert("begins".to_owned(), begins);
            }
        }
    }
    expect.insert("reports".to_owned(), Value::Array(reports));
    expect.insert("busy".to_owned(), json!(device.is_busy()));
    Ok(Value::Object(expect))
}

fn pattern(case: &Value) -> Result<Pattern, String> {
    match (text(case, "pattern")?, member(case, "spelling")?.as_str()) {
        ("twin-job", None) => Ok(Pattern::TwinJob),
        ("direct-method-2018", None) => Ok(Pattern::DirectMethod2018),
        ("direct-method", Some(name)) => {
            let spelling = Spelling::find(name).map(Pattern::DirectMethod);
            spelling.ok_or_else(|| format!("there is no spelling {name:?}"))
        }
        other => Err(format!("there is no pattern {other:?}")),
    }
}

fn handle(device: &mut dyn Device, event: &Value) -> Result<Vec<Output>, String> {
    let json = |name| member(event, name).cloned();
    let event = match text(event, "event")? {
        "connected" => Event::Connected { desired: json("desired")?, reported: json("reported")? },
        "desired" => Event::Desired(json("patch")?),
        "called" => {
            Event::Called { name: text(event, "name")?.to_owned(), payload: json("payload")? }
        }
        "done" => Event::Done(phase(text(event, "phase")?)?, Ok(())),
        "failed" => {
            let failure = Failure {
                code: text(event, "code")?.to_owned(),
                message: text(event, "message")?.to_owned(),
            };
            Event::Done(phase(text(event, "phase")?)?, Err(failure))
        }
        other => return Err(format!("there is no event {other:?}")),
    };
    Ok(device.handle(Time::from_unix_seconds(NOW), event))
}

fn phase(name: &str) -> Result<Phase, String> {
    let phase = Phase::ALL.into_iter().find(|phase| phase.name() == name);
    phase.ok_or_else(|| format!("there is no phase {name:?}"))
}

fn done(phase: &str) -> Value {
    json!({ "event": "done", "phase": phase })
}

fn failed(phase: &str) -> Value {
    json!({ "event": "failed", "phase": phase, "code": "E7", "message": "no space" })
}

fn desired(version: &str, uri: &str) -> Value {
    let firmware =
        json!({ "fwVersion": version, "fwPackageURI": uri, "fwPackageCheckValue": "c0ffee77" });
    json!({ "event": "desired", "patch": { "firmware": firmware } })
}

fn called(name: &str, payload: &Value) -> Value {
    json!({ "event": "called", "name": name, "payload": payload })
}

fn connected(desired: &Value, reported: &Value) -> Value {
    json!({ "event": "connected", "desired": desired, "reported": reported })
}

const GOOD: &str = "https://files.example/fw-9.bin";
const INSECURE: &str = "http://files.example/fw-9.bin";

pub(super) fn open_point(_case: &Value, expect: &Value) -> Option<&'static str> {
    if expect.pointer("/answer/status") == Some(&json!(409)) {
        return Some("A-F08");
    }
    let reports = expect.get("reports")?.as_array()?.iter();
    let statuses =
        reports.filter_map(|report| report.pointer("/iothubDM/firmwareUpdate/status")?.as_str());
    let is_open = |status: &str| status.eq_ignore_ascii_case("downloadfailed");
    statuses.into_iter().any(is_open).then_some("A-F07")
}

/// Every event in every state.
pub(super) fn inputs() -> Vec<Input> {
    let mut inputs = twin_job();
    for name in ["tutorial-2016", "dm-patterns", "samples-2018", "c-port"] {
        inputs.extend(direct_method(name));
    }
    inputs.extend(direct_method_2018());
    inputs
}

/// A state: what it is called, and the events that lead to it.
type State = (&'static str, Vec<Value>);

fn twin_job() -> Vec<Input> {
    let phases = ["download", "verify", "apply", "reboot"];
    let start = || vec![connected(&json!({}), &json!({})), desired("9.1.0", GOOD)];
    let after = |count: usize| {
        let mut events = start();
        events.extend(phases.iter().take(count).map(|phase| done(phase)));
        events
    };
    let rolling_back = || {
        let mut events = start();
        events.push(failed("download"));
        events
    };
    let mut rolled_back = rolling_back();
    rolled_back.push(done("roll-back"));
    let first = || connected(&json!({}), &json!({}));
    let states: [State; 8] = [
        ("idle", vec![first()]),
        ("downloading", after(0)),
        ("verifying", after(1)),
        ("applying", after(2)),
        ("rebooting", after(3)),
        ("rolling back", rolling_back()),
        ("rolled back", rolled_back),
        ("refused", vec![first(), desired("9.1.0", INSECURE)]),
    ];
    let mut events = vec![
        ("a new version", desired("9.2.0", GOOD)),
        ("the version that runs", desired("1.0.0", GOOD)),
        ("an insecure address", desired("9.2.0", INSECURE)),
        ("the same request", desired("9.1.0", GOOD)),
        (
            "a patch with one member",
            json!({ "event": "desired", "patch": { "firmware": { "fwPackageCheckValue": "00" } } }),
        ),
        ("a patch of something else", json!({ "event": "desired", "patch": { "colour": "red" } })),
        ("a method call", called("firmwareUpdate", &json!({}))),
        ("a reconnect", first()),
    ];
    events.extend(results(&["download", "verify", "apply", "reboot", "roll-back"]));
    all("twin-job", None, &states, &events, &["FW-B08", "FW-B13", "FW-S01"])
}

fn direct_method(spelling: &'static str) -> Vec<Input> {
    let is_bare = spelling == "c-port";
    let call = |uri: &str| {
        let payload = if is_bare { json!(uri) } else { json!({ "fwPackageUri": uri }) };
        called("firmwareUpdate", &payload)
    };
    let waits = matches!(spelling, "tutorial-2016" | "c-port");
    let phases: &[&str] =
        if waits { &["wait", "download", "wait", "apply"] } else { &["download", "wait", "apply"] };
    let after = |count: usize| {
        let mut events = vec![call(GOOD)];
        events.extend(phases.iter().take(count).map(|phase| done(phase)));
        events
    };
    let mut failed_download = after(usize::from(waits));
    failed_download.push(failed("download"));
    let mut states: Vec<State> = vec![("idle", Vec::new()), ("begun", after(0))];
    states.extend(waits.then(|| ("downloading", after(1))));
    states.push(("downloaded", after(phases.len() - 2)));
    states.push(("applying", after(phases.len() - 1)));
    states.push(("complete", after(phases.len())));
    states.push(("failed to download", failed_download));
    let mut events = vec![
        ("a call", call(GOOD)),
        ("a call with an insecure address", call(INSECURE)),
        ("a call without an address", called("firmwareUpdate", &json!({}))),
        ("another method", called("reboot", &json!({}))),
        ("a reconnect with an empty twin", connected(&json!({}), &json!({}))),
        ("a desired patch", desired("9.1.0", GOOD)),
    ];
    events.extend(results(&["wait", "download", "apply"]));
    all("direct-method", Some(spelling), &states, &events, &["FW-C06", "FW-C07", "FW-C11"])
}

fn direct_method_2018() -> Vec<Input> {
    let call = || called("firmwareUpdate", &json!({ "fwPackageUri": "files.example" }));
    let after = |count: usize| {
        let mut events = vec![connected(&json!({}), &json!({})), call()];
        events.extend(["wait", "download", "apply"].iter().take(count).map(|phase| done(phase)));
        events
    };
    let states: [State; 6] = [
        ("not started", Vec::new()),
        ("standing by", vec![connected(&json!({}), &json!({}))]),
        ("called", after(0)),
        ("downloading", after(1)),
        ("applying", after(2)),
        ("completed", after(3)),
    ];
    let mut events = vec![
        ("a call", call()),
        ("another method", called("reboot", &json!({}))),
        ("a reconnect", connected(&json!({}), &json!({}))),
        ("a desired patch", desired("9.1.0", GOOD)),
    ];
    events.extend(results(&["wait", "download", "apply"]));
    all("direct-method-2018", None, &states, &events, &["FW-D04", "FW-D05"])
}

/// The end of each phase, well or not.
fn results(phases: &[&'static str]) -> Vec<(&'static str, Value)> {
    let both = |phase: &&'static str| [(*phase, done(phase)), (*phase, failed(phase))];
    phases.iter().flat_map(both).collect()
}

fn all(
    pattern: &'static str,
    spelling: Option<&'static str>,
    states: &[State],
    events: &[(&'static str, Value)],
    requirements: &[&'static str],
) -> Vec<Input> {
    let name = spelling.map_or(pattern.to_owned(), |spelling| format!("{pattern} {spelling}"));
    let mut inputs = Vec::new();
    for (state, before) in states {
        for (what, event) in events {
            let what = match event.get("event").and_then(Value::as_str) {
                Some("done") => format!("the phase {what} is done"),
                Some("failed") => format!("the phase {what} has failed"),
                _ => (*what).to_owned(),
            };
            inputs.push(Input {
                title: format!("{name}, {state}: {what}."),
                requirements: requirements.to_vec(),
                members: vec![
                    ("pattern", json!(pattern)),
                    ("spelling", json!(spelling)),
                    ("before", json!(before)),
                    ("event", event.clone()),
                ],
            });
        }
    }
    inputs
}
