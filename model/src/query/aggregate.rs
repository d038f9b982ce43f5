//! Aggregates and GROUP BY (query.md §§ 3 and 4).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ast::{Aggregate, Column, Item, Query, Select};
use super::eval::json_number;
use super::row::{Datum, Row};

/// What is remembered of the rows that become one; the rows themselves are not kept.
struct Group {
    /// The value they share; none for rows that have no primitive there (A-Q07).
    key: Option<Value>,
    rows: usize,
    /// One for each column, in their order.
    tallies: Vec<Tally>,
}

/// What is remembered of the numbers of a column: what is no number is left out.
#[derive(Clone, Debug, Default)]
struct Tally {
    count: usize,
    sum: f64,
    max: Option<f64>,
    min: Option<f64>,
}

impl Query {
    /// One row for each group, in the order of their first rows; one for all without GROUP BY.
    pub(super) fn groups<R: Row>(&self, rows: impl Iterator<Item = R>) -> Vec<Value> {
        let items: &[Item] = match &self.select {
            Select::All => &[],
            Select::Items(items) => items,
        };
        let new_group = |key| Group { key, rows: 0, tallies: vec![Tally::default(); items.len()] };
        let mut groups: Vec<Group> = Vec::new();
        let mut places: BTreeMap<Option<String>, usize> = BTreeMap::new();
        if self.group_by.is_none() {
            // The row for all is there even when there are none.
            places.insert(None, 0);
            groups.push(new_group(None));
        }
        for row in rows {
            let key = self.group_by.as_ref().and_then(|path| primitive(path.find(&row)));
            let name = key.as_ref().map(Value::to_string);
            let place = *places.entry(name).or_insert(groups.len());
            if place == groups.len() {
                groups.push(new_group(key));
            }
            if let Some(group) = groups.get_mut(place) {
                group.add(items, &row);
            }
        }
        groups.iter().map(|group| group.show(items)).collect()
    }
}

impl Group {
    fn add(&mut self, items: &[Item], row: &impl Row) {
        self.rows += 1;
        for (item, tally) in items.iter().zip(&mut self.tallies) {
            if let Column::Aggregate(_, path) = &item.column
                && let Datum::Number(number) = path.find(row)
            {
                tally.add(number);
            }
        }
    }

    fn show(&self, items: &[Item]) -> Value {
        let mut members = Map::new();
        for (item, tally) in items.iter().zip(&self.tallies) {
            let value = match &item.column {
                Column::Count => Some(Value::from(self.rows)),
                Column::Path(_) => self.key.clone(),
                Column::Aggregate(aggregate, _) => aggregate.of(tally),
            };
            members.extend(value.map(|value| (item.key().to_owned(), value)));
        }
        Value::Object(members)
    }
}

impl Tally {
    fn add(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
        self.max = Some(self.max.map_or(number, |max| max.max(number)));
        self.min = Some(self.min.map_or(number, |min| min.min(number)));
    }
}

impl Aggregate {
    /// The result over the numbers of a column. Nothing over nothing, but a sum of nothing is 0.
    fn of(self, tally: &Tally) -> Option<Value> {
        #[expect(clippy::cast_precision_loss, reason = "a fleet is far smaller than 2^52")]
        let count = tally.count as f64;
        let result = match self {
            Self::Avg => (tally.count > 0).then(|| tally.sum / count),
            Self::Max => tally.max,
            Self::Min => tally.min,
            Self::Sum => Some(tally.sum),
        };
        result.filter(|number| number.is_finite()).map(json_number)
    }
}

/// A value that can be grouped by, with one spelling for equal numbers.
fn primitive(datum: Datum<'_>) -> Option<Value> {
    match datum {
        Datum::Bool(value) => Some(Value::from(value)),
        Datum::Null => Some(Value::Null),
        Datum::Number(number) => Some(json_number(number)),
        Datum::Text(text) => Some(Value::from(text)),
        Datum::Array(_) | Datum::Object | Datum::Undefined => None,
    }
}
