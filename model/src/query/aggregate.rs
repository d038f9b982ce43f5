//! Aggregates and GROUP BY (query.md §§ 3 and 4).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ast::{Aggregate, Column, Item, Query, Select};
use super::eval::json_number;
use super::row::Datum;

/// The rows that become one.
struct Group<'a> {
    /// The value they share; none for rows that have no primitive there (A-Q07).
    key: Option<Value>,
    rows: Vec<&'a Value>,
}

impl Query {
    /// One row for each group, in the order of their first rows; one for all without GROUP BY.
    pub(super) fn groups<'a>(&self, rows: impl Iterator<Item = &'a Value>) -> Vec<Value> {
        let groups = match &self.group_by {
            None => vec![Group { key: None, rows: rows.collect() }],
            Some(path) => {
                let mut groups: Vec<Group<'_>> = Vec::new();
                let mut places: BTreeMap<Option<String>, usize> = BTreeMap::new();
                for row in rows {
                    let key = path.find(row).and_then(primitive);
                    let name = key.as_ref().map(Value::to_string);
                    let place = *places.entry(name).or_insert(groups.len());
                    match groups.get_mut(place) {
                        Some(group) => group.rows.push(row),
                        None => groups.push(Group { key, rows: vec![row] }),
                    }
                }
                groups
            }
        };
        groups.iter().map(|group| self.gather(group)).collect()
    }

    fn gather(&self, group: &Group<'_>) -> Value {
        let items: &[Item] = match &self.select {
            Select::All => &[],
            Select::Items(items) => items,
        };
        let mut members = Map::new();
        for item in items {
            let (key, value) = match &item.column {
                Column::Count => ("", Some(Value::from(group.rows.len()))),
                Column::Path(path) => (path.key(), group.key.clone()),
                Column::Aggregate(aggregate, path) => {
                    let found = group.rows.iter().filter_map(|row| path.find(row)).map(Datum::of);
                    let numbers = found.filter_map(|datum| match datum {
                        Datum::Number(number) => Some(number),
                        _ => None,
                    });
                    ("", aggregate.apply(&numbers.collect::<Vec<_>>()))
                }
            };
            let key = item.alias.as_deref().unwrap_or(key);
            members.extend(value.map(|value| (key.to_owned(), value)));
        }
        Value::Object(members)
    }
}

impl Aggregate {
    /// The result over `numbers`: what is no number was left out. Nothing over nothing, but a sum
    /// of nothing is 0.
    fn apply(self, numbers: &[f64]) -> Option<Value> {
        let sum: f64 = numbers.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "a fleet is far smaller than 2^52")]
        let count = numbers.len() as f64;
        let result = match self {
            Self::Avg => (count > 0.0).then(|| sum / count),
            Self::Max => numbers.iter().copied().reduce(f64::max),
            Self::Min => numbers.iter().copied().reduce(f64::min),
            Self::Sum => Some(sum),
        };
        result.filter(|number| number.is_finite()).map(json_number)
    }
}

/// A value that can be grouped by, with one spelling for equal numbers.
fn primitive(value: &Value) -> Option<Value> {
    match Datum::of(value) {
        Datum::Number(number) => Some(json_number(number)),
        Datum::Bool(_) | Datum::Null | Datum::Text(_) => Some(value.clone()),
        Datum::Composite(_) | Datum::Undefined => None,
    }
}
