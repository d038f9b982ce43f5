//! Older generations of the protocol (device-update-agent.md § 0.2).

use serde_json::{Value, json};

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::deploy::set;
use crate::bench::agent::{AgentBench, Phase, Script};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "deployment-generation-1",
        title: "An agent of generation 1 carries out a manifest of version 4 without a package",
        requirements: &["ADU-AGENT-041", "ADU-AGENT-021"],
        needs: SCRIPTED,
        run: agent_body!(generation, 1),
    },
    Case {
        id: "deployment-generation-2",
        title: "An agent of generation 2 carries out a manifest of version 5 without a package",
        requirements: &["ADU-AGENT-041", "ADU-AGENT-021"],
        needs: SCRIPTED,
        run: agent_body!(generation, 2),
    },
    Case {
        id: "deployment-generation-contract",
        title: "An agent of generation 2 announces the contract of its generation",
        requirements: &["ADU-AGENT-005"],
        needs: SCRIPTED,
        run: agent_body!(contract),
    },
    Case {
        id: "deployment-generation-package-ignored",
        title: "An agent before generation 3 ignores rootKeyPackageUrl",
        requirements: &["ADU-AGENT-105"],
        needs: SCRIPTED,
        run: agent_body!(package_ignored),
    },
    Case {
        id: "deployment-generation-failure-code",
        title: "An extended code above 2^31 is reported as a negative number before generation 3",
        requirements: &["ADU-AGENT-021", "ADU-AGENT-060"],
        needs: SCRIPTED,
        run: agent_body!(failure_code),
    },
];

async fn generation(agent: &mut AgentBench<'_>, generation: u8) -> Checked {
    agent.speak(generation)?;
    agent.start().await?;
    let report = agent.succeed("ADU-AGENT-041", &[&Script::good("a")]).await?;
    let code = report.result().get("extendedResultCode");
    let is_number = code.and_then(Value::as_i64).is_some();
    agent.demand("ADU-AGENT-021", is_number, "extendedResultCode, a number", report.to_string());
    Ok(())
}

async fn contract(agent: &mut AgentBench<'_>) -> Checked {
    agent.speak(2)?;
    let report = agent.start().await?;
    let seen = report.at("/deviceUpdate/agent/deviceProperties/contractModelId");
    let allowed = json!("dtmi:azure:iot:deviceUpdateContractModel;2");
    agent.equal_json("ADU-AGENT-005", "contractModelId", &allowed, seen);
    Ok(())
}

async fn package_ignored(agent: &mut AgentBench<'_>) -> Checked {
    agent.speak(2)?;
    agent.start().await?;
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let mut object = agent.signed(&plan)?;
    // Nobody listens on port 9 of the loopback interface.
    set(&mut object, "/rootKeyPackageUrl", json!("http://127.0.0.1:9/package.json"))?;
    let deployed = agent.send(&plan, &object).await?;
    let report = agent.end("ADU-AGENT-105", &deployed).await?;
    agent.demand_success("ADU-AGENT-105", &deployed, &report);
    agent.demand_ran("ADU-AGENT-105", &[&script]);
    Ok(())
}

async fn failure_code(agent: &mut AgentBench<'_>) -> Checked {
    agent.speak(2)?;
    agent.start().await?;
    // 80300001 hex is -2144337919 as a signed number (device-update-agent.md § 4.2).
    let script = Script::good("a").failing(Phase::Install, 0x8030_0001, "as the case wants");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-060", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    let seen = report.result().get("extendedResultCode").cloned().unwrap_or_default();
    agent.equal_json("ADU-AGENT-021", "extendedResultCode", &json!(-2_144_337_919), &seen);
    agent.equal_json("ADU-AGENT-060", "extendedResultCode", &json!(-2_144_337_919), &seen);
    Ok(())
}
