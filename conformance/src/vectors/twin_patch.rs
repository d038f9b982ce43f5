//! Family `twin-patch`: what a section holds after a PATCH.

use serde_json::{Value, json};
use twinspec_model::twin::WriteMode;

use super::twin_inputs::{alone, document, patch_values, stored_values};
use super::twin_meeting::{removes_nothing_below, replaces_by_nulls};
use super::twin_stage::{Name, start, stored, write};
use super::{Input, member};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let section = Name::read(case)?;
    let mut twin = stored(section, member(case, "stored")?)?;
    match write(&mut twin, section, WriteMode::Patch, member(case, "patch")?, start()) {
        Ok(_) => Ok(json!({ "result": section.of(&twin).members() })),
        Err(refusal) => Err(format!("the patch is refused: {refusal}")),
    }
}

pub(super) fn open_point(case: &Value, _expect: &Value) -> Option<&'static str> {
    let (stored, patch) = (case.get("stored")?, case.get("patch")?);
    if patch.is_null() && case.get("section")? == "tags" {
        Some("A-H21")
    } else if replaces_by_nulls(stored, patch) {
        Some("A-H19")
    } else {
        removes_nothing_below(stored, patch).then_some("A-H20")
    }
}

/// Every stored value with every patched one, at the top and one level down.
pub(super) fn inputs() -> Vec<Input> {
    let mut inputs = Vec::new();
    for nested in [false, true] {
        for (stored_name, stored) in stored_values() {
            for (patch_name, patch) in patch_values() {
                let (place, stored, patch) = if nested {
                    ("One level down", alone(document(stored.clone())), alone(alone(patch)))
                } else {
                    ("At the top", document(stored.clone()), alone(patch))
                };
                inputs.push(Input {
                    title: format!("{place}, {patch_name} meets {stored_name}."),
                    requirements: vec!["HUB-MERGE-002", "HUB-MERGE-003"],
                    members: vec![
                        ("section", json!(if nested { "reported" } else { "desired" })),
                        ("stored", stored),
                        ("patch", patch),
                    ],
                });
            }
        }
    }
    inputs
}
