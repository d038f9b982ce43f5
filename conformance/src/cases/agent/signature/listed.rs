//! Packages that disable several keys or the second root, come again, or are older than before a
//! restart.

use serde_json::Value;

use super::package::{harness, under_second, with_package};
use super::{PACKAGED, refused};
use crate::agent_body;
use crate::bench::agent::keys::{PACKAGE_VERSION, sha256, standard};
use crate::bench::agent::{AgentBench, Plan, Script};
use crate::case::{Case, Claim, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "signature-second-root-disabled",
        title: "A second root that the package disables signs no manifest",
        requirements: &["ADU-SIG-016"],
        needs: PACKAGED,
        run: agent_body!(disabled, Disabled::SecondRoot),
    },
    Case {
        id: "signature-root-disabled-among-others",
        title: "A root that is one of several disabled ones signs no manifest",
        requirements: &["ADU-SIG-016"],
        needs: PACKAGED,
        run: agent_body!(disabled, Disabled::RootAmongOthers),
    },
    Case {
        id: "signature-signer-disabled-among-others",
        title: "A signing key that is one of several disabled ones signs no manifest",
        requirements: &["ADU-SIG-018"],
        needs: PACKAGED,
        run: agent_body!(disabled, Disabled::SignerAmongOthers),
    },
    Case {
        id: "signature-package-fetched-again",
        title: "The package is fetched for every deployment, also from the same URL",
        requirements: &["ADU-SIG-026"],
        needs: PACKAGED,
        run: agent_body!(fetched_again),
    },
    Case {
        id: "signature-package-older-after-restart",
        title: "After a restart a package with a lower version than before is refused",
        requirements: &["ADU-SIG-021"],
        needs: &[
            Need::Claim(Claim::RootKeys),
            Need::Claim(Claim::Scripts),
            Need::Claim(Claim::RootKeyPackage),
            Need::Claim(Claim::Resumes),
        ],
        run: agent_body!(older_after_restart),
    },
];

/// What a package disables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disabled {
    SecondRoot,
    RootAmongOthers,
    SignerAmongOthers,
}

impl Disabled {
    fn requirement(self) -> &'static str {
        match self {
            Self::SecondRoot | Self::RootAmongOthers => "ADU-SIG-016",
            Self::SignerAmongOthers => "ADU-SIG-018",
        }
    }
}

/// The hash of a key that nobody has.
fn no_key(name: &str) -> String {
    standard(sha256(name)).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// The object of `plan`, signed under the root that is to be tried.
fn signed(agent: &AgentBench<'_>, plan: &Plan, disabled: Disabled) -> Checked<Value> {
    if disabled == Disabled::SecondRoot { under_second(agent, plan) } else { agent.signed(plan) }
}

async fn disabled(agent: &mut AgentBench<'_>, disabled: Disabled) -> Checked {
    agent.start().await?;
    let fine = Script::good("fine");
    let plan = agent.plan(&[&fine])?;
    let object = signed(agent, &plan, disabled)?;
    let deployed = agent.send(&plan, &object).await?;
    let report = agent.end("ADU-SIG-001", &deployed).await?;
    agent.demand_success("ADU-SIG-001", &deployed, &report);
    let script = Script::good("disabled");
    let plan = with_package(agent, &script, |package, authority| {
        let [first, second] = &authority.roots;
        match disabled {
            Disabled::SecondRoot => package.disabled_root_keys.push(second.id().to_owned()),
            Disabled::RootAmongOthers => {
                let ids = ["another.root.1", first.id(), "another.root.2"];
                package.disabled_root_keys.extend(ids.map(str::to_owned));
            }
            Disabled::SignerAmongOthers => {
                let hash = standard(authority.signing.pkcs1_hash().map_err(harness)?);
                package.disabled_signing_keys.extend([no_key("one"), hash, no_key("other")]);
            }
        }
        Ok(())
    })?;
    let object = signed(agent, &plan, disabled)?;
    let requirement = disabled.requirement();
    let deployed = agent.send(&plan, &object).await?;
    let report = agent.end_within(requirement, crate::bench::agent::BACK, &deployed).await?;
    agent.demand_failure(requirement, &deployed, &report);
    agent.demand_untouched(requirement, &script);
    Ok(())
}

async fn fetched_again(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let package = agent.package_of_its_own()?;
    for (name, times) in [("a", 1), ("b", 2)] {
        let script = Script::good(name);
        let mut plan = agent.plan(&[&script])?;
        plan.package = Some(agent.url_of(&package));
        let deployed = agent.deploy(&plan).await?;
        let report = agent.end("ADU-SIG-026", &deployed).await?;
        agent.demand_success("ADU-SIG-026", &deployed, &report);
        let count = agent.hits().iter().filter(|hit| hit.path == package.path).count();
        let allowed = format!("a request for the package for each of {times} deployments");
        agent.demand("ADU-SIG-026", count >= times, allowed, format!("{count} requests"));
    }
    Ok(())
}

async fn older_after_restart(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-SIG-001", &[&Script::good("fine")]).await?;
    agent.restart().await?;
    let script = Script::good("older");
    let plan = with_package(agent, &script, |package, _| {
        package.version = PACKAGE_VERSION - 2;
        Ok(())
    })?;
    let object = agent.signed(&plan)?;
    refused(agent, "ADU-SIG-021", (&plan, &script), &object).await
}
