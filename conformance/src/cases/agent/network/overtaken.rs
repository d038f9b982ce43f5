//! Answers and notifications that overtake each other: no order between them is promised
//! (hub-mqtt.md § 6.4).

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::HubTopic;

use super::super::SCRIPTED;
use super::session::deploy_while_away;
use crate::agent_body;
use crate::bench::agent::deploy::remove;
use crate::bench::agent::{AgentBench, BACK, Phase, Script, Treatment};
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "network-notified-before-twin",
        title: "What was deployed meanwhile is carried out although another notification comes before the twin",
        requirements: &["DEV-NET-012"],
        needs: SCRIPTED,
        run: agent_body!(notified_before_twin),
    },
    Case {
        id: "network-late-notification",
        title: "A notification of an older deployment that comes after a newer one changes nothing",
        requirements: &["DEV-NET-025"],
        needs: SCRIPTED,
        run: agent_body!(late_notification),
    },
    Case {
        id: "network-late-twin",
        title: "An answer with the twin as it was before a notification changes nothing",
        requirements: &["DEV-NET-025"],
        needs: SCRIPTED,
        run: agent_body!(late_twin),
    },
];

async fn notified_before_twin(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("meanwhile");
    let deployed = deploy_while_away(agent, &script).await?;
    // It is told of this one only, as if it had been changed when the agent was just back.
    let version = agent.desire(&json!({ "site": "north" })).await?;
    let body = json!({ "site": "north", "$version": version }).to_string();
    let topic = HubTopic::Desired { version }.to_topic();
    let mut notification = Some(Packet::Publish(Publish::at_most_once(topic, body)));
    agent.steer(move |what| match what.twin_request().and_then(|_| notification.take()) {
        Some(notification) => Treatment::After(notification),
        None => Treatment::Pass,
    });
    let report = agent.end_within("DEV-NET-012", BACK, &deployed).await?;
    agent.demand_success("DEV-NET-012", &deployed, &report);
    agent.demand_ran("DEV-NET-012", &[&script]);
    Ok(())
}

/// Deploys `script` and demands its success; the notification that told of it.
async fn succeed(agent: &mut AgentBench<'_>, script: &Script) -> Checked<Packet> {
    agent.hold();
    let plan = agent.plan(&[script])?;
    let deployed = agent.deploy(&plan).await?;
    let notification = agent.held_one().await?;
    agent.inject(notification.clone());
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    Ok(notification)
}

/// Demands that the payload of `old` did not run again when something older had come.
async fn demand_nothing_older(agent: &mut AgentBench<'_>, old: &Script) -> Checked {
    // A good deployment at once would replace what must not run, and hide it.
    agent.quiet().await;
    let runs = agent.times(old, Phase::Install);
    agent.equal("DEV-NET-025", "runs of install of the older deployment", 1, runs);
    agent.still_works("ADU-AGENT-104").await
}

async fn late_notification(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let old = Script::good("old").forgetful();
    let notification = succeed(agent, &old).await?;
    succeed(agent, &Script::good("new")).await?;
    agent.inject(notification);
    demand_nothing_older(agent, &old).await
}

async fn late_twin(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let old = Script::good("old").forgetful();
    succeed(agent, &old).await?;
    let request = lose_first_request(agent);
    agent.cut();
    agent.comes_back().await?;
    agent.reads_twin("DEV-NET-012").await?;
    let twin = twin_as_read(agent).await?;
    agent.hold();
    let new = Script::good("new");
    let plan = agent.plan(&[&new])?;
    let deployed = agent.deploy(&plan).await?;
    let notification = agent.held_one().await?;
    agent.inject(notification);
    let rid = request.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default();
    let topic = HubTopic::TwinResponse { status: 200, rid, version: None }.to_topic();
    agent.inject(Packet::Publish(Publish::at_most_once(topic, twin.to_string())));
    let report = agent.end_within("DEV-NET-025", BACK, &deployed).await?;
    agent.demand_success("DEV-NET-025", &deployed, &report);
    demand_nothing_older(agent, &old).await
}

/// Loses the next request for the twin; its request id, when it was sent.
fn lose_first_request(agent: &AgentBench<'_>) -> Arc<Mutex<Option<String>>> {
    let request = Arc::new(Mutex::new(None));
    let lost = Arc::clone(&request);
    agent.steer(move |what| {
        let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
        match what.twin_request() {
            Some(rid) if lost.is_none() => {
                *lost = Some(rid);
                Treatment::Lose
            }
            _ => Treatment::Pass,
        }
    });
    request
}

/// The twin as a hub sends it to its device.
async fn twin_as_read(agent: &mut AgentBench<'_>) -> Checked<Value> {
    let identity = agent.identity().clone();
    let mut twin = agent.read_twin(&identity).await?;
    let none = || Stop::Harness("the twin has no properties".to_owned());
    let mut properties = twin.get_mut("properties").map(Value::take).ok_or_else(none)?;
    for section in ["desired", "reported"] {
        remove(&mut properties, &format!("/{section}/$metadata"))?;
    }
    Ok(properties)
}
