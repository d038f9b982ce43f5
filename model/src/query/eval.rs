//! Evaluation over rows with three truth values: true, false and none (query.md § 5.3).

use std::cmp::Ordering;

use serde_json::Value;

use super::ast::{Column, Comparison, Expr, Function, Item, Operator, Path, Query, Select};
use super::row::{Datum, Row};

impl Query {
    /// The result over `rows`: plain rows in their order, groups in that of their first rows.
    pub fn rows<R: Row>(&self, rows: impl IntoIterator<Item = R>) -> Vec<Value> {
        let matching = rows.into_iter().filter(|row| self.matches(row));
        let top = self.top_or_all();
        if self.is_aggregate() {
            return self.groups(matching).into_iter().take(top).collect();
        }
        matching.take(top).map(|row| self.project(&row)).collect()
    }

    /// The path that is looked at first in every row, if any is.
    #[must_use]
    pub fn first_path(&self) -> Option<&Path> {
        let of_condition = self.condition.as_ref().and_then(Expr::first_path);
        of_condition.or(self.group_by.as_ref())
    }

    /// The most rows that the result has.
    #[must_use]
    pub fn top_or_all(&self) -> usize {
        self.top.and_then(|top| usize::try_from(top).ok()).unwrap_or(usize::MAX)
    }

    /// Whether the condition holds for `row`: only the value true counts.
    #[must_use]
    pub fn matches(&self, row: &(impl Row + ?Sized)) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(row))
    }

    /// What the result shows of a row that matches. Not for aggregates.
    #[must_use]
    pub fn project(&self, row: &(impl Row + ?Sized)) -> Value {
        let document = row.to_value();
        match &self.select {
            Select::All => document,
            Select::Items(items) => {
                Value::Object(items.iter().filter_map(|item| item.member(&document)).collect())
            }
        }
    }
}

impl Item {
    /// The member of a plain result row; none for a path that finds nothing (A-Q06).
    fn member(&self, document: &Value) -> Option<(String, Value)> {
        match &self.column {
            Column::Path(path) => Some((self.key().to_owned(), path.value(document)?.clone())),
            Column::Aggregate(..) | Column::Count => None,
        }
    }
}

impl Expr {
    /// Whether the expression is true for `row`.
    #[must_use]
    pub fn holds(&self, row: &(impl Row + ?Sized)) -> bool {
        self.value(row).as_truth() == Some(true)
    }

    fn value<'a>(&'a self, row: &'a (impl Row + ?Sized)) -> Datum<'a> {
        match self {
            Self::And(links) => Datum::truth(all(links.iter().map(|link| link.truth(row)))),
            Self::Or(links) => {
                let negated = links.iter().map(|link| link.truth(row).map(|truth| !truth));
                Datum::truth(all(negated).map(|truth| !truth))
            }
            Self::Not(inner) => Datum::truth(inner.truth(row).map(|truth| !truth)),
            Self::Compare(left, comparison, right) => {
                Datum::truth(comparison.apply(&left.value(row), &right.value(row)))
            }
            Self::Member { value, within, list } => {
                let found = contains(list.iter().map(Datum::constant), &value.value(row));
                Datum::truth(found.map(|found| found == *within))
            }
            Self::Arithmetic(first, steps) => {
                let mut left = first.value(row);
                for (operator, right) in steps {
                    left = operator.apply(&left, &right.value(row));
                }
                left
            }
            Self::Negate(inner) => match inner.value(row) {
                Datum::Number(number) => Datum::Number(-number),
                _ => Datum::Undefined,
            },
            Self::Call(function, arguments) => function.apply(arguments, row),
            // A list is an operand of IN only.
            Self::List(_) => Datum::Undefined,
            Self::Literal(literal) => Datum::constant(literal),
            Self::Path(path) => path.find(row),
        }
    }

    fn first_path(&self) -> Option<&Path> {
        match self {
            Self::And(links) | Self::Or(links) | Self::Call(_, links) => {
                links.iter().find_map(Self::first_path)
            }
            Self::Arithmetic(inner, _) | Self::Negate(inner) | Self::Not(inner) => {
                inner.first_path()
            }
            Self::Compare(left, _, right) => left.first_path().or_else(|| right.first_path()),
            Self::List(_) | Self::Literal(_) => None,
            Self::Member { value, .. } => value.first_path(),
            Self::Path(path) => Some(path),
        }
    }

    fn truth(&self, row: &(impl Row + ?Sized)) -> Option<bool> {
        self.value(row).as_truth()
    }
}

impl Comparison {
    fn apply(self, left: &Datum<'_>, right: &Datum<'_>) -> Option<bool> {
        let order = |is: fn(Ordering) -> bool| left.order(right).map(is);
        match self {
            Self::Equal => left.equals(right),
            Self::NotEqual => left.equals(right).map(|equal| !equal),
            Self::Less => order(Ordering::is_lt),
            Self::LessOrEqual => order(Ordering::is_le),
            Self::Greater => order(Ordering::is_gt),
            Self::GreaterOrEqual => order(Ordering::is_ge),
        }
    }
}

impl Operator {
    fn apply(self, left: &Datum<'_>, right: &Datum<'_>) -> Datum<'static> {
        let (Datum::Number(left), Datum::Number(right)) = (left, right) else {
            return Datum::Undefined;
        };
        let result = match self {
            Self::Add => left + right,
            Self::Divide => left / right,
            Self::Multiply => left * right,
            Self::Remainder => left % right,
            Self::Subtract => left - right,
        };
        if result.is_finite() { Datum::Number(result) } else { Datum::Undefined }
    }
}

impl Function {
    fn apply<'a>(self, arguments: &'a [Expr], row: &'a (impl Row + ?Sized)) -> Datum<'a> {
        let values: Vec<Datum<'_>> = arguments.iter().map(|argument| argument.value(row)).collect();
        match (self, values.as_slice()) {
            (Self::IsDefined, [value]) => Datum::Bool(*value != Datum::Undefined),
            (Self::StartsWith, [Datum::Text(text), Datum::Text(start)]) => {
                Datum::Bool(text.starts_with(start.as_ref()))
            }
            (Self::EndsWith, [Datum::Text(text), Datum::Text(end)]) => {
                Datum::Bool(text.ends_with(end.as_ref()))
            }
            (Self::ArrayContains, [Datum::Array(elements), value]) => {
                let primitive = |element: &&Value| !element.is_array() && !element.is_object();
                let elements = elements.iter().filter(primitive).map(Datum::of);
                Datum::truth(contains(elements, value))
            }
            _ => Datum::Undefined,
        }
    }
}

/// AND of many: false wins over none, none over true.
fn all(truths: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for truth in truths {
        match truth {
            Some(false) => return Some(false),
            None => result = None,
            Some(true) => {}
        }
    }
    result
}

/// Whether `value` is one of `elements`: an OR of equalities, so an `undefined` element can turn
/// "no" into "no answer".
fn contains<'a>(elements: impl Iterator<Item = Datum<'a>>, value: &Datum<'_>) -> Option<bool> {
    if !value.is_primitive() {
        return None;
    }
    let unequal = elements.map(|element| element.equals(value).map(|equal| !equal));
    all(unequal).map(|none_equal| !none_equal)
}

/// The JSON number closest to `number`, without a fraction where it has none.
pub(super) fn json_number(number: f64) -> Value {
    /// Up to here every whole number is a 64-bit float.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number in range")]
        return Value::from(number as i64);
    }
    Value::from(number)
}
