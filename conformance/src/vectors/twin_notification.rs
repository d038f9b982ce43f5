//! Family `twin-notification`: what a device is sent after a back-end write.

use serde_json::{Value, json};
use twinspec_model::twin::WriteMode;

use super::twin_inputs::{alone, document, patch_values, replace_values, stored_values};
use super::twin_meeting::{changes_nothing, drops_below, said};
use super::twin_stage::{Name, mode, start, stored, write};
use super::{Input, member, number};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let mut twin = stored(Name::Desired, member(case, "stored")?)?;
    let version = number(case, "version")?;
    while twin.desired.version() < version {
        let nothing = json!({});
        let written = write(&mut twin, Name::Desired, WriteMode::Patch, &nothing, start());
        written.map_err(|refusal| refusal.to_string())?;
    }
    if twin.desired.version() != version {
        return Err(format!("a stored section cannot have version {version}"));
    }
    let body = member(case, "body")?;
    match write(&mut twin, Name::Desired, mode(case)?, body, start()) {
        Ok(change) => match change.notification {
            Some(notification) => Ok(json!({ "notification": notification.body })),
            None => Err("the write notifies nobody".to_owned()),
        },
        Err(refusal) => Err(format!("the write is refused: {refusal}")),
    }
}

pub(super) fn open_point(case: &Value, _expect: &Value) -> Option<&'static str> {
    let (stored, body) = (case.get("stored")?, said(case.get("body")?));
    match mode(case).ok()? {
        WriteMode::Patch => changes_nothing(Some(stored), &body).then_some("A-H26"),
        WriteMode::Replace if *stored == body => Some("A-H24"),
        WriteMode::Replace => drops_below(stored, &body).then_some("A-H30"),
    }
}

/// Every stored value with every written one, for both operations.
pub(super) fn inputs() -> Vec<Input> {
    let patch = |value| (value, "patch");
    let patches = patch_values().into_iter().map(|(name, value)| (name, patch(alone(value))));
    let replace = |value| (value, "replace");
    let replaces =
        replace_values().into_iter().map(|(name, value)| (name, replace(document(value))));
    let mut inputs = Vec::new();
    for (name, (body, operation)) in patches.chain(replaces) {
        for (stored_name, stored) in stored_values() {
            inputs.push(Input {
                title: format!("A {operation} writes {name} over {stored_name}."),
                requirements: vec!["HUB-NOTI-002"],
                members: vec![
                    ("operation", json!(operation)),
                    ("stored", document(stored)),
                    ("version", json!(9)),
                    ("body", body.clone()),
                ],
            });
        }
    }
    inputs
}
