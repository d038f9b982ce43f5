//! The startup message and the model id.

use serde_json::Value;

use crate::agent_body;
use crate::bench::agent::AgentBench;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[Case {
    id: "startup-message",
    title: "After its first connect an agent reports deviceProperties and compatPropertyNames",
    requirements: &["ADU-AGENT-003"],
    needs: &[],
    run: agent_body!(message),
}];

async fn message(agent: &mut AgentBench<'_>) -> Checked {
    let report = agent.start().await?;
    let names = report.agent().get("compatPropertyNames").and_then(Value::as_str);
    let has_both = names.is_some_and(|names| !names.is_empty());
    agent.demand(
        "ADU-AGENT-003",
        has_both,
        "compatPropertyNames beside deviceProperties",
        report.to_string(),
    );
    Ok(())
}
