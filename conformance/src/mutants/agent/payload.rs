//! Defects of files: where they come from, how they are checked, when they are kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use twinspec_harness::agent::{Config, Effect, Overlay};
use twinspec_model::agent::{FetchOrder, Fetched, Input, Output, Plan, Step};

use super::Defect;
use super::lenient::Lenient;
use super::rewrite::{Inputs, With};

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-payload-other-url",
        "Files are requested from the URLs of other files.",
        ["ADU-AGENT-048"],
        Inputs(|input| with_plan(input, |plan| {
            let ids: Vec<String> = plan.urls.keys().cloned().collect();
            let mut urls: Vec<String> = plan.urls.values().cloned().collect();
            let places = 1.min(urls.len());
            urls.rotate_left(places);
            plan.urls = ids.into_iter().zip(urls).collect();
        }))
    ),
    defect!(
        "agent-payload-goes-without",
        "A file without URL is gone without.",
        ["ADU-AGENT-051"],
        Inputs(|input| with_plan(input, |plan| {
            let urls = plan.urls.clone();
            for step in &mut plan.steps {
                if let Step::Inline(work) = step {
                    work.files.retain(|file| urls.contains_key(&file.id));
                }
            }
        }))
    ),
    defect!(
        "agent-payload-404-is-fine",
        "A payload that the server has not counts as downloaded.",
        ["ADU-AGENT-052"],
        With {
            state: BTreeMap::new(),
            input: |orders: &mut BTreeMap<u64, FetchOrder>, mut input| {
                if let Input::Fetched { job, outcome } = &mut input
                    && let Some(FetchOrder { size, hash, .. }) = orders.remove(job)
                    && *outcome == Fetched::Status(404)
                {
                    *outcome = Fetched::Complete { size, hash, text: None };
                }
                vec![input]
            },
            output: note_orders,
        }
    ),
    defect!(
        "agent-payload-fetches-again",
        "What is there already is fetched again.",
        ["ADU-AGENT-053"],
        Downloads { folder: PathBuf::new(), act: forget }
    ),
    defect!(
        "agent-payload-weakest-hash",
        "Of several hashes only the first is looked at, as by agents in C.",
        ["ADU-AGENT-063"],
        Lenient::manifest(|manifest| each_file(manifest, |file| {
            if let Some(hashes) = file.get_mut("hashes").and_then(Value::as_object_mut)
                && hashes.contains_key("sha256")
            {
                hashes.retain(|name, _| name == "sha256");
            }
        }))
    ),
    defect!(
        "agent-payload-no-strong-hash",
        "A file without a strong hash is taken unchecked.",
        ["ADU-AGENT-064"],
        Unhashed { lenient: Lenient::manifest(with_any_hash), orders: BTreeMap::new() }
    ),
    defect!(
        "agent-payload-needs-download-handler",
        "A file with an unknown download handler is refused.",
        ["ADU-AGENT-119"],
        Lenient::refuses(|attempt| {
            has_download_handler(attempt.manifest_value(), |id| id != "microsoft/delta:1")
        })
    ),
    defect!(
        "agent-payload-needs-delta-source",
        "A delta without its source fails.",
        ["ADU-AGENT-120"],
        Lenient::refuses(|attempt| {
            has_download_handler(attempt.manifest_value(), |id| id == "microsoft/delta:1")
        })
    ),
];

/// Rewrites the plan of an order that was validated.
pub(super) fn with_plan(mut input: Input, change: impl FnOnce(&mut Plan)) -> Vec<Input> {
    if let Input::Validated { validation, .. } = &mut input
        && let Ok(plan) = &mut validation.plan
    {
        change(plan);
    }
    vec![input]
}

/// Remembers what was to be fetched.
pub(super) fn note_orders(orders: &mut BTreeMap<u64, FetchOrder>, output: Output) -> Vec<Effect> {
    if let Output::Fetch { job, order } = &output {
        orders.insert(*job, order.clone());
    }
    vec![Effect::Do(output)]
}

/// Rewrites every file entry of a manifest.
pub(super) fn each_file(manifest: &mut Value, change: impl Fn(&mut Value)) {
    let files = manifest.get_mut("files").and_then(Value::as_object_mut);
    files.into_iter().flat_map(|files| files.values_mut()).for_each(change);
}

fn has_download_handler(manifest: Option<Value>, is_meant: fn(&str) -> bool) -> bool {
    let manifest = manifest.unwrap_or_default();
    let files = manifest.get("files").and_then(Value::as_object);
    let mut ids = files
        .into_iter()
        .flat_map(|files| files.values())
        .filter_map(|file| file.pointer("/downloadHandler/id").and_then(Value::as_str));
    ids.any(is_meant)
}

/// Does something where a file is to go, before it is fetched.
struct Downloads {
    folder: PathBuf,
    act: fn(&Path, &FetchOrder),
}

impl Overlay for Downloads {
    fn config(&mut self, config: &mut Config) {
        self.folder = config.work_dir.join("downloads");
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        if let Output::Fetch { order, .. } = &output {
            (self.act)(&self.folder, order);
        }
        vec![Effect::Do(output)]
    }
}

/// Removes the file, whichever deployment's folder it is in.
fn forget(downloads: &Path, order: &FetchOrder) {
    for folder in fs::read_dir(downloads).into_iter().flatten().flatten() {
        // One that is not there need not be removed.
        let _gone_either_way = fs::remove_file(folder.path().join(&order.folder).join(&order.name));
    }
}

/// SHA-256 of nothing in particular: 32 bytes of 0.
const NO_HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn with_any_hash(manifest: &mut Value) {
    each_file(manifest, |file| {
        if file.pointer("/hashes/sha256").is_none()
            && let Some(file) = file.as_object_mut()
        {
            file.insert("hashes".to_owned(), json!({ "sha256": NO_HASH }));
        }
    });
}

/// Takes files whose hash is all zeros as they come.
struct Unhashed {
    lenient: Lenient,
    orders: BTreeMap<u64, FetchOrder>,
}

impl Overlay for Unhashed {
    fn config(&mut self, config: &mut Config) {
        self.lenient.config(config);
    }

    fn input(&mut self, mut input: Input) -> Vec<Input> {
        if let Input::Fetched { job, outcome: Fetched::Complete { hash, .. } } = &mut input
            && let Some(order) = self.orders.remove(job)
            && order.hash.iter().all(|byte| *byte == 0)
        {
            *hash = order.hash;
        }
        vec![input]
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        match output {
            Output::Validate { .. } => self.lenient.output(output),
            output => note_orders(&mut self.orders, output),
        }
    }
}
