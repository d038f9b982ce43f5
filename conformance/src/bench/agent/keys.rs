//! What a run signs with, as agents are given it (device-update-manifests.md § 3 to 5).

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use twinspec_harness::signing::Authority;

/// The version of the root key package of a run.
pub const PACKAGE_VERSION: u64 = 7;

/// The member `rootKeys` of a package: what an agent under test is given to trust.
///
/// # Errors
/// When no package can be made.
pub(super) fn root_keys(authority: &Authority) -> io::Result<Value> {
    let package: Value = serde_json::from_str(&authority.package(PACKAGE_VERSION).make()?)?;
    Ok(package.pointer("/protected/rootKeys").cloned().unwrap_or_default())
}

/// Standard base64.
#[must_use]
pub fn standard(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
