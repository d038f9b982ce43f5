//! What the service reads out of a report (device-update-agent.md § 4.3).

use serde_json::Value;

use crate::update::UpdateId;
use crate::update::result_code::{self, Conclusion, State};

/// What the service concludes for the deployment `workflow` of `update` from the reported member
/// `agent`; `None` when the report says nothing about it.
///
/// A report without `workflow` is about the deployment that is on: agents leave it out when they
/// could not validate the object (§ 6.2).
#[must_use]
pub fn conclude(agent: &Value, workflow: &str, update: &UpdateId) -> Option<Conclusion> {
    let named = agent.pointer("/workflow/id").and_then(Value::as_str);
    if named.is_some_and(|id| id != workflow) {
        return None;
    }
    let state = State::from_number(agent.get("state")?.as_i64()?)?;
    let installed = agent.get("installedUpdateId").and_then(Value::as_str);
    Some(result_code::conclude(state, installed, update))
}
