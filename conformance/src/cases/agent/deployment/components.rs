//! Reference steps and components: three motors and a lamp (device-update-agent.md § 6.11).

use serde_json::{Value, json};
use twinspec_harness::content::Manner;

use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Phase, Plan, Script};
use crate::case::{Case, Claim, Need};
use crate::verdict::Checked;

pub(in crate::cases::agent) const COMPONENTS: &[Need] =
    &[Need::Claim(Claim::RootKeys), Need::Claim(Claim::Scripts), Need::Claim(Claim::Components)];

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "deployment-child-per-component",
        title: "A child update runs once for each component that matches",
        requirements: &["ADU-AGENT-115"],
        needs: COMPONENTS,
        run: agent_body!(per_component),
    },
    Case {
        id: "deployment-child-first-map",
        title: "Components are selected by the first compatibility map of the child",
        requirements: &["ADU-MANIFEST-014"],
        needs: COMPONENTS,
        run: agent_body!(first_map),
    },
    Case {
        id: "deployment-child-no-component",
        title: "Without a component that matches the step is skipped and the deployment succeeds",
        requirements: &["ADU-AGENT-116"],
        needs: COMPONENTS,
        run: agent_body!(no_component),
    },
    Case {
        id: "deployment-child-changed",
        title: "A child manifest that was changed fails the deployment, and nothing runs",
        requirements: &["ADU-AGENT-113"],
        needs: COMPONENTS,
        run: agent_body!(changed),
    },
    Case {
        id: "deployment-child-exchanged",
        title: "A child manifest in the place of the one that was signed fails the deployment",
        requirements: &["ADU-AGENT-113"],
        needs: COMPONENTS,
        run: agent_body!(exchanged),
    },
    Case {
        id: "deployment-child-signature-junk",
        title: "The child's own signature is not checked",
        requirements: &["ADU-AGENT-114"],
        needs: COMPONENTS,
        run: agent_body!(signature_junk),
    },
    Case {
        id: "deployment-child-nested",
        title: "A reference step inside a child fails",
        requirements: &["ADU-AGENT-117"],
        needs: COMPONENTS,
        run: agent_body!(nested),
    },
    Case {
        id: "deployment-child-and-host",
        title: "An inline step and a child update both run, in order",
        requirements: &["ADU-AGENT-110"],
        needs: COMPONENTS,
        run: agent_body!(child_and_host),
    },
];

/// What a child is for.
pub(in crate::cases::agent) fn motors() -> Value {
    json!([{ "manufacturer": "Fabrikam", "model": "M1" }])
}

/// A child manifest that runs `script`, as a text in its file, its own files added to `plan`.
fn child(
    agent: &mut AgentBench<'_>,
    plan: &mut Plan,
    script: &Script,
    compatibility: Value,
) -> Checked<Value> {
    child_of(agent, plan, &[script], compatibility)
}

/// The same with one step for each of `scripts`.
pub(in crate::cases::agent) fn child_of(
    agent: &mut AgentBench<'_>,
    plan: &mut Plan,
    scripts: &[&Script],
    compatibility: Value,
) -> Checked<Value> {
    let mut inner = agent.plan(scripts)?;
    inner.set("/compatibility", compatibility)?;
    plan.urls.extend(inner.urls.clone());
    Ok(json!({
        "updateManifest": inner.manifest.to_string(),
        "updateManifestSignature": "no signature at all",
    }))
}

/// Adds a reference step to the detached manifest `child`.
pub(in crate::cases::agent) fn refer(
    agent: &mut AgentBench<'_>,
    plan: &mut Plan,
    child: &Value,
) -> Checked<String> {
    let text = child.to_string();
    let file = agent.add_file(plan, "child.json", text.as_bytes());
    let step = json!({ "type": "reference", "detachedManifestFileId": file.id });
    let steps = plan.manifest.pointer("/instructions/steps").and_then(Value::as_array);
    let mut steps = steps.cloned().unwrap_or_default();
    steps.push(step);
    plan.set("/instructions/steps", Value::Array(steps))?;
    Ok(file.path)
}

/// The components for which `phase` of `script` ran.
pub(super) fn components(agent: &AgentBench<'_>, script: &Script, phase: Phase) -> Vec<String> {
    let ran = agent.ran().into_iter();
    let mut names: Vec<String> = ran
        .filter(|ran| ran.payload == script.name && ran.phase == phase && !ran.ended)
        .map(|ran| ran.component)
        .collect();
    names.sort();
    names
}

async fn per_component(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("motor").forgetful();
    let mut plan = agent.plan(&[])?;
    let child = child(agent, &mut plan, &script, motors())?;
    refer(agent, &mut plan, &child)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-AGENT-115", BACK, &deployed).await?;
    agent.demand_success("ADU-AGENT-115", &deployed, &report);
    let allowed = ["left-motor", "rear-motor", "right-motor"].map(str::to_owned).to_vec();
    let seen = components(agent, &script, Phase::Install);
    agent.equal("ADU-AGENT-115", "install ran for", allowed, seen);
    Ok(())
}

async fn first_map(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("lamp").forgetful();
    let mut plan = agent.plan(&[])?;
    let maps = json!([
        { "manufacturer": "Contoso", "model": "L7" },
        { "manufacturer": "Fabrikam", "model": "M1" },
    ]);
    let child = child(agent, &mut plan, &script, maps)?;
    refer(agent, &mut plan, &child)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-MANIFEST-014", BACK, &deployed).await?;
    agent.demand_success("ADU-MANIFEST-014", &deployed, &report);
    let seen = components(agent, &script, Phase::Install);
    agent.equal("ADU-MANIFEST-014", "install ran for", vec!["lamp".to_owned()], seen);
    Ok(())
}

async fn no_component(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("nobody");
    let mut plan = agent.plan(&[])?;
    let maps = json!([{ "manufacturer": "Nobody", "model": "X" }]);
    let child = child(agent, &mut plan, &script, maps)?;
    refer(agent, &mut plan, &child)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-AGENT-116", BACK, &deployed).await?;
    agent.demand_success("ADU-AGENT-116", &deployed, &report);
    let seen = components(agent, &script, Phase::Install);
    agent.equal("ADU-AGENT-116", "install ran for", Vec::<String>::new(), seen);
    Ok(())
}

async fn changed(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("motor");
    let mut plan = agent.plan(&[])?;
    let child = child(agent, &mut plan, &script, motors())?;
    let path = refer(agent, &mut plan, &child)?;
    agent.content().set_manner(&path, Manner::Changed);
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-AGENT-113", BACK, &deployed).await?;
    agent.demand_failure("ADU-AGENT-113", &deployed, &report);
    agent.demand_untouched("ADU-AGENT-113", &script);
    agent.still_works("ADU-AGENT-104").await
}

async fn exchanged(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let (script, other) = (Script::good("motor"), Script::good("other"));
    let mut plan = agent.plan(&[])?;
    let right = child(agent, &mut plan, &script, motors())?;
    let wrong = child(agent, &mut plan, &other, motors())?;
    let path = refer(agent, &mut plan, &right)?;
    agent.content().put(&path, wrong.to_string(), Manner::Whole);
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-AGENT-113", BACK, &deployed).await?;
    agent.demand_failure("ADU-AGENT-113", &deployed, &report);
    agent.demand_untouched("ADU-AGENT-113", &script);
    agent.demand_untouched("ADU-AGENT-113", &other);
    agent.still_works("ADU-AGENT-104").await
}

async fn signature_junk(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("motor").forgetful();
    let mut plan = agent.plan(&[])?;
    let child = child(agent, &mut plan, &script, motors())?;
    refer(agent, &mut plan, &child)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-AGENT-114", BACK, &deployed).await?;
    agent.demand_success("ADU-AGENT-114", &deployed, &report);
    Ok(())
}

async fn nested(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("deep");
    let mut plan = agent.plan(&[])?;
    let grandchild = child(agent, &mut plan, &script, motors())?;
    let mut middle = agent.plan(&[])?;
    middle.set("/compatibility", motors())?;
    refer(agent, &mut middle, &grandchild)?;
    plan.urls.extend(middle.urls.clone());
    let middle = json!({ "updateManifest": middle.manifest.to_string() });
    refer(agent, &mut plan, &middle)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-AGENT-117", BACK, &deployed).await?;
    agent.demand_failure("ADU-AGENT-117", &deployed, &report);
    agent.demand_untouched("ADU-AGENT-117", &script);
    agent.still_works("ADU-AGENT-104").await
}

async fn child_and_host(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let (host, motor) = (Script::good("host"), Script::good("motor").forgetful());
    let mut plan = agent.plan(&[&host])?;
    let child = child(agent, &mut plan, &motor, motors())?;
    refer(agent, &mut plan, &child)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-AGENT-110", BACK, &deployed).await?;
    agent.demand_success("ADU-AGENT-110", &deployed, &report);
    let ran = agent.ran();
    let installs: Vec<&str> = ran
        .iter()
        .filter(|ran| ran.phase == Phase::Install && !ran.ended)
        .map(|ran| ran.payload.as_str())
        .collect();
    let allowed = vec!["host", "motor", "motor", "motor"];
    agent.equal("ADU-AGENT-110", "installed were", allowed, installs);
    Ok(())
}
