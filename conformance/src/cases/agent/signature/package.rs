//! Root key packages: which are accepted, and what they disable.

use serde_json::{Value, json};
use twinspec_harness::content::Manner;
use twinspec_harness::signing::{Authority, PackageRecipe, Scheme};

use super::{PACKAGED, refused};
use crate::agent_body;
use crate::bench::agent::keys::{PACKAGE_VERSION, standard};
use crate::bench::agent::{AgentBench, BACK, Phase, Plan, Script};
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// Changes a right package.
type Change = fn(&mut PackageRecipe<'static>, &'static Authority) -> Checked;

macro_rules! bad_package {
    ($id:literal, $title:literal, $requirement:literal, $change:expr) => {
        Case {
            id: $id,
            title: $title,
            requirements: &[$requirement, "ADU-SIG-023", "ADU-AGENT-045"],
            needs: PACKAGED,
            run: agent_body!(bad_package, $requirement, $change),
        }
    };
}

/// The cases.
pub(super) const CASES: &[Case] = &[
    bad_package!(
        "signature-package-one-signature",
        "A package without the signature of the second root is refused",
        "ADU-SIG-014",
        |package, _| {
            package.signers.truncate(1);
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-no-signature",
        "A package without any signature is refused",
        "ADU-SIG-014",
        |package, _| {
            package.signers.clear();
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-stranger",
        "A package that a stranger signed in the place of the second root is refused",
        "ADU-SIG-014",
        |package, authority| {
            package.signers.truncate(1);
            package.signers.push(("RS256", Scheme::Rs256, &authority.stranger));
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-stranger-first",
        "A package that a stranger signed in the place of the first root is refused",
        "ADU-SIG-014",
        |package, authority| {
            let second = package.signers.pop();
            package.signers.clear();
            package.signers.push(("RS256", Scheme::Rs256, &authority.stranger));
            package.signers.extend(second);
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-swapped",
        "A package whose signatures are swapped is refused",
        "ADU-SIG-015",
        |package, _| {
            package.signers.reverse();
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-test",
        "A package that is marked as a test is refused",
        "ADU-SIG-020",
        |package, _| {
            package.is_test = Some(true);
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-without-version",
        "A package without version is refused",
        "ADU-SIG-024",
        |package, _| {
            package.omitted.push("version");
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-without-published",
        "A package without published is refused",
        "ADU-SIG-024",
        |package, _| {
            package.omitted.push("published");
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-without-keys",
        "A package without rootKeys is refused",
        "ADU-SIG-024",
        |package, _| {
            package.omitted.push("rootKeys");
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-without-signatures",
        "A package without signatures is refused",
        "ADU-SIG-024",
        |package, _| {
            package.omitted.push("signatures");
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-rs384",
        "A package signed with RS384 is refused",
        "ADU-SIG-028",
        |package, _| {
            for signer in &mut package.signers {
                (signer.0, signer.1) = ("RS384", Scheme::Rs384);
            }
            Ok(())
        }
    ),
    bad_package!(
        "signature-package-rs512",
        "A package signed with RS512 is refused",
        "ADU-SIG-028",
        |package, _| {
            for signer in &mut package.signers {
                (signer.0, signer.1) = ("RS512", Scheme::Rs512);
            }
            Ok(())
        }
    ),
    Case {
        id: "signature-package-not-found",
        title: "A package that cannot be had ends the deployment without its payload",
        requirements: &["ADU-SIG-029", "ADU-AGENT-045"],
        needs: PACKAGED,
        run: agent_body!(not_found),
    },
    Case {
        id: "signature-package-no-json",
        title: "A package that is no JSON ends the deployment without its payload",
        requirements: &["ADU-SIG-023", "ADU-AGENT-045"],
        needs: PACKAGED,
        run: agent_body!(text, "{\"protected\":"),
    },
    Case {
        id: "signature-package-other-json",
        title: "A package that is another document ends the deployment without its payload",
        requirements: &["ADU-SIG-023", "ADU-AGENT-045"],
        needs: PACKAGED,
        run: agent_body!(text, "[]"),
    },
    Case {
        id: "signature-package-fetched",
        title: "The package is fetched for every deployment",
        requirements: &["ADU-SIG-026"],
        needs: PACKAGED,
        run: agent_body!(fetched),
    },
    Case {
        id: "signature-root-disabled",
        title: "A root that the package disables signs no manifest of the same deployment",
        requirements: &["ADU-SIG-016"],
        needs: PACKAGED,
        run: agent_body!(root_disabled),
    },
    Case {
        id: "signature-root-disabled-still-signs-packages",
        title: "A root that is disabled still counts for the package itself",
        requirements: &["ADU-SIG-017"],
        needs: PACKAGED,
        run: agent_body!(root_disabled_package),
    },
    Case {
        id: "signature-signer-disabled",
        title: "A signing key that is disabled by the hash of its PKCS#1 form is refused",
        requirements: &["ADU-SIG-018"],
        needs: PACKAGED,
        run: agent_body!(signer_disabled, Encoding::Url),
    },
    Case {
        id: "signature-signer-disabled-standard",
        title: "The same with the hash in standard base64",
        requirements: &["ADU-SIG-018"],
        needs: PACKAGED,
        run: agent_body!(signer_disabled, Encoding::Standard),
    },
    Case {
        id: "signature-signer-other-hash",
        title: "A hash over SubjectPublicKeyInfo disables nothing",
        requirements: &["ADU-SIG-019"],
        needs: PACKAGED,
        run: agent_body!(signer_other_hash),
    },
    Case {
        id: "signature-package-older",
        title: "A package with a lower version than the one in force is refused",
        requirements: &["ADU-SIG-021"],
        needs: PACKAGED,
        run: agent_body!(older),
    },
    Case {
        id: "signature-package-refused-keeps",
        title: "A package that is refused leaves the disabled keys of the one before disabled",
        requirements: &["ADU-SIG-022"],
        needs: PACKAGED,
        run: agent_body!(refused_keeps),
    },
];

pub(super) fn harness(error: std::io::Error) -> Stop {
    Stop::Harness(error.to_string())
}

/// A deployment whose package is the right one, changed by `change`.
pub(super) fn with_package(
    agent: &mut AgentBench<'_>,
    script: &Script,
    change: impl FnOnce(&mut PackageRecipe<'static>, &'static Authority) -> Checked,
) -> Checked<Plan> {
    let authority = agent.authority()?;
    let mut package = authority.package(PACKAGE_VERSION + 1);
    change(&mut package, authority)?;
    let text = package.make().map_err(harness)?;
    let mut plan = agent.plan(&[script])?;
    plan.package = Some(agent.serve_package(&text));
    Ok(plan)
}

/// Demands the success of a deployment with a right package of its own.
async fn control(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("fine");
    let plan = with_package(agent, &script, |package, _| {
        package.version = PACKAGE_VERSION;
        Ok(())
    })?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-SIG-014", &deployed).await?;
    agent.demand_success("ADU-SIG-014", &deployed, &report);
    Ok(())
}

async fn bad_package(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    change: Change,
) -> Checked {
    control(agent).await?;
    let script = Script::good("bad");
    let plan = with_package(agent, &script, change)?;
    let object = agent.signed(&plan)?;
    refused(agent, requirement, (&plan, &script), &object).await?;
    agent.demand_untouched("ADU-SIG-023", &script);
    agent.demand_untouched("ADU-AGENT-045", &script);
    Ok(())
}

async fn not_found(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("bad");
    let mut plan = agent.plan(&[&script])?;
    let file = agent.serve("rootkeypackage.json", b"{}", Manner::Refused(404));
    plan.package = Some(agent.url_of(&file));
    let object = agent.signed(&plan)?;
    refused(agent, "ADU-SIG-029", (&plan, &script), &object).await?;
    agent.demand_untouched("ADU-AGENT-045", &script);
    Ok(())
}

async fn text(agent: &mut AgentBench<'_>, text: &str) -> Checked {
    agent.start().await?;
    let script = Script::good("bad");
    let mut plan = agent.plan(&[&script])?;
    plan.package = Some(agent.serve_package(text));
    let object = agent.signed(&plan)?;
    refused(agent, "ADU-SIG-023", (&plan, &script), &object).await?;
    agent.demand_untouched("ADU-AGENT-045", &script);
    Ok(())
}

async fn fetched(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    for name in ["a", "b"] {
        let package = agent.package_of_its_own()?;
        let script = Script::good(name);
        let mut plan = agent.plan(&[&script])?;
        plan.package = Some(agent.url_of(&package));
        let deployed = agent.deploy(&plan).await?;
        let report = agent.end("ADU-SIG-026", &deployed).await?;
        agent.demand_success("ADU-SIG-026", &deployed, &report);
        let is_fetched = agent.hits().iter().any(|hit| hit.path == package.path);
        agent.demand("ADU-SIG-026", is_fetched, "a request for the package", "none");
    }
    Ok(())
}

/// Disables the first root in a package.
fn disable_first(package: &mut PackageRecipe<'_>, authority: &Authority) -> Checked {
    let [first, _] = &authority.roots;
    package.disabled_root_keys.push(first.id().to_owned());
    Ok(())
}

async fn root_disabled(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-SIG-001", &[&Script::good("fine")]).await?;
    let script = Script::good("disabled");
    let plan = with_package(agent, &script, disable_first)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-SIG-016", BACK, &deployed).await?;
    agent.demand_failure("ADU-SIG-016", &deployed, &report);
    agent.demand_untouched("ADU-SIG-016", &script);
    Ok(())
}

/// The manifest of `plan` signed under the second root.
pub(super) fn under_second(agent: &AgentBench<'_>, plan: &Plan) -> Checked<Value> {
    let authority = agent.authority()?;
    let [_, second] = &authority.roots;
    let mut recipe = authority.recipe();
    recipe.root = second;
    recipe.root_id = second.id().to_owned();
    let manifest = plan.manifest.to_string();
    let signature = recipe.make(&manifest).map_err(harness)?;
    Ok(plan.object(&manifest, json!(signature)))
}

async fn root_disabled_package(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("second");
    let plan = with_package(agent, &script, disable_first)?;
    let object = under_second(agent, &plan)?;
    let deployed = agent.send(&plan, &object).await?;
    let report = agent.end("ADU-SIG-017", &deployed).await?;
    agent.demand_success("ADU-SIG-017", &deployed, &report);
    agent.demand_ran("ADU-SIG-017", &[&script]);
    Ok(())
}

/// How a hash is written.
#[derive(Clone, Copy)]
enum Encoding {
    Url,
    Standard,
}

async fn signer_disabled(agent: &mut AgentBench<'_>, encoding: Encoding) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-SIG-001", &[&Script::good("fine")]).await?;
    let script = Script::good("disabled");
    let plan = with_package(agent, &script, |package, authority| {
        let hash = authority.signing.pkcs1_hash().map_err(harness)?;
        let text = match encoding {
            Encoding::Standard => standard(hash),
            Encoding::Url => {
                standard(hash).trim_end_matches('=').replace('+', "-").replace('/', "_")
            }
        };
        package.disabled_signing_keys.push(text);
        Ok(())
    })?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-SIG-018", BACK, &deployed).await?;
    agent.demand_failure("ADU-SIG-018", &deployed, &report);
    agent.demand_untouched("ADU-SIG-018", &script);
    Ok(())
}

async fn signer_other_hash(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let plan = with_package(agent, &script, |package, authority| {
        let hash = standard(authority.signing.spki_hash().map_err(harness)?);
        let text = hash.trim_end_matches('=').replace('+', "-").replace('/', "_");
        package.disabled_signing_keys.push(text);
        Ok(())
    })?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-SIG-019", &deployed).await?;
    agent.demand_success("ADU-SIG-019", &deployed, &report);
    agent.demand_ran("ADU-SIG-019", &[&script]);
    Ok(())
}

async fn older(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-SIG-001", &[&Script::good("fine")]).await?;
    let script = Script::good("older");
    let plan = with_package(agent, &script, |package, _| {
        package.version = PACKAGE_VERSION - 2;
        Ok(())
    })?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-SIG-021", BACK, &deployed).await?;
    agent.demand_failure("ADU-SIG-021", &deployed, &report);
    agent.demand_untouched("ADU-SIG-021", &script);
    agent.still_works("ADU-AGENT-104").await
}

async fn refused_keeps(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    // The first package disables the first root; the second, which would not, is refused.
    let second = Script::good("second");
    let plan = with_package(agent, &second, disable_first)?;
    let object = under_second(agent, &plan)?;
    let deployed = agent.send(&plan, &object).await?;
    let report = agent.end("ADU-SIG-017", &deployed).await?;
    agent.demand_success("ADU-SIG-017", &deployed, &report);
    let script = Script::good("sneaked-in");
    let plan = with_package(agent, &script, |package, _| {
        package.version = PACKAGE_VERSION + 2;
        package.signers.truncate(1);
        Ok(())
    })?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end_within("ADU-SIG-022", BACK, &deployed).await?;
    agent.demand_failure("ADU-SIG-022", &deployed, &report);
    agent.demand_untouched("ADU-SIG-022", &script);
    // Under the second root, with the first package, everything still works.
    let after = Script::good("after");
    let plan = with_package(agent, &after, disable_first)?;
    let object = under_second(agent, &plan)?;
    let deployed = agent.send(&plan, &object).await?;
    let report = agent.end("ADU-SIG-022", &deployed).await?;
    agent.demand_success("ADU-SIG-022", &deployed, &report);
    let runs = agent.times(&after, Phase::Apply);
    agent.equal("ADU-SIG-022", "runs of apply", 1, runs);
    Ok(())
}
