//! Manifests that must be accepted.

use serde_json::{Value, json};

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, Script};
use crate::case::Case;
use crate::verdict::Checked;

macro_rules! accepted {
    ($id:literal, $title:literal, $requirement:literal, $pointer:literal, $value:expr) => {
        Case {
            id: $id,
            title: $title,
            requirements: &[$requirement],
            needs: SCRIPTED,
            run: agent_body!(accepted, $requirement, $pointer, $value),
        }
    };
}

/// The cases.
pub(super) const CASES: &[Case] = &[
    accepted!(
        "manifest-version-5-0",
        "The manifest version 5.0 is accepted like 5",
        "ADU-AGENT-068",
        "/manifestVersion",
        json!("5.0")
    ),
    accepted!(
        "manifest-version-4",
        "The manifest version 4 is accepted",
        "ADU-AGENT-068",
        "/manifestVersion",
        json!("4")
    ),
    accepted!(
        "manifest-unknown-member",
        "An unknown member is passed over",
        "ADU-MANIFEST-009",
        "/colour",
        json!({ "red": 1 })
    ),
    accepted!(
        "manifest-unknown-step-member",
        "An unknown member of a step is passed over",
        "ADU-MANIFEST-009",
        "/instructions/steps/0/description",
        json!("installs the thing")
    ),
    Case {
        id: "manifest-step-without-type",
        title: "A step without a type is an inline step",
        requirements: &["ADU-MANIFEST-008"],
        needs: SCRIPTED,
        run: agent_body!(step_without_type),
    },
    Case {
        id: "manifest-update-id-borders",
        title: "An update id at the borders of its patterns is accepted",
        requirements: &["ADU-MANIFEST-011"],
        needs: SCRIPTED,
        run: agent_body!(update_id_borders),
    },
];

async fn accepted(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    pointer: &str,
    value: Value,
) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    plan.set(pointer, value)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end(requirement, &deployed).await?;
    agent.demand_success(requirement, &deployed, &report);
    agent.demand_ran(requirement, &[&script]);
    Ok(())
}

async fn step_without_type(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    plan.remove("/instructions/steps/0/type")?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-MANIFEST-008", &deployed).await?;
    agent.demand_success("ADU-MANIFEST-008", &deployed, &report);
    agent.demand_ran("ADU-MANIFEST-008", &[&script]);
    Ok(())
}

async fn update_id_borders(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    for (provider, name, version) in [
        ("P".to_owned(), "n-1.a".to_owned(), "0.0"),
        ("p".repeat(64), "N".repeat(64), "2147483647.1.2.3"),
    ] {
        let script = Script::good(&format!("v{}", version.len()));
        let mut plan = agent.plan(&[&script])?;
        plan.update = json!({ "provider": provider, "name": name, "version": version });
        plan.set("/updateId", plan.update.clone())?;
        let deployed = agent.deploy(&plan).await?;
        let report = agent.end("ADU-MANIFEST-011", &deployed).await?;
        agent.demand_success("ADU-MANIFEST-011", &deployed, &report);
    }
    Ok(())
}
