//! What the policies allow a back end (HUB-AUTH-026 to -028).
//!
//! All tokens are for the whole hub: how far a back end's `sr` is enforced below that is open.

use http::Method;
use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::token::{demand_status, registry_path, twin_path};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "auth-registry-read",
        title: "RegistryRead reads devices, modules and lists of them",
        requirements: &["HUB-AUTH-026"],
        needs: &[Need::Policies],
        run: body!(registry_read),
    },
    Case {
        id: "auth-registry-read-creates-nothing",
        title: "RegistryRead creates no device and no module",
        requirements: &["HUB-AUTH-026"],
        needs: &[Need::Policies],
        run: body!(registry_read_creates_nothing),
    },
    Case {
        id: "auth-registry-read-removes-nothing",
        title: "RegistryRead neither updates nor deletes a device",
        requirements: &["HUB-AUTH-026"],
        needs: &[Need::Policies],
        run: body!(registry_read_removes_nothing),
    },
    Case {
        id: "auth-service-twins",
        title: "ServiceConnect reads, patches and replaces the twin of a device",
        requirements: &["HUB-AUTH-027"],
        needs: &[Need::Policies],
        run: body!(service_twins),
    },
    Case {
        id: "auth-service-twins-module",
        title: "ServiceConnect reads, patches and replaces the twin of a module",
        requirements: &["HUB-AUTH-027"],
        needs: &[Need::Policies],
        run: body!(service_twins_module),
    },
    Case {
        id: "auth-service-creates-nothing",
        title: "ServiceConnect creates no device and no module",
        requirements: &["HUB-AUTH-027"],
        needs: &[Need::Policies],
        run: body!(service_creates_nothing),
    },
    Case {
        id: "auth-service-removes-nothing",
        title: "ServiceConnect neither updates nor deletes a device",
        requirements: &["HUB-AUTH-027"],
        needs: &[Need::Policies],
        run: body!(service_removes_nothing),
    },
    Case {
        id: "auth-twin-refused",
        title: "Without ServiceConnect the twin of a device is neither read nor written",
        requirements: &["HUB-AUTH-028"],
        needs: &[Need::Policies],
        run: body!(twin_refused),
    },
    Case {
        id: "auth-twin-refused-module",
        title: "Without ServiceConnect the twin of a module is neither read nor written",
        requirements: &["HUB-AUTH-028"],
        needs: &[Need::Policies],
        run: body!(twin_refused_module),
    },
    Case {
        id: "auth-method-refused",
        title: "Without ServiceConnect no method is called and no twin is queried",
        requirements: &["HUB-AUTH-028"],
        needs: &[Need::Policies],
        run: body!(method_refused),
    },
];

async fn registry_read(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?.identity;
    let path = registry_path(&device.identity);
    let token = bench.policy_token("registryRead", "")?;
    let modules = format!("{path}/modules");
    for path in [&path, &modules, &registry_path(&module), "/devices?top=1"] {
        let call = (Method::GET, path, None);
        demand_status(bench, "HUB-AUTH-026", Some(&token), call, 200).await?;
    }
    Ok(())
}

async fn registry_read_creates_nothing(bench: &mut Bench) -> Checked {
    creates_nothing(bench, "HUB-AUTH-026", "registryRead").await
}

async fn service_creates_nothing(bench: &mut Bench) -> Checked {
    creates_nothing(bench, "HUB-AUTH-027", "service").await
}

/// Demands that a policy cannot create what the run's own then can.
async fn creates_nothing(bench: &mut Bench, requirement: &'static str, policy: &str) -> Checked {
    let token = bench.policy_token(policy, "")?;
    let device = bench.new_name();
    let module = Identity::module(&device, "vision");
    let of_device = (Identity::device(&device), json!({ "deviceId": device }));
    let of_module = (module, json!({ "deviceId": device, "moduleId": "vision" }));
    let created_as = ["HUB-REG-001", "HUB-REG-023"];
    for ((identity, body), creates) in [of_device, of_module].into_iter().zip(created_as) {
        let path = registry_path(&identity);
        let call = (Method::PUT, path.as_str(), Some(&body));
        demand_status(bench, requirement, Some(&token), call, 401).await?;
        demand_own(bench, requirement, (Method::GET, &path, None), 404).await?;
        if identity.module.is_none() {
            let item = json!([{ "id": device, "importMode": "create" }]);
            let call = (Method::POST, "/devices", Some(&item));
            demand_status(bench, requirement, Some(&token), call, 401).await?;
            demand_own(bench, requirement, (Method::GET, &path, None), 404).await?;
        }
        let created = bench.call(Method::PUT, &path, IfMatch::Absent, Some(&body)).await?;
        let holds = created.status.is_success();
        bench.demand(creates, holds, "success with RegistryWrite", created.to_string());
    }
    Ok(())
}

async fn registry_read_removes_nothing(bench: &mut Bench) -> Checked {
    removes_nothing(bench, "HUB-AUTH-026", "registryRead").await
}

async fn service_removes_nothing(bench: &mut Bench) -> Checked {
    removes_nothing(bench, "HUB-AUTH-027", "service").await
}

/// Demands that a policy neither updates nor deletes a device that it can address.
async fn removes_nothing(bench: &mut Bench, requirement: &'static str, policy: &str) -> Checked {
    let device = bench.device().await?.identity;
    let path = registry_path(&device);
    let token = bench.policy_token(policy, "")?;
    let before = bench.call(Method::GET, &path, IfMatch::Absent, None).await?.json();
    let disabled = json!({ "deviceId": device.device, "status": "disabled" });
    for (method, body) in [(Method::PUT, Some(&disabled)), (Method::DELETE, None)] {
        let mut request = bench.request(method.clone(), &path, body);
        request.authorization = Some(token.clone());
        request.headers.push((http::header::IF_MATCH, "\"*\"".to_owned()));
        let answer = bench.exchange(&request).await?;
        let allowed = format!("401 for {method} {path}");
        bench.demand(requirement, answer.status.as_u16() == 401, allowed, answer.to_string());
        let after = bench.call(Method::GET, &path, IfMatch::Absent, None).await?;
        let status = after.json().get("status").cloned().unwrap_or(Value::Null);
        bench.equal_json(requirement, "status", &json!("enabled"), &status);
        let (before, after) = (before.get("etag").cloned(), after.json().get("etag").cloned());
        bench.equal(requirement, "etag", before, after);
    }
    Ok(())
}

async fn service_twins(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    demand_twin_open(bench, &device).await
}

async fn service_twins_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?.identity;
    demand_twin_open(bench, &module).await
}

async fn demand_twin_open(bench: &mut Bench, identity: &Identity) -> Checked {
    let token = bench.policy_token("service", "")?;
    let (path, body) = (twin_path(identity), json!({ "tags": { "site": 1 } }));
    let calls = [(Method::GET, None), (Method::PATCH, Some(&body)), (Method::PUT, Some(&body))];
    for (method, body) in calls {
        let call = (method, path.as_str(), body);
        demand_status(bench, "HUB-AUTH-027", Some(&token), call, 200).await?;
    }
    let shows = |twin: &Value| twin.pointer("/tags/site") == Some(&json!(1));
    let twin = bench.watch_twin(identity, shows).await?;
    bench.demand("HUB-AUTH-027", shows(&twin), "the tag that was written", twin.to_string());
    Ok(())
}

async fn twin_refused(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    demand_twin_closed(bench, &device).await
}

async fn twin_refused_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?.identity;
    demand_twin_closed(bench, &module).await
}

async fn method_refused(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?.identity;
    let query = json!({ "query": "SELECT COUNT() AS total FROM devices" });
    let call = json!({ "methodName": "reboot", "payload": null });
    let (of_device, of_module) = (twin_path(&device.identity), twin_path(&module));
    let of_device = (format!("{of_device}/methods"), &call, 404);
    let of_module = (format!("{of_module}/methods"), &call, 404);
    for (path, body, own) in [of_device, of_module, ("/devices/query".to_owned(), &query, 200)] {
        // With all rights there is nobody to answer, but no doubt that the call is allowed.
        demand_own(bench, "HUB-AUTH-028", (Method::POST, &path, Some(body)), own).await?;
        for policy in ["registryReadWrite", "registryRead", "device"] {
            let token = bench.policy_token(policy, "")?;
            let call = (Method::POST, path.as_str(), Some(body));
            demand_status(bench, "HUB-AUTH-028", Some(&token), call, 401).await?;
        }
    }
    Ok(())
}

async fn demand_twin_closed(bench: &mut Bench, identity: &Identity) -> Checked {
    let path = twin_path(identity);
    let content = json!({ "tags": { "site": 1 }, "properties": { "desired": { "fan": 1 } } });
    let before = bench.patch_twin(identity, &content).await?;
    let other = json!({ "tags": { "site": 2 }, "properties": { "desired": { "fan": 2 } } });
    for policy in ["registryReadWrite", "registryRead", "device"] {
        let token = bench.policy_token(policy, "")?;
        let calls =
            [(Method::GET, None), (Method::PATCH, Some(&other)), (Method::PUT, Some(&other))];
        for (method, body) in calls {
            let call = (method, path.as_str(), body);
            demand_status(bench, "HUB-AUTH-028", Some(&token), call, 401).await?;
        }
    }
    let after = bench.read_twin(identity).await?;
    for pointer in ["/tags", "/properties/desired", "/version"] {
        let seen = |twin: &Value| twin.pointer(pointer).cloned().unwrap_or(Value::Null);
        bench.equal_json("HUB-AUTH-028", pointer, &seen(&before), &seen(&after));
    }
    Ok(())
}

/// Demands what the run's own credentials are answered.
async fn demand_own(
    bench: &mut Bench,
    requirement: &'static str,
    (method, path, body): (Method, &str, Option<&Value>),
    status: u16,
) -> Checked {
    let answer = bench.call(method.clone(), path, IfMatch::Absent, body).await?;
    let allowed = format!("{status} for {method} {path}");
    bench.demand(requirement, answer.status.as_u16() == status, allowed, answer.to_string());
    Ok(())
}
