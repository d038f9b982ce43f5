//! Pattern (b) of 2018: updates that go well (firmware-patterns.md § b.4 and b.5).

use crate::agent_profile::Images;
use crate::bench::agent::AgentBench;
use crate::bench::agent::firmware::words::{BLOCK, PHASES, is_phase};
use crate::bench::agent::firmware::{Pattern, State, Wanted};
use crate::case::{Case, Claim, Need};
use crate::firmware_body;
use crate::verdict::Checked;

pub(super) const PATTERN: Pattern = Pattern::TwinJob;
pub(super) const NEEDS: &[Need] = &[Need::Claim(Claim::Pattern(PATTERN))];

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "firmware-twin-job-start",
        title: "A device reports the block of six members after its connect",
        requirements: &["FW-B06"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, start),
    },
    Case {
        id: "firmware-twin-job-success",
        title: "An update goes through its four phases and ends with the new version",
        requirements: &[
            "FW-B07", "FW-B08", "FW-B09", "FW-B10", "FW-B11", "FW-B17", "FW-S01", "FW-S02",
        ],
        needs: NEEDS,
        run: firmware_body!(PATTERN, success),
    },
    Case {
        id: "firmware-twin-job-installed",
        title: "Neither a reconnect nor a restart updates to the version that runs already",
        requirements: &["FW-B20", "FW-S02"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, installed),
    },
    Case {
        id: "firmware-twin-job-away",
        title: "What happened while the device was away is in the twin when it is back",
        requirements: &["FW-S01", "FW-S04"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, away),
    },
    Case {
        id: "firmware-twin-job-cut",
        title: "A device that is cut off during a download tells the true phase when it is back",
        requirements: &["FW-S04"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, cut),
    },
];

/// A request for `version` with the good image.
pub(super) fn good<'a>(version: &'a str, images: &'a Images) -> Wanted<'a> {
    Wanted { version, uri: &images.good, check: &images.check_value }
}

/// Whether the device says that it runs `version` and that nothing is under way.
pub(super) fn runs(version: &str) -> impl Fn(&State) -> bool {
    move |state| {
        state.text("fwUpdateStatus") == "current" && state.text("currentFwVersion") == version
    }
}

/// Asks for `version`, and waits until it runs.
pub(super) async fn update(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    version: &str,
) -> Checked<usize> {
    let images = agent.images();
    let from = agent.want(good(version, &images)).await?;
    let allowed = format!("current with currentFwVersion {version}");
    agent.shows(requirement, &allowed, (PATTERN, from), runs(version)).await?;
    Ok(from)
}

/// The statuses reported from the number `from` on, in order.
pub(super) fn statuses(agent: &AgentBench<'_>, from: usize) -> Vec<String> {
    let history = agent.history(PATTERN);
    history.since(from).map(|state| state.text("fwUpdateStatus").to_owned()).collect()
}

async fn start(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let any = |_: &State| true;
    let first = agent.shows("FW-B06", "a report of firmware", (PATTERN, 0), any).await?;
    let missing: Vec<&str> =
        BLOCK.into_iter().filter(|name| first.patch.get(name).is_none()).collect();
    let seen = format!("{} without {}", first.patch, missing.join(", "));
    agent.demand("FW-B06", missing.is_empty(), "all six members in the first report", seen);
    Ok(())
}

async fn success(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let from = update(agent, "FW-S01", "9.1.0").await?;
    let history = agent.history(PATTERN);
    let told: Vec<(String, String)> = history
        .since(from)
        .map(|state| (state.text("fwUpdateStatus"), state.text("fwUpdateSubstatus")))
        .map(|(status, detail)| (status.to_owned(), detail.to_owned()))
        .collect();
    for (phase, first, last) in PHASES {
        let is_there = told.iter().any(|(status, _)| status == phase);
        let seen = format!("{:?}", statuses(agent, from));
        agent.demand("FW-B08", is_there, format!("the phase {phase}"), seen);
        for detail in [first, last] {
            let is_told = told.iter().any(|(s, d)| s == phase && d == detail);
            let allowed = format!("{phase} with the detail {detail:?}");
            agent.demand("FW-B09", is_told, allowed, format!("{told:?}"));
        }
    }
    let pending = history.since(from).find(|state| is_phase(state.text("fwUpdateStatus")));
    let pending = pending.map_or("nothing", |state| state.text("pendingFwVersion")).to_owned();
    agent.equal("FW-B10", "the version that is pending", "9.1.0".to_owned(), pending);
    let begins = history.now("lastFwUpdateStartTime").to_owned();
    agent.demand("FW-B17", !begins.is_empty(), "lastFwUpdateStartTime after an update", "none");
    let ends = history.now("lastFwUpdateEndTime").to_owned();
    agent.demand("FW-B17", !ends.is_empty(), "lastFwUpdateEndTime after an update", "none");
    agent.rules_hold(PATTERN, &["FW-B07", "FW-B11", "FW-S02"]);
    Ok(())
}

async fn installed(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    update(agent, "FW-S01", "9.1.0").await?;
    let from = agent.seen_count();
    agent.send_away().await?;
    agent.start_again(PATTERN).await?;
    // Whatever the device does about the old version, it does before the new one.
    let new = update(agent, "FW-B20", "9.2.0").await?;
    let history = agent.history(PATTERN);
    let again = history
        .since(from)
        .filter(|state| state.number < new || state.text("pendingFwVersion") != "9.2.0")
        .find(|state| is_phase(state.text("fwUpdateStatus")));
    let seen = again.map(|state| state.patch.to_string()).unwrap_or_default();
    agent.demand("FW-B20", again.is_none(), "no phase for the version that runs", seen);
    agent.rules_hold(PATTERN, &["FW-S02"]);
    Ok(())
}

async fn away(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let images = agent.images();
    let from = agent.want(good("9.1.0", &images)).await?;
    let reboots = |state: &State| state.text("fwUpdateStatus") == "rebooting";
    agent.shows("FW-S01", "the phase rebooting", (PATTERN, from), reboots).await?;
    agent.send_away().await?;
    agent.shows("FW-S04", "the end of the update", (PATTERN, from), runs("9.1.0")).await?;
    agent.rules_hold(PATTERN, &["FW-S01"]);
    Ok(())
}

async fn cut(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let images = agent.images();
    let from = agent.want(good("9.1.0", &images)).await?;
    let downloads = |state: &State| state.text("fwUpdateStatus") == "downloading";
    agent.shows("FW-S01", "the phase downloading", (PATTERN, from), downloads).await?;
    let cut = agent.seen_count();
    agent.cut();
    agent.look_from(cut);
    agent.comes_back().await?;
    let is_first = |state: &State| state.is_first;
    let first = agent.shows("FW-S04", "a report after it", (PATTERN, cut), is_first).await?;
    // Whatever it has come to meanwhile: it works on the version, or it runs it.
    let works = is_phase(first.text("fwUpdateStatus")) && first.text("pendingFwVersion") == "9.1.0";
    let holds = works || runs("9.1.0")(&first);
    let allowed = "a phase with 9.1.0 pending, or current with 9.1.0";
    agent.demand("FW-S04", holds, allowed, first.block.to_string());
    agent.shows("FW-S01", "the end of the update", (PATTERN, cut), runs("9.1.0")).await?;
    Ok(())
}
