//! What is asked and answered over HTTP (QRY-001 to -016).

use http::Method;
use serde_json::{Value, json};

use super::fleet::{
    CONTINUATION, Fleet, ITEM_TYPE, MAX_ITEM_COUNT, PATH, ask, devices, is_done, settled,
};
use crate::bench::{Bench, IfMatch, words};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "query-rows",
        title: "A query is answered with an array of twins and says so",
        requirements: &["QRY-001", "QRY-004", "QRY-007", "QRY-072"],
        needs: &[],
        run: body!(rows),
    },
    Case {
        id: "query-empty",
        title: "A query that nobody matches is answered with an empty array of twins",
        requirements: &["QRY-002", "QRY-004"],
        needs: &[],
        run: body!(empty),
    },
    Case {
        id: "query-raw",
        title: "The rows of a count are called Raw",
        requirements: &["QRY-006", "QRY-007"],
        needs: &[],
        run: body!(raw),
    },
    Case {
        id: "query-pages",
        title: "Pages show each row once, and the last one has no token",
        requirements: &["QRY-008", "QRY-009", "QRY-010"],
        needs: &[],
        run: body!(pages),
    },
    Case {
        id: "query-missing",
        title: "A body without a query is refused",
        requirements: &["QRY-013"],
        needs: &[],
        run: body!(missing),
    },
    Case {
        id: "query-grammar",
        title: "Texts that break the grammar are refused",
        requirements: &["QRY-014"],
        needs: &[],
        run: body!(grammar),
    },
    Case {
        id: "query-too-long",
        title: "A query of 8193 characters is refused",
        requirements: &["QRY-015"],
        needs: &[],
        run: body!(too_long),
    },
    Case {
        id: "query-far-too-long",
        title: "A query of a megabyte is refused, and the hub goes on",
        requirements: &["QRY-015"],
        needs: &[],
        run: body!(far_too_long),
    },
    Case {
        id: "query-grammar-deep",
        title: "Thousands of parentheses that nobody closes are refused, and the hub goes on",
        requirements: &["QRY-014"],
        needs: &[],
        run: body!(grammar_deep),
    },
    Case {
        id: "query-without-credentials",
        title: "A query without credentials is refused",
        requirements: &["QRY-016"],
        needs: &[],
        run: body!(without_credentials),
    },
];

/// A query that any hub answers with one row.
const COUNT: &str = "SELECT COUNT() AS total FROM devices";

/// Texts that are no queries, each for another reason.
const BROKEN: [&str; 8] = [
    "",
    "SELECT FROM devices",
    "SELEC * FROM devices",
    "SELECT * FROM devices WHERE",
    "SELECT * FROM devices WHERE tags.a = 'x",
    "SELECT * FROM devices WHERE (tags.a = 1",
    "SELECT * FROM devices WHERE NOBODY_KNOWS(tags.a)",
    "SELECT * FROM nowhere",
];

/// Members that every row of a twin has.
const MEMBERS: [&str; 6] =
    ["deviceId", "etag", "status", "connectionState", "version", "properties"];

async fn rows(bench: &mut Bench) -> Checked {
    let fleet = Fleet::new(bench, &[(json!({}), json!({}))]).await?;
    let query = fleet.query("true");
    let answer = settled(bench, &query, |rows| !devices(rows).is_empty()).await?;
    let rows = answer.json();
    let is_good = answer.status.as_u16() == 200 && devices(&rows) == fleet.ids;
    bench.demand("QRY-001", is_good, "200 with an array of one row", answer.to_string());
    item_type(bench, "QRY-004", "Twin", answer.header(ITEM_TYPE));
    item_type(bench, "QRY-007", "Twin", answer.header(ITEM_TYPE));
    let has = |member: &&str| rows.pointer(&format!("/0/{member}")).is_some();
    let present: Vec<&str> = MEMBERS.into_iter().filter(has).collect();
    bench.equal("QRY-072", "members", MEMBERS.to_vec(), present);
    Ok(())
}

/// Demands that the header is `allowed`; the demand about spelling does not ask for the header.
fn item_type(bench: &mut Bench, requirement: &'static str, allowed: &str, seen: Option<&str>) {
    let holds = match (requirement, seen) {
        ("QRY-007", None) => true,
        ("QRY-007", Some(seen)) => seen == allowed || !seen.eq_ignore_ascii_case(allowed),
        (_, seen) => seen.is_some_and(|seen| seen.eq_ignore_ascii_case(allowed)),
    };
    bench.demand(requirement, holds, format!("{ITEM_TYPE}: {allowed}"), words(&seen));
}

async fn empty(bench: &mut Bench) -> Checked {
    let nobody = bench.new_name();
    let query = format!("SELECT * FROM devices WHERE tags.mark = '{nobody}'");
    let answer = ask(bench, &query, &[]).await?;
    let is_empty = answer.status.as_u16() == 200 && answer.json() == json!([]);
    bench.demand("QRY-002", is_empty, "200 with []", answer.to_string());
    item_type(bench, "QRY-004", "Twin", answer.header(ITEM_TYPE));
    Ok(())
}

async fn raw(bench: &mut Bench) -> Checked {
    let answer = ask(bench, COUNT, &[]).await?;
    item_type(bench, "QRY-006", "Raw", answer.header(ITEM_TYPE));
    item_type(bench, "QRY-007", "Raw", answer.header(ITEM_TYPE));
    Ok(())
}

async fn pages(bench: &mut Bench) -> Checked {
    let twins = [(json!({}), json!({})), (json!({}), json!({})), (json!({}), json!({}))];
    let fleet = Fleet::new(bench, &twins).await?;
    let query = fleet.query("true");
    settled(bench, &query, |rows| devices(rows).len() == twins.len()).await?;
    for size in [1, 2, 3] {
        one_size(bench, &fleet, &query, size).await?;
    }
    Ok(())
}

async fn one_size(bench: &mut Bench, fleet: &Fleet, query: &str, size: usize) -> Checked {
    let (mut seen, mut sizes) = (Vec::new(), Vec::new());
    let mut token: Option<String> = None;
    // One page more than needed shows a token that leads nowhere.
    for _ in 0..=fleet.ids.len() {
        let size = size.to_string();
        let mut headers = vec![(MAX_ITEM_COUNT, size.as_str())];
        headers.extend(token.as_deref().map(|token| (CONTINUATION, token)));
        let answer = ask(bench, query, &headers).await?;
        let rows: Value = answer.json();
        sizes.push(devices(&rows).len());
        seen.extend(devices(&rows).into_iter().map(str::to_owned));
        token = answer.header(CONTINUATION).map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let fits = sizes.iter().all(|rows| *rows <= size);
    bench.demand("QRY-008", fits, format!("at most {size} rows a page"), format!("{sizes:?}"));
    seen.sort_unstable();
    let mut all = fleet.ids.clone();
    all.sort_unstable();
    bench.equal("QRY-009", "rows of all pages", all, seen);
    let is_over = token.is_none() && sizes.last().is_some_and(|rows| *rows > 0);
    let allowed = "no token on the page that shows the last row";
    bench.demand(
        "QRY-010",
        is_over,
        allowed,
        format!("pages of {}, then {}", words(&sizes), words(&token)),
    );
    Ok(())
}

async fn missing(bench: &mut Bench) -> Checked {
    let answer = bench.call(Method::POST, PATH, IfMatch::Absent, Some(&json!({}))).await?;
    let holds = answer.status.as_u16() == 400 && answer.to_string().contains("ArgumentNull");
    bench.demand("QRY-013", holds, "400 ArgumentNull", answer.to_string());
    Ok(())
}

async fn grammar(bench: &mut Bench) -> Checked {
    let good = ask(bench, COUNT, &[]).await?;
    let is_answered = good.status.as_u16() == 200;
    bench.demand("QRY-014", is_answered, "200 for a good query", good.to_string());
    for text in BROKEN {
        let answer = ask(bench, text, &[]).await?;
        let holds = answer.status.as_u16() == 400;
        bench.demand("QRY-014", holds, format!("{text}: 400"), answer.to_string());
    }
    Ok(())
}

async fn too_long(bench: &mut Bench) -> Checked {
    let pad = |length: usize| format!("{:length$}", "SELECT COUNT() AS total FROM devices");
    let good = ask(bench, &pad(8000), &[]).await?;
    bench.demand("QRY-015", good.status.as_u16() == 200, "200 for 8000", good.to_string());
    let answer = ask(bench, &pad(8193), &[]).await?;
    bench.demand("QRY-015", answer.status.is_client_error(), "4xx", answer.to_string());
    Ok(())
}

async fn far_too_long(bench: &mut Bench) -> Checked {
    let query = format!("{COUNT} WHERE deviceId = '{}'", "x".repeat(1 << 20));
    let answer = ask(bench, &query, &[]).await?;
    bench.demand("QRY-015", answer.status.is_client_error(), "4xx", answer.to_string());
    let good = ask(bench, COUNT, &[]).await?;
    bench.demand("QRY-015", is_done(&good), "200 for a short query", good.to_string());
    Ok(())
}

async fn grammar_deep(bench: &mut Bench) -> Checked {
    for opening in ["(", "NOT (", "IS_DEFINED("] {
        let query = format!("{COUNT} WHERE {}", opening.repeat(8000 / opening.len()));
        let answer = ask(bench, &query, &[]).await?;
        let allowed = format!("400 for thousands of {opening}");
        bench.demand("QRY-014", answer.status.as_u16() == 400, allowed, answer.to_string());
    }
    let good = ask(bench, &format!("{COUNT} WHERE ((true))"), &[]).await?;
    bench.demand("QRY-014", is_done(&good), "200 for two that are closed", good.to_string());
    Ok(())
}

async fn without_credentials(bench: &mut Bench) -> Checked {
    let body = json!({ "query": "SELECT COUNT() AS total FROM devices" });
    let answer = bench.call_as(None, Method::POST, PATH, Some(&body)).await?;
    bench.demand("QRY-016", answer.status.as_u16() == 401, "401", answer.to_string());
    Ok(())
}
