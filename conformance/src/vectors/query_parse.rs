//! Family `query-parse`: which texts are queries.

use serde_json::{Value, json};
use twinspec_model::query::Query;

use super::query_eval::shape_point;
use super::{Input, number, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let mut query = text(case, "query")?.to_owned();
    if case.get("length").is_some() {
        let length = usize::try_from(number(case, "length")?).unwrap_or(usize::MAX);
        let missing = length.saturating_sub(query.chars().count());
        query.push_str(&" ".repeat(missing.min(1 << 20)));
    }
    Ok(match Query::parse(&query) {
        Ok(query) => json!({ "accepted": true, "item_type": query.item_type().name() }),
        Err(_) => json!({ "accepted": false, "status": 400 }),
    })
}

pub(super) fn open_point(case: &Value, _expect: &Value) -> Option<&'static str> {
    let query = case.get("query")?.as_str()?;
    let shape = shape_point(&Query::parse(query).ok()?);
    let has_empty_list = query.split_whitespace().collect::<String>().contains("[]");
    shape.or(has_empty_list.then_some("A-Q19"))
}

/// A query without each of its words in turn, and with each of them twice.
pub(super) fn inputs() -> Vec<Input> {
    let words = "SELECT tags.kind AS kind , COUNT ( ) AS n FROM devices WHERE tags.bay IN [ 1 ] \
                 GROUP BY tags.kind";
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut inputs = Vec::new();
    for (copies, how) in [(0, "missing"), (2, "there twice")] {
        for (index, word) in words.iter().enumerate() {
            let mut changed: Vec<&str> = Vec::new();
            for (other, text) in words.iter().enumerate() {
                changed.extend(std::iter::repeat_n(text, if other == index { copies } else { 1 }));
            }
            inputs.push(Input {
                title: format!("{word} (word {}) is {how}.", index + 1),
                requirements: vec!["QRY-014"],
                members: vec![("query", json!(changed.join(" ")))],
            });
        }
    }
    inputs
}
