//! Creating devices (HUB-REG-001 to -007).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;

use super::calls::{
    any, changed, create, demand_gone, demand_refused, error_names, keys, put, read, symmetric,
    text, update, watch,
};
use crate::bench::{Bench, IfMatch, identity_path, twin_path, words};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "registry-create",
        title: "A PUT of a new device is answered 200 with the device, which can be read then",
        requirements: &["HUB-REG-001"],
        needs: &[],
        run: body!(created),
    },
    Case {
        id: "registry-create-again-refused",
        title: "A second PUT of a device without If-Match is refused and changes nothing",
        requirements: &["HUB-REG-002"],
        needs: &[],
        run: body!(again_refused),
    },
    Case {
        id: "registry-keys-absent-generated",
        title: "A device created without authentication gets two keys in base64",
        requirements: &["HUB-REG-003"],
        needs: &[],
        run: |bench| Box::pin(keys_generated(bench, json!({}))),
    },
    Case {
        id: "registry-keys-empty-generated",
        title: "A device created with empty keys gets two keys in base64",
        requirements: &["HUB-REG-003"],
        needs: &[],
        run: |bench| {
            Box::pin(keys_generated(bench, json!({ "authentication": symmetric("", "") })))
        },
    },
    Case {
        id: "registry-keys-given-kept",
        title: "Keys given at creation are those that are read then",
        requirements: &["HUB-REG-004"],
        needs: &[],
        run: body!(keys_kept),
    },
    Case {
        id: "registry-keys-given-kept-on-update",
        title: "Keys given in an update are those that are read then",
        requirements: &["HUB-REG-004"],
        needs: &[],
        run: body!(keys_kept_on_update),
    },
    Case {
        id: "registry-key-invalid-refused",
        title: "A device with a key that is no base64 is refused and not created",
        requirements: &["HUB-REG-005"],
        needs: &[],
        run: body!(key_refused),
    },
    Case {
        id: "registry-key-invalid-refused-on-update",
        title: "An update with a key that is no base64 is refused and leaves the keys",
        requirements: &["HUB-REG-005"],
        needs: &[],
        run: body!(key_refused_on_update),
    },
    Case {
        id: "registry-twin-comes-and-goes",
        title: "A device's twin is there once it is created and gone once it is deleted",
        requirements: &["HUB-REG-006"],
        needs: &[],
        run: body!(twin_comes_and_goes),
    },
    Case {
        id: "registry-twin-begins-anew",
        title: "A device that is created again does not inherit its old twin",
        requirements: &["HUB-REG-006"],
        needs: &[],
        run: body!(twin_begins_anew),
    },
    Case {
        id: "registry-twin-outlives-update",
        title: "An update of the device leaves the content of its twin",
        requirements: &["HUB-REG-006"],
        needs: &[],
        run: body!(twin_outlives_update),
    },
    Case {
        id: "registry-missing-device-named",
        title: "A GET of a missing device is 404 DeviceNotFound in body and header",
        requirements: &["HUB-REG-007"],
        needs: &[],
        run: body!(missing_named),
    },
];

async fn created(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let body = json!({ "deviceId": identity.device });
    let answer = put(bench, &identity, IfMatch::Absent, &body).await?;
    let is_device = |entity: &Value| text(entity, "/deviceId") == identity.device;
    let holds = answer.status.as_u16() == 200 && is_device(&answer.json());
    bench.demand("HUB-REG-001", holds, "200 with the device", answer.to_string());
    let found = read(bench, &identity, any).await?;
    let allowed = "the device in a GET";
    bench.demand("HUB-REG-001", is_device(&found), allowed, found.to_string());
    Ok(())
}

async fn again_refused(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let first = create(bench, "HUB-REG-001", &identity, json!({ "statusReason": "first" })).await?;
    let second = changed(&first, json!({ "statusReason": "second" }));
    let answer = put(bench, &identity, IfMatch::Absent, &second).await?;
    demand_refused(bench, "HUB-REG-002", &answer, 409, "DeviceAlreadyExists");
    let after = read(bench, &identity, any).await?;
    bench.equal("HUB-REG-002", "statusReason", "first", text(&after, "/statusReason"));
    bench.equal("HUB-REG-002", "etag", text(&first, "/etag"), text(&after, "/etag"));
    Ok(())
}

async fn keys_generated(bench: &mut Bench, members: Value) -> Checked {
    let identity = Identity::device(bench.new_name());
    let device = create(bench, "HUB-REG-001", &identity, members).await?;
    for pointer in KEYS {
        let key = text(&device, pointer);
        let is_key = STANDARD.decode(key).is_ok_and(|bytes| !bytes.is_empty());
        bench.demand("HUB-REG-003", is_key, format!("base64 at {pointer}"), words(&key));
    }
    Ok(())
}

/// Where a device has its keys.
const KEYS: [&str; 2] =
    ["/authentication/symmetricKey/primaryKey", "/authentication/symmetricKey/secondaryKey"];

async fn keys_kept(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let given = json!({ "authentication": keys(7, 8) });
    let device = create(bench, "HUB-REG-001", &identity, given.clone()).await?;
    demand_keys(bench, "HUB-REG-004", &given, &device);
    let found = read(bench, &identity, any).await?;
    demand_keys(bench, "HUB-REG-004", &given, &found);
    Ok(())
}

async fn keys_kept_on_update(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let before = json!({ "authentication": keys(7, 8) });
    let device = create(bench, "HUB-REG-001", &identity, before).await?;
    let given = json!({ "authentication": keys(9, 10) });
    update(bench, "HUB-REG-008", IfMatch::Any, &device, given.clone()).await?;
    let shows = |entity: &Value| text(entity, KEYS[0]) == text(&given, KEYS[0]);
    let found = read(bench, &identity, shows).await?;
    demand_keys(bench, "HUB-REG-004", &given, &found);
    Ok(())
}

fn demand_keys(bench: &mut Bench, requirement: &'static str, allowed: &Value, seen: &Value) {
    for pointer in KEYS {
        bench.equal(requirement, pointer, text(allowed, pointer), text(seen, pointer));
    }
}

async fn key_refused(bench: &mut Bench) -> Checked {
    let good = Identity::device(bench.new_name());
    create(bench, "HUB-REG-004", &good, json!({ "authentication": keys(7, 8) })).await?;
    let identity = Identity::device(bench.new_name());
    let body = json!({ "deviceId": identity.device, "authentication": symmetric("1", "2") });
    let answer = put(bench, &identity, IfMatch::Absent, &body).await?;
    demand_refused(bench, "HUB-REG-005", &answer, 400, "");
    demand_gone(bench, "HUB-REG-005", &identity_path(&identity)).await
}

async fn key_refused_on_update(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let given = json!({ "authentication": keys(7, 8) });
    let device = create(bench, "HUB-REG-004", &identity, given.clone()).await?;
    let body = changed(&device, json!({ "authentication": symmetric("1", "2") }));
    let answer = put(bench, &identity, IfMatch::Any, &body).await?;
    demand_refused(bench, "HUB-REG-005", &answer, 400, "");
    let found = read(bench, &identity, any).await?;
    demand_keys(bench, "HUB-REG-005", &given, &found);
    Ok(())
}

async fn twin_comes_and_goes(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let path = twin_path(&device);
    let twin = watch(bench, &path, |answer| answer.status.as_u16() == 200).await?;
    let holds = twin.status.as_u16() == 200 && text(&twin.json(), "/deviceId") == device.device;
    bench.demand("HUB-REG-006", holds, "200 with the twin", twin.to_string());
    delete(bench, &device).await?;
    demand_gone(bench, "HUB-REG-006", &path).await
}

async fn twin_outlives_update(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let device = create(bench, "HUB-REG-001", &identity, json!({})).await?;
    let members = json!({ "tags": { "kept": 1 }, "properties": { "desired": { "kept": 2 } } });
    let before = bench.patch_twin(&identity, &members).await?;
    let changes = json!({ "status": "disabled", "authentication": keys(3, 4) });
    update(bench, "HUB-REG-008", IfMatch::Any, &device, changes).await?;
    let after = bench.watch_twin(&identity, |twin| text(twin, "/status") == "disabled").await?;
    for pointer in ["/tags", "/properties/desired"] {
        let seen = |twin: &Value| twin.pointer(pointer).cloned().unwrap_or_default();
        bench.equal_json("HUB-REG-006", pointer, &seen(&before), &seen(&after));
    }
    Ok(())
}

async fn twin_begins_anew(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let members = json!({ "tags": { "old": 1 }, "properties": { "desired": { "old": 2 } } });
    bench.patch_twin(&device, &members).await?;
    delete(bench, &device).await?;
    demand_gone(bench, "HUB-REG-006", &twin_path(&device)).await?;
    create(bench, "HUB-REG-001", &device, json!({})).await?;
    let is_there = |answer: &Answer| answer.status.as_u16() == 200;
    let twin = watch(bench, &twin_path(&device), is_there).await?.json();
    let has = |pointer| twin.pointer(pointer).is_some();
    let is_new = twin.is_object() && !has("/tags/old") && !has("/properties/desired/old");
    bench.demand("HUB-REG-006", is_new, "a twin without old content", twin.to_string());
    Ok(())
}

async fn delete(bench: &mut Bench, identity: &Identity) -> Checked {
    let path = identity_path(identity);
    let answer = bench.call(Method::DELETE, &path, IfMatch::Any, None).await?;
    bench.equal("HUB-REG-009", "status", 204, answer.status.as_u16());
    Ok(())
}

async fn missing_named(bench: &mut Bench) -> Checked {
    let present = bench.device().await?.identity;
    read(bench, &present, any).await?;
    let missing = Identity::device(bench.new_name());
    let path = identity_path(&missing);
    let answer = bench.call(Method::GET, &path, IfMatch::Absent, None).await?;
    bench.equal("HUB-REG-007", "status", 404, answer.status.as_u16());
    for (place, name) in ["header", "body"].iter().zip(error_names(&answer)) {
        let what = format!("name in the {place}");
        bench.equal("HUB-REG-007", &what, Some("DeviceNotFound".to_owned()), name);
    }
    Ok(())
}
