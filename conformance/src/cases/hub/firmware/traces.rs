//! What the published samples really send, bugs included (firmware-patterns.md § b.5 to d.4).

use serde_json::{Value, json};

/// One step of a trace.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A back end patches `desired.firmware`.
    Want(Value),
    /// A back end calls `firmwareUpdate`; the device answers with this status and payload.
    Call(Value, i64, Value),
    /// The device reports.
    Report(Value),
    /// The device goes and does not come back.
    Go,
}

/// What a sample sends, and what is to be recognised in it.
pub(super) struct Trace {
    /// What happens.
    pub(super) title: &'static str,
    pub(super) steps: Vec<Step>,
    /// The names of its deviations, in the order of the list.
    pub(super) deviations: &'static [&'static str],
    /// The variant of pattern (c) that it is told in.
    pub(super) spelling: Option<&'static str>,
}

use Step::{Call, Go, Report, Want};

/// All traces.
pub(super) fn all() -> Vec<Trace> {
    let mut all = twin_job();
    all.extend(direct_method());
    all.extend(direct_method_2018());
    all
}

fn block(members: &Value) -> Step {
    Report(json!({ "firmware": members }))
}

fn phase(status: &str, detail: &str) -> Step {
    block(&json!({ "fwUpdateStatus": status, "fwUpdateSubstatus": detail }))
}

fn start(version: &str) -> Step {
    block(&json!({
        "currentFwVersion": version, "pendingFwVersion": "", "fwUpdateStatus": "current",
        "fwUpdateSubstatus": "", "lastFwUpdateStartTime": "", "lastFwUpdateEndTime": "",
    }))
}

fn want(version: &str, uri: &str) -> Step {
    Want(json!({ "fwVersion": version, "fwPackageURI": uri, "fwPackageCheckValue": "c0ffee77" }))
}

fn begin(version: &str) -> [Step; 2] {
    let first = block(&json!({
        "pendingFwVersion": version, "fwUpdateStatus": "current", "fwUpdateSubstatus": "",
        "lastFwUpdateStartTime": "2031-02-03T04:05:06.000Z",
    }));
    [first, phase("downloading", "Start downloading")]
}

/// From the end of the download to the last report, which says `version`.
fn go_on(version: &str) -> [Step; 4] {
    let last = block(&json!({
        "currentFwVersion": version, "pendingFwVersion": "", "fwUpdateStatus": "current",
        "fwUpdateSubstatus": "", "lastFwUpdateEndTime": "2031-02-03T04:07:06.000Z",
    }));
    [
        phase("verifying", "Start verifying download"),
        phase("applying", "Start applying image"),
        phase("rebooting", "Start reboot"),
        last,
    ]
}

const GOOD: &str = "https://files.example/fw-9.bin";

fn twin_job() -> Vec<Trace> {
    let update = |version: &str, last: &str| {
        let steps = [start("1.0.0"), want(version, GOOD)].into_iter().chain(begin(version));
        steps.chain(go_on(last)).collect::<Vec<Step>>()
    };
    let mut hidden = vec![start("1.0.0"), want("9.1.0", GOOD)];
    hidden.extend(begin("9.1.0"));
    hidden.extend([want("9.2.0", GOOD), phase("current", "Firmware update already running")]);
    let mut unfrozen = hidden.clone();
    unfrozen.extend(go_on("9.2.0"));
    let mut overwritten = update("9.1.0", "9.1.0");
    overwritten.push(start("1.0.0"));
    let mut rolled_back = vec![start("1.0.0"), want("9.1.0", GOOD)];
    rolled_back.extend(begin("9.1.0"));
    rolled_back.extend([
        phase("verifying", "Start verifying download"),
        phase("error", "Image verification failed"),
        phase("rolledback", "Rolled back to: 1.0.0"),
    ]);
    let mut unstopped = vec![start("1.0.0"), want("9.1.0", "http://files.example/fw-9.bin")];
    unstopped.push(phase("error", "Insecure package URI"));
    unstopped.extend(begin("9.1.0"));
    let trace = |title, steps, deviations| Trace { title, steps, deviations, spelling: None };
    vec![
        trace("a success of 2018", update("9.1.0", "9.1.0"), &[]),
        trace("a request during an update", hidden, &["busy-hides-phase"]),
        trace(
            "a request during an update, to its end",
            unfrozen,
            &["busy-hides-phase", "request-not-frozen"],
        ),
        trace(
            "a patch with one member",
            vec![start("1.0.0"), Want(json!({ "fwVersion": "9.1.0" })), Go],
            &["partial-patch-ends-agent"],
        ),
        trace("a restart after a success", overwritten, &["start-overwrites-version"]),
        trace("a wrong check value", rolled_back, &["roll-back-leaves-pending"]),
        trace("an insecure address of the later form", unstopped, &["checks-do-not-stop"]),
    ]
}

fn method(root: [&str; 2], status: &str, more: &Value) -> Step {
    let mut members = more.clone();
    if let Some(members) = members.as_object_mut() {
        members.insert("status".to_owned(), json!(status));
    }
    let inner = match root {
        ["", name] => json!({ name: members }),
        [outer, name] => json!({ outer: { name: members } }),
    };
    Report(inner)
}

fn call(uri: &str, status: i64) -> Step {
    Call(json!({ "fwPackageUri": uri }), status, json!("FirmwareUpdate started"))
}

fn direct_method() -> Vec<Trace> {
    const DM: [&str; 2] = ["iothubDM", "firmwareUpdate"];
    const SN: [&str; 2] = ["", "firmwareUpdate"];
    let told = |root, statuses: &[&str]| {
        let reports = statuses.iter().map(|status| method(root, status, &json!({})));
        std::iter::once(call(GOOD, 200)).chain(reports).collect::<Vec<Step>>()
    };
    let tutorial = ["waiting", "downloading", "downloadComplete", "applying", "applyComplete"];
    let later = ["downloading", "download complete", "applying", "apply firmware image complete"];
    let failed = |root, before: &[&str], last: &str, error: Value| {
        let mut steps = told(root, before);
        steps.push(method(root, last, &json!({ "error": error })));
        steps
    };
    let mut thrown = told(DM, &["waiting", "downloading"]);
    thrown.push(Go);
    let told_all = json!({ "code": "E7", "message": "no image" });
    let mut stuck = failed(DM, &["waiting", "downloading"], "downloadFailed", told_all.clone());
    stuck.push(Call(json!(GOOD), 400, json!("busy")));
    let any = vec![call("http://files.example/fw-9.bin", 200), method(DM, "waiting", &json!({}))];
    let mixed = told(DM, &["waiting", "downloading", "waiting", "downloadComplete"]);
    let trace = |title, steps, deviations, spelling| Trace {
        title,
        steps,
        deviations,
        spelling: Some(spelling),
    };
    vec![
        trace("a success of 2016", told(DM, &tutorial), &[], "tutorial-2016"),
        trace("a success of the device patterns", told(DM, &later), &[], "dm-patterns"),
        trace("a success of the samples of 2018", told(SN, &later), &[], "samples-2018"),
        trace(
            "a failed download of the device in C",
            failed(DM, &["waiting", "downloading"], "downloadFailed", told_all),
            &[],
            "c-port",
        ),
        trace("a download that throws", thrown, &["failure-never-reported"], "tutorial-2016"),
        trace(
            "an application that fails",
            failed(
                DM,
                &["waiting", "downloading", "downloadComplete", "applying"],
                "applyFailed",
                json!({}),
            ),
            &["error-without-members"],
            "tutorial-2016",
        ),
        trace("an address without https", any, &["answers-before-it-looks"], "tutorial-2016"),
        trace("a call after a failure", stuck, &["stuck-after-failure"], "c-port"),
        trace("two calls at once", mixed, &["updates-interleave"], "tutorial-2016"),
    ]
}

fn direct_method_2018() -> Vec<Trace> {
    let report = |status: &str, companion: &str, second: u8| {
        let time = format!("2031-02-03 04:05:{second:02}.000001");
        Report(json!({ "firmwareStatus": status, companion: time }))
    };
    let call = || {
        let payload = json!({ "fwPackageUri": "files.example" });
        Call(payload, 200, json!({ "Response": "Firmware update started" }))
    };
    let run = |from: u8| {
        [
            report("downloading", "downloadComplete", from),
            report("applying", "startedApplyingImage", from + 15),
            report("completed", "lastFirmwareUpdate", from + 30),
        ]
    };
    let stand_by = || report("standBy", "logTime", 1);
    let mut success = vec![stand_by(), call()];
    success.extend(run(2));
    let mut second = success.clone();
    second.push(call());
    // Something else is reported, while the status is still that of the run before.
    second.push(Report(json!({ "temperature": 21 })));
    let mixed = vec![
        stand_by(),
        call(),
        report("downloading", "downloadComplete", 2),
        call(),
        report("applying", "startedApplyingImage", 3),
        report("downloading", "downloadComplete", 4),
    ];
    let trace = |title, steps, deviations| Trace { title, steps, deviations, spelling: None };
    vec![
        trace("a success in Python", success, &[]),
        trace("a second run in Python", second, &["completed-before-it-began"]),
        trace("two calls at once in Python", mixed, &["updates-interleave"]),
    ]
}
