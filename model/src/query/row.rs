//! What a path finds in a row, as the operators see it (query.md §§ 5.3 and 7).

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::ast::{Literal, Path};

/// Members at the root of twins, in canonical case: they are found in any case.
const ROOTS: [&str; 20] = [
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

/// A value during evaluation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Datum<'a> {
    Bool(bool),
    /// An array or object of the row: it has no order and equals nothing.
    Composite(&'a Value),
    Null,
    Number(f64),
    Text(Cow<'a, str>),
    /// No value: a missing member, or an operation on operands it does not take.
    Undefined,
}

impl<'a> Datum<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => number.as_f64().map_or(Self::Undefined, Self::Number),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(_) | Value::Object(_) => Self::Composite(value),
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
            Self::Composite(_) | Self::Null | Self::Number(_) | Self::Text(_) | Self::Undefined => {
                None
            }
        }
    }

    /// Whether two values are equal: primitives of two types never are, and what is no primitive
    /// has no answer (A-Q09).
    pub(super) fn equals(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Undefined | Self::Composite(_), _)
            | (_, Self::Undefined | Self::Composite(_)) => None,
            (left, right) => Some(left == right),
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
    /// The value at the path.
    pub(super) fn find<'a>(&self, row: &'a Value) -> Option<&'a Value> {
        let (root, rest) = self.segments.split_first()?;
        let members = row.as_object()?;
        let root = members.get(root).or_else(|| members.get(canonical(root)));
        // One sample of a client asks for `id` and means the device.
        let root = root.or_else(|| match self.segments.as_slice() {
            [id] if id == "id" => members.get("deviceId"),
            _ => None,
        })?;
        rest.iter().try_fold(root, |value, name| value.as_object()?.get(name))
    }

    /// The member that a projection of the path has without `AS`.
    pub(super) fn key(&self) -> &str {
        match self.segments.as_slice() {
            [root] => canonical(root),
            segments => segments.last().map(String::as_str).unwrap_or_default(),
        }
    }
}

/// The canonical case of a root member.
fn canonical(root: &str) -> &str {
    ROOTS.into_iter().find(|name| name.eq_ignore_ascii_case(root)).unwrap_or(root)
}
