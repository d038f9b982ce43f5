//! Paths and bodies of requests (HUB-HTTP-011, -012, -015).

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::{Answer, Request};
use twinspec_model::identity::Identity;

use crate::bench::{Bench, IfMatch, identity_path, twin_path};
use crate::body;
use crate::case::Case;
use crate::cases::hub::registry::calls::{demand_refused, put, text, watch};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "http-path-decoded",
        title: "A path whose id is percent-encoded throughout names the same device",
        requirements: &["HUB-HTTP-011"],
        needs: &[],
        run: body!(path_decoded),
    },
    Case {
        id: "http-path-percent-decoded",
        title: "An id with a percent sign is created and read by its encoded path",
        requirements: &["HUB-HTTP-011"],
        needs: &[],
        run: |bench| Box::pin(id_by_path(bench, "a%b", "a%25b")),
    },
    Case {
        id: "http-path-decoded-once",
        title: "An id that looks percent-encoded itself is not decoded a second time",
        requirements: &["HUB-HTTP-011"],
        needs: &[],
        run: |bench| Box::pin(id_by_path(bench, "a%41b", "a%2541b")),
    },
    Case {
        id: "http-path-plus",
        title: "An id with a plus is created by its encoded path and read with and without the escape",
        requirements: &["HUB-HTTP-011"],
        needs: &[],
        run: body!(plus_by_path),
    },
    Case {
        id: "http-path-module-decoded-once",
        title: "A module id that looks percent-encoded itself is not decoded a second time",
        requirements: &["HUB-HTTP-011"],
        needs: &[],
        run: body!(module_by_path),
    },
    Case {
        id: "http-twin-of-missing-device",
        title: "GET, PATCH and PUT of a missing device's twin give 404 DeviceNotFound",
        requirements: &["HUB-HTTP-012"],
        needs: &[],
        run: body!(twin_of_missing_device),
    },
    Case {
        id: "http-twin-of-missing-module",
        title: "GET, PATCH and PUT of a missing module's twin give 404 ModuleNotFound",
        requirements: &["HUB-HTTP-012"],
        needs: &[],
        run: body!(twin_of_missing_module),
    },
    Case {
        id: "http-unknown-members-of-identities",
        title: "Unknown members in the PUT of a device or module are ignored",
        requirements: &["HUB-HTTP-015"],
        needs: &[],
        run: body!(unknown_in_identities),
    },
    Case {
        id: "http-unknown-members-of-twins",
        title: "Unknown members beside the sections of a twin are ignored",
        requirements: &["HUB-HTTP-015"],
        needs: &[],
        run: body!(unknown_in_twins),
    },
    Case {
        id: "http-unknown-members-of-bulk-items",
        title: "Unknown members in the items of a bulk call are ignored",
        requirements: &["HUB-HTTP-015"],
        needs: &[],
        run: body!(unknown_in_bulk),
    },
];

fn is_found(answer: &Answer) -> bool {
    answer.status.as_u16() == 200
}

/// Demands that GETs of identity and twin by `end` of a path give the device.
async fn demand_found(bench: &mut Bench, device: &str, end: &str) -> Checked {
    for collection in ["devices", "twins"] {
        let path = format!("/{collection}/{end}");
        let answer = watch(bench, &path, is_found).await?;
        let holds = is_found(&answer) && text(&answer.json(), "/deviceId") == device;
        let allowed = format!("200 with {device} for {path}");
        bench.demand("HUB-HTTP-011", holds, allowed, answer.to_string());
    }
    Ok(())
}

async fn path_decoded(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity.device;
    demand_found(bench, &device, &device).await?;
    let encoded: String = device.bytes().map(|byte| format!("%{byte:02X}")).collect();
    demand_found(bench, &device, &encoded).await
}

async fn id_by_path(bench: &mut Bench, end: &str, encoded_end: &str) -> Checked {
    let start = bench.new_name();
    let (device, encoded) = (format!("{start}{end}"), format!("{start}{encoded_end}"));
    demand_created(bench, &device, &encoded).await?;
    demand_found(bench, &device, &encoded).await
}

/// Demands that a PUT by the `encoded` end of a path creates the device.
async fn demand_created(bench: &mut Bench, device: &str, encoded: &str) -> Checked {
    bench.claim(device);
    let path = format!("/devices/{encoded}");
    let body = Bytes::from(json!({ "deviceId": device }).to_string());
    let request = Request { body, ..bench.request(Method::PUT, &path, None) };
    let answer = bench.exchange(&request).await?;
    let holds = is_found(&answer) && text(&answer.json(), "/deviceId") == device;
    bench.demand("HUB-HTTP-011", holds, format!("200 with {device}"), answer.to_string());
    Ok(())
}

async fn plus_by_path(bench: &mut Bench) -> Checked {
    let start = bench.new_name();
    let (device, encoded) = (format!("{start}a+b"), format!("{start}a%2Bb"));
    demand_created(bench, &device, &encoded).await?;
    demand_found(bench, &device, &encoded).await?;
    // In a path a plus stands for itself, in forms alone for a blank.
    demand_found(bench, &device, &device).await
}

async fn module_by_path(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity.device;
    for (module, encoded) in [("a%41b", "a%2541b"), ("a+b", "a%2Bb")] {
        let end = format!("{device}/modules/{encoded}");
        let body = json!({ "deviceId": device, "moduleId": module });
        let path = format!("/devices/{end}");
        let request = bench.request(Method::PUT, &path, Some(&body));
        let answer = bench.exchange(&request).await?;
        demand_module(bench, &answer, module, &path);
        for collection in ["devices", "twins"] {
            let path = format!("/{collection}/{end}");
            let answer = watch(bench, &path, is_found).await?;
            demand_module(bench, &answer, module, &path);
        }
    }
    Ok(())
}

fn demand_module(bench: &mut Bench, answer: &Answer, module: &str, path: &str) {
    let is_success = matches!(answer.status.as_u16(), 200 | 201);
    let holds = is_success && text(&answer.json(), "/moduleId") == module;
    let allowed = format!("200 with the module {module} for {path}");
    bench.demand("HUB-HTTP-011", holds, allowed, answer.to_string());
}

async fn twin_of_missing_device(bench: &mut Bench) -> Checked {
    let present = bench.device().await?.identity;
    let missing = Identity::device(bench.new_name());
    demand_no_twin(bench, &present, &missing, "DeviceNotFound").await
}

async fn twin_of_missing_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let present = bench.module(&device, "vision").await?.identity;
    let missing = Identity::module(&device.identity.device, "hearing");
    demand_no_twin(bench, &present, &missing, "ModuleNotFound").await
}

async fn demand_no_twin(
    bench: &mut Bench,
    present: &Identity,
    missing: &Identity,
    name: &str,
) -> Checked {
    let body = json!({ "tags": {}, "properties": { "desired": {} } });
    for method in [Method::GET, Method::PATCH, Method::PUT] {
        let body = (method != Method::GET).then_some(&body);
        let (path, if_match) = (twin_path(present), IfMatch::Absent);
        let answer = bench.call(method.clone(), &path, if_match, body).await?;
        bench.equal("HUB-HTTP-003", "status", 200, answer.status.as_u16());
        let answer = bench.call(method, &twin_path(missing), if_match, body).await?;
        demand_refused(bench, "HUB-HTTP-012", &answer, 404, name);
    }
    Ok(())
}

/// The member that no hub knows.
fn demand_ignored(bench: &mut Bench, answer: &Answer) {
    let is_success = matches!(answer.status.as_u16(), 200 | 201);
    let holds = is_success && answer.json().get("suite").is_none();
    bench.demand("HUB-HTTP-015", holds, "200 without the member suite", answer.to_string());
}

async fn unknown_in_identities(bench: &mut Bench) -> Checked {
    let device = Identity::device(bench.new_name());
    let module = Identity::module(&device.device, "vision");
    for identity in [&device, &module] {
        let mut body: Value = json!({ "deviceId": identity.device, "suite": 1 });
        if let (Some(body), Some(module)) = (body.as_object_mut(), &identity.module) {
            body.insert("moduleId".to_owned(), json!(module));
        }
        for if_match in [IfMatch::Absent, IfMatch::Any] {
            let answer = put(bench, identity, if_match, &body).await?;
            demand_ignored(bench, &answer);
        }
        let answer = watch(bench, &identity_path(identity), is_found).await?;
        demand_ignored(bench, &answer);
    }
    Ok(())
}

async fn unknown_in_twins(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    for (fan, method) in [(1, Method::PATCH), (2, Method::PUT)] {
        let section = json!({ "fan": fan });
        let body = json!({
            "suite": 1,
            "tags": section,
            "properties": { "desired": section, "suite": 1 },
        });
        let answer = bench.write_twin(method, &device, IfMatch::Absent, &body).await?;
        demand_ignored(bench, &answer);
        let twin = bench.read_twin(&device).await?;
        for pointer in ["/tags/fan", "/properties/desired/fan"] {
            let seen = twin.pointer(pointer).unwrap_or(&Value::Null);
            bench.equal_json("HUB-HTTP-015", pointer, &json!(fan), seen);
        }
        let unknown = twin.get("suite").or_else(|| twin.pointer("/properties/suite"));
        bench.demand("HUB-HTTP-015", unknown.is_none(), "no member suite", twin.to_string());
    }
    Ok(())
}

async fn unknown_in_bulk(bench: &mut Bench) -> Checked {
    let device = Identity::device(bench.new_name());
    let items = json!([{ "id": device.device, "importMode": "create", "suite": 1 }]);
    let answer = bench.call(Method::POST, "/devices", IfMatch::Absent, Some(&items)).await?;
    bench.equal("HUB-HTTP-015", "status", 200, answer.status.as_u16());
    let answer = watch(bench, &identity_path(&device), is_found).await?;
    demand_ignored(bench, &answer);
    Ok(())
}
