//! Which content a twin takes (HUB-VALI).
//!
//! Every check answers with the service's own words plus the path of the offender, so that a
//! person knows what was wrong, where, and what was allowed.

use std::fmt;

use serde_json::{Number, Value};

use super::Members;
use super::limits::TwinLimits;
use super::section::{BOOLEAN_SIZE, NUMBER_SIZE};
use crate::error::Refusal;

/// Where a value stands: whether `null` may stand there too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    /// In a PATCH: `null` removes.
    Remove,
    /// In a PUT and anywhere inside an array.
    Refused,
}

/// Checks the members of a PATCH and returns how many bytes they add at most.
///
/// # Errors
/// The first broken rule.
pub fn patch_members(members: &Members, limits: &TwinLimits) -> Result<usize, Refusal> {
    Walk { limits }.members(members, Nulls::Remove, None)
}

/// Checks the members of a PUT: like a PATCH, and no `null` anywhere (HUB-MERGE-020).
///
/// # Errors
/// The first broken rule.
pub fn replace_members(members: &Members, limits: &TwinLimits) -> Result<usize, Refusal> {
    Walk { limits }.members(members, Nulls::Refused, None)
}

/// The refusal of a `null` at `path`.
pub(super) fn null_refusal(path: &str) -> Refusal {
    Refusal::invalid(format!(
        "Value of Property or Tag cannot be null. Error in Property/Tag {path}"
    ))
}

/// Where the walk stands: a list through the stack, because most walks end without a complaint.
struct Place<'a> {
    key: &'a str,
    depth: usize,
    above: Option<&'a Place<'a>>,
}

impl<'a> Place<'a> {
    fn below(above: Option<&'a Self>, key: &'a str) -> Self {
        Self { key, depth: above.map_or(0, |above| above.depth) + 1, above }
    }
}

impl fmt::Display for Place<'_> {
    /// The dotted path, with very long keys cut.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            write!(formatter, "{above}.")?;
        }
        formatter.write_str(&self.key.chars().take(64).collect::<String>())
    }
}

struct Walk<'a> {
    limits: &'a TwinLimits,
}

impl Walk<'_> {
    fn members(
        &self,
        members: &Members,
        nulls: Nulls,
        above: Option<&Place<'_>>,
    ) -> Result<usize, Refusal> {
        let mut size = 0;
        for (key, value) in members {
            let place = Place::below(above, key);
            self.key(&place)?;
            size += key.len() + self.value(value, nulls, &place)?;
        }
        Ok(size)
    }

    fn key(&self, place: &Place<'_>) -> Result<(), Refusal> {
        let (key, key_bytes_max) = (place.key, self.limits.key_bytes_max);
        if key.len() > key_bytes_max {
            return Err(Refusal::invalid(format!(
                "Property or Tag name should be maximum {key_bytes_max} bytes, found {}. Error in \
                 Property/Tag {place}",
                key.len()
            )));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if key.bytes().all(is_plain) {
            return Ok(()); // Nearly every key: no need to look at characters.
        }
        let forbidden = |c: char| c.is_control() || matches!(c, '.' | '$' | '#' | ' ');
        match key.chars().find(|c| forbidden(*c)) {
            None => Ok(()),
            Some(found) => Err(Refusal::invalid(format!(
                "Property or Tag name has invalid characters. Must not contain Control Characters, \
                 '.', '$', '#', or ' ', found {found:?}. Error in Property/Tag {place}"
            ))),
        }
    }

    /// Checks a value and returns how many bytes it counts at most.
    fn value(&self, value: &Value, nulls: Nulls, place: &Place<'_>) -> Result<usize, Refusal> {
        match value {
            Value::Null if nulls == Nulls::Remove => Ok(0),
            Value::Null => Err(null_refusal(&place.to_string())),
            Value::Bool(_) => Ok(BOOLEAN_SIZE),
            Value::Number(number) => self.number(number, place),
            Value::String(text) => self.string(text, place),
            Value::Array(elements) => {
                self.depth(place)?;
                // An element's place is the array's, one level down, and nulls are refused below.
                let inside = Place::below(Some(place), "[]");
                let element = |element| self.value(element, Nulls::Refused, &inside);
                elements.iter().map(element).sum()
            }
            Value::Object(members) => {
                self.depth(place)?;
                self.members(members, nulls, Some(place))
            }
        }
    }

    fn depth(&self, place: &Place<'_>) -> Result<(), Refusal> {
        if place.depth <= self.limits.depth_max {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "Nesting of Properties or Tags should be maximum {} levels. Error in Property/Tag \
             {place}",
            self.limits.depth_max
        )))
    }

    fn number(&self, number: &Number, place: &Place<'_>) -> Result<usize, Refusal> {
        let TwinLimits { integer_min, integer_max, .. } = self.limits;
        let in_range = match (number.as_i64(), number.as_u64()) {
            (Some(n), _) => (*integer_min..=*integer_max).contains(&n),
            (None, Some(_)) => false,
            (None, None) => true, // A fraction: the documented range is for integers.
        };
        if in_range {
            return Ok(NUMBER_SIZE);
        }
        Err(Refusal::invalid(format!(
            "Integer value {number} of Property or Tag must be within [{integer_min}; \
             {integer_max}]. Error in Property/Tag {place}"
        )))
    }

    fn string(&self, text: &str, place: &Place<'_>) -> Result<usize, Refusal> {
        let string_bytes_max = self.limits.string_bytes_max;
        if text.len() <= string_bytes_max {
            return Ok(text.len());
        }
        Err(Refusal::invalid(format!(
            "Property or Tag value should be maximum {string_bytes_max} bytes, found {}. Error in \
             Property/Tag {place}",
            text.len()
        )))
    }
}
