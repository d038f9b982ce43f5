//! Defects of steps, child updates and components.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use twinspec_harness::agent::Effect;
use twinspec_model::agent::{FetchOrder, Fetched, Input, Outcome, Output, Phase};

use super::Defect;
use super::payload::{note_orders, with_plan};
use super::rewrite::{AgentReports, Inputs, With, set, state_of, state_report};

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-component-goes-on",
        "After a step that failed the others run all the same.",
        ["ADU-AGENT-111"],
        With { state: GoesOn::default(), input: goes_on, output: tells_failure }
    ),
    defect!(
        "agent-component-nine-steps",
        "Steps beyond the ninth are left out.",
        ["ADU-AGENT-110"],
        Inputs(|input| with_plan(input, |plan| plan.steps.truncate(9)))
    ),
    defect!(
        "agent-component-child-unchecked",
        "The hash of a child manifest is not checked.",
        ["ADU-AGENT-113"],
        With {
            state: BTreeMap::new(),
            input: |orders: &mut BTreeMap<u64, FetchOrder>, mut input| {
                if let Input::Fetched { job, outcome: Fetched::Complete { size, hash, .. } } =
                    &mut input
                    && let Some(order) = orders.remove(job).filter(|order| order.wants_text)
                {
                    (*size, *hash) = (order.size, order.hash);
                }
                vec![input]
            },
            output: note_orders,
        }
    ),
    defect!(
        "agent-component-needs-one",
        "A child update without a matching component fails.",
        ["ADU-AGENT-116"],
        AgentReports(|agent| {
            let code = agent.pointer("/lastInstallResult/stepResults/step_0/resultCode");
            if code == Some(&json!(604)) {
                set(agent, "state", json!(255));
            }
        })
    ),
    defect!(
        "agent-component-nested-is-fine",
        "A reference step inside a child is passed over, and success is reported.",
        ["ADU-AGENT-117"],
        With {
            state: Value::Null,
            input: |update, input| {
                with_plan(input, |plan| *update = json!(plan.update.to_string()))
            },
            output: |update, mut output| {
                if let Some(agent) = state_report(&mut output)
                    && let codes = agent.pointer("/lastInstallResult/extendedResultCodes")
                    && codes.and_then(Value::as_str).is_some_and(|codes| codes.starts_with("3040"))
                {
                    set(agent, "state", json!(0));
                    set(agent, "installedUpdateId", update.clone());
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-component-last-map",
        "Components are selected by the last compatibility map of a child.",
        ["ADU-MANIFEST-014"],
        Inputs(|mut input| {
            with_child(&mut input, |manifest| {
                if let Some(maps) = manifest.get_mut("compatibility").and_then(Value::as_array_mut)
                {
                    maps.reverse();
                }
            });
            vec![input]
        })
    ),
    defect!(
        "agent-component-first-pair",
        "Components are selected by the manufacturer alone.",
        ["ADU-MANIFEST-014"],
        Inputs(|mut input| {
            with_child(&mut input, |manifest| {
                let maps = manifest.get_mut("compatibility").and_then(Value::as_array_mut);
                for map in maps.into_iter().flatten().filter_map(Value::as_object_mut) {
                    map.retain(|name, _| name == "manufacturer");
                }
            });
            vec![input]
        })
    ),
    defect!(
        "agent-component-first-child-step",
        "Of a child update only the first step runs.",
        ["ADU-AGENT-115"],
        Inputs(|mut input| {
            with_child(&mut input, |manifest| {
                let steps = manifest.pointer_mut("/instructions/steps");
                if let Some(steps) = steps.and_then(Value::as_array_mut) {
                    steps.truncate(1);
                }
            });
            vec![input]
        })
    ),
    defect!(
        "agent-component-failure-swallowed",
        "A child update that fails for one component is a success when it succeeds for the others.",
        ["ADU-AGENT-058"],
        With {
            state: BTreeSet::new(),
            input: |installs: &mut BTreeSet<u64>, mut input| {
                if let Input::Ran { job, outcome } = &mut input
                    && installs.remove(job)
                    && !outcome.is_success()
                {
                    // Skipped: nothing is put into force, and the next component comes.
                    *outcome = Outcome::of(603);
                }
                vec![input]
            },
            output: |installs, output| {
                if let Output::Run { job, call } = &output
                    && call.phase == Phase::Install
                    && call.component.is_some()
                {
                    installs.insert(*job);
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-component-one-for-all",
        "What one component has installed counts as installed for all.",
        ["ADU-AGENT-115"],
        With {
            state: ThereForAll::default(),
            input: ThereForAll::input,
            output: |there: &mut ThereForAll, output| {
                if let Output::Run { job, call } = &output
                    && call.phase == Phase::IsInstalled
                    && call.component.is_some()
                {
                    there.asked.insert(*job);
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-component-installs-again",
        "A child update is installed for components that have it already.",
        ["ADU-AGENT-055"],
        With {
            state: BTreeSet::new(),
            input: |asked: &mut BTreeSet<u64>, mut input| {
                if let Input::Ran { job, outcome } = &mut input
                    && asked.remove(job)
                {
                    outcome.code = 901;
                }
                vec![input]
            },
            output: |asked, output| {
                if let Output::Run { job, call } = &output
                    && call.phase == Phase::IsInstalled
                    && call.component.is_some()
                {
                    asked.insert(*job);
                }
                vec![Effect::Do(output)]
            },
        }
    ),
];

/// What was once found installed counts as installed whenever it is asked for again.
#[derive(Default)]
pub(super) struct ThereForAll {
    /// The questions, by job.
    pub(super) asked: BTreeSet<u64>,
    is_there: bool,
}

impl ThereForAll {
    pub(super) fn input(&mut self, mut input: Input) -> Vec<Input> {
        if let Input::Ran { job, outcome } = &mut input
            && self.asked.remove(job)
        {
            self.is_there |= outcome.code == 900;
            if self.is_there {
                outcome.code = 900;
            }
        }
        vec![input]
    }
}

/// What failed although the machine was told otherwise.
#[derive(Default)]
pub(super) struct GoesOn {
    phases: BTreeMap<u64, Phase>,
    failure: Option<Outcome>,
}

fn goes_on(state: &mut GoesOn, mut input: Input) -> Vec<Input> {
    if let Input::Ran { job, outcome } = &mut input
        && let Some(phase @ (Phase::Install | Phase::Apply)) = state.phases.remove(job)
        && outcome.code == 0
    {
        let done = if phase == Phase::Install { 603 } else { 700 };
        state.failure = Some(std::mem::replace(outcome, Outcome::of(done)));
    }
    vec![input]
}

fn tells_failure(state: &mut GoesOn, mut output: Output) -> Vec<Effect> {
    if let Output::Run { job, call } = &output {
        state.phases.insert(*job, call.phase);
    }
    if let Some(agent) = state_report(&mut output)
        && state_of(agent) == Some(0)
        && state.failure.take().is_some()
    {
        set(agent, "state", json!(255));
        super::rewrite::remove(agent, "installedUpdateId");
    }
    vec![Effect::Do(output)]
}

/// Rewrites a child manifest that was fetched.
fn with_child(input: &mut Input, change: impl FnOnce(&mut Value)) {
    if let Input::Fetched { outcome: Fetched::Complete { text: Some(text), .. }, .. } = input
        && let Some(changed) = rewritten(text, change)
    {
        *text = changed;
    }
}

fn rewritten(text: &str, change: impl FnOnce(&mut Value)) -> Option<String> {
    let mut detached: Value = serde_json::from_str(text).ok()?;
    let mut manifest: Value =
        serde_json::from_str(detached.get("updateManifest")?.as_str()?).ok()?;
    change(&mut manifest);
    set(&mut detached, "updateManifest", json!(manifest.to_string()));
    Some(detached.to_string())
}
