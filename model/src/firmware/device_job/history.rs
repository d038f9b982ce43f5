//! `POST /jobs/v2/query`: the JSON query of 2016 over the history of jobs (query.md § 14).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::Refusal;

/// Rows of an answer at most.
pub const ROWS_MAX: usize = 100;

/// How deep filters may be nested.
const DEPTH_MAX: usize = 32;

/// A query that has passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryQuery {
    filter: Option<Filter>,
    project: Option<Vec<Property>>,
    aggregate: Option<Aggregate>,
    sort: Vec<(Property, Order)>,
}

/// Which rows are taken.
#[derive(Clone, Debug, PartialEq)]
enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Comparison { property: Property, operator: Operator, value: Value },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Nin,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
}

/// Where a value is found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Property {
    /// A member of a job.
    Default(String),
    /// A column of an aggregate.
    Aggregated(String),
    /// A property of a device, which a job has none of.
    Other(String),
}

#[derive(Clone, Debug, PartialEq)]
struct Aggregate {
    keys: Vec<Property>,
    columns: Vec<(Calculation, Option<Property>, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calculation {
    Sum,
    Avg,
    Count,
    Min,
    Max,
}

impl HistoryQuery {
    /// Reads a query.
    ///
    /// # Errors
    /// Names the part that is wrong and what it may be.
    pub fn parse(body: &Value) -> Result<Self, Refusal> {
        if !body.is_object() {
            return Err(wrong("the query", "an object"));
        }
        let filter = part(body, "filter").map(|filter| Filter::parse(filter, 0)).transpose()?;
        let project = part(body, "project").map(projection).transpose()?.flatten();
        let aggregate = part(body, "aggregate").map(Aggregate::parse).transpose()?;
        if part(body, "project").is_some() && aggregate.is_some() {
            return Err(wrong("project", "absent where there is aggregate"));
        }
        let sort = match part(body, "sort") {
            None => Vec::new(),
            Some(Value::Array(all)) => all.iter().map(sort).collect::<Result<_, _>>()?,
            Some(one) => vec![sort(one)?],
        };
        Ok(Self { filter, project, aggregate, sort })
    }

    /// The answer over `jobs`, which come in the order of their ids.
    #[must_use]
    pub fn run(&self, jobs: impl IntoIterator<Item = Value>) -> Value {
        let takes = |job: &Value| self.filter.as_ref().is_none_or(|filter| filter.holds(job));
        let mut rows: Vec<Value> = jobs.into_iter().filter(takes).collect();
        if let Some(aggregate) = &self.aggregate {
            rows = aggregate.rows(&rows);
        }
        rows.sort_by(|left, right| self.order(left, right));
        rows.truncate(ROWS_MAX);
        if let Some(properties) = &self.project {
            rows.iter_mut().for_each(|row| *row = project(row, properties));
        }
        match self.aggregate {
            Some(_) => json!({ "Result": null, "AggregateResult": rows }),
            None => json!({ "Result": rows, "AggregateResult": null }),
        }
    }

    fn order(&self, left: &Value, right: &Value) -> Ordering {
        let orders = self.sort.iter().map(|(property, order)| {
            let compared = rank(&property.of(left), &property.of(right));
            if *order == Order::Ascending { compared } else { compared.reverse() }
        });
        orders.fold(Ordering::Equal, Ordering::then)
    }
}

impl Filter {
    fn parse(value: &Value, depth: usize) -> Result<Self, Refusal> {
        if depth > DEPTH_MAX {
            return Err(wrong("filter", "nested less deeply"));
        }
        match text(value, "type") {
            "comparison" => Self::comparison(value),
            "logical" => Self::logical(value, depth),
            _ => Err(wrong("type of a filter", "comparison or logical")),
        }
    }

    fn logical(value: &Value, depth: usize) -> Result<Self, Refusal> {
        let filters = value.get("filters").and_then(Value::as_array);
        let filters = filters.ok_or_else(|| wrong("filters", "an array of filters"))?;
        let inner = |filter: &Value| Self::parse(filter, depth.saturating_add(1));
        let mut filters = filters.iter().map(inner).collect::<Result<Vec<_>, _>>()?;
        match (text(value, "logicalOperator"), filters.len()) {
            ("not", 1) => match filters.pop() {
                Some(filter) => Ok(Self::Not(Box::new(filter))),
                None => Err(wrong("filters of not", "one filter")),
            },
            ("not", _) => Err(wrong("filters of not", "one filter")),
            ("and" | "or", 0) => Err(wrong("filters of and and or", "one filter or more")),
            ("and", _) => Ok(Self::And(filters)),
            ("or", _) => Ok(Self::Or(filters)),
            _ => Err(wrong("logicalOperator", "and, or or not")),
        }
    }

    fn comparison(value: &Value) -> Result<Self, Refusal> {
        let operator = match text(value, "comparisonOperator") {
            "eq" => Operator::Eq,
            "ne" => Operator::Ne,
            "gt" => Operator::Gt,
            "gte" => Operator::Gte,
            "lt" => Operator::Lt,
            "lte" => Operator::Lte,
            "in" => Operator::In,
            "nin" => Operator::Nin,
            "all" => Operator::All,
            _ => {
                let allowed = "eq, ne, gt, gte, lt, lte, in, nin or all";
                return Err(wrong("comparisonOperator", allowed));
            }
        };
        let property = Property::parse(value.get("property"))?;
        let value = value.get("value").cloned().unwrap_or_default();
        let needs_array = matches!(operator, Operator::In | Operator::Nin | Operator::All);
        if needs_array && !value.is_array() {
            return Err(wrong("value of in, nin and all", "an array"));
        }
        let value = property.normalized(value);
        Ok(Self::Comparison { property, operator, value })
    }

    fn holds(&self, job: &Value) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|filter| filter.holds(job)),
            Self::Or(filters) => filters.iter().any(|filter| filter.holds(job)),
            Self::Not(filter) => !filter.holds(job),
            Self::Comparison { property, operator, value } => {
                operator.holds(&property.of(job), value)
            }
        }
    }
}

impl Operator {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let elements = || right.as_array().into_iter().flatten();
        let ordered = compare(left, right);
        match self {
            Self::Eq => left == right,
            Self::Ne => left != right,
            Self::Gt => ordered == Some(Ordering::Greater),
            Self::Gte => ordered.is_some_and(Ordering::is_ge),
            Self::Lt => ordered == Some(Ordering::Less),
            Self::Lte => ordered.is_some_and(Ordering::is_le),
            Self::In => elements().any(|element| element == left),
            Self::Nin => elements().all(|element| element != left),
            Self::All => elements().all(|element| element == left),
        }
    }
}

impl Property {
    fn parse(value: Option<&Value>) -> Result<Self, Refusal> {
        let value = value.ok_or_else(|| wrong("property", "an object with name and type"))?;
        let name = text(value, "name").to_owned();
        if name.is_empty() {
            return Err(wrong("name of a property", "a non-empty string"));
        }
        match text(value, "type") {
            "default" => Ok(Self::Default(name)),
            "aggregated" => Ok(Self::Aggregated(name)),
            "device" | "service" | "custom" => Ok(Self::Other(name)),
            _ => Err(wrong("type of a property", "default, device, service, custom or aggregated")),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Default(name) | Self::Aggregated(name) | Self::Other(name) => name,
        }
    }

    /// The value in a row; null where there is none.
    fn of(&self, row: &Value) -> Value {
        let found = match self {
            Self::Default(name) => row.get(member(name)).or_else(|| row.get(name)),
            Self::Aggregated(name) => row.get(name),
            Self::Other(_) => None,
        };
        found.cloned().unwrap_or_default()
    }

    /// Names of states and types are written with a capital letter in queries.
    fn normalized(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Default(name), Value::String(text)) if name == "Status" || name == "Type" => {
                json!(member(&text))
            }
            (_, Value::Array(values)) => {
                values.into_iter().map(|value| self.normalized(value)).collect()
            }
            (_, value) => value,
        }
    }
}

impl Aggregate {
    fn parse(value: &Value) -> Result<Self, Refusal> {
        let keys = list(value, "keys")?;
        let keys = keys.iter().map(|key| Property::parse(Some(key))).collect::<Result<_, _>>()?;
        let columns = list(value, "properties")?.iter().map(column).collect::<Result<_, _>>()?;
        Ok(Self { keys, columns })
    }

    /// A row for each combination of the keys' values, in their order.
    fn rows(&self, jobs: &[Value]) -> Vec<Value> {
        let mut groups: BTreeMap<String, (Vec<Value>, Vec<&Value>)> = BTreeMap::new();
        for job in jobs {
            let keys: Vec<Value> = self.keys.iter().map(|key| key.of(job)).collect();
            let name = json!(keys).to_string();
            groups.entry(name).or_insert_with(|| (keys, Vec::new())).1.push(job);
        }
        groups.into_values().map(|(keys, jobs)| self.row(keys, &jobs)).collect()
    }

    fn row(&self, keys: Vec<Value>, jobs: &[&Value]) -> Value {
        let names = self.keys.iter().map(|key| key.name().to_owned());
        let mut row: Map<String, Value> = names.zip(keys).collect();
        for (calculation, property, column) in &self.columns {
            let values = jobs.iter().map(|job| match property {
                Some(property) => property.of(job),
                None => Value::Bool(true),
            });
            let values: Vec<Value> = values.filter(|value| !value.is_null()).collect();
            row.insert(column.clone(), calculation.of(&values));
        }
        Value::Object(row)
    }
}

impl Calculation {
    fn of(self, values: &[Value]) -> Value {
        let numbers = || values.iter().filter_map(Value::as_f64);
        let by_rank = |a: &&Value, b: &&Value| rank(a, b);
        match self {
            Self::Count => json!(values.len()),
            Self::Sum => json!(numbers().sum::<f64>()),
            Self::Avg if numbers().next().is_none() => Value::Null,
            Self::Avg => {
                let (sum, count) = numbers().fold((0.0, 0.0), |(s, c), n| (s + n, c + 1.0));
                json!(sum / count)
            }
            Self::Min => values.iter().min_by(by_rank).cloned().unwrap_or_default(),
            Self::Max => values.iter().max_by(by_rank).cloned().unwrap_or_default(),
        }
    }
}

fn column(value: &Value) -> Result<(Calculation, Option<Property>, String), Refusal> {
    let calculation = match text(value, "operator") {
        "sum" => Calculation::Sum,
        "avg" => Calculation::Avg,
        "count" => Calculation::Count,
        "min" => Calculation::Min,
        "max" => Calculation::Max,
        _ => return Err(wrong("operator of an aggregate", "sum, avg, count, min or max")),
    };
    let name = text(value, "columnName");
    if name.is_empty() || name.contains('$') {
        return Err(wrong("columnName", "a non-empty string without $"));
    }
    let property = match (part(value, "property"), calculation) {
        (None, Calculation::Count) => None,
        (property, _) => Some(Property::parse(property)?),
    };
    Ok((calculation, property, name.to_owned()))
}

/// The properties that are shown; none for all of them.
fn projection(value: &Value) -> Result<Option<Vec<Property>>, Refusal> {
    if value.get("all") == Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let properties = list(value, "properties")?.iter();
    properties.map(|property| Property::parse(Some(property))).collect::<Result<_, _>>().map(Some)
}

fn project(row: &Value, properties: &[Property]) -> Value {
    let shown = properties.iter().map(|property| (member(property.name()), property.of(row)));
    Value::Object(shown.collect())
}

fn sort(value: &Value) -> Result<(Property, Order), Refusal> {
    let order = match text(value, "order") {
        "asc" => Order::Ascending,
        "desc" => Order::Descending,
        _ => return Err(wrong("order", "asc or desc")),
    };
    Ok((Property::parse(value.get("property"))?, order))
}

/// A member that is there and not null.
fn part<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|value| !value.is_null())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A member that is an array with an element or more.
fn list<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>, Refusal> {
    let list = value.get(name).and_then(Value::as_array).filter(|list| !list.is_empty());
    list.ok_or_else(|| wrong(name, "an array of one element or more"))
}

/// The member of a job that queries call `name`: `JobId` is `jobId`.
fn member(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// The order of two values of one kind; none for values that have none.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        _ => None,
    }
}

/// A total order for sorting: null first.
fn rank(left: &Value, right: &Value) -> Ordering {
    let of = |value: &Value| !value.is_null();
    of(left).cmp(&of(right)).then(compare(left, right).unwrap_or(Ordering::Equal))
}

fn wrong(what: &str, allowed: &str) -> Refusal {
    Refusal::invalid(format!("BadRequest: {what} must be {allowed}"))
}
