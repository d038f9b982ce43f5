//! How an agent comes back.

use std::time::Duration;

use twinspec_model::wire::mqtt::{ConnAck, ConnectCode, Packet};

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Phase, Script, Treatment, What};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "network-comes-back",
        title: "After its connection was lost an agent connects again",
        requirements: &["DEV-NET-001"],
        needs: SCRIPTED,
        run: agent_body!(comes_back),
    },
    Case {
        id: "network-pauses",
        title: "An agent that is refused does not hammer the hub",
        requirements: &["DEV-NET-002"],
        needs: SCRIPTED,
        run: agent_body!(pauses),
    },
    Case {
        id: "network-pauses-grow",
        title: "Pauses between attempts that fail grow or vary",
        requirements: &["DEV-NET-003"],
        needs: SCRIPTED,
        run: agent_body!(pauses_grow),
    },
    Case {
        id: "network-cut-at-once",
        title: "An agent that is cut right after each connect does not hammer the hub",
        requirements: &["DEV-NET-002"],
        needs: SCRIPTED,
        run: agent_body!(cut_at_once),
    },
    Case {
        id: "network-no-answer",
        title: "A CONNECT that is not answered is given up and tried again",
        requirements: &["DEV-NET-004"],
        needs: SCRIPTED,
        run: agent_body!(no_answer),
    },
    Case {
        id: "network-refused-5",
        title: "An agent that is refused as not authorized tries again later",
        requirements: &["DEV-NET-022"],
        needs: SCRIPTED,
        run: agent_body!(refused, ConnectCode::NotAuthorized),
    },
    Case {
        id: "network-refused-3",
        title: "An agent that finds the hub unavailable tries again later",
        requirements: &["DEV-NET-022"],
        needs: SCRIPTED,
        run: agent_body!(refused, ConnectCode::ServerUnavailable),
    },
    Case {
        id: "network-random-cuts",
        title: "Cuts again and again during a deployment do not change its end",
        requirements: &["DEV-NET-024"],
        needs: SCRIPTED,
        run: agent_body!(random_cuts),
    },
];

/// Answers the next `count` CONNECTs so, then lets all through.
fn treat_connects(agent: &AgentBench<'_>, count: usize, treatment: Treatment) {
    let mut left = count;
    agent.steer(move |what| match what {
        What::Connect(_) if left > 0 => {
            left -= 1;
            treatment.clone()
        }
        _ => Treatment::Pass,
    });
}

fn refusal(code: ConnectCode) -> Treatment {
    Treatment::Answer(Packet::ConnAck(ConnAck { session_present: false, code }))
}

async fn comes_back(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    for _ in 0..2 {
        agent.cut();
        agent.comes_back().await?;
    }
    agent.demand("DEV-NET-001", true, "a CONNECT", "");
    agent.still_works("DEV-NET-001").await
}

/// The pauses between the next `count` attempts, which all fail.
async fn failing_attempts(agent: &mut AgentBench<'_>, count: usize) -> Checked<Vec<Duration>> {
    treat_connects(agent, count, refusal(ConnectCode::ServerUnavailable));
    agent.cut();
    let mut times = Vec::new();
    for _ in 0..count {
        agent.comes_back().await?;
        times.push(tokio::time::Instant::now());
    }
    agent.comes_back().await?;
    agent.steer_no_more();
    Ok(times.windows(2).filter_map(|pair| Some(*pair.get(1)? - *pair.first()?)).collect())
}

async fn pauses(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let pauses = failing_attempts(agent, 5).await?;
    let total: Duration = pauses.iter().sum();
    let holds = total >= Duration::from_millis(100) * u32::try_from(pauses.len()).unwrap_or(1);
    agent.demand("DEV-NET-002", holds, "a tenth of a second on average", format!("{pauses:?}"));
    agent.still_works("DEV-NET-002").await
}

async fn pauses_grow(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let pauses = failing_attempts(agent, 5).await?;
    let (least, most) = (pauses.iter().min(), pauses.iter().max());
    let grows = matches!((least, most), (Some(least), Some(most)) if *most > least.mul_f64(1.2));
    agent.demand("DEV-NET-003", grows, "pauses that differ by a fifth", format!("{pauses:?}"));
    agent.still_works("DEV-NET-003").await
}

async fn cut_at_once(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    treat_connects(agent, 4, Treatment::CutAfter);
    agent.cut();
    let began = tokio::time::Instant::now();
    for _ in 0..4 {
        agent.comes_back().await?;
    }
    agent.comes_back().await?;
    let took = began.elapsed();
    let holds = took >= Duration::from_millis(400);
    agent.demand("DEV-NET-002", holds, "a tenth of a second on average", format!("{took:?}"));
    agent.still_works("DEV-NET-002").await
}

async fn no_answer(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    treat_connects(agent, 1, Treatment::Lose);
    agent.cut();
    agent.comes_back().await?;
    agent.connect_packet("DEV-NET-004", BACK * 2).await?;
    agent.demand("DEV-NET-004", true, "another CONNECT", "");
    agent.still_works("DEV-NET-004").await
}

async fn refused(agent: &mut AgentBench<'_>, code: ConnectCode) -> Checked {
    agent.start().await?;
    treat_connects(agent, 2, refusal(code));
    agent.cut();
    for _ in 0..3 {
        agent.connect_packet("DEV-NET-022", BACK).await?;
    }
    agent.demand("DEV-NET-022", true, "another CONNECT", "");
    agent.still_works("DEV-NET-022").await
}

async fn random_cuts(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a").gated(Phase::Install);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    for _ in 0..3 {
        agent.cut();
        agent.comes_back().await?;
    }
    agent.begins("DEV-NET-024", &script, Phase::Install).await?;
    agent.open_gate(&script, Phase::Install)?;
    for _ in 0..2 {
        agent.cut();
        agent.comes_back().await?;
    }
    let report = agent.end_within("DEV-NET-024", BACK, &deployed).await?;
    agent.demand_success("DEV-NET-024", &deployed, &report);
    let runs = agent.times(&script, Phase::Apply);
    agent.equal("DEV-NET-024", "runs of apply", 1, runs);
    Ok(())
}
