//! What the families of Device Update have in common.

use serde_json::{Value, json};
use twinspec_model::update::Flaw;
use twinspec_model::update::key::{PublicKey, RootKeys};

use super::{member, text};

/// A refusal, with the code that agents are known to report.
pub(super) fn refused(flaw: &Flaw) -> Value {
    match flaw.code() {
        None => json!({ "refused": flaw.reason.word() }),
        Some(code) => json!({ "refused": flaw.reason.word(), "code": code.to_string() }),
    }
}

/// `roots`: the root keys that the agent is built with.
pub(super) fn roots(case: &Value) -> Result<RootKeys, String> {
    let keys = member(case, "roots")?.as_object().ok_or("roots is no object")?;
    keys.iter()
        .map(|(id, key)| {
            let read = PublicKey::from_base64(text(key, "n")?, text(key, "e")?);
            Ok((id.clone(), read.ok_or_else(|| format!("the root key {id} is unreadable"))?))
        })
        .collect()
}
