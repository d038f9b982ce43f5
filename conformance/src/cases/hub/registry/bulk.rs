//! Bulk calls and their results (HUB-REG-028 to -030, -032 to -034).

use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;

use super::calls::{any, create, demand_gone, keys, read, text, update};
use crate::bench::{Bench, IfMatch, identity_path};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "registry-bulk-modes",
        title: "A bulk call creates, updates and deletes devices",
        requirements: &["HUB-REG-028"],
        needs: &[],
        run: |bench| Box::pin(modes(bench, ["create", "update", "delete"])),
    },
    Case {
        id: "registry-bulk-modes-in-other-case",
        title: "A bulk call takes its modes in other letter cases",
        requirements: &["HUB-REG-028"],
        needs: &[],
        run: |bench| Box::pin(modes(bench, ["Create", "UPDATE", "dELETE"])),
    },
    Case {
        id: "registry-bulk-modes-if-match",
        title: "A bulk call updates and deletes devices under their current etags",
        requirements: &["HUB-REG-028"],
        needs: &[],
        run: |bench| Box::pin(if_match_modes(bench, "updateIfMatchETag", "deleteIfMatchETag")),
    },
    Case {
        id: "registry-bulk-modes-if-match-in-other-case",
        title: "A bulk call takes its modes with etags in other letter cases",
        requirements: &["HUB-REG-028"],
        needs: &[],
        run: |bench| Box::pin(if_match_modes(bench, "UpdateIfMatchEtag", "DELETEIFMATCHETAG")),
    },
    Case {
        id: "registry-bulk-success",
        title: "A bulk call that succeeds is answered 200 with isSuccessful true",
        requirements: &["HUB-REG-029"],
        needs: &[],
        run: body!(success),
    },
    Case {
        id: "registry-bulk-failures-told",
        title: "A bulk call with two failing items is answered 400 with one error for each",
        requirements: &["HUB-REG-030"],
        needs: &[],
        run: body!(failures_told),
    },
    Case {
        id: "registry-bulk-stale-etag-told",
        title: "A bulk item under an outdated etag fails and changes nothing",
        requirements: &["HUB-REG-030"],
        needs: &[],
        run: body!(stale_etag_told),
    },
    Case {
        id: "registry-bulk-stale-delete-told",
        title: "A bulk item that deletes under an outdated etag fails and deletes nothing",
        requirements: &["HUB-REG-030"],
        needs: &[],
        run: body!(stale_delete_told),
    },
    Case {
        id: "registry-bulk-stale-twin-told",
        title: "A bulk item that writes a twin under an outdated etag fails and writes nothing",
        requirements: &["HUB-REG-030"],
        needs: &[],
        run: body!(stale_twin_told),
    },
    Case {
        id: "registry-bulk-missing-told",
        title: "A bulk call that updates and deletes what is not there says so of each item",
        requirements: &["HUB-REG-030"],
        needs: &[],
        run: body!(missing_told),
    },
    Case {
        id: "registry-bulk-module-failures-told",
        title: "The error of a bulk item for a module names the module and its device",
        requirements: &["HUB-REG-030"],
        needs: &[],
        run: body!(module_failures_told),
    },
    Case {
        id: "registry-bulk-modules",
        title: "Bulk items with a module id create and delete modules and leave their device",
        requirements: &["HUB-REG-028", "HUB-REG-029"],
        needs: &[],
        run: body!(modules),
    },
    Case {
        id: "registry-bulk-hundred",
        title: "A bulk call of 100 items is accepted",
        requirements: &["HUB-REG-032"],
        needs: &[],
        run: body!(hundred),
    },
    Case {
        id: "registry-bulk-hundred-and-one-refused",
        title: "A bulk call of 101 items is refused",
        requirements: &["HUB-REG-033"],
        needs: &[],
        run: body!(hundred_and_one_refused),
    },
    Case {
        id: "registry-bulk-twice-refused",
        title: "A bulk call with one device in two items is an error",
        requirements: &["HUB-REG-034"],
        needs: &[],
        run: body!(twice_refused),
    },
    Case {
        id: "registry-bulk-module-twice-refused",
        title: "A bulk call with one module in two items is an error, one with two modules is none",
        requirements: &["HUB-REG-034", "HUB-REG-029"],
        needs: &[],
        run: body!(module_twice_refused),
    },
];

/// Sends a bulk call, whatever is answered.
pub(super) async fn bulk(bench: &mut Bench, items: Vec<Value>) -> Checked<Answer> {
    bench.call(Method::POST, "/devices", IfMatch::Absent, Some(&Value::Array(items))).await
}

/// Demands that a bulk call succeeded as a whole.
pub(super) fn demand_success(bench: &mut Bench, requirement: &'static str, answer: &Answer) {
    let is_successful = answer.json().get("isSuccessful") == Some(&Value::Bool(true));
    let holds = answer.status.as_u16() == 200 && is_successful;
    bench.demand(requirement, holds, "200 with isSuccessful true", answer.to_string());
}

/// An item that creates the device with a reason for its status.
fn creation(mode: &str, device: &str, reason: &str) -> Value {
    json!({
        "id": device,
        "importMode": mode,
        "status": "enabled",
        "statusReason": reason,
        "authentication": keys(1, 2),
    })
}

async fn modes(bench: &mut Bench, [create, update, delete]: [&str; 3]) -> Checked {
    let identity = Identity::device(bench.new_name());
    for (mode, reason) in [(create, "created"), (update, "updated")] {
        let answer = bulk(bench, vec![creation(mode, &identity.device, reason)]).await?;
        demand_success(bench, "HUB-REG-028", &answer);
        let shows = |entity: &Value| text(entity, "/statusReason") == reason;
        let found = read(bench, &identity, shows).await?;
        let what = format!("statusReason after {mode}");
        bench.equal("HUB-REG-028", &what, reason, text(&found, "/statusReason"));
    }
    let item = json!({ "id": identity.device, "importMode": delete });
    let answer = bulk(bench, vec![item]).await?;
    demand_success(bench, "HUB-REG-028", &answer);
    demand_gone(bench, "HUB-REG-028", &identity_path(&identity)).await
}

async fn if_match_modes(bench: &mut Bench, update: &str, delete: &str) -> Checked {
    let identity = Identity::device(bench.new_name());
    let device = create(bench, "HUB-REG-001", &identity, json!({})).await?;
    let mut item = creation(update, &identity.device, "updated");
    set_etag(&mut item, &device);
    let answer = bulk(bench, vec![item]).await?;
    demand_success(bench, "HUB-REG-028", &answer);
    let shows = |entity: &Value| text(entity, "/statusReason") == "updated";
    let found = read(bench, &identity, shows).await?;
    bench.equal("HUB-REG-028", "statusReason", "updated", text(&found, "/statusReason"));
    let mut item = json!({ "id": identity.device, "importMode": delete });
    set_etag(&mut item, &found);
    let answer = bulk(bench, vec![item]).await?;
    demand_success(bench, "HUB-REG-028", &answer);
    demand_gone(bench, "HUB-REG-028", &identity_path(&identity)).await
}

/// Names the etag that `entity` has in `item`.
fn set_etag(item: &mut Value, entity: &Value) {
    if let Some(members) = item.as_object_mut() {
        members.insert("eTag".to_owned(), json!(text(entity, "/etag")));
    }
}

async fn success(bench: &mut Bench) -> Checked {
    let (first, second) = (bench.new_name(), bench.new_name());
    let items = [&first, &second].map(|device| creation("create", device, "new"));
    let answer = bulk(bench, items.to_vec()).await?;
    demand_success(bench, "HUB-REG-029", &answer);
    let errors = answer.json().get("errors").and_then(Value::as_array).map_or(0, Vec::len);
    bench.equal("HUB-REG-029", "number of errors", 0, errors);
    Ok(())
}

async fn failures_told(bench: &mut Bench) -> Checked {
    let present = [bench.device().await?.identity, bench.device().await?.identity];
    for identity in &present {
        read(bench, identity, any).await?;
    }
    let new = bench.new_name();
    let devices = [present[0].device.as_str(), new.as_str(), present[1].device.as_str()];
    let items = devices.map(|device| creation("create", device, "new"));
    let answer = bulk(bench, items.to_vec()).await?;
    demand_errors(bench, &answer, &[devices[0], devices[2]]);
    Ok(())
}

/// Demands status 400 and a result with one named error for each of `devices`.
fn demand_errors(bench: &mut Bench, answer: &Answer, devices: &[&str]) {
    let body = answer.json();
    let status = answer.status.as_u16();
    let is_failure = status == 400 && body.get("isSuccessful") == Some(&Value::Bool(false));
    let allowed = "400 with isSuccessful false";
    bench.demand("HUB-REG-030", is_failure, allowed, answer.to_string());
    let errors = body.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut seen: Vec<&str> = errors.iter().map(|error| text(error, "/deviceId")).collect();
    let mut allowed = devices.to_vec();
    seen.sort_unstable();
    allowed.sort_unstable();
    bench.equal("HUB-REG-030", "devices with errors", allowed, seen);
    for error in &errors {
        let code = error.get("errorCode").unwrap_or(&Value::Null);
        let begins_as_name = |code: &str| code.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_name = code.as_str().is_some_and(begins_as_name);
        bench.demand("HUB-REG-030", is_name, "a name in errorCode", code.to_string());
    }
}

async fn stale_etag_told(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let old = create(bench, "HUB-REG-001", &identity, json!({})).await?;
    let changes = json!({ "statusReason": "kept" });
    update(bench, "HUB-REG-008", IfMatch::Any, &old, changes).await?;
    let mut item = creation("updateIfMatchETag", &identity.device, "lost");
    set_etag(&mut item, &old);
    let answer = bulk(bench, vec![item]).await?;
    demand_errors(bench, &answer, &[identity.device.as_str()]);
    let found = read(bench, &identity, |entity| text(entity, "/statusReason") == "kept").await?;
    bench.equal("HUB-REG-030", "statusReason", "kept", text(&found, "/statusReason"));
    Ok(())
}

/// Items that create `number` devices.
fn creations(bench: &mut Bench, number: usize) -> Vec<Value> {
    (0..number).map(|_| creation("create", &bench.new_name(), "new")).collect()
}

async fn hundred(bench: &mut Bench) -> Checked {
    let items = creations(bench, 100);
    let answer = bulk(bench, items.clone()).await?;
    demand_success(bench, "HUB-REG-032", &answer);
    for item in [items.first(), items.last()].into_iter().flatten() {
        let identity = Identity::device(text(item, "/id"));
        let found = read(bench, &identity, any).await?;
        bench.equal("HUB-REG-032", "deviceId", text(item, "/id"), text(&found, "/deviceId"));
    }
    Ok(())
}

async fn hundred_and_one_refused(bench: &mut Bench) -> Checked {
    let one = creations(bench, 1);
    let answer = bulk(bench, one).await?;
    demand_success(bench, "HUB-REG-029", &answer);
    let items = creations(bench, 101);
    let answer = bulk(bench, items).await?;
    let refused = answer.status.is_client_error();
    bench.demand("HUB-REG-033", refused, "a 4xx status", answer.to_string());
    Ok(())
}

async fn twice_refused(bench: &mut Bench) -> Checked {
    let (good, twice) = (bench.new_name(), bench.new_name());
    let answer = bulk(bench, vec![creation("create", &good, "new")]).await?;
    demand_success(bench, "HUB-REG-029", &answer);
    let items = ["first", "second"].map(|reason| creation("create", &twice, reason));
    let answer = bulk(bench, items.to_vec()).await?;
    // Whether the call or its items are refused is left open: the name is somewhere in it.
    let is_named = answer.json().to_string().contains("DeviceDefinedMultipleTimes");
    let holds = answer.status.as_u16() == 400 && is_named;
    bench.demand("HUB-REG-034", holds, "400 DeviceDefinedMultipleTimes", answer.to_string());
    Ok(())
}

async fn stale_delete_told(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let old = create(bench, "HUB-REG-001", &identity, json!({})).await?;
    update(bench, "HUB-REG-008", IfMatch::Any, &old, json!({ "statusReason": "kept" })).await?;
    let mut item = json!({ "id": identity.device, "importMode": "deleteIfMatchETag" });
    set_etag(&mut item, &old);
    let answer = bulk(bench, vec![item]).await?;
    demand_errors(bench, &answer, &[identity.device.as_str()]);
    let found = read(bench, &identity, |entity| text(entity, "/statusReason") == "kept").await?;
    bench.equal("HUB-REG-030", "statusReason", "kept", text(&found, "/statusReason"));
    Ok(())
}

async fn stale_twin_told(bench: &mut Bench) -> Checked {
    let identity = bench.device().await?.identity;
    let old = bench.read_twin(&identity).await?;
    let kept = json!({ "tags": { "site": "kept" } });
    bench.patch_twin(&identity, &kept).await?;
    let item = json!({
        "id": identity.device,
        "importMode": "updateTwinIfMatchETag",
        "twinETag": text(&old, "/etag"),
        "tags": { "site": "lost" },
    });
    let answer = bulk(bench, vec![item]).await?;
    demand_errors(bench, &answer, &[identity.device.as_str()]);
    let twin = bench.read_twin(&identity).await?;
    bench.equal("HUB-REG-030", "tags.site", "kept", text(&twin, "/tags/site"));
    Ok(())
}

async fn missing_told(bench: &mut Bench) -> Checked {
    let (updated, deleted) = (bench.new_name(), bench.new_name());
    let items = vec![
        creation("update", &updated, "nobody"),
        json!({ "id": deleted, "importMode": "delete" }),
    ];
    let answer = bulk(bench, items).await?;
    demand_errors(bench, &answer, &[updated.as_str(), deleted.as_str()]);
    demand_gone(bench, "HUB-REG-030", &identity_path(&Identity::device(&updated))).await
}

async fn modules(bench: &mut Bench) -> Checked {
    let device = bench.new_name();
    let module = Identity::module(&device, "vision");
    let item = |mode: &str| json!({ "id": device, "moduleId": "vision", "importMode": mode, "authentication": keys(3, 4) });
    // A device and its module are two identities.
    let answer = bulk(bench, vec![creation("create", &device, "new"), item("create")]).await?;
    demand_success(bench, "HUB-REG-029", &answer);
    let found = read(bench, &module, any).await?;
    bench.equal("HUB-REG-028", "moduleId", "vision", text(&found, "/moduleId"));
    let answer = bulk(bench, vec![item("delete")]).await?;
    demand_success(bench, "HUB-REG-028", &answer);
    demand_gone(bench, "HUB-REG-028", &identity_path(&module)).await?;
    let found = read(bench, &Identity::device(&device), any).await?;
    bench.equal("HUB-REG-028", "deviceId", device.as_str(), text(&found, "/deviceId"));
    Ok(())
}

/// An item that creates a module.
fn module_creation(device: &str, module: &str) -> Value {
    json!({
        "id": device,
        "moduleId": module,
        "importMode": "create",
        "authentication": keys(3, 4),
    })
}

async fn module_failures_told(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let present = bench.module(&device, "vision").await?.identity;
    read(bench, &present, any).await?;
    let device = device.identity.device;
    let items = ["hearing", "vision"].map(|module| module_creation(&device, module));
    let answer = bulk(bench, items.to_vec()).await?;
    demand_errors(bench, &answer, &[device.as_str()]);
    let body = answer.json();
    bench.equal("HUB-REG-030", "moduleId", "vision", text(&body, "/errors/0/moduleId"));
    Ok(())
}

async fn module_twice_refused(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    read(bench, &device, any).await?;
    let items = ["vision", "hearing"].map(|module| module_creation(&device.device, module));
    let answer = bulk(bench, items.to_vec()).await?;
    demand_success(bench, "HUB-REG-029", &answer);
    let items = ["touch", "touch"].map(|module| module_creation(&device.device, module));
    let answer = bulk(bench, items.to_vec()).await?;
    let is_named = answer.json().to_string().contains("DeviceDefinedMultipleTimes");
    let holds = answer.status.as_u16() == 400 && is_named;
    bench.demand("HUB-REG-034", holds, "400 DeviceDefinedMultipleTimes", answer.to_string());
    Ok(())
}
