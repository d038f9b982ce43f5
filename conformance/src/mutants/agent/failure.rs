//! Defects of how deployments fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use twinspec_harness::agent::{Config, Effect, Overlay};
use twinspec_model::agent::{Input, Outcome, Output, Phase, Step, extended};

use super::Defect;
use super::payload::with_plan;
use super::rewrite::{Inputs, Reports, With, same_input, same_output, set, state_of, state_report};

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-failure-download-idle",
        "A deployment that fails in its download ends in state 0.",
        ["ADU-AGENT-057"],
        With {
            state: false,
            input: same_input,
            output: |installs, output| ends_idle(installs, output, false),
        }
    ),
    defect!(
        "agent-failure-install-idle",
        "A deployment that fails in install or apply ends in state 0, as with agents in C.",
        ["ADU-AGENT-059"],
        With {
            state: false,
            input: same_input,
            output: |installs, output| ends_idle(installs, output, true),
        }
    ),
    defect!(
        "agent-failure-names-update",
        "A failed deployment ends in state 0 with its update as installed.",
        ["ADU-AGENT-058"],
        With {
            state: Value::Null,
            input: |update, input| {
                with_plan(input, |plan| *update = json!(plan.update.to_string()))
            },
            output: |update, mut output| {
                if let Some(agent) = failed_step(&mut output) {
                    set(agent, "state", json!(0));
                    set(agent, "installedUpdateId", update.clone());
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-failure-silent",
        "The end of a deployment that failed is not reported.",
        ["ADU-AGENT-058"],
        Reports(|patch| {
            if patch.pointer("/deviceUpdate/agent").and_then(state_of) == Some(255) {
                *patch = Value::Null;
            }
        })
    ),
    defect!(
        "agent-failure-no-result-is-fine",
        "A script that writes no result and exits with 0 counts as successful.",
        ["ADU-AGENT-058"],
        Inputs(|mut input| {
            if let Input::Ran { outcome, .. } = &mut input
                && outcome.extended == extended::SCRIPT_NO_RESULT
                && outcome.details.starts_with("result file")
            {
                *outcome = Outcome::of(600);
            }
            vec![input]
        })
    ),
    defect!(
        "agent-failure-status-ignored",
        "The exit status of a script does not count when it has written a result.",
        ["ADU-AGENT-058"],
        StatusIgnored::default()
    ),
    defect!(
        "agent-failure-other-handler",
        "A step with an unknown handler is given to the script handler.",
        ["ADU-AGENT-056"],
        Inputs(|input| with_plan(input, |plan| {
            for step in &mut plan.steps {
                if let Step::Inline(work) = step
                    && !work.handler.starts_with("microsoft/")
                {
                    "microsoft/script:1".clone_into(&mut work.handler);
                }
            }
        }))
    ),
    defect!(
        "agent-failure-last-word",
        "After an object that was refused no other is looked at.",
        ["ADU-AGENT-104"],
        With {
            state: false,
            input: |is_stuck, input| match &input {
                Input::Validated { validation, .. } if validation.plan.is_err() => {
                    *is_stuck = true;
                    vec![input]
                }
                Input::Patch(_) | Input::Twin(_) if *is_stuck => Vec::new(),
                _ => vec![input],
            },
            output: same_output,
        }
    ),
    defect!(
        "agent-failure-unreadable-silent",
        "A signed manifest that is no JSON is passed over without a report.",
        ["ADU-AGENT-066"],
        With {
            state: false,
            input: |is_unreadable, input| match &input {
                Input::Validated { .. } if *is_unreadable => Vec::new(),
                _ => vec![input],
            },
            output: |is_unreadable, output| {
                if let Output::Validate { order, .. } = &output {
                    let manifest = order.manifest.as_deref().unwrap_or_default();
                    let parsed = serde_json::from_str::<Value>(manifest);
                    *is_unreadable = !parsed.is_ok_and(|manifest| manifest.is_object());
                }
                vec![Effect::Do(output)]
            },
        }
    ),
];

/// The report of a deployment that failed in one of its steps.
fn failed_step(output: &mut Output) -> Option<&mut Value> {
    let agent = state_report(output)?;
    let steps = agent.pointer("/lastInstallResult/stepResults");
    let has_steps = steps.is_some_and(Value::is_object);
    Some(agent).filter(|agent| has_steps && state_of(agent) == Some(255))
}

/// Reports state 0 in place of 255: of failures after the install phase began, or before.
fn ends_idle(has_begun: &mut bool, mut output: Output, after: bool) -> Vec<Effect> {
    if let Output::Run { call, .. } = &output {
        match call.phase {
            Phase::Install => *has_begun = true,
            Phase::Download => *has_begun = false,
            _ => {}
        }
    }
    let is_meant = *has_begun == after;
    if let Some(agent) = failed_step(&mut output) {
        if is_meant {
            set(agent, "state", json!(0));
        }
        *has_begun = false;
    }
    vec![Effect::Do(output)]
}

/// Looks for a result where a script has failed with an exit status.
#[derive(Default)]
struct StatusIgnored {
    downloads: PathBuf,
    /// Names of result files by job.
    names: BTreeMap<u64, String>,
}

impl Overlay for StatusIgnored {
    fn config(&mut self, config: &mut Config) {
        self.downloads = config.work_dir.join("downloads");
    }

    fn input(&mut self, mut input: Input) -> Vec<Input> {
        if let Input::Ran { job, outcome } = &mut input
            && let Some(name) = self.names.remove(job)
            && (extended::SCRIPT_EXIT..=extended::SCRIPT_EXIT + 0xFF).contains(&outcome.extended)
        {
            let mut folders = fs::read_dir(&self.downloads).into_iter().flatten().flatten();
            if folders.any(|folder| folder.path().join("results").join(&name).exists()) {
                *outcome = Outcome::of(600);
            }
        }
        vec![input]
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        if let Output::Run { job, call } = &output {
            self.names.insert(*job, format!("{}-{}.json", call.folder, call.phase.name()));
        }
        vec![Effect::Do(output)]
    }
}
