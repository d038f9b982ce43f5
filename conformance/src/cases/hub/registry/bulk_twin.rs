//! Twins in bulk calls (HUB-REG-028, -031).

use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::bulk::{bulk, demand_success};
use super::calls::text;
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "registry-bulk-twin-modes",
        title: "A bulk call updates twins, with and without their etags, in any letter case",
        requirements: &["HUB-REG-028"],
        needs: &[],
        run: body!(modes),
    },
    Case {
        id: "registry-bulk-twins-merged",
        title: "A bulk update merges into the tags and desired properties of two devices",
        requirements: &["HUB-REG-031"],
        needs: &[],
        run: body!(devices_merged),
    },
    Case {
        id: "registry-bulk-module-twin-merged",
        title: "A bulk update merges into the tags and desired properties of a module",
        requirements: &["HUB-REG-031"],
        needs: &[],
        run: body!(module_merged),
    },
];

/// An item for the twin of `identity`.
fn item(mode: &str, identity: &Identity, content: &Value) -> Value {
    let mut item = json!({
        "id": identity.device,
        "importMode": mode,
        "tags": content,
        "properties": { "desired": content },
    });
    if let (Some(members), Some(module)) = (item.as_object_mut(), &identity.module) {
        members.insert("moduleId".to_owned(), json!(module));
    }
    item
}

async fn modes(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let modes = ["updateTwin", "UPDATETWIN", "updateTwinIfMatchETag", "updatetwinifmatchetag"];
    for (number, mode) in modes.iter().enumerate() {
        let content = json!({ "mode": number });
        let mut item = item(mode, &device, &content);
        let twin = bench.read_twin(&device).await?;
        if let Some(members) = item.as_object_mut() {
            members.insert("twinETag".to_owned(), json!(text(&twin, "/etag")));
        }
        let answer = bulk(bench, vec![item]).await?;
        demand_success(bench, "HUB-REG-028", &answer);
        demand_content(bench, "HUB-REG-028", &device, &content).await?;
    }
    Ok(())
}

async fn devices_merged(bench: &mut Bench) -> Checked {
    let devices = [bench.device().await?.identity, bench.device().await?.identity];
    demand_merged(bench, &devices).await
}

async fn module_merged(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?.identity;
    demand_merged(bench, &[module]).await
}

/// Members are added, changed, removed and left, in all twins at once.
async fn demand_merged(bench: &mut Bench, identities: &[Identity]) -> Checked {
    let before = json!({ "left": 1, "changed": 2, "inner": { "left": 3, "removed": 4 } });
    let patch = json!({ "changed": 5, "added": 6, "inner": { "removed": null } });
    let allowed = json!({ "left": 1, "changed": 5, "added": 6, "inner": { "left": 3 } });
    for identity in identities {
        let body = json!({ "tags": before, "properties": { "desired": before } });
        bench.patch_twin(identity, &body).await?;
    }
    let items = identities.iter().map(|identity| item("updateTwin", identity, &patch));
    let answer = bulk(bench, items.collect()).await?;
    demand_success(bench, "HUB-REG-031", &answer);
    for identity in identities {
        demand_content(bench, "HUB-REG-031", identity, &allowed).await?;
    }
    Ok(())
}

/// Demands that tags and desired properties hold `allowed` and nothing else.
async fn demand_content(
    bench: &mut Bench,
    requirement: &'static str,
    identity: &Identity,
    allowed: &Value,
) -> Checked {
    let content = |twin: &Value, pointer: &str| {
        let mut section = twin.pointer(pointer).cloned().unwrap_or_default();
        if let Some(members) = section.as_object_mut() {
            members.retain(|name, _| !name.starts_with('$'));
        }
        section
    };
    let sections = ["/tags", "/properties/desired"];
    let shows = |twin: &Value| sections.iter().all(|pointer| content(twin, pointer) == *allowed);
    let twin = bench.watch_twin(identity, shows).await?;
    for pointer in sections {
        bench.equal_json(requirement, pointer, allowed, &content(&twin, pointer));
    }
    Ok(())
}
