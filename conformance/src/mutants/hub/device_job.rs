//! Defects of the device jobs of 2016.

use bytes::Bytes;
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::coap::{Code, Message};

use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_both, on_input, on_response, set};

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[ROWS, TYPES, COURSE];

/// A defect.
macro_rules! defect {
    ($id:literal, $title:literal, $requirement:literal, $overlay:expr $(,)?) => {
        Mutant { id: $id, title: $title, requirements: &[$requirement], overlay: || $overlay }
    };
}

const ROWS: &[Mutant] = &[
    defect!(
        "device-job-without-parent",
        "The list of device jobs leaves out parents",
        "FW-A01",
        on_list(|jobs| jobs.retain(is_child))
    ),
    defect!(
        "device-job-child-too-few",
        "The list of device jobs leaves out the first child",
        "FW-A01",
        on_list(|jobs| {
            if let Some(first) = jobs.iter().position(is_child) {
                jobs.remove(first);
            }
        })
    ),
    defect!(
        "device-job-child-without-device",
        "A child does not say which device it is for",
        "FW-A02",
        on_list(|jobs| jobs.iter_mut().for_each(|job| set(job, "deviceId", Value::Null)))
    ),
    defect!(
        "device-job-parent-with-device",
        "A parent names a device",
        "FW-A02",
        on_list(|jobs| {
            jobs.iter_mut().filter(|job| !is_child(job)).for_each(|job| set(job, "deviceId", "a"));
        })
    ),
    defect!(
        "device-job-status-in-progress",
        "A job that waits or runs is inProgress",
        "FW-A04",
        on_job(|job| {
            if matches!(text(job, "status"), "enqueued" | "running") {
                set(job, "status", "inProgress");
            }
        })
    ),
    defect!(
        "device-job-failed-as-completed",
        "A firmware update that has failed is completed, without a reason",
        "FW-A05",
        on_job(|job| {
            if text(job, "type") == "firmwareUpdate" && text(job, "status") == "failed" {
                set(job, "status", "completed");
                set(job, "failureReason", Value::Null);
            }
        })
    ),
];

const TYPES: &[Mutant] = &[
    defect!(
        "device-job-type-firmware",
        "A firmware update is shown without its type",
        "FW-A03",
        untyped("firmwareUpdate")
    ),
    defect!(
        "device-job-type-reboot",
        "A reboot is shown without its type",
        "FW-A03",
        untyped("rebootDevice")
    ),
    defect!(
        "device-job-type-reset",
        "A factory reset is shown without its type",
        "FW-A03",
        untyped("factoryResetDevice")
    ),
    defect!(
        "device-job-type-configuration",
        "A configuration update is shown without its type",
        "FW-A03",
        untyped("updateDeviceConfiguration")
    ),
    defect!(
        "device-job-type-read",
        "A reading of properties is shown without its type",
        "FW-A03",
        untyped("readDeviceProperties")
    ),
    defect!(
        "device-job-type-write",
        "A writing of properties is shown without its type",
        "FW-A03",
        untyped("writeDeviceProperties")
    ),
    defect!(
        "device-job-reboot-resets",
        "A reboot executes the factory reset",
        "FW-A03",
        on_asked(|message| {
            if message.code == Code::POST && message.path == ["3", "0", "4"] {
                message.path = ["3", "0", "5"].map(str::to_owned).to_vec();
            }
        })
    ),
];

const COURSE: &[Mutant] = &[
    defect!(
        "device-job-update-while-downloading",
        "Update is executed in State 2",
        "FW-A06",
        on_told(|message| {
            if message.observe.is_some() && message.text() == "2" {
                message.payload = Bytes::from_static(b"3");
            }
        })
    ),
    defect!(
        "device-job-completed-with-update",
        "A job is completed as soon as Update was executed",
        "FW-A10",
        completed_with_update()
    ),
    defect!(
        "device-job-ignores-success",
        "A job does not see Result 1",
        "FW-A10",
        on_told(|message| {
            if message.observe.is_some() && message.text() == "1" {
                message.payload = Bytes::from_static(b"0");
            }
        })
    ),
    defect!(
        "device-job-write-refused-completed",
        "A property that a device does not let write is taken for written",
        "FW-A12",
        on_told(|message| {
            if message.code == Code::METHOD_NOT_ALLOWED {
                message.code = Code::CHANGED;
            }
        })
    ),
];

fn is_child(job: &Value) -> bool {
    job.get("parentJobId").is_some_and(Value::is_string)
}

fn text<'a>(job: &'a Value, name: &str) -> &'a str {
    job.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Whether this is a device job, and not one of today.
fn is_device_job(job: &Value) -> bool {
    job.get("statusMessage").is_some() && job.get("startTimeUtc").is_some()
}

/// Edits each device job that is shown alone.
fn on_job(mut edit: impl FnMut(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_response(move |response| {
        edit_json(response.body_mut(), |body| {
            if is_device_job(body) {
                edit(body);
            }
        });
    })
}

/// Edits each list of device jobs.
fn on_list(mut edit: impl FnMut(&mut Vec<Value>) + Send + 'static) -> Box<dyn Overlay> {
    on_response(move |response| {
        edit_json(response.body_mut(), |body| {
            if let Value::Array(jobs) = body
                && jobs.iter().any(is_device_job)
            {
                edit(jobs);
            }
        });
    })
}

/// Hides one type.
fn untyped(name: &'static str) -> Box<dyn Overlay> {
    on_job(move |job| {
        if text(job, "type") == name {
            set(job, "type", json!("unknown"));
        }
    })
}

/// Edits what devices say.
fn on_told(mut edit: impl FnMut(&mut Message) + Send + 'static) -> Box<dyn Overlay> {
    on_input(move |mut input| {
        if let Input::Lwm2m(_, message) = &mut input
            && !message.code.is_request()
        {
            edit(message);
        }
        vec![input]
    })
}

/// Edits what devices are asked.
fn on_asked(mut edit: impl FnMut(&mut Message) + Send + 'static) -> Box<dyn Overlay> {
    crate::mutants::overlay::on_output(move |mut output| {
        if let Output::Lwm2m(_, message) = &mut output {
            edit(message);
        }
        vec![output]
    })
}

fn completed_with_update() -> Box<dyn Overlay> {
    on_both(
        false,
        |_, input| vec![input],
        |has_updated, mut output| {
            match &mut output {
                Output::Lwm2m(_, message) => {
                    *has_updated |= message.code == Code::POST && message.path == ["5", "0", "2"];
                }
                Output::Respond(_, response) if *has_updated => {
                    edit_json(response.body_mut(), |job| {
                        if is_device_job(job) && text(job, "type") == "firmwareUpdate" {
                            set(job, "status", "completed");
                        }
                    });
                }
                _ => {}
            }
            vec![output]
        },
    )
}
