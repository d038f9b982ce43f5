//! Defects of what is made of manifests (device-update-manifests.md § 1, 2).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Value, json};
use twinspec_harness::agent::Effect;
use twinspec_model::agent::{Input, Output, Plan};
use twinspec_model::update::UpdateId;

use super::Defect;
use super::lenient::Lenient;
use super::payload::each_file;
use super::rewrite::{Outputs, With};

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-manifest-any-version",
        "The versions 3 and 6 of manifests are read like 5.",
        ["ADU-AGENT-067"],
        Lenient::manifest(|manifest| {
            if let Some(version) = manifest.get_mut("manifestVersion")
                && (*version == json!("3") || *version == json!("6"))
            {
                *version = json!("5");
            }
        })
    ),
    defect!(
        "agent-manifest-version-as-number",
        "A manifest version that is a number is taken as text.",
        ["ADU-AGENT-067"],
        Lenient::manifest(|manifest| {
            if let Some(version) = manifest.get_mut("manifestVersion")
                && version.is_number()
            {
                *version = json!(version.to_string());
            }
        })
    ),
    defect!(
        "agent-manifest-no-version",
        "A manifest without version is read like one of version 5.",
        ["ADU-AGENT-067"],
        Lenient::manifest(|manifest| {
            if manifest.get("manifestVersion").is_none()
                && let Some(members) = manifest.as_object_mut()
            {
                members.insert("manifestVersion".to_owned(), json!("5"));
            }
        })
    ),
    defect!(
        "agent-manifest-refuses-5-0",
        "The manifest version 5.0 is refused.",
        ["ADU-AGENT-068"],
        Lenient::refuses(|attempt| {
            let manifest = attempt.manifest_value().unwrap_or_default();
            manifest.get("manifestVersion") == Some(&json!("5.0"))
        })
    ),
    defect!(
        "agent-manifest-unknown-files",
        "Files that a step names and that are not there are gone without.",
        ["ADU-MANIFEST-003"],
        Lenient::manifest(|manifest| {
            let files = manifest.get("files").and_then(Value::as_object);
            let known: Vec<Value> =
                files.into_iter().flat_map(|files| files.keys()).map(|id| json!(id)).collect();
            each_step(manifest, |step| {
                if let Some(Value::Array(named)) = step.get_mut("files")
                    && !named.is_empty()
                    && !named.iter().any(|id| known.contains(id))
                {
                    named.clone_from(&known);
                }
            });
        })
    ),
    defect!(
        "agent-manifest-lower-case-name",
        "filename is taken for fileName.",
        ["ADU-MANIFEST-004"],
        Lenient::manifest(|manifest| each_file(manifest, |file| {
            if let Some(file) = file.as_object_mut()
                && let Some(name) = file.remove("filename")
            {
                file.insert("fileName".to_owned(), name);
            }
        }))
    ),
    defect!(
        "agent-manifest-name-with-path",
        "Of a file name with a path the last part is taken.",
        ["ADU-MANIFEST-004"],
        Lenient::manifest(|manifest| {
            each_file(manifest, |file| {
                if let Some(Value::String(name)) = file.get_mut("fileName") {
                    *name = name.rsplit('/').next().unwrap_or_default().to_owned();
                }
            });
            script_of_files(manifest);
        })
    ),
    defect!(
        "agent-manifest-related-list",
        "Related files that are a list are passed over.",
        ["ADU-MANIFEST-005"],
        Lenient::manifest(|manifest| each_file(manifest, |file| {
            if file.get("relatedFiles").is_some_and(Value::is_array)
                && let Some(file) = file.as_object_mut()
            {
                file.remove("relatedFiles");
            }
        }))
    ),
    defect!(
        "agent-manifest-hash-forms",
        "A hash is taken in any form in which it can be read.",
        ["ADU-MANIFEST-006"],
        Lenient::manifest(|manifest| each_file(manifest, |file| {
            if let Some(Value::String(hash)) = file.pointer_mut("/hashes/sha256")
                && let Some(bytes) = any_hash(hash)
            {
                *hash = STANDARD.encode(bytes);
            }
        }))
    ),
    defect!(
        "agent-manifest-eleven-steps",
        "Of eleven steps the first ten are carried out.",
        ["ADU-MANIFEST-007"],
        Lenient::manifest(|manifest| {
            if let Some(Value::Array(steps)) = manifest.pointer_mut("/instructions/steps") {
                steps.truncate(10);
            }
        })
    ),
    defect!(
        "agent-manifest-nine-steps-at-most",
        "A manifest of ten steps is refused.",
        ["ADU-MANIFEST-007"],
        Lenient::refuses(|attempt| {
            let manifest = attempt.manifest_value().unwrap_or_default();
            let steps = manifest.pointer("/instructions/steps").and_then(Value::as_array);
            steps.is_some_and(|steps| steps.len() == 10)
        })
    ),
    defect!(
        "agent-manifest-usual-handler",
        "A step without handler is given to the script handler.",
        ["ADU-MANIFEST-008"],
        Lenient::manifest(|manifest| each_step(manifest, |step| {
            if step.get("handler").is_none()
                && let Some(step) = step.as_object_mut()
            {
                step.insert("handler".to_owned(), json!("microsoft/script:1"));
            }
        }))
    ),
    defect!(
        "agent-manifest-all-files",
        "A step without files is given all files.",
        ["ADU-MANIFEST-008"],
        Lenient::manifest(|manifest| {
            let files = manifest.get("files").and_then(Value::as_object);
            let all: Vec<Value> =
                files.into_iter().flat_map(|files| files.keys()).map(|id| json!(id)).collect();
            each_step(manifest, |step| {
                let named = step.get("files").and_then(Value::as_array);
                if named.is_none_or(Vec::is_empty)
                    && let Some(step) = step.as_object_mut()
                {
                    step.insert("files".to_owned(), json!(all));
                }
            });
        })
    ),
    defect!(
        "agent-manifest-needs-type",
        "A step without a type is refused.",
        ["ADU-MANIFEST-008"],
        Lenient::refuses(|attempt| {
            let mut is_bare = false;
            let mut manifest = attempt.manifest_value().unwrap_or_default();
            each_step(&mut manifest, |step| is_bare |= step.get("type").is_none());
            is_bare
        })
    ),
    defect!(
        "agent-manifest-minds-members",
        "Unknown members at the top of a manifest are refused.",
        ["ADU-MANIFEST-009"],
        Lenient::refuses(|attempt| {
            let manifest = attempt.manifest_value().unwrap_or_default();
            manifest.as_object().is_some_and(|members| !members.keys().all(|name| is_known(name)))
        })
    ),
    defect!(
        "agent-manifest-minds-step-members",
        "Unknown members of a step are refused.",
        ["ADU-MANIFEST-009"],
        Lenient::refuses(|attempt| {
            let known = ["type", "handler", "files", "handlerProperties", "detachedManifestFileId"];
            let mut is_minded = false;
            let mut manifest = attempt.manifest_value().unwrap_or_default();
            each_step(&mut manifest, |step| {
                let members = step.as_object().into_iter().flat_map(|step| step.keys());
                is_minded |= !members.into_iter().all(|name| known.contains(&name.as_str()));
            });
            is_minded
        })
    ),
    defect!(
        "agent-manifest-written-anew",
        "The signature is looked at for the manifest written anew, not for its text.",
        ["ADU-MANIFEST-010", "ADU-SIG-009"],
        Outputs(|mut output| {
            if let Output::Validate { order, .. } = &mut output
                && let Some(text) = &mut order.manifest
                && let Ok(manifest) = serde_json::from_str::<Value>(text)
            {
                *text = manifest.to_string();
            }
            vec![Effect::Do(output)]
        })
    ),
    defect!(
        "agent-manifest-any-provider",
        "A provider may have blanks.",
        ["ADU-MANIFEST-011"],
        Lenient::manifest(|manifest| {
            if let Some(Value::String(provider)) = manifest.pointer_mut("/updateId/provider") {
                *provider = provider.replace(' ', "-");
            }
        })
    ),
    defect!(
        "agent-manifest-long-name",
        "A name above 64 characters is cut.",
        ["ADU-MANIFEST-011"],
        Lenient::manifest(|manifest| {
            if let Some(Value::String(name)) = manifest.pointer_mut("/updateId/name") {
                *name = name.chars().take(64).collect();
            }
        })
    ),
    defect!(
        "agent-manifest-any-update-version",
        "An update version of one part, or that is a number, is taken.",
        ["ADU-MANIFEST-011"],
        Lenient::manifest(|manifest| match manifest.pointer_mut("/updateId/version") {
            Some(Value::String(version)) if !version.contains('.') => version.push_str(".0"),
            Some(version @ Value::Number(_)) => *version = json!(version.to_string()),
            _ => {}
        })
    ),
    defect!(
        "agent-manifest-update-id-short",
        "Names of 64 characters are refused.",
        ["ADU-MANIFEST-011"],
        Lenient::refuses(|attempt| {
            let manifest = attempt.manifest_value().unwrap_or_default();
            let name = manifest.pointer("/updateId/name").and_then(Value::as_str);
            name.is_some_and(|name| name.len() >= 64)
        })
    ),
    defect!(
        "agent-manifest-mini-is-done",
        "A manifest that is detached itself is reported as installed, and nothing runs.",
        ["ADU-MANIFEST-013"],
        With {
            state: None,
            input: |mini: &mut Option<UpdateId>, mut input| {
                if let Input::Validated { validation, .. } = &mut input
                    && let Some(update) = mini.take()
                {
                    let (steps, urls) = (Vec::new(), std::collections::BTreeMap::new());
                    validation.plan = Ok(Plan { update, steps, urls });
                }
                vec![input]
            },
            output: |mini, output| {
                if let Output::Validate { order, .. } = &output {
                    *mini = mini_update(order.manifest.as_deref().unwrap_or_default());
                }
                vec![Effect::Do(output)]
            },
        }
    ),
];

/// Members of a manifest.
fn is_known(name: &str) -> bool {
    let known = [
        "manifestVersion",
        "updateId",
        "compatibility",
        "instructions",
        "files",
        "createdDateTime",
        "detachedManifestFileId",
    ];
    known.contains(&name)
}

fn each_step(manifest: &mut Value, change: impl FnMut(&mut Value)) {
    let steps = manifest.pointer_mut("/instructions/steps").and_then(Value::as_array_mut);
    steps.into_iter().flatten().for_each(change);
}

/// Names the script of each step like the first of its files.
fn script_of_files(manifest: &mut Value) {
    let files = manifest.get("files").cloned().unwrap_or_default();
    each_step(manifest, |step| {
        let first = step.pointer("/files/0").and_then(Value::as_str);
        let name = first.and_then(|id| files.get(id)?.get("fileName").cloned());
        if let (Some(name), Some(script)) =
            (name, step.pointer_mut("/handlerProperties/scriptFileName"))
        {
            *script = name;
        }
    });
}

/// 32 bytes in standard base64 with or without padding, with a letter before it, or in hex.
fn any_hash(text: &str) -> Option<Vec<u8>> {
    let hex = || {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect::<Option<Vec<u8>>>()
    };
    let forms = [
        STANDARD.decode(text).ok(),
        STANDARD_NO_PAD.decode(text).ok(),
        text.get(1..).and_then(|text| STANDARD.decode(text).ok()),
        hex(),
    ];
    forms.into_iter().flatten().find(|bytes| bytes.len() == 32)
}

/// What a manifest that is detached itself installs.
fn mini_update(manifest: &str) -> Option<UpdateId> {
    let manifest: Value = serde_json::from_str(manifest).ok()?;
    manifest.get("detachedManifestFileId")?;
    UpdateId::from_value(manifest.get("updateId")?).ok()
}
