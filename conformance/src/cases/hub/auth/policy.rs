//! Policies that act for devices, and those that may not (HUB-AUTH-010 to -013).

use http::Method;
use twinspec_model::identity::Identity;

use super::token::{accepted, login, refused, registry_path};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "auth-policy-for-device",
        title: "Policies with DeviceConnect connect the device that their token names",
        requirements: &["HUB-AUTH-010"],
        needs: &[Need::Policies],
        run: body!(for_device),
    },
    Case {
        id: "auth-policy-for-all",
        title: "One token of a policy for all devices connects two of them",
        requirements: &["HUB-AUTH-011"],
        needs: &[Need::Policies],
        run: body!(for_all),
    },
    Case {
        id: "auth-policy-without-connect",
        title: "Policies without DeviceConnect connect no device",
        requirements: &["HUB-AUTH-012"],
        needs: &[Need::Policies],
        run: body!(without_connect),
    },
    Case {
        id: "auth-policy-without-connect-all",
        title: "Policies without DeviceConnect connect no device with a token for all either",
        requirements: &["HUB-AUTH-012"],
        needs: &[Need::Policies],
        run: body!(without_connect_all),
    },
    Case {
        id: "auth-policy-unregistered",
        title: "A policy's token does not connect a device that was never registered",
        requirements: &["HUB-AUTH-013"],
        needs: &[Need::Policies],
        run: body!(unregistered),
    },
    Case {
        id: "auth-policy-unregistered-module",
        title: "A policy's token does not connect a module that was never registered",
        requirements: &["HUB-AUTH-013"],
        needs: &[Need::Policies],
        run: body!(unregistered_module),
    },
    Case {
        id: "auth-policy-deleted",
        title: "A policy's token does not connect a device that was deleted",
        requirements: &["HUB-AUTH-013"],
        needs: &[Need::Policies],
        run: body!(deleted),
    },
];

async fn for_device(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    for policy in ["device", "iothubowner"] {
        connects(bench, policy, &device.resource_path(), &device).await?;
    }
    Ok(())
}

async fn for_all(bench: &mut Bench) -> Checked {
    let token = bench.policy_token("device", "devices")?;
    for _ in 0..2 {
        let device = bench.device().await?.identity;
        let login = login(bench, &device, token.clone());
        accepted(bench, "HUB-AUTH-011", "a token for all devices", &login).await?;
    }
    Ok(())
}

async fn without_connect(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    demand_no_connection(bench, &device, &device.resource_path()).await
}

async fn without_connect_all(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    demand_no_connection(bench, &device, "devices").await
}

async fn demand_no_connection(bench: &mut Bench, device: &Identity, resource: &str) -> Checked {
    connects(bench, "device", resource, device).await?;
    for policy in ["service", "registryRead", "registryReadWrite"] {
        let token = bench.policy_token(policy, resource)?;
        let login = login(bench, device, token);
        refused(bench, "HUB-AUTH-012", &format!("the policy {policy}"), &login).await?;
    }
    Ok(())
}

async fn unregistered(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    connects(bench, "device", "devices", &device).await?;
    let missing = Identity::device(bench.new_name());
    stays_out(bench, &missing).await
}

async fn unregistered_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?.identity;
    let resource = module.resource_path();
    connects(bench, "device", &resource, &module).await?;
    stays_out(bench, &Identity::module(&device.identity.device, "missing")).await
}

async fn deleted(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    connects(bench, "device", "devices", &device).await?;
    let path = registry_path(&device);
    let answer = bench.call(Method::DELETE, &path, IfMatch::Any, None).await?;
    if !answer.status.is_success() {
        let allowed = "204".to_owned();
        let seen = answer.to_string();
        return Err(Stop::Broken { requirement: "HUB-REG-009", allowed, seen });
    }
    stays_out(bench, &device).await
}

/// Demands that the policy `device` cannot connect what is not registered.
async fn stays_out(bench: &mut Bench, missing: &Identity) -> Checked {
    for resource in ["devices".to_owned(), missing.resource_path()] {
        let token = bench.policy_token("device", &resource)?;
        let login = login(bench, missing, token);
        refused(bench, "HUB-AUTH-013", &format!("{missing}, which is not there"), &login).await?;
    }
    Ok(())
}

/// Demands that a policy's token for `resource` connects `identity`.
async fn connects(bench: &mut Bench, policy: &str, resource: &str, identity: &Identity) -> Checked {
    let requirement = if resource == "devices" { "HUB-AUTH-011" } else { "HUB-AUTH-010" };
    let token = bench.policy_token(policy, resource)?;
    let login = login(bench, identity, token);
    let what = format!("a token of the policy {policy} for {resource}");
    accepted(bench, requirement, &what, &login).await.map(drop)
}
