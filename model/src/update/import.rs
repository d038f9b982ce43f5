//! The import manifest that an operator writes, versions 4.0 and 5.0
//! (device-update-manifests.md § 6).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::flaw::{Document, Flaw, Reason};
use super::identity::UpdateId;
use super::read::{Spot, json};
use crate::time::Time;

/// Lengths and counts; the schemas of both versions.
const DESCRIPTION: RangeInclusive<usize> = 1..=512;
const STEP_DESCRIPTION: RangeInclusive<usize> = 1..=64;
const COMPATIBILITY: RangeInclusive<usize> = 1..=10;
const PAIRS: RangeInclusive<usize> = 1..=5;
const PAIR_KEY: RangeInclusive<usize> = 1..=32;
const PAIR_VALUE: RangeInclusive<usize> = 1..=64;
const STEPS: RangeInclusive<usize> = 1..=10;
const STEP_FILES: RangeInclusive<usize> = 1..=10;
const HANDLER: RangeInclusive<usize> = 5..=32;
const FILE_NAME: RangeInclusive<usize> = 1..=255;
const HASHES: RangeInclusive<usize> = 1..=2;
const HASH_NAME: RangeInclusive<usize> = 1..=10;
const RELATED_FILES: RangeInclusive<usize> = 0..=4;

/// What the documentation adds for the properties of related files.
const PROPERTIES: RangeInclusive<usize> = 0..=5;
const PROPERTY_KEY: RangeInclusive<usize> = 1..=64;
const PROPERTY_VALUE: RangeInclusive<usize> = 0..=256;

/// Most files of an update; the schema's limit, where the management interface has 5 (A-D21).
const FILES: RangeInclusive<usize> = 0..=10;

/// Smallest and largest file, in bytes.
const FILE_SIZE: RangeInclusive<u64> = 1..=2_147_483_648;

/// What an import manifest may say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImportVersion {
    /// 4.0.
    V4,
    /// 5.0: adds properties, related files and download handlers.
    V5,
}

/// A valid import manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportManifest {
    /// Which members it may have.
    pub version: ImportVersion,
    /// What it imports.
    pub update_id: UpdateId,
    /// What people read about it.
    pub description: Option<String>,
    /// False for an update that can only be a child of others.
    pub is_deployable: bool,
    /// Which devices or components it fits.
    pub compatibility: Vec<BTreeMap<String, String>>,
    /// What is to be done, in order.
    pub steps: Vec<ImportStep>,
    /// Its files by name, with their sizes in bytes.
    pub files: BTreeMap<String, u64>,
}

/// A step of an import manifest.
#[derive(Clone, Debug, PartialEq)]
pub enum ImportStep {
    /// A handler is given files, by name.
    Inline {
        /// `provider/name:version` of the handler.
        handler: String,
        /// Names of the files it works with.
        files: Vec<String>,
    },
    /// Another update, for components.
    Reference(UpdateId),
}

impl ImportManifest {
    /// Reads an import manifest.
    ///
    /// # Errors
    /// The first flaw, in the order: JSON, version, update id, top level, files, steps.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let value = json(text, Document::Import)?;
        let root = Spot::root(&value, Document::Import)?;
        // Members that are not known here are passed over, as the schema does (A-D20).
        let version = version(&root.member("manifestVersion")?)?;
        let id = root.member("updateId")?;
        id.only(&["provider", "name", "version"])?;
        let update_id = UpdateId::read(&id)?;
        if let Some(schema) = root.optional("$schema")? {
            schema.text()?;
        }
        created(&root.member("createdDateTime")?)?;
        let files = files(&root, version)?;
        Ok(Self {
            version,
            update_id,
            description: described(&root, DESCRIPTION)?,
            is_deployable: root.optional("isDeployable")?.map_or(Ok(true), |spot| spot.flag())?,
            compatibility: compatibility(&root.member("compatibility")?)?,
            steps: steps(&root.member("instructions")?.member("steps")?, &files)?,
            files,
        })
    }

    /// Checks the updates that reference steps name: they exist, and have no reference steps
    /// themselves (ADU-IMPORT-015, ADU-IMPORT-016).
    ///
    /// # Errors
    /// [`Reason::UnknownChild`] or [`Reason::NestedReference`] for the first that does not.
    pub fn check_children<'a>(
        &self,
        find: impl Fn(&UpdateId) -> Option<&'a Self>,
    ) -> Result<(), Flaw> {
        let refused = |index: usize, reason, message| {
            let place = format!("instructions.steps[{index}].updateId");
            Err(Flaw::new(Document::Import, reason, place, message))
        };
        for (index, step) in self.steps.iter().enumerate() {
            let ImportStep::Reference(id) = step else { continue };
            let Some(child) = find(id) else {
                let message = format!("names {id}, which does not exist");
                return refused(index, Reason::UnknownChild, message);
            };
            if child.steps.iter().any(|step| matches!(step, ImportStep::Reference(_))) {
                let message = format!("names {id}, which has reference steps itself");
                return refused(index, Reason::NestedReference, message);
            }
        }
        Ok(())
    }
}

fn version(spot: &Spot<'_>) -> Result<ImportVersion, Flaw> {
    match spot.text()? {
        "4.0" => Ok(ImportVersion::V4),
        "5.0" => Ok(ImportVersion::V5),
        other => {
            let message = format!("is {other:?}, allowed are \"4.0\" and \"5.0\"");
            Err(spot.flaw(Reason::Version, message))
        }
    }
}

/// ISO 8601, with or without an offset.
fn created(spot: &Spot<'_>) -> Result<(), Flaw> {
    let text = spot.text()?;
    if Time::parse(text).is_some() || Time::parse(&format!("{text}Z")).is_some() {
        return Ok(());
    }
    let message = format!("is {text:?}, allowed is a date and time like \"2026-01-02T03:04:05Z\"");
    Err(spot.flaw(Reason::Value, message))
}

fn described(spot: &Spot<'_>, length: RangeInclusive<usize>) -> Result<Option<String>, Flaw> {
    let description = spot.optional("description")?;
    description.map(|spot| spot.some_text(length).map(str::to_owned)).transpose()
}

fn compatibility(sets: &Spot<'_>) -> Result<Vec<BTreeMap<String, String>>, Flaw> {
    sets.some_elements(COMPATIBILITY)?.map(|set| pairs(&set, PAIRS, PAIR_KEY, PAIR_VALUE)).collect()
}

fn pairs(
    spot: &Spot<'_>,
    count: RangeInclusive<usize>,
    key_length: RangeInclusive<usize>,
    value_length: RangeInclusive<usize>,
) -> Result<BTreeMap<String, String>, Flaw> {
    let mut pairs = BTreeMap::new();
    for (key, value) in spot.some_members(count)? {
        named(&value, key, &key_length)?;
        pairs.insert(key.to_owned(), value.some_text(value_length.clone())?.to_owned());
    }
    Ok(pairs)
}

/// Refuses a key of another length.
fn named(spot: &Spot<'_>, key: &str, allowed: &RangeInclusive<usize>) -> Result<(), Flaw> {
    let length = key.chars().count();
    if allowed.contains(&length) {
        return Ok(());
    }
    let (low, high) = (allowed.start(), allowed.end());
    let message = format!("is a key of {length} characters, allowed are {low} to {high}");
    Err(spot.flaw(Reason::Value, message))
}

fn files(root: &Spot<'_>, version: ImportVersion) -> Result<BTreeMap<String, u64>, Flaw> {
    let mut files = BTreeMap::new();
    let Some(list) = root.optional("files")? else {
        return Ok(files);
    };
    for spot in list.some_elements(FILES)? {
        let known: &[&str] = match version {
            ImportVersion::V4 => &["filename", "sizeInBytes", "hashes"],
            ImportVersion::V5 => &[
                "filename",
                "sizeInBytes",
                "hashes",
                "properties",
                "relatedFiles",
                "downloadHandler",
            ],
        };
        spot.only(known)?;
        let (name, size) = file(&spot)?;
        if let Some(properties) = spot.optional("properties")? {
            properties.object()?;
        }
        related_files(&spot)?;
        files.insert(name, size);
    }
    Ok(files)
}

/// What files and related files have in common.
fn file(spot: &Spot<'_>) -> Result<(String, u64), Flaw> {
    let name = spot.member("filename")?.some_text(FILE_NAME)?.to_owned();
    let size = spot.member("sizeInBytes")?;
    let bytes = size.number()?;
    if !FILE_SIZE.contains(&bytes) {
        let (low, high) = (FILE_SIZE.start(), FILE_SIZE.end());
        let message = format!("is {bytes}, allowed are {low} to {high}");
        return Err(size.flaw(Reason::Value, message));
    }
    hashes(&spot.member("hashes")?)?;
    Ok((name, bytes))
}

fn hashes(spot: &Spot<'_>) -> Result<(), Flaw> {
    for (name, hash) in spot.some_members(HASHES)? {
        named(&hash, name, &HASH_NAME)?;
        hash.some_text(1..=usize::MAX)?;
    }
    let hash = spot.member("sha256")?;
    match STANDARD.decode(hash.text()?) {
        Ok(bytes) if bytes.len() == 32 => Ok(()),
        _ => Err(hash.flaw(Reason::Hash, "is not standard base64 of 32 bytes, 44 characters")),
    }
}

fn related_files(spot: &Spot<'_>) -> Result<(), Flaw> {
    let handler = spot.optional("downloadHandler")?;
    if let Some(handler) = &handler {
        handler.only(&["id"])?;
        handler_id(&handler.member("id")?)?;
    }
    let Some(list) = spot.optional("relatedFiles")? else {
        return Ok(());
    };
    let mut is_empty = true;
    for related in list.some_elements(RELATED_FILES)? {
        is_empty = false;
        related.only(&["filename", "sizeInBytes", "hashes", "properties"])?;
        file(&related)?;
        if let Some(properties) = related.optional("properties")? {
            pairs(&properties, PROPERTIES, PROPERTY_KEY, PROPERTY_VALUE)?;
        }
    }
    if handler.is_none() && !is_empty {
        // Said of the member that is missing.
        spot.member("downloadHandler")?;
    }
    Ok(())
}

/// `provider/name:version`: `^\S+/\S+:\d{1,5}$`, 5 to 32 characters.
fn handler_id(spot: &Spot<'_>) -> Result<String, Flaw> {
    let text = spot.some_text(HANDLER)?;
    let is_version =
        |text: &str| (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let fits = text.rsplit_once(':').is_some_and(|(path, version)| {
        let inner = path.char_indices().skip(1).any(|(at, c)| c == '/' && at + 1 < path.len());
        inner && is_version(version) && !path.contains(char::is_whitespace)
    });
    if fits {
        return Ok(text.to_owned());
    }
    let message = format!("is {text:?}, allowed is provider/name:version without white space");
    Err(spot.flaw(Reason::Value, message))
}

fn steps(spot: &Spot<'_>, files: &BTreeMap<String, u64>) -> Result<Vec<ImportStep>, Flaw> {
    spot.some_elements(STEPS)?.map(|step| ImportStep::read(&step, files)).collect()
}

impl ImportStep {
    fn read(spot: &Spot<'_>, files: &BTreeMap<String, u64>) -> Result<Self, Flaw> {
        described(spot, STEP_DESCRIPTION)?;
        let kind = spot.optional("type")?;
        match kind.as_ref().map(Spot::text).transpose()? {
            None | Some("inline") => Self::read_inline(spot, files),
            Some("reference") => {
                spot.only(&["type", "description", "updateId"])?;
                let id = spot.member("updateId")?;
                id.only(&["provider", "name", "version"])?;
                UpdateId::read(&id).map(Self::Reference)
            }
            Some(other) => {
                let message = format!("has the type {other:?}, allowed are inline and reference");
                Err(kind.as_ref().unwrap_or(spot).flaw(Reason::Value, message))
            }
        }
    }

    fn read_inline(spot: &Spot<'_>, files: &BTreeMap<String, u64>) -> Result<Self, Flaw> {
        spot.only(&["type", "description", "handler", "files", "handlerProperties"])?;
        let handler = handler_id(&spot.member("handler")?)?;
        if let Some(properties) = spot.optional("handlerProperties")? {
            properties.object()?;
        }
        let mut list = Vec::new();
        for file in spot.member("files")?.some_elements(STEP_FILES)? {
            let name = file.some_text(FILE_NAME)?;
            if !files.contains_key(name) {
                let message = format!("names the file {name:?}, which files does not hold");
                return Err(file.flaw(Reason::UnknownFile, message));
            }
            list.push(name.to_owned());
        }
        Ok(Self::Inline { handler, files: list })
    }
}
