//! Defects of what is made of malformed objects (device-update-agent.md § 6.2).

use serde_json::{Map, Value, json};
use twinspec_model::agent::Input;

use super::Defect;
use super::orders::Orders;
use super::rewrite::Inputs;

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-action-old-numbers",
        "The actions 1 and 2 of the preview are carried out.",
        ["ADU-AGENT-099"],
        Orders::new(|service, moment| {
            if matches!(moment.action, Some(1 | 2)) {
                act(service);
            }
            true
        })
    ),
    defect!(
        "agent-action-zero",
        "The action 0 is carried out.",
        ["ADU-AGENT-099"],
        Orders::new(|service, moment| {
            if moment.action == Some(0) {
                act(service);
            }
            true
        })
    ),
    defect!(
        "agent-action-id-as-number",
        "A workflow id that is a number is taken as text.",
        ["ADU-AGENT-103"],
        Orders::new(|service, _| {
            if let Some(id) = service.get_mut("workflow").and_then(|w| w.get_mut("id"))
                && id.is_number()
            {
                *id = json!(id.to_string());
            }
            true
        })
    ),
    defect!(
        "agent-action-manifest-as-object",
        "An update manifest that is an object is taken as its text.",
        ["ADU-AGENT-065"],
        Orders::new(|service, _| {
            if let Some(manifest) = service.get_mut("updateManifest")
                && manifest.is_object()
            {
                *manifest = json!(manifest.to_string());
            }
            true
        })
    ),
    defect!(
        "agent-action-dies-of-types",
        "An object with members of wrong types ends the agent.",
        ["ADU-AGENT-104"],
        Inputs(|input| {
            if let Input::Patch(patch) = &input
                && let Some(component) = patch.get("deviceUpdate")
                && let service = component.get("service")
                && !(component.is_object() && service.is_none_or(has_right_types))
            {
                // What a memory fault would come to.
                std::process::exit(139);
            }
            vec![input]
        })
    ),
];

fn act(service: &mut Map<String, Value>) {
    if let Some(workflow) = service.get_mut("workflow").and_then(Value::as_object_mut) {
        workflow.insert("action".to_owned(), json!(3));
    }
}

fn has_right_types(service: &Value) -> bool {
    let workflow = service.get("workflow");
    workflow.is_none_or(|workflow| workflow.get("action").is_none_or(Value::is_number))
        && service.get("updateManifest").is_none_or(|m| m.is_string() || m.is_null())
}
