//! Which content a twin takes (HUB-VALI).
//!
//! Every check answers with the service's own words plus the path of the offender, so that a
//! person knows what was wrong, where, and what was allowed.

use serde_json::{Number, Value};

use super::Members;
use super::limits::TwinLimits;
use crate::error::Refusal;

/// Where a value stands: whether `null` may stand there too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    /// In a PATCH: `null` removes.
    Remove,
    /// In a PUT and anywhere inside an array.
    Refused,
}

/// Checks the members of a PATCH.
///
/// # Errors
/// The first broken rule.
pub fn patch_members(members: &Members, limits: &TwinLimits) -> Result<(), Refusal> {
    Walk { limits, path: Vec::new() }.members(members, Nulls::Remove)
}

/// Checks the members of a PUT: like a PATCH, and no `null` anywhere (HUB-MERGE-020).
///
/// # Errors
/// The first broken rule.
pub fn replace_members(members: &Members, limits: &TwinLimits) -> Result<(), Refusal> {
    Walk { limits, path: Vec::new() }.members(members, Nulls::Refused)
}

/// The refusal of a `null` at `path`.
pub(super) fn null_refusal(path: &str) -> Refusal {
    Refusal::invalid(format!(
        "Value of Property or Tag cannot be null. Error in Property/Tag {path}"
    ))
}

struct Walk<'a> {
    limits: &'a TwinLimits,
    path: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn members(&mut self, members: &'a Members, nulls: Nulls) -> Result<(), Refusal> {
        for (key, value) in members {
            self.path.push(key);
            self.key(key)?;
            self.value(value, nulls)?;
            self.path.pop();
        }
        Ok(())
    }

    fn key(&self, key: &str) -> Result<(), Refusal> {
        if key.len() > self.limits.key_bytes_max {
            return Err(Refusal::invalid(format!(
                "Property or Tag name should be maximum {} bytes, found {}. Error in Property/Tag \
                 {}",
                self.limits.key_bytes_max,
                key.len(),
                self.place()
            )));
        }
        let forbidden = |c: char| c.is_control() || matches!(c, '.' | '$' | '#' | ' ');
        match key.chars().find(|c| forbidden(*c)) {
            None => Ok(()),
            Some(found) => Err(Refusal::invalid(format!(
                "Property or Tag name has invalid characters. Must not contain Control Characters, \
                 '.', '$', '#', or ' ', found {found:?}. Error in Property/Tag {}",
                self.place()
            ))),
        }
    }

    fn value(&mut self, value: &'a Value, nulls: Nulls) -> Result<(), Refusal> {
        match value {
            Value::Null if nulls == Nulls::Remove => Ok(()),
            Value::Null => Err(null_refusal(&self.place())),
            Value::Bool(_) => Ok(()),
            Value::Number(number) => self.number(number),
            Value::String(text) => self.string(text),
            Value::Array(elements) => {
                self.depth()?;
                elements.iter().try_for_each(|element| self.element(element))
            }
            Value::Object(members) => {
                self.depth()?;
                self.members(members, nulls)
            }
        }
    }

    /// An array element: its place is the array's, one level down, and nulls are refused below.
    fn element(&mut self, element: &'a Value) -> Result<(), Refusal> {
        self.path.push("[]");
        self.value(element, Nulls::Refused)?;
        self.path.pop();
        Ok(())
    }

    fn depth(&self) -> Result<(), Refusal> {
        if self.path.len() <= self.limits.depth_max {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "Nesting of Properties or Tags should be maximum {} levels. Error in Property/Tag {}",
            self.limits.depth_max,
            self.place()
        )))
    }

    fn number(&self, number: &Number) -> Result<(), Refusal> {
        let in_range = match (number.as_i64(), number.as_u64()) {
            (Some(n), _) => (self.limits.integer_min..=self.limits.integer_max).contains(&n),
            (None, Some(_)) => false,
            (None, None) => true, // A fraction: the documented range is for integers.
        };
        if in_range {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "Integer value {number} of Property or Tag must be within [{}; {}]. Error in \
             Property/Tag {}",
            self.limits.integer_min,
            self.limits.integer_max,
            self.place()
        )))
    }

    fn string(&self, text: &str) -> Result<(), Refusal> {
        if text.len() <= self.limits.string_bytes_max {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "Property or Tag value should be maximum {} bytes, found {}. Error in Property/Tag {}",
            self.limits.string_bytes_max,
            text.len(),
            self.place()
        )))
    }

    /// The dotted path of the current value, with very long keys cut.
    fn place(&self) -> String {
        let cut = |key: &&str| key.chars().take(64).collect::<String>();
        self.path.iter().map(cut).collect::<Vec<_>>().join(".")
    }
}
