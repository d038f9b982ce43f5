//! Defects of what is left of an older deployment: the payload of the wrong one runs
//! (device-update-agent.md § 6.6).

use twinspec_harness::agent::Effect;
use twinspec_model::agent::{Input, Outcome, Output, Plan, Step};

use super::Defect;
use super::orders::History;
use super::rewrite::With;

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-stale-after-failure",
        "After a failure the next deployment runs the payload that failed, as with agents in C.",
        ["ADU-AGENT-061"],
        stale(|history| history.has_failed())
    ),
    defect!(
        "agent-stale-shape-after-failure",
        "After a failure a deployment with other steps fails, as with agents in C.",
        ["ADU-AGENT-062"],
        With {
            state: Stale { history: History::default(), last: None, is_stale: History::has_failed },
            input: |stale, input| stale.input(input, |last, plan| {
                if shape(last) == shape(plan) {
                    return Ok(());
                }
                Err(Outcome::failure(0x3040_0001, "other steps than before"))
            }),
            output: note,
        }
    ),
    defect!(
        "agent-stale-when-replaced",
        "A deployment that replaces a running one runs the payload of that, as with older agents in C.",
        ["ADU-AGENT-087"],
        stale(|history| history.is_running())
    ),
    defect!(
        "agent-stale-after-cancel",
        "After a cancel the next deployment runs the payload that was cancelled.",
        ["ADU-AGENT-098"],
        stale(|history| history.was_cancelled())
    ),
];

/// Plans, and what became of them.
struct Stale {
    history: History,
    last: Option<Plan>,
    is_stale: fn(&History) -> bool,
}

impl Stale {
    fn input(
        &mut self,
        mut input: Input,
        mix: impl FnOnce(&Plan, &mut Plan) -> Result<(), Outcome>,
    ) -> Vec<Input> {
        if let Input::Validated { validation, .. } = &mut input
            && let Ok(plan) = &mut validation.plan
        {
            let is_stale = (self.is_stale)(&self.history);
            match self.last.take().filter(|_| is_stale) {
                None => self.last = Some(plan.clone()),
                Some(last) => {
                    let mixed = mix(&last, plan);
                    self.last = Some(last);
                    if let Err(refusal) = mixed {
                        validation.plan = Err(refusal);
                    }
                }
            }
        }
        vec![input]
    }
}

fn stale(is_stale: fn(&History) -> bool) -> With<Stale> {
    With {
        state: Stale { history: History::default(), last: None, is_stale },
        input: |stale, input| {
            stale.input(input, |last, plan| {
                plan.steps.clone_from(&last.steps);
                plan.urls.clone_from(&last.urls);
                Ok(())
            })
        },
        output: note,
    }
}

fn note(stale: &mut Stale, output: Output) -> Vec<Effect> {
    stale.history.note(&output);
    vec![Effect::Do(output)]
}

/// Kinds and handlers of the steps.
fn shape(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(handler).collect()
}

fn handler(step: &Step) -> &str {
    match step {
        Step::Inline(work) => &work.handler,
        Step::Reference(_) => "reference",
    }
}
