//! Payloads that cannot be had, or are not what was signed.

use serde_json::json;
use twinspec_harness::content::Manner;

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Plan, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "failure-not-found",
        title: "A payload that is not there (404) fails the deployment with 255",
        requirements: &["ADU-AGENT-052", "ADU-AGENT-057"],
        needs: SCRIPTED,
        run: agent_body!(not_found, 404),
    },
    Case {
        id: "failure-forbidden",
        title: "A payload that is refused (403) fails the deployment with 255",
        requirements: &["ADU-AGENT-057"],
        needs: SCRIPTED,
        run: agent_body!(not_served, Manner::Refused(403)),
    },
    Case {
        id: "failure-server-error",
        title: "A server that only fails (500) fails the deployment with 255",
        requirements: &["ADU-AGENT-057"],
        needs: SCRIPTED,
        run: agent_body!(not_served, Manner::Refused(500)),
    },
    Case {
        id: "failure-wrong-bytes",
        title: "A payload with one changed byte fails the deployment and is given to no handler",
        requirements: &["ADU-AGENT-049"],
        needs: SCRIPTED,
        run: agent_body!(wrong_bytes, Manner::Changed),
    },
    Case {
        id: "failure-short-file",
        title: "A payload that is too short is given to no handler",
        requirements: &["ADU-AGENT-049"],
        needs: SCRIPTED,
        run: agent_body!(wrong_bytes, Manner::Short(5)),
    },
    Case {
        id: "failure-broken-off",
        title: "A payload whose download always breaks off is given to no handler",
        requirements: &["ADU-AGENT-049"],
        needs: SCRIPTED,
        run: agent_body!(wrong_bytes, Manner::CutAfter(5)),
    },
    Case {
        id: "failure-wrong-script",
        title: "A script that was changed does not run, not even to be asked",
        requirements: &["ADU-AGENT-044"],
        needs: SCRIPTED,
        run: agent_body!(wrong_script),
    },
    Case {
        id: "failure-stalled",
        title: "A download that stalls for ever is given up",
        requirements: &["ADU-AGENT-057"],
        needs: SCRIPTED,
        run: agent_body!(not_served, Manner::StallAfter(5)),
    },
    Case {
        id: "failure-no-url",
        title: "A file without URL fails the deployment",
        requirements: &["ADU-AGENT-051"],
        needs: SCRIPTED,
        run: agent_body!(without_url, UrlFlaw::Missing),
    },
    Case {
        id: "failure-null-url",
        title: "A file whose URL is null fails the deployment",
        requirements: &["ADU-AGENT-051"],
        needs: SCRIPTED,
        run: agent_body!(without_url, UrlFlaw::Null),
    },
    Case {
        id: "failure-no-urls",
        title: "A deployment without any URL fails",
        requirements: &["ADU-AGENT-051"],
        needs: SCRIPTED,
        run: agent_body!(without_url, UrlFlaw::NoneAtAll),
    },
    Case {
        id: "failure-bad-url",
        title: "A URL that is none fails the deployment",
        requirements: &["ADU-AGENT-057"],
        needs: SCRIPTED,
        run: agent_body!(other_url, "not a URL at all"),
    },
    Case {
        id: "failure-nobody-there",
        title: "A server that is not there fails the deployment",
        requirements: &["ADU-AGENT-057"],
        needs: SCRIPTED,
        // Port 9 of the loopback interface: nothing listens there.
        run: agent_body!(other_url, "http://127.0.0.1:9/payload.bin"),
    },
    Case {
        id: "failure-swapped-files",
        title: "Files whose URLs are swapped fail the deployment",
        requirements: &["ADU-AGENT-049"],
        needs: SCRIPTED,
        run: agent_body!(swapped_files),
    },
];

/// A payload script with one more file, both used by the one step; returns the other file's place.
fn with_file(
    agent: &mut AgentBench<'_>,
    script: &Script,
) -> Checked<(Plan, crate::bench::agent::deploy::FileId)> {
    let mut plan = agent.plan(&[script])?;
    let file = agent.add_file(&mut plan, "payload.bin", b"ten or more bytes of payload");
    plan.set("/instructions/steps/0/files", json!(plan.file_ids()))?;
    Ok((plan, file))
}

/// A deployment of a good file, before the bad one.
async fn control(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("fine");
    let (plan, _) = with_file(agent, &script)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    Ok(())
}

/// Deploys `plan`, demands its failure in the download, and that nothing was installed.
async fn fails(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    script: &Script,
    plan: &Plan,
) -> Checked {
    let deployed = agent.deploy(plan).await?;
    let report = agent.end_within(requirement, BACK, &deployed).await?;
    agent.demand_failure(requirement, &deployed, &report);
    let installs = agent.times(script, crate::bench::agent::Phase::Install);
    agent.equal(requirement, "runs of install", 0, installs);
    agent.equal("ADU-AGENT-057", "final state", Some(255), report.state());
    agent.still_works("ADU-AGENT-104").await
}

async fn not_found(agent: &mut AgentBench<'_>, status: u16) -> Checked {
    control(agent).await?;
    let script = Script::good("bad");
    let (plan, file) = with_file(agent, &script)?;
    agent.content().set_manner(&file.path, Manner::Refused(status));
    fails(agent, "ADU-AGENT-052", &script, &plan).await
}

async fn not_served(agent: &mut AgentBench<'_>, manner: Manner) -> Checked {
    control(agent).await?;
    let script = Script::good("bad");
    let (plan, file) = with_file(agent, &script)?;
    agent.content().set_manner(&file.path, manner);
    fails(agent, "ADU-AGENT-057", &script, &plan).await
}

async fn wrong_bytes(agent: &mut AgentBench<'_>, manner: Manner) -> Checked {
    control(agent).await?;
    let script = Script::good("bad");
    let (plan, file) = with_file(agent, &script)?;
    agent.content().set_manner(&file.path, manner);
    fails(agent, "ADU-AGENT-049", &script, &plan).await
}

async fn wrong_script(agent: &mut AgentBench<'_>) -> Checked {
    control(agent).await?;
    let script = Script::good("bad");
    let mut plan = agent.plan(&[])?;
    let file = agent.add_step(&mut plan, &script);
    agent.content().set_manner(&file.path, Manner::Changed);
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-AGENT-049", BACK, &deployed).await?;
    agent.demand_failure("ADU-AGENT-049", &deployed, &report);
    agent.demand_untouched("ADU-AGENT-044", &script);
    agent.still_works("ADU-AGENT-104").await
}

/// What is wrong with a file's URL.
enum UrlFlaw {
    Missing,
    Null,
    NoneAtAll,
}

async fn without_url(agent: &mut AgentBench<'_>, flaw: UrlFlaw) -> Checked {
    control(agent).await?;
    let script = Script::good("bad");
    let (mut plan, file) = with_file(agent, &script)?;
    match flaw {
        UrlFlaw::Missing => drop(plan.urls.remove(&file.id)),
        UrlFlaw::Null => drop(plan.urls.insert(file.id, json!(null))),
        UrlFlaw::NoneAtAll => plan.urls.clear(),
    }
    fails(agent, "ADU-AGENT-051", &script, &plan).await
}

async fn other_url(agent: &mut AgentBench<'_>, url: &str) -> Checked {
    control(agent).await?;
    let script = Script::good("bad");
    let (mut plan, file) = with_file(agent, &script)?;
    plan.urls.insert(file.id, json!(url));
    fails(agent, "ADU-AGENT-057", &script, &plan).await
}

async fn swapped_files(agent: &mut AgentBench<'_>) -> Checked {
    control(agent).await?;
    let script = Script::good("bad");
    let (mut plan, one) = with_file(agent, &script)?;
    let other = agent.add_file(&mut plan, "other.bin", b"quite another payload here..");
    plan.set("/instructions/steps/0/files", json!(plan.file_ids()))?;
    let (one_url, other_url) = (agent.url_of(&one), agent.url_of(&other));
    plan.urls.insert(one.id, json!(other_url));
    plan.urls.insert(other.id, json!(one_url));
    fails(agent, "ADU-AGENT-049", &script, &plan).await
}
