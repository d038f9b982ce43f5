//! Defects of agents that were killed or restarted (device-update-agent.md § 6.3, 6.9).

use std::collections::BTreeSet;

use serde_json::json;
use twinspec_harness::agent::{Effect, Overlay};
use twinspec_model::agent::{Held, Input, Outbox, Outcome, Output, Persisted, Phase, Status};

use super::Defect;
use super::rewrite::{Inputs, Outputs, state_of, state_report};

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-restart-as-failure",
        "Install and apply that ask for a restart are taken as failed.",
        ["ADU-AGENT-069"],
        Inputs(|mut input| {
            if let Input::Ran { outcome, .. } = &mut input
                && matches!(outcome.code, 605..=608 | 705..=708)
            {
                *outcome = Outcome::failure(0x3050_0001, "a restart is not possible");
            }
            vec![input]
        })
    ),
    defect!(
        "agent-restart-installs-again",
        "After a restart what is installed is installed a second time.",
        ["ADU-AGENT-070"],
        Resumed::answers(901)
    ),
    defect!(
        "agent-restart-takes-for-installed",
        "After a restart the interrupted update is taken for installed.",
        ["ADU-AGENT-071"],
        Resumed::answers(900)
    ),
    defect!(
        "agent-restart-forgets-running",
        "A deployment that was interrupted is not looked at again.",
        ["ADU-AGENT-070", "ADU-AGENT-071"],
        Remembers(|state| {
            if let Some(Held { status: status @ Status::Running, .. }) = &mut state.held {
                *status = Status::Failed;
            }
        })
    ),
    defect!(
        "agent-restart-other-id",
        "The success after a restart is reported for another workflow id.",
        ["ADU-AGENT-070"],
        Resumed {
            is_resumed: false,
            asked: BTreeSet::new(),
            answer: None,
            report: |output| {
                if let Some(agent) = state_report(output)
                    && state_of(agent) == Some(0)
                    && let Some(id) = agent.pointer_mut("/workflow/id")
                {
                    *id = json!("nodeployment");
                }
            },
        }
    ),
    defect!(
        "agent-restart-loses-reports",
        "Reports that were not taken are forgotten with a restart.",
        ["ADU-AGENT-070"],
        Remembers(|state| state.outbox = Outbox::default())
    ),
    defect!(
        "agent-restart-forgets-success",
        "What succeeded is not kept: after a restart it is carried out again.",
        ["ADU-AGENT-082"],
        Outputs(|output| match output {
            Output::Persist(_) => Vec::new(),
            output => vec![Effect::Do(output)],
        })
    ),
];

/// Rewrites what an earlier run left.
struct Remembers(fn(&mut Persisted));

impl Overlay for Remembers {
    fn persisted(&mut self, persisted: &mut Persisted) {
        (self.0)(persisted);
    }
}

/// Is wrong only where a deployment was interrupted.
struct Resumed {
    is_resumed: bool,
    asked: BTreeSet<u64>,
    /// What is heard when a handler is asked whether it is installed.
    answer: Option<i32>,
    report: fn(&mut Output),
}

impl Resumed {
    fn answers(code: i32) -> Self {
        Self { is_resumed: false, asked: BTreeSet::new(), answer: Some(code), report: |_| {} }
    }
}

impl Overlay for Resumed {
    fn persisted(&mut self, persisted: &mut Persisted) {
        let status = persisted.held.as_ref().map(|held| &held.status);
        self.is_resumed = status == Some(&Status::Running);
    }

    fn input(&mut self, mut input: Input) -> Vec<Input> {
        if let Input::Ran { job, outcome } = &mut input
            && self.asked.remove(job)
            && let Some(code) = self.answer
        {
            *outcome = Outcome::of(code);
        }
        vec![input]
    }

    fn output(&mut self, mut output: Output) -> Vec<Effect> {
        if self.is_resumed {
            if let Output::Run { job, call } = &output
                && call.phase == Phase::IsInstalled
            {
                self.asked.insert(*job);
            }
            (self.report)(&mut output);
        }
        vec![Effect::Do(output)]
    }
}
