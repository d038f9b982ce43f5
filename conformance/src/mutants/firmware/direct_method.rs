//! Defects of devices of pattern (c).

use serde_json::{Value, json};
use twinspec_model::firmware::{Input, Output, Phase};

use super::lay::{
    laid, on_input, on_report, remove, replace, silent_after_reconnect, stops_half_way, text,
};
use super::{Device, DeviceMutant, method};

const STATUS: &str = "/iothubDM/firmwareUpdate/status";

const fn mutant(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    spelling: &'static str,
    lay: fn(Device) -> Device,
) -> DeviceMutant {
    DeviceMutant { id, title, requirements, kind: method(spelling), lay }
}

pub(super) const MUTANTS: &[DeviceMutant] = &[
    mutant(
        "firmware-c-looks-first",
        "The device of the tutorial refuses an address before it answers 200",
        &["FW-C04"],
        "tutorial-2016",
        |d| answering(d, "http://files.example/fw-9.bin", 400, "no"),
    ),
    mutant(
        "firmware-c-takes-http",
        "A later device takes an address without https",
        &["FW-C05"],
        "dm-patterns",
        |d| {
            on_input(d, |input| {
                if let Input::Called { payload, .. } = input {
                    let old = text(payload, "/fwPackageUri").to_owned();
                    let new = old.replace("http://", "https://");
                    replace(payload, "/fwPackageUri", &old, &new);
                }
                true
            })
        },
    ),
    mutant(
        "firmware-c-reports-refusal",
        "A refused call is reported",
        &["FW-C05"],
        "samples-2018",
        |d| {
            laid(d, (), |inner, (), now, input| {
                let mut outputs = inner.handle(now, input);
                if matches!(outputs.first(), Some(Output::Answer { status: 400, .. })) {
                    let status = "download image failed";
                    let error = json!({ "code": "Uri", "message": "no https" });
                    let members = json!({ "status": status, "error": error });
                    outputs.push(Output::Report(json!({ "firmwareUpdate": members })));
                }
                outputs
            })
        },
    ),
    mutant(
        "firmware-c-foreign-word",
        "The first status is called queued",
        &["FW-C06"],
        "tutorial-2016",
        |d| {
            on_report(d, |patch| {
                replace(patch, STATUS, "waiting", "queued");
                true
            })
        },
    ),
    mutant(
        "firmware-c-other-spelling",
        "The download is told in the words of another variant",
        &["FW-C06"],
        "dm-patterns",
        |d| {
            on_report(d, |patch| {
                replace(patch, STATUS, "download complete", "downloadComplete");
                true
            })
        },
    ),
    mutant(
        "firmware-c-skips-download-complete",
        "The end of the download is not told",
        &["FW-C07"],
        "tutorial-2016",
        |d| on_report(d, |patch| text(patch, STATUS) != "downloadComplete"),
    ),
    mutant(
        "firmware-c-failure-capitals",
        "A failed download is called downloadFailed",
        &["FW-C08"],
        "tutorial-2016",
        |d| {
            on_report(d, |patch| {
                replace(patch, STATUS, "downloadfailed", "downloadFailed");
                true
            })
        },
    ),
    mutant(
        "firmware-c-empty-error",
        "A failure comes with an empty error",
        &["FW-C09"],
        "tutorial-2016",
        |d| {
            on_report(d, |patch| {
                if let Some(error) = patch.pointer_mut("/iothubDM/firmwareUpdate/error")
                    && error.is_object()
                {
                    *error = json!({});
                }
                true
            })
        },
    ),
    mutant(
        "firmware-c-no-time",
        "The start of the application has no time",
        &["FW-C10"],
        "tutorial-2016",
        |d| {
            on_report(d, |patch| {
                remove(patch, "/iothubDM/firmwareUpdate/startedApplyingImage");
                true
            })
        },
    ),
    mutant("firmware-c-local-time", "Times have no zone", &["FW-C10"], "tutorial-2016", |d| {
        on_report(d, |patch| {
            let pointer = "/iothubDM/firmwareUpdate/lastFirmwareUpdate";
            let old = text(patch, pointer).to_owned();
            replace(patch, pointer, &old, old.trim_end_matches('Z'));
            true
        })
    }),
    mutant(
        "firmware-c-goes-on",
        "After a failed download the image is applied",
        &["FW-C11"],
        "tutorial-2016",
        goes_on,
    ),
    mutant(
        "firmware-c-interleaves",
        "A second call during an update starts a second one",
        &["FW-C12"],
        "tutorial-2016",
        interleaves,
    ),
    mutant(
        "firmware-c-port-takes-nothing",
        "The device in C takes an empty address",
        &["FW-C13"],
        "c-port",
        |d| answering(d, "", 200, "FirmwareUpdate started"),
    ),
    mutant(
        "firmware-c-port-takes-any-method",
        "The device in C takes any method",
        &["FW-C13"],
        "c-port",
        |d| {
            laid(d, (), |inner, (), now, input| match input {
                Input::Called { name, .. } if name != "firmwareUpdate" => {
                    vec![Output::Answer { status: 200, payload: Value::Null }]
                }
                input => inner.handle(now, input),
            })
        },
    ),
    mutant(
        "firmware-c-stops-half-way",
        "An update never ends",
        &["FW-S01"],
        "tutorial-2016",
        stops_half_way,
    ),
    mutant(
        "firmware-c-stuck-after-failure",
        "After a failed download every call is refused as if it were still under way",
        &["FW-S01"],
        "tutorial-2016",
        |d| {
            laid(d, false, |inner, stuck, now, input| {
                if *stuck && matches!(input, Input::Called { .. }) {
                    let payload = json!("Firmware update already running");
                    return vec![Output::Answer { status: 409, payload }];
                }
                *stuck |= matches!(input, Input::Done(Phase::Download, Err(_)));
                inner.handle(now, input)
            })
        },
    ),
    mutant(
        "firmware-c-silent-after-reconnect",
        "What happened during an outage is never told",
        &["FW-S04"],
        "samples-2018",
        silent_after_reconnect,
    ),
];

/// A device that answers calls with the address `uri` without doing anything.
fn answering(device: Device, uri: &'static str, status: i64, said: &'static str) -> Device {
    laid(device, (), move |inner, (), now, input| {
        if let Input::Called { name, payload } = &input {
            let seen = payload.get("fwPackageUri").unwrap_or(payload).as_str();
            if name == "firmwareUpdate" && seen == Some(uri) {
                return vec![Output::Answer { status, payload: json!(said) }];
            }
        }
        inner.handle(now, input)
    })
}

fn goes_on(device: Device) -> Device {
    laid(device, (), |inner, (), now, input| {
        let mut outputs = inner.handle(now, input);
        let has_failed = |output: &Output| matches!(output, Output::Report(patch) if text(patch, STATUS) == "downloadfailed");
        if outputs.iter().any(has_failed) {
            let members = json!({ "status": "applying", "startedApplyingImage": now.to_string() });
            outputs.push(Output::Report(json!({ "iothubDM": { "firmwareUpdate": members } })));
        }
        outputs
    })
}

fn interleaves(device: Device) -> Device {
    laid(device, (), |inner, (), now, input| {
        if inner.is_busy() && matches!(input, Input::Called { .. }) {
            let members = json!({ "status": "waiting", "startedWaitingTime": now.to_string() });
            let report = json!({ "iothubDM": { "firmwareUpdate": members } });
            let answer = Output::Answer { status: 200, payload: json!("FirmwareUpdate started") };
            return vec![answer, Output::Report(report)];
        }
        inner.handle(now, input)
    })
}
