//! Files of an update: sizes and hashes (device-update-manifests.md § 1.2).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::flaw::{Document, Flaw, Reason};
use super::manifest::ManifestVersion;
use super::read::Spot;

/// A hash algorithm that content is checked with. SHA-1 is none of them (ADU-AGENT-064, A-D10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// `sha256`, 32 bytes: the one in every genuine manifest.
    Sha256,
    /// `sha384`, 48 bytes.
    Sha384,
    /// `sha512`, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, weakest first.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its key in `hashes`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm with this key, in any case of letters.
    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// How many bytes a hash has.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The hash of `content`.
    #[must_use]
    pub fn hash(self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(content).to_vec(),
            Self::Sha384 => Sha384::digest(content).to_vec(),
            Self::Sha512 => Sha512::digest(content).to_vec(),
        }
    }
}

/// The hashes of a file that can be checked. Others, such as `sha1`, are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes(BTreeMap<Algorithm, Vec<u8>>);

impl Hashes {
    /// Reads `hashes`: a map with at least one member, each of them a string; known algorithms must
    /// be standard base64 of exactly their length (ADU-MANIFEST-006).
    pub(super) fn read(spot: &Spot<'_>) -> Result<Self, Flaw> {
        let mut hashes = BTreeMap::new();
        for (name, hash) in spot.some_members(1..=usize::MAX)? {
            let text = hash.text()?;
            if let Some(algorithm) = Algorithm::find(name) {
                hashes.insert(algorithm, decode(&hash, text, algorithm)?);
            }
        }
        Ok(Self(hashes))
    }

    /// The strongest algorithm and its hash; `None` when none is strong enough (ADU-AGENT-063).
    #[must_use]
    pub fn strongest(&self) -> Option<(Algorithm, &[u8])> {
        self.0.last_key_value().map(|(algorithm, hash)| (*algorithm, hash.as_slice()))
    }

    /// The hash of `algorithm`.
    #[must_use]
    pub fn get(&self, algorithm: Algorithm) -> Option<&[u8]> {
        self.0.get(&algorithm).map(Vec::as_slice)
    }
}

fn decode(spot: &Spot<'_>, text: &str, algorithm: Algorithm) -> Result<Vec<u8>, Flaw> {
    let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == algorithm.length());
    bytes.ok_or_else(|| {
        let length = algorithm.length();
        let message = format!(
            "is {text:?}, allowed is standard base64 of {length} bytes, {} characters",
            length.div_ceil(3) * 4
        );
        spot.flaw(Reason::Hash, message)
    })
}

/// A file of an update manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its hashes.
    pub hashes: Hashes,
    /// Who can make the file out of others, such as `microsoft/delta:1`; version 5 only.
    pub download_handler: Option<String>,
    /// What the download handler makes it of, by file id; empty without a download handler.
    pub related: BTreeMap<String, RelatedFile>,
}

/// A file that a download handler works with.
#[derive(Clone, Debug, PartialEq)]
pub struct RelatedFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its hashes.
    pub hashes: Hashes,
    /// What the download handler must know of it.
    pub properties: Map<String, Value>,
}

impl File {
    /// Reads a file; what version 5 adds is not known to version 4 and passed over there (A-D07).
    pub(super) fn read(spot: &Spot<'_>, version: ManifestVersion) -> Result<Self, Flaw> {
        let mut file = Self {
            name: spot.member("fileName")?.some_text(1..=usize::MAX)?.to_owned(),
            size: spot.member("sizeInBytes")?.number()?,
            hashes: Hashes::read(&spot.member("hashes")?)?,
            download_handler: None,
            related: BTreeMap::new(),
        };
        if version == ManifestVersion::V4 {
            return Ok(file);
        }
        let Some(handler) = spot.optional("downloadHandler")? else {
            return Ok(file);
        };
        file.download_handler = Some(handler.member("id")?.some_text(1..=usize::MAX)?.to_owned());
        if let Some(related) = spot.optional("relatedFiles")? {
            for (id, spot) in related.members()? {
                file.related.insert(id.to_owned(), RelatedFile::read(&spot)?);
            }
        }
        Ok(file)
    }

    /// Checks content against size and strongest hash (ADU-AGENT-049, ADU-AGENT-050).
    ///
    /// # Errors
    /// [`Reason::WeakHash`], [`Reason::Size`] or [`Reason::HashMismatch`].
    pub fn check(&self, content: &[u8]) -> Result<(), Flaw> {
        check(&self.name, self.size, &self.hashes, content)
    }
}

impl RelatedFile {
    fn read(spot: &Spot<'_>) -> Result<Self, Flaw> {
        Ok(Self {
            name: spot.member("fileName")?.some_text(1..=usize::MAX)?.to_owned(),
            size: spot.member("sizeInBytes")?.number()?,
            hashes: Hashes::read(&spot.member("hashes")?)?,
            properties: spot.member("properties")?.object()?.clone(),
        })
    }

    /// Checks content against size and strongest hash.
    ///
    /// # Errors
    /// [`Reason::WeakHash`], [`Reason::Size`] or [`Reason::HashMismatch`].
    pub fn check(&self, content: &[u8]) -> Result<(), Flaw> {
        check(&self.name, self.size, &self.hashes, content)
    }
}

fn check(name: &str, size: u64, hashes: &Hashes, content: &[u8]) -> Result<(), Flaw> {
    let flaw = |reason, message| Err(Flaw::new(Document::File, reason, name, message));
    let Some((algorithm, hash)) = hashes.strongest() else {
        let message = "has no hash of sha256, sha384 or sha512".to_owned();
        return flaw(Reason::WeakHash, message);
    };
    let seen = content.len();
    if u64::try_from(seen).ok() != Some(size) {
        return flaw(Reason::Size, format!("has {seen} bytes, the manifest says {size}"));
    }
    let computed = algorithm.hash(content);
    if computed != hash {
        let (seen, expected) = (STANDARD.encode(computed), STANDARD.encode(hash));
        let message = format!("has the {} {seen}, the manifest says {expected}", algorithm.name());
        return flaw(Reason::HashMismatch, message);
    }
    Ok(())
}
