//! Defects of acknowledgements.

use serde_json::{Value, json};

use super::Defect;
use super::rewrite::{Acknowledgements, Reports, remove, set};

pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        id: "agent-acknowledge-never",
        title: "Desired objects are never acknowledged.",
        requirements: &["ADU-AGENT-030"],
        overlay: || {
            Box::new(Reports(|patch| {
                if patch.pointer("/deviceUpdate/service").is_some() {
                    *patch = Value::Null;
                }
            }))
        },
    },
    Defect {
        id: "agent-acknowledge-old-version",
        title: "Acknowledgements carry the version before.",
        requirements: &["ADU-AGENT-030"],
        overlay: || {
            Box::new(Acknowledgements(|service| {
                let version = service.get("av").and_then(Value::as_u64).unwrap_or(1);
                set(service, "av", json!(version - 1));
            }))
        },
    },
    Defect {
        id: "agent-acknowledge-202",
        title: "Accepted objects are acknowledged with 202.",
        requirements: &["ADU-AGENT-030"],
        overlay: || {
            Box::new(Acknowledgements(|service| {
                if service.get("ac") == Some(&json!(200)) {
                    set(service, "ac", json!(202));
                }
            }))
        },
    },
    Defect {
        id: "agent-acknowledge-no-value",
        title: "Acknowledgements have no value.",
        requirements: &["ADU-AGENT-031"],
        overlay: || Box::new(Acknowledgements(|service| remove(service, "value"))),
    },
    Defect {
        id: "agent-acknowledge-repeats-signature",
        title: "Acknowledgements repeat a signature.",
        requirements: &["ADU-AGENT-032"],
        overlay: || {
            Box::new(Acknowledgements(|service| {
                if let Some(value) = service.get_mut("value") {
                    set(value, "updateManifestSignature", json!("a.b.c"));
                }
            }))
        },
    },
    Defect {
        id: "agent-acknowledge-200-for-refused",
        title: "Refused objects are acknowledged with 200.",
        requirements: &["ADU-AGENT-033"],
        overlay: || Box::new(Acknowledgements(|service| set(service, "ac", json!(200)))),
    },
];
