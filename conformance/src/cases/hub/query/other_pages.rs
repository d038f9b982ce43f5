//! Pages of other rows than device twins (QRY-004, -008, -009).

use serde_json::json;

use super::fleet::{CONTINUATION, Fleet, ITEM_TYPE, MAX_ITEM_COUNT, ask, settled};
use crate::bench::{Bench, words};
use crate::body;
use crate::case::Case;
use crate::cases::hub::job::tools::{Marked, completed};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "query-pages-of-projections",
        title: "Pages of projections show each row once",
        requirements: &["QRY-008", "QRY-009"],
        needs: &[],
        run: body!(of_projections),
    },
    Case {
        id: "query-pages-of-modules",
        title: "Pages of modules show each row once, and each says what its rows are",
        requirements: &["QRY-004", "QRY-008", "QRY-009"],
        needs: &[],
        run: body!(of_modules),
    },
    Case {
        id: "query-pages-of-job-rows",
        title: "Pages of rows of jobs show each row once, and each says what its rows are",
        requirements: &["QRY-005", "QRY-008", "QRY-009"],
        needs: &[],
        run: body!(of_job_rows),
    },
    Case {
        id: "query-pages-of-groups",
        title: "Pages of groups show each group once",
        requirements: &["QRY-008", "QRY-009"],
        needs: &[],
        run: body!(of_groups),
    },
];

/// How many rows each of the cases has.
const ROWS: usize = 3;

/// What the pages of a query showed.
struct Walk {
    /// What names each row, in order.
    names: Vec<String>,
    sizes: Vec<usize>,
    item_types: Vec<String>,
}

/// Reads a query page by page, one page more than there can be.
async fn walk(bench: &mut Bench, query: &str, size: usize, member: &str) -> Checked<Walk> {
    let mut walk = Walk { names: Vec::new(), sizes: Vec::new(), item_types: Vec::new() };
    let mut token: Option<String> = None;
    for _ in 0..=ROWS {
        let size = size.to_string();
        let mut headers = vec![(MAX_ITEM_COUNT, size.as_str())];
        headers.extend(token.as_deref().map(|token| (CONTINUATION, token)));
        let answer = ask(bench, query, &headers).await?;
        let rows = answer.json();
        let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
        walk.sizes.push(rows.len());
        walk.names.extend(rows.iter().map(|row| row[member].to_string()));
        walk.item_types.push(answer.header(ITEM_TYPE).unwrap_or("none").to_owned());
        token = answer.header(CONTINUATION).map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    walk.names.sort_unstable();
    Ok(walk)
}

/// Demands that pages of every size show the rows whose `member` is one of `names`, once each.
async fn demand_pages(
    bench: &mut Bench,
    query: &str,
    member: &str,
    names: &[String],
) -> Checked<Vec<String>> {
    let mut all: Vec<String> = names.iter().map(|name| json!(name).to_string()).collect();
    all.sort_unstable();
    settled(bench, query, |rows| rows.as_array().is_some_and(|rows| rows.len() == ROWS)).await?;
    let mut item_types = Vec::new();
    for size in [1, 2, 3] {
        let walk = walk(bench, query, size, member).await?;
        let fits = walk.sizes.iter().all(|rows| *rows <= size);
        let allowed = format!("at most {size} rows a page");
        bench.demand("QRY-008", fits, allowed, words(&walk.sizes));
        bench.equal("QRY-009", "rows of all pages", &all, &walk.names);
        item_types.extend(walk.item_types);
    }
    Ok(item_types)
}

/// Demands what each page said of its rows.
fn demand_types(bench: &mut Bench, requirement: &'static str, allowed: &str, seen: &[String]) {
    let holds = seen.iter().all(|seen| seen == allowed);
    bench.demand(requirement, holds, format!("{ITEM_TYPE}: {allowed} on each page"), words(&seen));
}

async fn of_projections(bench: &mut Bench) -> Checked {
    let twin = || (json!({}), json!({}));
    let fleet = Fleet::new(bench, &[twin(), twin(), twin()]).await?;
    let query = format!("SELECT deviceId FROM devices WHERE tags.mark = '{}'", fleet.mark);
    demand_pages(bench, &query, "deviceId", &fleet.ids).await.map(drop)
}

async fn of_modules(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let names = ["left", "middle", "right"].map(str::to_owned);
    for name in &names {
        bench.module(&device, name).await?;
    }
    let device = &device.identity.device;
    let query = format!("SELECT * FROM devices.modules WHERE deviceId = '{device}'");
    let seen = demand_pages(bench, &query, "moduleId", &names).await?;
    demand_types(bench, "QRY-004", "Twin", &seen);
    Ok(())
}

async fn of_job_rows(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, ROWS).await?;
    let id = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &id).await?;
    let query = format!("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '{id}'");
    let names: Vec<String> = marked.ids().into_iter().map(str::to_owned).collect();
    let seen = demand_pages(bench, &query, "deviceId", &names).await?;
    demand_types(bench, "QRY-005", "DeviceJob", &seen);
    Ok(())
}

async fn of_groups(bench: &mut Bench) -> Checked {
    let kinds = ["gate", "pump", "valve"].map(str::to_owned);
    let twins = kinds.clone().map(|kind| (json!({ "kind": kind }), json!({})));
    let fleet = Fleet::new(bench, &twins).await?;
    let query = format!(
        "SELECT tags.kind AS kind, COUNT() AS n FROM devices WHERE tags.mark = '{}' GROUP BY \
         tags.kind",
        fleet.mark
    );
    demand_pages(bench, &query, "kind", &kinds).await.map(drop)
}
