//! What the service reads out of a report (device-update-agent.md § 4.3).

use serde_json::Value;

use super::plan::UpdateId;

/// What becomes of a deployment on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conclusion {
    /// The report says nothing about it.
    Unrelated,
    /// It goes on.
    InProgress,
    /// The update is installed.
    Succeeded,
    /// It ended, and the update is not installed.
    Failed,
}

/// What the service concludes for the deployment `workflow` of `update` from the reported member
/// `agent`.
///
/// `resultCode` plays no part: state 0 without the deployed id is a failure whatever it says.
/// A report without `workflow` is about the deployment that is on: agents leave it out when they
/// could not validate the object (§ 6.2).
#[must_use]
pub fn conclude(agent: &Value, workflow: &str, update: &UpdateId) -> Conclusion {
    let named = agent.pointer("/workflow/id").and_then(Value::as_str);
    if named.is_some_and(|id| id != workflow) {
        return Conclusion::Unrelated;
    }
    let installed = agent.get("installedUpdateId").and_then(Value::as_str);
    let installed = installed.and_then(UpdateId::parse);
    match agent.get("state").and_then(Value::as_u64) {
        Some(6) => Conclusion::InProgress,
        Some(0) if installed.as_ref() == Some(update) => Conclusion::Succeeded,
        Some(0 | 255) => Conclusion::Failed,
        _ => Conclusion::Unrelated,
    }
}
