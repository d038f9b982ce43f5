//! Patterns (c) of 2016 and (d) of 2018: a direct method starts the update (§ c.1 to d.5).

use serde_json::{Value, json};

use crate::bench::{Bench, Connection, Registered, is_over, method_job};
use crate::body;
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "firmware-method",
        title: "The call and its answer pass through the hub unchanged, the answer's text as a string",
        requirements: &["FW-C01", "FW-C02"],
        needs: &[],
        run: body!(method),
    },
    Case {
        id: "firmware-method-reports",
        title: "Reports below iothubDM are merged, a null removes the error, and the rest stays",
        requirements: &["FW-C03"],
        needs: &[],
        run: body!(reports),
    },
    Case {
        id: "firmware-method-job",
        title: "A device that refuses the call of a job with 400 leaves a completed row with the answer",
        requirements: &["FW-C14"],
        needs: &[],
        run: body!(job),
    },
    Case {
        id: "firmware-method-2018",
        title: "The answer of the tutorial in Python comes back as an object",
        requirements: &["FW-D01"],
        needs: &[],
        run: body!(method_2018),
    },
    Case {
        id: "firmware-method-2018-reports",
        title: "The four times of an update in Python accumulate at the root",
        requirements: &["FW-D02"],
        needs: &[],
        run: body!(reports_2018),
    },
];

/// Calls `firmwareUpdate`; the device sees `payload` and answers `status` with the text `answer`.
/// Returns name and body of the call as the device saw them, and the caller's answer.
async fn exchange(
    bench: &mut Bench,
    (device, connection): (&Registered, &mut Connection),
    requirement: &'static str,
    payload: &Value,
    (status, answer): (i64, &str),
) -> Checked<(String, Value, Value)> {
    let body = json!({
        "methodName": "firmwareUpdate", "responseTimeoutInSeconds": 30, "payload": payload,
    });
    let call = bench.invoke(&device.identity, &body).await;
    let request = connection.method_request(requirement).await?;
    connection.respond(&request, status, answer).await?;
    let outcome = bench.outcome(requirement, call).await?;
    if outcome.status.as_u16() != 200 {
        return Err(Stop::Broken {
            requirement,
            allowed: "200 with the answer of the device".to_owned(),
            seen: outcome.to_string(),
        });
    }
    let seen = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    Ok((request.name, seen, outcome.json()))
}

async fn method(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let payload = json!({ "fwPackageUri": "https://files.example/fw-9.bin" });
    for (status, text) in
        [(200, "FirmwareUpdate started"), (400, "Invalid URL format.  Must use https:// protocol.")]
    {
        let answer = json!(text).to_string();
        let place = (&device, &mut connection);
        let (name, seen, outcome) =
            exchange(bench, place, "FW-C01", &payload, (status, &answer)).await?;
        bench.equal("FW-C01", "the method", "firmwareUpdate", &name);
        bench.equal_json("FW-C01", "the payload", &payload, &seen);
        let seen = |name: &str| outcome.get(name).cloned().unwrap_or_default();
        bench.equal_json("FW-C01", "the status of the answer", &json!(status), &seen("status"));
        bench.equal_json("FW-C02", "its payload", &json!(text), &seen("payload"));
    }
    connection.disconnect().await
}

async fn reports(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let rows = [
        json!({ "status": "applyFailed", "error": { "code": "E7", "message": "no image" } }),
        json!({
            "fwPackageUri": "https://files.example/fw-9.bin", "status": "waiting", "error": null,
            "startedWaitingTime": "2031-02-03T04:05:06.000Z",
        }),
        json!({ "status": "downloading" }),
        json!({ "status": "downloadComplete", "downloadCompleteTime": "2031-02-03T04:05:10.000Z" }),
        json!({ "status": "applying", "startedApplyingImage": "2031-02-03T04:05:14.000Z" }),
        json!({ "status": "applyComplete", "lastFirmwareUpdate": "2031-02-03T04:05:18.000Z" }),
    ];
    let mut version = None;
    for row in rows {
        let patch = json!({ "iothubDM": { "firmwareUpdate": row } });
        let next = connection.reported(&patch).await?;
        if let Some(version) = version {
            bench.equal("FW-C03", "the reported version", version + 1, next);
        }
        version = Some(next);
    }
    let twin = connection.twin().await?;
    let seen = twin.pointer("/reported/iothubDM/firmwareUpdate").cloned().unwrap_or_default();
    let allowed = json!({
        "fwPackageUri": "https://files.example/fw-9.bin",
        "status": "applyComplete",
        "startedWaitingTime": "2031-02-03T04:05:06.000Z",
        "downloadCompleteTime": "2031-02-03T04:05:10.000Z",
        "startedApplyingImage": "2031-02-03T04:05:14.000Z",
        "lastFirmwareUpdate": "2031-02-03T04:05:18.000Z",
    });
    bench.equal_json("FW-C03", "what is reported in the end", &allowed, &seen);
    connection.disconnect().await
}

async fn job(bench: &mut Bench) -> Checked {
    let kind = bench.new_job_id();
    let device = bench.device().await?;
    bench.patch_twin(&device.identity, &json!({ "tags": { "kind": kind } })).await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let call = json!({
        "methodName": "firmwareUpdate",
        "payload": { "fwPackageUri": "http://files.example/fw-9.bin" },
        "responseTimeoutInSeconds": 30,
    });
    let id = bench.start_job(&method_job(&format!("tags.kind = '{kind}'"), &call)).await?;
    let request = connection.method_request("FW-C14").await?;
    let text = "Invalid URL format.  Must use https:// protocol.";
    connection.respond(&request, 400, &json!(text).to_string()).await?;
    bench.watch_job(&id, is_over).await?;
    let rows = bench.job_rows(&id).await?;
    let row = rows.first().cloned().unwrap_or_default();
    let seen = |pointer| row.pointer(pointer).cloned().unwrap_or_default();
    bench.equal_json("FW-C14", "the status of the row", &json!("completed"), &seen("/status"));
    let answer = "/outcome/deviceMethodResponse";
    let (status, payload) = (seen(&format!("{answer}/status")), seen(&format!("{answer}/payload")));
    bench.equal_json("FW-C14", "the status of the answer", &json!(400), &status);
    bench.equal_json("FW-C14", "its payload", &json!(text), &payload);
    connection.disconnect().await
}

async fn method_2018(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_for_methods(&device).await?;
    let payload = json!({ "fwPackageUri": "files.example" });
    let answer = json!({ "Response": "Firmware update started" });
    let place = (&device, &mut connection);
    let said = answer.to_string();
    let (_, _, outcome) = exchange(bench, place, "FW-D01", &payload, (200, &said)).await?;
    let seen = |name: &str| outcome.get(name).cloned().unwrap_or_default();
    bench.equal_json("FW-D01", "the status of the answer", &json!(200), &seen("status"));
    bench.equal_json("FW-D01", "its payload", &answer, &seen("payload"));
    connection.disconnect().await
}

async fn reports_2018(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let rows = [
        ("standBy", "logTime", "2031-02-03 04:05:06.000001"),
        ("downloading", "downloadComplete", "2031-02-03 04:05:21.000002"),
        ("applying", "startedApplyingImage", "2031-02-03 04:05:36.000003"),
        ("completed", "lastFirmwareUpdate", "2031-02-03 04:05:51.000004"),
    ];
    for (status, companion, time) in rows {
        connection.reported(&json!({ "firmwareStatus": status, companion: time })).await?;
    }
    let twin = connection.twin().await?;
    for (_, companion, time) in rows {
        let seen = twin.pointer(&format!("/reported/{companion}")).cloned().unwrap_or_default();
        bench.equal_json("FW-D02", companion, &json!(time), &seen);
    }
    let seen = twin.pointer("/reported/firmwareStatus").cloned().unwrap_or_default();
    bench.equal_json("FW-D02", "firmwareStatus", &json!("completed"), &seen);
    connection.disconnect().await
}
