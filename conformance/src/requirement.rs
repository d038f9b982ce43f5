//! The registry of requirements: the protocol dossier's numbered sentences.
//!
//! The files under `requirements/` are part of the binary; a broken one fails the tests.

use std::fmt;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How binding a requirement is, and so what breaking it means.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Seen in the field, promised by nobody: a deviation is a note.
    Observed,
    /// Optional: a deviation is a note.
    May,
    /// Documented loosely or needed by some clients: a deviation is a warning.
    Should,
    /// Documented, or needed by every shipped client: a deviation is a failure.
    Must,
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Observed => "OBSERVED",
            Self::May => "MAY",
            Self::Should => "SHOULD",
            Self::Must => "MUST",
        })
    }
}

/// Whom a demand concerns, where its family does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// The hub.
    Hub,
    /// The device or its agent.
    Agent,
    /// Whoever watches an agent.
    Observer,
    /// The suite itself.
    Suite,
}

impl fmt::Display for Party {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Hub => "hub",
            Self::Agent => "agent",
            Self::Observer => "observer",
            Self::Suite => "suite",
        })
    }
}

/// One numbered demand.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Minted once, never reused, for example `HUB-TWIN-001`.
    pub id: String,
    /// How binding it is.
    pub level: Level,
    /// Whom it concerns.
    #[serde(default)]
    pub role: Option<Party>,
    /// The demand in one sentence.
    pub statement: String,
    /// Where it comes from.
    pub source: String,
    /// How a black box can try it.
    pub wire_test: String,
    /// The open point of the sources it touches, for example `A-H01`.
    #[serde(default)]
    pub ambiguity: Option<String>,
    /// Why no case can show it: the observation a black box cannot make.
    #[serde(default)]
    pub untestable: Option<String>,
}

/// The requirements of one area.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// The ids' common prefix, for example `HUB-TWIN`.
    pub family: String,
    /// The subject, for example `twin`: the same word in every room.
    pub subject: String,
    /// What the family is about.
    pub title: String,
    /// Its requirements, in order.
    #[serde(rename = "requirement")]
    pub requirements: Vec<Requirement>,
}

impl Family {
    /// Whether the requirement `id` belongs to the family, by its name: `HUB-TWIN-001` belongs to
    /// `HUB-TWIN`, and `FW-B01` to `FW-B`.
    #[must_use]
    pub fn owns(&self, id: &str) -> bool {
        name_of(id) == self.family
    }
}

/// The name of the family of the requirement `id`.
#[must_use]
pub fn name_of(id: &str) -> &str {
    id.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-')
}

macro_rules! sources {
    ($($name:literal),+ $(,)?) => {
        /// The requirement files, embedded, by name.
        pub const SOURCES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../requirements/", $name, ".toml")))),+];
    };
}

sources![
    "hub-conn",
    "hub-sess",
    "hub-tele",
    "hub-twin",
    "hub-merge",
    "hub-meta",
    "hub-noti",
    "hub-conc",
    "hub-vali",
    "hub-meth",
    "hub-auth",
    "hub-reg",
    "hub-cfg",
    "hub-http",
    "job",
    "qry",
    "adu-agent",
    "adu-preview",
    "adu-manifest",
    "adu-sig",
    "adu-import",
    "dev-net",
    "fw-a",
    "fw-b",
    "fw-c",
    "fw-d",
    "fw-s",
];

/// All families in the order of the dossier.
///
/// A file that does not parse yields no family; a test keeps that from being shipped.
pub static FAMILIES: LazyLock<Vec<Family>> =
    LazyLock::new(|| SOURCES.iter().filter_map(|(_, text)| toml::from_str(text).ok()).collect());

/// All requirements with their families.
pub fn all() -> impl Iterator<Item = (&'static Family, &'static Requirement)> {
    FAMILIES.iter().flat_map(|family| family.requirements.iter().map(move |r| (family, r)))
}

/// The requirement called `id`.
#[must_use]
pub fn find(id: &str) -> Option<(&'static Family, &'static Requirement)> {
    all().find(|(_, requirement)| requirement.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_parses_and_its_ids_belong_to_it() {
        for (name, text) in SOURCES {
            let family: Family = toml::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(family.family.to_lowercase(), *name);
            for requirement in &family.requirements {
                assert!(family.owns(&requirement.id), "{}", requirement.id);
            }
        }
    }

    #[test]
    fn all_requirements_of_update_manifests_signatures_and_imports_are_there() {
        let count = |prefix: &str| all().filter(|(_, r)| r.id.starts_with(prefix)).count();
        assert_eq!(count("ADU-MANIFEST-"), 15);
        assert_eq!(count("ADU-SIG-"), 29);
        assert_eq!(count("ADU-IMPORT-"), 27);
    }

    #[test]
    fn ids_are_unique_and_all_276_hub_requirements_are_there() {
        let hub: Vec<&str> =
            all().map(|(_, r)| r.id.as_str()).filter(|id| id.starts_with("HUB-")).collect();
        assert_eq!(hub.len(), 276);
        assert_eq!(hub.iter().collect::<BTreeSet<_>>().len(), 276);
    }
}
