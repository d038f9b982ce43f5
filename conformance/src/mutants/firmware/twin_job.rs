//! Defects of devices of pattern (b).

use serde_json::{Value, json};
use twinspec_model::firmware::{Input, Output, Phase};

use super::lay::{
    laid, on_input, on_report, remove, replace, silent_after_reconnect, stops_half_way, text,
};
use super::{Device, DeviceMutant, TWIN_JOB};
use crate::mutants::overlay::set;

const STATUS: &str = "/firmware/fwUpdateStatus";
const DETAIL: &str = "/firmware/fwUpdateSubstatus";
const CURRENT: &str = "/firmware/currentFwVersion";
const PENDING: &str = "/firmware/pendingFwVersion";

const fn mutant(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    lay: fn(Device) -> Device,
) -> DeviceMutant {
    DeviceMutant { id, title, requirements, kind: TWIN_JOB, lay }
}

pub(super) const MUTANTS: &[DeviceMutant] = &[
    mutant("firmware-b-block-incomplete", "The first block has five members", &["FW-B06"], |d| {
        on_report(d, |patch| {
            let is_first = text(patch, PENDING).is_empty() && !text(patch, CURRENT).is_empty();
            if is_first && text(patch, "/firmware/lastFwUpdateEndTime").is_empty() {
                remove(patch, "/firmware/lastFwUpdateEndTime");
            }
            true
        })
    }),
    mutant("firmware-b-capitals", "The phase is called Downloading", &["FW-B07"], |d| {
        on_report(d, |patch| {
            replace(patch, STATUS, "downloading", "Downloading");
            true
        })
    }),
    mutant("firmware-b-skips-verifying", "The phase verifying is not told", &["FW-B08"], |d| {
        on_report(d, |patch| text(patch, STATUS) != "verifying")
    }),
    mutant("firmware-b-other-details", "The details have words of their own", &["FW-B09"], |d| {
        on_report(d, |patch| {
            replace(patch, DETAIL, "Start applying image", "Applying");
            true
        })
    }),
    mutant("firmware-b-nothing-pending", "The pending version is not told", &["FW-B10"], |d| {
        on_report(d, |patch| {
            remove(patch, PENDING);
            true
        })
    }),
    mutant(
        "firmware-b-claims-early",
        "The new version is claimed when the reboot begins",
        &["FW-B11", "FW-S02"],
        claims_early,
    ),
    mutant(
        "firmware-b-same-version",
        "A request for the version that runs starts a download",
        &["FW-B12"],
        same_version,
    ),
    mutant(
        "firmware-b-second-download",
        "A request during an update starts a download",
        &["FW-B13"],
        second_download,
    ),
    mutant("firmware-b-takes-http", "An address without https is taken", &["FW-B14"], |d| {
        on_input(d, |input| {
            if let Input::Desired(patch) = input {
                let uri = text(patch, "/firmware/fwPackageURI").replace("http://", "https://");
                let old = text(patch, "/firmware/fwPackageURI").to_owned();
                replace(patch, "/firmware/fwPackageURI", &old, &uri);
            }
            true
        })
    }),
    mutant("firmware-b-empty-error", "An error says nothing", &["FW-B15"], |d| {
        on_report(d, |patch| {
            if text(patch, STATUS) == "error" {
                put(patch, "fwUpdateSubstatus", "");
            }
            true
        })
    }),
    mutant(
        "firmware-b-stays-in-error",
        "After an error nothing is rolled back",
        &["FW-B15"],
        |d| on_report(d, |patch| text(patch, STATUS) != "rolledback"),
    ),
    mutant("firmware-b-roll-back-text", "The roll-back names no version", &["FW-B16"], |d| {
        on_report(d, |patch| {
            if text(patch, STATUS) == "rolledback" {
                put(patch, "fwUpdateSubstatus", "Rolled back");
            }
            true
        })
    }),
    mutant("firmware-b-local-times", "Times have no zone", &["FW-B17"], |d| {
        on_report(d, |patch| {
            for name in ["lastFwUpdateStartTime", "lastFwUpdateEndTime"] {
                let pointer = format!("/firmware/{name}");
                let old = text(patch, &pointer).to_owned();
                replace(patch, &pointer, &old, old.trim_end_matches('Z'));
            }
            true
        })
    }),
    mutant("firmware-b-no-start-time", "The start of an update is not told", &["FW-B17"], |d| {
        on_report(d, |patch| {
            if !text(patch, PENDING).is_empty() {
                remove(patch, "/firmware/lastFwUpdateStartTime");
            }
            true
        })
    }),
    mutant(
        "firmware-b-not-frozen",
        "The version that was asked for last is claimed in the end",
        &["FW-B18"],
        not_frozen,
    ),
    mutant("firmware-b-partial-patch", "A patch with one member deafens it", &["FW-B19"], |d| {
        laid(d, false, |inner, deaf, now, input| {
            *deaf |= matches!(&input, Input::Desired(patch)
                if patch.pointer("/firmware/fwVersion").is_none());
            if *deaf { Vec::new() } else { inner.handle(now, input) }
        })
    }),
    mutant(
        "firmware-b-forgets-its-version",
        "A restarted device does not know what it runs, and updates again",
        &["FW-B20"],
        |d| {
            on_input(d, |input| {
                if let Input::Connected { reported, .. } = input {
                    *reported = json!({});
                }
                true
            })
        },
    ),
    mutant("firmware-b-gives-up", "After a failed update no request is served", &["FW-B21"], |d| {
        laid(d, false, |inner, failed, now, input| {
            if *failed && matches!(input, Input::Desired(_)) {
                return Vec::new();
            }
            *failed |= matches!(input, Input::Done(Phase::RollBack, _));
            inner.handle(now, input)
        })
    }),
    mutant("firmware-b-hides-phase", "A refusal is told as current", &["FW-B22"], |d| {
        on_report(d, |patch| {
            if text(patch, DETAIL) == "Firmware update already running" {
                put(patch, "fwUpdateStatus", "current");
            }
            true
        })
    }),
    mutant("firmware-b-stops-half-way", "An update never ends", &["FW-S01"], stops_half_way),
    mutant(
        "firmware-b-claims-after-failure",
        "After a roll-back the new version is claimed",
        &["FW-S02"],
        |d| {
            laid(d, String::new(), |inner, pending, now, input| {
                let mut outputs = inner.handle(now, input);
                for patch in reports(&mut outputs) {
                    let version = text(patch, PENDING).to_owned();
                    if text(patch, STATUS) == "rolledback" {
                        put(patch, "currentFwVersion", pending.as_str());
                    } else if !version.is_empty() {
                        *pending = version;
                    }
                }
                outputs
            })
        },
    ),
    mutant(
        "firmware-b-silent-after-reconnect",
        "What happened during an outage is never told",
        &["FW-S04"],
        silent_after_reconnect,
    ),
    mutant(
        "firmware-b-idle-after-reconnect",
        "After a reconnect it says current, although it goes on working",
        &["FW-S04"],
        |d| {
            laid(d, false, |inner, was_connected, now, input| {
                let again = matches!(input, Input::Connected { .. }) && *was_connected;
                *was_connected |= matches!(input, Input::Connected { .. });
                let mut outputs = inner.handle(now, input);
                for patch in reports(&mut outputs).filter(|_| again) {
                    put(patch, "fwUpdateStatus", "current");
                }
                outputs
            })
        },
    ),
];

fn reports(outputs: &mut [Output]) -> impl Iterator<Item = &mut Value> {
    outputs.iter_mut().filter_map(|output| match output {
        Output::Report(patch) => Some(patch),
        Output::Answer { .. } | Output::Begin(_) => None,
    })
}

fn claims_early(device: Device) -> Device {
    laid(device, String::new(), |inner, pending, now, input| {
        let mut outputs = inner.handle(now, input);
        for patch in reports(&mut outputs) {
            let version = text(patch, PENDING).to_owned();
            if !version.is_empty() {
                *pending = version;
            }
            if text(patch, DETAIL) == "Start reboot" {
                put(patch, "currentFwVersion", pending.as_str());
            }
        }
        outputs
    })
}

fn same_version(device: Device) -> Device {
    laid(device, String::new(), |inner, current, now, input| {
        let wanted = match &input {
            Input::Desired(patch) => text(patch, "/firmware/fwVersion").to_owned(),
            Input::Connected { .. } | Input::Called { .. } | Input::Done(..) => String::new(),
        };
        let mut outputs = inner.handle(now, input);
        for patch in reports(&mut outputs) {
            let version = text(patch, CURRENT).to_owned();
            if !version.is_empty() {
                *current = version;
            }
        }
        if !wanted.is_empty() && wanted == *current {
            let begins = json!({ "firmware": {
                "pendingFwVersion": wanted, "fwUpdateStatus": "downloading",
                "fwUpdateSubstatus": "Start downloading",
            } });
            let ends = json!({ "firmware": {
                "pendingFwVersion": "", "fwUpdateStatus": "current", "fwUpdateSubstatus": "",
            } });
            outputs.extend([Output::Report(begins), Output::Report(ends)]);
        }
        outputs
    })
}

fn second_download(device: Device) -> Device {
    laid(device, (), |inner, (), now, input| {
        if inner.is_busy()
            && let Input::Desired(patch) = &input
        {
            let version = text(patch, "/firmware/fwVersion");
            let begins = json!({ "firmware": {
                "pendingFwVersion": version, "fwUpdateStatus": "downloading",
                "fwUpdateSubstatus": "Start downloading",
            } });
            return vec![Output::Report(begins)];
        }
        inner.handle(now, input)
    })
}

fn not_frozen(device: Device) -> Device {
    laid(device, String::new(), |inner, last, now, input| {
        if let Input::Desired(patch) = &input {
            text(patch, "/firmware/fwVersion").clone_into(last);
        }
        let is_end = matches!(input, Input::Done(Phase::Reboot, Ok(())));
        let mut outputs = inner.handle(now, input);
        for patch in reports(&mut outputs).filter(|_| is_end) {
            if !text(patch, CURRENT).is_empty() {
                put(patch, "currentFwVersion", last.as_str());
            }
        }
        outputs
    })
}

/// Sets a member of the block `firmware`.
fn put(patch: &mut Value, name: &str, value: &str) {
    if let Some(block) = patch.get_mut("firmware") {
        set(block, name, value);
    }
}
