//! Defects of duplicates, retries and replacements (device-update-agent.md § 6.6).

use serde_json::{Value, json};
use twinspec_harness::agent::Effect;
use twinspec_model::agent::{Held, Input, Output, Status};

use super::Defect;
use super::orders::{Again, History, Moment, Orders};
use super::payload::with_plan;
use super::rewrite::{With, remove, same_input, set, state_report};

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-retry-duplicate-runs",
        "The same object delivered again after success is carried out again.",
        ["ADU-AGENT-080"],
        Again::runs(|moment| moment.is_success() && !moment.retries)
    ),
    defect!(
        "agent-retry-duplicate-restarts",
        "A notification that is delivered again while it runs begins anew.",
        ["ADU-AGENT-080"],
        Again::runs(|moment| runs_held(moment) && !moment.retries)
    ),
    defect!(
        "agent-retry-duplicate-stays-at-6",
        "The same object delivered again after success leaves state 6, as with agents in C.",
        ["ADU-AGENT-081"],
        Again::halts(|moment| moment.is_success() && !moment.retries && !moment.from_twin)
    ),
    defect!(
        "agent-retry-reconnect-runs",
        "After a new connection what succeeded is carried out again.",
        ["ADU-AGENT-082"],
        Again::runs(|moment| moment.is_success() && moment.from_twin)
    ),
    defect!(
        "agent-retry-reconnect-stays-at-6",
        "A new connection with an unchanged twin leaves state 6, as with agents in C.",
        ["ADU-AGENT-082"],
        Again::halts(|moment| moment.is_success() && moment.from_twin)
    ),
    defect!(
        "agent-retry-once-only",
        "A second retry is passed over.",
        ["ADU-AGENT-083"],
        Orders::new(|_, moment| {
            let has_retried = moment.held.is_some_and(|held| held.workflow.retry.is_some());
            !(moment.is_failure() && moment.retries && has_retried)
        })
    ),
    defect!(
        "agent-retry-without-being-asked",
        "The same object delivered again after a failure is carried out again, as by agents in C.",
        ["ADU-AGENT-084"],
        Again::runs(|moment| moment.is_failure() && !moment.retries && !moment.from_twin)
    ),
    defect!(
        "agent-retry-removed-runs",
        "A deployment that failed is carried out again when its retryTimestamp is removed.",
        ["ADU-AGENT-084"],
        Again::runs(|moment| moment.is_failure() && moment.drops_retry && !moment.from_twin)
    ),
    defect!(
        "agent-retry-running-old-stamp",
        "A retry during execution is reported without its retryTimestamp.",
        ["ADU-AGENT-025"],
        With {
            state: RunningRetry::default(),
            input: RunningRetry::note,
            output: |state, mut output| {
                if let Output::Persist(persisted) = &output {
                    state.held.clone_from(&persisted.held);
                }
                if let Some(agent) = state_report(&mut output)
                    && agent.pointer("/workflow/id").and_then(Value::as_str) == state.id.as_deref()
                    && let Some(workflow) = agent.get_mut("workflow")
                {
                    remove(workflow, "retryTimestamp");
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-retry-success-lost",
        "A retry of what succeeded leaves state 6, as with agents in C.",
        ["ADU-AGENT-085"],
        Again::halts(|moment| moment.is_success() && moment.retries)
    ),
    defect!(
        "agent-retry-running-ends",
        "A retry during execution cancels it and does not begin again, as with older agents in C.",
        ["ADU-AGENT-086"],
        Orders::new(|service, moment| {
            if runs_held(moment)
                && moment.retries
                && let Some(workflow) = service.get_mut("workflow")
            {
                set(workflow, "action", json!(255));
            }
            true
        })
    ),
    defect!(
        "agent-retry-running-stays-at-6",
        "A retry during execution stays at state 6, as with agents in C.",
        ["ADU-AGENT-086"],
        Again::halts(|moment| runs_held(moment) && moment.retries)
    ),
    defect!(
        "agent-replace-stays-at-6",
        "A deployment that replaces a running one is reported with state 6 and never begun, as with agents in C.",
        ["ADU-AGENT-087"],
        Again::halts(replaces)
    ),
    defect!(
        "agent-replace-old-id",
        "The end of a replacement names the deployment that was replaced.",
        ["ADU-AGENT-088"],
        With {
            state: (History::default(), None),
            input: same_input,
            output: |(history, old): &mut (History, Option<String>), mut output| {
                history.note(&output);
                if let (Some(before), Some(now)) = (&history.before, &history.now)
                    && before.workflow.id != now.workflow.id
                    && history.is_running()
                {
                    *old = Some(before.workflow.id.clone());
                }
                if let Some(agent) = state_report(&mut output)
                    && let Some(old) = old
                    && let Some(id) = agent.pointer_mut("/workflow/id")
                {
                    *id = json!(old);
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-replace-old-update",
        "The end of a replacement names the update that was replaced as installed.",
        ["ADU-AGENT-088"],
        With {
            state: (History::default(), Value::Null),
            input: |(history, update), input| {
                let is_running = history.is_running();
                with_plan(input, |plan| {
                    if !is_running {
                        *update = json!(plan.update.to_string());
                    }
                })
            },
            output: |(history, update), mut output| {
                history.note(&output);
                if let Some(agent) = state_report(&mut output)
                    && let Some(id) = agent.get_mut("installedUpdateId")
                {
                    id.clone_from(update);
                }
                vec![Effect::Do(output)]
            },
        }
    ),
];

/// Notes which deployment was to be tried again while it ran.
#[derive(Default)]
struct RunningRetry {
    held: Option<Held>,
    id: Option<String>,
}

impl RunningRetry {
    fn note(&mut self, input: Input) -> Vec<Input> {
        if let Input::Patch(patch) = &input
            && let Some(workflow) = patch.pointer("/deviceUpdate/service/workflow")
            && workflow.get("retryTimestamp").is_some_and(Value::is_string)
            && let Some(Held { workflow: held, status: Status::Running }) = &self.held
            && workflow.get("id").and_then(Value::as_str) == Some(held.id.as_str())
        {
            self.id = Some(held.id.clone());
        }
        vec![input]
    }
}

/// Whether it is about the deployment that runs.
fn runs_held(moment: &Moment<'_>) -> bool {
    moment.is_held && moment.action == Some(3) && moment.is_running()
}

/// Whether it is about another deployment than the one that runs.
fn replaces(moment: &Moment<'_>) -> bool {
    !moment.is_held && moment.action == Some(3) && moment.is_running()
}
