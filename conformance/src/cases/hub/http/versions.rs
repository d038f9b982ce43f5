//! The `api-version` of requests (HUB-HTTP-001 to -003).

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::{Answer, Request};
use twinspec_model::identity::Identity;

use crate::bench::{Bench, identity_path, twin_path};
use crate::body;
use crate::case::Case;
use crate::cases::hub::registry::calls::{demand_refused, watch};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "http-version-missing-refused",
        title: "Requests without api-version are refused",
        requirements: &["HUB-HTTP-001"],
        needs: &[],
        run: |bench| Box::pin(refused(bench, "HUB-HTTP-001", "")),
    },
    Case {
        id: "http-version-unsupported-refused",
        title: "Requests with an api-version from before the service are refused",
        requirements: &["HUB-HTTP-002"],
        needs: &[],
        run: |bench| Box::pin(refused(bench, "HUB-HTTP-002", "?api-version=1999-01-01")),
    },
    Case {
        id: "http-version-nonsense-refused",
        title: "Requests whose api-version is empty or no date are refused",
        requirements: &["HUB-HTTP-002"],
        needs: &[],
        run: body!(nonsense_refused),
    },
    Case {
        id: "http-version-current-identities",
        title: "The current api-version is supported for identities of devices",
        requirements: &["HUB-HTTP-003"],
        needs: &[],
        run: body!(current_identities),
    },
    Case {
        id: "http-version-current-modules",
        title: "The current api-version is supported for identities of modules",
        requirements: &["HUB-HTTP-003"],
        needs: &[],
        run: body!(current_modules),
    },
    Case {
        id: "http-version-current-twins",
        title: "The current api-version is supported for twins of devices and modules",
        requirements: &["HUB-HTTP-003"],
        needs: &[],
        run: body!(current_twins),
    },
    Case {
        id: "http-version-current-hub",
        title: "The current api-version is supported for lists, bulk calls, counts and the purge",
        requirements: &["HUB-HTTP-003"],
        needs: &[],
        run: body!(current_hub),
    },
];

/// The current version of the service SDKs.
const CURRENT: &str = "?api-version=2021-04-12";

/// Sends a request with `query` as it is.
async fn send(
    bench: &mut Bench,
    method: Method,
    path: &str,
    query: &str,
    body: Option<&Value>,
) -> Checked<Answer> {
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let request =
        Request { target: format!("{path}{query}"), body, ..bench.request(method, path, None) };
    bench.exchange(&request).await
}

async fn refused(bench: &mut Bench, requirement: &'static str, query: &str) -> Checked {
    let device = bench.device().await?.identity;
    let is_there = |answer: &Answer| answer.status.as_u16() == 200;
    watch(bench, &identity_path(&device), is_there).await?;
    let patch = json!({ "tags": { "written": true } });
    let call = json!({ "methodName": "reboot", "payload": null });
    let query_text = json!({ "query": "SELECT COUNT() AS total FROM devices" });
    let calls = [
        (Method::GET, identity_path(&device), None),
        (Method::GET, twin_path(&device), None),
        (Method::PATCH, twin_path(&device), Some(&patch)),
        (Method::GET, "/statistics/devices".to_owned(), None),
        (Method::GET, "/configurations".to_owned(), None),
        (Method::GET, "/jobs/v2/query".to_owned(), None),
        (Method::POST, "/devices/query".to_owned(), Some(&query_text)),
        (Method::POST, format!("{}/methods", twin_path(&device)), Some(&call)),
    ];
    for (method, path, body) in calls {
        if method == Method::GET {
            let answer = send(bench, method.clone(), &path, CURRENT, None).await?;
            bench.equal("HUB-HTTP-003", &path, 200, answer.status.as_u16());
        }
        let answer = send(bench, method, &path, query, body).await?;
        demand_refused(bench, requirement, &answer, 400, "InvalidProtocolVersion");
    }
    let twin = bench.read_twin(&device).await?;
    let unchanged = twin.pointer("/tags/written").is_none();
    bench.demand(requirement, unchanged, "a twin without the refused tag", twin.to_string());
    Ok(())
}

/// What no version of the service was ever called.
const NONSENSE: [&str; 5] = ["", "latest", "2021-04-12x", "2021-13-45", "20210412"];

async fn nonsense_refused(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let path = twin_path(&device);
    watch(bench, &path, |answer| answer.status.as_u16() == 200).await?;
    let patch = json!({ "tags": { "written": true } });
    for version in NONSENSE {
        let answer = send(bench, Method::GET, &path, CURRENT, None).await?;
        bench.equal("HUB-HTTP-003", &path, 200, answer.status.as_u16());
        let query = format!("?api-version={version}");
        for (method, body) in [(Method::GET, None), (Method::PATCH, Some(&patch))] {
            let answer = send(bench, method, &path, &query, body).await?;
            demand_refused(bench, "HUB-HTTP-002", &answer, 400, "InvalidProtocolVersion");
        }
    }
    Ok(())
}

/// Sends a request under the current version and demands one of `statuses`.
async fn demand(
    bench: &mut Bench,
    method: Method,
    path: &str,
    body: Option<&Value>,
    statuses: &[u16],
) -> Checked {
    let (sent, query) = (method.clone(), if path.contains('?') { "" } else { CURRENT });
    let answer = send(bench, sent, path, query, body).await?;
    let holds = statuses.contains(&answer.status.as_u16());
    let allowed = format!("{method} {path} answered with one of {statuses:?}");
    bench.demand("HUB-HTTP-003", holds, allowed, answer.to_string());
    Ok(())
}

/// PUT, GET, PUT with a condition and DELETE of `identity`.
async fn demand_life(bench: &mut Bench, identity: &Identity) -> Checked {
    let path = identity_path(identity);
    let body = json!({ "deviceId": identity.device, "moduleId": identity.module });
    demand(bench, Method::PUT, &path, Some(&body), &[200, 201]).await?;
    watch(bench, &path, |answer| answer.status.as_u16() == 200).await?;
    demand(bench, Method::GET, &path, None, &[200]).await?;
    demand(bench, Method::DELETE, &path, None, &[204]).await
}

async fn current_identities(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    demand_life(bench, &identity).await
}

async fn current_modules(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    demand_life(bench, &Identity::module(&device.device, "vision")).await?;
    let path = format!("{}/modules", identity_path(&device));
    demand(bench, Method::GET, &path, None, &[200]).await
}

async fn current_twins(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    for identity in [&device.identity, &module.identity] {
        let path = twin_path(identity);
        watch(bench, &path, |answer| answer.status.as_u16() == 200).await?;
        let body = json!({ "tags": { "fan": 1 }, "properties": { "desired": { "fan": 2 } } });
        demand(bench, Method::GET, &path, None, &[200]).await?;
        demand(bench, Method::PATCH, &path, Some(&body), &[200]).await?;
        demand(bench, Method::PUT, &path, Some(&body), &[200]).await?;
    }
    Ok(())
}

async fn current_hub(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    watch(bench, &identity_path(&device), |answer| answer.status.as_u16() == 200).await?;
    let items = json!([{ "id": bench.new_name(), "importMode": "create" }]);
    let purge = format!("{}/commands", identity_path(&device));
    demand(bench, Method::GET, "/devices", None, &[200]).await?;
    demand(bench, Method::GET, "/devices?top=2&api-version=2021-04-12", None, &[200]).await?;
    demand(bench, Method::POST, "/devices", Some(&items), &[200]).await?;
    demand(bench, Method::GET, "/statistics/devices", None, &[200]).await?;
    demand(bench, Method::GET, "/statistics/service", None, &[200]).await?;
    demand(bench, Method::DELETE, &purge, None, &[200]).await
}
