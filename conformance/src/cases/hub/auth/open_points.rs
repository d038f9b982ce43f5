//! What the sources leave open about credentials: any allowed outcome will do, unless the profile
//! pins one.

use http::Method;
use serde_json::{Value, json};
use twinspec_model::auth;

use super::token::{good_and_late, login, token};
use crate::bench::{Bench, IfMatch, Login, identity_path};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "auth-open-scope-case",
        title: "The case of letters in the scope of a token matters, or does not",
        requirements: &["A-H41"],
        needs: &[],
        run: body!(scope_case),
    },
    Case {
        id: "auth-open-longer-scope",
        title: "A token whose scope is longer than the path of its device is accepted, or refused",
        requirements: &["A-H42"],
        needs: &[],
        run: body!(longer_scope),
    },
    Case {
        id: "auth-open-service-scope",
        title: "A back end's token for another path is refused, or accepted",
        requirements: &["A-H43"],
        needs: &[Need::Policies],
        run: body!(service_scope),
    },
    Case {
        id: "auth-open-late-token",
        title: "A token is accepted for five or ten minutes after its end, or not at all",
        requirements: &["A-H44"],
        needs: &[Need::Clock],
        run: body!(late_token),
    },
    Case {
        id: "auth-open-disabled-https",
        title: "A disabled device is answered 403, 401 or 404 over HTTPS",
        requirements: &["A-H48"],
        needs: &[],
        run: body!(disabled_https),
    },
];

/// Whether a CONNECT is accepted, and what was seen.
async fn connects(bench: &mut Bench, login: &Login) -> Checked<(bool, String)> {
    let (_, answer) = bench.connect_with("open-point", login).await?;
    let code = answer.code.number();
    Ok((code == 0, format!("CONNACK {code}")))
}

async fn scope_case(bench: &mut Bench) -> Checked {
    let id = format!("{}-CAPITALS", bench.new_name());
    bench.claim(&id);
    let path = format!("/devices/{id}");
    let body = json!({ "deviceId": id });
    let answer = bench.call(Method::PUT, &path, IfMatch::Absent, Some(&body)).await?;
    let identity: Value = answer.json();
    let key = identity.pointer("/authentication/symmetricKey/primaryKey").and_then(Value::as_str);
    let key = key.unwrap_or_default();
    let who = twinspec_model::identity::Identity::device(&id);
    let good = token(bench, &who, key, bench.in_an_hour());
    let (is_accepted, seen) = connects(bench, &login(bench, &who, good)).await?;
    bench.demand("HUB-CONN-007", is_accepted, "CONNACK 0", seen);
    let resource = format!("{}/devices/{}", bench.host(), id.to_ascii_lowercase());
    let other = auth::sign(key, &resource, bench.in_an_hour(), None).unwrap_or_default();
    let (is_accepted, seen) = connects(bench, &login(bench, &who, other)).await?;
    let tag = if is_accepted { "case-insensitive" } else { "case-sensitive" };
    bench.decides("A-H41", tag, seen);
    Ok(())
}

async fn longer_scope(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    let resource =
        format!("{}/{}/api-version=2016-11-14", bench.host(), device.identity.resource_path());
    let token = auth::sign(&device.key, &resource, bench.in_an_hour(), None).unwrap_or_default();
    let (is_accepted, seen) = connects(bench, &login(bench, &device.identity, token)).await?;
    bench.decides("A-H42", if is_accepted { "accepted" } else { "refused" }, seen);
    Ok(())
}

async fn service_scope(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let path = identity_path(&device.identity);
    let other = bench.new_name();
    for (resource, must_do) in [(String::new(), true), (format!("devices/{other}"), false)] {
        let token = bench.policy_token("iothubowner", &resource)?;
        let answer = bench.call_as(Some(token), Method::GET, &path, None).await?;
        let status = answer.status.as_u16();
        if must_do {
            bench.equal("HUB-REG-001", "status with a token for the whole hub", 200, status);
            continue;
        }
        let tag = match status {
            200 => "lenient",
            401 => "strict",
            _ => "otherwise",
        };
        bench.decides("A-H43", tag, answer.to_string());
    }
    Ok(())
}

async fn late_token(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut accepted = Vec::new();
    for seconds in [120, 420] {
        let [good, late] = good_and_late(bench, seconds).await?;
        let good = token(bench, &device.identity, &device.key, good);
        let (is_accepted, seen) = connects(bench, &login(bench, &device.identity, good)).await?;
        bench.demand("HUB-CONN-007", is_accepted, "CONNACK 0", seen);
        let late = token(bench, &device.identity, &device.key, late);
        accepted.push(connects(bench, &login(bench, &device.identity, late)).await?.0);
    }
    let tag = match accepted.as_slice() {
        [false, false] => "none",
        [true, false] => "skew-only",
        [true, true] => "grace",
        _ => "otherwise",
    };
    bench.decides("A-H44", tag, format!("accepted after 120 s and 420 s: {accepted:?}"));
    Ok(())
}

async fn disabled_https(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let path = identity_path(&device.identity);
    let events = format!("{path}/messages/events");
    let token = token(bench, &device.identity, &device.key, bench.in_an_hour());
    let body = json!({ "celsius": 21 });
    let good = bench.call_as(Some(token.clone()), Method::POST, &events, Some(&body)).await?;
    bench.equal("HUB-HTTP-014", "status while enabled", 204, good.status.as_u16());
    let mut identity = bench.call(Method::GET, &path, IfMatch::Absent, None).await?.json();
    if let Some(members) = identity.as_object_mut() {
        members.insert("status".to_owned(), json!("disabled"));
    }
    let answer = bench.call(Method::PUT, &path, IfMatch::Any, Some(&identity)).await?;
    bench.equal("HUB-REG-015", "status of the update", 200, answer.status.as_u16());
    let answer = bench.call_as(Some(token), Method::POST, &events, Some(&body)).await?;
    let tag = match answer.status.as_u16() {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not-found",
        _ => "otherwise",
    };
    bench.decides("A-H48", tag, answer.to_string());
    Ok(())
}
