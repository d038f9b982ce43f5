//! Manifests that must be refused although they are signed.

use serde_json::{Value, json};

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Phase, Plan, Script};
use crate::case::{Case, Claim, Need};
use crate::verdict::Checked;

/// What is wrong with a manifest.
enum Flaw {
    Set(&'static str, Value),
    Remove(&'static str),
    Steps(usize),
    /// A member of the script's file entry.
    File(&'static str, Value),
    /// `filename` in place of `fileName`.
    LowerCaseName,
    /// Another text of the hash.
    Hash(fn(&str) -> String),
    /// The text as a whole.
    Text(&'static str),
    /// One file, no instructions: detached itself.
    Mini,
}

use Flaw::{File, Hash, LowerCaseName, Mini, Remove, Set, Steps, Text};

macro_rules! refused {
    ($id:literal, $title:literal, $requirement:literal, $flaw:expr) => {
        Case {
            id: $id,
            title: $title,
            requirements: &[$requirement],
            needs: SCRIPTED,
            run: agent_body!(refused, $requirement, $flaw),
        }
    };
}

/// The cases.
pub(super) const CASES: &[Case] = &[
    refused!(
        "manifest-no-json",
        "A signed text that is no JSON fails with 255",
        "ADU-AGENT-066",
        Text("{\"manifestVersion\":\"5\",")
    ),
    refused!(
        "manifest-no-object",
        "A signed text that is a JSON list fails with 255",
        "ADU-AGENT-066",
        Text("[1,2,3]")
    ),
    refused!(
        "manifest-version-3",
        "The manifest version 3 fails with 255",
        "ADU-AGENT-067",
        Set("/manifestVersion", json!("3"))
    ),
    refused!(
        "manifest-version-6",
        "The manifest version 6 fails with 255",
        "ADU-AGENT-067",
        Set("/manifestVersion", json!("6"))
    ),
    refused!(
        "manifest-version-number",
        "A manifest version that is a number fails with 255",
        "ADU-AGENT-067",
        Set("/manifestVersion", json!(5))
    ),
    refused!(
        "manifest-version-missing",
        "A manifest without version fails with 255",
        "ADU-AGENT-067",
        Remove("/manifestVersion")
    ),
    refused!(
        "manifest-unknown-file-id",
        "A step that names a file that is not there is refused",
        "ADU-MANIFEST-003",
        Set("/instructions/steps/0/files", json!(["f0000000000000000"]))
    ),
    refused!(
        "manifest-files-list",
        "Files in a list are refused",
        "ADU-MANIFEST-003",
        Set("/files", json!([{ "fileName": "a.sh" }]))
    ),
    refused!(
        "manifest-lower-case-name",
        "A file with filename and without fileName is refused",
        "ADU-MANIFEST-004",
        LowerCaseName
    ),
    refused!(
        "manifest-hash-43",
        "A sha256 of 43 characters is refused",
        "ADU-MANIFEST-006",
        Hash(|hash| hash.trim_end_matches('=').to_owned())
    ),
    refused!(
        "manifest-hash-45",
        "A sha256 of 45 characters is refused",
        "ADU-MANIFEST-006",
        Hash(|hash| format!("A{hash}"))
    ),
    refused!(
        "manifest-hash-hex",
        "A sha256 in hex is refused",
        "ADU-MANIFEST-006",
        Hash(|hash| hash.bytes().take(32).map(|byte| format!("{byte:02x}")).collect())
    ),
    refused!(
        "manifest-no-steps",
        "A manifest of no steps is refused",
        "ADU-MANIFEST-007",
        Steps(0)
    ),
    refused!(
        "manifest-eleven-steps",
        "A manifest of eleven steps is refused",
        "ADU-MANIFEST-007",
        Steps(11)
    ),
    refused!(
        "manifest-step-without-handler",
        "An inline step without handler is refused",
        "ADU-MANIFEST-008",
        Remove("/instructions/steps/0/handler")
    ),
    refused!(
        "manifest-step-without-files",
        "An inline step without files is refused",
        "ADU-MANIFEST-008",
        Remove("/instructions/steps/0/files")
    ),
    refused!(
        "manifest-step-with-no-files",
        "An inline step with an empty list of files is refused",
        "ADU-MANIFEST-008",
        Set("/instructions/steps/0/files", json!([]))
    ),
    refused!(
        "manifest-reference-without-file",
        "A reference step without a detached manifest is refused",
        "ADU-MANIFEST-008",
        Set("/instructions/steps/0", json!({ "type": "reference" }))
    ),
    refused!(
        "manifest-provider-blank",
        "A provider with a blank is refused",
        "ADU-MANIFEST-011",
        Set("/updateId/provider", json!("Two words"))
    ),
    refused!(
        "manifest-name-long",
        "A name of 65 characters is refused",
        "ADU-MANIFEST-011",
        Set(
            "/updateId/name",
            json!("nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn")
        )
    ),
    refused!(
        "manifest-version-one-part",
        "An update version of one part is refused",
        "ADU-MANIFEST-011",
        Set("/updateId/version", json!("7"))
    ),
    refused!(
        "manifest-update-id-number",
        "An update version that is a number is refused",
        "ADU-MANIFEST-011",
        Set("/updateId/version", json!(1.5))
    ),
    refused!(
        "manifest-update-id-missing",
        "A manifest without update id is refused",
        "ADU-MANIFEST-011",
        Remove("/updateId")
    ),
    refused!(
        "manifest-file-name-path",
        "A file name that leads out of the work folder is refused",
        "ADU-MANIFEST-004",
        File("fileName", json!("../../outside.sh"))
    ),
    Case {
        id: "manifest-mini",
        title: "A manifest that is detached itself is carried out or refused, and nothing hangs",
        requirements: &["ADU-MANIFEST-013"],
        needs: SCRIPTED,
        run: agent_body!(mini),
    },
    Case {
        id: "manifest-related-files-list",
        title: "Related files in a list are refused",
        requirements: &["ADU-MANIFEST-005"],
        // An agent that knows no deltas passes over what belongs to them.
        needs: &[
            Need::Claim(Claim::RootKeys),
            Need::Claim(Claim::Scripts),
            Need::Claim(Claim::Delta),
        ],
        run: agent_body!(
            refused,
            "ADU-MANIFEST-005",
            File("relatedFiles", json!([{ "fileName": "d", "properties": {} }]))
        ),
    },
];

fn apply(agent: &mut AgentBench<'_>, plan: &mut Plan, flaw: &Flaw) -> Checked<String> {
    let id = plan.file_ids().first().cloned().unwrap_or_default();
    let entry = format!("/files/{id}");
    match flaw {
        Set(pointer, value) => plan.set(pointer, value.clone())?,
        Remove(pointer) => plan.remove(pointer)?,
        Steps(0) => plan.set("/instructions/steps", json!([]))?,
        Steps(count) => {
            let step = plan.manifest.pointer("/instructions/steps/0").cloned();
            let steps = vec![step.unwrap_or_default(); *count];
            plan.set("/instructions/steps", Value::Array(steps))?;
        }
        File(member, value) => {
            // Related files are read where there is a download handler.
            plan.set(&format!("{entry}/downloadHandler"), json!({ "id": "microsoft/delta:1" }))?;
            plan.set(&format!("{entry}/{member}"), value.clone())?;
        }
        LowerCaseName => {
            let name = plan.manifest.pointer(&format!("{entry}/fileName")).cloned();
            plan.remove(&format!("{entry}/fileName"))?;
            plan.set(&format!("{entry}/filename"), name.unwrap_or_default())?;
        }
        Hash(change) => {
            let pointer = format!("{entry}/hashes/sha256");
            let hash = plan.manifest.pointer(&pointer).and_then(Value::as_str);
            let hash = change(hash.unwrap_or_default());
            plan.set(&pointer, json!(hash))?;
        }
        Text(text) => return Ok((*text).to_owned()),
        Mini => {
            let text = plan.manifest.to_string();
            let detached = json!({ "updateManifest": text }).to_string();
            plan.remove("/instructions")?;
            plan.remove("/compatibility")?;
            plan.remove("/createdDateTime")?;
            plan.set("/files", json!({}))?;
            let file = agent.add_file(plan, "detached.json", detached.as_bytes());
            plan.set("/detachedManifestFileId", json!(file.id))?;
        }
    }
    Ok(plan.manifest.to_string())
}

async fn refused(agent: &mut AgentBench<'_>, requirement: &'static str, flaw: Flaw) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("fine")]).await?;
    let script = Script::good("bad");
    let mut plan = agent.plan(&[&script])?;
    let text = apply(agent, &mut plan, &flaw)?;
    let object = agent.signed_text(&plan, &text)?;
    let deployed = agent.send(&plan, &object).await?;
    let report = agent.end_within(requirement, BACK, &deployed).await?;
    agent.demand_failure(requirement, &deployed, &report);
    let installs = agent.times(&script, Phase::Install);
    agent.equal(requirement, "runs of install", 0, installs);
    agent.still_works("ADU-AGENT-104").await
}

async fn mini(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("detached");
    let mut plan = agent.plan(&[&script])?;
    let text = apply(agent, &mut plan, &Mini)?;
    let object = agent.signed_text(&plan, &text)?;
    let deployed = agent.send(&plan, &object).await?;
    let report = agent.end_within("ADU-MANIFEST-013", BACK, &deployed).await?;
    let is_success = report.claims_installed();
    let ran = agent.has_run(&script, Phase::Apply);
    let seen = format!("{report}; ran: {}", agent.told());
    let allowed = "success with the payload run, or a failure without";
    agent.demand("ADU-MANIFEST-013", is_success == ran, allowed, seen);
    agent.still_works("ADU-AGENT-104").await
}
