//! How the cases of this subject make tokens, and what they demand of a CONNECT.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use twinspec_model::auth;
use twinspec_model::identity::Identity;
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::ConnectCode;
use twinspec_model::wire::percent;

use crate::bench::{Bench, Connection, IfMatch, Login, Registered};
use crate::verdict::{Checked, Stop};

/// What every token starts with.
const PREFIX: &str = "SharedAccessSignature ";

/// The ends of two tokens by the hub's clock: one that ends in an hour, and one that ended
/// `seconds` ago.
pub(super) async fn good_and_late(bench: &Bench, seconds: u64) -> Checked<[Time; 2]> {
    let now = bench.now().await?;
    let late = Time::from_unix_seconds(now.unix_seconds().saturating_sub(seconds));
    Ok([now.after(Duration::from_secs(3600)), late])
}

/// A token for `identity`, signed with `key` and no policy.
pub(super) fn token(bench: &Bench, identity: &Identity, key: &str, end: Time) -> String {
    let resource = format!("{}/{}", bench.host(), identity.resource_path());
    auth::sign(key, &resource, end, None).unwrap_or_default()
}

/// The token that the run's requests carry: of a policy, for the whole hub.
pub(super) fn run_token(bench: &Bench) -> Checked<String> {
    let request = bench.request(Method::GET, "/devices", None);
    request.authorization.ok_or_else(|| Stop::Unsupported("the run has no policy".to_owned()))
}

/// The fields of a token in the order of `names`; those it lacks are left out.
pub(super) fn ordered(token: &str, names: &[&str]) -> String {
    let fields = |name: &&str| {
        let mut fields = token.strip_prefix(PREFIX).unwrap_or_default().split('&');
        fields.find(|field| field.strip_prefix(*name).is_some_and(|rest| rest.starts_with('=')))
    };
    let fields: Vec<&str> = names.iter().filter_map(fields).collect();
    format!("{PREFIX}{}", fields.join("&"))
}

/// The token with another character in the middle of its signature.
pub(super) fn flipped(token: &str) -> String {
    let Some((start, rest)) = token.split_once("sig=") else { return String::new() };
    let (signature, rest) = rest.split_once('&').unwrap_or((rest, ""));
    let decoded = percent::decode(signature).unwrap_or_default();
    let flip = |(at, letter): (usize, char)| match (at, letter) {
        (20, 'A') => 'B',
        (20, _) => 'A',
        (_, letter) => letter,
    };
    let other: String = decoded.chars().enumerate().map(flip).collect();
    format!("{start}sig={}&{rest}", percent::encode(&other))
}

/// The login of `identity` with `token` as its password.
pub(super) fn login(bench: &Bench, identity: &Identity, token: String) -> Login {
    let who = Registered { identity: identity.clone(), key: String::new() };
    let mut login = bench.login(&who);
    login.connect.password = Some(token.into());
    login
}

/// Demands that a CONNECT is accepted.
pub(super) async fn accepted(
    bench: &mut Bench,
    requirement: &'static str,
    what: &str,
    login: &Login,
) -> Checked<Connection> {
    let (connection, code) = attempt(bench, login).await?;
    let allowed = format!("CONNACK 0 for {what}");
    bench.demand(requirement, code == ConnectCode::Accepted, allowed, number(code));
    Ok(connection)
}

/// Demands that a CONNECT is refused; which code says so is HUB-CONN-015.
pub(super) async fn refused(
    bench: &mut Bench,
    requirement: &'static str,
    what: &str,
    login: &Login,
) -> Checked {
    let (_, code) = attempt(bench, login).await?;
    let allowed = format!("a CONNACK other than 0 for {what}");
    bench.demand(requirement, code != ConnectCode::Accepted, allowed, number(code));
    Ok(())
}

async fn attempt(bench: &mut Bench, login: &Login) -> Checked<(Connection, ConnectCode)> {
    let name = login.connect.client_id.clone();
    let (connection, answer) = bench.connect_with(&name, login).await?;
    Ok((connection, answer.code))
}

fn number(code: ConnectCode) -> String {
    format!("CONNACK {}", code.number())
}

/// Demands that a request with these credentials is answered with `status`.
pub(super) async fn demand_status(
    bench: &mut Bench,
    requirement: &'static str,
    authorization: Option<&str>,
    (method, path, body): (Method, &str, Option<&Value>),
    status: u16,
) -> Checked {
    let credentials = authorization.map(str::to_owned);
    let answer = bench.call_as(credentials, method.clone(), path, body).await?;
    let allowed = format!("{status} for {method} {path}");
    bench.demand(requirement, answer.status.as_u16() == status, allowed, answer.to_string());
    Ok(())
}

/// Shows that a device may post telemetry with this token, before other ones are tried.
pub(super) async fn demand_post(
    bench: &mut Bench,
    token: &str,
    path: &str,
    body: &Value,
) -> Checked {
    let call = (Method::POST, path, Some(body));
    demand_status(bench, "HUB-HTTP-014", Some(token), call, 204).await
}

/// Shows that a back end may read the identity at `path` with this token.
pub(super) async fn demand_read(bench: &mut Bench, token: &str, path: &str) -> Checked {
    demand_status(bench, "HUB-REG-001", Some(token), (Method::GET, path, None), 200).await
}

/// The path of the identity in the registry.
pub(super) fn registry_path(identity: &Identity) -> String {
    format!("/{}", identity.resource_path())
}

/// The path of the identity's twin.
pub(super) fn twin_path(identity: &Identity) -> String {
    registry_path(identity).replacen("/devices/", "/twins/", 1)
}

/// Where the identity posts telemetry over HTTPS.
pub(super) fn telemetry_path(identity: &Identity) -> String {
    format!("{}/messages/events", registry_path(identity))
}

/// The identity as the registry shows it.
pub(super) async fn registered(bench: &mut Bench, identity: &Identity) -> Checked<Value> {
    let path = registry_path(identity);
    let answer = bench.call(Method::GET, &path, IfMatch::Absent, None).await?;
    if answer.status.as_u16() == 200 {
        return Ok(answer.json());
    }
    let allowed = "200 with the identity".to_owned();
    Err(Stop::Broken { requirement: "HUB-REG-001", allowed, seen: answer.to_string() })
}

/// Registers `identity` with this way to prove itself.
pub(super) async fn register(
    bench: &mut Bench,
    identity: &Identity,
    authentication: Value,
) -> Checked {
    let body = entity(identity, authentication);
    put(bench, identity, IfMatch::Absent, &body, "HUB-REG-001").await
}

/// Changes how `identity` proves itself.
pub(super) async fn reregister(
    bench: &mut Bench,
    identity: &Identity,
    authentication: Value,
) -> Checked {
    let body = entity(identity, authentication);
    put(bench, identity, IfMatch::Any, &body, "HUB-REG-008").await
}

fn entity(identity: &Identity, authentication: Value) -> Value {
    let mut body = json!({ "deviceId": identity.device, "authentication": authentication });
    if let (Some(module), Some(members)) = (&identity.module, body.as_object_mut()) {
        members.insert("moduleId".to_owned(), json!(module));
    }
    body
}

/// Writes to the registry, which must be accepted.
pub(super) async fn put(
    bench: &mut Bench,
    identity: &Identity,
    condition: IfMatch<'_>,
    body: &Value,
    requirement: &'static str,
) -> Checked {
    let answer = bench.call(Method::PUT, &registry_path(identity), condition, Some(body)).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    let allowed = "200 with the identity".to_owned();
    Err(Stop::Broken { requirement, allowed, seen: answer.to_string() })
}
