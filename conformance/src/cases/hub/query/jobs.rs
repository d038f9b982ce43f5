//! Rows of jobs, and conditions in jobs (QRY-005, -064, -073).

use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::fleet::{Fleet, ITEM_TYPE, devices, settled};
use crate::bench::{Bench, twin_job};
use crate::body;
use crate::case::Case;
use crate::cases::hub::job::tools::{Marked, at, completed, ended, wave};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "query-jobs-item-type",
        title: "Rows of jobs are called DeviceJob, also when there is none",
        requirements: &["QRY-005"],
        needs: &[],
        run: body!(item_type),
    },
    Case {
        id: "query-jobs-by-device",
        title: "Rows of jobs are found by the device they are about",
        requirements: &["QRY-064"],
        needs: &[],
        run: body!(by_device),
    },
    Case {
        id: "query-jobs-by-members",
        title: "Rows of jobs are found by job, type and status together",
        requirements: &["QRY-064"],
        needs: &[],
        run: body!(by_members),
    },
    Case {
        id: "query-jobs-by-time",
        title: "Rows of jobs are found by the time of their creation",
        requirements: &["QRY-064"],
        needs: &[],
        run: body!(by_time),
    },
    Case {
        id: "query-jobs-same-tag",
        title: "A condition on tags selects the same devices for a query and for a job",
        requirements: &["QRY-073"],
        needs: &[],
        run: body!(same_tag),
    },
    Case {
        id: "query-jobs-same-logic",
        title: "A condition with AND, OR, IN and NOT selects the same devices both ways",
        requirements: &["QRY-073"],
        needs: &[],
        run: body!(same_logic),
    },
];

async fn item_type(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    for (job, count) in [(id.as_str(), 1), ("nobody-has-this-id", 0)] {
        let query = format!("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '{job}'");
        let answer = settled(bench, &query, |rows| devices(rows).len() == count).await?;
        bench.equal("QRY-064", "rows", count, devices(&answer.json()).len());
        let seen = answer.header(ITEM_TYPE).unwrap_or("none");
        bench.equal("QRY-005", ITEM_TYPE, "DeviceJob", seen);
    }
    Ok(())
}

/// Demands that `condition` finds the rows of exactly these devices.
async fn demand_rows(bench: &mut Bench, condition: &str, expected: &[&str]) -> Checked {
    let query = format!("SELECT * FROM devices.jobs WHERE {condition}");
    let answer = settled(bench, &query, |rows| devices(rows) == expected).await?;
    let rows = answer.json();
    let holds = answer.status.as_u16() == 200 && devices(&rows) == expected;
    bench.demand("QRY-064", holds, format!("{condition}: {expected:?}"), answer.to_string());
    Ok(())
}

async fn by_device(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    for _ in 0..2 {
        let id = bench.start_job(&marked.wave()).await?;
        completed(bench, "JOB-053", &id).await?;
    }
    for device in marked.ids() {
        let condition = format!("devices.jobs.deviceId = '{device}'");
        demand_rows(bench, &condition, &[device, device]).await?;
    }
    demand_rows(bench, "devices.jobs.deviceId = 'nobody'", &[]).await
}

async fn by_members(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 2).await?;
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    let [first, second] = marked.ids().try_into().unwrap_or_default();
    let job = format!("devices.jobs.jobId = '{id}'");
    let of_type = "devices.jobs.jobType = 'scheduleUpdateTwin'";
    let done = "devices.jobs.status = 'completed'";
    demand_rows(bench, &format!("{job} AND {of_type} AND {done}"), &[first, second]).await?;
    let one = format!("{job} AND devices.jobs.deviceId = '{second}' AND {of_type} AND {done}");
    demand_rows(bench, &one, &[second]).await?;
    demand_rows(bench, &format!("{job} AND devices.jobs.status = 'failed'"), &[]).await?;
    let other = format!("{job} AND devices.jobs.jobType = 'scheduleDeviceMethod'");
    demand_rows(bench, &other, &[]).await
}

async fn by_time(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    let job = format!("devices.jobs.jobId = '{id}'");
    for (comparison, expected) in [("> '2001-01-01'", marked.ids()), ("< '2001-01-01'", Vec::new())]
    {
        let condition = format!("{job} AND devices.jobs.createdDateTimeUtc {comparison}");
        demand_rows(bench, &condition, &expected).await?;
    }
    Ok(())
}

/// Pumps and a valve, in two regions.
async fn yard(bench: &mut Bench) -> Checked<Fleet> {
    let twin = |kind: &str, region: &str, rate: u32| {
        (json!({ "kind": kind, "site": { "region": region } }), json!({ "rate": rate }))
    };
    let twins = [twin("pump", "north", 30), twin("pump", "south", 60), twin("valve", "north", 60)];
    Fleet::new(bench, &twins).await
}

async fn same_tag(bench: &mut Bench) -> Checked {
    let fleet = yard(bench).await?;
    demand_same(bench, &fleet, "tags.site.region = 'north'", &[0, 2]).await
}

async fn same_logic(bench: &mut Bench) -> Checked {
    let fleet = yard(bench).await?;
    let condition = "NOT tags.kind = 'valve' AND (tags.site.region IN ['south'] OR \
                     properties.desired.rate < 20)";
    demand_same(bench, &fleet, condition, &[1]).await
}

/// Demands that a query finds, and a job changes, exactly these devices of a fleet.
async fn demand_same(
    bench: &mut Bench,
    fleet: &Fleet,
    condition: &str,
    expected: &[usize],
) -> Checked {
    fleet.selects(bench, "QRY-073", condition, expected).await?;
    let whole = format!("tags.mark = '{}' AND ({condition})", fleet.mark);
    let id = bench.start_job(&twin_job(&whole, &wave())).await?;
    ended(bench, "JOB-053", &id).await?;
    for (index, device) in fleet.ids.iter().enumerate() {
        let twin = bench.read_twin(&Identity::device(device)).await?;
        let seen = at(&twin, "/tags/wave");
        let allowed = if expected.contains(&index) { json!(7) } else { Value::Null };
        bench.equal_json("QRY-073", &format!("tags.wave of {index}"), &allowed, seen);
    }
    Ok(())
}
