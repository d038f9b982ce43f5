//! The update manifest, versions 4 and 5, as the service puts it into the twin
//! (device-update-manifests.md § 1).
//!
//! Its signature is looked at elsewhere, and first: [`super::signature::verify`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::files::File;
use super::flaw::{Document, Flaw, Reason};
use super::identity::UpdateId;
use super::read::{Spot, json};

/// Fewest and most steps of an update (ADU-MANIFEST-007).
const STEPS: std::ops::RangeInclusive<usize> = 1..=10;

/// Fewest and most files of a step.
const STEP_FILES: std::ops::RangeInclusive<usize> = 1..=10;

/// Fewest and most files; the schema's limit (A-D08).
const FILES: std::ops::RangeInclusive<usize> = 1..=20;

/// Fewest and most compatibility sets, and pairs in each; the schema's limits (A-D08).
const COMPATIBILITY: std::ops::RangeInclusive<usize> = 1..=10;
const PAIRS: std::ops::RangeInclusive<usize> = 1..=5;

/// What a manifest may say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManifestVersion {
    /// 4.
    V4,
    /// 5: adds download handlers and related files.
    V5,
}

/// An update manifest. Nothing in it can be trusted before its signature was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Which members it may have.
    pub version: ManifestVersion,
    /// What it installs.
    pub update_id: UpdateId,
    /// Which devices or components it fits; empty when it does not say.
    pub compatibility: Vec<BTreeMap<String, String>>,
    /// What is to be done, in order.
    pub steps: Vec<Step>,
    /// Its files by id.
    pub files: BTreeMap<String, File>,
}

/// A step of an update.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A handler is given files.
    Inline(InlineStep),
    /// An update of its own, for components, described in a detached manifest.
    Reference {
        /// Id of the file that is the detached manifest.
        detached_manifest_file_id: String,
    },
}

/// What an inline step says.
#[derive(Clone, Debug, PartialEq)]
pub struct InlineStep {
    /// `provider/name:version` of the handler.
    pub handler: String,
    /// Ids of the files it works with.
    pub files: Vec<String>,
    /// What else it must know; empty when absent.
    pub properties: Map<String, Value>,
}

impl Manifest {
    /// Reads `updateManifest` as it stands in the twin: the text inside the JSON string.
    ///
    /// # Errors
    /// The first flaw, in the order: JSON, version, shape, update id, files, steps.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        Self::read(text, Document::Manifest)
    }

    /// Reads `updateManifest` as a JSON value of the twin.
    ///
    /// # Errors
    /// [`Reason::NoText`] when it is absent or no string, else like [`Self::parse`].
    pub fn from_member(value: Option<&Value>) -> Result<Self, Flaw> {
        let text = value.and_then(Value::as_str).ok_or_else(|| {
            let message = "updateManifest is absent, null or no string";
            Flaw::new(Document::Manifest, Reason::NoText, "", message)
        })?;
        Self::parse(text)
    }

    pub(super) fn read(text: &str, document: Document) -> Result<Self, Flaw> {
        let value = json(text, document)?;
        let root = Spot::root(&value, document)?;
        let version = version(&root)?;
        // What C agents end with 8030000B; a CHOICE to refuse it as cleanly (ADU-MANIFEST-013).
        if let Some(spot) = root.optional("detachedManifestFileId")? {
            let message = "a primary manifest that is detached itself is not supported";
            return Err(spot.flaw(Reason::DetachedPrimary, message));
        }
        let update_id = UpdateId::read(&root.member("updateId")?)?;
        let compatibility = match root.optional("compatibility")? {
            None => Vec::new(),
            Some(sets) => compatibility(&sets)?,
        };
        let mut files = BTreeMap::new();
        for (id, spot) in root.member("files")?.some_members(FILES)? {
            files.insert(id.to_owned(), File::read(&spot, version)?);
        }
        let mut steps = Vec::new();
        for spot in root.member("instructions")?.member("steps")?.some_elements(STEPS)? {
            steps.push(Step::read(&spot, &files, document)?);
        }
        Ok(Self { version, update_id, compatibility, steps, files })
    }

    /// Whether the update fits a component with these properties: all pairs of the first
    /// compatibility set are among them, the other sets do not count (ADU-MANIFEST-014).
    #[must_use]
    pub fn selects(&self, properties: &BTreeMap<String, String>) -> bool {
        self.compatibility
            .first()
            .is_some_and(|set| set.iter().all(|(key, value)| properties.get(key) == Some(value)))
    }

    /// The ids of every file that is fetched by its URL, related files included.
    pub fn file_ids(&self) -> impl Iterator<Item = &str> {
        let related = self.files.values().flat_map(|file| file.related.keys());
        self.files.keys().chain(related).map(String::as_str)
    }
}

/// Reads `manifestVersion`: a string whose first number is 4 or 5, as in "4", "5" and "5.0" (A-D01).
fn version(root: &Spot<'_>) -> Result<ManifestVersion, Flaw> {
    let Some(spot) = root.optional("manifestVersion")? else {
        let message = "manifestVersion is missing, allowed are \"4\" and \"5\"";
        return Err(root.flaw(Reason::Version, message));
    };
    let refused = || {
        let message = format!("is {}, allowed are the strings \"4\" and \"5\"", spot.value);
        spot.flaw(Reason::Version, message)
    };
    let mut numbers = spot.value.as_str().ok_or_else(refused)?.split('.');
    let first = numbers.next();
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !numbers.all(digits) {
        return Err(refused());
    }
    match first {
        Some("4") => Ok(ManifestVersion::V4),
        Some("5") => Ok(ManifestVersion::V5),
        _ => Err(refused()),
    }
}

fn compatibility(sets: &Spot<'_>) -> Result<Vec<BTreeMap<String, String>>, Flaw> {
    let mut read = Vec::new();
    for set in sets.some_elements(COMPATIBILITY)? {
        let mut pairs = BTreeMap::new();
        for (name, value) in set.some_members(PAIRS)? {
            pairs.insert(name.to_owned(), value.text()?.to_owned());
        }
        read.push(pairs);
    }
    Ok(read)
}

impl Step {
    fn read(
        spot: &Spot<'_>,
        files: &BTreeMap<String, File>,
        document: Document,
    ) -> Result<Self, Flaw> {
        // Everything but "reference" is inline, as in C agents (A-D06).
        let kind = spot.optional("type")?;
        if kind.is_none_or(|kind| kind.value != "reference") {
            return Ok(Self::Inline(InlineStep::read(spot, files)?));
        }
        if document == Document::Child {
            let message = "a reference step in a detached manifest is not allowed";
            return Err(spot.flaw(Reason::NestedReference, message));
        }
        let file = known_file(&spot.member("detachedManifestFileId")?, files)?;
        Ok(Self::Reference { detached_manifest_file_id: file })
    }
}

impl InlineStep {
    fn read(spot: &Spot<'_>, files: &BTreeMap<String, File>) -> Result<Self, Flaw> {
        let handler = spot.member("handler")?.some_text(1..=usize::MAX)?.to_owned();
        let named = spot.member("files")?;
        let named = named.some_elements(STEP_FILES)?;
        let named: Vec<String> =
            named.map(|file| known_file(&file, files)).collect::<Result<_, _>>()?;
        let properties = match spot.optional("handlerProperties")? {
            None => Map::new(),
            Some(properties) => properties.object()?.clone(),
        };
        Ok(Self { handler, files: named, properties })
    }
}

/// The file id at `spot`, which must be one of `files` (ADU-MANIFEST-003).
fn known_file(spot: &Spot<'_>, files: &BTreeMap<String, File>) -> Result<String, Flaw> {
    let id = spot.text()?;
    if files.contains_key(id) {
        return Ok(id.to_owned());
    }
    let known: Vec<&str> = files.keys().map(String::as_str).collect();
    let message = format!("names the file {id:?}, files holds {}", known.join(", "));
    Err(spot.flaw(Reason::UnknownFile, message))
}
