//! Files: where they come from, how they are checked, when they are kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use twinspec_harness::content::Manner;

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::keys::{sha256, standard};
use crate::bench::agent::{AgentBench, Phase, Plan, Script};
use crate::case::{Case, Claim, Need};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "deployment-files-by-id",
        title: "Files are fetched from the URLs under their ids",
        requirements: &["ADU-AGENT-048"],
        needs: SCRIPTED,
        run: agent_body!(files_by_id),
    },
    Case {
        id: "deployment-large-file",
        title: "A file of two megabytes is fetched and checked",
        requirements: &["ADU-AGENT-048"],
        needs: SCRIPTED,
        run: agent_body!(large_file),
    },
    Case {
        id: "deployment-file-present",
        title: "A file that is there with the right hash is not fetched again",
        requirements: &["ADU-AGENT-053"],
        needs: SCRIPTED,
        run: agent_body!(file_present),
    },
    Case {
        id: "deployment-file-corrupted",
        title: "A file that was changed on the device between the phases is not used",
        requirements: &["ADU-AGENT-054"],
        needs: SCRIPTED,
        run: agent_body!(file_corrupted),
    },
    Case {
        id: "deployment-hash-strongest-right",
        title: "With several hashes a wrong strong one is not accepted for a right weaker one",
        requirements: &["ADU-AGENT-063"],
        needs: SCRIPTED,
        run: agent_body!(strongest_hash),
    },
    Case {
        id: "deployment-hash-weak",
        title: "A file with nothing but a SHA-1 is refused",
        requirements: &["ADU-AGENT-064"],
        needs: SCRIPTED,
        run: agent_body!(weak_hash),
    },
    Case {
        id: "deployment-file-size",
        title: "A file with the right hash and another size is refused",
        requirements: &["ADU-AGENT-050"],
        needs: SCRIPTED,
        run: agent_body!(file_size),
    },
    Case {
        id: "deployment-download-handler-unknown",
        title: "An unknown download handler falls back to the whole file",
        requirements: &["ADU-AGENT-119"],
        needs: SCRIPTED,
        run: agent_body!(download_handler, "x/y:1"),
    },
    Case {
        id: "deployment-delta-without-source",
        title: "A delta without its source falls back to the whole file",
        requirements: &["ADU-AGENT-120"],
        needs: &[
            Need::Claim(Claim::RootKeys),
            Need::Claim(Claim::Scripts),
            Need::Claim(Claim::Delta),
        ],
        run: agent_body!(delta_without_source),
    },
    Case {
        id: "deployment-large-manifest",
        title: "With the largest manifest every report is still taken by the hub",
        requirements: &["ADU-AGENT-125"],
        needs: SCRIPTED,
        run: agent_body!(large_manifest),
    },
    Case {
        id: "deployment-server-fails-once",
        title: "A server that is unavailable once does not stop later deployments",
        requirements: &["ADU-AGENT-104"],
        needs: SCRIPTED,
        run: agent_body!(server_fails_once),
    },
];

/// Makes the first step use all files of the plan.
fn use_all(plan: &mut Plan) -> Checked {
    plan.set("/instructions/steps/0/files", json!(plan.file_ids()))
}

async fn files_by_id(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    let one = agent.add_file(&mut plan, "one.bin", b"first payload");
    let other = agent.add_file(&mut plan, "other.bin", b"second payload");
    use_all(&mut plan)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-048", &deployed).await?;
    agent.demand_success("ADU-AGENT-048", &deployed, &report);
    let hits = agent.hits();
    for file in [one, other] {
        let is_fetched = hits.iter().any(|hit| hit.path == file.path);
        agent.demand("ADU-AGENT-048", is_fetched, format!("a request for {}", file.id), "none");
    }
    Ok(())
}

async fn large_file(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    let content: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect();
    let file = agent.add_file(&mut plan, "large.bin", &content);
    use_all(&mut plan)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-048", &deployed).await?;
    agent.demand_success("ADU-AGENT-048", &deployed, &report);
    let is_fetched = agent.hits().iter().any(|hit| hit.path == file.path);
    agent.demand("ADU-AGENT-048", is_fetched, "a request for it", "none");
    Ok(())
}

async fn file_present(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a").failing(Phase::Install, 0x3050_0001, "not yet");
    let mut plan = agent.plan(&[&script])?;
    let file = agent.add_file(&mut plan, "payload.bin", &[7; 4096]);
    use_all(&mut plan)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-058", &deployed).await?;
    agent.demand_failure("ADU-AGENT-058", &deployed, &report);
    let count =
        |agent: &AgentBench<'_>| agent.hits().iter().filter(|hit| hit.path == file.path).count();
    let before = count(agent);
    agent.demand("ADU-AGENT-048", before >= 1, "a request for the file", "none");
    plan.retry = Some("2026-05-06T07:08:09Z".to_owned());
    let again = agent.deploy(&plan).await?;
    agent.end("ADU-AGENT-083", &again).await?;
    let runs = agent.times(&script, Phase::Install);
    agent.demand("ADU-AGENT-083", runs >= 2, "install runs again", agent.told());
    let after = count(agent);
    agent.equal("ADU-AGENT-053", "requests for the file", before, after);
    Ok(())
}

async fn file_corrupted(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a").gated(Phase::Download);
    let mut plan = agent.plan(&[&script])?;
    agent.add_file(&mut plan, "payload.bin", b"what was signed");
    use_all(&mut plan)?;
    let checker = "ok=$(cat payload.bin); ";
    // The script itself tells which bytes its install phase was given.
    let tell = format!("{checker}echo \"$ok\" > '{}'", agent.work_dir().join("given").display());
    let text =
        script.text(&agent.device()).replace("  install)\n", &format!("  install)\n    {tell}\n"));
    let ids = plan.file_ids();
    let old = ids
        .iter()
        .find(|id| plan.manifest.pointer(&format!("/files/{id}/fileName")) == Some(&json!("a.sh")));
    let old = old.cloned().unwrap_or_default();
    plan.remove(&format!("/files/{old}"))?;
    plan.urls.remove(&old);
    agent.add_file(&mut plan, "a.sh", text.as_bytes());
    use_all(&mut plan)?;
    let deployed = agent.deploy(&plan).await?;
    agent.begins("ADU-AGENT-054", &script, Phase::Download).await?;
    let file = find(&agent.work_dir(), "payload.bin").ok_or_else(|| {
        Stop::Unsupported("the agent keeps its downloads outside its work folder".to_owned())
    })?;
    let changed = std::fs::remove_file(&file).and_then(|()| std::fs::write(&file, "tampered"));
    changed.map_err(|error| Stop::Harness(error.to_string()))?;
    agent.open_gate(&script, Phase::Download)?;
    let report = agent.end("ADU-AGENT-054", &deployed).await?;
    let given = std::fs::read_to_string(agent.work_dir().join("given")).unwrap_or_default();
    // To fetch it anew is as good as to fail.
    let allowed = "install is given what was signed, or not run at all";
    let holds = given.trim().is_empty() || given.trim() == "what was signed";
    agent.demand("ADU-AGENT-054", holds, allowed, format!("{} with {report}", given.trim()));
    Ok(())
}

/// The file called `name` somewhere below `folder`.
fn find(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { find(&path, name) } else { path.ends_with(name).then_some(path) }
    })
}

async fn strongest_hash(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let content = b"hashed twice";
    // SHA-512 of other bytes beside the right SHA-256.
    let wrong = STANDARD.encode([5; 64]);
    let hashes = json!({ "sha256": standard(sha256(content)), "sha512": wrong });
    refused_file(agent, "ADU-AGENT-063", content, "hashes", hashes).await
}

async fn weak_hash(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    // SHA-1 of the three letters abc.
    let hashes = json!({ "sha1": "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=" });
    refused_file(agent, "ADU-AGENT-064", b"abc", "hashes", hashes).await
}

async fn file_size(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    refused_file(agent, "ADU-AGENT-050", b"twelve bytes", "sizeInBytes", json!(11)).await
}

/// A deployment fails when `member` of a file's entry is `value`; it succeeds without that change.
async fn refused_file(
    agent: &mut AgentBench<'_>,
    requirement: &'static str,
    content: &[u8],
    member: &str,
    value: serde_json::Value,
) -> Checked {
    for is_changed in [false, true] {
        let script = Script::good(if is_changed { "bad" } else { "fine" });
        let mut plan = agent.plan(&[&script])?;
        let file = agent.add_file(&mut plan, "payload.bin", content);
        use_all(&mut plan)?;
        if is_changed {
            plan.set(&format!("/files/{}/{member}", file.id), value.clone())?;
        }
        let deployed = agent.deploy(&plan).await?;
        let report = agent.end("ADU-AGENT-041", &deployed).await?;
        if is_changed {
            agent.demand_failure(requirement, &deployed, &report);
            let installs = agent.times(&script, Phase::Install);
            agent.equal(requirement, "runs of install", 0, installs);
        } else {
            agent.demand_success("ADU-AGENT-041", &deployed, &report);
        }
    }
    Ok(())
}

async fn download_handler(agent: &mut AgentBench<'_>, handler: &str) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    let file = agent.add_file(&mut plan, "payload.bin", b"the whole file");
    use_all(&mut plan)?;
    plan.set(&format!("/files/{}/downloadHandler", file.id), json!({ "id": handler }))?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-119", &deployed).await?;
    agent.demand_success("ADU-AGENT-119", &deployed, &report);
    let is_fetched = agent.hits().iter().any(|hit| hit.path == file.path);
    agent.demand("ADU-AGENT-119", is_fetched, "a request for the whole file", "none");
    Ok(())
}

async fn delta_without_source(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    let file = agent.add_file(&mut plan, "image.bin", b"the whole new image");
    use_all(&mut plan)?;
    let delta = agent.serve("image.delta", b"no delta of anything", Manner::Whole);
    plan.urls.insert(delta.id.clone(), json!(agent.url_of(&delta)));
    let pointer = format!("/files/{}", file.id);
    plan.set(&format!("{pointer}/downloadHandler"), json!({ "id": "microsoft/delta:1" }))?;
    let related = json!({ delta.id: {
        "fileName": "image.delta",
        "sizeInBytes": 20,
        "hashes": { "sha256": standard(sha256("no delta of anything")) },
        "properties": {
            "microsoft.sourceFileHash": standard(sha256("the old image")),
            "microsoft.sourceFileHashAlgorithm": "sha256",
        },
    } });
    plan.set(&format!("{pointer}/relatedFiles"), related)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-120", &deployed).await?;
    agent.demand_success("ADU-AGENT-120", &deployed, &report);
    let is_fetched = agent.hits().iter().any(|hit| hit.path == file.path);
    agent.demand("ADU-AGENT-120", is_fetched, "a request for the whole file", "none");
    Ok(())
}

async fn large_manifest(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    for number in 0..9 {
        let name = format!("{number}-{}.bin", "n".repeat(200));
        agent.add_file(&mut plan, &name, format!("payload {number}").as_bytes());
    }
    use_all(&mut plan)?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-125", &deployed).await?;
    agent.demand_success("ADU-AGENT-125", &deployed, &report);
    agent.acknowledged("ADU-AGENT-125", &deployed).await?;
    let refused = agent.refused_reports();
    agent.equal("ADU-AGENT-125", "reports that the hub refused", 0, refused);
    Ok(())
}

async fn server_fails_once(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let script = Script::good("a");
    let mut plan = agent.plan(&[&script])?;
    let file = agent.add_file(&mut plan, "payload.bin", b"comes late");
    use_all(&mut plan)?;
    agent.content().set_manner(&file.path, Manner::RefusedFirst(503, 1));
    let deployed = agent.deploy(&plan).await?;
    // To try again and to fail are both conformant; to hang is not.
    let report = agent.end("ADU-AGENT-104", &deployed).await?;
    let is_end = report.is_terminal();
    agent.demand("ADU-AGENT-104", is_end, "an end", report.to_string());
    agent.still_works("ADU-AGENT-104").await
}
