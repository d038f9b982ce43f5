//! Pattern (c) of 2016: calls and updates that go well (firmware-patterns.md § c.2 to c.4).

use serde_json::json;

use crate::bench::agent::AgentBench;
use crate::bench::agent::firmware::{Pattern, State, Words};
use crate::case::{Case, Claim, Need};
use crate::firmware_body;
use crate::verdict::{Checked, Stop};

pub(super) const PATTERN: Pattern = Pattern::DirectMethod;
pub(super) const NEEDS: &[Need] = &[Need::Claim(Claim::Pattern(PATTERN))];

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "firmware-direct-method-success",
        title: "A call is answered at once, and the update goes through the statuses of its variant",
        requirements: &["FW-C06", "FW-C07", "FW-C10", "FW-S01"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, success),
    },
    Case {
        id: "firmware-direct-method-any-address",
        title: "The device of the tutorial answers 200 before it looks at the address",
        requirements: &["FW-C04"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, any_address),
    },
    Case {
        id: "firmware-direct-method-insecure",
        title: "A later device refuses an address without https and reports nothing",
        requirements: &["FW-C05"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, insecure),
    },
    Case {
        id: "firmware-direct-method-bare",
        title: "The device in C takes a bare address and refuses an empty one and other methods",
        requirements: &["FW-C13"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, bare),
    },
    Case {
        id: "firmware-direct-method-busy",
        title: "A second call during an update does not mix with it",
        requirements: &["FW-C12", "A-F08"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, busy),
    },
    Case {
        id: "firmware-direct-method-away",
        title: "What happened while the device was away is in the twin when it is back",
        requirements: &["FW-S01", "FW-S04"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, away),
    },
];

/// Whether the device reports `status`.
pub(super) fn is(status: &'static str) -> impl Fn(&State) -> bool {
    move |state| state.text("status") == status
}

/// Calls with the good image, and waits for the end of the update; returns where it began.
pub(super) async fn update(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    words: &'static Words,
) -> Checked<usize> {
    let uri = agent.images().good;
    let answer = agent.call_update(requirement, &uri).await?;
    let told = answer.told();
    agent.demand(requirement, answer.is_accepted(), "the call is accepted", told);
    let allowed = format!("the status {:?}", words.last());
    agent.shows(requirement, &allowed, (PATTERN, answer.from), is(words.last())).await?;
    Ok(answer.from)
}

async fn success(agent: &mut AgentBench<'_>) -> Checked {
    let words = agent.words()?;
    agent.start_device(PATTERN).await?;
    let from = update(agent, "FW-S01", words).await?;
    let history = agent.history(PATTERN);
    let seen: Vec<String> = history
        .since(from)
        .filter(|state| state.is_news())
        .map(|state| state.text("status").to_owned())
        .collect();
    let allowed: Vec<String> = words.steps.iter().map(|(status, _)| (*status).to_owned()).collect();
    agent.equal("FW-C07", "the statuses", allowed, seen);
    let times: Vec<&str> = words.steps.iter().filter_map(|(_, time)| *time).collect();
    let stamps: Vec<String> = times.iter().map(|name| history.now(name).to_owned()).collect();
    let in_order = stamps.is_sorted();
    let told = format!("{times:?} are {stamps:?}");
    agent.demand("FW-C10", in_order, "times that do not go back", told);
    agent.rules_hold(PATTERN, &["FW-C06"]);
    Ok(())
}

async fn any_address(agent: &mut AgentBench<'_>) -> Checked {
    if agent.words()?.checks_first {
        return Err(Stop::Unsupported("later devices look at the address first".to_owned()));
    }
    agent.start_device(PATTERN).await?;
    let answer = agent.call_update("FW-C04", "http://files.example/fw-9.bin").await?;
    agent.equal("FW-C04", "the status of the answer", 200, answer.status);
    let text = json!("FirmwareUpdate started");
    agent.equal("FW-C04", "its payload", text.to_string(), answer.payload.to_string());
    Ok(())
}

async fn insecure(agent: &mut AgentBench<'_>) -> Checked {
    let words = agent.words()?;
    if !words.checks_first || words.is_bare {
        return Err(Stop::Unsupported("the variant does not look at the address first".to_owned()));
    }
    agent.start_device(PATTERN).await?;
    let answer = agent.call_update("FW-C05", "http://files.example/fw-9.bin").await?;
    agent.equal("FW-C05", "the status of the answer", 400, answer.status);
    // What the device says of the refused call, it says before it tells of the next one.
    let good = update(agent, "FW-C05", words).await?;
    let history = agent.history(PATTERN);
    let early = history.since(answer.from).find(|state| state.number < good).cloned();
    let bad = history.since(answer.from).find(|state| {
        state.text("fwPackageUri").starts_with("http:") || words.is_failure(state.text("status"))
    });
    let said = early.or_else(|| bad.cloned());
    let seen = said.as_ref().map(|state| state.patch.to_string()).unwrap_or_default();
    agent.demand("FW-C05", said.is_none(), "no report about a refused call", seen);
    Ok(())
}

async fn bare(agent: &mut AgentBench<'_>) -> Checked {
    let words = agent.words()?;
    if !words.is_bare {
        return Err(Stop::Unsupported("the variant takes an object".to_owned()));
    }
    agent.start_device(PATTERN).await?;
    let empty = agent.call_update("FW-C13", "").await?;
    agent.equal("FW-C13", "the answer to an empty address", 400, empty.status);
    let other = agent.call_method("FW-C13", "selfDestruct", &json!("x")).await?;
    agent.equal("FW-C13", "the answer to another method", 400, other.status);
    update(agent, "FW-C13", words).await?;
    Ok(())
}

async fn busy(agent: &mut AgentBench<'_>) -> Checked {
    let words = agent.words()?;
    agent.start_device(PATTERN).await?;
    let uri = agent.images().good;
    let first = agent.call_update("FW-S01", &uri).await?;
    let place = (PATTERN, first.from);
    agent.shows("FW-S01", "the status \"downloading\"", place, is("downloading")).await?;
    let second = agent.call_update("FW-C12", &uri).await?;
    let tag = if second.is_accepted() { "one-after-the-other" } else { "refused" };
    agent.decides("A-F08", tag, second.told());
    let allowed = "the end of the first update";
    let end = agent.shows("FW-C12", allowed, place, is(words.last())).await?;
    let history = agent.history(PATTERN);
    let during = history.since(first.from).filter(|state| state.number <= end.number);
    let seen: Vec<String> = during
        .filter(|state| state.is_news())
        .map(|state| state.text("status").to_owned())
        .collect();
    let steps: Vec<String> = words.steps.iter().map(|(status, _)| (*status).to_owned()).collect();
    agent.equal("FW-C12", "the statuses of one update", steps, seen);
    Ok(())
}

async fn away(agent: &mut AgentBench<'_>) -> Checked {
    let words = agent.words()?;
    if words.is_bare {
        // It says nothing when it has ended: nothing can be missed.
        return Err(Stop::Unsupported("the variant has no word for its end".to_owned()));
    }
    agent.start_device(PATTERN).await?;
    let uri = agent.images().good;
    let call = agent.call_update("FW-S01", &uri).await?;
    let place = (PATTERN, call.from);
    agent.shows("FW-S01", "the status \"applying\"", place, is("applying")).await?;
    agent.send_away().await?;
    agent.shows("FW-S04", "the end of the update", place, is(words.last())).await?;
    agent.rules_hold(PATTERN, &["FW-S01"]);
    Ok(())
}
