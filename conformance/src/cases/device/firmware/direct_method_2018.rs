//! Pattern (d) of 2018 (firmware-patterns.md § d.1 to d.3).

use serde_json::json;

use crate::bench::agent::AgentBench;
use crate::bench::agent::firmware::words::DIRECT_METHOD_2018;
use crate::bench::agent::firmware::{Pattern, State};
use crate::case::{Case, Claim, Need};
use crate::firmware_body;
use crate::verdict::Checked;

const PATTERN: Pattern = Pattern::DirectMethod2018;
const NEEDS: &[Need] = &[Need::Claim(Claim::Pattern(PATTERN))];

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "firmware-direct-method-2018-start",
        title: "A device that has just started stands by",
        requirements: &["FW-D03"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, start),
    },
    Case {
        id: "firmware-direct-method-2018-success",
        title: "A call is answered at once, and the update goes through its statuses with their times",
        requirements: &["FW-D04", "FW-D05", "FW-D06", "FW-D07", "FW-S01"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, success),
    },
    Case {
        id: "firmware-direct-method-2018-other-method",
        title: "Another method is answered with an error",
        requirements: &["FW-D09"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, other_method),
    },
    Case {
        id: "firmware-direct-method-2018-busy",
        title: "A second call during an update does not mix with it",
        requirements: &["FW-D10", "A-F08"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, busy),
    },
    Case {
        id: "firmware-direct-method-2018-away",
        title: "What happened while the device was away is in the twin when it is back",
        requirements: &["FW-S01", "FW-S04"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, away),
    },
];

fn is(status: &'static str) -> impl Fn(&State) -> bool {
    move |state| {
        // Other things at the root are no news about the firmware.
        state.patch.get("firmwareStatus").is_some() && state.text("firmwareStatus") == status
    }
}

/// The statuses of an update, without those that are said again.
const STATUSES: [&str; 3] = ["downloading", "applying", "completed"];

async fn start(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let any = |state: &State| state.patch.get("firmwareStatus").is_some();
    let first = agent.shows("FW-D03", "a firmwareStatus", (PATTERN, 0), any).await?;
    let status = first.text("firmwareStatus").to_owned();
    agent.equal("FW-D03", "the first status", "standBy".to_owned(), status);
    let has_time = first.patch.get("logTime").is_some();
    agent.demand("FW-D03", has_time, "logTime with it", first.patch.to_string());
    Ok(())
}

async fn success(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let uri = agent.images().good;
    let call = agent.call_update("FW-S01", &uri).await?;
    let place = (PATTERN, call.from);
    agent.demand("FW-S01", call.is_accepted(), "the call is accepted", call.told());
    agent.shows("FW-S01", "completed", place, is("completed")).await?;
    let seen = statuses(agent, call.from, usize::MAX);
    agent.equal("FW-D05", "the statuses", STATUSES.map(str::to_owned).to_vec(), seen);
    let history = agent.history(PATTERN);
    for (status, companion) in DIRECT_METHOD_2018.into_iter().skip(1) {
        let is_there = history.since(call.from).any(|state| {
            state.patch.get("firmwareStatus") == Some(&json!(status))
                && state.patch.get(companion).is_some()
        });
        let allowed = format!("{status} and {companion} in one patch");
        agent.demand("FW-D06", is_there, allowed, history.now(companion).to_owned());
    }
    agent.rules_hold(PATTERN, &["FW-D04", "FW-D07"]);
    Ok(())
}

/// The statuses from one number to another that are new.
fn statuses(agent: &AgentBench<'_>, from: usize, to: usize) -> Vec<String> {
    let history = agent.history(PATTERN);
    let news = history.since(from).filter(|state| state.number <= to && state.is_news());
    let told = news.filter(|state| state.patch.get("firmwareStatus").is_some());
    // What a device says at its start may come after the first call.
    let statuses = told.map(|state| state.text("firmwareStatus").to_owned());
    statuses.filter(|status| status != "standBy").collect()
}

async fn other_method(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let answer = agent.call_method("FW-D09", "selfDestruct", &json!({})).await?;
    agent.demand("FW-D09", answer.status >= 400, "a status of 400 or more", answer.told());
    Ok(())
}

async fn busy(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let uri = agent.images().good;
    let first = agent.call_update("FW-S01", &uri).await?;
    let place = (PATTERN, first.from);
    agent.shows("FW-S01", "downloading", place, is("downloading")).await?;
    let second = agent.call_update("FW-D10", &uri).await?;
    let tag = if second.is_accepted() { "one-after-the-other" } else { "refused" };
    agent.decides("A-F08", tag, second.told());
    let end = agent.shows("FW-D10", "the end of the first update", place, is("completed")).await?;
    let seen = statuses(agent, first.from, end.number);
    let allowed = STATUSES.map(str::to_owned).to_vec();
    agent.equal("FW-D10", "the statuses of one update", allowed, seen);
    Ok(())
}

async fn away(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let uri = agent.images().good;
    let call = agent.call_update("FW-S01", &uri).await?;
    let place = (PATTERN, call.from);
    agent.shows("FW-S01", "applying", place, is("applying")).await?;
    agent.send_away().await?;
    agent.shows("FW-S04", "the end of the update", place, is("completed")).await?;
    agent.rules_hold(PATTERN, &["FW-S01"]);
    Ok(())
}
