//! Pattern (b) of 2018: requests that are refused (firmware-patterns.md § b.3, hazards of § b.5).

use serde_json::json;

use super::twin_job::{NEEDS, PATTERN, good, runs, statuses, update};
use crate::bench::agent::AgentBench;
use crate::bench::agent::firmware::words::is_phase;
use crate::bench::agent::firmware::{State, Wanted};
use crate::case::Case;
use crate::firmware_body;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "firmware-twin-job-equal-version",
        title: "A request for the version that runs starts no update",
        requirements: &["FW-B12"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, equal_version),
    },
    Case {
        id: "firmware-twin-job-busy",
        title: "A request during an update changes nothing about it",
        requirements: &["FW-B13", "FW-B18", "FW-B22"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, busy),
    },
    Case {
        id: "firmware-twin-job-insecure",
        title: "An address without https is refused with an error, and a good one is served after it",
        requirements: &["FW-B14", "FW-B21"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, insecure),
    },
    Case {
        id: "firmware-twin-job-partial",
        title: "A patch with one member only does not end the agent",
        requirements: &["FW-B19"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, partial),
    },
];

async fn equal_version(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    update(agent, "FW-S01", "9.1.0").await?;
    let images = agent.images();
    let from = agent.want(good("9.1.0", &images)).await?;
    update(agent, "FW-B12", "9.2.0").await?;
    let history = agent.history(PATTERN);
    let wrong = history.since(from).find(|state| {
        is_phase(state.text("fwUpdateStatus")) && state.text("pendingFwVersion") != "9.2.0"
    });
    let seen = wrong.map(|state| state.patch.to_string()).unwrap_or_default();
    agent.demand("FW-B12", wrong.is_none(), "no phase for the version that runs", seen);
    Ok(())
}

async fn busy(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let images = agent.images();
    let from = agent.want(good("9.1.0", &images)).await?;
    let downloads = |state: &State| state.text("fwUpdateStatus") == "downloading";
    agent.shows("FW-S01", "the phase downloading", (PATTERN, from), downloads).await?;
    let check = match images.wrong_check_value.as_str() {
        "" => &images.check_value,
        wrong => wrong,
    };
    let second = Wanted { version: "9.9.9", uri: &images.good, check };
    let asked = agent.want(second).await?;
    let is_over = |state: &State| {
        let is_new = ["9.1.0", "9.9.9"].contains(&state.text("currentFwVersion"));
        state.text("fwUpdateStatus") == "rolledback" || is_new
    };
    let end =
        agent.shows("FW-B13", "the end of the first update", (PATTERN, asked), is_over).await?;
    let allowed = "the first request succeeds, with its own check value and version";
    agent.demand("FW-B18", runs("9.1.0")(&end), allowed, end.block.to_string());
    let history = agent.history(PATTERN);
    let during = || history.since(from).filter(|state| state.number < end.number);
    // A phase that is hidden goes on: it does not begin again.
    let hides = |state: &&State| {
        is_phase(state.was("fwUpdateStatus")) && state.text("fwUpdateStatus") == "current"
    };
    let mut phases: Vec<&str> =
        during().filter(|state| !hides(state)).map(|state| state.text("fwUpdateStatus")).collect();
    phases.dedup();
    let count = phases.iter().filter(|phase| **phase == "downloading").count();
    let told = format!("{:?}", statuses(agent, from));
    agent.demand("FW-B13", count == 1, "one download", told);
    let pending = |state: &&State| is_phase(state.text("fwUpdateStatus"));
    let other = during().filter(pending).find(|state| state.text("pendingFwVersion") != "9.1.0");
    let seen = other.map(|state| state.patch.to_string()).unwrap_or_default();
    agent.demand("FW-B13", other.is_none(), "9.1.0 is pending to the end", seen);
    let hidden = during().find(hides);
    let seen = hidden.map(|state| state.patch.to_string()).unwrap_or_default();
    agent.demand("FW-B22", hidden.is_none(), "the phase stays to the end of the update", seen);
    Ok(())
}

async fn insecure(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    let images = agent.images();
    let uri = "http://files.example/fw-9.bin";
    let from = agent.want(Wanted { version: "9.1.0", uri, check: &images.check_value }).await?;
    let refuses = |state: &State| state.text("fwUpdateStatus") == "error";
    agent.shows("FW-B14", "fwUpdateStatus error", (PATTERN, from), refuses).await?;
    let good = update(agent, "FW-B21", "9.2.0").await?;
    let history = agent.history(PATTERN);
    let wrong = history
        .since(from)
        .filter(|state| state.number < good || state.text("pendingFwVersion") == "9.1.0")
        .find(|state| is_phase(state.text("fwUpdateStatus")));
    let seen = wrong.map(|state| state.patch.to_string()).unwrap_or_default();
    agent.demand("FW-B14", wrong.is_none(), "no phase for an address without https", seen);
    agent.rules_hold(PATTERN, &["FW-B21"]);
    Ok(())
}

async fn partial(agent: &mut AgentBench<'_>) -> Checked {
    agent.start_device(PATTERN).await?;
    agent.want_some(&json!({ "fwPackageCheckValue": "00" })).await?;
    update(agent, "FW-B19", "9.1.0").await?;
    agent.rules_hold(PATTERN, &["FW-B19"]);
    Ok(())
}
