//! The deployment after a failed one: it runs its own payload (device-update-agent.md § 6.6).

use serde_json::json;
use twinspec_harness::content::Manner;

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, Phase, Plan, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "failure-then-other-after-download",
        title: "After a failed download another deployment runs its own payload",
        requirements: &["ADU-AGENT-061"],
        needs: SCRIPTED,
        run: agent_body!(other_payload, At::Download),
    },
    Case {
        id: "failure-then-other-after-install",
        title: "After a failed install another deployment runs its own payload",
        requirements: &["ADU-AGENT-061"],
        needs: SCRIPTED,
        run: agent_body!(other_payload, At::Install),
    },
    Case {
        id: "failure-then-other-after-handler",
        title: "After an unknown handler another deployment runs its own payload",
        requirements: &["ADU-AGENT-062"],
        needs: SCRIPTED,
        run: agent_body!(other_payload, At::Handler),
    },
    Case {
        id: "failure-then-more-steps",
        title: "After a failed deployment of one step one of two steps runs both",
        requirements: &["ADU-AGENT-062"],
        needs: SCRIPTED,
        run: agent_body!(other_shape, 1, 2),
    },
    Case {
        id: "failure-then-fewer-steps",
        title: "After a failed deployment of three steps one of one step runs it alone",
        requirements: &["ADU-AGENT-062"],
        needs: SCRIPTED,
        run: agent_body!(other_shape, 3, 1),
    },
    Case {
        id: "failure-several-then-success",
        title: "After four failures of different kinds a deployment still succeeds",
        requirements: &["ADU-AGENT-062", "ADU-AGENT-104"],
        needs: SCRIPTED,
        run: agent_body!(several),
    },
];

/// Where a deployment fails.
#[derive(Clone, Copy)]
enum At {
    Download,
    Install,
    Handler,
}

/// A deployment that fails at `at`.
fn failing(agent: &mut AgentBench<'_>, at: At, name: &str) -> Checked<(Plan, Script)> {
    let script = match at {
        At::Install => Script::good(name).failing(Phase::Install, 0x3050_0001, "no space"),
        At::Download | At::Handler => Script::good(name),
    };
    let mut plan = agent.plan(&[&script])?;
    match at {
        At::Download => {
            let file = agent.add_file(&mut plan, "missing.bin", b"nobody has this");
            plan.set("/instructions/steps/0/files", json!(plan.file_ids()))?;
            agent.content().set_manner(&file.path, Manner::Refused(404));
        }
        At::Handler => plan.set("/instructions/steps/0/handler", json!("nobody/nothing:1"))?,
        At::Install => {}
    }
    Ok((plan, script))
}

async fn fail(agent: &mut AgentBench<'_>, at: At, name: &str) -> Checked<Script> {
    let (plan, script) = failing(agent, at, name)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    Ok(script)
}

async fn other_payload(agent: &mut AgentBench<'_>, at: At) -> Checked {
    agent.start().await?;
    let requirement = match at {
        At::Handler => "ADU-AGENT-062",
        At::Download | At::Install => "ADU-AGENT-061",
    };
    let failed = fail(agent, at, "failed").await?;
    let before = agent.times(&failed, Phase::Install);
    let next = Script::good("next");
    let plan = agent.plan(&[&next])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end(requirement, &deployed).await?;
    agent.demand_success(requirement, &deployed, &report);
    agent.demand_ran(requirement, &[&next]);
    let runs = agent.times(&failed, Phase::Install);
    agent.equal(requirement, "runs of install of the failed payload", before, runs);
    Ok(())
}

async fn other_shape(agent: &mut AgentBench<'_>, failing: usize, next: usize) -> Checked {
    agent.start().await?;
    let mut steps: Vec<Script> =
        (0..failing).map(|number| Script::good(&format!("old{number}"))).collect();
    if let Some(first) = steps.first_mut() {
        *first = first.clone().failing(Phase::Install, 0x3050_0001, "no space");
    }
    let plan = agent.plan(&steps.iter().collect::<Vec<_>>())?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    let before = agent.ran().iter().filter(|ran| ran.payload.starts_with("old")).count();
    let steps: Vec<Script> =
        (0..next).map(|number| Script::good(&format!("new{number}"))).collect();
    let all: Vec<&Script> = steps.iter().collect();
    let plan = agent.plan(&all)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-062", &deployed).await?;
    agent.demand_success("ADU-AGENT-062", &deployed, &report);
    agent.demand_ran("ADU-AGENT-062", &all);
    let after = agent.ran().iter().filter(|ran| ran.payload.starts_with("old")).count();
    agent.equal("ADU-AGENT-062", "runs of the old payloads", before, after);
    Ok(())
}

async fn several(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    for (at, name) in
        [(At::Download, "a"), (At::Handler, "b"), (At::Install, "c"), (At::Download, "d")]
    {
        fail(agent, at, name).await?;
    }
    agent.succeed("ADU-AGENT-062", &[&Script::good("e"), &Script::good("f")]).await?;
    agent.still_works("ADU-AGENT-104").await
}
