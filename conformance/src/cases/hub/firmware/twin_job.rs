//! Pattern (b) of 2018: a job writes desired properties, the device reports (§ b.2 to b.7).

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bench::{Bench, IfMatch, Registered, VISIBLE, is_over, twin_job};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "firmware-job",
        title: "The tutorial's job writes patchId and firmware to the devices it selects, and no other",
        requirements: &["FW-B01"],
        needs: &[],
        run: body!(job),
    },
    Case {
        id: "firmware-job-notification",
        title: "A connected device is told of all that the tutorial's job asks for",
        requirements: &["FW-B02"],
        needs: &[],
        run: body!(notification),
    },
    Case {
        id: "firmware-job-silent-device",
        title: "The tutorial's job is completed although its devices report nothing",
        requirements: &["FW-B03"],
        needs: &[],
        run: body!(silent_device),
    },
    Case {
        id: "firmware-job-query",
        title: "A query by tag shows what a device reports of its firmware",
        requirements: &["FW-B04"],
        needs: &[],
        run: body!(query),
    },
    Case {
        id: "firmware-job-reports",
        title: "The ten reports of an update are merged in order, each with a version of its own",
        requirements: &["FW-B05"],
        needs: &[],
        run: body!(reports),
    },
];

/// What the job of the tutorial writes.
fn update() -> Value {
    json!({ "etag": "*", "properties": { "desired": {
        "patchId": "Firmware update",
        "firmware": firmware(),
    } } })
}

fn firmware() -> Value {
    json!({
        "fwVersion": "9.1.0",
        "fwPackageURI": "https://files.example/fw-9.1.bin",
        "fwPackageCheckValue": "c0ffee77",
    })
}

/// A device whose tag `devicetype` is `kind`.
async fn device_of(bench: &mut Bench, kind: &str) -> Checked<Registered> {
    let device = bench.device().await?;
    let tags = json!({ "tags": { "devicetype": kind } });
    bench.patch_twin(&device.identity, &tags).await?;
    Ok(device)
}

async fn job(bench: &mut Bench) -> Checked {
    let kind = bench.new_job_id();
    let (first, second) = (device_of(bench, &kind).await?, device_of(bench, &kind).await?);
    let other = bench.device().await?;
    let condition = format!("tags.devicetype = '{kind}'");
    let id = bench.start_job(&twin_job(&condition, &update())).await?;
    let history = bench.watch_job(&id, is_over).await?;
    bench.equal("FW-B01", "the status of the job", "completed", history.status());
    for device in [&first, &second] {
        let twin = bench.read_twin(&device.identity).await?;
        for (name, allowed) in [("patchId", json!("Firmware update")), ("firmware", firmware())] {
            let pointer = format!("/properties/desired/{name}");
            let seen = twin.pointer(&pointer).cloned().unwrap_or_default();
            bench.equal_json("FW-B01", name, &allowed, &seen);
        }
    }
    let twin = bench.read_twin(&other.identity).await?;
    let seen = twin.pointer("/properties/desired/firmware").cloned().unwrap_or_default();
    bench.equal_json("FW-B01", "firmware of a device that is not selected", &Value::Null, &seen);
    Ok(())
}

async fn notification(bench: &mut Bench) -> Checked {
    let kind = bench.new_job_id();
    let device = device_of(bench, &kind).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let condition = format!("tags.devicetype = '{kind}'");
    let id = bench.start_job(&twin_job(&condition, &update())).await?;
    bench.watch_job(&id, is_over).await?;
    let told = connection.notification_by("FW-B02").await?;
    let seen = told.body.get("firmware").cloned().unwrap_or_default();
    bench.equal_json("FW-B02", "firmware in the notification", &firmware(), &seen);
    connection.disconnect().await
}

async fn silent_device(bench: &mut Bench) -> Checked {
    let kind = bench.new_job_id();
    let device = device_of(bench, &kind).await?;
    let condition = format!("tags.devicetype = '{kind}'");
    let id = bench.start_job(&twin_job(&condition, &update())).await?;
    let history = bench.watch_job(&id, is_over).await?;
    let twin = bench.read_twin(&device.identity).await?;
    let reported = twin.pointer("/properties/reported/firmware").cloned().unwrap_or_default();
    bench.equal_json("FW-B03", "reported firmware", &Value::Null, &reported);
    bench.equal("FW-B03", "the status of the job", "completed", history.status());
    Ok(())
}

async fn query(bench: &mut Bench) -> Checked {
    let kind = bench.new_job_id();
    let device = device_of(bench, &kind).await?;
    let block = json!({ "currentFwVersion": "9.0.4", "fwUpdateStatus": "current" });
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "firmware": block })).await?;
    let query = format!("SELECT * FROM devices WHERE tags.devicetype = '{kind}'");
    let body = json!({ "query": query });
    let deadline = Instant::now() + bench.budget(VISIBLE);
    loop {
        let answer =
            bench.call(http::Method::POST, "/devices/query", IfMatch::Absent, Some(&body)).await?;
        let seen = answer.json();
        let seen = seen.pointer("/0/properties/reported/firmware").cloned().unwrap_or_default();
        if seen == block || Instant::now() >= deadline {
            bench.equal_json("FW-B04", "reported firmware in the row", &block, &seen);
            return connection.disconnect().await;
        }
        bench.look_again().await;
    }
}

/// The reports of § b.5, without the times.
fn trace() -> [Value; 10] {
    let phase = |status: &str, detail: &str| json!({ "fwUpdateStatus": status, "fwUpdateSubstatus": detail });
    [
        json!({ "pendingFwVersion": "9.1.0", "fwUpdateStatus": "current", "fwUpdateSubstatus": "" }),
        phase("downloading", "Start downloading"),
        phase("downloading", "Finished downloading"),
        phase("verifying", "Start verifying download"),
        phase("verifying", "Finished verifying download"),
        phase("applying", "Start applying image"),
        phase("applying", "Finished applying image"),
        phase("rebooting", "Start reboot"),
        phase("rebooting", "Finished reboot"),
        json!({
            "currentFwVersion": "9.1.0", "pendingFwVersion": "", "fwUpdateStatus": "current",
            "fwUpdateSubstatus": "",
        }),
    ]
}

async fn reports(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let first = json!({ "firmware": {
        "currentFwVersion": "1.0.0", "pendingFwVersion": "", "fwUpdateStatus": "current",
        "fwUpdateSubstatus": "",
    } });
    let mut version = connection.reported(&first).await?;
    for report in trace() {
        let next = connection.reported(&json!({ "firmware": report })).await?;
        bench.equal("FW-B05", "the reported version", version + 1, next);
        version = next;
        let twin = connection.twin().await?;
        for name in ["fwUpdateStatus", "fwUpdateSubstatus"] {
            let seen = twin.pointer(&format!("/reported/firmware/{name}"));
            let allowed = report.get(name).cloned().unwrap_or_default();
            bench.equal_json("FW-B05", name, &allowed, seen.unwrap_or(&Value::Null));
        }
    }
    let twin = connection.twin().await?;
    let seen = twin.pointer("/reported/firmware").cloned().unwrap_or_default();
    let allowed = json!({
        "currentFwVersion": "9.1.0", "pendingFwVersion": "", "fwUpdateStatus": "current",
        "fwUpdateSubstatus": "",
    });
    bench.equal_json("FW-B05", "what is reported in the end", &allowed, &seen);
    connection.disconnect().await
}
