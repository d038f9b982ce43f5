//! Defects of what jobs do on devices.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::HubTopic;

use super::tools::{
    Asked, asked, defect, id, number, on_create, on_job, refusing, remove, set, set_number,
    set_status, text,
};
use crate::mutants::Mutant;
use crate::mutants::overlay::{
    accepted, each_value, edit_json, edit_properties, on_both, on_exchange, on_hub_publish,
    on_output, on_twin,
};

/// Mutants of this part.
pub(super) const TWIN: &[Mutant] = &[
    defect!(
        "job-selects-everybody",
        "A job works on every device, whatever its condition",
        ["JOB-070"],
        on_create(|job| set(job, "queryCondition", "*"))
    ),
    defect!(
        "job-tags-touch-desired",
        "A job that changes tags raises the version of desired",
        ["HUB-META-004"],
        on_create(|job| {
            if let Some(update) = job.get_mut("updateTwin")
                && update.get("properties").is_none()
            {
                set(update, "properties", json!({ "desired": {} }));
            }
        })
    ),
    defect!(
        "job-nested-patch-lost",
        "Nested members of a patch are not applied",
        ["JOB-070"],
        on_create(|job| {
            for pointer in ["/updateTwin/tags", "/updateTwin/properties/desired"] {
                if let Some(Value::Object(members)) = job.pointer_mut(pointer) {
                    members.retain(|_, value| !value.is_object());
                }
            }
        })
    ),
    defect!(
        "job-modules-too",
        "A twin job changes the modules of its devices too",
        ["JOB-070"],
        on_exchange(
            Value::Null,
            |tags, request| {
                if asked(request) == Some(Asked::Create) {
                    *tags = super::tools::body(request).pointer("/updateTwin/tags").cloned()?;
                }
                request.uri().path().contains("/modules/").then_some(())
            },
            |tags, (), response| {
                edit_json(response.body_mut(), |twin| {
                    let patch = tags.as_object().into_iter().flatten();
                    if let Some(Value::Object(seen)) = twin.get_mut("tags") {
                        seen.extend(patch.map(|(name, value)| (name.clone(), value.clone())));
                    }
                });
            }
        )
    ),
    defect!(
        "job-tags-left",
        "A patch with tags and desired properties changes only the latter",
        ["JOB-071"],
        on_create(|job| {
            if let Some(update) =
                job.get_mut("updateTwin").filter(|u| u.get("properties").is_some())
            {
                remove(update, "tags");
            }
        })
    ),
    defect!(
        "job-desired-left",
        "A patch with tags and desired properties changes only the former",
        ["JOB-071"],
        on_create(|job| {
            if let Some(update) = job.get_mut("updateTwin").filter(|u| u.get("tags").is_some()) {
                remove(update, "properties");
            }
        })
    ),
    defect!(
        "job-nulls-ignored",
        "Nulls in a patch delete nothing",
        ["JOB-072"],
        on_create(|job| {
            each_value(job, &mut |value| {
                if let Value::Object(members) = value {
                    members.retain(|_, member| !member.is_null());
                }
            });
        })
    ),
    defect!(
        "job-version-twice",
        "The version of desired grows by two",
        ["JOB-073"],
        on_twin(|twin| {
            let version = number(twin, "/properties/desired/$version");
            set_number(twin, "/properties/desired/$version", version * 2);
        })
    ),
    defect!(
        "job-device-not-notified",
        "Devices are not notified of patches",
        ["JOB-074"],
        on_hub_publish(|topic, _| !matches!(topic, HubTopic::Desired { .. }))
    ),
    defect!(
        "job-device-notified-twice",
        "Devices are notified of patches twice",
        ["JOB-074"],
        twice(|topic| matches!(topic, HubTopic::Desired { .. }))
    ),
    defect!(
        "job-etag-star-refused",
        "A patch whose etag is a star is refused",
        ["JOB-075"],
        refusing(|job| job.pointer("/updateTwin/etag") == Some(&json!("*")))
    ),
    defect!(
        "job-etag-needed",
        "A patch without an etag is refused",
        ["JOB-076"],
        refusing(|job| job.pointer("/updateTwin/etag").is_none_or(Value::is_null))
    ),
    defect!(
        "job-values-not-kept-for-device",
        "A device that connects later does not find what the job has set",
        ["JOB-082"],
        on_hub_publish(|topic, publish| {
            if matches!(topic, HubTopic::TwinResponse { status: 200, .. }) {
                edit_json(&mut publish.payload, |twin| {
                    if let Some(desired) = twin.get_mut("desired") {
                        remove(desired, "rate");
                    }
                });
            }
            true
        })
    ),
    defect!(
        "job-late-devices-counted",
        "Devices registered after the start are part of a job",
        ["JOB-083"],
        on_exchange(
            BTreeMap::<String, i64>::new(),
            |late, request| match asked(request) {
                Some(Asked::Create) => {
                    late.insert(id(request), 0);
                    None
                }
                Some(Asked::Read) => Some(id(request)),
                _ => {
                    let path = request.uri().path();
                    if request.method() == Method::PUT && path.starts_with("/devices/") {
                        late.values_mut().for_each(|count| *count += 1);
                    }
                    None
                }
            },
            |late, id, response| {
                let more = late.get(&id).copied().unwrap_or(0);
                edit_json(response.body_mut(), |job| {
                    for counter in ["deviceCount", "succeededCount"] {
                        let pointer = format!("/deviceJobStatistics/{counter}");
                        let count = number(job, &pointer);
                        set_number(job, &pointer, count + more);
                    }
                });
            }
        )
    ),
    defect!(
        "job-for-nobody-runs",
        "A job that selects nobody does not end",
        ["JOB-093"],
        on_job(|job| {
            if number(job, "/deviceJobStatistics/deviceCount") == 0
                && text(job, "status") == "completed"
            {
                set_status(job, "running");
            }
        })
    ),
    defect!(
        "job-deleted-device-keeps-job",
        "A job does not end while a device that it waits for is gone",
        ["JOB-094"],
        on_exchange(
            false,
            |is_gone, request| {
                let path = request.uri().path();
                *is_gone |= request.method() == Method::DELETE && path.starts_with("/devices/");
                (asked(request) == Some(Asked::Read) && *is_gone).then_some(())
            },
            |_, (), response| edit_json(response.body_mut(), |job| set_status(job, "running"))
        )
    ),
    defect!(
        "job-reported-touched",
        "A job raises the version of reported properties",
        ["JOB-096"],
        touching(|_| true)
    ),
    defect!(
        "job-empty-reported-counted",
        "Empty reported properties in a patch raise the version",
        ["JOB-009"],
        touching(|job| job.pointer("/updateTwin/properties/reported").is_some())
    ),
];

/// Raises the version of reported properties after the creation of a `chosen` job.
fn touching(chosen: fn(&Value) -> bool) -> Box<dyn Overlay> {
    on_both(
        false,
        move |is_touched, input| {
            if let Input::Request(_, request) = &input
                && asked(request) == Some(Asked::Create)
            {
                *is_touched |= chosen(&super::tools::body(request));
            }
            vec![input]
        },
        |is_touched, mut output| {
            if *is_touched {
                edit_properties(&mut output, &mut |properties| {
                    let version = number(properties, "/reported/$version");
                    set_number(properties, "/reported/$version", version + 1);
                });
            }
            vec![output]
        },
    )
}

/// Sends what the hub publishes on `chosen` topics twice.
fn twice(chosen: fn(&HubTopic) -> bool) -> Box<dyn Overlay> {
    on_output(move |output| match &output {
        Output::Send(_, Packet::Publish(publish))
            if HubTopic::parse(&publish.topic).is_some_and(|topic| chosen(&topic)) =>
        {
            vec![output.clone(), output]
        }
        _ => vec![output],
    })
}

/// Whether a topic is that of a call which cases have jobs make.
fn is_go(topic: &HubTopic) -> bool {
    matches!(topic, HubTopic::MethodRequest { name, .. } if name == "go")
}

/// Edits calls that jobs make, or drops them by returning `false`.
fn on_go(mut edit: impl FnMut(&mut Publish) -> bool + Send + 'static) -> Box<dyn Overlay> {
    on_hub_publish(move |topic, publish| !is_go(topic) || edit(publish))
}

/// Mutants of this part.
pub(super) const METHOD: &[Mutant] = &[
    defect!(
        "job-method-capital",
        "Method names reach the device in capitals",
        ["JOB-077"],
        on_go(|publish| {
            publish.topic = publish.topic.replace("/go/", "/GO/");
            true
        })
    ),
    defect!(
        "job-method-payload-lost",
        "Payloads do not reach the device",
        ["JOB-077"],
        on_go(|publish| {
            publish.payload = Bytes::from_static(b"{}");
            true
        })
    ),
    defect!("job-method-called-twice", "Devices are called twice", ["JOB-077"], twice(is_go)),
    defect!("job-method-first-only", "Only the first device is called", ["JOB-077"], {
        let mut calls = 0;
        on_go(move |_| {
            calls += 1;
            calls == 1
        })
    }),
    defect!(
        "job-method-late-left",
        "Devices that connect while a job runs are not called",
        ["JOB-081"],
        on_both(
            (false, BTreeSet::new()),
            |(has_jobs, _), input| {
                if let Input::Request(_, request) = &input {
                    *has_jobs |= asked(request) == Some(Asked::Create);
                }
                vec![input]
            },
            |(has_jobs, late), output| {
                late.extend(accepted(&output).filter(|_| *has_jobs));
                match &output {
                    Output::Send(connection, Packet::Publish(publish))
                        if late.contains(connection)
                            && HubTopic::parse(&publish.topic).is_some_and(|t| is_go(&t)) =>
                    {
                        Vec::new()
                    }
                    _ => vec![output],
                }
            }
        )
    ),
];
