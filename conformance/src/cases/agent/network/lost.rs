//! Packets that are lost, and connections on which nothing moves.

use std::time::Duration;

use serde_json::json;
use twinspec_model::wire::mqtt::{Packet, PacketId, Publish};
use twinspec_model::wire::topic::HubTopic;

use super::super::{RESUMED, SCRIPTED};
use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, QUIET, Report, Script, Seen, Treatment, What};
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The longest keep-alive that a case waits for.
const KEEP_ALIVE_MAX: u16 = 30;

/// How many reports may come in a quiet window in which all of them are refused.
const THROTTLED_MAX: usize = 12;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "network-report-lost",
        title: "A report that was lost on its way is sent again",
        requirements: &["DEV-NET-005"],
        needs: SCRIPTED,
        run: agent_body!(report_lost, Treatment::Lose),
    },
    Case {
        id: "network-report-unanswered",
        title: "A report whose answer was lost is sent again, or left at the same end",
        requirements: &["DEV-NET-005"],
        needs: SCRIPTED,
        run: agent_body!(report_lost, Treatment::LoseAnswer),
    },
    Case {
        id: "network-acknowledges",
        title: "A message at QoS 1 is acknowledged",
        requirements: &["DEV-NET-006"],
        needs: SCRIPTED,
        run: agent_body!(acknowledges),
    },
    Case {
        id: "network-subscribe-lost",
        title: "A SUBSCRIBE that was lost is sent again, or the connection is given up",
        requirements: &["DEV-NET-007"],
        needs: SCRIPTED,
        run: agent_body!(subscribe_lost),
    },
    Case {
        id: "network-half-open",
        title: "A connection on which nothing is answered any more is given up",
        requirements: &["DEV-NET-008"],
        needs: SCRIPTED,
        run: agent_body!(half_open),
    },
    Case {
        id: "network-pings",
        title: "An idle agent sends PINGREQ within its keep-alive",
        requirements: &["DEV-NET-009"],
        needs: SCRIPTED,
        run: agent_body!(pings),
    },
    Case {
        id: "network-unknown-packets",
        title: "Messages and answers that nobody asked for do not stop an agent",
        requirements: &["DEV-NET-019"],
        needs: SCRIPTED,
        run: agent_body!(unknown_packets),
    },
    Case {
        id: "network-large-notification",
        title: "A notification of 30 KB is digested",
        requirements: &["DEV-NET-017"],
        needs: SCRIPTED,
        run: agent_body!(large_notification),
    },
    Case {
        id: "network-few-packets",
        title: "A deployment costs a few packets",
        requirements: &["DEV-NET-020", "DEV-NET-023"],
        needs: SCRIPTED,
        run: agent_body!(few_packets),
    },
    Case {
        id: "network-throttled",
        title: "A report that is refused with 429 again and again is no reason for a flood",
        requirements: &["DEV-NET-020"],
        needs: SCRIPTED,
        run: agent_body!(throttled),
    },
    Case {
        id: "network-terminates",
        title: "SIGTERM ends an agent in time",
        requirements: &["DEV-NET-021"],
        needs: RESUMED,
        run: agent_body!(terminates),
    },
];

async fn report_lost(agent: &mut AgentBench<'_>, treatment: Treatment) -> Checked {
    agent.start().await?;
    let is_kept = matches!(treatment, Treatment::LoseAnswer);
    let mut first = true;
    agent.steer(move |what| match what {
        What::Report { patch, .. }
            if first && patch.pointer("/deviceUpdate/agent/state") == Some(&json!(0)) =>
        {
            first = false;
            treatment.clone()
        }
        _ => Treatment::Pass,
    });
    let plan = agent.plan(&[&Script::good("a")])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    if is_kept {
        agent.quiet().await;
        let identity = agent.identity().clone();
        let twin = agent.read_twin(&identity).await?;
        let state = twin.pointer("/properties/reported/deviceUpdate/agent/state").cloned();
        let state = state.unwrap_or_default();
        agent.equal_json("DEV-NET-005", "state in the twin", &json!(0), &state);
        return agent.still_works("DEV-NET-005").await;
    }
    let budget = agent.resend().max(BACK * 2);
    let again = |report: &Report| report.is_terminal();
    let report = agent.report_within("DEV-NET-005", "the report again", budget, again).await?;
    agent.demand_success("DEV-NET-005", &deployed, &report);
    Ok(())
}

async fn acknowledges(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let id = PacketId::MAX;
    let topic = HubTopic::Desired { version: 1 }.to_topic();
    agent.inject(Packet::Publish(Publish::at_least_once(id, topic, "{\"$version\":1}")));
    let acknowledges = |seen: &Seen| match &seen.what {
        What::Packet(Packet::PubAck(seen)) if *seen == id => Some(()),
        _ => None,
    };
    let step = crate::bench::agent::STEP;
    agent.see("DEV-NET-006", "PUBACK 65535", step, acknowledges).await?;
    agent.demand("DEV-NET-006", true, "PUBACK", "");
    agent.still_works("DEV-NET-006").await
}

async fn subscribe_lost(agent: &mut AgentBench<'_>) -> Checked {
    // The first connection: on later ones a session may be there, with its subscriptions.
    let mut first = true;
    agent.steer(move |what| match what {
        What::Packet(Packet::Subscribe(_)) if first => {
            first = false;
            Treatment::Lose
        }
        _ => Treatment::Pass,
    });
    agent.launch().await?;
    let subscribes = |seen: &Seen| match &seen.what {
        What::Packet(Packet::Subscribe(subscribe)) => Some(subscribe.clone()),
        _ => None,
    };
    let lost = agent.see("DEV-NET-007", "a SUBSCRIBE", BACK, subscribes).await?;
    let filters = lost.filters.clone();
    let again = |seen: &Seen| match &seen.what {
        What::Packet(Packet::Subscribe(seen)) if seen.filters == filters => Some(()),
        What::Connect(_) => Some(()),
        _ => None,
    };
    let allowed = "the SUBSCRIBE again, or a new CONNECT";
    agent.see("DEV-NET-007", allowed, BACK * 3, again).await?;
    agent.demand("DEV-NET-007", true, allowed, "");
    agent.still_works("DEV-NET-007").await
}

/// The keep-alive of the agent, which must be short enough to be waited for.
fn keep_alive(agent: &AgentBench<'_>) -> Checked<Duration> {
    let seen = agent.seen(0);
    let seconds = seen.iter().find_map(|seen| match &seen.what {
        What::Connect(connect) => Some(connect.keep_alive),
        _ => None,
    });
    match seconds.unwrap_or_default() {
        seconds @ 1..=KEEP_ALIVE_MAX => Ok(Duration::from_secs(u64::from(seconds))),
        seconds => Err(Stop::Unsupported(format!(
            "needs a keep-alive of 1 to {KEEP_ALIVE_MAX} s, the agent's is {seconds} s"
        ))),
    }
}

async fn half_open(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let keep_alive = keep_alive(agent)?;
    agent.mute(true);
    let budget = agent.at_least(keep_alive * 2) + BACK;
    let connects = |seen: &Seen| matches!(seen.what, What::Connect(_)).then_some(seen.at);
    let began = tokio::time::Instant::now();
    let at = agent.see("DEV-NET-008", "another CONNECT", budget, connects).await?;
    agent.mute(false);
    let took = at.duration_since(began);
    let limit = keep_alive * 2 + agent.budget(Duration::from_secs(5));
    agent.demand("DEV-NET-008", took <= limit, format!("within {limit:?}"), format!("{took:?}"));
    Ok(())
}

async fn pings(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let keep_alive = keep_alive(agent)?;
    let pings = |seen: &Seen| matches!(seen.what, What::Packet(Packet::PingReq)).then_some(());
    let budget = agent.at_least(keep_alive * 2);
    agent.see("DEV-NET-009", "PINGREQ", budget, pings).await?;
    agent.demand("DEV-NET-009", true, "PINGREQ", "");
    agent.still_works("DEV-NET-009").await
}

async fn unknown_packets(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let answer = HubTopic::TwinResponse { status: 200, rid: "unknown".to_owned(), version: None };
    for (topic, payload) in [
        ("$iothub/unknown/topic".to_owned(), "{}"),
        (answer.to_topic(), "{\"desired\":{},\"reported\":{}}"),
        ("devices/other/messages/devicebound/".to_owned(), "text"),
    ] {
        agent.inject(Packet::Publish(Publish::at_most_once(topic, payload)));
    }
    agent.inject(Packet::PubAck(PacketId::MAX));
    agent.still_works("DEV-NET-019").await
}

async fn large_notification(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    // Texts are limited to 4 KB each, desired properties to 32 KB in all.
    let texts = (0..9).map(|number| (format!("note{number}"), json!("x".repeat(2900))));
    let mut desired: serde_json::Map<String, serde_json::Value> = texts.collect();
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let object = agent.signed(&plan)?;
    desired.insert("deviceUpdate".to_owned(), json!({ "__t": "c", "service": object }));
    let from = agent.seen_count();
    let version = agent.desire(&serde_json::Value::Object(desired)).await?;
    let deployed = crate::bench::agent::Deployed {
        workflow: plan.workflow.clone(),
        update: plan.update.clone(),
        version,
        from,
    };
    let report = agent.end("DEV-NET-017", &deployed).await?;
    agent.demand_success("DEV-NET-017", &deployed, &report);
    Ok(())
}

async fn few_packets(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let from = agent.seen_count();
    agent.succeed("ADU-AGENT-041", &[&Script::good("a")]).await?;
    agent.quiet().await;
    let count = agent.seen(from).len();
    let seen = format!("{count} packets");
    agent.demand("DEV-NET-020", count <= 40, "up to 40 packets for a deployment", seen);
    let malformed = agent.seen(0).iter().find_map(|seen| match &seen.what {
        What::Malformed(what) => Some(what.clone()),
        _ => None,
    });
    let holds = malformed.is_none();
    agent.demand(
        "DEV-NET-023",
        holds,
        "packets that are well-formed",
        malformed.unwrap_or_default(),
    );
    Ok(())
}

async fn throttled(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.steer(|what| match what {
        What::Report { patch, .. } if patch.pointer("/deviceUpdate").is_some() => {
            Treatment::Refuse(429)
        }
        _ => Treatment::Pass,
    });
    let plan = agent.plan(&[&Script::good("a")])?;
    let deployed = agent.deploy(&plan).await?;
    let any = |report: &Report| report.component().is_object();
    agent.look_from(deployed.from);
    agent.report("ADU-AGENT-040", "a report about the deployment", any).await?;
    let window = agent.at_least(QUIET);
    let floods = |agent: &AgentBench<'_>| agent.reports(deployed.from).len() > THROTTLED_MAX;
    agent.until_or_ended(window, floods).await;
    let count = agent.reports(deployed.from).len();
    agent.steer_no_more();
    let allowed =
        format!("up to {THROTTLED_MAX} reports in the {QUIET:?} in which all are refused");
    agent.demand("DEV-NET-020", count <= THROTTLED_MAX, allowed, format!("{count} reports"));
    let budget = agent.resend().max(BACK);
    let report = agent.end_within("ADU-AGENT-122", budget * 2, &deployed).await?;
    agent.demand_success("ADU-AGENT-122", &deployed, &report);
    Ok(())
}

async fn terminates(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let obeys = agent.terminate().await;
    agent.demand("DEV-NET-021", obeys, "it ends", "it had to be killed");
    Ok(())
}
