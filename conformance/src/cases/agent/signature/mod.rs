//! Signatures, root keys and root key packages, as an agent treats them
//! (device-update-manifests.md § 3 to 5).

mod forged;
mod listed;
mod package;
mod right;

use serde_json::Value;

use crate::bench::agent::{AgentBench, BACK, Plan, Script};
use crate::case::{Case, Claim, Need};
use crate::verdict::Checked;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[right::CASES, forged::CASES, package::CASES, listed::CASES];

/// What a case needs that is about root key packages.
const PACKAGED: &[Need] = &[
    Need::Claim(Claim::RootKeys),
    Need::Claim(Claim::Scripts),
    Need::Claim(Claim::RootKeyPackage),
];

/// Sends `object`, which must be refused: a failure, and nothing of the payload fetched or run; then
/// a good deployment must succeed.
async fn refused(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    (plan, script): (&Plan, &Script),
    object: &Value,
) -> Checked {
    let deployed = agent.send(plan, object).await?;
    let report = agent.end_within(requirement, BACK, &deployed).await?;
    agent.demand_failure(requirement, &deployed, &report);
    agent.still_works("ADU-AGENT-104").await?;
    agent.demand_untouched(requirement, script);
    agent.demand_untouched("ADU-AGENT-044", script);
    let fetched: Vec<String> = agent
        .hits()
        .into_iter()
        .map(|hit| hit.path)
        .filter(|path| plan.file_ids().iter().any(|id| path.contains(id.as_str())))
        .collect();
    let seen = fetched.join(", ");
    agent.demand("ADU-AGENT-047", fetched.is_empty(), "no request for a payload", seen);
    Ok(())
}
