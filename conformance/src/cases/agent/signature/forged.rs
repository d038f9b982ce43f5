//! Signatures that are wrong in one point: nothing of the payload is fetched or run.

use serde_json::json;
use twinspec_harness::signing::Forgery;

use super::super::SCRIPTED;
use super::refused;
use crate::agent_body;
use crate::bench::agent::deploy::{remove, set};
use crate::bench::agent::{AgentBench, Script};
use crate::case::Case;
use crate::verdict::{Checked, Stop};

macro_rules! forged {
    ($id:literal, $title:literal, $requirement:literal, $forgery:ident) => {
        Case {
            id: $id,
            title: $title,
            requirements: &[$requirement, "ADU-AGENT-044", "ADU-AGENT-047"],
            needs: SCRIPTED,
            run: agent_body!(forged, $requirement, Forgery::$forgery),
        }
    };
}

/// How a signature is no signature.
enum Without {
    Null,
    Absent,
    Empty,
}

/// The cases.
pub(super) const CASES: &[Case] = &[
    forged!(
        "signature-wrong-signer",
        "A manifest signed by a key that no root signed is refused",
        "ADU-SIG-001",
        WrongSigner
    ),
    forged!(
        "signature-no-nested-key",
        "A signature that names no signing key is refused",
        "ADU-SIG-001",
        NoNestedKey
    ),
    forged!(
        "signature-bent",
        "A signature with one changed bit is refused",
        "ADU-SIG-002",
        BentSignature
    ),
    forged!(
        "signature-bent-payload",
        "A signed payload with one changed bit is refused",
        "ADU-SIG-002",
        BentPayload
    ),
    forged!(
        "signature-bent-key",
        "A root's signature with one changed bit is refused",
        "ADU-SIG-002",
        BentKeySignature
    ),
    forged!(
        "signature-unknown-root",
        "A signing key under a root that the agent was not given is refused",
        "ADU-SIG-004",
        UnknownRoot
    ),
    forged!(
        "signature-no-root-id",
        "A signing key that names no root is refused",
        "ADU-SIG-004",
        NoRootId
    ),
    forged!(
        "signature-wrong-root",
        "A signing key that names a known root but was signed by another key is refused",
        "ADU-SIG-005",
        WrongRoot
    ),
    forged!(
        "signature-algorithm-none",
        "The algorithm none is refused",
        "ADU-SIG-006",
        AlgorithmNone
    ),
    forged!(
        "signature-algorithm-hs256",
        "The algorithm HS256 is refused",
        "ADU-SIG-006",
        AlgorithmHs256
    ),
    forged!("signature-algorithm-rs384", "The algorithm RS384 is refused", "ADU-SIG-006", Rs384),
    forged!("signature-algorithm-rs512", "The algorithm RS512 is refused", "ADU-SIG-006", Rs512),
    forged!(
        "signature-key-algorithm-rs512",
        "The algorithm RS512 is refused for the signing key",
        "ADU-SIG-006",
        KeyRs512
    ),
    forged!(
        "signature-algorithm-missing",
        "A signature that names no algorithm is refused",
        "ADU-SIG-006",
        NoAlgorithm
    ),
    forged!(
        "signature-key-algorithm-none",
        "The algorithm none is refused for the signing key",
        "ADU-SIG-006",
        KeyAlgorithmNone
    ),
    forged!("signature-two-parts", "A signature of two parts is refused", "ADU-SIG-008", TwoParts),
    forged!(
        "signature-four-parts",
        "A signature of four parts is refused",
        "ADU-SIG-008",
        FourParts
    ),
    forged!(
        "signature-without-hash",
        "A signed payload without sha256 is refused",
        "ADU-SIG-010",
        NoHash
    ),
    forged!(
        "signature-short-hash",
        "A signed payload with a hash that is too short is refused",
        "ADU-SIG-010",
        ShortHash
    ),
    forged!(
        "signature-of-another",
        "A signature that is right for another manifest is refused",
        "ADU-SIG-011",
        OtherManifest
    ),
    forged!(
        "signature-trailing-data",
        "An RSA block with data behind the hash is refused",
        "ADU-SIG-013",
        TrailingData
    ),
    forged!(
        "signature-key-trailing-data",
        "The same in the root's signature of the signing key is refused",
        "ADU-SIG-013",
        KeyTrailingData
    ),
    Case {
        id: "signature-null",
        title: "A signature that is null is refused",
        requirements: &["ADU-SIG-003"],
        needs: SCRIPTED,
        run: agent_body!(without, Without::Null),
    },
    Case {
        id: "signature-absent",
        title: "A deployment without a signature is refused",
        requirements: &["ADU-SIG-003"],
        needs: SCRIPTED,
        run: agent_body!(without, Without::Absent),
    },
    Case {
        id: "signature-empty",
        title: "An empty signature is refused",
        requirements: &["ADU-SIG-003"],
        needs: SCRIPTED,
        run: agent_body!(without, Without::Empty),
    },
    Case {
        id: "signature-tampered-manifest",
        title: "A manifest with one changed character is refused",
        requirements: &["ADU-SIG-002", "ADU-AGENT-044", "ADU-AGENT-047"],
        needs: SCRIPTED,
        run: agent_body!(tampered_manifest, tampered_date),
    },
    Case {
        id: "signature-tampered-blanks",
        title: "A manifest with one more blank than was signed is refused",
        requirements: &["ADU-SIG-002", "ADU-AGENT-044", "ADU-AGENT-047"],
        needs: SCRIPTED,
        run: agent_body!(tampered_manifest, tampered_blanks),
    },
];

fn harness(error: std::io::Error) -> Stop {
    Stop::Harness(error.to_string())
}

async fn forged(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    forgery: Forgery,
) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-SIG-001", &[&Script::good("fine")]).await?;
    let script = Script::good("forged");
    let plan = agent.plan(&[&script])?;
    let manifest = plan.manifest.to_string();
    let signature = agent.authority()?.forge(&manifest, forgery).map_err(harness)?;
    let object = plan.object(&manifest, json!(signature));
    refused(agent, requirement, (&plan, &script), &object).await
}

async fn without(agent: &mut AgentBench<'_>, without: Without) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-SIG-001", &[&Script::good("fine")]).await?;
    let script = Script::good("unsigned");
    let plan = agent.plan(&[&script])?;
    let mut object = agent.signed(&plan)?;
    match without {
        Without::Null => set(&mut object, "/updateManifestSignature", json!(null))?,
        Without::Absent => remove(&mut object, "/updateManifestSignature")?,
        Without::Empty => set(&mut object, "/updateManifestSignature", json!(""))?,
    }
    refused(agent, "ADU-SIG-003", (&plan, &script), &object).await
}

fn tampered_date(manifest: &str) -> String {
    manifest.replace("2026-01-02", "2026-01-03")
}

fn tampered_blanks(manifest: &str) -> String {
    manifest.replacen("{\"", "{ \"", 1)
}

async fn tampered_manifest(agent: &mut AgentBench<'_>, tamper: fn(&str) -> String) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-SIG-001", &[&Script::good("fine")]).await?;
    let script = Script::good("tampered");
    let plan = agent.plan(&[&script])?;
    let mut object = agent.signed(&plan)?;
    let tampered = tamper(&plan.manifest.to_string());
    set(&mut object, "/updateManifest", json!(tampered))?;
    refused(agent, "ADU-SIG-002", (&plan, &script), &object).await
}
