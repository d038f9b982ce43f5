//! Laws over every order of inputs, and the traces of the sources.

use std::collections::BTreeSet;

use serde_json::json;

use super::direct_method::{DirectMethodDevice, SPELLINGS};
use super::direct_method_2018::DirectMethod2018Device;
use super::twin_job::TwinJobDevice;
use super::*;

/// Inputs in a row that the search tries.
const DEPTH: usize = 9;

fn now() -> Time {
    Time::from_unix_seconds(1_900_000_000)
}

fn failure() -> Failure {
    Failure { code: "E1".to_owned(), message: "no space".to_owned() }
}

fn wanted(version: &str, uri: &str) -> Value {
    json!({ "firmware": { "fwVersion": version, "fwPackageURI": uri, "fwPackageCheckValue": "c0" } })
}

fn called(name: &str, uri: &str) -> Input {
    Input::Called { name: name.to_owned(), payload: json!({ "fwPackageUri": uri }) }
}

/// All inputs that matter.
fn inputs() -> Vec<Input> {
    let mut inputs = vec![
        Input::Connected { desired: wanted("2", "https://a/2"), reported: json!({}) },
        Input::Desired(wanted("2", "https://a/2")),
        Input::Desired(wanted("3", "https://a/3")),
        Input::Desired(wanted("1", "https://a/1")),
        Input::Desired(wanted("4", "http://a/4")),
        Input::Desired(json!({ "firmware": { "fwPackageCheckValue": "c1" } })),
        called("firmwareUpdate", "https://a/2"),
        called("firmwareUpdate", "http://a/2"),
        called("reboot", "https://a/2"),
    ];
    for phase in Phase::ALL {
        inputs.push(Input::Done(phase, Ok(())));
        inputs.push(Input::Done(phase, Err(failure())));
    }
    inputs
}

/// Every state that can be reached, with `check` on every step.
fn explore<D: Device + Clone + std::fmt::Debug>(
    first: D,
    check: impl Fn(&D, &Input, &[Output], &D),
) -> Vec<D> {
    let mut seen = BTreeSet::from([format!("{first:?}")]);
    let mut all = vec![first.clone()];
    let mut front = vec![first];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for device in &front {
            for input in inputs() {
                let mut after = device.clone();
                let outputs = after.handle(now(), input.clone());
                check(device, &input, &outputs, &after);
                if seen.insert(format!("{after:?}")) {
                    all.push(after.clone());
                    next.push(after);
                }
            }
        }
        front = next;
    }
    all
}

/// Work begins exactly when the device becomes or stays busy through it.
fn check_work<D: Device>(before: &D, input: &Input, outputs: &[Output], after: &D) {
    let begun = outputs.iter().filter(|output| matches!(output, Output::Begin(_))).count();
    assert!(begun <= 1, "{outputs:?}");
    assert!(begun == 0 || after.is_busy(), "{outputs:?}");
    let is_done = matches!(input, Input::Done(..));
    assert!(!before.is_busy() || is_done || begun == 0, "a second attempt: {input:?} {outputs:?}");
    let answers = outputs.iter().filter(|output| matches!(output, Output::Answer { .. })).count();
    assert_eq!(answers, usize::from(matches!(input, Input::Called { .. })));
}

/// From every state the attempt ends when every phase goes on, well or badly.
fn check_end<D: Device + Clone>(device: &D, result: &Result<(), Failure>) {
    let mut device = device.clone();
    for _ in 0..2 * Phase::ALL.len() {
        for phase in Phase::ALL {
            device.handle(now(), Input::Done(phase, result.clone()));
        }
    }
    assert!(!device.is_busy());
}

#[test]
fn twin_job_devices_keep_the_laws_in_every_order() {
    let states = explore(TwinJobDevice::new("1"), |before, input, outputs, after| {
        check_work(before, input, outputs, after);
        // The version changes with the last report of a success and at no other time.
        if before.version() != after.version() {
            assert_eq!(*input, Input::Done(Phase::Reboot, Ok(())));
            assert!(!after.is_busy());
        }
    });
    for state in &states {
        check_end(state, &Ok(()));
        check_end(state, &Err(failure()));
    }
    for status in twin_job::Status::ALL {
        assert!(states.iter().any(|state| state.status() == status), "{status:?}");
    }
}

#[test]
fn direct_method_devices_keep_the_laws_in_every_order() {
    for spelling in &SPELLINGS {
        let states = explore(DirectMethodDevice::new(spelling), |before, input, outputs, after| {
            check_work(before, input, outputs, after);
            let path = format!("/{}/status", spelling.root.join("/"));
            let mut last = None;
            for output in outputs {
                if let Output::Report(report) = output {
                    let status = report.pointer(&path).and_then(Value::as_str).unwrap();
                    assert!(spelling.statuses().contains(&status), "{status}");
                    last = Some(spelling.is_terminal(status));
                }
            }
            // Without a word for the end, the last status stays when the work ends.
            if let Some(is_end) = last.filter(|_| spelling.applied.is_some()) {
                assert_eq!(is_end, !after.is_busy());
            }
        });
        states.iter().for_each(|state| check_end(state, &Ok(())));
        states.iter().for_each(|state| check_end(state, &Err(failure())));
    }
    for state in explore(DirectMethod2018Device::new(), check_work) {
        check_end(&state, &Ok(()));
        check_end(&state, &Err(failure()));
    }
}

/// The reports of a run in which every phase goes well but `bad`.
fn reports(device: &mut dyn Device, first: Input, bad: Option<Phase>) -> Vec<Value> {
    let mut outputs = device.handle(now(), first);
    let mut reports = Vec::new();
    while !outputs.is_empty() {
        let mut begun = None;
        for output in std::mem::take(&mut outputs) {
            match output {
                Output::Report(report) => reports.push(report),
                Output::Begin(work) => begun = Some(work.phase),
                Output::Answer { .. } => {}
            }
        }
        if let Some(phase) = begun {
            let result = if bad == Some(phase) { Err(failure()) } else { Ok(()) };
            outputs = device.handle(now(), Input::Done(phase, result));
        }
    }
    reports
}

fn members(reports: &[Value], pointer: &str) -> Vec<String> {
    let text = |value: &Value| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    reports.iter().filter_map(text).collect()
}

#[test]
fn a_twin_job_update_reports_the_ten_rows_of_the_trace() {
    let mut device = TwinJobDevice::new("1.0.0");
    let reports =
        reports(&mut device, Input::Desired(wanted("9.1.0", "https://files.example/fw")), None);
    let rows: Vec<String> = members(&reports, "/firmware/fwUpdateStatus")
        .into_iter()
        .zip(members(&reports, "/firmware/fwUpdateSubstatus"))
        .map(|(status, detail)| format!("{status} / {detail}"))
        .collect();
    assert_eq!(
        rows,
        [
            "current / ",
            "downloading / Start downloading",
            "downloading / Finished downloading",
            "verifying / Start verifying download",
            "verifying / Finished verifying download",
            "applying / Start applying image",
            "applying / Finished applying image",
            "rebooting / Start reboot",
            "rebooting / Finished reboot",
            "current / ",
        ]
    );
    assert_eq!(reports[0]["firmware"]["pendingFwVersion"], "9.1.0");
    assert_eq!(reports[9]["firmware"]["currentFwVersion"], "9.1.0");
    assert_eq!(reports[9]["firmware"]["pendingFwVersion"], "");
}

#[test]
fn a_failing_phase_leads_to_error_and_rolled_back() {
    let mut device = TwinJobDevice::new("1.0.0");
    let wanted = Input::Desired(wanted("9.1.0", "https://files.example/fw"));
    let reports = reports(&mut device, wanted, Some(Phase::Verify));
    let statuses = members(&reports, "/firmware/fwUpdateStatus");
    assert_eq!(statuses[statuses.len() - 3..], ["verifying", "error", "rolledback"]);
    let details = members(&reports, "/firmware/fwUpdateSubstatus");
    assert_eq!(details[details.len() - 2..], ["no space", "Rolled back to: 1.0.0"]);
    assert_eq!(device.version(), "1.0.0");
}

#[test]
fn the_tutorial_of_2016_spells_as_it_did() {
    let mut device = DirectMethodDevice::new(&SPELLINGS[0]);
    let call = || called("firmwareUpdate", "https://files.example/fw");
    let status = "/iothubDM/firmwareUpdate/status";
    assert_eq!(
        members(&reports(&mut device, call(), None), status),
        ["waiting", "downloading", "downloadComplete", "applying", "applyComplete"]
    );
    assert_eq!(
        members(&reports(&mut device, call(), Some(Phase::Download)), status),
        ["waiting", "downloading", "downloadfailed"]
    );
    let failed = reports(&mut device, call(), Some(Phase::Apply));
    assert_eq!(members(&failed, status).last().map(String::as_str), Some("applyFailed"));
    let error = failed.last().and_then(|report| report.pointer("/iothubDM/firmwareUpdate/error"));
    assert_eq!(error, Some(&json!({ "code": "E1", "message": "no space" })));
}

#[test]
fn the_tutorial_of_2018_stamps_each_status_with_its_companion() {
    let mut device = DirectMethod2018Device::new();
    let reports = reports(&mut device, called("firmwareUpdate", "files.example"), None);
    let time = "2030-03-17 17:46:40.000000";
    assert_eq!(
        reports,
        [
            json!({ "firmwareStatus": "downloading", "downloadComplete": time }),
            json!({ "firmwareStatus": "applying", "startedApplyingImage": time }),
            json!({ "firmwareStatus": "completed", "lastFirmwareUpdate": time }),
        ]
    );
}

#[test]
fn a_tutorial_device_of_2016_accepts_any_address_and_fails_to_fetch_it() {
    let mut device = DirectMethodDevice::new(&SPELLINGS[0]);
    let answer = device.handle(now(), called("firmwareUpdate", "http://files.example/fw"));
    assert!(matches!(answer.first(), Some(Output::Answer { status: 200, .. })), "{answer:?}");
    let failed = device.handle(now(), Input::Done(Phase::Wait, Ok(())));
    let Some(Output::Report(report)) = failed.last() else { panic!("{failed:?}") };
    assert_eq!(report["iothubDM"]["firmwareUpdate"]["status"], "downloadfailed");
    assert!(!device.is_busy());
}

#[test]
fn a_later_device_refuses_an_insecure_address_and_reports_nothing() {
    let mut device = DirectMethodDevice::new(&SPELLINGS[1]);
    let outputs = device.handle(now(), called("firmwareUpdate", "http://files.example/fw"));
    let payload = json!("Invalid URL format.  Must use https:// protocol.");
    assert_eq!(outputs, [Output::Answer { status: 400, payload }]);
}

#[test]
fn what_was_said_while_offline_is_said_again_after_the_reconnect() {
    let mut method = DirectMethodDevice::new(&SPELLINGS[0]);
    let mut second = DirectMethod2018Device::new();
    for device in [&mut method as &mut dyn Device, &mut second] {
        device.handle(now(), Input::Connected { desired: json!({}), reported: json!({}) });
        reports(device, called("firmwareUpdate", "https://files.example/fw"), None);
        let outputs =
            device.handle(now(), Input::Connected { desired: json!({}), reported: json!({}) });
        let [Output::Report(report)] = outputs.as_slice() else { panic!("{outputs:?}") };
        let end =
            report.pointer("/iothubDM/firmwareUpdate/status").or(report.get("firmwareStatus"));
        let end = end.and_then(Value::as_str);
        assert!(matches!(end, Some("applyComplete" | "completed")), "{report}");
    }
}

#[test]
fn a_restarted_device_knows_its_version_from_the_twin() {
    let mut device = TwinJobDevice::new("1.0.0");
    let reported = json!({ "firmware": { "currentFwVersion": "9.1.0" } });
    let desired = wanted("9.1.0", "https://files.example/fw");
    let outputs = device.handle(now(), Input::Connected { desired, reported });
    let [Output::Report(block)] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!(block["firmware"]["currentFwVersion"], "9.1.0");
    assert!(!device.is_busy());
}
