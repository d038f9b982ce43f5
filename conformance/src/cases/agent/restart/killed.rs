//! An agent that is killed at any moment, as when the power fails, and started again.

use serde_json::json;
use twinspec_harness::content::Manner;

use super::super::RESUMED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Deployed, NO_DEPLOYMENT, Phase, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "restart-killed-when-asked",
        title: "An agent killed while a handler is asked carries the deployment out afterwards",
        requirements: &["ADU-AGENT-071"],
        needs: RESUMED,
        run: agent_body!(killed_in, Phase::IsInstalled),
    },
    Case {
        id: "restart-killed-in-download",
        title: "An agent killed in the download phase carries the deployment out afterwards",
        requirements: &["ADU-AGENT-071"],
        needs: RESUMED,
        run: agent_body!(killed_in, Phase::Download),
    },
    Case {
        id: "restart-killed-in-install",
        title: "An agent killed in the install phase carries the deployment out afterwards",
        requirements: &["ADU-AGENT-071"],
        needs: RESUMED,
        run: agent_body!(killed_in, Phase::Install),
    },
    Case {
        id: "restart-killed-in-apply",
        title: "An agent killed in the apply phase carries the deployment out afterwards",
        requirements: &["ADU-AGENT-071"],
        needs: RESUMED,
        run: agent_body!(killed_in, Phase::Apply),
    },
    Case {
        id: "restart-killed-while-fetching",
        title: "An agent killed during a download carries the deployment out afterwards",
        requirements: &["ADU-AGENT-071"],
        needs: RESUMED,
        run: agent_body!(killed_while_fetching),
    },
    Case {
        id: "restart-killed-when-installed",
        title: "An update that was applied when the agent was killed is reported as success",
        requirements: &["ADU-AGENT-070"],
        needs: RESUMED,
        run: agent_body!(killed_when_installed),
    },
    Case {
        id: "restart-killed-idle",
        title: "An agent killed while it idles carries out what was deployed meanwhile",
        requirements: &["ADU-AGENT-011"],
        needs: RESUMED,
        run: agent_body!(killed_idle),
    },
    Case {
        id: "restart-cancelled-meanwhile",
        title: "A deployment that was cancelled while the agent was dead is not carried out",
        requirements: &["ADU-AGENT-098"],
        needs: RESUMED,
        run: agent_body!(cancelled_meanwhile),
    },
    Case {
        id: "restart-replaced-meanwhile",
        title: "Of two deployments the one that is desired at the restart is carried out",
        requirements: &["ADU-AGENT-087"],
        needs: RESUMED,
        run: agent_body!(replaced_meanwhile),
    },
    Case {
        id: "restart-after-failure",
        title: "After a failure and a restart another deployment runs its own payload",
        requirements: &["ADU-AGENT-061"],
        needs: RESUMED,
        run: agent_body!(after_failure),
    },
    Case {
        id: "restart-repeatedly",
        title: "An agent that is killed three times in a deployment still ends it",
        requirements: &["ADU-AGENT-071"],
        needs: RESUMED,
        run: agent_body!(repeatedly),
    },
    Case {
        id: "restart-report-lost",
        title: "A success whose report was lost with the agent is reported after the restart",
        requirements: &["ADU-AGENT-070"],
        needs: RESUMED,
        run: agent_body!(report_lost),
    },
];

/// Waits for the success of `deployed`, from now on.
async fn demand_success_from_now(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    deployed: Deployed,
    from: usize,
) -> Checked {
    let deployed = Deployed { from, ..deployed };
    let report = agent.end_within(requirement, BACK, &deployed).await?;
    agent.demand_success(requirement, &deployed, &report);
    Ok(())
}

async fn killed_in(agent: &mut AgentBench<'_>, phase: Phase) -> Checked {
    agent.start().await?;
    let script = Script::good("a").gated(phase);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &script, phase).await?;
    agent.kill().await;
    let from = agent.seen_count();
    agent.open_gate(&script, phase)?;
    agent.launch().await?;
    demand_success_from_now(agent, "ADU-AGENT-071", deployed, from).await?;
    agent.demand_ran("ADU-AGENT-071", &[&script]);
    agent.still_works("ADU-AGENT-104").await
}

async fn killed_while_fetching(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    let file = agent.add_file(&mut plan, "payload.bin", &[9; 50_000]);
    plan.set("/instructions/steps/0/files", json!(plan.file_ids()))?;
    agent.content().set_manner(&file.path, Manner::StallAfter(20_000));
    let deployed = agent.deploy(&plan).await?;
    let is_asked = |agent: &AgentBench<'_>| agent.hits().iter().any(|hit| hit.path == file.path);
    let step = crate::bench::agent::STEP;
    agent.until("ADU-AGENT-048", "a request for the file", step, is_asked).await?;
    agent.kill().await;
    let from = agent.seen_count();
    agent.content().set_manner(&file.path, Manner::Whole);
    agent.launch().await?;
    demand_success_from_now(agent, "ADU-AGENT-071", deployed, from).await?;
    agent.demand_ran("ADU-AGENT-071", &[&script]);
    Ok(())
}

async fn killed_when_installed(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a").gated(Phase::Apply);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &script, Phase::Apply).await?;
    agent.kill().await;
    // The new image is in force all the same: the device came up with it.
    let preset = agent.device().preset_installed(&script);
    preset.map_err(|error| crate::verdict::Stop::Harness(error.to_string()))?;
    let installs = agent.times(&script, Phase::Install);
    let from = agent.seen_count();
    agent.launch().await?;
    demand_success_from_now(agent, "ADU-AGENT-070", deployed, from).await?;
    let after = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-070", "runs of install", installs, after);
    Ok(())
}

async fn killed_idle(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("before")]).await?;
    agent.kill().await;
    let script = Script::good("meanwhile");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.launch().await?;
    let from = deployed.from;
    demand_success_from_now(agent, "ADU-AGENT-011", deployed, from).await?;
    agent.demand_ran("ADU-AGENT-011", &[&script]);
    Ok(())
}

async fn cancelled_meanwhile(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a").gated(Phase::Install);
    let plan = agent.plan(&[&script])?;
    agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &script, Phase::Install).await?;
    agent.kill().await;
    agent.open_gate(&script, Phase::Install)?;
    agent.cancel(NO_DEPLOYMENT).await?;
    let before = agent.times(&script, Phase::Install);
    agent.launch().await?;
    agent.still_works("ADU-AGENT-098").await?;
    let after = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-098", "runs of install of the cancelled payload", before, after);
    Ok(())
}

async fn replaced_meanwhile(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let old = Script::good("old").gated(Phase::Install);
    let plan = agent.plan(&[&old])?;
    agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &old, Phase::Install).await?;
    agent.kill().await;
    agent.open_gate(&old, Phase::Install)?;
    let new = Script::good("new");
    let plan = agent.plan(&[&new])?;
    let deployed = agent.deploy(&plan).await?;
    let before = agent.times(&old, Phase::Install);
    agent.launch().await?;
    let from = deployed.from;
    demand_success_from_now(agent, "ADU-AGENT-087", deployed, from).await?;
    agent.demand_ran("ADU-AGENT-087", &[&new]);
    let after = agent.times(&old, Phase::Install);
    agent.equal("ADU-AGENT-087", "runs of install of the old payload", before, after);
    Ok(())
}

async fn after_failure(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let failed = Script::good("failed").failing(Phase::Install, 0x3050_0001, "no space");
    let plan = agent.plan(&[&failed])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    agent.restart().await?;
    let next = Script::good("next");
    let plan = agent.plan(&[&next])?;
    let deployed = agent.deploy(&plan).await?;
    let from = deployed.from;
    demand_success_from_now(agent, "ADU-AGENT-061", deployed, from).await?;
    agent.demand_ran("ADU-AGENT-061", &[&next]);
    Ok(())
}

async fn repeatedly(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a").gated(Phase::Install);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    for time in 1..=3 {
        agent.begins_again("ADU-AGENT-071", &script, Phase::Install, time).await?;
        agent.restart().await?;
    }
    let from = agent.seen_count();
    agent.open_gate(&script, Phase::Install)?;
    demand_success_from_now(agent, "ADU-AGENT-071", deployed, from).await?;
    agent.demand_ran("ADU-AGENT-071", &[&script]);
    Ok(())
}

async fn report_lost(agent: &mut AgentBench<'_>) -> Checked {
    use crate::bench::agent::{Treatment, What};
    agent.start().await?;
    let script = Script::good("a").gated(Phase::Apply);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-040", &script, Phase::Apply).await?;
    // From now on the hub hears nothing of states.
    agent.steer(|what| match what {
        What::Report { patch, .. } if patch.pointer("/deviceUpdate/agent/state").is_some() => {
            Treatment::Lose
        }
        _ => Treatment::Pass,
    });
    agent.open_gate(&script, Phase::Apply)?;
    agent.end("ADU-AGENT-041", &deployed).await?;
    agent.kill().await;
    agent.steer_no_more();
    let from = agent.seen_count();
    agent.launch().await?;
    demand_success_from_now(agent, "ADU-AGENT-070", deployed, from).await?;
    let runs = agent.times(&script, Phase::Install);
    agent.equal("ADU-AGENT-070", "runs of install", 1, runs);
    Ok(())
}
