//! Deleting identities (HUB-REG-009, -010, -027).

use http::Method;
use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::calls::{
    any, create, demand_gone, demand_refused, identity_of, keys, read, text, update,
};
use crate::bench::{Bench, IfMatch, identity_path, twin_path};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "registry-delete-unconditional",
        title: "A DELETE without If-Match is answered 204 and removes the device",
        requirements: &["HUB-REG-009"],
        needs: &[],
        run: body!(unconditional),
    },
    Case {
        id: "registry-delete-conditional",
        title: "A DELETE under a star or the current etag is answered 204 and removes the device",
        requirements: &["HUB-REG-009"],
        needs: &[],
        run: body!(conditional),
    },
    Case {
        id: "registry-delete-stale-refused",
        title: "A DELETE of a device under an outdated etag is refused and keeps it",
        requirements: &["HUB-REG-010"],
        needs: &[],
        run: body!(stale_refused),
    },
    Case {
        id: "registry-module-delete-stale-refused",
        title: "A DELETE of a module under an outdated etag is refused and keeps it",
        requirements: &["HUB-REG-010"],
        needs: &[],
        run: body!(module_stale_refused),
    },
    Case {
        id: "registry-delete-takes-modules",
        title: "The modules of a deleted device are gone",
        requirements: &["HUB-REG-027"],
        needs: &[],
        run: body!(modules_gone),
    },
    Case {
        id: "registry-delete-takes-modules-for-good",
        title: "The modules of a deleted device do not come back when it is created again",
        requirements: &["HUB-REG-027"],
        needs: &[],
        run: body!(modules_gone_for_good),
    },
];

async fn unconditional(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    demand_deleted(bench, &device, IfMatch::Absent).await
}

async fn conditional(bench: &mut Bench) -> Checked {
    let first = bench.device().await?.identity;
    demand_deleted(bench, &first, IfMatch::Any).await?;
    let second = Identity::device(bench.new_name());
    let entity = create(bench, "HUB-REG-001", &second, json!({})).await?;
    demand_deleted(bench, &second, IfMatch::Etag(text(&entity, "/etag"))).await
}

async fn demand_deleted(bench: &mut Bench, who: &Identity, if_match: IfMatch<'_>) -> Checked {
    let path = identity_path(who);
    let answer = bench.call(Method::DELETE, &path, if_match, None).await?;
    bench.equal("HUB-REG-009", "status", 204, answer.status.as_u16());
    demand_gone(bench, "HUB-REG-009", &path).await
}

async fn stale_refused(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let old = create(bench, "HUB-REG-001", &identity, json!({})).await?;
    demand_stale_refused(bench, &old, json!({ "statusReason": "updated" })).await
}

async fn module_stale_refused(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let identity = Identity::module(&device.device, "vision");
    let old = create(bench, "HUB-REG-023", &identity, json!({})).await?;
    demand_stale_refused(bench, &old, json!({ "authentication": keys(1, 2) })).await
}

async fn demand_stale_refused(bench: &mut Bench, old: &Value, changes: Value) -> Checked {
    let identity = identity_of(old);
    let path = identity_path(&identity);
    let current = update(bench, "HUB-REG-008", IfMatch::Any, old, changes).await?;
    let stale = IfMatch::Etag(text(old, "/etag"));
    let answer = bench.call(Method::DELETE, &path, stale, None).await?;
    demand_refused(bench, "HUB-REG-010", &answer, 412, "");
    let is_current = |entity: &Value| text(entity, "/etag") == text(&current, "/etag");
    let after = read(bench, &identity, is_current).await?;
    bench.equal("HUB-REG-010", "etag", text(&current, "/etag"), text(&after, "/etag"));
    let fresh = IfMatch::Etag(text(&current, "/etag"));
    let answer = bench.call(Method::DELETE, &path, fresh, None).await?;
    bench.equal("HUB-REG-009", "status", 204, answer.status.as_u16());
    Ok(())
}

async fn modules_gone(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?.identity;
    let found = read(bench, &module, any).await?;
    bench.equal("HUB-REG-023", "moduleId", "vision", text(&found, "/moduleId"));
    demand_deleted(bench, &device.identity, IfMatch::Any).await?;
    for path in [identity_path(&module), twin_path(&module)] {
        demand_gone(bench, "HUB-REG-027", &path).await?;
    }
    Ok(())
}

async fn modules_gone_for_good(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?.identity;
    demand_deleted(bench, &device.identity, IfMatch::Any).await?;
    create(bench, "HUB-REG-001", &device.identity, json!({})).await?;
    read(bench, &device.identity, any).await?;
    demand_gone(bench, "HUB-REG-027", &identity_path(&module)).await
}
