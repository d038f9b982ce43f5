//! A profile: what a target claims, told by its vendor in a TOML file.
//!
//! Without a profile everything is claimed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::ambiguity;
use crate::pool::Pool;
use crate::requirement;
use crate::select::glob;

/// What a hub claims.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What the hub is called in reports.
    #[serde(default)]
    pub name: Option<String>,
    /// Milliseconds between SUBACK and the change that is to be notified; hubs that are spread
    /// over machines need some.
    #[serde(default)]
    pub settle_ms: u64,
    /// Requirements that are not claimed.
    #[serde(default)]
    pub unsupported: Vec<Unsupported>,
    /// Most requests a second; any number by default.
    #[serde(default)]
    pub requests_per_second: Option<f64>,
    /// Connection strings of devices made beforehand, for a hub without an identity registry.
    /// They belong to the suite: their twins are emptied before each case.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Which outcome of an open point the hub shows, by the point's id: then only that one is
    /// allowed.
    #[serde(default)]
    pub pins: BTreeMap<String, String>,
    /// Base64 keys of further policies, by name.
    #[serde(default)]
    pub policies: BTreeMap<String, String>,
}

/// Requirements that are not claimed, with the reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsupported {
    /// An id, or a pattern such as `HUB-CFG-*`.
    pub requirement: String,
    /// Why; never empty.
    pub reason: String,
}

/// A profile that cannot be used.
#[derive(Clone, Debug)]
pub struct ProfileError(String);

impl fmt::Display for ProfileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ProfileError {}

impl ProfileError {
    pub(crate) fn new(what: String) -> Self {
        Self(what)
    }
}

impl Profile {
    /// Reads the TOML file at `path`.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let problem = |what: String| ProfileError(format!("profile {}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
        Self::parse(&text).map_err(problem)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let profile: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        profile.check()?;
        Ok(profile)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        Pool::new(&self.devices)?;
        for (id, tag) in &self.pins {
            let point =
                ambiguity::find(id).ok_or_else(|| format!("there is no open point {id}"))?;
            let tags: Vec<&str> = point.allowed.iter().map(|allowed| &*allowed.tag).collect();
            if !tags.contains(&tag.as_str()) {
                return Err(format!("pin {id} is {tag:?}, allowed are {}", tags.join(", ")));
            }
        }
        for entry in &self.unsupported {
            if entry.reason.trim().is_empty() {
                return Err(format!("unsupported {} has no reason", entry.requirement));
            }
            if !requirement::all().any(|(_, r)| glob(&entry.requirement, &r.id)) {
                return Err(format!("unsupported {} matches no requirement", entry.requirement));
            }
        }
        Ok(())
    }

    /// Why a case with `requirements` is not claimed; `None` when it is.
    #[must_use]
    pub fn reason_against(&self, requirements: &[&str]) -> Option<String> {
        let matches = |entry: &&Unsupported| {
            requirements.iter().any(|requirement| glob(&entry.requirement, requirement))
        };
        let entry = self.unsupported.iter().find(matches)?;
        Some(format!("{}: {}", entry.requirement, entry.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_mandatory_and_patterns_must_match() {
        let text = "[[unsupported]]\nrequirement = \"HUB-TWIN-020\"\nreason = \" \"";
        assert_eq!(Profile::parse(text).unwrap_err(), "unsupported HUB-TWIN-020 has no reason");
        let text = "[[unsupported]]\nrequirement = \"HUB-X-*\"\nreason = \"r\"";
        assert_eq!(Profile::parse(text).unwrap_err(), "unsupported HUB-X-* matches no requirement");
    }

    #[test]
    fn pins_name_an_outcome_that_is_allowed() {
        assert!(Profile::parse("[pins]\nA-H23 = \"emptied\"").is_ok());
        let error = Profile::parse("[pins]\nA-H23 = \"odd\"").unwrap_err();
        assert_eq!(error, "pin A-H23 is \"odd\", allowed are untouched, emptied");
    }

    #[test]
    fn a_pattern_takes_its_requirements_out() {
        let text = "[[unsupported]]\nrequirement = \"HUB-CONC-*\"\nreason = \"no etags\"";
        let profile = Profile::parse(text).unwrap();
        let reason = profile.reason_against(&["HUB-TWIN-001", "HUB-CONC-002"]);
        assert_eq!(reason.as_deref(), Some("HUB-CONC-*: no etags"));
        assert_eq!(profile.reason_against(&["HUB-TWIN-001"]), None);
    }
}
