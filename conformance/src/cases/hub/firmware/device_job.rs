//! Device jobs of the 2016 preview (firmware-patterns.md § a).

use std::time::Duration;

use serde_json::{Value, json};
use twinspec_model::wire::coap::Code;

use crate::bench::{Bench, JobHistory, Lwm2m, Registered, status};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The address of the image.
const IMAGE: &str = "https://files.example/fw-9.bin";

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "firmware-device-job-children",
        title: "A job on six devices is a parent and six children that name it",
        requirements: &["FW-A01", "FW-A02", "FW-A04"],
        needs: &[Need::Lwm2m],
        run: body!(children),
    },
    Case {
        id: "firmware-device-job-one-device",
        title: "A job on one device has a parent too, or is that device's alone",
        requirements: &["A-F02"],
        needs: &[Need::Lwm2m],
        run: body!(one_device),
    },
    Case {
        id: "firmware-device-job-types",
        title: "Each of the six types asks a device what it is for, and is completed",
        requirements: &["FW-A03", "FW-A04"],
        needs: &[Need::Lwm2m],
        run: body!(types),
    },
    Case {
        id: "firmware-device-job-update",
        title: "Update is executed after State 3, and the job is completed after Result 1",
        requirements: &["FW-A06", "FW-A10", "FW-A04"],
        needs: &[Need::Lwm2m],
        run: body!(update),
    },
    Case {
        id: "firmware-device-job-failed-download",
        title: "A job whose device cannot fetch the image can be read as failed",
        requirements: &["FW-A05", "FW-A04", "A-F03"],
        needs: &[Need::Lwm2m],
        run: body!(failed_download),
    },
    Case {
        id: "firmware-device-job-read-only",
        title: "A job that writes a read-only property fails, another does not",
        requirements: &["FW-A12", "FW-A04"],
        needs: &[Need::Lwm2m],
        run: body!(read_only),
    },
    Case {
        id: "firmware-device-job-timeout",
        title: "The timeout ends an update that has begun, or only one that waits",
        requirements: &["A-F01"],
        needs: &[Need::Lwm2m, Need::Clock],
        run: body!(timeout),
    },
];

fn of_type(job_type: &str, devices: &[&Registered]) -> Value {
    let ids = devices.iter().map(|device| device.identity.device.as_str());
    json!({ "jobType": job_type, "DeviceIds": ids.collect::<Vec<_>>() })
}

fn firmware(devices: &[&Registered]) -> Value {
    with(of_type("firmwareUpdate", devices), &[("PackageUri", json!(IMAGE))])
}

fn with(mut parameters: Value, members: &[(&str, Value)]) -> Value {
    if let Some(object) = parameters.as_object_mut() {
        object.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    parameters
}

async fn children(bench: &mut Bench) -> Checked {
    let mut devices = Vec::new();
    for _ in 0..6 {
        devices.push(bench.device().await?);
    }
    let parameters = of_type("rebootDevice", &devices.iter().collect::<Vec<_>>());
    let id = bench.start_device_job("FW-A01", &parameters).await?;
    bench.read_device_job(&id).await?;
    let jobs = bench.device_jobs_of(&id).await?;
    bench.equal("FW-A01", "number of jobs", 7, jobs.len());
    let is_parent = |job: &&Value| job.get("jobId").is_some_and(|other| *other == id);
    let (parents, children): (Vec<_>, Vec<_>) = jobs.iter().partition(is_parent);
    bench.equal("FW-A01", "number of parents", 1, parents.len());
    let nothing = |job: &Value, name: &str| job.get(name).is_none_or(Value::is_null);
    for parent in parents {
        let has_neither = nothing(parent, "deviceId") && nothing(parent, "parentJobId");
        let allowed = "a parent without deviceId and parentJobId";
        bench.demand("FW-A02", has_neither, allowed, parent.to_string());
    }
    for device in &devices {
        let name = &device.identity.device;
        let is_its = |child: &&&Value| child.get("deviceId").is_some_and(|other| other == name);
        let own: Vec<&&Value> = children.iter().filter(is_its).collect();
        let names_parent = |child: &&&Value| child.get("parentJobId").is_some_and(|p| *p == id);
        let holds = own.len() == 1 && own.iter().all(names_parent);
        let allowed = format!("one child with deviceId {name} and parentJobId {id}");
        bench.demand("FW-A02", holds, allowed, json!(children).to_string());
    }
    Ok(())
}

async fn one_device(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let id = bench.start_device_job("FW-A01", &of_type("rebootDevice", &[&device])).await?;
    let jobs = bench.device_jobs_of(&id).await?;
    let tag = match jobs.len() {
        1 => "one-job",
        2 => "parent-and-child",
        _ => "otherwise",
    };
    bench.decides("A-F02", tag, json!(jobs).to_string());
    Ok(())
}

/// Name of a type, its members beside `DeviceIds`, and what it asks of a device.
type JobType = (&'static str, Vec<(&'static str, Value)>, Vec<&'static str>);

/// All but the firmware update, which takes more than answers.
fn of_each_type() -> [JobType; 5] {
    let names = json!(["BatteryLevel", "FirmwareVersion"]);
    [
        ("rebootDevice", Vec::new(), vec!["execute /3/0/4"]),
        ("factoryResetDevice", Vec::new(), vec!["execute /3/0/5"]),
        (
            "updateDeviceConfiguration",
            vec![("Value", json!("fast"))],
            vec!["write /10241/0/2 fast", "execute /10241/0/3"],
        ),
        (
            "readDeviceProperties",
            vec![("DevicePropertyNames", names)],
            vec!["read /3/0/9", "read /3/0/3"],
        ),
        (
            "writeDeviceProperties",
            vec![("DeviceProperties", json!({ "Timezone": "Etc/UTC" }))],
            vec!["write /3/0/15 Etc/UTC"],
        ),
    ]
}

async fn types(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut lwm2m = bench.lwm2m(&device).await?;
    for (job_type, members, operations) in of_each_type() {
        let parameters = with(of_type(job_type, &[&device]), &members);
        let id = bench.start_device_job("FW-A03", &parameters).await?;
        for operation in operations {
            let asked = lwm2m.expect("FW-A03", operation).await?;
            let code = if asked.operation == "read" { Code::CONTENT } else { Code::CHANGED };
            lwm2m.answer(&asked, code, if asked.operation == "read" { "7" } else { "" }).await?;
        }
        completed(bench, "FW-A03", &id, job_type).await?;
    }
    let id = bench.start_device_job("FW-A03", &firmware(&[&device])).await?;
    apply(&mut lwm2m, "FW-A03").await?;
    succeed(&mut lwm2m).await?;
    completed(bench, "FW-A03", &id, "firmwareUpdate").await?;
    lwm2m.close().await;
    Ok(())
}

async fn completed(
    bench: &mut Bench,
    requirement: &'static str,
    id: &str,
    job_type: &str,
) -> Checked {
    let history = bench.watch_device_job(id).await?;
    bench.equal(requirement, "the status", "completed", history.status());
    let shown = history.last().get("type").and_then(Value::as_str).unwrap_or_default();
    bench.equal(requirement, "the type", job_type, shown);
    Ok(())
}

/// Fetches the image and begins to apply it, as the hub asks.
async fn apply(lwm2m: &mut Lwm2m, requirement: &'static str) -> Checked {
    let asked = lwm2m.expect(requirement, &format!("write /5/0/1 {IMAGE}")).await?;
    lwm2m.answer(&asked, Code::CHANGED, "").await?;
    lwm2m.notify("/5/0/5", "0").await?;
    lwm2m.notify("/5/0/3", "2").await?;
    lwm2m.notify("/5/0/3", "3").await?;
    let asked = lwm2m.expect(requirement, "execute /5/0/2").await?;
    lwm2m.answer(&asked, Code::CHANGED, "").await
}

async fn succeed(lwm2m: &mut Lwm2m) -> Checked {
    lwm2m.notify("/5/0/5", "1").await?;
    lwm2m.notify("/5/0/3", "1").await?;
    lwm2m.notify("/3/0/3", "2.0").await
}

async fn update(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut lwm2m = bench.lwm2m(&device).await?;
    let id = bench.start_device_job("FW-A06", &firmware(&[&device])).await?;
    let asked = lwm2m.expect("FW-A06", &format!("write /5/0/1 {IMAGE}")).await?;
    lwm2m.answer(&asked, Code::CHANGED, "").await?;
    lwm2m.notify("/5/0/5", "0").await?;
    lwm2m.notify("/5/0/3", "2").await?;
    let early = lwm2m.asked_so_far().await?;
    let seen = early.iter().map(|asked| asked.text()).collect::<Vec<_>>().join(", ");
    bench.demand("FW-A06", early.is_empty(), "nothing before State 3", seen);
    if !early.is_empty() {
        return Ok(());
    }
    lwm2m.notify("/5/0/3", "3").await?;
    let asked = lwm2m.expect("FW-A06", "execute /5/0/2").await?;
    lwm2m.answer(&asked, Code::CHANGED, "").await?;
    lwm2m.asked_so_far().await?;
    let job = bench.read_device_job(&id).await?;
    bench.equal("FW-A10", "the status before Result 1", "running", status(&job));
    succeed(&mut lwm2m).await?;
    let history = bench.watch_device_job(&id).await?;
    bench.equal("FW-A10", "the status after Result 1", "completed", history.status());
    lwm2m.close().await;
    Ok(())
}

async fn failed_download(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut lwm2m = bench.lwm2m(&device).await?;
    let id = bench.start_device_job("FW-A05", &firmware(&[&device])).await?;
    let asked = lwm2m.expect("FW-A05", &format!("write /5/0/1 {IMAGE}")).await?;
    lwm2m.answer(&asked, Code::CHANGED, "").await?;
    lwm2m.notify("/5/0/5", "0").await?;
    lwm2m.notify("/5/0/3", "2").await?;
    lwm2m.notify("/5/0/5", "5").await?;
    lwm2m.notify("/5/0/3", "1").await?;
    let history = bench.watch_device_job(&id).await?;
    let tag = demand_failure(bench, "FW-A05", &history);
    bench.decides("A-F03", tag, history.last().to_string());
    lwm2m.close().await;
    Ok(())
}

/// Demands that a job can be read as failed, in either shape; which one it has.
fn demand_failure(
    bench: &mut Bench,
    requirement: &'static str,
    history: &JobHistory,
) -> &'static str {
    let reason = history.last().get("failureReason").and_then(Value::as_str).unwrap_or_default();
    let tag = match (history.status(), reason) {
        ("failed", _) => "failed",
        ("completed", reason) if !reason.is_empty() => "completed-with-reason",
        _ => "otherwise",
    };
    let allowed = "failed, or completed with a failureReason";
    bench.demand(requirement, tag != "otherwise", allowed, history.last().to_string());
    tag
}

async fn read_only(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut lwm2m = bench.lwm2m(&device).await?;
    let write = |name: &str, value: Value| {
        let members = [("DeviceProperties", json!({ name: value }))];
        with(of_type("writeDeviceProperties", &[&device]), &members)
    };
    let id = bench.start_device_job("FW-A12", &write("Timezone", json!("Etc/UTC"))).await?;
    let asked = lwm2m.expect("FW-A12", "write /3/0/15 Etc/UTC").await?;
    lwm2m.answer(&asked, Code::CHANGED, "").await?;
    completed(bench, "FW-A12", &id, "writeDeviceProperties").await?;
    let id = bench.start_device_job("FW-A12", &write("BatteryLevel", json!(50))).await?;
    let asked = lwm2m.expect("FW-A12", "write /3/0/9 50").await?;
    lwm2m.answer(&asked, Code::METHOD_NOT_ALLOWED, "").await?;
    let history = bench.watch_device_job(&id).await?;
    demand_failure(bench, "FW-A12", &history);
    lwm2m.close().await;
    Ok(())
}

async fn timeout(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut lwm2m = bench.lwm2m(&device).await?;
    let parameters = with(firmware(&[&device]), &[("Timeout", json!("00:25:00"))]);
    let id = bench.start_device_job("FW-A04", &parameters).await?;
    let asked = lwm2m.expect("FW-A06", &format!("write /5/0/1 {IMAGE}")).await?;
    lwm2m.answer(&asked, Code::CHANGED, "").await?;
    lwm2m.asked_so_far().await?;
    bench.advance(Duration::from_secs(26 * 60)).await?;
    let job = bench.read_device_job(&id).await?;
    let tag = match status(&job) {
        "running" => "scheduling",
        "failed" | "completed" => "whole-update",
        _ => "otherwise",
    };
    bench.decides("A-F01", tag, job.to_string());
    lwm2m.close().await;
    Ok(())
}
