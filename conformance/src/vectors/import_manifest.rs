//! Family `import-manifest`: which import manifests the service takes.

use serde_json::{Value, json};
use twinspec_model::update::Flaw;
use twinspec_model::update::import::ImportManifest;

use super::update_stage::refused;
use super::{Input, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let read = match case.get("manifest") {
        Some(manifest) => ImportManifest::parse(&manifest.to_string()),
        None => ImportManifest::parse(text(case, "text")?),
    };
    Ok(match read.and_then(|manifest| with_children(&manifest, case).map(|()| manifest)) {
        Ok(manifest) => json!({ "accepted": true, "isDeployable": manifest.is_deployable }),
        Err(flaw) => refused(&flaw),
    })
}

/// Checks the children when the case says which updates there are.
fn with_children(manifest: &ImportManifest, case: &Value) -> Result<(), Flaw> {
    let Some(others) = case.get("imported").and_then(Value::as_array) else {
        return Ok(());
    };
    let others: Vec<ImportManifest> = others
        .iter()
        .map(|other| ImportManifest::parse(&other.to_string()))
        .collect::<Result<_, _>>()?;
    manifest.check_children(|id| others.iter().find(|other| other.update_id == *id))
}

/// The borders of counts and lengths.
pub(super) fn inputs() -> Vec<Input> {
    let mut inputs = Vec::new();
    for (length, requirement) in [
        (0, "ADU-IMPORT-025"),
        (1, "ADU-IMPORT-025"),
        (512, "ADU-IMPORT-025"),
        (513, "ADU-IMPORT-025"),
    ] {
        let mut manifest = sample(1);
        put(&mut manifest, "description", json!("d".repeat(length)));
        inputs.push(input(format!("A description of {length} characters."), requirement, manifest));
    }
    for count in [0, 1, 10, 11] {
        let mut manifest = sample(1);
        let sets = vec![json!({ "model": "kiln" }); count];
        put(&mut manifest, "compatibility", json!(sets));
        inputs.push(input(format!("{count} compatibility sets."), "ADU-IMPORT-010", manifest));
    }
    for count in [0, 1, 10, 11] {
        inputs.push(input(format!("{count} steps."), "ADU-IMPORT-013", sample(count)));
    }
    inputs
}

fn input(title: String, requirement: &'static str, manifest: Value) -> Input {
    Input { title, requirements: vec![requirement], members: vec![("manifest", manifest)] }
}

fn put(manifest: &mut Value, name: &str, value: Value) {
    if let Some(members) = manifest.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// A manifest with so many equal steps.
fn sample(steps: usize) -> Value {
    let step = json!({ "handler": "contoso/flash:1", "files": ["kiln.img"] });
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    json!({
        "manifestVersion": "5.0",
        "updateId": { "provider": "Contoso", "name": "Kiln", "version": "2.1" },
        "compatibility": [{ "model": "kiln" }],
        "instructions": { "steps": vec![step; steps] },
        "files": [{ "filename": "kiln.img", "sizeInBytes": 9, "hashes": { "sha256": hash } }],
        "createdDateTime": "2031-05-04T10:11:12Z",
    })
}
