//! What a validated deployment consists of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::outcome::{Outcome, extended};

/// An update's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateId {
    /// Who made it.
    pub provider: String,
    /// What it is.
    pub name: String,
    /// Which one.
    pub version: String,
}

impl UpdateId {
    /// The text of `installedUpdateId`: members in the order provider, name, version.
    #[must_use]
    pub fn to_text(&self) -> String {
        let [provider, name, version] = [&self.provider, &self.name, &self.version].map(|t| json!(t));
        format!("{{\"provider\":{provider},\"name\":{name},\"version\":{version}}}")
    }

    /// Reads the text of `installedUpdateId`; `None` when it is no such text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// A deployment whose manifest holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is installed by it.
    pub update: UpdateId,
    /// Its steps in order.
    pub steps: Vec<Step>,
    /// File id → download URL, for child manifests too.
    pub urls: BTreeMap<String, String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Runs on the device itself.
    Inline(Work),
    /// Names a child update: its detached manifest.
    Reference(File),
}

/// What one handler does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Handler id, for example `microsoft/script:1`.
    pub handler: String,
    /// `handlerProperties`.
    pub properties: Map<String, Value>,
    /// The step's files.
    pub files: Vec<File>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// File id: the key of `fileUrls`.
    pub id: String,
    /// Plain name below the work folder.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Algorithm → base64 of the hash.
    pub hashes: BTreeMap<String, String>,
}

/// A hash algorithm that is strong enough, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The algorithm called `name` in manifests; `None` when it is unknown or weak.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

impl File {
    /// The strongest hash that is known (ADU-AGENT-063).
    ///
    /// # Errors
    /// When there is none, or weak ones only (ADU-AGENT-064).
    pub fn hash(&self) -> Result<(Algorithm, &str), Outcome> {
        let known = |(name, hash): (&String, _)| Some((Algorithm::named(name)?, hash));
        let strongest = self.hashes.iter().filter_map(known).max_by_key(|(a, _)| *a);
        strongest.map(|(algorithm, hash): (_, &String)| (algorithm, hash.as_str())).ok_or_else(|| {
            let names: Vec<&str> = self.hashes.keys().map(String::as_str).collect();
            let extended =
                if names.is_empty() { extended::NO_HASHES } else { extended::HASH_TYPE };
            let allowed = "needed is sha256, sha384 or sha512";
            Outcome::failure(extended, format!("{}: hashes are {names:?}, {allowed}", self.id))
        })
    }
}

/// What the agent must know of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HandlerKind {
    /// A file of the step answers every question: it is needed before the first.
    Script,
    /// Answers without any file.
    Resident,
}

/// Something on the device that has an update of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Identity among the components.
    pub id: String,
    /// Name.
    pub name: String,
    /// Group.
    #[serde(default)]
    pub group: String,
    /// Manufacturer.
    #[serde(default)]
    pub manufacturer: String,
    /// Model.
    #[serde(default)]
    pub model: String,
    /// Whatever else describes it.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

impl Component {
    /// All pairs that describe it.
    #[must_use]
    pub fn pairs(&self) -> BTreeMap<String, String> {
        let own = [
            ("id", &self.id),
            ("name", &self.name),
            ("group", &self.group),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.clone()));
        self.properties.clone().into_iter().chain(own).collect()
    }

    /// Whether it has all of `wanted` (ADU-MANIFEST-014).
    #[must_use]
    pub fn matches(&self, wanted: &BTreeMap<String, String>) -> bool {
        let pairs = self.pairs();
        wanted.iter().all(|(name, value)| pairs.get(name) == Some(value))
    }
}

impl Work {
    /// The file that must be there before the handler can be asked anything.
    #[must_use]
    pub fn tool(&self, kind: HandlerKind) -> Option<&File> {
        let name = match kind {
            HandlerKind::Resident => return None,
            HandlerKind::Script => self.properties.get("scriptFileName")?.as_str()?,
        };
        self.files.iter().find(|file| file.name == name)
    }

    /// `handlerProperties.installedCriteria`.
    #[must_use]
    pub fn installed_criteria(&self) -> Option<&str> {
        self.properties.get("installedCriteria").and_then(Value::as_str)
    }
}
