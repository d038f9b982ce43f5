//! Requests without proper credentials (HUB-AUTH-024, -025).

use http::Method;
use serde_json::json;
use twinspec_harness::operator::Answer;

use super::token::{
    demand_post, demand_read, demand_status, flipped, ordered, registry_path, run_token,
    telemetry_path, token, twin_path,
};
use crate::bench::{Bench, IfMatch, words};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "auth-header-missing",
        title: "Reads without an Authorization header are answered 401",
        requirements: &["HUB-AUTH-024"],
        needs: &[],
        run: body!(missing_on_reads),
    },
    Case {
        id: "auth-header-missing-write",
        title: "Writes without an Authorization header are answered 401 and change nothing",
        requirements: &["HUB-AUTH-024"],
        needs: &[],
        run: body!(missing_on_writes),
    },
    Case {
        id: "auth-header-missing-https",
        title: "A device's HTTPS request without an Authorization header is answered 401",
        requirements: &["HUB-AUTH-024"],
        needs: &[],
        run: body!(missing_on_https),
    },
    Case {
        id: "auth-header-unreadable",
        title: "An Authorization header that holds no token is answered 401",
        requirements: &["HUB-AUTH-024"],
        needs: &[],
        run: body!(unreadable),
    },
    Case {
        id: "auth-header-incomplete",
        title: "A token that lacks a field is answered 401",
        requirements: &["HUB-AUTH-024"],
        needs: &[],
        run: body!(incomplete),
    },
    Case {
        id: "auth-header-policy-unknown",
        title: "A token of a policy that does not exist is answered 401",
        requirements: &["HUB-AUTH-024"],
        needs: &[],
        run: body!(policy_unknown),
    },
    Case {
        id: "auth-error-name",
        title: "The 401 to missing and to bad credentials names IotHubUnauthorizedAccess",
        requirements: &["HUB-AUTH-025"],
        needs: &[],
        run: body!(error_name),
    },
    Case {
        id: "auth-error-name-signature",
        title: "The 401 to a wrong signature and to a missing right names IotHubUnauthorizedAccess",
        requirements: &["HUB-AUTH-025"],
        needs: &[Need::Policies],
        run: body!(error_name_signature),
    },
];

async fn missing_on_reads(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    for path in [registry_path(&device), twin_path(&device)] {
        demand_refused(bench, &path, &[None]).await?;
    }
    Ok(())
}

async fn missing_on_writes(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let patch = json!({ "tags": { "site": 1 } });
    let (twin, missing) = (twin_path(&device), bench.new_name());
    let call = (Method::PATCH, twin.as_str(), Some(&patch));
    demand_status(bench, "HUB-AUTH-024", None, call, 401).await?;
    let after = bench.read_twin(&device).await?;
    let tags = after.get("tags").cloned().unwrap_or(json!({}));
    bench.equal_json("HUB-AUTH-024", "tags", &json!({}), &tags);
    bench.patch_twin(&device, &patch).await?;

    let (path, body) = (format!("/devices/{missing}"), json!({ "deviceId": missing }));
    let call = (Method::PUT, path.as_str(), Some(&body));
    demand_status(bench, "HUB-AUTH-024", None, call, 401).await?;
    let answer = bench.call(Method::GET, &path, IfMatch::Absent, None).await?;
    let is_missing = answer.status.as_u16() == 404;
    bench.demand("HUB-AUTH-024", is_missing, "404, as nothing was created", answer.to_string());
    Ok(())
}

async fn missing_on_https(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let (path, body) = (telemetry_path(&device.identity), json!({ "fan": 1 }));
    let own = token(bench, &device.identity, &device.key, bench.in_an_hour());
    let call = (Method::POST, path.as_str(), Some(&body));
    demand_post(bench, &own, &path, &body).await?;
    demand_status(bench, "HUB-AUTH-024", None, call, 401).await
}

async fn unreadable(bench: &mut Bench) -> Checked {
    let path = registry_path(&bench.device().await?.identity);
    let headers = ["nonsense", "SharedAccessSignature", "SharedAccessSignature nonsense", BASIC];
    demand_refused(bench, &path, &headers.map(Some)).await
}

/// Credentials of another scheme: `suite` and `suite`.
const BASIC: &str = "Basic c3VpdGU6c3VpdGU=";

async fn incomplete(bench: &mut Bench) -> Checked {
    let path = registry_path(&bench.device().await?.identity);
    let token = run_token(bench)?;
    let call = (Method::GET, path.as_str(), None);
    demand_read(bench, &token, &path).await?;
    let kept: [&[&str]; 4] =
        [&["sig", "se", "skn"], &["sr", "se", "skn"], &["sr", "sig", "skn"], &["sr", "sig", "se"]];
    for names in kept {
        let token = ordered(&token, names);
        demand_status(bench, "HUB-AUTH-024", Some(&token), call.clone(), 401).await?;
    }
    Ok(())
}

async fn policy_unknown(bench: &mut Bench) -> Checked {
    let path = registry_path(&bench.device().await?.identity);
    let token = run_token(bench)?;
    let unknown = format!("{}&skn=suite-unknown", ordered(&token, &["sr", "sig", "se"]));
    let call = (Method::GET, path.as_str(), None);
    demand_read(bench, &token, &path).await?;
    demand_status(bench, "HUB-AUTH-024", Some(&unknown), call, 401).await
}

/// Demands 401 for each of `headers`, after the run's own credentials were accepted.
async fn demand_refused(bench: &mut Bench, path: &str, headers: &[Option<&str>]) -> Checked {
    let control = bench.call(Method::GET, path, IfMatch::Absent, None).await?;
    let is_ok = control.status.is_success();
    bench.demand("HUB-REG-001", is_ok, "success with good credentials", control.to_string());
    for header in headers {
        demand_status(bench, "HUB-AUTH-024", *header, (Method::GET, path, None), 401).await?;
    }
    Ok(())
}

async fn error_name(bench: &mut Bench) -> Checked {
    let path = registry_path(&bench.device().await?.identity);
    for header in [None, Some("SharedAccessSignature nonsense")] {
        let header = header.map(str::to_owned);
        let answer = bench.call_as(header, Method::GET, &path, None).await?;
        demand_name(bench, &answer);
    }
    Ok(())
}

async fn error_name_signature(bench: &mut Bench) -> Checked {
    let path = registry_path(&bench.device().await?.identity);
    let forged = flipped(&run_token(bench)?);
    let powerless = bench.policy_token("service", "")?;
    for token in [forged, powerless] {
        let answer = bench.call_as(Some(token), Method::GET, &path, None).await?;
        demand_name(bench, &answer);
    }
    Ok(())
}

/// Demands the name of the error in the header of a 401.
fn demand_name(bench: &mut Bench, answer: &Answer) {
    let seen = format!("{answer} with {}", words(&answer.header("iothub-errorcode")));
    let named = answer.header("iothub-errorcode") == Some("IotHubUnauthorizedAccess");
    let holds = named && answer.status.as_u16() == 401;
    bench.demand("HUB-AUTH-025", holds, "401 with IotHubUnauthorizedAccess", seen);
}
