//! Which device a token opens (HUB-AUTH-008, -009).

use twinspec_model::identity::Identity;

use super::token::{accepted, login, refused, register, token};
use crate::bench::Bench;
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "auth-other-device",
        title: "The token of one device does not connect another",
        requirements: &["HUB-AUTH-008"],
        needs: &[],
        run: body!(other_device),
    },
    Case {
        id: "auth-other-device-named",
        title: "A token that names another device does not connect the owner of its key",
        requirements: &["HUB-AUTH-008"],
        needs: &[],
        run: body!(other_device_named),
    },
    Case {
        id: "auth-other-device-policy",
        title: "A policy's token for one device does not connect another",
        requirements: &["HUB-AUTH-008"],
        needs: &[Need::Policies],
        run: body!(other_device_policy),
    },
    Case {
        id: "auth-scope-segments",
        title: "A policy's token for a device does not open one whose id begins with its id",
        requirements: &["HUB-AUTH-009"],
        needs: &[Need::Policies],
        run: body!(scope_segments),
    },
    Case {
        id: "auth-scope-segments-module",
        title: "A policy's token for a module does not open one whose id begins with its id",
        requirements: &["HUB-AUTH-009"],
        needs: &[Need::Policies],
        run: body!(scope_segments_module),
    },
];

async fn other_device(bench: &mut Bench) -> Checked {
    let (owner, other) = (bench.device().await?, bench.device().await?);
    let token = token(bench, &owner.identity, &owner.key, bench.in_an_hour());
    demand_one_only(bench, "HUB-AUTH-001", &token, [&owner.identity, &other.identity]).await
}

async fn other_device_named(bench: &mut Bench) -> Checked {
    let (owner, other) = (bench.device().await?, bench.device().await?);
    let own = token(bench, &owner.identity, &owner.key, bench.in_an_hour());
    let own = login(bench, &owner.identity, own);
    accepted(bench, "HUB-AUTH-001", "a token that names the device", &own).await?;
    let foreign = token(bench, &other.identity, &owner.key, bench.in_an_hour());
    let foreign = login(bench, &owner.identity, foreign);
    refused(bench, "HUB-AUTH-008", "a token that names another device", &foreign).await
}

async fn other_device_policy(bench: &mut Bench) -> Checked {
    let (owner, other) = (bench.device().await?, bench.device().await?);
    let token = bench.policy_token("device", &owner.identity.resource_path())?;
    demand_one_only(bench, "HUB-AUTH-010", &token, [&owner.identity, &other.identity]).await
}

async fn scope_segments(bench: &mut Bench) -> Checked {
    let short = bench.device().await?.identity;
    let long = Identity::device(format!("{}c", short.device));
    bench.claim(&long.device);
    register(bench, &long, serde_json::json!({ "type": "sas" })).await?;
    demand_segments(bench, &short, &long).await
}

async fn scope_segments_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let short = bench.module(&device, "ab").await?.identity;
    let long = bench.module(&device, "abc").await?.identity;
    demand_segments(bench, &short, &long).await
}

async fn demand_segments(bench: &mut Bench, short: &Identity, long: &Identity) -> Checked {
    let own = bench.policy_token("device", &long.resource_path())?;
    let own = login(bench, long, own);
    accepted(bench, "HUB-AUTH-010", "a token for the whole id", &own).await?;
    let token = bench.policy_token("device", &short.resource_path())?;
    let own = login(bench, short, token.clone());
    accepted(bench, "HUB-AUTH-010", "a token for the shorter id", &own).await?;
    let foreign = login(bench, long, token);
    let what = format!("{long}, where the token names {short}");
    refused(bench, "HUB-AUTH-009", &what, &foreign).await
}

/// Demands that `token` connects `owner`, as the requirement `connects` says, and not `other`.
async fn demand_one_only(
    bench: &mut Bench,
    connects: &'static str,
    token: &str,
    [owner, other]: [&Identity; 2],
) -> Checked {
    let own = login(bench, owner, token.to_owned());
    accepted(bench, connects, &format!("{owner}, which the token names"), &own).await?;
    let foreign = login(bench, other, token.to_owned());
    refused(bench, "HUB-AUTH-008", &format!("{other}, where the token names {owner}"), &foreign)
        .await
}
