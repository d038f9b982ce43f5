//! Defects of carrying deployments out.

use serde_json::{Value, json};
use twinspec_harness::agent::Effect;
use twinspec_model::agent::{Fetched, Input, Outcome, Output, Phase, Plan, Validation};
use twinspec_model::update::manifest::Manifest;

use super::Defect;
use super::rewrite::{AgentReports, Inputs, Outputs, has_state, remove, set};

pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        id: "agent-deployment-internal-state",
        title: "State 6 is reported as the internal state 1.",
        requirements: &["ADU-AGENT-016"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                if agent.get("state") == Some(&json!(6)) {
                    set(agent, "state", json!(1));
                }
            }))
        },
    },
    Defect {
        id: "agent-deployment-id-as-object",
        title: "installedUpdateId is an object.",
        requirements: &["ADU-AGENT-017"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                let id = agent.get("installedUpdateId").and_then(Value::as_str);
                let id = id.and_then(|text| serde_json::from_str(text).ok());
                if let Some(id) = id {
                    set(agent, "installedUpdateId", id);
                }
            }))
        },
    },
    Defect {
        id: "agent-deployment-id-null",
        title: "installedUpdateId is null when it is unknown.",
        requirements: &["ADU-AGENT-018"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                if has_state(agent) && agent.get("installedUpdateId").is_none() {
                    set(agent, "installedUpdateId", Value::Null);
                }
            }))
        },
    },
    Defect {
        id: "agent-deployment-no-result",
        title: "Final reports have no lastInstallResult.",
        requirements: &["ADU-AGENT-019"],
        overlay: || {
            Box::new(AgentReports(|agent| {
                if agent.get("state") != Some(&json!(6)) {
                    remove(agent, "lastInstallResult");
                }
            }))
        },
    },
    Defect {
        id: "agent-deployment-success-without-id",
        title: "A success is reported without installedUpdateId.",
        requirements: &["ADU-AGENT-041"],
        overlay: || Box::new(AgentReports(|agent| remove(agent, "installedUpdateId"))),
    },
    Defect {
        id: "agent-deployment-skips-signature",
        title: "Manifests are carried out without looking at their signature.",
        requirements: &["ADU-AGENT-044", "ADU-SIG-001", "ADU-SIG-002", "ADU-SIG-003"],
        overlay: || Box::new(Outputs(without_signature)),
    },
    Defect {
        id: "agent-deployment-skips-root-keys",
        title: "A root key package that does not come is passed over.",
        requirements: &["ADU-AGENT-045", "ADU-SIG-029"],
        overlay: || Box::new(Outputs(without_package)),
    },
    Defect {
        id: "agent-deployment-takes-any-file",
        title: "Files are given to handlers whatever their hash.",
        requirements: &["ADU-AGENT-049"],
        overlay: || Box::new(AnyFile::default()),
    },
    Defect {
        id: "agent-deployment-always-installs",
        title: "What is installed already is installed again.",
        requirements: &["ADU-AGENT-055"],
        overlay: || Box::new(NeverInstalled::default()),
    },
    Defect {
        id: "agent-deployment-hides-failure",
        title: "A failure of install or apply is taken as success.",
        requirements: &["ADU-AGENT-058", "ADU-AGENT-111"],
        overlay: || {
            Box::new(Inputs(|input| match input {
                Input::Ran { job, outcome } if outcome.code == 0 => {
                    vec![Input::Ran { job, outcome: Outcome::of(700) }]
                }
                input => vec![input],
            }))
        },
    },
];

fn without_signature(output: Output) -> Vec<Effect> {
    let Output::Validate { job, order, .. } = output else {
        return vec![Effect::Do(output)];
    };
    let manifest = Manifest::parse(order.manifest.as_deref().unwrap_or_default());
    let generation = twinspec_model::agent::Generation::Three;
    let plan = match manifest {
        Ok(manifest) => Plan::of(&manifest, order.urls, generation),
        Err(flaw) => Err(flaw.into()),
    };
    let validation = Box::new(Validation { store: None, notes: Vec::new(), plan });
    vec![Effect::Feed(Input::Validated { job, validation })]
}

/// The package is never asked for; the validation that would miss it is done without.
fn without_package(output: Output) -> Vec<Effect> {
    match output {
        Output::FetchRootKeys { job, .. } => {
            vec![Effect::Feed(Input::RootKeys { job, outcome: Ok(String::new()) })]
        }
        output => without_signature(output),
    }
}

/// Answers every check with what the manifest wants to hear.
#[derive(Default)]
struct AnyFile(std::collections::BTreeMap<u64, (u64, Vec<u8>)>);

impl twinspec_harness::agent::Overlay for AnyFile {
    fn input(&mut self, input: Input) -> Vec<Input> {
        match input {
            Input::Fetched { job, outcome: Fetched::Complete { text, .. } } => {
                let (size, hash) = self.0.remove(&job).unwrap_or_default();
                vec![Input::Fetched { job, outcome: Fetched::Complete { size, hash, text } }]
            }
            input => vec![input],
        }
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        if let Output::Fetch { job, order } = &output {
            self.0.insert(*job, (order.size, order.hash.clone()));
        }
        vec![Effect::Do(output)]
    }
}

/// Hears "not installed" whatever the handler says.
#[derive(Default)]
struct NeverInstalled(std::collections::BTreeSet<u64>);

impl twinspec_harness::agent::Overlay for NeverInstalled {
    fn input(&mut self, input: Input) -> Vec<Input> {
        match input {
            Input::Ran { job, .. } if self.0.remove(&job) => {
                vec![Input::Ran { job, outcome: Outcome::of(901) }]
            }
            input => vec![input],
        }
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        if let Output::Run { job, call } = &output
            && call.phase == Phase::IsInstalled
        {
            self.0.insert(*job);
        }
        vec![Effect::Do(output)]
    }
}
