//! Family `twin-metadata`: versions and change times after a history of writes.

use serde_json::{Value, json};
use twinspec_model::time::Time;
use twinspec_model::twin::Twin;
use twinspec_model::twin::section::MetadataStyle;

use super::twin_inputs::{alone, patch_values};
use super::twin_stage::{Name, mode, write};
use super::{Input, member, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let section = Name::read(case)?;
    let mut twin = Twin::new();
    for step in member(case, "steps")?.as_array().into_iter().flatten() {
        let at = text(step, "at")?;
        let now = Time::parse(at).ok_or_else(|| format!("{at:?} is no time"))?;
        let written = write(&mut twin, section, mode(step)?, member(step, "body")?, now);
        written.map_err(|refusal| format!("a step is refused: {refusal}"))?;
    }
    let style = match section {
        Name::Desired => MetadataStyle::Desired,
        Name::Reported => MetadataStyle::Reported,
        Name::Tags => return Err("tags have no metadata".to_owned()),
    };
    let section = section.of(&twin);
    Ok(json!({ "version": section.version(), "metadata": section.metadata(style) }))
}

/// A stored object changed by every kind of value, in both sections.
pub(super) fn inputs() -> Vec<Input> {
    let first = json!({ "sibling": 1, "k": { "x": 1, "y": { "z": 2 } } });
    let step = |body: Value, at: &str| json!({ "operation": "patch", "body": body, "at": at });
    let mut inputs = Vec::new();
    for section in ["desired", "reported"] {
        for (name, value) in patch_values() {
            let steps = vec![
                step(first.clone(), "2031-07-01T08:00:00.0000001Z"),
                step(alone(value), "2031-07-01T08:00:01.5000000Z"),
            ];
            inputs.push(Input {
                title: format!("In {section}, a patch with {name} meets an object."),
                requirements: vec!["HUB-META-007"],
                members: vec![("section", json!(section)), ("steps", json!(steps))],
            });
        }
    }
    inputs
}
