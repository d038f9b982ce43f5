//! One twin section: user members with the time and version of their last change.
//!
//! The metadata lives in the same tree as the values, so it mirrors them by construction
//! (HUB-META-005), and the size is kept up to date instead of being recounted.

use compact_str::CompactString;
use serde_json::{Value, json};

use super::Members;
use crate::time::{NEVER, Time};

/// Size of a number in the documented counting.
pub(super) const NUMBER_SIZE: usize = 8;
/// Size of a Boolean in the documented counting.
pub(super) const BOOLEAN_SIZE: usize = 4;

/// `tags`, `desired` or `reported`.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    root: Object,
    version: u64,
    stamp: Option<Stamp>,
    size: usize,
}

/// When and by which version something was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// `$lastUpdated`.
    pub at: Time,
    /// `$lastUpdatedVersion`.
    pub version: u64,
}

/// Whether metadata carries `$lastUpdatedVersion`: desired does, reported does not (HUB-META-006).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataStyle {
    /// `$lastUpdated` and `$lastUpdatedVersion`.
    Desired,
    /// `$lastUpdated` only.
    Reported,
}

/// What stands at a path among the user members.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found<'a> {
    /// A scalar other than a string, or a whole array.
    Leaf(&'a Value),
    /// An object, the section itself included.
    Object,
    /// A string.
    Text(&'a str),
}

/// Sorted by key. A list in one block rather than a map: twins are small, there are many of them,
/// and a query walks through all.
type Object = Vec<Entry>;

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    key: CompactString,
    stamp: Stamp,
    node: Node,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// A scalar other than a string, or a whole array: arrays are never merged (M7).
    Leaf(Value),
    Object(Object),
    Text(CompactString),
}

impl Section {
    /// An untouched section: empty, version 1.
    #[must_use]
    pub fn new() -> Self {
        Self { root: Object::new(), version: 1, stamp: None, size: 0 }
    }

    /// `$version`.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether there is no user member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Size in bytes of the documented counting; `$` members do not count (HUB-VALI-017).
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// What stands at `path`, without copying it.
    #[must_use]
    pub fn find(&self, path: &[String]) -> Option<Found<'_>> {
        let Some((last, parents)) = path.split_last() else { return Some(Found::Object) };
        let parent = descend(&self.root, parents)?;
        Some(match &entry(parent, last)?.node {
            Node::Leaf(value) => Found::Leaf(value),
            Node::Object(_) => Found::Object,
            Node::Text(text) => Found::Text(text),
        })
    }

    /// Reads a little of the object that [`Self::find`] comes upon in its step `depth`, the section
    /// itself being step 0. The number means nothing: many sections that are touched one after the
    /// other are fetched from memory at the same time, which a walk down each of them is not.
    #[must_use]
    pub fn touch(&self, path: &[String], depth: usize) -> usize {
        let Some(above) = depth.checked_sub(1) else { return self.root.len() };
        let object = path.get(..above).and_then(|parents| descend(&self.root, parents));
        match object.map(Vec::as_slice) {
            Some([first, .., last]) => first.touch() + last.touch(),
            Some([only]) => only.touch(),
            Some([]) | None => 0,
        }
    }

    /// The user members.
    #[must_use]
    pub fn members(&self) -> Members {
        to_members(&self.root)
    }

    /// The user members and `$version`, as a device reads them.
    #[must_use]
    pub fn with_version(&self) -> Members {
        let mut members = self.members();
        members.insert("$version".to_owned(), json!(self.version));
        members
    }

    /// The user members, `$metadata` and `$version`, as a back end reads them.
    #[must_use]
    pub fn with_metadata(&self, style: MetadataStyle) -> Members {
        let mut members = self.with_version();
        members.insert("$metadata".to_owned(), Value::Object(self.metadata(style)));
        members
    }

    /// `$metadata`: the tree of change times.
    #[must_use]
    pub fn metadata(&self, style: MetadataStyle) -> Members {
        let mut metadata = children_metadata(&self.root, style);
        match self.stamp {
            None => drop(metadata.insert("$lastUpdated".to_owned(), json!(NEVER))),
            Some(stamp) => stamp.write(style, &mut metadata),
        }
        metadata
    }

    /// The size the section would have after the PATCH `members`.
    #[must_use]
    pub fn size_after_patch(&self, members: &Members) -> usize {
        let (grown, shrunk) = patch_growth(&self.root, members);
        (self.size + grown).saturating_sub(shrunk)
    }

    /// Merges `members` (M1 to M12).
    pub(super) fn patch(&mut self, members: &Members, now: Time) {
        let stamp = self.next(now);
        let (grown, shrunk) = merge(&mut self.root, members, stamp);
        self.size = (self.size + grown).saturating_sub(shrunk);
    }

    /// Puts `members` in place of all there is and stamps each of them (HUB-META-010).
    pub(super) fn replace(&mut self, members: &Members, now: Time) {
        let stamp = self.next(now);
        self.size = size_of_members(members);
        self.root = new_object(members, stamp);
    }

    /// `members` plus `null` for everything stored that they lack, at the deepest level.
    #[must_use]
    pub fn difference(&self, members: &Members) -> Members {
        difference(&self.root, members)
    }

    fn next(&mut self, now: Time) -> Stamp {
        self.version += 1;
        let stamp = Stamp { at: now, version: self.version };
        self.stamp = Some(stamp);
        stamp
    }
}

impl Default for Section {
    fn default() -> Self {
        Self::new()
    }
}

impl Stamp {
    fn write(self, style: MetadataStyle, metadata: &mut Members) {
        metadata.insert("$lastUpdated".to_owned(), json!(self.at.to_string()));
        if style == MetadataStyle::Desired {
            metadata.insert("$lastUpdatedVersion".to_owned(), json!(self.version));
        }
    }
}

impl Entry {
    fn new(key: &str, value: &Value, stamp: Stamp) -> Self {
        Self { key: CompactString::new(key), stamp, node: Node::new(value, stamp) }
    }

    fn size(&self) -> usize {
        size_of_text(&self.key) + self.node.size()
    }

    /// Reads both ends of the entry.
    fn touch(&self) -> usize {
        self.key.len() + usize::from(matches!(self.node, Node::Object(_)))
    }
}

impl Node {
    /// A value that stands where no object stood: nulls inside are dropped (M5, M9).
    fn new(value: &Value, stamp: Stamp) -> Self {
        match value {
            Value::Object(members) => Self::Object(new_object(members, stamp)),
            Value::String(text) => Self::Text(CompactString::new(text)),
            leaf => Self::Leaf(leaf.clone()),
        }
    }

    /// Takes a patched value in; says by how many bytes it grew and shrank.
    fn take(&mut self, value: &Value, stamp: Stamp) -> (usize, usize) {
        if let (Self::Object(stored), Value::Object(patch)) = (&mut *self, value) {
            return merge(stored, patch, stamp);
        }
        let shrunk = self.size();
        *self = Self::new(value, stamp);
        (size_of_value(value), shrunk)
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Leaf(value) => value.clone(),
            Self::Object(object) => Value::Object(to_members(object)),
            Self::Text(text) => Value::String(text.to_string()),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Leaf(value) => size_of_value(value),
            Self::Object(object) => object.iter().map(Entry::size).sum(),
            Self::Text(text) => size_of_text(text),
        }
    }
}

/// Where `key` is, or would be.
fn place(object: &[Entry], key: &str) -> Result<usize, usize> {
    object.binary_search_by(|entry| entry.key.as_str().cmp(key))
}

/// The object at `path` below `object`.
fn descend<'a>(object: &'a Object, path: &[String]) -> Option<&'a Object> {
    path.iter().try_fold(object, |object, name| match &entry(object, name)?.node {
        Node::Leaf(_) | Node::Text(_) => None,
        Node::Object(object) => Some(object),
    })
}

fn entry<'a>(object: &'a [Entry], key: &str) -> Option<&'a Entry> {
    object.get(place(object, key).ok()?)
}

/// The members come in the order of their keys, as the map has them.
fn new_object(members: &Members, stamp: Stamp) -> Object {
    let mut object = Object::with_capacity(members.len());
    let members = members.iter().filter(|(_, value)| !value.is_null());
    object.extend(members.map(|(key, value)| Entry::new(key, value, stamp)));
    object
}

/// Merges and says by how many bytes the object grew and shrank.
fn merge(object: &mut Object, members: &Members, stamp: Stamp) -> (usize, usize) {
    let mut growth = (0, 0);
    for (key, value) in members {
        let (grown, shrunk) = match (place(object, key), value) {
            (Err(_), Value::Null) => (0, 0),
            (Err(at), value) => {
                object.insert(at, Entry::new(key, value, stamp));
                (size_of_text(key) + size_of_value(value), 0)
            }
            (Ok(at), Value::Null) => (0, object.remove(at).size()),
            (Ok(at), value) => match object.get_mut(at) {
                None => (0, 0),
                Some(entry) => {
                    entry.stamp = stamp;
                    entry.node.take(value, stamp)
                }
            },
        };
        growth = (growth.0 + grown, growth.1 + shrunk);
    }
    growth
}

/// By how many bytes `members` makes `object` grow and shrink.
fn patch_growth(object: &[Entry], members: &Members) -> (usize, usize) {
    let mut growth = (0, 0);
    for (key, value) in members {
        let (grown, shrunk) = match (entry(object, key).map(|entry| &entry.node), value) {
            (None, Value::Null) => (0, 0),
            (None, value) => (size_of_text(key) + size_of_value(value), 0),
            (Some(stored), Value::Null) => (0, size_of_text(key) + stored.size()),
            (Some(Node::Object(stored)), Value::Object(patch)) => patch_growth(stored, patch),
            (Some(stored), value) => (size_of_value(value), stored.size()),
        };
        growth = (growth.0 + grown, growth.1 + shrunk);
    }
    growth
}

fn difference(object: &[Entry], members: &Members) -> Members {
    let mut result = members.clone();
    for Entry { key, node, .. } in object {
        match (node, members.get(key.as_str())) {
            (_, None) => drop(result.insert(key.to_string(), Value::Null)),
            (Node::Object(stored), Some(Value::Object(new))) => {
                result.insert(key.to_string(), Value::Object(difference(stored, new)));
            }
            (_, Some(_)) => {}
        }
    }
    result
}

fn to_members(object: &[Entry]) -> Members {
    object.iter().map(|entry| (entry.key.to_string(), entry.node.to_value())).collect()
}

fn children_metadata(object: &[Entry], style: MetadataStyle) -> Members {
    let entry_metadata = |entry: &Entry| {
        let mut metadata = match &entry.node {
            Node::Leaf(_) | Node::Text(_) => Members::new(),
            Node::Object(children) => children_metadata(children, style),
        };
        entry.stamp.write(style, &mut metadata);
        Value::Object(metadata)
    };
    object.iter().map(|entry| (entry.key.to_string(), entry_metadata(entry))).collect()
}

/// Size of the members of a section by the documented counting: key lengths plus value sizes at
/// all levels; nulls count nothing because they are never stored.
#[must_use]
pub fn size_of_members(members: &Members) -> usize {
    let size = |(key, value): (&String, &Value)| match value {
        Value::Null => 0,
        value => size_of_text(key) + size_of_value(value),
    };
    members.iter().map(size).sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => BOOLEAN_SIZE,
        Value::Number(_) => NUMBER_SIZE,
        Value::String(text) => size_of_text(text),
        Value::Array(elements) => elements.iter().map(size_of_value).sum(),
        Value::Object(members) => size_of_members(members),
    }
}

/// UTF-8 bytes without control characters.
fn size_of_text(text: &str) -> usize {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.len();
    }
    text.chars().filter(|c| !c.is_control()).map(char::len_utf8).sum()
}
