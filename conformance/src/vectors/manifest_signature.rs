//! Family `manifest-signature`: whether a manifest was signed by who may sign it.

use serde_json::{Value, json};
use twinspec_model::update::root_key::Package;
use twinspec_model::update::signature::{Store, Trust, verify};

use super::update_stage::{refused, roots};
use super::{Input, member};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let roots = roots(case)?;
    let package = match case.get("stored") {
        None | Some(Value::Null) => None,
        Some(text) => Some(
            Package::parse(text.as_str().unwrap_or_default())
                .map_err(|error| format!("stored: {error}"))?,
        ),
    };
    let store = match &package {
        Some(package) => Store::Package(package),
        None if case.get("stored").is_some() => Store::Unreadable,
        None => Store::Empty,
    };
    let (manifest, signature) = (member(case, "manifest")?, member(case, "signature")?);
    let trust = Trust { roots: &roots, store };
    Ok(match verify(manifest.as_str(), signature.as_str(), &trust) {
        Ok(signer) => json!({ "verified": true, "root": signer.root }),
        Err(flaw) => refused(&flaw),
    })
}

/// None: what is signed is made outside the model.
pub(super) fn inputs() -> Vec<Input> {
    Vec::new()
}
