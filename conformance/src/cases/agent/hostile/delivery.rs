//! Deliveries that go wrong: twice, cut off in between, answered badly
//! (device-update-agent.md § 9).

use serde_json::{Value, json};

use super::super::SCRIPTED;
use crate::agent_body;
use crate::bench::agent::{AgentBench, BACK, Phase, Report, Script, Treatment, What};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "hostile-duplicate-notification",
        title: "A notification that is delivered twice runs its payload once",
        requirements: &["ADU-AGENT-080"],
        needs: SCRIPTED,
        run: agent_body!(duplicate_notification),
    },
    Case {
        id: "hostile-duplicate-while-running",
        title: "A notification that is delivered again while it runs does not run it twice",
        requirements: &["ADU-AGENT-080"],
        needs: SCRIPTED,
        run: agent_body!(duplicate_while_running),
    },
    Case {
        id: "hostile-unreadable-notification",
        title: "A notification that is no JSON does not stop the agent",
        requirements: &["ADU-AGENT-103", "ADU-AGENT-104"],
        needs: SCRIPTED,
        run: agent_body!(unreadable_notification),
    },
    Case {
        id: "hostile-cut-after-notification",
        title: "A connection that is cut when the deployment arrives does not change its end",
        requirements: &["ADU-AGENT-082"],
        needs: SCRIPTED,
        run: agent_body!(cut_in, None),
    },
    Case {
        id: "hostile-cut-in-download",
        title: "A connection that is cut in the download phase does not change the end",
        requirements: &["ADU-AGENT-082"],
        needs: SCRIPTED,
        run: agent_body!(cut_in, Some(Phase::Download)),
    },
    Case {
        id: "hostile-cut-in-install",
        title: "A connection that is cut in the install phase does not change the end",
        requirements: &["ADU-AGENT-082"],
        needs: SCRIPTED,
        run: agent_body!(cut_in, Some(Phase::Install)),
    },
    Case {
        id: "hostile-cut-in-apply",
        title: "A connection that is cut in the apply phase does not change the end",
        requirements: &["ADU-AGENT-082"],
        needs: SCRIPTED,
        run: agent_body!(cut_in, Some(Phase::Apply)),
    },
    Case {
        id: "hostile-cut-before-final-report",
        title: "A final report whose connection was cut is sent again",
        requirements: &["ADU-AGENT-122"],
        needs: SCRIPTED,
        run: agent_body!(final_report, Loss::CutBefore),
    },
    Case {
        id: "hostile-cut-after-final-report",
        title: "A final report that was taken although the connection broke leaves state 0",
        requirements: &["ADU-AGENT-082"],
        needs: SCRIPTED,
        run: agent_body!(taken_then_cut),
    },
    Case {
        id: "hostile-report-429",
        title: "A report that is refused with 429 is sent again later",
        requirements: &["ADU-AGENT-122"],
        needs: SCRIPTED,
        run: agent_body!(final_report, Loss::Refused(429)),
    },
    Case {
        id: "hostile-report-500",
        title: "A report that is refused with 500 is sent again later",
        requirements: &["ADU-AGENT-122"],
        needs: SCRIPTED,
        run: agent_body!(final_report, Loss::Refused(500)),
    },
    Case {
        id: "hostile-report-503",
        title: "A report that is refused with 503 is sent again later",
        requirements: &["ADU-AGENT-122"],
        needs: SCRIPTED,
        run: agent_body!(final_report, Loss::Refused(503)),
    },
    Case {
        id: "hostile-report-400",
        title: "A report that is refused with 400 does not stop later reports",
        requirements: &["ADU-AGENT-123"],
        needs: SCRIPTED,
        run: agent_body!(later_reports, 400),
    },
    Case {
        id: "hostile-report-413",
        title: "A report that is refused with 413 does not stop later reports",
        requirements: &["ADU-AGENT-123"],
        needs: SCRIPTED,
        run: agent_body!(later_reports, 413),
    },
    Case {
        id: "hostile-final-report-400",
        title: "A final report that is refused with 400 is repeated later",
        requirements: &["ADU-AGENT-124"],
        needs: SCRIPTED,
        run: agent_body!(final_report_repeated),
    },
];

async fn duplicate_notification(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.hold();
    let script = Script::good("a").forgetful();
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let packet = agent.held_one().await?;
    agent.inject(packet.clone());
    agent.inject(packet);
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    // A good deployment at once would replace what must not run, and hide it.
    agent.quiet().await;
    agent.still_works("ADU-AGENT-104").await?;
    let runs = (agent.times(&script, Phase::Install), agent.times(&script, Phase::Apply));
    agent.equal("ADU-AGENT-080", "runs of install and apply", (1, 1), runs);
    Ok(())
}

async fn duplicate_while_running(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.hold();
    let script = Script::good("a").forgetful().gated(Phase::Install);
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let packet = agent.held_one().await?;
    agent.inject(packet.clone());
    agent.begins("ADU-AGENT-040", &script, Phase::Install).await?;
    agent.inject(packet);
    agent.quiet().await;
    agent.open_gate(&script, Phase::Install)?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-080", &deployed, &report);
    // A good deployment at once would replace what must not run, and hide it.
    agent.quiet().await;
    agent.still_works("ADU-AGENT-104").await?;
    let runs = (agent.times(&script, Phase::Install), agent.times(&script, Phase::Apply));
    agent.equal("ADU-AGENT-080", "runs of install and apply", (1, 1), runs);
    Ok(())
}

async fn unreadable_notification(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.succeed("ADU-AGENT-041", &[&Script::good("fine")]).await?;
    for payload in ["{\"deviceUpdate\":", "", "null", "[]", "\u{feff}{}", "{\"$version\":\"x\"}"] {
        agent.notify(1_000, payload);
    }
    agent.ends_or_waits().await;
    let crashed = agent.has_ended();
    agent.demand("ADU-AGENT-103", !crashed, "the agent runs on", "it has ended");
    agent.still_works("ADU-AGENT-104").await
}

async fn cut_in(agent: &mut AgentBench<'_>, phase: Option<Phase>) -> Checked {
    agent.start().await?;
    let script = match phase {
        None => Script::good("a"),
        Some(phase) => Script::good("a").gated(phase),
    };
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    if let Some(phase) = phase {
        agent.begins("ADU-AGENT-040", &script, phase).await?;
    }
    agent.cut();
    agent.comes_back().await?;
    if let Some(phase) = phase {
        agent.open_gate(&script, phase)?;
    }
    let report = agent.end_within("ADU-AGENT-082", BACK, &deployed).await?;
    agent.demand_success("ADU-AGENT-082", &deployed, &report);
    agent.still_works("ADU-AGENT-104").await?;
    let runs = agent.times(&script, Phase::Apply);
    agent.equal("ADU-AGENT-082", "runs of apply", 1, runs);
    Ok(())
}

/// What becomes of a report at first.
#[derive(Clone, Copy)]
enum Loss {
    CutBefore,
    Refused(u16),
}

fn is_final(what: &What) -> bool {
    match what {
        What::Report { patch, .. } => patch.pointer("/deviceUpdate/agent/state") == Some(&json!(0)),
        _ => false,
    }
}

/// Loses the first report of state 0.
fn lose_first_end(agent: &AgentBench<'_>, treatment: Treatment) {
    let mut first = true;
    agent.steer(move |what| {
        if first && is_final(what) {
            first = false;
            return treatment.clone();
        }
        Treatment::Pass
    });
}

async fn final_report(agent: &mut AgentBench<'_>, loss: Loss) -> Checked {
    agent.start().await?;
    lose_first_end(
        agent,
        match loss {
            Loss::CutBefore => Treatment::CutBefore,
            Loss::Refused(status) => Treatment::Refuse(status),
        },
    );
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    let workflow = plan.workflow.clone();
    let again = |report: &Report| report.is_terminal() && !report.is_about_another(&workflow);
    let budget = agent.resend().max(BACK);
    let allowed = "the same report again";
    let report = agent.report_within("ADU-AGENT-122", allowed, budget, again).await?;
    agent.demand_success("ADU-AGENT-122", &deployed, &report);
    let runs = agent.times(&script, Phase::Apply);
    agent.equal("ADU-AGENT-082", "runs of apply", 1, runs);
    Ok(())
}

async fn taken_then_cut(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    lose_first_end(agent, Treatment::CutAfter);
    let script = Script::good("a");
    let plan = agent.plan(&[&script])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    agent.comes_back().await?;
    agent.reads_twin("ADU-AGENT-082").await?;
    agent.quiet().await;
    let identity = agent.identity().clone();
    let twin = agent.read_twin(&identity).await?;
    let pointer = "/properties/reported/deviceUpdate/agent/state";
    let state = twin.pointer(pointer).cloned().unwrap_or(Value::Null);
    agent.still_works("ADU-AGENT-104").await?;
    agent.equal_json("ADU-AGENT-082", "state in the twin", &json!(0), &state);
    let runs = agent.times(&script, Phase::Apply);
    agent.equal("ADU-AGENT-082", "runs of apply", 1, runs);
    Ok(())
}

async fn later_reports(agent: &mut AgentBench<'_>, status: u16) -> Checked {
    agent.start().await?;
    lose_first_end(agent, Treatment::Refuse(status));
    let plan = agent.plan(&[&Script::good("a")])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    agent.still_works("ADU-AGENT-123").await
}

async fn final_report_repeated(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    lose_first_end(agent, Treatment::Refuse(400));
    let plan = agent.plan(&[&Script::good("a")])?;
    let deployed = agent.deploy(&plan).await?;
    let report = agent.end("ADU-AGENT-041", &deployed).await?;
    agent.demand_success("ADU-AGENT-041", &deployed, &report);
    let workflow = plan.workflow.clone();
    let again = |report: &Report| report.is_terminal() && !report.is_about_another(&workflow);
    let budget = agent.resend().max(BACK);
    let allowed = "the same report again";
    let report = agent.report_within("ADU-AGENT-124", allowed, budget, again).await?;
    agent.demand_success("ADU-AGENT-124", &deployed, &report);
    Ok(())
}
