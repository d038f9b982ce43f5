//! Whose keys open which connection (HUB-AUTH-001, -002, -014).

use serde_json::Value;
use twinspec_model::identity::Identity;

use super::token::{accepted, login, refused, registered, token};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "auth-primary-key",
        title: "A device connects with a token signed with its primary key",
        requirements: &["HUB-AUTH-001"],
        needs: &[],
        run: body!(primary_key),
    },
    Case {
        id: "auth-primary-key-module",
        title: "A module connects with a token signed with its primary key",
        requirements: &["HUB-AUTH-001"],
        needs: &[],
        run: body!(primary_key_module),
    },
    Case {
        id: "auth-secondary-key",
        title: "A device connects with a token signed with its secondary key",
        requirements: &["HUB-AUTH-002"],
        needs: &[],
        run: body!(secondary_key),
    },
    Case {
        id: "auth-secondary-key-module",
        title: "A module connects with a token signed with its secondary key",
        requirements: &["HUB-AUTH-002"],
        needs: &[],
        run: body!(secondary_key_module),
    },
    Case {
        id: "auth-module-key-for-device",
        title: "A module's key does not open the connection of its device",
        requirements: &["HUB-AUTH-014"],
        needs: &[],
        run: body!(module_key_for_device),
    },
    Case {
        id: "auth-device-key-for-module",
        title: "A device's key does not open the connection of its module",
        requirements: &["HUB-AUTH-014"],
        needs: &[],
        run: body!(device_key_for_module),
    },
];

async fn primary_key(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    opens(bench, "HUB-AUTH-001", "primaryKey", &device.identity).await
}

async fn primary_key_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    opens(bench, "HUB-AUTH-001", "primaryKey", &module.identity).await
}

async fn secondary_key(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    opens(bench, "HUB-AUTH-002", "secondaryKey", &device.identity).await
}

async fn secondary_key_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    opens(bench, "HUB-AUTH-002", "secondaryKey", &module.identity).await
}

/// Demands that the registered key of this name opens the connection of `identity`.
async fn opens(
    bench: &mut Bench,
    requirement: &'static str,
    name: &str,
    identity: &Identity,
) -> Checked {
    let entity = registered(bench, identity).await?;
    let key = entity.pointer(&format!("/authentication/symmetricKey/{name}"));
    let key = key.and_then(Value::as_str).unwrap_or_default();
    let token = token(bench, identity, key, bench.in_an_hour());
    let login = login(bench, identity, token);
    accepted(bench, requirement, &format!("the {name}"), &login).await.map(drop)
}

async fn module_key_for_device(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_separate(bench, (&module.identity, &module.key), &device.identity).await
}

async fn device_key_for_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_separate(bench, (&device.identity, &device.key), &module.identity).await
}

/// Demands that a key opens the connection of its owner and not that of `other`, whichever of the
/// two the token names.
async fn demand_separate(
    bench: &mut Bench,
    (owner, key): (&Identity, &str),
    other: &Identity,
) -> Checked {
    let own = token(bench, owner, key, bench.in_an_hour());
    let own_login = login(bench, owner, own.clone());
    accepted(bench, "HUB-AUTH-014", "the owner of the key", &own_login).await?;
    let foreign = token(bench, other, key, bench.in_an_hour());
    for (what, token) in [("a token for the owner", own), ("a token for the other", foreign)] {
        let login = login(bench, other, token);
        refused(bench, "HUB-AUTH-014", &format!("{what}, with the key of {owner}"), &login).await?;
    }
    Ok(())
}
