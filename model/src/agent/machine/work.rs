//! Carrying deployments out, reporting their end, and restarting.

use serde_json::Value;

use super::{Active, Agent, Ending, Held, RESTART_WAIT, Ready, Restart, Status};
use crate::agent::io::{Fetched, Output};
use crate::agent::order::{Order, Workflow};
use crate::agent::outbox::Kind;
use crate::agent::outcome::{Outcome, code, extended};
use crate::agent::report::{End, Reporter};
use crate::agent::run::{Moved, Running};
use crate::update::UpdateId;
use crate::update::result_code::{ExtendedResultCode, State};

impl Agent {
    /// `acknowledges` unless that was done when it was put off.
    pub(super) fn start(&mut self, ready: Ready, acknowledges: bool, out: &mut Vec<Output>) {
        let Ready { order, plan, notes } = ready;
        let workflow = order.workflow.clone();
        let before = self.persisted.held.as_ref();
        let resumed = before
            .is_some_and(|held| held.status == Status::Running && held.workflow.id == workflow.id);
        self.persisted.held = Some(Held { workflow: workflow.clone(), status: Status::Running });
        let in_progress = self.reporter(&workflow).in_progress();
        self.push_state(&workflow, in_progress);
        if acknowledges {
            self.accept(&order);
        }
        out.push(Output::Tidy { keep: workflow.id.clone() });
        let id = workflow.id.clone();
        let (running, moved) =
            Running::start(id, plan, notes, resumed, &self.settings, &mut self.jobs);
        self.active = Some(Active { workflow, running, ending: None, refused: None });
        self.moved(moved, out);
    }

    pub(super) fn fetched(&mut self, job: u64, outcome: Fetched, out: &mut Vec<Output>) {
        if let Some(active) = &mut self.active {
            let moved = active.running.fetched(job, outcome, &self.settings, &mut self.jobs);
            self.moved(moved, out);
        }
    }

    pub(super) fn ran(&mut self, job: u64, outcome: Outcome, out: &mut Vec<Output>) {
        if let Some(active) = &mut self.active {
            let moved = active.running.ran(job, outcome, &self.settings, &mut self.jobs);
            self.moved(moved, out);
        }
    }

    pub(super) fn stop(&mut self, out: &mut Vec<Output>) {
        if let Some(active) = &mut self.active {
            let (output, moved) = active.running.stop();
            out.extend(output);
            if let Some(moved) = moved {
                self.moved(moved, out);
            }
        }
    }

    fn moved(&mut self, moved: Moved, out: &mut Vec<Output>) {
        match moved {
            Moved::Unrelated => {}
            Moved::Waits(output) => out.push(*output),
            Moved::Restarts(kind) => {
                // Whatever was to follow is in the twin, which is read again.
                self.active = None;
                let until = self.now.after(RESTART_WAIT);
                self.restart = Some(Restart { kind, until, told: false });
            }
            Moved::Installed => self.ended(&Finish::Installed, out),
            Moved::Failed { outcome, with_steps } => {
                self.ended(&Finish::Failed { outcome, with_steps }, out);
            }
            Moved::Stopped => self.ended(&Finish::Stopped, out),
        }
    }

    fn ended(&mut self, finish: &Finish, out: &mut Vec<Output>) {
        let Some(Active { workflow, running, ending, refused }) = self.active.take() else {
            return;
        };
        match (ending, finish) {
            (Some(Ending::Replaced(next)), _) => {
                // It is over, but nobody waits for its end any more.
                self.persisted.held = None;
                self.start(*next, false, out);
            }
            // A late cancel is answered with the truth (§ 6.7).
            (Some(Ending::Cancelled(named)), Finish::Installed) if named == workflow => {
                self.succeeded(&workflow, &running);
            }
            (Some(Ending::Cancelled(named)), _) => {
                self.persisted.held = None;
                let own = (named == workflow).then_some(&running);
                self.report_cancelled(&named, own);
            }
            (None, Finish::Installed) => self.succeeded(&workflow, &running),
            (None, Finish::Failed { outcome, with_steps }) => {
                self.hold(&workflow, Status::Failed);
                let steps = if *with_steps { running.results.as_slice() } else { &[] };
                self.report_end(&workflow, outcome, Some(&running.notes), steps);
            }
            // Nothing stops without a reason; should it, it counts as cancelled.
            (None, Finish::Stopped) => self.report_cancelled(&workflow, Some(&running)),
        }
        match (&mut self.active, refused) {
            (Some(active), refused) => active.refused = refused,
            (None, Some((order, outcome))) => self.report_refusal(order, &outcome),
            (None, None) => {}
        }
    }

    pub(super) fn hold(&mut self, workflow: &Workflow, status: Status) {
        self.persisted.held = Some(Held { workflow: workflow.clone(), status });
    }

    fn succeeded(&mut self, workflow: &Workflow, running: &Running) {
        let installed = running.update.to_string();
        self.hold(workflow, Status::Succeeded { installed });
        let outcome = Outcome::of(code::APPLY_SUCCESS);
        let patch = self.reporter(workflow).end(&End {
            state: State::Idle,
            installed: Some(&running.update),
            outcome: &outcome,
            notes: &running.notes,
            steps: &running.results,
        });
        self.push_state(workflow, patch);
    }

    /// Another try of what is installed: the success is reported again, nothing is run.
    pub(super) fn succeeded_again(&mut self, order: &Order, installed: String) {
        if let Ok(update) = UpdateId::parse(&installed) {
            let patch = self.reporter(&order.workflow).end(&End {
                state: State::Idle,
                installed: Some(&update),
                outcome: &Outcome::of(code::APPLY_SUCCESS),
                notes: &[],
                steps: &[],
            });
            self.push_state(&order.workflow, patch);
        }
        self.hold(&order.workflow, Status::Succeeded { installed });
        self.accept(order);
    }

    pub(super) fn report_end(
        &mut self,
        workflow: &Workflow,
        outcome: &Outcome,
        notes: Option<&[ExtendedResultCode]>,
        steps: &[Outcome],
    ) {
        let notes = notes.unwrap_or_default();
        let end = End { state: State::Failed, installed: None, outcome, notes, steps };
        let patch = self.reporter(workflow).end(&end);
        self.push_state(workflow, patch);
    }

    /// Idle, and not because it succeeded.
    pub(super) fn report_cancelled(&mut self, workflow: &Workflow, running: Option<&Running>) {
        let outcome = Outcome::of(code::CANCELLED);
        let patch = self.reporter(workflow).end(&End {
            state: State::Idle,
            installed: None,
            outcome: &outcome,
            notes: running.map(|running| running.notes.as_slice()).unwrap_or_default(),
            steps: running.map(|running| running.results.as_slice()).unwrap_or_default(),
        });
        self.push_state(workflow, patch);
    }

    fn reporter<'a>(&self, workflow: &'a Workflow) -> Reporter<'a> {
        let generation = self.settings.generation;
        Reporter { generation, workflow, clears_retry: self.persisted.reported_retry }
    }

    fn push_state(&mut self, workflow: &Workflow, patch: Value) {
        self.persisted.reported_retry = workflow.retry.is_some();
        self.push(Kind::State, patch);
    }
}

/// Restarting.
impl Agent {
    /// Restarts once everything is reported, or it has taken too long (ADU-AGENT-069).
    pub(super) fn restart_if_due(&mut self, out: &mut Vec<Output>) {
        let connected = self.delivery.is_connected();
        let Some(restart) = self.restart.as_mut().filter(|restart| !restart.told) else {
            return;
        };
        if self.persisted.outbox.is_empty() || !connected || restart.until <= self.now {
            restart.told = true;
            out.push(Output::Restart(restart.kind));
        }
    }

    pub(super) fn restart_failed(&mut self, why: &str, out: &mut Vec<Output>) {
        if self.restart.take().is_none() {
            return;
        }
        if let Some(Held { workflow, status: Status::Running }) = self.persisted.held.clone() {
            self.hold(&workflow, Status::Failed);
            let details = format!("the restart failed: {why}");
            self.report_end(&workflow, &Outcome::failure(extended::RESTART, details), None, &[]);
        }
        // What came meanwhile was not looked at.
        self.seen = None;
        out.push(Output::ReadTwin);
    }
}

/// How the work on a deployment ended.
enum Finish {
    Installed,
    Failed { outcome: Outcome, with_steps: bool },
    Stopped,
}
