//! Pattern (c) of 2016: downloads and applications that fail (firmware-patterns.md § c.3 and c.5).

use super::direct_method::{NEEDS, PATTERN, is};
use crate::bench::agent::AgentBench;
use crate::bench::agent::firmware::State;
use crate::case::Case;
use crate::firmware_body;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "firmware-direct-method-download-fails",
        title: "An image that cannot be fetched ends the update with an error",
        requirements: &["FW-C08", "FW-C09", "FW-C11", "FW-S01", "A-F07"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, fails, Bad::Missing),
    },
    Case {
        id: "firmware-direct-method-apply-fails",
        title: "An image that cannot be applied ends the update with an error",
        requirements: &["FW-C08", "FW-C09", "FW-C11", "FW-S01"],
        needs: NEEDS,
        run: firmware_body!(PATTERN, fails, Bad::Broken),
    },
];

/// What is wrong with an image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bad {
    Missing,
    Broken,
}

async fn fails(agent: &mut AgentBench<'_>, bad: Bad) -> Checked {
    let (words, images) = (agent.words()?, agent.images());
    let (uri, word) = match bad {
        Bad::Missing => (images.missing, words.download_failed),
        Bad::Broken => (images.broken, words.apply_failed),
    };
    if uri.is_empty() {
        return Err(Stop::Unsupported("the profile names no such image".to_owned()));
    }
    agent.start_device(PATTERN).await?;
    let call = agent.call_update("FW-S01", &uri).await?;
    // In capitals or not: which of both is a matter of its own.
    let ends = |state: &State| {
        let status = state.text("status");
        status.eq_ignore_ascii_case(word) || status == words.last() && !words.is_bare
    };
    let allowed = format!("the status {word:?}");
    let end = agent.shows("FW-S01", &allowed, (PATTERN, call.from), ends).await?;
    agent.equal("FW-C08", "the status", word.to_owned(), end.text("status").to_owned());
    if bad == Bad::Missing {
        let is_by_spelling = end.text("status") == word;
        let tag = if is_by_spelling { "by-spelling" } else { "either-case" };
        agent.decides("A-F07", tag, end.text("status"));
    }
    let has = |pointer| end.block.pointer(pointer).is_some_and(|value| !value.is_null());
    let is_told = has("/error/code") && has("/error/message");
    agent.demand("FW-C09", is_told, "error with code and message", end.block.to_string());
    // The next call tells where the failed update has stopped.
    let next = agent.call_update("FW-C11", &images.good).await?;
    if next.is_accepted() {
        let place = (PATTERN, next.from);
        agent.shows("FW-S01", "the end of the next update", place, is(words.last())).await?;
    } else {
        // The device in C takes no call after a failure (§ c.6); what goes on gets time to show it.
        let allowed = "an update that has failed is over: the next call is accepted";
        agent.demand("FW-S01", words.is_bare, allowed, next.told());
        agent.quiet().await;
    }
    let first = words.steps.first().map_or("", |(status, _)| status);
    let history = agent.history(PATTERN);
    let later = history.since(end.number + 1).find(|state| state.is_news());
    let holds = later.is_none_or(|state| state.text("status") == first);
    let seen = later.map(|state| state.patch.to_string()).unwrap_or_default();
    agent.demand("FW-C11", holds, "nothing more of an update that has failed", seen);
    Ok(())
}
