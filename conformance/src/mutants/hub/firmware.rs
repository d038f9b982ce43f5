//! Defects of a hub towards devices of the older firmware-update patterns.

use serde_json::{Value, json};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use crate::mutants::Mutant;
use crate::mutants::overlay::{
    edit_json, on_device_publish, on_hub_publish, on_request, on_response,
};

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[TWIN_JOB, DIRECT_METHOD];

const TWIN_JOB: &[Mutant] = &[
    Mutant {
        id: "firmware-job-without-patch-id",
        title: "A twin job writes objects only",
        requirements: &["FW-B01"],
        overlay: || {
            on_request(|request| {
                if request.uri().path().starts_with("/jobs/v2/") {
                    edit_json(request.body_mut(), |job| {
                        let desired = job.pointer_mut("/updateTwin/properties/desired");
                        if let Some(Value::Object(members)) = desired {
                            members.remove("patchId");
                        }
                    });
                }
            })
        },
    },
    Mutant {
        id: "firmware-notification-short",
        title: "A notification leaves out members that end in Value",
        requirements: &["FW-B02"],
        overlay: || {
            on_hub_publish(|topic, publish| {
                if matches!(topic, HubTopic::Desired { .. }) {
                    edit_json(&mut publish.payload, |body| {
                        if let Some(Value::Object(members)) = body.get_mut("firmware") {
                            members.retain(|name, _| !name.ends_with("Value"));
                        }
                    });
                }
                true
            })
        },
    },
    Mutant {
        id: "firmware-job-waits-for-reports",
        title: "A twin job is not completed before its devices have reported",
        requirements: &["FW-B03"],
        overlay: || {
            on_response(|response| {
                edit_json(response.body_mut(), |body| {
                    if body.get("jobId").is_some() && body["status"] == json!("completed") {
                        body["status"] = json!("running");
                    }
                });
            })
        },
    },
    Mutant {
        id: "firmware-query-without-reported",
        title: "Rows of a query have no reported properties",
        requirements: &["FW-B04"],
        overlay: || {
            on_response(|response| {
                edit_json(response.body_mut(), |body| {
                    for row in body.as_array_mut().into_iter().flatten() {
                        if let Some(properties) = row.get_mut("properties") {
                            properties["reported"] = json!({});
                        }
                    }
                });
            })
        },
    },
    Mutant {
        id: "firmware-report-lost",
        title: "A report with the status applying is acknowledged and lost",
        requirements: &["FW-B05"],
        overlay: || {
            on_device_publish(|_, topic, publish| {
                if matches!(topic, DeviceTopic::TwinPatch { .. }) {
                    edit_json(&mut publish.payload, |patch| {
                        if patch.pointer("/firmware/fwUpdateStatus") == Some(&json!("applying")) {
                            *patch = json!({ "lost": 1 });
                        }
                    });
                }
                true
            })
        },
    },
];

const DIRECT_METHOD: &[Mutant] = &[
    Mutant {
        id: "firmware-method-lower-case",
        title: "Members of a method's payload arrive in lower case",
        requirements: &["FW-C01"],
        overlay: || {
            on_hub_publish(|topic, publish| {
                if matches!(topic, HubTopic::MethodRequest { .. }) {
                    edit_json(&mut publish.payload, |payload| {
                        if let Some(uri) = payload.get("fwPackageUri").cloned() {
                            *payload = json!({ "fwpackageuri": uri });
                        }
                    });
                }
                true
            })
        },
    },
    Mutant {
        id: "firmware-method-text-wrapped",
        title: "A text that a device answers with comes back in an object",
        requirements: &["FW-C02"],
        overlay: || {
            on_response(|response| {
                edit_json(response.body_mut(), |body| {
                    if body.get("payload").is_some_and(Value::is_string) {
                        body["payload"] = json!({ "value": body["payload"] });
                    }
                });
            })
        },
    },
    Mutant {
        id: "firmware-error-stays",
        title: "A reported null is left out before it is merged",
        requirements: &["FW-C03"],
        overlay: || {
            on_device_publish(|_, topic, publish| {
                if matches!(topic, DeviceTopic::TwinPatch { .. }) {
                    edit_json(&mut publish.payload, |patch| {
                        let block = patch.pointer_mut("/iothubDM/firmwareUpdate");
                        if let Some(Value::Object(members)) = block {
                            members.retain(|_, value| !value.is_null());
                        }
                    });
                }
                true
            })
        },
    },
    Mutant {
        id: "firmware-job-400-fails",
        title: "A device that answers 400 makes its row fail",
        requirements: &["FW-C14"],
        overlay: || {
            on_response(|response| {
                edit_json(response.body_mut(), |body| {
                    for row in body.as_array_mut().into_iter().flatten() {
                        let answer = row.pointer("/outcome/deviceMethodResponse/status");
                        if answer == Some(&json!(400)) {
                            row["status"] = json!("failed");
                        }
                    }
                });
            })
        },
    },
    Mutant {
        id: "firmware-method-object-as-text",
        title: "An object that a device answers with comes back as a text",
        requirements: &["FW-D01"],
        overlay: || {
            on_response(|response| {
                edit_json(response.body_mut(), |body| {
                    if body.get("payload").is_some_and(Value::is_object) {
                        body["payload"] = json!(body["payload"].to_string());
                    }
                });
            })
        },
    },
    Mutant {
        id: "firmware-reports-replace",
        title: "A report of firmwareStatus replaces the time of the report before",
        requirements: &["FW-D02"],
        overlay: || {
            on_device_publish(|_, topic, publish| {
                if matches!(topic, DeviceTopic::TwinPatch { .. }) {
                    edit_json(&mut publish.payload, |patch| {
                        if patch.get("startedApplyingImage").is_some() {
                            patch["downloadComplete"] = Value::Null;
                        }
                    });
                }
                true
            })
        },
    },
];
