//! What the configurations that target one twin come to, and what that means for the twin.
//!
//! Settings are kept as one tree of members: objects are branches, everything else is a leaf, and
//! `null` is a leaf that says: this property is to be absent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Settings;
use crate::twin::Members;

/// How far a configuration got with a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The twin meets its condition, but nothing of it holds there.
    Targeted,
    /// At least one of its settings holds there.
    Applied,
}

impl Status {
    /// The word in twins.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Targeted => "Targeted",
            Self::Applied => "Applied",
        }
    }
}

/// What several configurations come to for one twin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// The settings that win.
    pub settings: Members,
    /// The configurations by id.
    pub statuses: BTreeMap<String, Status>,
}

/// What holds for one twin at present.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targeting {
    resolved: Resolved,
}

/// Puts the settings of configurations together, `layers` with the highest rank first.
///
/// Where two set the same path, the one with the higher rank does; settings that are not in
/// conflict stand side by side (A-H59).
#[must_use]
pub fn resolve<'a>(layers: &[(&'a str, &'a Settings)]) -> Resolved {
    let mut resolved = Resolved::default();
    let mut claimed: BTreeSet<&[String]> = BTreeSet::new();
    for (id, settings) in layers {
        let holds = settings.paths().any(|(path, value)| holds(path.to_vec(), value, &claimed));
        let status = if holds { Status::Applied } else { Status::Targeted };
        resolved.statuses.insert((*id).to_owned(), status);
        claimed.extend(settings.paths().map(|(path, _)| path));
    }
    for (_, settings) in layers.iter().rev() {
        settings.paths().for_each(|(path, value)| set(&mut resolved.settings, path, value));
    }
    resolved
}

/// Whether anything of `value` at `path` is left by settings at `claimed` paths.
fn holds(path: Vec<String>, value: &Value, claimed: &BTreeSet<&[String]>) -> bool {
    let covers = |length| path.get(..length).is_some_and(|above| claimed.contains(above));
    if (1..=path.len()).any(covers) {
        return false;
    }
    match value {
        Value::Object(members) if !members.is_empty() => members.iter().any(|(name, value)| {
            let below = path.iter().chain([name]).cloned().collect();
            holds(below, value, claimed)
        }),
        // A leaf that others put an object around is gone.
        _ => claimed.range(path.as_slice()..).next().is_none_or(|next| !next.starts_with(&path)),
    }
}

/// Puts `value` at `path`, in the place of whatever was there.
pub(super) fn set(members: &mut Members, path: &[String], value: &Value) {
    match path {
        [] => {}
        [name] => drop(members.insert(name.clone(), value.clone())),
        [name, rest @ ..] => {
            let inner = members.entry(name.clone()).or_insert(Value::Null);
            if !inner.is_object() {
                *inner = Value::Object(Members::new());
            }
            if let Value::Object(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

impl Targeting {
    /// The configurations that target the twin, by id.
    #[must_use]
    pub fn statuses(&self) -> &BTreeMap<String, Status> {
        &self.resolved.statuses
    }

    /// Whether no configuration targets the twin and no setting is left there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resolved.statuses.is_empty() && self.resolved.settings.is_empty()
    }

    /// The PATCH that takes the twin, whose desired properties are `desired`, from the present
    /// settings to `next`: new ones and those that were changed by others (A-H60) with their
    /// values, those no longer set as `null`, with objects that would be left empty.
    #[must_use]
    pub fn update(&self, next: &Resolved, desired: &Members) -> Members {
        members_update(&self.resolved.settings, Some(&next.settings), desired)
    }

    /// The PATCH of [`Self::update`] was taken.
    pub fn advance(&mut self, next: Resolved) {
        self.resolved = next;
    }

    /// The PATCH of [`Self::update`] was refused: the settings stay, and nothing is applied that
    /// was not before.
    pub fn fall_back(&mut self, next: Resolved) {
        let before = std::mem::take(&mut self.resolved.statuses);
        let status = |id: &String| before.get(id).copied().unwrap_or(Status::Targeted);
        self.resolved.statuses =
            next.statuses.into_keys().map(|id| (id.clone(), status(&id))).collect();
    }
}

/// The PATCH for all members; `new` is none where the object as a whole is no longer set.
fn members_update(old: &Members, new: Option<&Members>, stored: &Members) -> Members {
    let names: BTreeSet<&String> =
        old.keys().chain(new.into_iter().flat_map(Members::keys)).collect();
    let update = |name: &String| {
        let new = new.and_then(|new| new.get(name));
        Some((name.clone(), value_update(old.get(name), new, stored.get(name))?))
    };
    names.into_iter().filter_map(update).collect()
}

/// What the PATCH says about one member; none for nothing.
fn value_update(old: Option<&Value>, new: Option<&Value>, stored: Option<&Value>) -> Option<Value> {
    match new {
        None => removal(old?, stored?),
        Some(Value::Object(new)) => {
            let nothing = Members::new();
            let (old, stored) = (old.and_then(Value::as_object), stored.and_then(Value::as_object));
            let stands = old.is_some() && stored.is_some();
            let (old, stored) = (old.unwrap_or(&nothing), stored.unwrap_or(&nothing));
            let update = members_update(old, Some(new), stored);
            (!stands || !update.is_empty()).then_some(Value::Object(update))
        }
        Some(new) => {
            let holds = if new.is_null() { stored.is_none() } else { stored == Some(new) };
            (old != Some(new) || !holds).then(|| new.clone())
        }
    }
}

/// What the PATCH says about a member that is no longer set; `stored` is what stands there.
fn removal(old: &Value, stored: &Value) -> Option<Value> {
    match (old, stored) {
        // It was the absence that was set.
        (Value::Null, _) => None,
        (Value::Object(old), Value::Object(stored)) => {
            let update = members_update(old, None, stored);
            if stored.keys().all(|name| update.get(name) == Some(&Value::Null)) {
                return Some(Value::Null);
            }
            (!update.is_empty()).then_some(Value::Object(update))
        }
        _ => Some(Value::Null),
    }
}
