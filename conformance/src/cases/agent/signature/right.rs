//! Signatures that hold, in every form they may have.

use serde_json::{Value, json};
use twinspec_harness::signing::Base64;

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, Plan, Script};
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "signature-chain",
        title: "A chain from a root key to the manifest's hash is accepted",
        requirements: &["ADU-SIG-001"],
        needs: SCRIPTED,
        run: agent_body!(chain),
    },
    Case {
        id: "signature-second-root",
        title: "A manifest under the second root is accepted",
        requirements: &["ADU-SIG-025"],
        needs: SCRIPTED,
        run: agent_body!(second_root),
    },
    Case {
        id: "signature-modulus-standard",
        title: "A signing key whose modulus is in standard base64 is accepted",
        requirements: &["ADU-SIG-007"],
        needs: SCRIPTED,
        run: agent_body!(modulus, Base64::Standard),
    },
    Case {
        id: "signature-modulus-url",
        title: "A signing key whose modulus is in base64url is accepted",
        requirements: &["ADU-SIG-007"],
        needs: SCRIPTED,
        run: agent_body!(modulus, Base64::Url),
    },
    Case {
        id: "signature-extra-header",
        title: "Further members of the header are ignored",
        requirements: &["ADU-SIG-012"],
        needs: SCRIPTED,
        run: agent_body!(extra_header),
    },
    Case {
        id: "signature-over-text",
        title: "The hash is that of the text: white space and escapes are kept",
        requirements: &["ADU-SIG-009", "ADU-MANIFEST-010"],
        needs: SCRIPTED,
        run: agent_body!(over_text, Text::Spaced),
    },
    Case {
        id: "signature-over-escapes",
        title: "A manifest with escaped slashes and characters is accepted as it is signed",
        requirements: &["ADU-SIG-009", "ADU-MANIFEST-010"],
        needs: SCRIPTED,
        run: agent_body!(over_text, Text::Escaped),
    },
    Case {
        id: "signature-over-letters",
        title: "A manifest with letters beyond ASCII is accepted",
        requirements: &["ADU-SIG-009"],
        needs: SCRIPTED,
        run: agent_body!(over_text, Text::Letters),
    },
];

fn harness(error: std::io::Error) -> Stop {
    Stop::Harness(error.to_string())
}

/// Sends a manifest with a signature and demands the success of its payload.
async fn accepted(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    (plan, script): (&Plan, &Script),
    (manifest, signature): (&str, &str),
) -> Checked {
    let object = plan.object(manifest, json!(signature));
    let deployed = agent.send(plan, &object).await?;
    let report = agent.end(requirement, &deployed).await?;
    agent.demand_success(requirement, &deployed, &report);
    agent.demand_ran(requirement, &[script]);
    Ok(())
}

async fn chain(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-SIG-001", &[&Script::good("a")]).await.map(drop)
}

async fn second_root(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let manifest = plan.manifest.to_string();
    let authority = agent.authority()?;
    let [_, second] = &authority.roots;
    let mut recipe = authority.recipe();
    recipe.root = second;
    recipe.root_id = second.id().to_owned();
    let signature = recipe.make(&manifest).map_err(harness)?;
    accepted(agent, "ADU-SIG-025", (&plan, &script), (&manifest, &signature)).await
}

async fn modulus(agent: &mut AgentBench<'_>, base64: Base64) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let manifest = plan.manifest.to_string();
    let mut recipe = agent.authority()?.recipe();
    recipe.base64 = base64;
    let signature = recipe.make(&manifest).map_err(harness)?;
    accepted(agent, "ADU-SIG-007", (&plan, &script), (&manifest, &signature)).await
}

async fn extra_header(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let manifest = plan.manifest.to_string();
    let mut recipe = agent.authority()?.recipe();
    recipe.header = json!({ "alg": "RS256", "typ": "JWT", "note": [1, 2] });
    let signature = recipe.make(&manifest).map_err(harness)?;
    accepted(agent, "ADU-SIG-012", (&plan, &script), (&manifest, &signature)).await
}

/// How the text of a manifest differs from the shortest one.
#[derive(Clone, Copy)]
enum Text {
    Spaced,
    Escaped,
    Letters,
}

async fn over_text(agent: &mut AgentBench<'_>, text: Text) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    let manifest = match text {
        Text::Spaced => {
            let pretty = serde_json::to_string_pretty(&plan.manifest);
            pretty.map_err(|error| Stop::Harness(error.to_string()))?
        }
        Text::Escaped => plan
            .manifest
            .to_string()
            .replace("microsoft/script:1", "microsoft\\/script\\u003a1")
            .replace("inline", "\\u0069nline"),
        Text::Letters => {
            plan.set("/instructions/steps/0/description", json!("Drehbank – «турбо» 車床"))?;
            plan.manifest.to_string()
        }
    };
    let signature = agent.authority()?.sign(&manifest).map_err(harness)?;
    accepted(agent, "ADU-SIG-009", (&plan, &script), (&manifest, &signature)).await?;
    if !matches!(text, Text::Letters) {
        let state = agent.reports(0).last().and_then(|report| report.agent().get("state").cloned());
        let is_there = state.is_some_and(|state: Value| state.is_number());
        let holds = is_there || agent.has_run(&script, crate::bench::agent::Phase::Apply);
        agent.demand("ADU-MANIFEST-010", holds, "the payload runs", "it does not");
    }
    Ok(())
}
