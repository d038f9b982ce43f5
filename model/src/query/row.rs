//! What a path finds in a row, as the operators see it (query.md §§ 5.3 and 7).

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::ast::{Column, Item, Literal, Path};

/// Members at the root of twins, in canonical case: they are found in any case.
pub const TWIN_MEMBERS: [&str; 20] = [
    "deviceId",
    "moduleId",
    "etag",
    "deviceEtag",
    "version",
    "status",
    "statusReason",
    "statusUpdateTime",
    "connectionState",
    "lastActivityTime",
    "cloudToDeviceMessageCount",
    "authenticationType",
    "x509Thumbprint",
    "modelId",
    "capabilities",
    "deviceScope",
    "parentScopes",
    "tags",
    "properties",
    "configurations",
];

/// Members that rows of jobs have and twins do not.
const JOB_MEMBERS: [&str; 8] = [
    "jobId",
    "jobType",
    "startTimeUtc",
    "endTimeUtc",
    "createdDateTimeUtc",
    "lastUpdatedDateTimeUtc",
    "outcome",
    "error",
];

/// Something a query looks through. Only what a query asks for is read, so a row need not exist as
/// one JSON value.
pub trait Row {
    /// What stands at `rest` within the member `root`; names are compared with their case.
    fn look(&self, root: &str, rest: &[String]) -> Datum<'_>;

    /// The whole row.
    fn to_value(&self) -> Value;

    /// Reads a little of what [`Self::look`] comes upon in its step `depth`; the number means
    /// nothing. Where rows are scattered over memory, touching many of them step by step fetches
    /// them at the same time.
    fn touch(&self, _root: &str, _rest: &[String], _depth: usize) -> usize {
        0
    }
}

impl<R: Row + ?Sized> Row for &R {
    fn look(&self, root: &str, rest: &[String]) -> Datum<'_> {
        (**self).look(root, rest)
    }

    fn to_value(&self) -> Value {
        (**self).to_value()
    }

    fn touch(&self, root: &str, rest: &[String], depth: usize) -> usize {
        (**self).touch(root, rest, depth)
    }
}

impl Row for Value {
    fn look(&self, root: &str, rest: &[String]) -> Datum<'_> {
        let found = self.get(root).and_then(|member| descend(member, rest));
        found.map_or(Datum::Undefined, Datum::of)
    }

    fn to_value(&self) -> Value {
        self.clone()
    }
}

/// The value at `path` within `value`; paths do not lead into arrays.
fn descend<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.as_object()?.get(name))
}

/// A value during evaluation.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum<'a> {
    /// An array: it has no order and equals nothing.
    Array(Cow<'a, [Value]>),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// A number, as a 64-bit float.
    Number(f64),
    /// An object: it has no order and equals nothing, whatever is in it.
    Object,
    /// A string.
    Text(Cow<'a, str>),
    /// No value: a missing member, or an operation on operands it does not take.
    Undefined,
}

impl<'a> Datum<'a> {
    /// What `value` is to the operators.
    #[must_use]
    pub fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => number.as_f64().map_or(Self::Undefined, Self::Number),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(elements) => Self::Array(Cow::Borrowed(elements)),
            Value::Object(_) => Self::Object,
        }
    }

    /// What stands at `path` within a value that was made for this look only.
    #[must_use]
    pub fn within(value: Value, path: &[String]) -> Datum<'static> {
        let found = path.iter().try_fold(value, |value, name| match value {
            Value::Object(mut members) => members.remove(name),
            _ => None,
        });
        match found {
            None => Datum::Undefined,
            Some(Value::String(text)) => Datum::Text(Cow::Owned(text)),
            Some(Value::Array(elements)) => Datum::Array(Cow::Owned(elements)),
            Some(Value::Null) => Datum::Null,
            Some(Value::Bool(value)) => Datum::Bool(value),
            Some(Value::Number(number)) => number.as_f64().map_or(Datum::Undefined, Datum::Number),
            Some(Value::Object(_)) => Datum::Object,
        }
    }

    pub(super) fn constant(literal: &'a Literal) -> Self {
        match literal {
            Literal::Bool(value) => Self::Bool(*value),
            Literal::Null => Self::Null,
            Literal::Number(number) => Self::Number(*number),
            Literal::Text(text) => Self::Text(Cow::Borrowed(text)),
            Literal::Undefined => Self::Undefined,
        }
    }

    /// A truth value; `None` for no value.
    pub(super) fn truth(truth: Option<bool>) -> Self {
        truth.map_or(Self::Undefined, Self::Bool)
    }

    /// The truth value it is; everything that is no Boolean is no operand of AND, OR and NOT.
    pub(super) fn as_truth(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Array(_)
            | Self::Null
            | Self::Number(_)
            | Self::Object
            | Self::Text(_)
            | Self::Undefined => None,
        }
    }

    /// Whether it can be compared.
    pub(super) fn is_primitive(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Object | Self::Undefined)
    }

    /// Whether two values are equal: primitives of two types never are, and what is no primitive
    /// has no answer (A-Q09).
    pub(super) fn equals(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (left, right) if left.is_primitive() && right.is_primitive() => Some(left == right),
            _ => None,
        }
    }

    /// How two values of one type are ordered; strings by UTF-16 code units.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => Some(left.cmp(right)),
            (Self::Number(left), Self::Number(right)) => left.partial_cmp(right),
            (Self::Text(left), Self::Text(right)) => {
                Some(left.encode_utf16().cmp(right.encode_utf16()))
            }
            _ => None,
        }
    }
}

impl Path {
    /// What a row has at the path.
    pub(super) fn find<'a>(&self, row: &'a (impl Row + ?Sized)) -> Datum<'a> {
        let Some((root, rest)) = self.segments.split_first() else { return Datum::Undefined };
        match row.look(root, rest) {
            Datum::Undefined => {
                meant(root, rest).map_or(Datum::Undefined, |root| row.look(root, rest))
            }
            found => found,
        }
    }

    /// The value that a whole row has at the path.
    pub(super) fn value<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        let (root, rest) = self.segments.split_first()?;
        let look = |root: &str| descend(document.get(root)?, rest);
        look(root).or_else(|| look(meant(root, rest)?))
    }

    /// The member that a projection of the path has without `AS`.
    pub(super) fn key(&self) -> &str {
        match self.segments.as_slice() {
            [root] => canonical(root),
            segments => segments.last().map(String::as_str).unwrap_or_default(),
        }
    }
}

impl Item {
    /// The name of the member in the rows of a result; none for an aggregate without `AS`.
    pub(super) fn key(&self) -> &str {
        match (&self.alias, &self.column) {
            (Some(alias), _) => alias,
            (None, Column::Path(path)) => path.key(),
            (None, Column::Aggregate(..) | Column::Count) => "",
        }
    }
}

/// The root member that may be meant where there is none of the name `root`.
fn meant<'a>(root: &'a str, rest: &[String]) -> Option<&'a str> {
    match canonical(root) {
        // One sample of a client asks for `id` and means the device.
        "id" if rest.is_empty() => Some("deviceId"),
        name => (name != root).then_some(name),
    }
}

/// The canonical case of a root member.
fn canonical(root: &str) -> &str {
    let mut known = TWIN_MEMBERS.into_iter().chain(JOB_MEMBERS);
    known.find(|name| name.eq_ignore_ascii_case(root)).unwrap_or(root)
}
