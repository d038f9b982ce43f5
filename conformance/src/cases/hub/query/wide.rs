//! What concerns the whole collection: all rows, large pages, overload, changes (QRY-003 to -030).

use http::Method;
use serde_json::{Value, json};

use super::fleet::{
    CONTINUATION, Fleet, ITEM_TYPE, MAX_ITEM_COUNT, PATH, ask, devices, is_done, settled,
};
use crate::bench::{Bench, IfMatch, Registered};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "query-member-in-other-case",
        title: "The member query is found although it is written Query",
        requirements: &["QRY-003"],
        needs: &[],
        run: body!(member_in_other_case),
    },
    Case {
        id: "query-no-jobs-item-type",
        title: "The empty rows of jobs are called DeviceJob",
        requirements: &["QRY-005", "QRY-007"],
        needs: &[],
        run: body!(jobs_item_type),
    },
    Case {
        id: "query-large-pages",
        title: "Pages of 100 are answered, and larger ones are answered or cut",
        requirements: &["QRY-008", "QRY-011", "A-Q16"],
        needs: &[Need::Alone],
        run: body!(large_pages),
    },
    Case {
        id: "query-corrupt-token",
        title: "A continuation token of random letters is refused",
        requirements: &["QRY-012"],
        needs: &[],
        run: body!(corrupt_token),
    },
    Case {
        id: "query-changes-show",
        title: "A tag that was changed is found as it is, and no more as it was",
        requirements: &["QRY-017"],
        needs: &[],
        run: body!(changes_show),
    },
    Case {
        id: "query-overload",
        title: "Too many queries are answered 429",
        requirements: &["QRY-018"],
        needs: &[Need::Throttling],
        run: body!(overload),
    },
    Case {
        id: "query-all-devices",
        title: "SELECT * FROM devices shows each device twin once, and no module",
        requirements: &["QRY-009", "QRY-030"],
        needs: &[Need::Alone],
        run: body!(all_devices),
    },
];

/// Devices that one bulk call takes (HUB-REG-028).
const BULK_MAX: usize = 100;

/// Pages that a case walks through before it gives up: a dedicated hub may have devices of its own.
const PAGES_MAX: usize = 1000;

async fn member_in_other_case(bench: &mut Bench) -> Checked {
    let fleet = Fleet::new(bench, &[(json!({}), json!({}))]).await?;
    let query = fleet.query("true");
    settled(bench, &query, |rows| !devices(rows).is_empty()).await?;
    let body = json!({ "Query": query });
    let answer = bench.call(Method::POST, PATH, IfMatch::Absent, Some(&body)).await?;
    let holds = is_done(&answer) && devices(&answer.json()) == fleet.ids;
    bench.demand("QRY-003", holds, "200 with one row", answer.to_string());
    Ok(())
}

async fn jobs_item_type(bench: &mut Bench) -> Checked {
    let nobody = bench.new_name();
    let query = format!("SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = '{nobody}'");
    let answer = ask(bench, &query, &[]).await?;
    let seen = answer.header(ITEM_TYPE).unwrap_or("none").to_owned();
    let is_named = is_done(&answer) && seen.eq_ignore_ascii_case("DeviceJob");
    bench.demand("QRY-005", is_named, "200 with x-ms-item-type: DeviceJob", &*seen);
    let is_spelled = seen == "DeviceJob" || !seen.eq_ignore_ascii_case("DeviceJob");
    bench.demand("QRY-007", is_spelled, "DeviceJob", seen);
    Ok(())
}

/// Registers as many devices as a page of the usual largest size holds, and one more.
async fn more_than_a_page(bench: &mut Bench) -> Checked {
    let ids: Vec<String> = (0..=BULK_MAX).map(|_| bench.new_name()).collect();
    for ids in ids.chunks(BULK_MAX) {
        let items: Value =
            ids.iter().map(|id| json!({ "id": id, "importMode": "create" })).collect();
        let answer = bench.call(Method::POST, "/devices", IfMatch::Absent, Some(&items)).await?;
        if answer.json().get("isSuccessful") != Some(&json!(true)) {
            return Err(Stop::Broken {
                requirement: "HUB-REG-029",
                allowed: "200 with isSuccessful true".to_owned(),
                seen: answer.to_string(),
            });
        }
    }
    let count = "SELECT COUNT() AS total FROM devices";
    let all = |rows: &Value| rows.pointer("/0/total").and_then(Value::as_u64) > Some(100);
    settled(bench, count, all).await.map(drop)
}

async fn large_pages(bench: &mut Bench) -> Checked {
    more_than_a_page(bench).await?;
    let query = "SELECT * FROM devices";
    let answer = ask(bench, query, &[(MAX_ITEM_COUNT, "100")]).await?;
    let rows = devices(&answer.json()).len();
    bench.demand("QRY-011", is_done(&answer), "200 for pages of 100", answer.to_string());
    bench.demand("QRY-008", rows <= 100, "at most 100 rows a page", format!("{rows}"));
    let answer = ask(bench, query, &[(MAX_ITEM_COUNT, "1000")]).await?;
    let rows = devices(&answer.json()).len();
    let tag = match (answer.status.as_u16(), rows) {
        (200, 0..=100) => "clamped-to-100",
        (200, _) => "clamped-to-1000",
        (400..500, _) => "refused",
        _ => "otherwise",
    };
    bench.decides("A-Q16", tag, format!("{} with {rows} rows for 1000", answer.status));
    Ok(())
}

async fn corrupt_token(bench: &mut Bench) -> Checked {
    let query = "SELECT * FROM devices";
    let good = ask(bench, query, &[(MAX_ITEM_COUNT, "1")]).await?;
    bench.demand("QRY-012", is_done(&good), "200 without a token", good.to_string());
    let answer = ask(bench, query, &[(CONTINUATION, "qzxvjkwpfy")]).await?;
    bench.demand("QRY-012", answer.status.is_client_error(), "4xx", answer.to_string());
    Ok(())
}

async fn changes_show(bench: &mut Bench) -> Checked {
    let fleet = Fleet::new(bench, &[(json!({ "stage": "before" }), json!({}))]).await?;
    fleet.selects(bench, "QRY-017", "tags.stage = 'before'", &[0]).await?;
    let Some(identity) = fleet.identity(0) else { return Ok(()) };
    bench.patch_twin(&identity, &json!({ "tags": { "stage": "after" } })).await?;
    fleet.selects(bench, "QRY-017", "tags.stage = 'after'", &[0]).await?;
    fleet.selects(bench, "QRY-017", "tags.stage = 'before'", &[]).await?;
    let rows = ask(bench, &fleet.query("true"), &[]).await?.json();
    let seen = rows.pointer("/0/tags/stage").cloned().unwrap_or_default();
    bench.equal_json("QRY-017", "tags.stage of the row", &json!("after"), &seen);
    Ok(())
}

async fn overload(bench: &mut Bench) -> Checked {
    /// Queries that a hub with very low limits must not take in a row.
    const QUERIES_MAX: usize = 100;
    let query = "SELECT COUNT() AS total FROM devices";
    let first = ask(bench, query, &[]).await?;
    bench.demand("QRY-018", is_done(&first), "200 for the first query", first.to_string());
    for _ in 0..QUERIES_MAX {
        let answer = ask(bench, query, &[]).await?;
        if !answer.status.is_success() {
            let holds = answer.status.as_u16() == 429;
            bench.demand("QRY-018", holds, "429", answer.to_string());
            return Ok(());
        }
    }
    let seen = format!("{QUERIES_MAX} successes in a row");
    bench.demand("QRY-018", false, "429", seen);
    Ok(())
}

async fn all_devices(bench: &mut Bench) -> Checked {
    let twins = [(json!({}), json!({})), (json!({}), json!({})), (json!({}), json!({}))];
    let fleet = Fleet::new(bench, &twins).await?;
    if let Some(identity) = fleet.identity(0) {
        let device = Registered { identity, key: String::new() };
        bench.module(&device, "part").await?;
    }
    settled(bench, &fleet.query("true"), |rows| devices(rows).len() == twins.len()).await?;
    let (rows, is_over) = all_rows(bench, "SELECT * FROM devices").await?;
    bench.demand("QRY-009", is_over, "an end", format!("{PAGES_MAX} pages and a token"));
    let mine = |row: &&Value| fleet.ids.iter().any(|id| row["deviceId"] == json!(id));
    let rows: Vec<&Value> = rows.iter().filter(mine).collect();
    let mut seen: Vec<String> =
        rows.iter().filter_map(|row| row["deviceId"].as_str()).map(str::to_owned).collect();
    seen.sort_unstable();
    let mut expected = fleet.ids.clone();
    expected.sort_unstable();
    bench.equal("QRY-030", "devices", expected, seen);
    let modules = rows.iter().filter(|row| row.get("moduleId").is_some_and(|id| !id.is_null()));
    bench.equal("QRY-030", "modules among the rows", 0, modules.count());
    Ok(())
}

/// The rows of all pages, and whether there was a last one.
async fn all_rows(bench: &mut Bench, query: &str) -> Checked<(Vec<Value>, bool)> {
    let mut rows = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let headers: Vec<(&str, &str)> =
            token.as_deref().map(|token| (CONTINUATION, token)).into_iter().collect();
        let answer = ask(bench, query, &headers).await?;
        if !is_done(&answer) {
            return Err(Stop::Broken {
                requirement: "QRY-001",
                allowed: "200 with an array".to_owned(),
                seen: answer.to_string(),
            });
        }
        rows.extend(answer.json().as_array().cloned().unwrap_or_default());
        token = answer.header(CONTINUATION).map(str::to_owned);
        if token.is_none() {
            return Ok((rows, true));
        }
    }
    Ok((rows, false))
}
