//! Family `update-manifest`: which update manifests an agent takes, and what it reads in them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use twinspec_model::update::manifest::{Manifest, Step};
use twinspec_model::update::{UpdateId, detached};

use super::update_stage::refused;
use super::{Input, member, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let manifest_text = text(case, "text")?;
    let read = match text(case, "kind")? {
        "primary" => Manifest::parse(manifest_text),
        "detached" => detached::parse(manifest_text.as_bytes()),
        other => return Err(format!("kind is {other:?}, allowed are primary and detached")),
    };
    let manifest = match read {
        Ok(manifest) => manifest,
        Err(flaw) => return Ok(refused(&flaw)),
    };
    let mut expect = json!({
        "accepted": true,
        "updateId": update_id(&manifest.update_id),
        "steps": manifest.steps.iter().map(step).collect::<Vec<_>>(),
        "files": manifest.file_ids().collect::<Vec<_>>(),
    });
    if let (Some(components), Some(members)) = (case.get("components"), expect.as_object_mut()) {
        let components: BTreeMap<String, BTreeMap<String, String>> =
            serde_json::from_value(components.clone()).map_err(|error| error.to_string())?;
        let selected = components.iter().filter(|(_, properties)| manifest.selects(properties));
        members.insert("selected".to_owned(), selected.map(|(name, _)| name.as_str()).collect());
    }
    Ok(expect)
}

/// A file without hashes is outside the schema, which is all that is known against it.
pub(super) fn open_point(case: &Value, expect: &Value) -> Option<&'static str> {
    expect.get("refused")?;
    let manifest: Value = serde_json::from_str(case.get("text")?.as_str()?).ok()?;
    let mut files = manifest.get("files")?.as_object()?.values().filter(|file| file.is_object());
    let lacks_hashes = files.any(|file| {
        file.get("hashes").is_none_or(|hashes| hashes.as_object().is_some_and(Map::is_empty))
    });
    lacks_hashes.then_some("A-D08")
}

fn update_id(id: &UpdateId) -> Value {
    json!({ "provider": id.provider, "name": id.name, "version": id.version.text() })
}

fn step(step: &Step) -> Value {
    match step {
        Step::Inline(step) => json!({ "handler": step.handler, "files": step.files }),
        Step::Reference { detached_manifest_file_id } => {
            json!({ "detachedManifestFileId": detached_manifest_file_id })
        }
    }
}

/// A manifest like any other.
fn sample() -> Value {
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let file = json!({ "fileName": "a.swu", "sizeInBytes": 9, "hashes": { "sha256": hash } });
    let child = json!({ "fileName": "c.json", "sizeInBytes": 7, "hashes": { "sha256": hash } });
    json!({
        "manifestVersion": "5",
        "updateId": { "provider": "Contoso", "name": "Kiln", "version": "2.1" },
        "compatibility": [{ "manufacturer": "contoso", "model": "kiln" }],
        "instructions": { "steps": [
            { "handler": "contoso/flash:1", "files": ["f01"], "handlerProperties": { "slot": "b" } },
            { "type": "reference", "detachedManifestFileId": "f02" },
        ] },
        "files": { "f01": file, "f02": child },
    })
}

/// The sample without each of its members in turn, and with a number in the place of each.
pub(super) fn inputs() -> Vec<Input> {
    let paths = [
        "/manifestVersion",
        "/updateId",
        "/updateId/provider",
        "/updateId/name",
        "/updateId/version",
        "/instructions",
        "/instructions/steps",
        "/instructions/steps/0/handler",
        "/instructions/steps/0/files",
        "/instructions/steps/1/detachedManifestFileId",
        "/files",
        "/files/f01",
        "/files/f01/fileName",
        "/files/f01/hashes",
        "/files/f01/hashes/sha256",
    ];
    let mut inputs = Vec::new();
    for path in paths {
        for (how, value) in [("is missing", None), ("is the number 3", Some(json!(3)))] {
            let mut manifest = sample();
            change(&mut manifest, path, value);
            inputs.push(Input {
                title: format!("{} {how}.", path.trim_start_matches('/').replace('/', ".")),
                requirements: Vec::new(),
                members: vec![("kind", json!("primary")), ("text", json!(manifest.to_string()))],
            });
        }
    }
    inputs
}

/// Puts `value` in the place of the member at `path`, or removes it.
fn change(document: &mut Value, path: &str, value: Option<Value>) {
    let Some((parent, name)) = path.rsplit_once('/') else { return };
    if let Some(members) = document.pointer_mut(parent).and_then(Value::as_object_mut) {
        match value {
            None => drop(members.remove(name)),
            Some(value) => drop(members.insert(name.to_owned(), value)),
        }
    }
}

/// Family `update-version`: which of two versions is the newer one.
pub(super) mod version {
    use std::cmp::Ordering;

    use twinspec_model::update::Version;

    use super::{Input, Value, json, text};

    pub(in crate::vectors) fn answer(case: &Value) -> Result<Value, String> {
        let (left, right) = (text(case, "left")?, text(case, "right")?);
        let (Ok(left), Ok(right)) = (Version::parse(left), Version::parse(right)) else {
            return Ok(json!({ "refused": "value" }));
        };
        let order = match left.cmp(&right) {
            Ordering::Less => "older",
            Ordering::Equal => "equal",
            Ordering::Greater => "newer",
        };
        Ok(json!({ "left_is": order }))
    }

    /// Every pair of some versions of equal length.
    pub(in crate::vectors) fn inputs() -> Vec<Input> {
        let versions = ["0.0.0", "0.0.10", "0.1.9", "1.0.0", "10.0.2147483647"];
        let mut inputs = Vec::new();
        for left in versions {
            for right in versions {
                inputs.push(Input {
                    title: format!("{left} and {right}."),
                    requirements: vec!["ADU-MANIFEST-012"],
                    members: vec![("left", json!(left)), ("right", json!(right))],
                });
            }
        }
        inputs
    }
}

/// Family `update-file`: whether content is the file that a manifest describes.
pub(super) mod file {
    use super::{Input, Manifest, Value, json, member, refused, sample, text};

    pub(in crate::vectors) fn answer(case: &Value) -> Result<Value, String> {
        let mut manifest = sample();
        if let Some(place) = manifest.pointer_mut("/files/f01") {
            *place = member(case, "file")?.clone();
        }
        let manifest = Manifest::parse(&manifest.to_string()).map_err(|error| error.to_string())?;
        let file = manifest.files.get("f01").ok_or("the file is missing")?;
        Ok(match file.check(text(case, "content")?.as_bytes()) {
            Ok(()) => json!({ "accepted": true }),
            Err(flaw) => refused(&flaw),
        })
    }

    pub(in crate::vectors) fn inputs() -> Vec<Input> {
        Vec::new()
    }
}
