//! Acknowledgements of the desired property `service` (device-update-agent.md § 5).

use std::time::Duration;

use serde_json::{Value, json};
use twinspec_harness::content::Manner;

use super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::deploy::{remove, set};
use crate::bench::agent::{
    AgentBench, BACK, Deployed, NO_DEPLOYMENT, Phase, Report, STEP, Script, Treatment, What,
};
use crate::case::{Case, Claim, Need};
use crate::verdict::Checked;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[CASES_HERE];

const CASES_HERE: &[Case] = &[
    Case {
        id: "acknowledge-accepted",
        title: "An accepted deployment is acknowledged with 200 and its desired version",
        requirements: &["ADU-AGENT-030"],
        needs: SCRIPTED,
        run: agent_body!(accepted),
    },
    Case {
        id: "acknowledge-each-version",
        title: "Each of two deployments is acknowledged with its own version",
        requirements: &["ADU-AGENT-030"],
        needs: SCRIPTED,
        run: agent_body!(each_version),
    },
    Case {
        id: "acknowledge-value",
        title: "The acknowledgement has a value, which is an object",
        requirements: &["ADU-AGENT-031"],
        needs: SCRIPTED,
        run: agent_body!(value),
    },
    Case {
        id: "acknowledge-mark",
        title: "The acknowledgement is marked as one of a component",
        requirements: &["ADU-AGENT-035"],
        needs: SCRIPTED,
        run: agent_body!(mark),
    },
    Case {
        id: "acknowledge-brief",
        title: "The echoed value does not repeat signature and file URLs",
        requirements: &["ADU-AGENT-032"],
        needs: SCRIPTED,
        run: agent_body!(brief),
    },
    Case {
        id: "acknowledge-invalid",
        title: "A deployment with a bad signature is acknowledged with a 4xx code",
        requirements: &["ADU-AGENT-033"],
        needs: SCRIPTED,
        run: agent_body!(invalid),
    },
    Case {
        id: "acknowledge-without-id",
        title: "A deployment without workflow id is still acknowledged",
        requirements: &["ADU-AGENT-034"],
        needs: SCRIPTED,
        run: agent_body!(unprocessable, Part::Removed("/workflow/id")),
    },
    Case {
        id: "acknowledge-without-workflow",
        title: "A deployment without workflow is still acknowledged",
        requirements: &["ADU-AGENT-034"],
        needs: SCRIPTED,
        run: agent_body!(unprocessable, Part::Removed("/workflow")),
    },
    Case {
        id: "acknowledge-text-action",
        title: "A deployment whose action is a text is still acknowledged",
        requirements: &["ADU-AGENT-034"],
        needs: SCRIPTED,
        run: agent_body!(unprocessable, Part::Set("/workflow/action", json!("3"))),
    },
    Case {
        id: "acknowledge-idle-cancel",
        title: "A cancel is acknowledged although nothing runs",
        requirements: &["ADU-AGENT-036"],
        needs: SCRIPTED,
        run: agent_body!(idle_cancel),
    },
    Case {
        id: "acknowledge-cut",
        title: "An acknowledgement whose connection was cut is sent again",
        requirements: &["ADU-AGENT-030"],
        needs: SCRIPTED,
        run: agent_body!(cut),
    },
    Case {
        id: "acknowledge-away",
        title: "What was accepted while the connection was lost is acknowledged when it is back",
        requirements: &["ADU-AGENT-030"],
        needs: &[
            Need::Claim(Claim::RootKeys),
            Need::Claim(Claim::Scripts),
            Need::Claim(Claim::RootKeyPackage),
        ],
        run: agent_body!(away),
    },
];

/// How long a root key package takes while a connection is lost: less than agents wait for one.
const ABSENCE: Duration = Duration::from_millis(500);

/// What a case changes in an object.
enum Part {
    Removed(&'static str),
    Set(&'static str, Value),
}

/// A deployment that was carried out, and its acknowledgement.
async fn deployed(agent: &mut AgentBench<'_>, name: &str) -> Checked<(Deployed, Report)> {
    let script = Script::good(name);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    let acknowledgement = agent.acknowledged("ADU-AGENT-030", &deployed).await?;
    Ok((deployed, acknowledgement))
}

fn status(report: &Report) -> Value {
    report.acknowledgement().map(|ack| ack.ac.clone()).unwrap_or_default()
}

async fn accepted(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let (_, report) = deployed(agent, "a").await?;
    agent.equal_json("ADU-AGENT-030", "ac", &json!(200), &status(&report));
    Ok(())
}

async fn each_version(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    for name in ["a", "b", "c"] {
        let (_, report) = deployed(agent, name).await?;
        agent.equal_json("ADU-AGENT-030", "ac", &json!(200), &status(&report));
    }
    Ok(())
}

async fn value(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let (_, report) = deployed(agent, "a").await?;
    let is_object = report.acknowledgement().is_some_and(|ack| ack.value.is_object());
    agent.demand("ADU-AGENT-031", is_object, "value is an object", report.to_string());
    Ok(())
}

async fn mark(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let (_, report) = deployed(agent, "a").await?;
    let is_marked = report.component().get("__t") == Some(&json!("c"));
    agent.demand("ADU-AGENT-035", is_marked, "__t \"c\" beside service", report.to_string());
    Ok(())
}

async fn brief(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    let (_, report) = deployed(agent, "a").await?;
    let value = report.acknowledgement().map(|ack| ack.value.clone()).unwrap_or_default();
    for name in ["updateManifestSignature", "fileUrls"] {
        let is_short = value.get(name).is_none_or(Value::is_null);
        let allowed = format!("{name} absent or null");
        agent.demand("ADU-AGENT-032", is_short, allowed, report.to_string());
    }
    Ok(())
}

async fn invalid(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    deployed(agent, "a").await?;
    let plan = agent.plan(&[&Script::good("b")])?;
    let mut object = agent.signed(&plan)?;
    set(&mut object, "/updateManifestSignature", json!("e30.e30.e30"))?;
    let sent = agent.send(&plan, &object).await?;
    let report = agent.acknowledged("ADU-AGENT-033", &sent).await?;
    let code = status(&report).as_i64().unwrap_or_default();
    agent.demand("ADU-AGENT-033", (400..500).contains(&code), "ac 4xx", report.to_string());
    Ok(())
}

async fn unprocessable(agent: &mut AgentBench<'_>, part: Part) -> Checked {
    agent.start().await?;
    let plan = agent.plan(&[&Script::good("b")])?;
    let mut object = agent.signed(&plan)?;
    match part {
        Part::Removed(pointer) => remove(&mut object, pointer)?,
        Part::Set(pointer, value) => set(&mut object, pointer, value)?,
    }
    let sent = agent.send(&plan, &object).await?;
    agent.still_works("ADU-AGENT-104").await?;
    // Acknowledgements may be replaced by newer ones before they leave: any later one will do, when
    // the first was taken up at all.
    let reports = agent.reports(sent.from);
    let version = |report: &Report| report.acknowledgement().and_then(|ack| ack.av.as_u64());
    let is_there = reports.iter().any(|report| version(report) == Some(sent.version));
    let allowed = format!("an acknowledgement with av {}", sent.version);
    agent.demand("ADU-AGENT-034", is_there, allowed, "acknowledged was only the next one");
    Ok(())
}

async fn idle_cancel(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    deployed(agent, "a").await?;
    let plan = agent.plan(&[])?;
    let from = agent.seen_count();
    let version = agent.cancel(NO_DEPLOYMENT).await?;
    let sent = Deployed { workflow: NO_DEPLOYMENT.to_owned(), update: plan.update, version, from };
    let report = agent.acknowledged("ADU-AGENT-036", &sent).await?;
    let holds = report.acknowledgement().is_some();
    agent.demand("ADU-AGENT-036", holds, "an acknowledgement", report.to_string());
    Ok(())
}

async fn cut(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    deployed(agent, "a").await?;
    let mut first = true;
    agent.steer(move |what| match what {
        What::Report { patch, .. } if first && patch.pointer("/deviceUpdate/service").is_some() => {
            first = false;
            Treatment::CutBefore
        }
        _ => Treatment::Pass,
    });
    let plan = agent.plan(&[&Script::good("b")])?;
    let sent = agent.deploy(&plan).await?;
    let lost = agent.acknowledged("ADU-AGENT-030", &sent).await?;
    let again = Deployed { from: lost.number + 1, ..sent };
    let report = agent.acknowledged("ADU-AGENT-030", &again).await?;
    agent.equal_json("ADU-AGENT-030", "ac", &json!(200), &status(&report));
    agent.end("ADU-AGENT-041", &again).await.map(drop)
}

async fn away(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    deployed(agent, "a").await?;
    // The package comes when the connection is lost.
    let package = agent.package_of_its_own()?;
    agent.content().set_manner(&package.path, Manner::PauseAfter(10, ABSENCE));
    let mut plan = agent.plan(&[&Script::good("b")])?;
    plan.package = Some(agent.url_of(&package));
    let sent = agent.deploy(&plan).await?;
    let requests =
        |agent: &AgentBench<'_>| agent.hits().iter().filter(|hit| hit.path == package.path).count();
    let is_asked = |agent: &AgentBench<'_>| requests(agent) > 0;
    agent.until("ADU-SIG-026", "a request for the package", STEP, is_asked).await?;
    agent.steer(|what| match what {
        What::Connect(_) => Treatment::CutBefore,
        _ => Treatment::Pass,
    });
    agent.cut();
    let script_runs = |agent: &AgentBench<'_>| agent.has_run(&Script::good("b"), Phase::Apply);
    // Who does nothing without a connection has everything before it.
    agent.until_or_ended(STEP, script_runs).await;
    agent.steer_no_more();
    let version = serde_json::Value::from(sent.version);
    let is_it = |report: &Report| report.acknowledgement().is_some_and(|ack| ack.av == &version);
    agent.look_from(sent.from);
    let allowed = format!("an acknowledgement with av {version}");
    let report = agent.report_within("ADU-AGENT-030", &allowed, BACK * 2, is_it).await?;
    agent.equal_json("ADU-AGENT-030", "ac", &json!(200), &status(&report));
    agent.end_within("ADU-AGENT-041", BACK, &sent).await.map(drop)
}
