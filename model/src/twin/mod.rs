//! Device and module twins: what is stored, how it changes, who is told.
//!
//! Rules M1 to M15 (merging), PUT rules, versions and metadata; HUB-MERGE, HUB-META, HUB-NOTI.
//! A twin never holds a `null`, and a refused write leaves it untouched.

pub mod limits;
pub mod section;
pub mod validate;

use serde_json::{Map, Value, json};

use crate::error::{ErrorCode, Refusal};
use crate::time::Time;
use limits::TwinLimits;
use section::Section;

/// The members of a twin section as JSON.
pub type Members = Map<String, Value>;

/// One device's or module's twin.
#[derive(Clone, Debug, PartialEq)]
pub struct Twin {
    /// Set and read by back ends only; devices never see it (HUB-TWIN-004).
    pub tags: Section,
    /// Set by back ends, read by the device.
    pub desired: Section,
    /// Set by the device, read by back ends.
    pub reported: Section,
    /// Accepted writes of any section so far; feeds `version` and `etag`.
    writes: u64,
}

/// What a back end writes: the writable members of a PATCH or PUT body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TwinWrite {
    /// The `tags` member.
    pub tags: Option<SectionWrite>,
    /// The `properties.desired` member.
    pub desired: Option<SectionWrite>,
}

/// What is written to one section.
#[derive(Clone, Debug, PartialEq)]
pub enum SectionWrite {
    /// `null` for the whole section.
    Clear,
    /// These members.
    Members(Members),
}

/// How a back end writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// PATCH: merge.
    Patch,
    /// PUT: replace.
    Replace,
}

/// What an accepted write means for others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// What a subscribed, connected device is sent: members and `$version`.
    pub notification: Option<DesiredNotification>,
}

/// A desired-properties notification.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredNotification {
    /// The new version of the desired section.
    pub version: u64,
    /// The members sent, removed ones as `null`, with `$version`.
    pub body: Members,
}

impl Twin {
    /// The twin of a new identity.
    #[must_use]
    pub fn new() -> Self {
        Self { tags: Section::new(), desired: Section::new(), reported: Section::new(), writes: 0 }
    }

    /// The counter of the whole document: 2 for a new twin, one more for each accepted write.
    /// One counter for all sections is the default of the open point A-H16.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.writes + 2
    }

    /// The number behind `etag`: 1 for a new twin, one more for each accepted write.
    #[must_use]
    pub fn etag_number(&self) -> u64 {
        self.writes + 1
    }

    /// Applies a back end's write.
    ///
    /// # Errors
    /// A [`Refusal`] that names the broken rule; the twin is then unchanged.
    pub fn write(
        &mut self,
        mode: WriteMode,
        write: &TwinWrite,
        limits: &TwinLimits,
        now: Time,
    ) -> Result<Change, Refusal> {
        check(&self.tags, mode, write.tags.as_ref(), limits, &limits.tags)?;
        check(&self.desired, mode, write.desired.as_ref(), limits, &limits.desired)?;
        let mut change = Change::default();
        if let Some(members) = &write.tags {
            apply(&mut self.tags, mode, members, now);
        }
        if let Some(members) = &write.desired {
            let mut body = notification_members(&self.desired, mode, members);
            apply(&mut self.desired, mode, members, now);
            let version = self.desired.version();
            body.insert("$version".to_owned(), json!(version));
            change.notification = Some(DesiredNotification { version, body });
        }
        self.writes += 1;
        Ok(change)
    }

    /// Applies a device's reported-properties PATCH and returns the new reported version.
    ///
    /// `base` is the `$version` condition of the topic, where there is one.
    ///
    /// # Errors
    /// A [`Refusal`] that names the broken rule; the twin is then unchanged.
    pub fn report(
        &mut self,
        patch: &Value,
        base: Option<u64>,
        limits: &TwinLimits,
        now: Time,
    ) -> Result<u64, Refusal> {
        let Value::Object(members) = patch else {
            return Err(Refusal::invalid(format!(
                "Reported properties must be a JSON object, found {}",
                kind(patch)
            )));
        };
        let current = self.reported.version();
        if base.is_some_and(|base| base != current) {
            return Err(Refusal::new(
                ErrorCode::PreconditionFailed,
                format!("Precondition failed: reported version did not match, existing: {current}"),
            ));
        }
        check_patch(&self.reported, members, limits, &limits.reported)?;
        self.reported.patch(members, now);
        self.writes += 1;
        Ok(self.reported.version())
    }

    /// What a device reads: both property sections with their versions, no tags, no metadata
    /// (HUB-TWIN-003 to -005).
    #[must_use]
    pub fn device_view(&self) -> Value {
        json!({
            "desired": self.desired.with_version(),
            "reported": self.reported.with_version(),
        })
    }
}

impl Default for Twin {
    fn default() -> Self {
        Self::new()
    }
}

impl TwinWrite {
    /// Picks the writable members out of a PATCH or PUT body and ignores the read-only ones that
    /// clients echo back (HUB-MERGE-021).
    ///
    /// # Errors
    /// When the body, `properties` or a section has the wrong JSON type, or a PUT nulls a section.
    pub fn from_body(mode: WriteMode, body: &Value) -> Result<Self, Refusal> {
        let Value::Object(root) = body else {
            return Err(Refusal::invalid(format!(
                "The twin must be a JSON object, found {}",
                kind(body)
            )));
        };
        let desired = match root.get("properties") {
            None | Some(Value::Null) => None,
            Some(Value::Object(properties)) => properties.get("desired"),
            Some(other) => return Err(wrong_type("properties", other)),
        };
        let desired =
            section_write(mode, "properties.desired", desired)?.map(|write| match write {
                SectionWrite::Clear => SectionWrite::Clear,
                SectionWrite::Members(mut members) => {
                    members.remove("$metadata");
                    members.remove("$version");
                    SectionWrite::Members(members)
                }
            });
        Ok(Self { tags: section_write(mode, "tags", root.get("tags"))?, desired })
    }
}

fn section_write(
    mode: WriteMode,
    name: &str,
    value: Option<&Value>,
) -> Result<Option<SectionWrite>, Refusal> {
    match (value, mode) {
        (None, _) => Ok(None),
        (Some(Value::Object(members)), _) => Ok(Some(SectionWrite::Members(members.clone()))),
        (Some(Value::Null), WriteMode::Patch) => Ok(Some(SectionWrite::Clear)),
        (Some(Value::Null), WriteMode::Replace) => Err(validate::null_refusal(name)),
        (Some(other), _) => Err(wrong_type(name, other)),
    }
}

/// Checks a section write; nothing is changed yet.
fn check(
    section: &Section,
    mode: WriteMode,
    write: Option<&SectionWrite>,
    limits: &TwinLimits,
    limit: &limits::SizeLimit,
) -> Result<(), Refusal> {
    match (write, mode) {
        (None | Some(SectionWrite::Clear), _) => Ok(()),
        (Some(SectionWrite::Members(members)), WriteMode::Patch) => {
            check_patch(section, members, limits, limit)
        }
        (Some(SectionWrite::Members(members)), WriteMode::Replace) => {
            validate::replace_members(members, limits)?;
            limit.check(section::size_of_members(members))
        }
    }
}

/// Checks a PATCH. The limit is for the resulting section (HUB-VALI-016), which is only computed
/// when the section could be too large even if nothing went away.
fn check_patch(
    section: &Section,
    members: &Members,
    limits: &TwinLimits,
    limit: &limits::SizeLimit,
) -> Result<(), Refusal> {
    let added_max = validate::patch_members(members, limits)?;
    match limit.check(section.size() + added_max) {
        Ok(()) => Ok(()),
        Err(_) => limit.check(section.size_after_patch(members)),
    }
}

fn apply(section: &mut Section, mode: WriteMode, write: &SectionWrite, now: Time) {
    match (write, mode) {
        (SectionWrite::Clear, _) => section.replace(&Members::new(), now),
        (SectionWrite::Members(members), WriteMode::Patch) => section.patch(members, now),
        (SectionWrite::Members(members), WriteMode::Replace) => section.replace(members, now),
    }
}

fn notification_members(stored: &Section, mode: WriteMode, write: &SectionWrite) -> Members {
    match (write, mode) {
        (SectionWrite::Clear, _) => stored.difference(&Members::new()),
        (SectionWrite::Members(members), WriteMode::Patch) => members.clone(),
        (SectionWrite::Members(members), WriteMode::Replace) => stored.difference(members),
    }
}

fn wrong_type(name: &str, value: &Value) -> Refusal {
    Refusal::invalid(format!("{name} must be a JSON object, found {}", kind(value)))
}

/// The JSON type of `value` as a noun.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a Boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
