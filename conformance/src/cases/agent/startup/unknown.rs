//! Desired properties that an agent does not know (device-update-agent.md § 2).

use serde_json::{Value, json};

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "startup-unknown-component",
        title: "A component that is unknown causes no state report",
        requirements: &["ADU-AGENT-013"],
        needs: SCRIPTED,
        run: agent_body!(unknown, json!({ "thermostat": { "__t": "c", "target": 21 } })),
    },
    Case {
        id: "startup-unknown-property",
        title: "A property of deviceUpdate that is unknown causes no state report",
        requirements: &["ADU-AGENT-013"],
        needs: SCRIPTED,
        run: agent_body!(unknown, json!({ "deviceUpdate": { "__t": "c", "colour": { "a": 1 } } })),
    },
    Case {
        id: "startup-unknown-plain",
        title: "Desired properties outside all components cause no state report",
        requirements: &["ADU-AGENT-013"],
        needs: SCRIPTED,
        run: agent_body!(unknown, json!({ "interval": 5, "list": [1, 2], "service": { "a": 1 } })),
    },
    Case {
        id: "startup-unacknowledged",
        title: "A property that is unknown is left unacknowledged",
        requirements: &["ADU-AGENT-014"],
        needs: SCRIPTED,
        run: agent_body!(unacknowledged),
    },
    Case {
        id: "startup-without-mark",
        title: "A deployment whose component lacks __t is carried out",
        requirements: &["ADU-AGENT-015"],
        needs: SCRIPTED,
        run: agent_body!(without_mark),
    },
];

async fn unknown(agent: &mut AgentBench<'_>, desired: Value) -> Checked {
    agent.start().await?;
    let from = agent.seen_count();
    agent.desire(&desired).await?;
    let script = Script::good("after");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-013", &deployed).await?;
    agent.demand_success("ADU-AGENT-013", &deployed, &report);
    // Objects are handled in order: what the unknown one caused came before.
    let reports = agent.reports(from);
    let other = reports.iter().find(|report| {
        report.is_state() && report.workflow_id() != Some(deployed.workflow.as_str())
    });
    let seen = other.map_or_else(String::new, ToString::to_string);
    let allowed = "state reports about the good deployment only";
    agent.demand("ADU-AGENT-013", other.is_none(), allowed, seen);
    Ok(())
}

async fn unacknowledged(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let from = agent.seen_count();
    agent.desire(&json!({ "deviceUpdate": { "__t": "c", "colour": "red" } })).await?;
    agent.still_works("ADU-AGENT-014").await?;
    let reports = agent.reports(from);
    let answer = reports.iter().find(|report| report.component().get("colour").is_some());
    let seen = answer.map_or_else(String::new, ToString::to_string);
    agent.demand("ADU-AGENT-014", answer.is_none(), "no report of the property", seen);
    Ok(())
}

async fn without_mark(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("unmarked");
    let plan = agent.plan(&[&script])?;
    let object = agent.signed(&plan)?;
    let deployed = agent.send_component(&plan, &json!({ "service": object })).await?;
    let report = agent.end("ADU-AGENT-015", &deployed).await?;
    agent.demand_success("ADU-AGENT-015", &deployed, &report);
    agent.demand_ran("ADU-AGENT-015", &[&script]);
    Ok(())
}
