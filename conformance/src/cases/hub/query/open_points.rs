//! What the sources leave open about queries: any allowed outcome will do, unless the profile pins
//! one.

use serde_json::{Value, json};

use super::fleet::{CONTINUATION, Fleet, MAX_ITEM_COUNT, ask, devices, is_done, settled};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    open("query-open-as", "AS may be left out, or not", &["A-Q01"], body!(unnamed)),
    open(
        "query-open-projections",
        "Members alone are shown, or not",
        &["A-Q02"],
        body!(projections),
    ),
    open(
        "query-open-module-aggregates",
        "Modules are counted and grouped, or only counted, or neither",
        &["A-Q03"],
        body!(module_aggregates),
    ),
    open("query-open-top", "TOP limits the rows, or is refused", &["QRY-068", "A-Q04"], body!(top)),
    open(
        "query-open-other-clauses",
        "ORDER BY, DISTINCT, LIKE and JOIN are refused, or one of them is not",
        &["QRY-067", "A-Q05"],
        body!(other_clauses),
    ),
    open(
        "query-open-missing-member",
        "A projected path that finds nothing is left out, or shown as null",
        &["A-Q06"],
        body!(missing_member),
    ),
    open(
        "query-open-missing-group",
        "Rows without the path are a group without a key, one with null, or none",
        &["A-Q07"],
        body!(missing_group),
    ),
    open(
        "query-open-precedence",
        "Operators bind as in SQL, or otherwise, or unary minus is refused",
        &["A-Q08"],
        body!(precedence),
    ),
    open(
        "query-open-missing-values",
        "A missing value is unequal to others, or has no answer",
        &["QRY-041", "A-Q09"],
        body!(missing_values),
    ),
    open(
        "query-open-doubled-quote",
        "A doubled quote stands for a quote, or is refused",
        &["A-Q10"],
        body!(doubled_quote),
    ),
    open(
        "query-open-without-from",
        "A query without FROM is refused, or asks for devices",
        &["A-Q11"],
        body!(without_from),
    ),
    open(
        "query-open-functions",
        "Functions that are not documented work, or are refused",
        &["QRY-061", "A-Q12"],
        body!(functions),
    ),
    open(
        "query-open-single-brackets",
        "Elements of arrays cannot be named, or can",
        &["A-Q13"],
        body!(single_brackets),
    ),
    open(
        "query-open-metadata",
        "Conditions on $metadata work, select nobody, or are refused",
        &["A-Q14"],
        body!(metadata),
    ),
    open(
        "query-open-foreign-token",
        "The token of another query is refused, or continues, or begins again",
        &["A-Q15"],
        body!(foreign_token),
    ),
    open(
        "query-open-too-long",
        "A query that is too long is refused with 400, 412 or 413",
        &["A-Q17"],
        body!(too_long),
    ),
    open(
        "query-open-jobs-projection",
        "A projection of jobs is refused with 400 or another code, or shows nothing",
        &["A-Q18"],
        body!(jobs_projection),
    ),
];

const fn open(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    run: for<'a> fn(&'a mut Bench) -> crate::case::Body<'a>,
) -> Case {
    Case { id, title, requirements, needs: &[], run }
}

/// What a query came to.
enum Outcome {
    Rows(Value),
    Refused,
    Otherwise,
}

/// Asks, and says in words what came.
async fn outcome(bench: &mut Bench, query: &str) -> Checked<(Outcome, String)> {
    let answer = ask(bench, query, &[]).await?;
    let rows = answer.json();
    let outcome = match answer.status.as_u16() {
        200 if rows.is_array() => Outcome::Rows(rows),
        400..500 => Outcome::Refused,
        _ => Outcome::Otherwise,
    };
    Ok((outcome, format!("{query}: {answer}")))
}

/// Devices with these tags, when queries show all of them.
async fn fleet(bench: &mut Bench, tags: &[Value]) -> Checked<Fleet> {
    let twins: Vec<(Value, Value)> = tags.iter().map(|tags| (tags.clone(), json!({}))).collect();
    let fleet = Fleet::new(bench, &twins).await?;
    let all = |rows: &Value| devices(rows).len() == twins.len();
    settled(bench, &fleet.query("true"), all).await?;
    Ok(fleet)
}

/// `what` of all devices of `fleet`.
fn select(what: &str, fleet: &Fleet) -> String {
    format!("SELECT {what} FROM devices WHERE tags.mark = '{}'", fleet.mark)
}

async fn unnamed(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({ "kind": "pump" })]).await?;
    let (outcome, seen) = outcome(bench, &select("tags.kind", &fleet)).await?;
    let tag = match outcome {
        Outcome::Rows(rows) if rows == json!([{ "kind": "pump" }]) => "optional",
        Outcome::Refused => "mandatory",
        Outcome::Rows(_) | Outcome::Otherwise => "otherwise",
    };
    bench.decides("A-Q01", tag, seen);
    Ok(())
}

async fn projections(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({ "kind": "pump" })]).await?;
    let (outcome, seen) = outcome(bench, &select("tags.kind AS kind", &fleet)).await?;
    let tag = match outcome {
        Outcome::Rows(rows) if rows == json!([{ "kind": "pump" }]) => "allowed",
        Outcome::Refused => "refused",
        Outcome::Rows(_) | Outcome::Otherwise => "otherwise",
    };
    bench.decides("A-Q02", tag, seen);
    Ok(())
}

async fn module_aggregates(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.module(&device, "left").await?;
    let device = &device.identity.device;
    let rows = format!("FROM devices.modules WHERE deviceId = '{device}'");
    let one = |rows: &Value| devices(rows).len() == 1;
    settled(bench, &format!("SELECT * {rows}"), one).await?;
    let (count, counted) = outcome(bench, &format!("SELECT COUNT() AS n {rows}")).await?;
    let query = format!("SELECT deviceId AS d, COUNT() AS n {rows} GROUP BY deviceId");
    let (groups, grouped) = outcome(bench, &query).await?;
    let is_counted = matches!(&count, Outcome::Rows(rows) if *rows == json!([{ "n": 1 }]));
    let is_grouped =
        matches!(&groups, Outcome::Rows(rows) if *rows == json!([{ "d": device, "n": 1 }]));
    let tag = match (&count, &groups) {
        (_, Outcome::Refused) if is_counted => "aggregates-only",
        _ if is_counted && is_grouped => "both",
        (Outcome::Refused, Outcome::Refused) => "refused",
        _ => "otherwise",
    };
    bench.decides("A-Q03", tag, format!("{counted}; {grouped}"));
    Ok(())
}

async fn top(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({}), json!({}), json!({})]).await?;
    let (outcome, seen) = outcome(bench, &select("TOP 2 *", &fleet)).await?;
    let tag = match outcome {
        Outcome::Rows(rows) if devices(&rows).len() == 2 => "limits",
        Outcome::Refused => "refused",
        Outcome::Rows(_) | Outcome::Otherwise => "otherwise",
    };
    bench.demand("QRY-068", tag != "otherwise", "two rows, or 4xx", &*seen);
    bench.decides("A-Q04", tag, seen);
    Ok(())
}

async fn other_clauses(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({ "kind": "pump" })]).await?;
    let all = select("*", &fleet);
    let mut tag = "refused";
    let mut shown = Vec::new();
    for query in [
        format!("{all} ORDER BY deviceId"),
        select("DISTINCT tags.kind", &fleet),
        format!("{all} AND tags.kind LIKE 'p%'"),
        "SELECT * FROM devices JOIN devices.modules".to_owned(),
    ] {
        let (outcome, seen) = outcome(bench, &query).await?;
        bench.demand("QRY-067", matches!(outcome, Outcome::Refused), "4xx", &*seen);
        match outcome {
            Outcome::Refused => {}
            Outcome::Rows(_) if tag == "otherwise" => {}
            Outcome::Rows(_) => tag = "accepted",
            Outcome::Otherwise => tag = "otherwise",
        }
        shown.push(seen);
    }
    bench.decides("A-Q05", tag, shown.join("; "));
    Ok(())
}

async fn missing_member(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({ "kind": "pump" })]).await?;
    let (plain, shown) =
        outcome(bench, &select("tags.kind AS kind, tags.no AS no", &fleet)).await?;
    let (unnamed, counted) = outcome(bench, &select("COUNT()", &fleet)).await?;
    let tag = match (plain, unnamed) {
        (Outcome::Rows(rows), _) if rows == json!([{ "kind": "pump", "no": null }]) => "null",
        (Outcome::Rows(rows), Outcome::Rows(_)) if rows == json!([{ "kind": "pump" }]) => "named",
        (Outcome::Rows(rows), Outcome::Refused) if rows == json!([{ "kind": "pump" }]) => "omitted",
        _ => "otherwise",
    };
    bench.decides("A-Q06", tag, format!("{shown}; {counted}"));
    Ok(())
}

async fn missing_group(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({ "kind": "pump" }), json!({}), json!({})]).await?;
    let query = format!("{} GROUP BY tags.kind", select("tags.kind AS kind, COUNT() AS n", &fleet));
    let (outcome, seen) = outcome(bench, &query).await?;
    let Outcome::Rows(rows) = outcome else {
        bench.decides("A-Q07", "otherwise", seen);
        return Ok(());
    };
    let rows = rows.as_array().cloned().unwrap_or_default();
    let (pumps, others): (Vec<Value>, Vec<Value>) =
        rows.into_iter().partition(|row| row["kind"] == "pump");
    let tag = match (pumps == [json!({ "kind": "pump", "n": 1 })], others.as_slice()) {
        (true, []) => "left-out",
        (true, [row]) if *row == json!({ "n": 2 }) => "one-row-without-key",
        (true, [row]) if *row == json!({ "kind": null, "n": 2 }) => "null-key",
        _ => "otherwise",
    };
    bench.decides("A-Q07", tag, seen);
    Ok(())
}

async fn precedence(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({ "n": 7 })]).await?;
    let (minus, negated) = outcome(bench, &fleet.query("tags.n + -tags.n = 0")).await?;
    let (product, calculated) = outcome(bench, &fleet.query("1 + 2 * 3 = tags.n")).await?;
    let tag = match (minus, product) {
        (Outcome::Refused, _) | (_, Outcome::Refused) => "refused",
        (Outcome::Rows(minus), Outcome::Rows(product)) => {
            let holds = devices(&minus) == fleet.ids && devices(&product) == fleet.ids;
            if holds { "sql-order" } else { "other-order" }
        }
        _ => "otherwise",
    };
    bench.decides("A-Q08", tag, format!("{negated}; {calculated}"));
    Ok(())
}

async fn missing_values(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({ "v": 2 }), json!({})]).await?;
    let mut tags = Vec::new();
    let mut shown = Vec::new();
    for condition in ["tags.v != 1", "tags.v NIN [1]", "NOT tags.v = 1"] {
        let (outcome, seen) = outcome(bench, &fleet.query(condition)).await?;
        tags.push(match outcome {
            Outcome::Rows(rows) if devices(&rows).len() == 2 => "two-valued",
            Outcome::Rows(rows) if devices(&rows) == fleet.ids.get(..1).unwrap_or_default() => {
                "three-valued"
            }
            Outcome::Refused => "refused",
            Outcome::Rows(_) | Outcome::Otherwise => "otherwise",
        });
        shown.push(seen);
    }
    let is_known = tags.iter().all(|tag| *tag != "otherwise");
    let allowed = "the device with another value, with or without the one that has none; or 4xx";
    bench.demand("QRY-041", is_known, allowed, shown.join("; "));
    let tag = match tags.as_slice() {
        [first, rest @ ..] if rest.iter().all(|tag| tag == first) => first,
        _ if is_known => "two-valued",
        _ => "otherwise",
    };
    bench.decides("A-Q09", tag, shown.join("; "));
    Ok(())
}

async fn doubled_quote(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({ "note": "it's" })]).await?;
    fleet.selects(bench, "QRY-047", r"tags.note = 'it\'s'", &[0]).await?;
    let (outcome, seen) = outcome(bench, &fleet.query("tags.note = 'it''s'")).await?;
    let tag = match outcome {
        Outcome::Rows(rows) if devices(&rows) == fleet.ids => "both",
        Outcome::Refused => "backslash-only",
        Outcome::Rows(_) | Outcome::Otherwise => "otherwise",
    };
    bench.decides("A-Q10", tag, seen);
    Ok(())
}

async fn without_from(bench: &mut Bench) -> Checked {
    fleet(bench, &[json!({})]).await?;
    let (outcome, seen) = outcome(bench, "SELECT *").await?;
    let tag = match outcome {
        Outcome::Rows(rows) if !devices(&rows).is_empty() => "devices",
        Outcome::Refused => "refused",
        Outcome::Rows(_) | Outcome::Otherwise => "otherwise",
    };
    bench.decides("A-Q11", tag, seen);
    Ok(())
}

/// Undocumented functions of twin queries, and functions that are documented for routing alone;
/// all true for the device of the case.
const FUNCTIONS: [(bool, &str); 10] = [
    (true, "STARTSWITH(tags.name, 'oak')"),
    (true, "ENDSWITH(tags.name, '-1')"),
    (true, "ARRAY_CONTAINS(tags.list, 'a')"),
    (false, "STARTS_WITH(tags.name, 'oak')"),
    (false, "ENDS_WITH(tags.name, '-1')"),
    (false, "CONTAINS(tags.name, 'ak-')"),
    (false, "ABS(tags.n) = 4"),
    (false, "IS_NUMBER(tags.n)"),
    (false, "LENGTH(tags.name) = 5"),
    (false, "LOWER(tags.name) = 'oak-1'"),
];

async fn functions(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({ "name": "oak-1", "n": 4, "list": ["a", "b"] })]).await?;
    let (mut known, mut more) = (0, 0);
    let mut shown = Vec::new();
    for (is_twin_function, condition) in FUNCTIONS {
        let (outcome, seen) = outcome(bench, &fleet.query(condition)).await?;
        let works = match outcome {
            Outcome::Rows(rows) => devices(&rows) == fleet.ids,
            Outcome::Refused => false,
            Outcome::Otherwise => {
                bench.demand("QRY-061", false, "200 or 4xx", seen);
                false
            }
        };
        match (works, is_twin_function) {
            (true, true) => known += 1,
            (true, false) => more += 1,
            (false, _) => {}
        }
        shown.push(format!("{condition}: {}", if works { "works" } else { "does not" }));
    }
    bench.demand("QRY-061", true, "200 or 4xx", "");
    let tag = match (known, more) {
        (_, 1..) => "more",
        (3, 0) => "four-functions",
        _ => "fewer",
    };
    bench.decides("A-Q12", tag, shown.join("; "));
    Ok(())
}

async fn single_brackets(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({ "list": ["a", "b"] })]).await?;
    let (outcome, seen) = outcome(bench, &fleet.query("tags.list[0] = 'a'")).await?;
    let tag = match outcome {
        Outcome::Rows(rows) if devices(&rows) == fleet.ids => "accepted",
        Outcome::Refused => "refused",
        Outcome::Rows(_) | Outcome::Otherwise => "otherwise",
    };
    bench.decides("A-Q13", tag, seen);
    Ok(())
}

async fn metadata(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({})]).await?;
    let condition = "properties.desired.$metadata.$lastUpdated > '2000'";
    let (outcome, seen) = outcome(bench, &fleet.query(condition)).await?;
    let tag = match outcome {
        Outcome::Rows(rows) if devices(&rows) == fleet.ids => "supported",
        Outcome::Rows(rows) if rows == json!([]) => "undefined",
        Outcome::Refused => "refused",
        Outcome::Rows(_) | Outcome::Otherwise => "otherwise",
    };
    bench.decides("A-Q14", tag, seen);
    Ok(())
}

async fn foreign_token(bench: &mut Bench) -> Checked {
    let fleet = fleet(bench, &[json!({}), json!({}), json!({})]).await?;
    let size = (MAX_ITEM_COUNT, "1");
    let first = ask(bench, &fleet.query("true"), &[size]).await?;
    let token = first.header(CONTINUATION).unwrap_or_default().to_owned();
    let other = fleet.query("true AND true");
    let begin = ask(bench, &other, &[size]).await?.json();
    let answer = ask(bench, &other, &[size, (CONTINUATION, &token)]).await?;
    let rows = answer.json();
    let tag = match answer.status.as_u16() {
        400..500 => "refused",
        200 if devices(&rows) == devices(&begin) => "restarted",
        200 if rows.is_array() && is_done(&answer) => "continued",
        _ => "otherwise",
    };
    bench.decides("A-Q15", tag, answer.to_string());
    Ok(())
}

async fn too_long(bench: &mut Bench) -> Checked {
    let text = format!("{:9000}", "SELECT COUNT() AS total FROM devices");
    let answer = ask(bench, &text, &[]).await?;
    let tag = match answer.status.as_u16() {
        400 => "400",
        412 => "412",
        413 => "413",
        _ => "otherwise",
    };
    bench.decides("A-Q17", tag, answer.to_string());
    Ok(())
}

async fn jobs_projection(bench: &mut Bench) -> Checked {
    let (outcome, seen) = outcome(bench, "SELECT deviceId FROM devices.jobs").await?;
    let tag = match outcome {
        Outcome::Refused if seen.contains("HTTP 400") => "400",
        Outcome::Refused => "other-4xx",
        Outcome::Rows(rows) if rows == json!([]) => "empty",
        Outcome::Rows(_) | Outcome::Otherwise => "otherwise",
    };
    bench.decides("A-Q18", tag, seen);
    Ok(())
}
