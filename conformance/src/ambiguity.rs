//! Points that the sources leave open: leniency as data, each allowed outcome with its reason.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// The files, embedded.
pub const SOURCES: &[&str] = &[
    include_str!("../requirements/ambiguities.toml"),
    include_str!("../requirements/ambiguities-update.toml"),
    include_str!("../requirements/ambiguities-agent.toml"),
    include_str!("../requirements/ambiguities-firmware.toml"),
];

/// One open point.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ambiguity {
    /// Minted once, never reused, for example `A-H01`.
    pub id: String,
    /// The subject it belongs to.
    pub subject: String,
    /// What the sources leave open.
    pub point: String,
    /// Where they do.
    pub source: String,
    /// The outcome the reference hub shows.
    pub default: String,
    /// All outcomes that are allowed.
    pub allowed: Vec<Allowed>,
}

/// One allowed outcome.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// Its name.
    pub tag: String,
    /// Why it is allowed.
    pub reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ambiguity: Vec<Ambiguity>,
}

/// All open points; those of a file that does not parse are missing, which a test keeps from being
/// shipped.
pub static ALL: LazyLock<Vec<Ambiguity>> = LazyLock::new(|| {
    let files = SOURCES.iter().filter_map(|text| toml::from_str::<File>(text).ok());
    files.flat_map(|file| file.ambiguity).collect()
});

/// The open point called `id`.
#[must_use]
pub fn find(id: &str) -> Option<&'static Ambiguity> {
    ALL.iter().find(|ambiguity| ambiguity.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_files_parse_ids_are_unique_and_defaults_are_allowed() {
        for text in SOURCES {
            toml::from_str::<File>(text).unwrap();
        }
        let ids: BTreeSet<&str> = ALL.iter().map(|point| point.id.as_str()).collect();
        assert_eq!(ids.len(), ALL.len());
        for point in ALL.iter() {
            let tags: Vec<&str> =
                point.allowed.iter().map(|allowed| allowed.tag.as_str()).collect();
            assert!(tags.contains(&point.default.as_str()), "{}", point.id);
            assert!(tags.len() > 1, "{} leaves nothing open", point.id);
        }
    }
}
