//! A second evaluator, as simple as it can be, agrees with ours on generated texts and rows.
//!
//! It knows no tree and no data of ours: conditions are written as text for us and computed here by
//! the table of query.md § 5.3, with 0 for false, 1 for no answer and 2 for true.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::Query;
use super::ast::Expr;

/// An operand.
#[derive(Clone, Debug)]
enum Term {
    Constant(Value),
    Path(String),
    /// A path, one of `+ - * / %`, and a number.
    Sum(String, char, i64),
    Undefined,
}

/// A condition.
#[derive(Clone, Debug)]
enum Cond {
    And(Box<Cond>, Box<Cond>),
    Compare(Term, &'static str, Term),
    Contains(String, Value),
    Defined(String),
    In(Term, bool, Vec<Option<Value>>),
    Lone(Term),
    Not(Box<Cond>),
    Or(Box<Cond>, Box<Cond>),
    /// Whether the text at the path begins (or ends) with the other.
    Part(bool, String, String),
}

/// A constant as the language writes it; none for `undefined`.
fn constant_text(value: Option<&Value>) -> String {
    match value {
        None => "undefined".to_owned(),
        Some(Value::String(text)) => format!("'{text}'"),
        Some(other) => other.to_string(),
    }
}

impl Term {
    fn text(&self) -> String {
        match self {
            Self::Constant(value) => constant_text(Some(value)),
            Self::Path(path) => path.clone(),
            Self::Sum(path, sign, number) => format!("{path} {sign} {number}"),
            Self::Undefined => "undefined".to_owned(),
        }
    }

    fn value(&self, row: &Value) -> Option<Value> {
        match self {
            Self::Constant(value) => Some(value.clone()),
            Self::Path(path) => find(row, path),
            Self::Sum(path, sign, number) => {
                let (left, right) = (find(row, path)?.as_f64()?, *number as f64);
                let result = match sign {
                    '+' => left + right,
                    '-' => left - right,
                    '*' => left * right,
                    '/' => left / right,
                    _ => left % right,
                };
                result.is_finite().then(|| json!(result))
            }
            Self::Undefined => None,
        }
    }
}

fn find(row: &Value, path: &str) -> Option<Value> {
    path.split('.').try_fold(row.clone(), |value, name| value.as_object()?.get(name).cloned())
}

/// Whether both are there and neither is an array or object.
fn primitives(left: Option<&Value>, right: Option<&Value>) -> bool {
    let is_one = |value: Option<&Value>| value.is_some_and(|v| !v.is_array() && !v.is_object());
    is_one(left) && is_one(right)
}

fn equal(left: Option<&Value>, right: Option<&Value>) -> u8 {
    match (left, right) {
        _ if !primitives(left, right) => 1,
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            2 * u8::from(left.as_f64() == right.as_f64())
        }
        (left, right) => 2 * u8::from(left == right),
    }
}

fn compare(left: Option<&Value>, sign: &str, right: Option<&Value>) -> u8 {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = match (left, right) {
        _ if sign == "=" => return equal(left, right),
        _ if sign == "!=" || sign == "<>" => return 2 - equal(left, right),
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            left.as_f64().unwrap().partial_cmp(&right.as_f64().unwrap())
        }
        (Some(Value::Bool(left)), Some(Value::Bool(right))) => Some(left.cmp(right)),
        (Some(Value::String(left)), Some(Value::String(right))) => {
            let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
            Some(units(left).cmp(&units(right)))
        }
        _ => None,
    };
    let holds = match (sign, order) {
        (_, None) => return 1,
        ("<", Some(order)) => order == Less,
        (">", Some(order)) => order == Greater,
        ("<=", Some(order)) => order == Less || order == Equal,
        (_, Some(order)) => order == Greater || order == Equal,
    };
    2 * u8::from(holds)
}

/// Whether `value` is one of `list`: true as soon as one is equal, else no answer as soon as one has
/// none.
fn within(value: Option<&Value>, list: &[Option<Value>]) -> u8 {
    if !primitives(value, value) {
        return 1;
    }
    list.iter().map(|element| equal(value, element.as_ref())).max().unwrap_or(0)
}

impl Cond {
    fn text(&self) -> String {
        match self {
            Self::And(left, right) => format!("({} AND {})", left.text(), right.text()),
            Self::Compare(left, sign, right) => {
                format!("({} {sign} {})", left.text(), right.text())
            }
            Self::Contains(path, value) => {
                format!("ARRAY_CONTAINS({path}, {})", constant_text(Some(value)))
            }
            Self::Defined(path) => format!("IS_DEFINED({path})"),
            Self::In(term, is_in, list) => {
                let list: Vec<String> =
                    list.iter().map(|element| constant_text(element.as_ref())).collect();
                let word = if *is_in { "IN" } else { "NIN" };
                format!("({} {word} [{}])", term.text(), list.join(", "))
            }
            Self::Lone(term) => format!("({})", term.text()),
            Self::Not(inner) => format!("(NOT {})", inner.text()),
            Self::Or(left, right) => format!("({} OR {})", left.text(), right.text()),
            Self::Part(at_begin, path, part) => {
                let name = if *at_begin { "STARTSWITH" } else { "ENDSWITH" };
                format!("{name}({path}, '{part}')")
            }
        }
    }

    fn level(&self, row: &Value) -> u8 {
        match self {
            Self::And(left, right) => left.level(row).min(right.level(row)),
            Self::Compare(left, sign, right) => {
                compare(left.value(row).as_ref(), sign, right.value(row).as_ref())
            }
            Self::Contains(path, value) => match find(row, path) {
                Some(Value::Array(elements)) => {
                    let scalars = elements.into_iter().filter(|e| !e.is_array() && !e.is_object());
                    within(Some(value), &scalars.map(Some).collect::<Vec<_>>())
                }
                _ => 1,
            },
            Self::Defined(path) => 2 * u8::from(find(row, path).is_some()),
            Self::In(term, is_in, list) => {
                let level = within(term.value(row).as_ref(), list);
                if *is_in { level } else { 2 - level }
            }
            Self::Lone(term) => match term.value(row) {
                Some(Value::Bool(value)) => 2 * u8::from(value),
                _ => 1,
            },
            Self::Not(inner) => 2 - inner.level(row),
            Self::Or(left, right) => left.level(row).max(right.level(row)),
            Self::Part(at_begin, path, part) => match find(row, path) {
                Some(Value::String(text)) if *at_begin => 2 * u8::from(text.starts_with(part)),
                Some(Value::String(text)) => 2 * u8::from(text.ends_with(part)),
                _ => 1,
            },
        }
    }
}

/// Texts of which some sort by characters and by UTF-16 code units in two ways.
fn words() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "ab", "b", "A", "\u{ff61}", "😀"]).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0_i64..4).prop_map(Value::from),
        words().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d", "a.b", "c.d"]).prop_map(str::to_owned)
}

fn term() -> impl Strategy<Value = Term> {
    let sign = prop::sample::select(vec!['+', '-', '*', '/', '%']);
    prop_oneof![
        scalar().prop_map(Term::Constant),
        path().prop_map(Term::Path),
        path().prop_map(Term::Path),
        (path(), sign, 0_i64..3).prop_map(|(path, sign, n)| Term::Sum(path, sign, n)),
        Just(Term::Undefined),
    ]
}

fn cond() -> impl Strategy<Value = Cond> {
    let sign = prop::sample::select(vec!["=", "!=", "<>", "<", "<=", ">", ">="]);
    let list = prop::collection::vec(prop::option::weighted(0.8, scalar()), 0..3);
    let leaf = prop_oneof![
        (term(), sign, term()).prop_map(|(left, sign, right)| Cond::Compare(left, sign, right)),
        (path(), scalar()).prop_map(|(path, value)| Cond::Contains(path, value)),
        path().prop_map(Cond::Defined),
        (term(), any::<bool>(), list).prop_map(|(term, is_in, list)| Cond::In(term, is_in, list)),
        term().prop_map(Cond::Lone),
        (any::<bool>(), path(), words()).prop_map(|(b, path, part)| Cond::Part(b, path, part)),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            inner.prop_map(|inner| Cond::Not(inner.into())),
            pair.clone().prop_map(|(left, right)| Cond::And(left.into(), right.into())),
            pair.prop_map(|(left, right)| Cond::Or(left.into(), right.into())),
        ]
    })
}

fn row() -> impl Strategy<Value = Value> {
    let member = prop_oneof![
        4 => scalar(),
        1 => prop::collection::vec(scalar(), 0..3).prop_map(Value::from),
        1 => prop::collection::btree_map("[bd]", scalar(), 0..2).prop_map(|m| json!(m)),
    ];
    prop::collection::btree_map("[a-d]", member, 0..4).prop_map(|members| json!(members))
}

/// A number as results show it: without a fraction where it has none.
fn shown(number: f64) -> Value {
    if number.fract() == 0.0 { json!(number as i64) } else { json!(number) }
}

/// What a group of rows shows as `n`, `s`, `m`, `lo` and `hi`, and its key as `k`.
fn gathered(key: Option<&Value>, rows: &[&Value], path: &str) -> Value {
    let numbers: Vec<f64> =
        rows.iter().filter_map(|row| find(row, path)).filter_map(|v| v.as_f64()).collect();
    let mut members = Map::new();
    members.extend(key.map(|key| ("k".to_owned(), key.clone())));
    members.insert("n".to_owned(), json!(rows.len()));
    members.insert("s".to_owned(), shown(numbers.iter().sum::<f64>() + 0.0));
    if !numbers.is_empty() {
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        members.insert("m".to_owned(), shown(mean));
        members.insert("lo".to_owned(), shown(numbers.iter().copied().fold(f64::MAX, f64::min)));
        members.insert("hi".to_owned(), shown(numbers.iter().copied().fold(f64::MIN, f64::max)));
    }
    Value::Object(members)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_second_evaluator_agrees_on_conditions(cond in cond(), row in row()) {
        let expr = Expr::parse(&cond.text()).unwrap();
        prop_assert_eq!(expr.holds(&row), cond.level(&row) == 2, "{}", cond.text());
        let negated = Expr::parse(&format!("NOT {}", cond.text())).unwrap();
        prop_assert_eq!(negated.holds(&row), cond.level(&row) == 0, "NOT {}", cond.text());
    }

    #[test]
    fn a_second_evaluator_agrees_on_aggregates_and_groups(
        cond in cond(),
        rows in prop::collection::vec(row(), 0..6),
        (path, key) in (path(), prop::option::of(path())),
    ) {
        let (column, group) = match &key {
            None => (String::new(), String::new()),
            Some(key) => (format!("{key} AS k, "), format!(" GROUP BY {key}")),
        };
        let text = format!(
            "SELECT {column}COUNT() AS n, SUM({path}) AS s, AVG({path}) AS m, MIN({path}) AS lo, \
             MAX({path}) AS hi FROM devices WHERE {}{group}",
            cond.text()
        );
        let matching: Vec<&Value> = rows.iter().filter(|row| cond.level(row) == 2).collect();
        let mut groups: Vec<(Option<Value>, Vec<&Value>)> = Vec::new();
        if key.is_none() {
            groups.push((None, Vec::new()));
        }
        for row in matching {
            let found = key.as_ref().and_then(|key| find(row, key));
            let found = found.filter(|value| !value.is_array() && !value.is_object());
            match groups.iter_mut().find(|(key, _)| *key == found) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((found, vec![row])),
            }
        }
        let expected: Vec<Value> =
            groups.iter().map(|(key, rows)| gathered(key.as_ref(), rows, &path)).collect();
        prop_assert_eq!(Query::parse(&text).unwrap().rows(&rows), expected, "{}", text);
    }
}
