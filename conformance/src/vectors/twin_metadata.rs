//! Family `twin-metadata`: versions and change times after a history of writes.

use serde_json::{Value, json};
use twinspec_model::time::Time;
use twinspec_model::twin::section::MetadataStyle;
use twinspec_model::twin::{Twin, WriteMode};

use super::twin_inputs::{alone, patch_values};
use super::twin_meeting::{changes_nothing, holds_elements, removes, said, unfolds};
use super::twin_stage::{Name, mode, write};
use super::{Input, member, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let section = Name::read(case)?;
    let twin = play(case, section, |_, _, _| {})?;
    let style = match section {
        Name::Desired => MetadataStyle::Desired,
        Name::Reported => MetadataStyle::Reported,
        Name::Tags => return Err("tags have no metadata".to_owned()),
    };
    let section = section.of(&twin);
    Ok(json!({ "version": section.version(), "metadata": section.metadata(style) }))
}

/// Takes the steps; before each one, `see` gets the members that it meets.
fn play(
    case: &Value,
    section: Name,
    mut see: impl FnMut(WriteMode, &Value, &Value),
) -> Result<Twin, String> {
    let mut twin = Twin::new();
    for step in member(case, "steps")?.as_array().into_iter().flatten() {
        let at = text(step, "at")?;
        let now = Time::parse(at).ok_or_else(|| format!("{at:?} is no time"))?;
        let (mode, body) = (mode(step)?, member(step, "body")?);
        see(mode, &Value::Object(section.of(&twin).members()), body);
        let written = write(&mut twin, section, mode, body, now);
        written.map_err(|refusal| format!("a step is refused: {refusal}"))?;
    }
    Ok(twin)
}

/// The open point of the first step that touches one.
pub(super) fn open_point(case: &Value, _expect: &Value) -> Option<&'static str> {
    let mut point = None;
    let see = |mode, stored: &Value, body: &Value| {
        point = point.or_else(|| step_point(mode, stored, &said(body)));
    };
    play(case, Name::read(case).ok()?, see).ok()?;
    point
}

fn step_point(mode: WriteMode, stored: &Value, body: &Value) -> Option<&'static str> {
    if removes(mode, stored, body) {
        Some("A-H29")
    } else if unfolds(stored, body) {
        Some("A-H28")
    } else if mode == WriteMode::Replace && stored == body {
        Some("A-H24")
    } else if mode == WriteMode::Patch && changes_nothing(Some(stored), body) {
        Some("A-H26")
    } else {
        holds_elements(body).then_some("A-H27")
    }
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
