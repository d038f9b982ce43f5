//! Malformed objects: nothing runs, and the agent goes on.

use serde_json::{Value, json};

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::deploy::{remove, set};
use crate::bench::agent::{AgentBench, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// What is changed in an object that is right otherwise.
enum Change {
    Set(&'static str, Value),
    Remove(&'static str),
}

macro_rules! nothing_runs {
    ($id:literal, $title:literal, $requirement:literal, $change:expr) => {
        Case {
            id: $id,
            title: $title,
            requirements: &[$requirement, "ADU-AGENT-104"],
            needs: SCRIPTED,
            run: agent_body!(nothing_runs, $requirement, $change),
        }
    };
}

use Change::{Remove, Set};

/// The cases.
pub(super) const CASES: &[Case] = &[
    nothing_runs!(
        "hostile-action-0",
        "Action 0 executes nothing",
        "ADU-AGENT-099",
        Set("/workflow/action", json!(0))
    ),
    nothing_runs!(
        "hostile-action-1",
        "Action 1 executes nothing",
        "ADU-AGENT-099",
        Set("/workflow/action", json!(1))
    ),
    nothing_runs!(
        "hostile-action-2",
        "Action 2 executes nothing",
        "ADU-AGENT-099",
        Set("/workflow/action", json!(2))
    ),
    nothing_runs!(
        "hostile-action-unknown",
        "An unknown action executes nothing",
        "ADU-AGENT-099",
        Set("/workflow/action", json!(7))
    ),
    nothing_runs!(
        "hostile-action-negative",
        "A negative action executes nothing",
        "ADU-AGENT-099",
        Set("/workflow/action", json!(-3))
    ),
    nothing_runs!(
        "hostile-action-missing",
        "A missing action executes nothing",
        "ADU-AGENT-100",
        Remove("/workflow/action")
    ),
    nothing_runs!(
        "hostile-id-missing",
        "A missing workflow id executes nothing",
        "ADU-AGENT-102",
        Remove("/workflow/id")
    ),
    nothing_runs!(
        "hostile-id-empty",
        "An empty workflow id executes nothing",
        "ADU-AGENT-102",
        Set("/workflow/id", json!(""))
    ),
    nothing_runs!(
        "hostile-id-number",
        "A workflow id that is a number executes nothing",
        "ADU-AGENT-103",
        Set("/workflow/id", json!(42))
    ),
    nothing_runs!(
        "hostile-action-text",
        "An action that is a text executes nothing",
        "ADU-AGENT-103",
        Set("/workflow/action", json!("3"))
    ),
    nothing_runs!(
        "hostile-action-fraction",
        "An action that is a fraction executes nothing",
        "ADU-AGENT-103",
        Set("/workflow/action", json!(3.5))
    ),
    nothing_runs!(
        "hostile-workflow-text",
        "A workflow that is a text executes nothing",
        "ADU-AGENT-103",
        Set("/workflow", json!("3"))
    ),
    nothing_runs!(
        "hostile-workflow-list",
        "A workflow that is a list executes nothing",
        "ADU-AGENT-103",
        Set("/workflow", json!([3, "id"]))
    ),
    nothing_runs!(
        "hostile-manifest-object",
        "A manifest that is an object in place of a text is refused",
        "ADU-AGENT-065",
        Set("/updateManifest", json!({ "manifestVersion": "5" }))
    ),
    nothing_runs!(
        "hostile-manifest-number",
        "A manifest that is a number executes nothing",
        "ADU-AGENT-103",
        Set("/updateManifest", json!(5))
    ),
    nothing_runs!(
        "hostile-manifest-null",
        "A deployment without manifest executes nothing",
        "ADU-AGENT-103",
        Set("/updateManifest", json!(null))
    ),
    nothing_runs!(
        "hostile-signature-list",
        "A signature that is a list executes nothing",
        "ADU-AGENT-103",
        Set("/updateManifestSignature", json!(["e30", "e30", "e30"]))
    ),
    nothing_runs!(
        "hostile-urls-text",
        "File URLs that are a text execute nothing",
        "ADU-AGENT-103",
        Set("/fileUrls", json!("http://127.0.0.1:9/"))
    ),
    nothing_runs!(
        "hostile-urls-numbers",
        "File URLs that are numbers execute nothing",
        "ADU-AGENT-103",
        Set("/fileUrls", json!({ "f0": 1, "f1": [2] }))
    ),
    Case {
        id: "hostile-service-text",
        title: "A service property that is a text does not stop the agent",
        requirements: &["ADU-AGENT-103", "ADU-AGENT-104"],
        needs: SCRIPTED,
        run: agent_body!(other_service, json!("service")),
    },
    Case {
        id: "hostile-service-list",
        title: "A service property that is a list does not stop the agent",
        requirements: &["ADU-AGENT-103", "ADU-AGENT-104"],
        needs: SCRIPTED,
        run: agent_body!(other_service, json!([{ "workflow": { "action": 3, "id": "x" } }])),
    },
    Case {
        id: "hostile-component-text",
        title: "A component that is a text does not stop the agent",
        requirements: &["ADU-AGENT-103", "ADU-AGENT-104"],
        needs: SCRIPTED,
        run: agent_body!(other_component, json!("deviceUpdate")),
    },
    Case {
        id: "hostile-component-null",
        title: "A component that is removed does not stop the agent",
        requirements: &["ADU-AGENT-103", "ADU-AGENT-104"],
        needs: SCRIPTED,
        run: agent_body!(component_removed),
    },
    Case {
        id: "hostile-many-in-a-row",
        title: "After twenty malformed objects in a row a good deployment succeeds",
        requirements: &["ADU-AGENT-104"],
        needs: SCRIPTED,
        run: agent_body!(many_in_a_row),
    },
];

async fn nothing_runs(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    change: Change,
) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("fine")]).await?;
    let script = Script::good("bad");
    let plan = agent.plan(&[&script])?;
    let mut object = agent.signed(&plan)?;
    match change {
        Set(pointer, value) => set(&mut object, pointer, value)?,
        Remove(pointer) => remove(&mut object, pointer)?,
    }
    let sent = agent.send(&plan, &object).await?;
    // The good deployment afterwards closes the window: objects are handled in order.
    agent.still_works("ADU-AGENT-104").await?;
    agent.demand_untouched(requirement, &script);
    let claims = agent.reports(sent.from).into_iter();
    let claims = claims.filter(|report| report.installed().as_ref() == Some(&plan.update)).count();
    agent.equal(requirement, "reports that name the update as installed", 0, claims);
    Ok(())
}

async fn other_service(agent: &mut AgentBench<'_>, service: Value) -> Checked {
    agent.start().await?;
    let from = agent.seen_count();
    agent.desire(&json!({ "deviceUpdate": { "__t": "c", "service": service } })).await?;
    no_success(agent, from).await
}

async fn other_component(agent: &mut AgentBench<'_>, component: Value) -> Checked {
    agent.start().await?;
    let from = agent.seen_count();
    agent.desire(&json!({ "deviceUpdate": component })).await?;
    no_success(agent, from).await
}

async fn component_removed(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("fine")]).await?;
    let from = agent.seen_count();
    agent.desire(&json!({ "deviceUpdate": null })).await?;
    no_success(agent, from).await
}

/// Nothing is claimed to be installed from the number `from` on, until something is deployed.
async fn no_success(agent: &mut AgentBench<'_>, from: usize) -> Checked {
    agent.quiet().await;
    let reports = agent.reports(from);
    let claim = reports.iter().find(|report| report.is_state() && report.claims_installed());
    let seen = claim.map_or_else(String::new, ToString::to_string);
    agent.demand("ADU-AGENT-103", claim.is_none(), "no report of an installed update", seen);
    agent.still_works("ADU-AGENT-104").await
}

async fn many_in_a_row(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("bad");
    for number in 0..20 {
        let plan = agent.plan(&[&script])?;
        let mut object = agent.signed(&plan)?;
        match number % 4 {
            0 => remove(&mut object, "/workflow/id")?,
            1 => set(&mut object, "/workflow/action", json!(number))?,
            2 => set(&mut object, "/workflow", json!(number))?,
            _ => set(&mut object, "/updateManifest", json!({}))?,
        }
        agent.send(&plan, &object).await?;
    }
    agent.still_works("ADU-AGENT-104").await?;
    agent.demand_untouched("ADU-AGENT-103", &script);
    Ok(())
}
