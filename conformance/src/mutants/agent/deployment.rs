//! Defects of carrying deployments out.

use serde_json::{Value, json};
use twinspec_harness::agent::{Config, Effect};
use twinspec_model::agent::{FetchOrder, Fetched, Input, Outcome, Output, Phase, Plan, Validation};
use twinspec_model::update::files::Algorithm;
use twinspec_model::update::manifest::Manifest;

use super::Defect;
use super::lenient::Lenient;
use super::rewrite::{
    AgentReports, Inputs, Outputs, With, code_of, extra, has_state, remove, same_input, set,
    state_of, state_report,
};

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
    defect!(
        "agent-deployment-never-begins",
        "A valid deployment is acknowledged and never begun.",
        ["ADU-AGENT-040"],
        Outputs(|output| match output {
            Output::Validate { .. } => Vec::new(),
            output => vec![Effect::Do(output)],
        })
    ),
    defect!(
        "agent-deployment-success-too-early",
        "Success is reported when the last phase of the payload begins.",
        ["ADU-AGENT-042"],
        Outputs(|output| succeeds_at(output, Phase::Apply))
    ),
    defect!(
        "agent-deployment-install-not-awaited",
        "The install phase of the payload is not waited for.",
        ["ADU-AGENT-042"],
        With {
            state: (),
            input: same_input,
            output: |(), output| match &output {
                Output::Run { call, .. } if call.phase == Phase::Apply => {
                    succeeds_at(output, Phase::Apply)
                }
                _ => succeeds_at(output, Phase::Install),
            },
        }
    ),
    defect!(
        "agent-deployment-runs-nothing",
        "Install and apply of the payload are left out, and success is reported.",
        ["ADU-AGENT-042"],
        Outputs(|output| match output {
            Output::Run { job, call } if matches!(call.phase, Phase::Install | Phase::Apply) => {
                vec![Effect::Feed(Input::Ran { job, outcome: Outcome::of(700) })]
            }
            output => vec![Effect::Do(output)],
        })
    ),
    defect!(
        "agent-deployment-progress-too-late",
        "State 6 is reported when the payload has been installed.",
        ["ADU-AGENT-043"],
        With { state: None, input: same_input, output: progress_too_late }
    ),
    defect!(
        "agent-deployment-progress-afterwards",
        "State 6 is reported once more after the end.",
        ["ADU-AGENT-043"],
        With {
            state: 0,
            input: same_input,
            output: |count, mut output| {
                let Some(agent) = state_report(&mut output) else {
                    return vec![Effect::Do(output)];
                };
                let mut again = agent.clone();
                if code_of(agent) != Some(700) {
                    return vec![Effect::Do(output)];
                }
                set(&mut again, "state", json!(6));
                *count += 1;
                let patch = json!({ "deviceUpdate": { "__t": "c", "agent": again } });
                vec![Effect::Do(output), extra(*count, patch)]
            },
        }
    ),
    defect!(
        "agent-deployment-asks-unchecked-scripts",
        "A script is asked whether it is installed before its hash was looked at.",
        ["ADU-AGENT-044"],
        FirstUnchecked::default()
    ),
    defect!(
        "agent-deployment-fetches-first",
        "Payloads are fetched before the signature is looked at.",
        ["ADU-AGENT-047"],
        Outputs(fetches_first)
    ),
    defect!(
        "agent-deployment-refuses-4",
        "Manifests of version 4 are refused.",
        ["ADU-AGENT-068"],
        Lenient::refuses(|attempt| {
            let manifest = attempt.manifest_value().unwrap_or_default();
            manifest.get("manifestVersion") == Some(&json!("4"))
        })
    ),
    defect!(
        "agent-deployment-minds-package-url",
        "Generations before 3 refuse an object with rootKeyPackageUrl, as another product does.",
        ["ADU-AGENT-105"],
        MindsPackage::default()
    ),
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

/// Runs the phase, and takes it for done at once.
fn succeeds_at(output: Output, phase: Phase) -> Vec<Effect> {
    let ran = match &output {
        Output::Run { job, call } if call.phase == phase => {
            Some(Input::Ran { job: *job, outcome: Outcome::of(700) })
        }
        _ => None,
    };
    std::iter::once(Effect::Do(output)).chain(ran.map(Effect::Feed)).collect()
}

/// Holds state 6 back until the apply phase begins.
fn progress_too_late(held: &mut Option<Value>, mut output: Output) -> Vec<Effect> {
    if let Some(agent) = state_report(&mut output)
        && state_of(agent) == Some(6)
        && let Output::Send { report, patch } = output
    {
        *held = Some(patch);
        return vec![Effect::Feed(Input::Answered { report, status: 204 })];
    }
    let is_due = matches!(&output, Output::Run { call, .. } if call.phase == Phase::Apply);
    let late = held.take_if(|_| is_due).map(|patch| extra(0, patch));
    late.into_iter().chain([Effect::Do(output)]).collect()
}

/// Fetches all that an order names, for nobody.
fn fetches_first(output: Output) -> Vec<Effect> {
    let mut effects = Vec::new();
    if let Output::Validate { order, .. } = &output {
        for (number, url) in order.urls.values().enumerate() {
            let order = FetchOrder {
                workflow: order.workflow.id.clone(),
                folder: "early".to_owned(),
                name: number.to_string(),
                url: url.clone(),
                size: 1 << 20,
                algorithm: Algorithm::Sha256,
                hash: vec![0; 32],
                wants_text: false,
            };
            effects.push(Effect::Do(Output::Fetch { job: u64::MAX, order }));
        }
    }
    effects.push(Effect::Do(output));
    effects
}

/// Believes the first download into each folder.
#[derive(Default)]
struct FirstUnchecked {
    right: AnyFile,
    seen: std::collections::BTreeSet<(String, String)>,
}

impl twinspec_harness::agent::Overlay for FirstUnchecked {
    fn input(&mut self, input: Input) -> Vec<Input> {
        match &input {
            Input::Fetched { job, .. } if self.right.0.contains_key(job) => self.right.input(input),
            _ => vec![input],
        }
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        let is_first = match &output {
            Output::Fetch { order, .. } => {
                self.seen.insert((order.workflow.clone(), order.folder.clone()))
            }
            _ => false,
        };
        if is_first { self.right.output(output) } else { vec![Effect::Do(output)] }
    }
}

/// Before generation 3: takes a root key package for something it cannot read.
#[derive(Default)]
struct MindsPackage {
    is_old: bool,
}

impl twinspec_harness::agent::Overlay for MindsPackage {
    fn config(&mut self, config: &mut Config) {
        self.is_old = !config.generation.has_root_key_package();
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        match output {
            Output::Validate { job, order, .. } if self.is_old && order.root_keys.is_some() => {
                let refusal = Outcome::failure(0x8030_0009, "rootKeyPackageUrl is unknown");
                let validation = Box::new(Validation::refused(refusal));
                vec![Effect::Feed(Input::Validated { job, validation })]
            }
            output => vec![Effect::Do(output)],
        }
    }
}
