//! Family `twin-replace`: what a section holds after a PUT.

use serde_json::{Value, json};
use twinspec_model::twin::WriteMode;

use super::twin_inputs::{document, replace_values, stored_values};
use super::twin_stage::{Name, refused, start, stored, write};
use super::{Input, member};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let section = Name::read(case)?;
    let mut twin = stored(section, member(case, "stored")?)?;
    Ok(match write(&mut twin, section, WriteMode::Replace, member(case, "body")?, start()) {
        Ok(_) => json!({ "result": section.of(&twin).members() }),
        Err(refusal) => json!({ "error": refused(&refusal) }),
    })
}

/// Every stored value with every new one.
pub(super) fn inputs() -> Vec<Input> {
    let mut inputs = Vec::new();
    for (stored_name, stored) in stored_values() {
        for (new_name, new) in replace_values() {
            inputs.push(Input {
                title: format!("{new_name} takes the place of {stored_name}."),
                requirements: vec!["HUB-MERGE-017"],
                members: vec![
                    ("section", json!("desired")),
                    ("stored", document(stored.clone())),
                    ("body", document(new)),
                ],
            });
        }
    }
    inputs
}
