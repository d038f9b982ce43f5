//! Calls of the identity registry, as the cases of several files make them.

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;

use crate::bench::{Bench, IfMatch, VISIBLE, identity_path};
use crate::verdict::{Checked, Stop};

/// The error names that an answer carries: in the header and in the flat body.
pub(in crate::cases::hub) fn error_names(answer: &Answer) -> [Option<String>; 2] {
    [answer.header("iothub-errorcode").map(str::to_owned), flat_name(&answer.json())]
}

/// The name in `ErrorCode:<Name>;…` of a flat error body.
pub(in crate::cases::hub) fn flat_name(body: &Value) -> Option<String> {
    let message = body.get("Message")?.as_str()?;
    let (name, _) = message.strip_prefix("ErrorCode:")?.split_once(';')?;
    Some(name.to_owned())
}

/// Demands a refusal with `status` and, unless it is empty, the error `name`.
pub(in crate::cases::hub) fn demand_refused(
    bench: &mut Bench,
    requirement: &'static str,
    answer: &Answer,
    status: u16,
    name: &str,
) -> bool {
    let is_named = name.is_empty() || error_names(answer).iter().flatten().any(|n| n == name);
    let holds = answer.status.as_u16() == status && is_named;
    bench.demand(requirement, holds, format!("{status} {name}"), answer.to_string())
}

/// PUT of an identity, whatever is answered.
pub(in crate::cases::hub) async fn put(
    bench: &mut Bench,
    identity: &Identity,
    if_match: IfMatch<'_>,
    body: &Value,
) -> Checked<Answer> {
    bench.call(Method::PUT, &identity_path(identity), if_match, Some(body)).await
}

/// PUT without a condition of an identity with `members` and its ids: it must be created.
pub(in crate::cases::hub) async fn create(
    bench: &mut Bench,
    requirement: &'static str,
    identity: &Identity,
    members: Value,
) -> Checked<Value> {
    let mut body = members;
    if let Some(body) = body.as_object_mut() {
        body.insert("deviceId".to_owned(), json!(identity.device));
        let module = identity.module.as_ref();
        body.extend(module.map(|module| ("moduleId".to_owned(), json!(module))));
    }
    let answer = put(bench, identity, IfMatch::Absent, &body).await?;
    accepted(requirement, answer)
}

/// PUT with a condition: `current`, as clients echo it, with some members changed, which must be
/// accepted.
pub(super) async fn update(
    bench: &mut Bench,
    requirement: &'static str,
    if_match: IfMatch<'_>,
    current: &Value,
    changes: Value,
) -> Checked<Value> {
    let body = changed(current, changes);
    let answer = put(bench, &identity_of(current), if_match, &body).await?;
    accepted(requirement, answer)
}

/// `current` with the members of `changes` in place of its own.
pub(super) fn changed(current: &Value, changes: Value) -> Value {
    let mut entity = current.clone();
    if let (Some(members), Value::Object(changes)) = (entity.as_object_mut(), changes) {
        members.extend(changes);
    }
    entity
}

/// Whom an entity of the registry is about.
pub(super) fn identity_of(entity: &Value) -> Identity {
    let module = entity.get("moduleId").and_then(Value::as_str).map(str::to_owned);
    Identity { device: text(entity, "/deviceId").to_owned(), module }
}

/// The entity in an answer that must be a success.
pub(super) fn accepted(requirement: &'static str, answer: Answer) -> Checked<Value> {
    // A new module is answered 200 or 201 (hub-http.md § 2.1).
    let is_success = matches!(answer.status.as_u16(), 200 | 201);
    if is_success && answer.json().is_object() {
        return Ok(answer.json());
    }
    let allowed = "200 with the identity".to_owned();
    Err(Stop::Broken { requirement, allowed, seen: answer.to_string() })
}

/// The identity in the registry, read until `shows` holds: a new one may be late (hub-http.md
/// § 2.2). The last reading; null when there is none.
pub(super) async fn read(
    bench: &mut Bench,
    identity: &Identity,
    shows: impl Fn(&Value) -> bool,
) -> Checked<Value> {
    let path = identity_path(identity);
    let shows = |answer: &Answer| answer.status.as_u16() == 200 && shows(&answer.json());
    let answer = watch(bench, &path, shows).await?;
    let found = answer.status.as_u16() == 200;
    Ok(if found { answer.json() } else { Value::Null })
}

/// Demands that a GET of `path` is, at the latest after a while, answered 404.
pub(super) async fn demand_gone(
    bench: &mut Bench,
    requirement: &'static str,
    path: &str,
) -> Checked {
    let answer = watch(bench, path, |answer| answer.status.as_u16() == 404).await?;
    let gone = answer.status.as_u16() == 404;
    bench.demand(requirement, gone, format!("404 for {path}"), answer.to_string());
    Ok(())
}

/// GETs `path` until `shows` holds or the budget is used up; the last answer.
pub(in crate::cases::hub) async fn watch(
    bench: &mut Bench,
    path: &str,
    shows: impl Fn(&Answer) -> bool,
) -> Checked<Answer> {
    let deadline = Instant::now() + bench.budget(VISIBLE);
    loop {
        let answer = bench.call(Method::GET, path, IfMatch::Absent, None).await?;
        if shows(&answer) || Instant::now() >= deadline {
            return Ok(answer);
        }
        bench.look_again().await;
    }
}

/// Takes every entity.
pub(super) fn any(_: &Value) -> bool {
    true
}

/// The text at a JSON pointer; empty when there is none.
pub(in crate::cases::hub) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The pair of keys `first` and `second` with 32 bytes each, for an `authentication` member.
pub(super) fn keys(first: u8, second: u8) -> Value {
    use base64::Engine;
    let key = |byte: u8| base64::engine::general_purpose::STANDARD.encode([byte; 32]);
    symmetric(&key(first), &key(second))
}

/// An `authentication` member of the type `sas` with these keys.
pub(in crate::cases::hub) fn symmetric(primary: &str, secondary: &str) -> Value {
    json!({
        "type": "sas",
        "symmetricKey": { "primaryKey": primary, "secondaryKey": secondary },
    })
}
