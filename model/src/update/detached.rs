//! Detached manifests: the child updates that reference steps name
//! (device-update-manifests.md § 1.3).

use super::flaw::{Document, Flaw, Reason};
use super::manifest::Manifest;
use super::read::{Spot, json};

/// Reads the content of a detached manifest file: an object whose `updateManifest` is the text of a
/// manifest without reference steps.
///
/// The content is protected by its hash in the signed parent, which must have been checked before;
/// a signature of its own is not looked at (A-D11). A byte order mark is passed over (A-D12).
///
/// # Errors
/// [`Reason::NestedReference`] for a reference step, else what [`Manifest::parse`] refuses.
pub fn parse(content: &[u8]) -> Result<Manifest, Flaw> {
    let content = content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content);
    let text = std::str::from_utf8(content).map_err(|error| {
        Flaw::new(Document::Child, Reason::NotJson, "", format!("is not UTF-8: {error}"))
    })?;
    let value = json(text, Document::Child)?;
    let root = Spot::root(&value, Document::Child)?;
    Manifest::read(root.member("updateManifest")?.text()?, Document::Child)
}
