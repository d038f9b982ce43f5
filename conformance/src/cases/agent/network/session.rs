//! Login, keep-alive, subscriptions and what was missed.

use twinspec_model::auth::SasToken;
use twinspec_model::wire::mqtt::{Connect, Packet, Publish};
use twinspec_model::wire::topic::HubTopic;
use twinspec_model::wire::username::UserName;

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Deployed, Script, Treatment, What};
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "network-keep-alive",
        title: "The keep-alive is on",
        requirements: &["DEV-NET-010"],
        needs: &[],
        run: agent_body!(keep_alive),
    },
    Case {
        id: "network-login",
        title: "Client id, user name and token are those of the device",
        requirements: &["DEV-NET-018"],
        needs: &[],
        run: agent_body!(login),
    },
    Case {
        id: "network-subscribes-again",
        title: "An agent that finds no session takes a deployment by a patch all the same",
        requirements: &["DEV-NET-011"],
        needs: SCRIPTED,
        run: agent_body!(subscribes_again),
    },
    Case {
        id: "network-missed",
        title: "What was deployed while an agent was cut off is carried out when it is back",
        requirements: &["DEV-NET-012"],
        needs: SCRIPTED,
        run: agent_body!(missed),
    },
    Case {
        id: "network-twin-refused",
        title: "What was deployed meanwhile is carried out although the twin is refused at first",
        requirements: &["DEV-NET-012"],
        needs: SCRIPTED,
        run: agent_body!(twin_withheld, Some(429)),
    },
    Case {
        id: "network-twin-lost",
        title: "What was deployed meanwhile is carried out although the first request is lost",
        requirements: &["DEV-NET-012"],
        needs: SCRIPTED,
        run: agent_body!(twin_withheld, None),
    },
];

fn connect(agent: &AgentBench<'_>) -> Checked<Connect> {
    let seen = agent.seen(0);
    let connect = seen.iter().find_map(|seen| match &seen.what {
        What::Connect(connect) => Some(connect.as_ref().clone()),
        _ => None,
    });
    connect.ok_or_else(|| Stop::Harness("no CONNECT was seen".to_owned()))
}

async fn keep_alive(agent: &mut AgentBench<'_>) -> Checked {
    agent.launch().await?;
    let seconds = connect(agent)?.keep_alive;
    let holds = (1..=1767).contains(&seconds);
    agent.demand("DEV-NET-010", holds, "1 to 1767 s", format!("{seconds} s"));
    Ok(())
}

async fn login(agent: &mut AgentBench<'_>) -> Checked {
    agent.launch().await?;
    let connect = connect(agent)?;
    let identity = agent.identity().to_string();
    agent.equal("DEV-NET-018", "client id", identity.clone(), connect.client_id.clone());
    let text = connect.user_name.clone().unwrap_or_default();
    let user_name = UserName::parse(&text);
    let holds = user_name
        .as_ref()
        .is_some_and(|name| name.identity.to_string() == identity && name.api_version.is_some());
    agent.demand("DEV-NET-018", holds, "the device's user name with api-version", text);
    let password = connect.password.clone().unwrap_or_default();
    let token = SasToken::parse(&String::from_utf8_lossy(&password));
    agent.demand("DEV-NET-018", token.is_ok(), "a token", "another password");
    Ok(())
}

async fn subscribes_again(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    // The hub forgets the session of a device that it forgot altogether: a new CONNECT with a clean
    // session by somebody else has the same effect on a kept one.
    agent.forget_session().await?;
    agent.comes_back().await?;
    agent.reads_twin("DEV-NET-011").await?;
    agent.quiet().await;
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("DEV-NET-011", BACK, &deployed).await?;
    agent.demand_success("DEV-NET-011", &deployed, &report);
    agent.demand_ran("DEV-NET-011", &[&script]);
    Ok(())
}

/// Deploys `script` while the agent tries to connect, which it cannot until the case lets it.
pub(super) async fn deploy_while_away(
    agent: &mut AgentBench<'_>,
    script: &Script,
) -> Checked<Deployed> {
    agent.steer(|what| match what {
        What::Connect(_) => Treatment::CutBefore,
        _ => Treatment::Pass,
    });
    agent.cut();
    agent.comes_back().await?;
    let plan = agent.plan(&[script])?;
    agent.deploy(&plan).await
}

async fn missed(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("missed");
    let deployed = deploy_while_away(agent, &script).await?;
    agent.steer_no_more();
    let report = agent.end_within("DEV-NET-012", BACK, &deployed).await?;
    agent.demand_success("DEV-NET-012", &deployed, &report);
    agent.demand_ran("DEV-NET-012", &[&script]);
    Ok(())
}

/// The hub refuses the first request for the twin with a status, or never gets it.
async fn twin_withheld(agent: &mut AgentBench<'_>, status: Option<u16>) -> Checked {
    agent.start().await?;
    let mut first = true;
    agent.steer(move |what| {
        let Some(rid) = what.twin_request().filter(|_| std::mem::take(&mut first)) else {
            return Treatment::Pass;
        };
        match status {
            None => Treatment::Lose,
            Some(status) => {
                let topic = HubTopic::TwinResponse { status, rid, version: None }.to_topic();
                Treatment::Answer(Packet::Publish(Publish::at_most_once(topic, "{}")))
            }
        }
    });
    agent.hold();
    let script = Script::good("meanwhile");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    // The notification was for a connection that is gone.
    agent.held(1).await?;
    agent.cut();
    drop(agent.take_held());
    agent.comes_back().await?;
    let report = agent.end_within("DEV-NET-012", BACK * 3, &deployed).await?;
    agent.demand_success("DEV-NET-012", &deployed, &report);
    agent.demand_ran("DEV-NET-012", &[&script]);
    Ok(())
}
