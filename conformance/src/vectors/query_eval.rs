//! Family `query-eval`: what a query shows of given rows.

use serde_json::{Value, json};
use twinspec_model::query::ast::Select;
use twinspec_model::query::{Collection, Query};

use super::{Input, member, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let query = Query::parse(text(case, "query")?).map_err(|error| error.to_string())?;
    shown(&query, case)
}

/// What the query of a case would show if its TOP were not there; none where there is no TOP.
pub(super) fn without_top(case: &Value) -> Option<Value> {
    let query = Query::parse(case.get("query")?.as_str()?).ok()?;
    query.top?;
    shown(&Query { top: None, ..query }, case).ok()
}

fn shown(query: &Query, case: &Value) -> Result<Value, String> {
    let rows = member(case, "rows")?.as_array().ok_or("rows is no array")?;
    let shown = query.rows(rows);
    match query.select {
        Select::All => {
            let names: Result<Vec<String>, String> =
                shown.iter().map(|row| name(row, query.from)).collect();
            Ok(json!({ "selected": names? }))
        }
        Select::Items(_) => Ok(json!({ "rows": shown })),
    }
}

/// What about missing values and mixed types is open stands with the inputs.
pub(super) fn open_point(case: &Value, _expect: &Value) -> Option<&'static str> {
    shape_point(&Query::parse(case.get("query")?.as_str()?).ok()?)
}

/// The open point that a query touches by its shape.
pub(super) fn shape_point(query: &Query) -> Option<&'static str> {
    if query.top.is_some() {
        Some("A-Q04")
    } else {
        (query.select != Select::All && !query.is_aggregate()).then_some("A-Q02")
    }
}

/// The name of a row: its device, and its module or job.
fn name(row: &Value, from: Collection) -> Result<String, String> {
    let device = text(row, "deviceId")?;
    Ok(match from {
        Collection::Devices => device.to_owned(),
        Collection::Jobs => format!("{device}/{}", text(row, "jobId")?),
        Collection::Modules => format!("{device}/{}", text(row, "moduleId")?),
    })
}

/// Every operator between a tag of every kind and constants of every kind.
pub(super) fn inputs() -> Vec<Input> {
    let values = [
        ("none", None),
        ("true", Some(json!(true))),
        ("one", Some(json!(1))),
        ("two", Some(json!(2))),
        ("text", Some(json!("1"))),
        ("list", Some(json!([1]))),
        ("object", Some(json!({ "x": 1 }))),
    ];
    let row = |(name, value): &(&str, Option<Value>)| match value {
        None => json!({ "deviceId": name, "tags": {} }),
        Some(value) => json!({ "deviceId": name, "tags": { "v": value } }),
    };
    let rows: Vec<Value> = values.iter().map(row).collect();
    let mut conditions = Vec::new();
    for operator in ["=", "!=", "<", "<=", ">", ">="] {
        for constant in ["true", "1", "'1'", "null", "undefined"] {
            conditions.push(format!("tags.v {operator} {constant}"));
        }
    }
    for list in ["[1]", "['1', true]", "[]"] {
        conditions.push(format!("tags.v IN {list}"));
        conditions.push(format!("tags.v NIN {list}"));
    }
    for whole in ["tags.v", "NOT tags.v", "tags.v AND true", "tags.v OR false", "tags.v = tags.v"] {
        conditions.push(whole.to_owned());
    }
    let input = |condition: &String| Input {
        title: format!("{condition}, over values of every kind."),
        requirements: vec!["QRY-041"],
        members: vec![
            ("ambiguity", json!("A-Q09")),
            ("query", json!(format!("SELECT * FROM devices WHERE {condition}"))),
            ("rows", json!(rows)),
        ],
    };
    conditions.iter().map(input).collect()
}
