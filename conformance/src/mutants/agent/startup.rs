//! Defects of what an agent says when it connects.

use serde_json::{Value, json};

use super::Defect;
use super::rewrite::{AgentReports, Login, Properties, Reports, remove, set};

pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        id: "agent-startup-no-model-id",
        title: "The login names no model.",
        requirements: &["ADU-AGENT-001"],
        overlay: || Box::new(Login(|user_name| user_name.model_id = None)),
    },
    Defect {
        id: "agent-startup-no-component-mark",
        title: "Reports do not mark deviceUpdate as a component.",
        requirements: &["ADU-AGENT-002"],
        overlay: || {
            Box::new(Reports(|patch| {
                if let Some(component) =
                    patch.get_mut("deviceUpdate").and_then(Value::as_object_mut)
                {
                    component.remove("__t");
                }
            }))
        },
    },
    Defect {
        id: "agent-startup-silent",
        title: "The startup message is never sent.",
        requirements: &["ADU-AGENT-003"],
        overlay: || {
            Box::new(Reports(|patch| {
                if patch.pointer("/deviceUpdate/agent/deviceProperties").is_some() {
                    *patch = Value::Null;
                }
            }))
        },
    },
    Defect {
        id: "agent-startup-no-contract",
        title: "deviceProperties has no contractModelId.",
        requirements: &["ADU-AGENT-004"],
        overlay: || Box::new(Properties(|properties| remove(properties, "contractModelId"))),
    },
    Defect {
        id: "agent-startup-other-contract",
        title: "contractModelId names another interface than the one spoken.",
        requirements: &["ADU-AGENT-005"],
        overlay: || {
            Box::new(Properties(|properties| {
                let other = json!("dtmi:azure:iot:deviceUpdateContractModel;1");
                set(properties, "contractModelId", other);
            }))
        },
    },
    Defect {
        id: "agent-startup-unknown-compat-name",
        title: "compatPropertyNames lists a name that deviceProperties has not.",
        requirements: &["ADU-AGENT-007"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                if let Some(names) = agent.get_mut("compatPropertyNames") {
                    *names = json!("manufacturer,model,colour");
                }
            }))
        },
    },
    Defect {
        id: "agent-startup-long-value",
        title: "A device property has 65 characters.",
        requirements: &["ADU-AGENT-008"],
        overlay: || {
            Box::new(Properties(|properties| set(properties, "model", json!("m".repeat(65)))))
        },
    },
    Defect {
        id: "agent-startup-reports-idle",
        title: "State 0 is reported at startup although there is no deployment.",
        requirements: &["ADU-AGENT-009"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                if agent.get("deviceProperties").is_some() {
                    set(agent, "state", json!(0));
                }
            }))
        },
    },
    Defect {
        id: "agent-startup-no-information",
        title: "deviceInformation is never reported.",
        requirements: &["ADU-AGENT-010"],
        overlay: || {
            Box::new(Reports(|patch| {
                if patch.get("deviceInformation").is_some() {
                    *patch = Value::Null;
                }
            }))
        },
    },
];
