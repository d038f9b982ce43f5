//! Defects of devices of pattern (d).

use serde_json::json;
use twinspec_model::firmware::{Input, Output};

use super::lay::{laid, on_report, remove, replace, silent_after_reconnect, stops_half_way, text};
use super::{DIRECT_METHOD_2018, Device, DeviceMutant};

const STATUS: &str = "/firmwareStatus";

const fn mutant(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    lay: fn(Device) -> Device,
) -> DeviceMutant {
    DeviceMutant { id, title, requirements, kind: DIRECT_METHOD_2018, lay }
}

pub(super) const MUTANTS: &[DeviceMutant] = &[
    mutant("firmware-d-no-log-time", "The first status has no time", &["FW-D03"], |d| {
        on_report(d, |patch| {
            remove(patch, "/logTime");
            true
        })
    }),
    mutant("firmware-d-lower-case", "The first status is standby", &["FW-D04"], |d| {
        on_report(d, |patch| {
            replace(patch, STATUS, "standBy", "standby");
            replace(patch, STATUS, "applying", "Applying");
            true
        })
    }),
    mutant("firmware-d-skips-applying", "The application is not told", &["FW-D05"], |d| {
        on_report(d, |patch| text(patch, STATUS) != "applying")
    }),
    mutant("firmware-d-time-apart", "A status and its time come apart", &["FW-D06"], time_apart),
    mutant("firmware-d-iso-times", "Times are of ISO 8601", &["FW-D07"], |d| {
        on_report(d, |patch| {
            let old = text(patch, "/lastFirmwareUpdate").to_owned();
            let new = format!("{}Z", old.replace(' ', "T"));
            replace(patch, "/lastFirmwareUpdate", &old, &new);
            true
        })
    }),
    mutant("firmware-d-any-method", "Any method is answered with 200", &["FW-D09"], |d| {
        laid(d, (), |inner, (), now, input| {
            let mut outputs = inner.handle(now, input);
            for output in &mut outputs {
                if let Output::Answer { status, .. } = output {
                    *status = 200;
                }
            }
            outputs
        })
    }),
    mutant(
        "firmware-d-interleaves",
        "A second call during an update starts a second one",
        &["FW-D10"],
        |d| {
            laid(d, (), |inner, (), now, input| {
                if inner.is_busy() && matches!(input, Input::Called { .. }) {
                    let payload = json!({ "Response": "Firmware update started" });
                    let time = "2031-02-03 04:05:06.000001";
                    let report =
                        json!({ "firmwareStatus": "downloading", "downloadComplete": time });
                    return vec![Output::Answer { status: 200, payload }, Output::Report(report)];
                }
                inner.handle(now, input)
            })
        },
    ),
    mutant("firmware-d-stops-half-way", "An update never ends", &["FW-S01"], stops_half_way),
    mutant(
        "firmware-d-silent-after-reconnect",
        "What happened during an outage is never told",
        &["FW-S04"],
        silent_after_reconnect,
    ),
];

fn time_apart(device: Device) -> Device {
    laid(device, (), |inner, (), now, input| {
        let outputs = inner.handle(now, input);
        let apart = |output| match output {
            Output::Report(mut patch) if text(&patch, STATUS) == "applying" => {
                let time = patch.get("startedApplyingImage").cloned().unwrap_or_default();
                remove(&mut patch, "/startedApplyingImage");
                let late = json!({ "startedApplyingImage": time });
                vec![Output::Report(patch), Output::Report(late)]
            }
            other => vec![other],
        };
        outputs.into_iter().flat_map(apart).collect()
    })
}
