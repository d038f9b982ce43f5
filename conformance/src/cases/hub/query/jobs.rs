//! Queries over what jobs did, and the conditions of jobs (QRY-005, QRY-064, QRY-073).

use serde_json::{Value, json};

use super::fleet::{Fleet, ITEM_TYPE, devices, is_done, settled};
use crate::bench::{Bench, twin_job};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "query-jobs-rows",
        title: "Rows of jobs are found by job, device, type, state and time, and say what they are",
        requirements: &["QRY-005", "QRY-064"],
        needs: &[],
        run: body!(rows),
    },
    Case {
        id: "query-jobs-conditions",
        title: "A condition selects the same devices in a query and in a job",
        requirements: &["QRY-073"],
        needs: &[],
        run: body!(conditions),
    },
];

async fn rows(bench: &mut Bench) -> Checked {
    let fleet = Fleet::new(bench, &[(json!({}), json!({})), (json!({}), json!({}))]).await?;
    let update = json!({ "etag": "*", "tags": { "wave": 7 } });
    let mark = format!("tags.mark = '{}'", fleet.mark);
    let id = bench.start_job(&twin_job(&mark, &update)).await?;
    bench.follow_job("JOB-053", &id).await?;
    let (Some(first), Some(second)) = (fleet.ids.first(), fleet.ids.get(1)) else { return Ok(()) };
    let both = || {
        let mut both = vec![first.clone(), second.clone()];
        both.sort_unstable();
        both
    };
    let of_job = format!("devices.jobs.jobId = '{id}'");
    let of_first = format!("{of_job} AND devices.jobs.deviceId = '{first}'");
    let expectations = [
        (of_job.clone(), both()),
        (of_first.clone(), vec![first.clone()]),
        (format!("{of_job} AND devices.jobs.jobType = 'scheduleUpdateTwin'"), both()),
        (format!("{of_job} AND devices.jobs.jobType = 'scheduleDeviceMethod'"), vec![]),
        (format!("{of_first} AND devices.jobs.status = 'completed'"), vec![first.clone()]),
        (format!("{of_first} AND devices.jobs.status = 'failed'"), vec![]),
        (format!("{of_job} AND devices.jobs.createdDateTimeUtc > '2001-01-01'"), both()),
        (format!("{of_job} AND devices.jobs.createdDateTimeUtc < '2001-01-01'"), vec![]),
    ];
    for (condition, expected) in expectations {
        let query = format!("SELECT * FROM devices.jobs WHERE {condition}");
        let answer = settled(bench, &query, |rows| devices(rows) == expected).await?;
        let holds = is_done(&answer) && devices(&answer.json()) == expected;
        bench.demand("QRY-064", holds, format!("{query}: {expected:?}"), answer.to_string());
        let is_named = answer
            .header(ITEM_TYPE)
            .is_some_and(|item_type| item_type.eq_ignore_ascii_case("DeviceJob"));
        bench.demand("QRY-005", is_named, "x-ms-item-type: DeviceJob", answer.to_string());
    }
    Ok(())
}

async fn conditions(bench: &mut Bench) -> Checked {
    let twins = [
        (json!({ "kind": "pump", "bay": 4 }), json!({ "rate": 30 })),
        (json!({ "kind": "pump", "bay": 7 }), json!({ "rate": 60 })),
        (json!({ "kind": "valve" }), json!({})),
    ];
    let fleet = Fleet::new(bench, &twins).await?;
    let expectations: [(&str, &[usize]); 4] = [
        ("tags.kind = 'pump'", &[0, 1]),
        ("tags.bay > 4 OR tags.kind IN ['valve']", &[1, 2]),
        ("NOT IS_DEFINED(tags.bay)", &[2]),
        ("properties.desired.rate = 30", &[0]),
    ];
    for (number, (condition, expected)) in expectations.into_iter().enumerate() {
        fleet.selects(bench, "QRY-073", condition, expected).await?;
        let condition = format!("tags.mark = '{}' AND ({condition})", fleet.mark);
        let update = json!({ "etag": "*", "tags": { "wave": number } });
        let id = bench.start_job(&twin_job(&condition, &update)).await?;
        bench.follow_job("JOB-053", &id).await?;
        let mut seen = Vec::new();
        for index in 0..fleet.ids.len() {
            let Some(identity) = fleet.identity(index) else { continue };
            let twin: Value = bench.read_twin(&identity).await?;
            if twin.pointer("/tags/wave") == Some(&json!(number)) {
                seen.push(index);
            }
        }
        let what = format!("devices that the job changed for {condition}:");
        bench.equal("QRY-073", &what, expected.to_vec(), seen);
    }
    Ok(())
}
