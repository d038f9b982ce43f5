//! Devices with certificates and Edge devices (HUB-REG-019 to -022).

use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::calls::{any, changed, create, identity_of, put, read, text, update};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "registry-self-signed-thumbprints",
        title: "A selfSigned device keeps the thumbprints given at creation",
        requirements: &["HUB-REG-019"],
        needs: &[],
        run: body!(self_signed),
    },
    Case {
        id: "registry-self-signed-thumbprints-updated",
        title: "A selfSigned device keeps the thumbprints given in an update",
        requirements: &["HUB-REG-019"],
        needs: &[],
        run: body!(self_signed_updated),
    },
    Case {
        id: "registry-certificate-authority-bare",
        title: "A certificateAuthority device has no thumbprints",
        requirements: &["HUB-REG-019"],
        needs: &[],
        run: body!(certificate_authority),
    },
    Case {
        id: "registry-edge-scope",
        title: "An Edge device gets a deviceScope",
        requirements: &["HUB-REG-020"],
        needs: &[],
        run: body!(edge_scope),
    },
    Case {
        id: "registry-leaf-scope",
        title: "A leaf created with its parent's deviceScope has it as its only parent scope",
        requirements: &["HUB-REG-021"],
        needs: &[],
        run: body!(leaf_scope),
    },
    Case {
        id: "registry-leaf-unknown-scope-refused",
        title: "A leaf is not moved to a scope that no Edge device has",
        requirements: &["HUB-REG-022"],
        needs: &[],
        run: body!(unknown_scope_refused),
    },
];

/// An `authentication` member with thumbprints made of two hex digits.
fn thumbprints(first: &str, second: &str) -> Value {
    json!({
        "type": "selfSigned",
        "x509Thumbprint": {
            "primaryThumbprint": first.repeat(32),
            "secondaryThumbprint": second.repeat(32),
        },
    })
}

async fn self_signed(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let given = json!({ "authentication": thumbprints("A1", "B2") });
    let device = create(bench, "HUB-REG-019", &identity, given.clone()).await?;
    demand_thumbprints(bench, &given, &device);
    let found = read(bench, &identity, any).await?;
    demand_thumbprints(bench, &given, &found);
    Ok(())
}

async fn self_signed_updated(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let first = json!({ "authentication": thumbprints("A1", "B2") });
    let device = create(bench, "HUB-REG-019", &identity, first).await?;
    let given = json!({ "authentication": thumbprints("C3", "D4") });
    update(bench, "HUB-REG-008", IfMatch::Any, &device, given.clone()).await?;
    let shows = |entity: &Value| text(entity, "/etag") != text(&device, "/etag");
    let found = read(bench, &identity, shows).await?;
    demand_thumbprints(bench, &given, &found);
    Ok(())
}

fn demand_thumbprints(bench: &mut Bench, allowed: &Value, seen: &Value) {
    for member in ["type", "x509Thumbprint/primaryThumbprint", "x509Thumbprint/secondaryThumbprint"]
    {
        let pointer = format!("/authentication/{member}");
        let seen = text(seen, &pointer);
        // Words and hex digits are the same in either case.
        let holds = text(allowed, &pointer).eq_ignore_ascii_case(seen);
        let allowed = format!("{member} {}", text(allowed, &pointer));
        bench.demand("HUB-REG-019", holds, allowed, format!("{member} {seen}"));
    }
}

async fn certificate_authority(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let given = json!({ "authentication": { "type": "certificateAuthority" } });
    create(bench, "HUB-REG-019", &identity, given).await?;
    let found = read(bench, &identity, any).await?;
    let kind = text(&found, "/authentication/type");
    let is_kind = kind.eq_ignore_ascii_case("certificateAuthority");
    bench.demand("HUB-REG-019", is_kind, "type certificateAuthority", kind);
    for member in ["primaryThumbprint", "secondaryThumbprint"] {
        let seen = text(&found, &format!("/authentication/x509Thumbprint/{member}"));
        bench.equal("HUB-REG-019", member, "", seen);
    }
    Ok(())
}

async fn edge(bench: &mut Bench) -> Checked<Value> {
    let identity = Identity::device(bench.new_name());
    let members = json!({ "capabilities": { "iotEdge": true } });
    create(bench, "HUB-REG-020", &identity, members).await
}

async fn edge_scope(bench: &mut Bench) -> Checked {
    let device = edge(bench).await?;
    let found = read(bench, &identity_of(&device), any).await?;
    for entity in [&device, &found] {
        let scope = text(entity, "/deviceScope");
        bench.demand("HUB-REG-020", !scope.is_empty(), "a deviceScope", entity.to_string());
    }
    Ok(())
}

/// A leaf below `parent`, as it was created.
async fn leaf(bench: &mut Bench, parent: &Value) -> Checked<Value> {
    let identity = Identity::device(bench.new_name());
    let members = json!({ "deviceScope": text(parent, "/deviceScope") });
    create(bench, "HUB-REG-021", &identity, members).await
}

async fn leaf_scope(bench: &mut Bench) -> Checked {
    let parent = edge(bench).await?;
    let device = leaf(bench, &parent).await?;
    let found = read(bench, &identity_of(&device), any).await?;
    let scope = parent.get("deviceScope").cloned().unwrap_or_default();
    for entity in [&device, &found] {
        let seen = entity.get("deviceScope").cloned().unwrap_or_default();
        bench.equal_json("HUB-REG-021", "deviceScope", &scope, &seen);
        let seen = entity.get("parentScopes").cloned().unwrap_or_default();
        bench.equal_json("HUB-REG-021", "parentScopes", &json!([scope]), &seen);
    }
    Ok(())
}

async fn unknown_scope_refused(bench: &mut Bench) -> Checked {
    let parent = edge(bench).await?;
    let device = leaf(bench, &parent).await?;
    let changes = json!({ "statusReason": "same scope" });
    let current = update(bench, "HUB-REG-008", IfMatch::Any, &device, changes).await?;
    let body = changed(&current, json!({ "deviceScope": "ms-azure-iot-edge://nobody-1" }));
    let identity = identity_of(&device);
    let answer = put(bench, &identity, IfMatch::Any, &body).await?;
    let refused = answer.status.is_client_error();
    bench.demand("HUB-REG-022", refused, "an error", answer.to_string());
    let after = read(bench, &identity, any).await?;
    let allowed = text(&parent, "/deviceScope");
    bench.equal("HUB-REG-022", "deviceScope", allowed, text(&after, "/deviceScope"));
    Ok(())
}
