//! Updating identities (HUB-REG-008, -011, -012, -015, -016).

use http::Method;
use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::calls::{
    any, changed, create, demand_gone, demand_refused, identity_of, keys, put, read, text, update,
};
use crate::bench::{Bench, IfMatch, identity_path, words};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "registry-update-matching",
        title: "A PUT with the current etag in If-Match updates a device",
        requirements: &["HUB-REG-008"],
        needs: &[],
        run: body!(matching_updates),
    },
    Case {
        id: "registry-update-star",
        title: "A PUT with a star in If-Match updates a device",
        requirements: &["HUB-REG-008"],
        needs: &[],
        run: body!(star_updates),
    },
    Case {
        id: "registry-update-stale-refused",
        title: "A PUT with an outdated etag in If-Match is refused and changes nothing",
        requirements: &["HUB-REG-008"],
        needs: &[],
        run: body!(stale_refused),
    },
    Case {
        id: "registry-module-update-conditions",
        title: "A PUT of a module updates under star and etag and is refused under an old etag",
        requirements: &["HUB-REG-008"],
        needs: &[],
        run: body!(module_conditions),
    },
    Case {
        id: "registry-update-changes-etag",
        title: "The etag of a device changes with each update",
        requirements: &["HUB-REG-011"],
        needs: &[],
        run: body!(device_etag_changes),
    },
    Case {
        id: "registry-module-update-changes-etag",
        title: "The etag of a module changes with each update",
        requirements: &["HUB-REG-011"],
        needs: &[],
        run: body!(module_etag_changes),
    },
    Case {
        id: "registry-generation-differs",
        title: "A device that is created again has another generationId",
        requirements: &["HUB-REG-012"],
        needs: &[],
        run: body!(generation_differs),
    },
    Case {
        id: "registry-generation-differs-module",
        title: "A module that is created again has another generationId",
        requirements: &["HUB-REG-012"],
        needs: &[],
        run: body!(generation_differs_module),
    },
    Case {
        id: "registry-status-updated",
        title: "A device is disabled with a reason and enabled again",
        requirements: &["HUB-REG-015"],
        needs: &[],
        run: body!(status_updated),
    },
    Case {
        id: "registry-status-reason-updated",
        title: "The reason of a status is updated while the status stays",
        requirements: &["HUB-REG-015"],
        needs: &[],
        run: body!(reason_updated),
    },
    Case {
        id: "registry-read-only-ignored-on-create",
        title: "Read-only members in the PUT that creates a device are ignored",
        requirements: &["HUB-REG-016"],
        needs: &[],
        run: body!(read_only_on_create),
    },
    Case {
        id: "registry-read-only-ignored-on-update",
        title: "Read-only members in the PUT that updates a device are ignored",
        requirements: &["HUB-REG-016"],
        needs: &[],
        run: body!(read_only_on_update),
    },
];

async fn device(bench: &mut Bench) -> Checked<Value> {
    let identity = Identity::device(bench.new_name());
    create(bench, "HUB-REG-001", &identity, json!({ "statusReason": "new" })).await
}

async fn matching_updates(bench: &mut Bench) -> Checked {
    let current = device(bench).await?;
    let etag = text(&current, "/etag").to_owned();
    demand_updated(bench, IfMatch::Etag(&etag), &current).await
}

async fn star_updates(bench: &mut Bench) -> Checked {
    let current = device(bench).await?;
    demand_updated(bench, IfMatch::Any, &current).await
}

async fn demand_updated(bench: &mut Bench, if_match: IfMatch<'_>, current: &Value) -> Checked {
    let changes = json!({ "statusReason": "updated" });
    update(bench, "HUB-REG-008", if_match, current, changes).await?;
    let shows = |entity: &Value| text(entity, "/statusReason") == "updated";
    let after = read(bench, &identity_of(current), shows).await?;
    bench.equal("HUB-REG-008", "statusReason", "updated", text(&after, "/statusReason"));
    Ok(())
}

async fn stale_refused(bench: &mut Bench) -> Checked {
    let old = device(bench).await?;
    let identity = identity_of(&old);
    let changes = json!({ "statusReason": "second" });
    let current = update(bench, "HUB-REG-008", IfMatch::Any, &old, changes).await?;
    let body = changed(&current, json!({ "statusReason": "third" }));
    let if_match = IfMatch::Etag(text(&old, "/etag"));
    let answer = put(bench, &identity, if_match, &body).await?;
    demand_refused(bench, "HUB-REG-008", &answer, 412, "");
    let after = read(bench, &identity, |entity| text(entity, "/statusReason") == "second").await?;
    bench.equal("HUB-REG-008", "statusReason", "second", text(&after, "/statusReason"));
    bench.equal("HUB-REG-008", "etag", text(&current, "/etag"), text(&after, "/etag"));
    Ok(())
}

async fn module_conditions(bench: &mut Bench) -> Checked {
    let parent = bench.device().await?;
    let identity = Identity::module(&parent.identity.device, "vision");
    let first = json!({ "authentication": keys(1, 2) });
    let old = create(bench, "HUB-REG-023", &identity, first).await?;
    let second = json!({ "authentication": keys(3, 4) });
    let current = update(bench, "HUB-REG-008", IfMatch::Any, &old, second).await?;
    let if_match = IfMatch::Etag(text(&current, "/etag"));
    let third = json!({ "authentication": keys(5, 6) });
    update(bench, "HUB-REG-008", if_match, &current, third.clone()).await?;
    let fourth = changed(&current, json!({ "authentication": keys(7, 8) }));
    let answer = put(bench, &identity, IfMatch::Etag(text(&old, "/etag")), &fourth).await?;
    demand_refused(bench, "HUB-REG-008", &answer, 412, "");
    let key = "/authentication/symmetricKey/primaryKey";
    let after = read(bench, &identity, |entity| text(entity, key) == text(&third, key)).await?;
    bench.equal("HUB-REG-008", "primaryKey", text(&third, key), text(&after, key));
    Ok(())
}

async fn device_etag_changes(bench: &mut Bench) -> Checked {
    let new = device(bench).await?;
    let changes = ["a", "b", "b"].map(|reason| json!({ "statusReason": reason }));
    demand_etags_differ(bench, new, &changes).await
}

async fn module_etag_changes(bench: &mut Bench) -> Checked {
    let parent = bench.device().await?;
    let identity = Identity::module(&parent.identity.device, "vision");
    let new = create(bench, "HUB-REG-023", &identity, json!({})).await?;
    let changes = [1, 2, 3].map(|byte| json!({ "authentication": keys(byte, byte + 10) }));
    demand_etags_differ(bench, new, &changes).await
}

async fn demand_etags_differ(bench: &mut Bench, new: Value, changes: &[Value]) -> Checked {
    let mut seen = vec![text(&new, "/etag").to_owned()];
    let mut current = new;
    for change in changes {
        current = update(bench, "HUB-REG-008", IfMatch::Any, &current, change.clone()).await?;
        let etag = text(&current, "/etag").to_owned();
        let is_new = !etag.is_empty() && !seen.contains(&etag);
        bench.demand(
            "HUB-REG-011",
            is_new,
            format!("an etag not in {}", words(&seen)),
            etag.clone(),
        );
        seen.push(etag);
    }
    Ok(())
}

async fn generation_differs(bench: &mut Bench) -> Checked {
    let first = device(bench).await?;
    let identity = identity_of(&first);
    let path = identity_path(&identity);
    bench.call(Method::DELETE, &path, IfMatch::Any, None).await?;
    demand_gone(bench, "HUB-REG-009", &path).await?;
    let second = create(bench, "HUB-REG-001", &identity, json!({})).await?;
    let (first, second) = (text(&first, "/generationId"), text(&second, "/generationId"));
    let differs = !first.is_empty() && !second.is_empty() && first != second;
    bench.demand("HUB-REG-012", differs, format!("a generationId other than {first:?}"), second);
    Ok(())
}

async fn generation_differs_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let module = Identity::module(&device.device, "vision");
    let first = create(bench, "HUB-REG-023", &module, json!({})).await?;
    let path = identity_path(&module);
    bench.call(Method::DELETE, &path, IfMatch::Any, None).await?;
    demand_gone(bench, "HUB-REG-023", &path).await?;
    let second = create(bench, "HUB-REG-023", &module, json!({})).await?;
    let (first, second) = (text(&first, "/generationId"), text(&second, "/generationId"));
    let differs = !first.is_empty() && !second.is_empty() && first != second;
    bench.demand("HUB-REG-012", differs, format!("a generationId other than {first:?}"), second);
    Ok(())
}

async fn status_updated(bench: &mut Bench) -> Checked {
    let current = device(bench).await?;
    let disabled = json!({ "status": "disabled", "statusReason": "maintenance" });
    let current = demand_status(bench, &current, disabled).await?;
    let enabled = json!({ "status": "enabled", "statusReason": "back again" });
    demand_status(bench, &current, enabled).await.map(drop)
}

async fn reason_updated(bench: &mut Bench) -> Checked {
    let current = device(bench).await?;
    let first = json!({ "status": "enabled", "statusReason": "in the field" });
    let current = demand_status(bench, &current, first).await?;
    let second = json!({ "status": "enabled", "statusReason": "on the shelf" });
    demand_status(bench, &current, second).await.map(drop)
}

/// Updates under the current etag and reads status and reason back.
async fn demand_status(bench: &mut Bench, current: &Value, changes: Value) -> Checked<Value> {
    let if_match = IfMatch::Etag(text(current, "/etag"));
    update(bench, "HUB-REG-015", if_match, current, changes.clone()).await?;
    let shows = |entity: &Value| text(entity, "/etag") != text(current, "/etag");
    let after = read(bench, &identity_of(current), shows).await?;
    for member in ["/status", "/statusReason"] {
        bench.equal("HUB-REG-015", member, text(&changes, member), text(&after, member));
    }
    Ok(after)
}

/// Values of read-only members that no hub would choose.
fn read_only() -> Value {
    json!({
        "generationId": "suite-generation",
        "connectionState": "Connected",
        "connectionStateUpdatedTime": "2011-01-02T03:04:05Z",
        "statusUpdatedTime": "2011-01-02T03:04:05Z",
        "lastActivityTime": "2011-01-02T03:04:05Z",
    })
}

async fn read_only_on_create(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    create(bench, "HUB-REG-016", &identity, read_only()).await?;
    demand_ignored(bench, &identity).await.map(drop)
}

async fn read_only_on_update(bench: &mut Bench) -> Checked {
    let current = device(bench).await?;
    let changes = changed(&read_only(), json!({ "statusReason": "updated" }));
    update(bench, "HUB-REG-016", IfMatch::Any, &current, changes).await?;
    let after = demand_ignored(bench, &identity_of(&current)).await?;
    let generation = "/generationId";
    bench.equal("HUB-REG-016", generation, text(&current, generation), text(&after, generation));
    Ok(())
}

async fn demand_ignored(bench: &mut Bench, identity: &Identity) -> Checked<Value> {
    let after = read(bench, identity, any).await?;
    let given = read_only();
    for member in given.as_object().into_iter().flatten().map(|(name, _)| name) {
        let ignored = after.is_object() && after.get(member) != given.get(member);
        let seen = after.get(member).unwrap_or(&Value::Null).to_string();
        bench.demand("HUB-REG-016", ignored, format!("{member} of the hub's own"), seen);
    }
    Ok(after)
}
