//! The startup message, the model id and the device information.

use serde_json::Value;
use twinspec_model::wire::username::UserName;

use super::super::{RESUMED, SCRIPTED};
use crate::agent_body;
use crate::bench::agent::{AgentBench, Report, Script, Seen, What};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "startup-model-id",
        title: "The CONNECT announces a model with the component deviceUpdate",
        requirements: &["ADU-AGENT-001"],
        needs: &[],
        run: agent_body!(model_id),
    },
    Case {
        id: "startup-message",
        title: "After its first connect an agent reports deviceProperties and compatPropertyNames",
        requirements: &["ADU-AGENT-003", "ADU-AGENT-002"],
        needs: &[],
        run: agent_body!(message),
    },
    Case {
        id: "startup-device-properties",
        title: "deviceProperties has manufacturer, model and contractModelId",
        requirements: &["ADU-AGENT-004"],
        needs: &[],
        run: agent_body!(device_properties),
    },
    Case {
        id: "startup-contract-model",
        title: "contractModelId is that of the interface in which results are reported",
        requirements: &["ADU-AGENT-005"],
        needs: SCRIPTED,
        run: agent_body!(contract_model),
    },
    Case {
        id: "startup-agent-version",
        title: "aduVer names builder and version of the agent",
        requirements: &["ADU-AGENT-006"],
        needs: &[],
        run: agent_body!(agent_version),
    },
    Case {
        id: "startup-compatibility-names",
        title: "compatPropertyNames lists one to five names that deviceProperties has",
        requirements: &["ADU-AGENT-007"],
        needs: &[],
        run: agent_body!(compatibility_names),
    },
    Case {
        id: "startup-compatibility-lengths",
        title: "Names and values of compatibility properties keep to their lengths",
        requirements: &["ADU-AGENT-008"],
        needs: &[],
        run: agent_body!(compatibility_lengths),
    },
    Case {
        id: "startup-device-information",
        title: "deviceInformation is reported with its eight fields",
        requirements: &["ADU-AGENT-010"],
        needs: &[],
        run: agent_body!(device_information),
    },
    Case {
        id: "startup-message-again",
        title: "An agent that was killed and started again introduces itself again",
        requirements: &["ADU-AGENT-003"],
        needs: RESUMED,
        run: agent_body!(message_again),
    },
];

async fn model_id(agent: &mut AgentBench<'_>) -> Checked {
    agent.launch().await?;
    let connects = agent.seen(0);
    let connect = connects.iter().find_map(|seen| match &seen.what {
        What::Connect(connect) => connect.user_name.clone(),
        _ => None,
    });
    let user_name = connect.unwrap_or_default();
    let model = UserName::parse(&user_name).and_then(|name| name.model_id).unwrap_or_default();
    let number = ["deviceUpdateModel;", "deviceUpdateContractModel;"]
        .iter()
        .find_map(|name| model.strip_prefix(&format!("dtmi:azure:iot:{name}")));
    let holds = matches!(number, Some("1" | "2" | "3"));
    let allowed =
        "model-id dtmi:azure:iot:deviceUpdateModel;1 to 3 or deviceUpdateContractModel;1 to 3";
    agent.demand("ADU-AGENT-001", holds, allowed, format!("user name {user_name}"));
    Ok(())
}

async fn message(agent: &mut AgentBench<'_>) -> Checked {
    let report = agent.start().await?;
    let names = report.agent().get("compatPropertyNames").and_then(Value::as_str);
    let has_both = names.is_some_and(|names| !names.is_empty());
    let allowed = "compatPropertyNames beside deviceProperties";
    agent.demand("ADU-AGENT-003", has_both, allowed, report.to_string());
    let is_marked = report.component().get("__t").and_then(Value::as_str) == Some("c");
    agent.demand("ADU-AGENT-002", is_marked, "__t is \"c\"", report.to_string());
    Ok(())
}

fn property<'a>(report: &'a Report, name: &str) -> &'a Value {
    report.at(&format!("/deviceUpdate/agent/deviceProperties/{name}"))
}

async fn device_properties(agent: &mut AgentBench<'_>) -> Checked {
    let report = agent.start().await?;
    for name in ["manufacturer", "model", "contractModelId"] {
        let is_text = property(&report, name).as_str().is_some_and(|text| !text.is_empty());
        agent.demand("ADU-AGENT-004", is_text, format!("{name} is a text"), report.to_string());
    }
    Ok(())
}

async fn contract_model(agent: &mut AgentBench<'_>) -> Checked {
    let startup = agent.start().await?;
    let model = property(&startup, "contractModelId").as_str().unwrap_or_default().to_owned();
    let report = agent.succeed("ADU-AGENT-041", &[&Script::good("a")]).await?;
    let has = |name: &str| report.result().get(name).is_some();
    let holds = match model.rsplit_once(';') {
        Some(("dtmi:azure:iot:deviceUpdateContractModel", "3")) => has("extendedResultCodes"),
        Some(("dtmi:azure:iot:deviceUpdateContractModel", "1" | "2")) => has("extendedResultCode"),
        _ => false,
    };
    let allowed = "dtmi:azure:iot:deviceUpdateContractModel;3 with extendedResultCodes, \
                   ;1 or ;2 with extendedResultCode";
    agent.demand("ADU-AGENT-005", holds, allowed, format!("{model} with {report}"));
    Ok(())
}

async fn agent_version(agent: &mut AgentBench<'_>) -> Checked {
    let report = agent.start().await?;
    let version = property(&report, "aduVer").as_str().unwrap_or_default();
    let holds = version
        .split_once(";agent/")
        .is_some_and(|(builder, version)| !builder.is_empty() && !version.is_empty());
    agent.demand("ADU-AGENT-006", holds, "<builder>;agent/<version>", report.to_string());
    Ok(())
}

async fn compatibility_names(agent: &mut AgentBench<'_>) -> Checked {
    let report = agent.start().await?;
    let names = names(&report);
    let are_few = (1..=5).contains(&names.len());
    agent.demand("ADU-AGENT-007", are_few, "1 to 5 names", report.to_string());
    for name in &names {
        let is_there = property(&report, name).is_string();
        let allowed = format!("{name} is in deviceProperties");
        agent.demand("ADU-AGENT-007", is_there, allowed, report.to_string());
    }
    Ok(())
}

async fn compatibility_lengths(agent: &mut AgentBench<'_>) -> Checked {
    let report = agent.start().await?;
    for name in names(&report) {
        let value = property(&report, &name).as_str().unwrap_or_default();
        let holds = name.chars().count() < 32 && value.chars().count() <= 64;
        let allowed = "names under 32 characters, values up to 64";
        agent.demand("ADU-AGENT-008", holds, allowed, format!("{name}: {value}"));
    }
    Ok(())
}

fn names(report: &Report) -> Vec<String> {
    let text = report.agent().get("compatPropertyNames").and_then(Value::as_str);
    text.unwrap_or_default().split(',').map(|name| name.trim().to_owned()).collect()
}

async fn device_information(agent: &mut AgentBench<'_>) -> Checked {
    agent.launch().await?;
    let informs = |seen: &Seen| match &seen.what {
        What::Report { patch, .. } => patch.get("deviceInformation").cloned(),
        _ => None,
    };
    let budget = crate::bench::agent::STEP;
    let allowed = "a report of deviceInformation";
    let information = agent.see("ADU-AGENT-010", allowed, budget, informs).await?;
    let texts = [
        "manufacturer",
        "model",
        "swVersion",
        "osName",
        "processorArchitecture",
        "processorManufacturer",
    ];
    for name in texts {
        let value = information.get(name).and_then(Value::as_str);
        let holds = value.is_some_and(|value| value.chars().count() <= 64);
        let allowed = format!("{name} is a text of up to 64 characters");
        agent.demand("ADU-AGENT-010", holds, allowed, information.to_string());
    }
    for name in ["totalStorage", "totalMemory"] {
        // A number in practice and in the model, a text in one document.
        let holds =
            information.get(name).is_some_and(|value| value.is_number() || value.is_string());
        agent.demand("ADU-AGENT-010", holds, format!("{name} is there"), information.to_string());
    }
    Ok(())
}

async fn message_again(agent: &mut AgentBench<'_>) -> Checked {
    agent.start().await?;
    agent.kill().await;
    let report = agent.start().await?;
    agent.demand("ADU-AGENT-003", report.is_startup(), "the startup message", report.to_string());
    Ok(())
}
