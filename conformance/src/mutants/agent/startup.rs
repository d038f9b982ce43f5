//! Defects of what an agent says when it connects.

use serde_json::{Value, json};
use twinspec_model::agent::Input;

use super::Defect;
use super::orders::Orders;
use super::rewrite::{AgentReports, Inputs, Login, Properties, Reports, remove, set};

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
    defect!(
        "agent-startup-no-names",
        "The startup message has no compatPropertyNames.",
        ["ADU-AGENT-003"],
        AgentReports(|agent| remove(agent, "compatPropertyNames"))
    ),
    defect!(
        "agent-startup-no-manufacturer",
        "deviceProperties has no manufacturer.",
        ["ADU-AGENT-004"],
        Properties(|properties| remove(properties, "manufacturer"))
    ),
    defect!(
        "agent-startup-six-names",
        "compatPropertyNames lists six names.",
        ["ADU-AGENT-007"],
        AgentReports(|agent| {
            if let Some(names) = agent.get_mut("compatPropertyNames") {
                *names = json!("manufacturer,model,aduVer,manufacturer,model,aduVer");
            }
        })
    ),
    defect!(
        "agent-startup-long-name",
        "A compatibility property has a name of 32 characters.",
        ["ADU-AGENT-008"],
        AgentReports(|agent| {
            let name = "n".repeat(32);
            if let Some(properties) = agent.get_mut("deviceProperties") {
                set(properties, &name, json!("1"));
                set(agent, "compatPropertyNames", json!(format!("manufacturer,{name}")));
            }
        })
    ),
    defect!(
        "agent-startup-information-in-part",
        "deviceInformation has no totalMemory.",
        ["ADU-AGENT-010"],
        Reports(|patch| {
            if let Some(information) = patch.get_mut("deviceInformation") {
                remove(information, "totalMemory");
            }
        })
    ),
    defect!(
        "agent-startup-unknown-as-deployment",
        "Unknown properties are taken as deployments, and refused.",
        ["ADU-AGENT-013"],
        Inputs(|input| match input {
            Input::Patch(mut patch) if patch.pointer("/deviceUpdate/service").is_none() => {
                let workflow = json!({ "action": 3, "id": "unknown" });
                let component = json!({ "__t": "c", "service": { "workflow": workflow } });
                set(&mut patch, "deviceUpdate", component);
                vec![Input::Patch(patch)]
            }
            input => vec![input],
        })
    ),
    defect!(
        "agent-startup-no-deployment-fails",
        "The object that says that there is no deployment is reported as a failure at a first start.",
        ["ADU-AGENT-095"],
        Orders::new(|service, moment| {
            if moment.from_twin
                && moment.held.is_none()
                && moment.action == Some(255)
                && let Some(workflow) = service.get_mut("workflow")
            {
                set(workflow, "action", json!(3));
            }
            true
        })
    ),
];
