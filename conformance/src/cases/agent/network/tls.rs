//! Certificates of hubs.

use twinspec_harness::tls::Oddity;

use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, What};
use crate::case::{Case, Claim, Need};
use crate::verdict::Checked;

const STARTED: &[Need] = &[Need::Claim(Claim::Started)];

macro_rules! refused {
    ($id:literal, $title:literal, $requirement:literal, $oddity:ident) => {
        Case {
            id: $id,
            title: $title,
            requirements: &[$requirement],
            needs: STARTED,
            run: agent_body!(refused, $requirement, Oddity::$oddity),
        }
    };
}

/// The cases.
pub(super) const CASES: &[Case] = &[
    refused!(
        "network-tls-unknown-authority",
        "A hub with a certificate of an unknown authority is refused",
        "DEV-NET-013",
        UnknownAuthority
    ),
    refused!(
        "network-tls-other-name",
        "A hub with a certificate for another name is refused",
        "DEV-NET-014",
        OtherName
    ),
    refused!(
        "network-tls-expired",
        "A hub with a certificate that has expired is refused",
        "DEV-NET-015",
        Expired
    ),
    Case {
        id: "network-tls-large",
        title: "A hub with a large certificate is accepted",
        requirements: &["DEV-NET-016"],
        needs: STARTED,
        run: agent_body!(large),
    },
];

async fn refused(agent: &mut AgentBench<'_>, requirement: &'static str, oddity: Oddity) -> Checked {
    // First the right certificate: this agent can be let in at all.
    agent.launch().await?;
    agent.kill().await;
    let from = agent.seen_count();
    let listener = agent.open_odd(oddity).await?;
    agent.launch_at(listener.port)?;
    // It has come, and has come again or ended: it made up its mind about the first certificate.
    let decided = |_: &AgentBench<'_>| listener.attempts() >= 2;
    agent.until_or_ended(BACK, decided).await;
    let was_there = listener.attempts() > 0;
    agent.demand(requirement, was_there, "the agent comes to the odd hub", "it does not");
    let connects = agent.seen(from);
    let is_in = connects.iter().any(|seen| matches!(seen.what, What::Connect(_)));
    agent.demand(requirement, !is_in, "no CONNECT is entrusted to it", "a CONNECT");
    Ok(())
}

async fn large(agent: &mut AgentBench<'_>) -> Checked {
    agent.launch().await?;
    agent.kill().await;
    let listener = agent.open_odd(Oddity::Large).await?;
    agent.launch_at(listener.port)?;
    agent.connect_packet("DEV-NET-016", BACK).await?;
    agent.demand("DEV-NET-016", true, "a CONNECT", "");
    Ok(())
}
