//! What a twin job does on devices (JOB-053, -070 to -075, -082, -083, -093, -096).

use serde_json::{Value, json};

use super::tools::{
    Marked, at, completed, demand_not_called, demand_wave, ended, running, serve, wave,
};
use crate::bench::{Bench, twin_job};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "job-twin-selected",
        title: "A twin job changes the twins it selects and no other",
        requirements: &["JOB-053", "JOB-070", "JOB-075"],
        needs: &[],
        run: body!(selected),
    },
    Case {
        id: "job-twin-by-ids",
        title: "A twin job changes the devices that its condition lists",
        requirements: &["JOB-053", "JOB-070"],
        needs: &[],
        run: body!(by_ids),
    },
    Case {
        id: "job-twin-merged",
        title: "A patch is merged into each twin and leaves what it does not name",
        requirements: &["JOB-070"],
        needs: &[],
        run: body!(merged),
    },
    Case {
        id: "job-twin-modules-left",
        title: "A twin job leaves the modules of the devices it selects",
        requirements: &["JOB-070"],
        needs: &[],
        run: body!(modules_left),
    },
    Case {
        id: "job-twin-both-sections",
        title: "One job changes tags and desired properties",
        requirements: &["JOB-071"],
        needs: &[],
        run: body!(both_sections),
    },
    Case {
        id: "job-twin-null-tag",
        title: "A null in the patch deletes the tag",
        requirements: &["JOB-072"],
        needs: &[],
        run: body!(null_tag),
    },
    Case {
        id: "job-twin-null-desired",
        title: "A null in the patch deletes the desired property, also a nested one",
        requirements: &["JOB-072"],
        needs: &[],
        run: body!(null_desired),
    },
    Case {
        id: "job-twin-version",
        title: "The version of desired grows by one on each device",
        requirements: &["JOB-073"],
        needs: &[],
        run: body!(version),
    },
    Case {
        id: "job-twin-notified",
        title: "A connected device is notified of the patch of a job",
        requirements: &["JOB-074"],
        needs: &[],
        run: body!(notified),
    },
    Case {
        id: "job-twin-notified-once",
        title: "Every connected device is notified of a job once",
        requirements: &["JOB-074"],
        needs: &[],
        run: body!(notified_once),
    },
    Case {
        id: "job-twin-tags-only",
        title: "A job that changes tags leaves the desired version alone",
        requirements: &["HUB-META-004"],
        needs: &[],
        run: body!(tags_only),
    },
    Case {
        id: "job-twin-absent-device",
        title: "A twin job is completed without the device, which sees the values when it connects",
        requirements: &["JOB-053", "JOB-082"],
        needs: &[],
        run: body!(absent_device),
    },
    Case {
        id: "job-twin-reported-kept",
        title: "A job leaves reported properties",
        requirements: &["JOB-096"],
        needs: &[],
        run: body!(reported_kept),
    },
    Case {
        id: "job-twin-nobody",
        title: "A job that selects nobody ends",
        requirements: &["JOB-093"],
        needs: &[],
        run: body!(nobody),
    },
    Case {
        id: "job-selected-at-start",
        title: "A device registered after the start of a job is not part of it",
        requirements: &["JOB-083"],
        needs: &[],
        run: body!(selected_at_start),
    },
    Case {
        id: "job-selected-for-good",
        title: "A device that meets the condition after the start of a job is not part of it",
        requirements: &["JOB-083"],
        needs: &[],
        run: body!(selected_for_good),
    },
];

async fn selected(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let other = bench.device().await?;
    let id = bench.start_job(&marked.wave()).await?;
    let history = ended(bench, "JOB-053", &id).await?;
    let is_completed = history.status() == "completed";
    bench.equal("JOB-053", "the status", "completed", history.status());
    bench.demand("JOB-075", is_completed, "a patch with etag *", history.last().to_string());
    marked.demand_wave(bench, "JOB-070", true).await?;
    demand_wave(bench, "JOB-070", &other, false).await
}

async fn by_ids(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 3).await?;
    let [first, second, third] = marked.devices.as_slice() else { return Ok(()) };
    let ids = (&first.identity.device, &second.identity.device);
    let condition = format!("DeviceId IN ['{}','{}']", ids.0, ids.1);
    let id = bench.start_job(&twin_job(&condition, &wave())).await?;
    completed(bench, "JOB-053", &id).await?;
    for (device, applied) in [(first, true), (second, true), (third, false)] {
        demand_wave(bench, "JOB-070", device, applied).await?;
    }
    Ok(())
}

async fn tags_only(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let version = |twin: &Value| at(twin, "/properties/desired/$version").clone();
    let before = version(&bench.read_twin(&device.identity).await?);
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    marked.demand_wave(bench, "JOB-070", true).await?;
    let after = version(&bench.read_twin(&device.identity).await?);
    bench.equal_json("HUB-META-004", "$version of desired", &before, &after);
    Ok(())
}

async fn merged(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let before = json!({
        "tags": { "site": { "row": 4, "bay": 1 } },
        "properties": { "desired": { "fan": { "speed": 3, "mode": "slow" }, "light": true } },
    });
    bench.patch_twin(&device.identity, &before).await?;
    let update = json!({
        "etag": "*",
        "tags": { "site": { "row": 5 } },
        "properties": { "desired": { "fan": { "speed": 9 }, "door": "shut" } },
    });
    let id = bench.start_job(&twin_job(&marked.condition(), &update)).await?;
    completed(bench, "JOB-053", &id).await?;
    let twin = bench.read_twin(&device.identity).await?;
    let tags = json!({ "mark": marked.mark, "site": { "row": 5, "bay": 1 } });
    bench.equal_json("JOB-070", "the tags", &tags, at(&twin, "/tags"));
    let desired = json!({
        "fan": { "speed": 9, "mode": "slow" },
        "light": true,
        "door": "shut",
    });
    bench.equal_json("JOB-070", "desired", &desired, &desired_of(&twin));
    Ok(())
}

/// The desired properties of a twin without metadata and version.
fn desired_of(twin: &Value) -> Value {
    let mut desired = at(twin, "/properties/desired").clone();
    if let Some(members) = desired.as_object_mut() {
        members.retain(|name, _| !name.starts_with('$'));
    }
    desired
}

async fn modules_left(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let module = bench.module(&device, "vision").await?;
    bench.patch_twin(&module.identity, &json!({ "tags": { "mark": marked.mark } })).await?;
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    marked.demand_wave(bench, "JOB-070", true).await?;
    let twin = bench.read_twin(&module.identity).await?;
    let tags = json!({ "mark": marked.mark });
    bench.equal_json("JOB-070", "the tags of the module", &tags, at(&twin, "/tags"));
    Ok(())
}

async fn both_sections(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let update = json!({
        "etag": "*",
        "tags": { "wave": 7 },
        "properties": { "desired": { "rate": 5 } },
    });
    let id = bench.start_job(&twin_job(&marked.condition(), &update)).await?;
    completed(bench, "JOB-053", &id).await?;
    for device in &marked.devices {
        let twin = bench.read_twin(&device.identity).await?;
        bench.equal_json("JOB-071", "tags.wave", &json!(7), at(&twin, "/tags/wave"));
        bench.equal_json("JOB-071", "desired", &json!({ "rate": 5 }), &desired_of(&twin));
    }
    Ok(())
}

async fn null_tag(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let before = json!({ "tags": { "site": "yard", "floor": 2 } });
    bench.patch_twin(&device.identity, &before).await?;
    let update = json!({ "etag": "*", "tags": { "site": null } });
    let id = bench.start_job(&twin_job(&marked.condition(), &update)).await?;
    completed(bench, "JOB-053", &id).await?;
    let twin = bench.read_twin(&device.identity).await?;
    let tags = json!({ "mark": marked.mark, "floor": 2 });
    bench.equal_json("JOB-072", "the tags", &tags, at(&twin, "/tags"));
    Ok(())
}

async fn null_desired(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let before = json!({ "properties": { "desired": { "fan": { "a": 1, "b": 2 }, "door": 1 } } });
    bench.patch_twin(&device.identity, &before).await?;
    let nulls = json!({ "desired": { "fan": { "a": null }, "door": null } });
    let update = json!({ "etag": "*", "properties": nulls });
    let id = bench.start_job(&twin_job(&marked.condition(), &update)).await?;
    completed(bench, "JOB-053", &id).await?;
    let twin = bench.read_twin(&device.identity).await?;
    bench.equal_json("JOB-072", "desired", &json!({ "fan": { "b": 2 } }), &desired_of(&twin));
    Ok(())
}

async fn version(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let mut before = Vec::new();
    for device in &marked.devices {
        before.push(desired_version(bench, device).await?);
    }
    let update = json!({ "etag": "*", "properties": { "desired": { "rate": 5, "door": 1 } } });
    let id = bench.start_job(&twin_job(&marked.condition(), &update)).await?;
    completed(bench, "JOB-053", &id).await?;
    for (device, before) in marked.devices.iter().zip(before) {
        let after = desired_version(bench, device).await?;
        bench.equal("JOB-073", "desired.$version", before.map(|version| version + 1), after);
    }
    Ok(())
}

async fn desired_version(
    bench: &mut Bench,
    device: &crate::bench::Registered,
) -> Checked<Option<u64>> {
    let twin = bench.read_twin(&device.identity).await?;
    Ok(twin.pointer("/properties/desired/$version").and_then(Value::as_u64))
}

/// A patch that sets the desired property `rate` to 5.
fn rate() -> Value {
    json!({ "etag": "*", "properties": { "desired": { "rate": 5 } } })
}

async fn notified(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let id = bench.start_job(&twin_job(&marked.condition(), &rate())).await?;
    completed(bench, "JOB-053", &id).await?;
    let found = connection.notification().await;
    let members = found.as_ref().map(|found| found.members()).unwrap_or_default();
    bench.equal_json("JOB-074", "the notification", &json!({ "rate": 5 }), &members);
    Ok(())
}

async fn notified_once(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let mut connections = Vec::new();
    for device in &marked.devices {
        connections.push((device, bench.connect_and_listen(device).await?));
    }
    let id = bench.start_job(&twin_job(&marked.condition(), &rate())).await?;
    completed(bench, "JOB-053", &id).await?;
    let sentinel = json!({ "properties": { "desired": { "sentinel": 1 } } });
    for (device, connection) in &mut connections {
        let twin = bench.patch_twin(&device.identity, &sentinel).await?;
        let version = twin.pointer("/properties/desired/$version").and_then(Value::as_u64);
        let before = connection.notifications_before(version.unwrap_or_default()).await?;
        let members: Vec<Value> = before.iter().map(|found| found.members()).collect();
        bench.equal("JOB-074", "the notifications", vec![json!({ "rate": 5 })], members);
    }
    Ok(())
}

async fn absent_device(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let id = bench.start_job(&twin_job(&marked.condition(), &rate())).await?;
    completed(bench, "JOB-082", &id).await?;
    let history = ended(bench, "JOB-053", &id).await?;
    bench.equal("JOB-053", "the status", "completed", history.status());
    let mut connection = bench.connect_and_listen(&device).await?;
    let twin = connection.twin().await?;
    bench.equal_json("JOB-082", "rate", &json!(5), at(&twin, "/desired/rate"));
    Ok(())
}

async fn reported_kept(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "rate": 1, "ready": true })).await?;
    let before = connection.twin().await?;
    let id = bench.start_job(&twin_job(&marked.condition(), &rate())).await?;
    completed(bench, "JOB-053", &id).await?;
    let after = connection.twin().await?;
    bench.equal_json("JOB-096", "reported", at(&before, "/reported"), at(&after, "/reported"));
    Ok(())
}

async fn nobody(bench: &mut Bench) -> Checked {
    let other = bench.device().await?;
    for body in [
        twin_job("deviceId = 'nobody'", &wave()),
        crate::bench::method_job("deviceId = 'nobody'", &super::tools::go()),
    ] {
        let id = bench.start_job(&body).await?;
        let history = ended(bench, "JOB-093", &id).await?;
        let statistics = super::tools::counters(history.last());
        let is_zero = statistics.is_none_or(|c| (c.devices, c.failed) == (0, 0));
        bench.demand("JOB-093", is_zero, "no device", history.last().to_string());
    }
    demand_wave(bench, "JOB-093", &other, false).await
}

async fn selected_at_start(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let id = bench.start_job(&marked.go()).await?;
    running(bench, "JOB-053", &id).await?;
    let late = bench.device().await?;
    bench.patch_twin(&late.identity, &json!({ "tags": { "mark": marked.mark } })).await?;
    demand_left_out(bench, &id, (&device, &late)).await
}

async fn selected_for_good(bench: &mut Bench) -> Checked {
    let (marked, device) = Marked::one(bench).await?;
    let late = bench.device().await?;
    let id = bench.start_job(&marked.go()).await?;
    running(bench, "JOB-053", &id).await?;
    bench.patch_twin(&late.identity, &json!({ "tags": { "mark": marked.mark } })).await?;
    // One that no longer meets it stays part of the job.
    bench.patch_twin(&device.identity, &json!({ "tags": { "mark": null } })).await?;
    demand_left_out(bench, &id, (&device, &late)).await
}

/// Ends a job that runs: only the first of the devices is called and has a row.
async fn demand_left_out(
    bench: &mut Bench,
    id: &str,
    (device, late): (&crate::bench::Registered, &crate::bench::Registered),
) -> Checked {
    let mut outsider = bench.connect_for_methods(late).await?;
    demand_not_called(bench, "JOB-083", late, &mut outsider).await?;
    let mut connection = bench.connect_for_methods(device).await?;
    serve(bench, "JOB-083", &mut connection, (200, "null")).await?;
    let job = completed(bench, "JOB-053", id).await?;
    let count = super::tools::counters(&job).map_or(1, |counters| counters.devices);
    bench.equal("JOB-083", "deviceCount", 1, count);
    let rows = bench.watch_rows(id, |rows| rows.len() == 1).await?;
    let ids: Vec<&str> = rows.iter().filter_map(|row| at(row, "/deviceId").as_str()).collect();
    bench.equal("JOB-083", "devices of rows", vec![device.identity.device.as_str()], ids);
    Ok(())
}
