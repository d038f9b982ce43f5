//! Reading members of a JSON document with the place of every fault.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::flaw::{Document, Flaw, Reason};

/// A value, where it stands, and what it belongs to.
#[derive(Clone)]
pub(super) struct Spot<'a> {
    pub(super) value: &'a Value,
    place: String,
    document: Document,
}

impl<'a> Spot<'a> {
    /// The root of a document, which must be an object.
    pub(super) fn root(value: &'a Value, document: Document) -> Result<Self, Flaw> {
        let spot = Self { value, place: String::new(), document };
        spot.object()?;
        Ok(spot)
    }

    pub(super) fn flaw(&self, reason: Reason, message: impl Into<String>) -> Flaw {
        Flaw::new(self.document, reason, self.place.clone(), message)
    }

    fn wrong_type(&self, allowed: &str) -> Flaw {
        let kind = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a Boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        self.flaw(Reason::WrongType, format!("is {kind}, allowed is {allowed}"))
    }

    fn below(&self, name: &str, value: &'a Value) -> Self {
        let place =
            if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) };
        Self { value, place, document: self.document }
    }

    pub(super) fn object(&self) -> Result<&'a Map<String, Value>, Flaw> {
        self.value.as_object().ok_or_else(|| self.wrong_type("an object"))
    }

    pub(super) fn text(&self) -> Result<&'a str, Flaw> {
        self.value.as_str().ok_or_else(|| self.wrong_type("a string"))
    }

    pub(super) fn flag(&self) -> Result<bool, Flaw> {
        self.value.as_bool().ok_or_else(|| self.wrong_type("a Boolean"))
    }

    /// A whole number that is not negative.
    pub(super) fn number(&self) -> Result<u64, Flaw> {
        self.value.as_u64().ok_or_else(|| self.wrong_type("a whole number from 0 on"))
    }

    /// The member called `name`, if it is there.
    pub(super) fn optional(&self, name: &str) -> Result<Option<Self>, Flaw> {
        Ok(self.object()?.get(name).map(|value| self.below(name, value)))
    }

    /// The member called `name`.
    pub(super) fn member(&self, name: &str) -> Result<Self, Flaw> {
        self.optional(name)?.ok_or_else(|| {
            Flaw::new(
                self.document,
                Reason::Missing,
                self.below(name, self.value).place,
                "is missing",
            )
        })
    }

    /// The members, each with its name.
    pub(super) fn members(&self) -> Result<impl Iterator<Item = (&'a str, Self)>, Flaw> {
        let members = self.object()?;
        Ok(members.iter().map(|(name, value)| (name.as_str(), self.below(name, value))))
    }

    /// As many members as `allowed`, each with its name.
    pub(super) fn some_members(
        &self,
        allowed: RangeInclusive<usize>,
    ) -> Result<impl Iterator<Item = (&'a str, Self)>, Flaw> {
        self.counted(self.object()?.len(), "members", &allowed)?;
        self.members()
    }

    /// The elements of an array.
    pub(super) fn elements(&self) -> Result<impl Iterator<Item = Self>, Flaw> {
        let elements = self.value.as_array().ok_or_else(|| self.wrong_type("an array"))?;
        let spots = elements.iter().enumerate();
        Ok(spots.map(|(index, value)| Self {
            value,
            place: format!("{}[{index}]", self.place),
            document: self.document,
        }))
    }

    /// The elements of an array of as many as `allowed`.
    pub(super) fn some_elements(
        &self,
        allowed: RangeInclusive<usize>,
    ) -> Result<impl Iterator<Item = Self>, Flaw> {
        let count = self.value.as_array().map_or(0, Vec::len);
        let elements = self.elements()?;
        self.counted(count, "elements", &allowed)?;
        Ok(elements)
    }

    fn counted(
        &self,
        count: usize,
        what: &str,
        allowed: &RangeInclusive<usize>,
    ) -> Result<(), Flaw> {
        if allowed.contains(&count) {
            return Ok(());
        }
        let (low, high) = (allowed.start(), allowed.end());
        Err(self.flaw(Reason::Count, format!("has {count} {what}, allowed are {low} to {high}")))
    }

    /// A text of as many characters as `allowed`.
    pub(super) fn some_text(&self, allowed: RangeInclusive<usize>) -> Result<&'a str, Flaw> {
        let text = self.text()?;
        let count = text.chars().count();
        if allowed.contains(&count) {
            return Ok(text);
        }
        let (low, high) = (allowed.start(), allowed.end());
        let message = format!("has {count} characters, allowed are {low} to {high}");
        Err(self.flaw(Reason::Value, message))
    }

    /// Refuses members other than `allowed`.
    pub(super) fn only(&self, allowed: &[&str]) -> Result<(), Flaw> {
        match self.members()?.find(|(name, _)| !allowed.contains(name)) {
            None => Ok(()),
            Some((_, spot)) => Err(spot.flaw(
                Reason::UnknownMember,
                format!("is not known here, allowed are {}", allowed.join(", ")),
            )),
        }
    }
}

/// Parses a text as JSON, any value at the top.
pub(super) fn json(text: &str, document: Document) -> Result<Value, Flaw> {
    serde_json::from_str(text)
        .map_err(|error| Flaw::new(document, Reason::NotJson, "", format!("is not JSON: {error}")))
}
