//! What a validated deployment consists of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::outcome::{Outcome, extended};
use super::profile::Generation;
use crate::update::files::{Algorithm, Hashes};
use crate::update::manifest::{self, Manifest, ManifestVersion};
use crate::update::{Flaw, UpdateId, detached};

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
    /// The hashes that can be checked.
    pub hashes: Hashes,
}

impl Plan {
    /// The plan of a manifest whose signature was verified, with the URLs that came with it.
    ///
    /// # Errors
    /// When the generation does not know the manifest's version, or a file has a name that would
    /// leave its folder.
    pub fn of(
        manifest: &Manifest,
        urls: BTreeMap<String, String>,
        generation: Generation,
    ) -> Result<Self, Outcome> {
        if generation == Generation::One && manifest.version != ManifestVersion::V4 {
            let details = "update manifest: manifestVersion is 5, allowed is 4";
            return Err(Outcome::failure(extended::MANIFEST_VERSION, details));
        }
        let steps = manifest.steps.iter().map(|step| Step::of(step, manifest));
        let steps = steps.collect::<Result<_, _>>()?;
        Ok(Self { update: manifest.update_id.clone(), steps, urls })
    }
}

/// A child update: what is done for every component it is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Child {
    manifest: Manifest,
    pub(super) steps: Vec<Work>,
}

impl Child {
    /// Reads a detached manifest whose hash was checked (ADU-AGENT-113, -117).
    pub(super) fn parse(text: &str) -> Result<Self, Outcome> {
        let manifest = detached::parse(text.as_bytes()).map_err(Outcome::from)?;
        let mut steps = Vec::new();
        for step in &manifest.steps {
            match Step::of(step, &manifest)? {
                Step::Inline(work) => steps.push(work),
                Step::Reference(file) => {
                    let details = format!("child manifest: reference step {} inside", file.id);
                    return Err(Outcome::failure(extended::NESTED_REFERENCE, details));
                }
            }
        }
        Ok(Self { manifest, steps })
    }

    /// Whether it is for `component` (ADU-MANIFEST-014).
    pub(super) fn selects(&self, component: &Component) -> bool {
        self.manifest.selects(&component.pairs())
    }
}

impl Step {
    fn of(step: &manifest::Step, manifest: &Manifest) -> Result<Self, Outcome> {
        match step {
            manifest::Step::Inline(inline) => {
                let files = inline.files.iter().map(|id| File::of(id, manifest));
                Ok(Self::Inline(Work {
                    handler: inline.handler.clone(),
                    properties: inline.properties.clone(),
                    files: files.collect::<Result<_, _>>()?,
                }))
            }
            manifest::Step::Reference { detached_manifest_file_id } => {
                File::of(detached_manifest_file_id, manifest).map(Self::Reference)
            }
        }
    }
}

impl File {
    fn of(id: &str, manifest: &Manifest) -> Result<Self, Outcome> {
        let bad = |what: String| Outcome::failure(extended::BAD_MANIFEST, what);
        let file = manifest.files.get(id).ok_or_else(|| bad(format!("no file {id}")))?;
        let name = file.name.clone();
        if name.contains(['/', '\\', '\0']) || matches!(name.as_str(), "." | "..") {
            return Err(bad(format!("files.{id}.fileName is {name:?}, allowed is a plain name")));
        }
        let hashes = file.hashes.clone();
        Ok(Self { id: id.to_owned(), name, size: file.size, hashes })
    }

    /// The strongest hash that is known (ADU-AGENT-063).
    ///
    /// # Errors
    /// When there are weak ones only (ADU-AGENT-064).
    pub fn hash(&self) -> Result<(Algorithm, &[u8]), Outcome> {
        self.hashes.strongest().ok_or_else(|| {
            let details = format!("{}: needed is a hash of sha256, sha384 or sha512", self.id);
            Outcome::failure(extended::HASH_TYPE, details)
        })
    }
}

impl From<Flaw> for Outcome {
    fn from(flaw: Flaw) -> Self {
        Self::failure(flaw.reported().0, flaw.to_string())
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
