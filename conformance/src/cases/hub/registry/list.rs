//! Lists of devices and counts of them (HUB-REG-017, -018, -035).

use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;

use super::calls::{any, create, identity_of, read, text, update, watch};
use crate::bench::{Bench, IfMatch, identity_path, words};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "registry-list-top",
        title: "A list with top=2 has at most two devices although there are three",
        requirements: &["HUB-REG-017"],
        needs: &[],
        run: |bench| Box::pin(list_top(bench, "/devices?top=2")),
    },
    Case {
        id: "registry-list-top-after-slash",
        title: "A list is given at the path with a trailing slash too",
        requirements: &["HUB-REG-017"],
        needs: &[],
        run: |bench| Box::pin(list_top(bench, "/devices/?top=2")),
    },
    Case {
        id: "registry-list-top-out-of-range",
        title: "A top of 0, 1001 or 5000 lists as many devices as a top of 1000",
        requirements: &["HUB-REG-018"],
        needs: &[Need::Alone],
        run: body!(top_out_of_range),
    },
    Case {
        id: "registry-statistics-total",
        title: "The total of devices grows with a new device and shrinks when it is deleted",
        requirements: &["HUB-REG-035"],
        needs: &[Need::Alone],
        run: body!(total_counted),
    },
    Case {
        id: "registry-statistics-disabled",
        title: "A device that is disabled is counted as disabled and not as enabled",
        requirements: &["HUB-REG-035"],
        needs: &[Need::Alone],
        run: body!(disabled_counted),
    },
    Case {
        id: "registry-statistics-modules",
        title: "A module is not counted among the devices",
        requirements: &["HUB-REG-035"],
        needs: &[Need::Alone],
        run: body!(modules_not_counted),
    },
    Case {
        id: "registry-statistics-connected",
        title: "A device is counted as connected as long as it is",
        requirements: &["HUB-REG-035"],
        needs: &[Need::Alone],
        run: body!(connected_counted),
    },
];

async fn three_devices(bench: &mut Bench) -> Checked {
    for _ in 0..3 {
        let device = bench.device().await?;
        // No list of devices shows it.
        bench.module(&device, "vision").await?;
        read(bench, &device.identity, any).await?;
    }
    Ok(())
}

/// How many devices a list has; none when it is no list.
fn length(answer: &Answer) -> Option<usize> {
    let list = answer.json();
    let list = list.as_array().filter(|_| answer.status.as_u16() == 200)?;
    let is_device = |entity: &Value| {
        !text(entity, "/deviceId").is_empty() && text(entity, "/moduleId").is_empty()
    };
    list.iter().all(is_device).then_some(list.len())
}

async fn list_top(bench: &mut Bench, path: &str) -> Checked {
    three_devices(bench).await?;
    let answer = bench.call(Method::GET, path, IfMatch::Absent, None).await?;
    let holds = length(&answer).is_some_and(|length| (1..=2).contains(&length));
    bench.demand("HUB-REG-017", holds, "200 with one or two devices", answer.to_string());
    Ok(())
}

async fn top_out_of_range(bench: &mut Bench) -> Checked {
    three_devices(bench).await?;
    let whole = bench.call(Method::GET, "/devices?top=1000", IfMatch::Absent, None).await?;
    let whole = length(&whole);
    bench.demand("HUB-REG-017", whole >= Some(3), "three devices or more", words(&whole));
    for top in [0, 1001, 5000] {
        let path = format!("/devices?top={top}");
        let answer = bench.call(Method::GET, &path, IfMatch::Absent, None).await?;
        let holds = length(&answer) == whole;
        let allowed = format!("200 with {} devices for top={top}", words(&whole));
        bench.demand("HUB-REG-018", holds, allowed, answer.to_string());
    }
    Ok(())
}

/// What the devices of a hub are counted by.
const COUNTS: [&str; 3] = ["/totalDeviceCount", "/enabledDeviceCount", "/disabledDeviceCount"];

async fn total_counted(bench: &mut Bench) -> Checked {
    let before = device_counts(bench).await?;
    let device = bench.device().await?.identity;
    demand_counts(bench, before, [1, 1, 0]).await?;
    bench.call(Method::DELETE, &identity_path(&device), IfMatch::Any, None).await?;
    demand_counts(bench, before, [0, 0, 0]).await
}

async fn disabled_counted(bench: &mut Bench) -> Checked {
    let before = device_counts(bench).await?;
    let identity = Identity::device(bench.new_name());
    let device = create(bench, "HUB-REG-001", &identity, json!({ "status": "disabled" })).await?;
    demand_counts(bench, before, [1, 0, 1]).await?;
    update(bench, "HUB-REG-015", IfMatch::Any, &device, json!({ "status": "enabled" })).await?;
    read(bench, &identity_of(&device), any).await?;
    demand_counts(bench, before, [1, 1, 0]).await
}

async fn modules_not_counted(bench: &mut Bench) -> Checked {
    let before = device_counts(bench).await?;
    let device = bench.device().await?;
    demand_counts(bench, before, [1, 1, 0]).await?;
    let module = bench.module(&device, "vision").await?.identity;
    read(bench, &module, any).await?;
    demand_counts(bench, before, [1, 1, 0]).await
}

async fn device_counts(bench: &mut Bench) -> Checked<[i64; 3]> {
    let answer = bench.call(Method::GET, "/statistics/devices", IfMatch::Absent, None).await?;
    let counts = counts(&answer);
    let allowed = "200 with three counts";
    bench.demand("HUB-REG-035", counts.is_some(), allowed, answer.to_string());
    Ok(counts.unwrap_or_default())
}

fn counts(answer: &Answer) -> Option<[i64; 3]> {
    let body = answer.json();
    let [total, enabled, disabled] = COUNTS.map(|name| body.pointer(name).and_then(Value::as_i64));
    Some([total?, enabled?, disabled?])
}

async fn demand_counts(bench: &mut Bench, before: [i64; 3], grown: [i64; 3]) -> Checked {
    let [total, enabled, disabled] = before;
    let allowed = Some([total + grown[0], enabled + grown[1], disabled + grown[2]]);
    let shows = |answer: &Answer| counts(answer) == allowed;
    let answer = watch(bench, "/statistics/devices", shows).await?;
    bench.equal("HUB-REG-035", "total, enabled and disabled", allowed, counts(&answer));
    Ok(())
}

async fn connected_counted(bench: &mut Bench) -> Checked {
    let answer = bench.call(Method::GET, "/statistics/service", IfMatch::Absent, None).await?;
    let before = connected(&answer);
    let is_count = before.is_some();
    bench.demand("HUB-REG-035", is_count, "connectedDeviceCount", answer.to_string());
    let device = bench.device().await?;
    let connection = bench.connect(&device).await?;
    demand_connected(bench, before.map(|count| count + 1)).await?;
    connection.disconnect().await?;
    demand_connected(bench, before).await
}

fn connected(answer: &Answer) -> Option<i64> {
    answer.json().get("connectedDeviceCount").and_then(Value::as_i64)
}

async fn demand_connected(bench: &mut Bench, allowed: Option<i64>) -> Checked {
    let shows = |answer: &Answer| connected(answer) == allowed;
    let answer = watch(bench, "/statistics/service", shows).await?;
    bench.equal("HUB-REG-035", "connectedDeviceCount", allowed, connected(&answer));
    Ok(())
}
