//! Twins as rows of queries (query.md § 7).

use std::borrow::Cow;

use serde_json::Value;

use super::Entity;
use crate::query::{Datum, Row};
use crate::twin::section::{Found, MetadataStyle, Section};

/// A query reads tags and properties where they are stored. The other members are small: they are
/// made for each look.
impl Row for Entity {
    fn look(&self, root: &str, rest: &[String]) -> Datum<'_> {
        match (root, rest) {
            ("tags", path) if !self.twin.tags.is_empty() => user_member(&self.twin.tags, path),
            ("properties", []) => Datum::Object,
            ("properties", [side, path @ ..]) => match self.side(side) {
                Some((section, style)) => property(section, style, path),
                None => Datum::Undefined,
            },
            (root, path) => self
                .twin_member(root)
                .map_or(Datum::Undefined, |member| Datum::within(member, path)),
        }
    }

    fn to_value(&self) -> Value {
        self.twin_json()
    }

    fn touch(&self, root: &str, rest: &[String], depth: usize) -> usize {
        match (root, rest) {
            ("tags", path) => self.twin.tags.touch(path, depth),
            ("properties", [side, path @ ..]) => {
                self.side(side).map_or(0, |(section, _)| section.touch(path, depth))
            }
            _ => 0,
        }
    }
}

impl Entity {
    /// The section of `properties` called `name`.
    fn side(&self, name: &str) -> Option<(&Section, MetadataStyle)> {
        match name {
            "desired" => Some((&self.twin.desired, MetadataStyle::Desired)),
            "reported" => Some((&self.twin.reported, MetadataStyle::Reported)),
            _ => None,
        }
    }
}

/// What stands at `path` in a section of properties, `$version` and `$metadata` among them.
fn property<'a>(section: &'a Section, style: MetadataStyle, path: &[String]) -> Datum<'a> {
    #[expect(clippy::cast_precision_loss, reason = "all numbers of queries are 64-bit floats")]
    match path {
        [name] if name == "$version" => Datum::Number(section.version() as f64),
        [name, rest @ ..] if name == "$metadata" => {
            Datum::within(Value::Object(section.metadata(style)), rest)
        }
        path => user_member(section, path),
    }
}

fn user_member<'a>(section: &'a Section, path: &[String]) -> Datum<'a> {
    match section.find(path) {
        None => Datum::Undefined,
        Some(Found::Leaf(value)) => Datum::of(value),
        Some(Found::Object) => Datum::Object,
        Some(Found::Text(text)) => Datum::Text(Cow::Borrowed(text)),
    }
}
