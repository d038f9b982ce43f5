//! Pattern (b) of 2018: phases that fail (firmware-patterns.md § b.5, rows 7, 8 and 12).

use super::twin_job::{NEEDS, PATTERN, runs, update};
use crate::bench::agent::AgentBench;
use crate::bench::agent::firmware::{State, Wanted};
use crate::case::Case;
use crate::firmware_body;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "firmware-twin-job-verify-fails",
        title: "An image with another check value is rolled back, and a good one is served after it",
        requirements: &["FW-B15", "FW-B16", "FW-B21", "FW-S01", "FW-S02"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, fails, Bad::Check),
    },
    Case {
        id: "firmware-twin-job-download-fails",
        title: "An image that cannot be fetched is rolled back",
        requirements: &["FW-B15", "FW-S01"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, fails, Bad::Missing),
    },
    Case {
        id: "firmware-twin-job-apply-fails",
        title: "An image that cannot be applied is rolled back",
        requirements: &["FW-B15", "FW-S01"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, fails, Bad::Broken),
    },
];

/// What is wrong with an image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bad {
    Check,
    Missing,
    Broken,
}

async fn fails(agent: &mut AgentBench<'_>, bad: Bad) -> Checked {
    let images = agent.images();
    let (uri, check, provokes, after) = match bad {
        Bad::Check => {
            (&images.good, &images.wrong_check_value, &images.wrong_check_value, "verifying")
        }
        Bad::Missing => (&images.missing, &images.check_value, &images.missing, "downloading"),
        Bad::Broken => (&images.broken, &images.check_value, &images.broken, "applying"),
    };
    if provokes.is_empty() {
        return Err(Stop::Unsupported("the profile names no such image".to_owned()));
    }
    agent.start_device(PATTERN).await?;
    update(agent, "FW-S01", "9.1.0").await?;
    let from = agent.want(Wanted { version: "9.2.0", uri, check }).await?;
    let is_error = |state: &State| state.text("fwUpdateStatus") == "error";
    let error = agent.shows("FW-B15", "fwUpdateStatus error", (PATTERN, from), is_error).await?;
    let detail = error.text("fwUpdateSubstatus");
    let allowed = "an error that says what is wrong";
    agent.demand("FW-B15", !detail.is_empty(), allowed, error.patch.to_string());
    let seen = error.was("fwUpdateStatus");
    agent.equal("FW-B15", "the phase that failed", after.to_owned(), seen.to_owned());
    let is_back = |state: &State| state.text("fwUpdateStatus") == "rolledback";
    let place = (PATTERN, error.number);
    let back = agent.shows("FW-B15", "rolledback after the error", place, is_back).await?;
    let version = back.text("currentFwVersion").to_owned();
    agent.equal("FW-B15", "the version that runs", "9.1.0".to_owned(), version);
    agent.rules_hold(PATTERN, &["FW-S01"]);
    if bad == Bad::Check {
        let detail = back.text("fwUpdateSubstatus").to_owned();
        agent.equal("FW-B16", "the detail", "Rolled back to: 9.1.0".to_owned(), detail);
        let from = update(agent, "FW-B21", "9.3.0").await?;
        let place = (PATTERN, from);
        agent.shows("FW-B21", "the new version", place, runs("9.3.0")).await?;
        agent.rules_hold(PATTERN, &["FW-B21", "FW-S02"]);
    }
    Ok(())
}
