//! Family `sas-token`: whether a token opens a resource.

use serde_json::{Value, json};
use twinspec_model::auth::{self, SasError, SasToken};
use twinspec_model::time::Time;

use super::{Input, number, text};

/// A key like any other: base64 of the bytes 0 to 31.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// When the generated cases play.
const NOW: u64 = 1_950_000_000;

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let now = Time::from_unix_seconds(number(case, "now")?);
    let verified = SasToken::parse(text(case, "token")?).and_then(|token| {
        token.verify(
            &[text(case, "key").unwrap_or_default()],
            text(case, "resource").unwrap_or_default(),
            now,
        )?;
        Ok(token)
    });
    let reason = match verified {
        Ok(token) => return Ok(json!({ "valid": true, "policy": token.policy })),
        Err(SasError::Malformed(_)) => "malformed",
        Err(SasError::Signature) => "signature",
        Err(SasError::Expired) => "expired",
        Err(SasError::Scope) => "scope",
    };
    Ok(json!({ "refused": reason }))
}

/// Whether the service side is bound to the path of a scope, and what a scope is good for that is longer
/// than what is accessed.
pub(super) fn open_point(case: &Value, expect: &Value) -> Option<&'static str> {
    let token = SasToken::parse(case.get("token")?.as_str()?).ok()?;
    let resource = case.get("resource")?.as_str()?;
    let (host, path) = resource.split_once('/')?;
    let scope = token.resource.strip_prefix(host)?.strip_prefix('/')?;
    if expect.get("refused")? != "scope" {
        None
    } else if token.policy.is_some() && !path.starts_with("devices/") {
        Some("A-H43")
    } else {
        let is_longer = scope.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        is_longer.then_some("A-H42")
    }
}

/// Tokens as the model signs them, for every scope against every resource.
pub(super) fn inputs() -> Vec<Input> {
    let scopes = [
        "hub.example",
        "hub.example/devices",
        "hub.example/devices/a",
        "hub.example/devices/a/modules/m",
    ];
    let resources = [
        "hub.example/devices/a",
        "hub.example/devices/ab",
        "hub.example/devices/a/modules/m",
        "hub.example/twins/a",
    ];
    let expiry = Time::from_unix_seconds(NOW + 3600);
    let mut inputs = Vec::new();
    for scope in scopes {
        let Some(token) = auth::sign(KEY, scope, expiry, Some("a policy")) else {
            continue;
        };
        for resource in resources {
            inputs.push(Input {
                title: format!("A token for {scope} at {resource}."),
                requirements: vec!["HUB-AUTH-009"],
                members: vec![
                    ("token", json!(token)),
                    ("key", json!(KEY)),
                    ("resource", json!(resource)),
                    ("now", json!(NOW)),
                ],
            });
        }
    }
    inputs
}
