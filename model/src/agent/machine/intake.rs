//! What the service sends: which order counts, and whether it may be carried out.

use serde_json::Value;

use super::{Active, Agent, Candidate, Ending, Held, Ready, Relation, Status};
use crate::agent::admission::Validation;
use crate::agent::io::Output;
use crate::agent::logs::{self, DIAGNOSTICS, LogRequest, Upload};
use crate::agent::order::{Action, Malformed, Order, Workflow};
use crate::agent::outbox::Kind;
use crate::agent::outcome::{Outcome, extended};
use crate::agent::report::{self, DEVICE_UPDATE};

impl Agent {
    pub(super) fn twin(&mut self, twin: &Value, out: &mut Vec<Output>) {
        if report::has_retry(twin.pointer("/reported/deviceUpdate/agent")) {
            self.persisted.reported_retry = true;
        }
        let Some(desired) = twin.get("desired") else {
            return out.push(Output::Note("the twin has no desired section".to_owned()));
        };
        let Some(version) = desired.get("$version").and_then(Value::as_u64) else {
            return out.push(Output::Note("desired.$version is missing or no number".to_owned()));
        };
        // A notification that came meanwhile is newer than the answer.
        if self.seen.is_some_and(|seen| version < seen) {
            return;
        }
        let missed = std::mem::take(&mut self.missed);
        if missed || self.seen != Some(version) {
            self.desired(version, desired, out);
        }
    }

    pub(super) fn patch(&mut self, patch: &Value, out: &mut Vec<Output>) {
        let Some(version) = patch.get("$version").and_then(Value::as_u64) else {
            return out.push(Output::Note("$version is missing or no number".to_owned()));
        };
        match self.seen {
            Some(seen) if version <= seen => {
                let note = format!("desired version {version} came late or twice: {seen} is known");
                return out.push(Output::Note(note));
            }
            Some(seen) if version == seen.saturating_add(1) => {}
            // Something was missed, or may have been before the twin was read; the whole twin,
            // read after this, tells what.
            Some(_) | None => {
                self.missed = true;
                out.push(Output::ReadTwin);
            }
        }
        self.desired(version, patch, out);
    }

    fn desired(&mut self, version: u64, document: &Value, out: &mut Vec<Output>) {
        self.seen = Some(version);
        let logs = document.get(DIAGNOSTICS).and_then(|component| component.get("service"));
        if let Some(service) = logs.and_then(Value::as_object) {
            self.logs(version, &LogRequest::read(service), out);
        }
        // Unknown components and properties are none of our business (ADU-AGENT-013).
        let Some(service) = document.get(DEVICE_UPDATE).and_then(|c| c.get("service")) else {
            return;
        };
        if self.restart.is_some() {
            return out.push(Output::Note("a restart is due: the twin is read again".to_owned()));
        }
        let Some(service) = service.as_object() else {
            return out.push(Output::Note(format!("deviceUpdate.service is {service}")));
        };
        match Order::read(version, service) {
            Err(malformed) => self.malformed(version, *malformed, out),
            Ok(order) => match order.action {
                Action::Cancel => self.cancel(&order, out),
                Action::Process => self.consider(order, out),
            },
        }
    }

    /// Logs are uploaded beside whatever else goes on (ADU-AGENT-129).
    fn logs(&mut self, version: u64, request: &LogRequest, out: &mut Vec<Output>) {
        if self.persisted.logs_acknowledged != Some(version) {
            self.persisted.logs_acknowledged = Some(version);
            self.push(Kind::LogsAcknowledgement, request.acknowledgement(version));
        }
        let operation = &request.operation;
        let known = self.persisted.logs.as_ref() == Some(operation)
            || self.uploads.values().any(|under_way| under_way == operation);
        if known {
            return;
        }
        match &request.url {
            Err(upload) => self.log_result(operation.clone(), *upload),
            Ok(url) => {
                self.jobs = self.jobs.saturating_add(1);
                let (job, operation, url) = (self.jobs, operation.clone(), url.clone());
                self.uploads.insert(job, operation.clone());
                out.push(Output::Upload { job, operation, url });
            }
        }
    }

    pub(super) fn uploaded(&mut self, job: u64, upload: Upload) {
        if let Some(operation) = self.uploads.remove(&job) {
            self.log_result(operation, upload);
        }
    }

    fn log_result(&mut self, operation: String, upload: Upload) {
        self.push(Kind::Logs, logs::result(&operation, upload));
        self.persisted.logs = Some(operation);
    }

    /// An object that cannot be processed is acknowledged all the same (ADU-AGENT-034).
    fn malformed(&mut self, version: u64, malformed: Malformed, out: &mut Vec<Output>) {
        let Malformed { details, status, echo } = malformed;
        out.push(Output::Note(format!("the desired object is refused: {details}")));
        self.acknowledge(version, status, &details, &echo);
    }

    /// Acknowledges once for each version.
    fn acknowledge(&mut self, version: u64, status: u16, details: &str, echo: &Value) {
        if self.persisted.acknowledged != Some(version) {
            self.persisted.acknowledged = Some(version);
            let patch = report::acknowledgement(version, status, details, echo);
            self.push(Kind::Acknowledgement, patch);
        }
    }

    pub(super) fn accept(&mut self, order: &Order) {
        self.acknowledge(order.version, 200, "", &order.echo);
    }

    /// An order to process: starts validating it, unless it asks for nothing new.
    fn consider(&mut self, order: Order, out: &mut Vec<Output>) {
        match self.relation(&order) {
            Relation::Duplicate => {
                self.drop_candidate(out);
                self.accept(&order);
                self.wanted_again(&order);
            }
            Relation::RetryOfSuccess(installed) => {
                self.drop_candidate(out);
                self.succeeded_again(&order, installed);
            }
            Relation::New => {
                if let Some(candidate) = &mut self.candidate
                    && candidate.order.is_same_as(&order)
                {
                    // It came again, on a new connection: the acknowledgement goes to the newest.
                    candidate.order = order;
                    return;
                }
                self.drop_candidate(out);
                self.examine(order, out);
            }
        }
    }

    /// What was refused meanwhile no longer counts once the service is back at what runs.
    fn wanted_again(&mut self, order: &Order) {
        if let Some(active) = &mut self.active
            && active.workflow.id == order.workflow.id
        {
            active.refused = None;
        }
    }

    fn examine(&mut self, order: Order, out: &mut Vec<Output>) {
        self.jobs = self.jobs.saturating_add(1);
        let job = self.jobs;
        if !self.settings.generation.has_root_key_package() {
            let (package, stored) = (None, None);
            let validated = Box::new(order.clone());
            out.push(Output::Validate { job, order: validated, package, stored });
        } else if let Some(url) = order.root_keys.clone() {
            out.push(Output::FetchRootKeys { job, url });
        } else {
            let details = "rootKeyPackageUrl is missing, empty or no text";
            let outcome = Outcome::failure(extended::NO_ROOT_KEY_URL, details);
            return self.refuse(order, &outcome, out);
        }
        self.candidate = Some(Candidate { order, job });
    }

    /// How `order` relates to the newest deployment taken on: the one that is to follow, else the
    /// one under way, else the one held from before.
    fn relation(&self, order: &Order) -> Relation {
        let workflow = &order.workflow;
        let same = |known: &Workflow| known.id == workflow.id && !workflow.retries(known);
        match &self.active {
            Some(Active { ending: Some(Ending::Replaced(next)), .. }) => {
                if same(&next.order.workflow) { Relation::Duplicate } else { Relation::New }
            }
            Some(Active { ending: Some(Ending::Cancelled(_)), .. }) => Relation::New,
            Some(Active { workflow: known, ending: None, .. }) => {
                if same(known) {
                    Relation::Duplicate
                } else {
                    Relation::New
                }
            }
            None => self.relation_to_held(order),
        }
    }

    fn relation_to_held(&self, order: &Order) -> Relation {
        let Some(held) = &self.persisted.held else {
            return Relation::New;
        };
        if held.workflow.id != order.workflow.id {
            return Relation::New;
        }
        let retries = order.workflow.retries(&held.workflow);
        match &held.status {
            Status::Succeeded { installed } if retries => {
                Relation::RetryOfSuccess(installed.clone())
            }
            Status::Succeeded { .. } => Relation::Duplicate,
            Status::Failed if !retries => Relation::Duplicate,
            Status::Refused { content: (manifest, signature) }
                if !retries && (manifest, signature) == (&order.manifest, &order.signature) =>
            {
                Relation::Duplicate
            }
            Status::Running | Status::Failed | Status::Refused { .. } => Relation::New,
        }
    }

    pub(super) fn root_keys(
        &mut self,
        job: u64,
        outcome: Result<String, Outcome>,
        out: &mut Vec<Output>,
    ) {
        let Some(candidate) = self.candidate.as_ref().filter(|candidate| candidate.job == job)
        else {
            return;
        };
        let order = candidate.order.clone();
        match outcome {
            Ok(text) => {
                let stored = self.persisted.root_keys.clone();
                let (order, package) = (Box::new(order), Some(text));
                out.push(Output::Validate { job, order, package, stored });
            }
            Err(outcome) => {
                self.candidate = None;
                self.refuse(order, &outcome, out);
            }
        }
    }

    pub(super) fn validated(&mut self, job: u64, validation: Validation, out: &mut Vec<Output>) {
        let Some(Candidate { order, .. }) =
            self.candidate.take_if(|candidate| candidate.job == job)
        else {
            return;
        };
        let Validation { store, notes, plan } = validation;
        if store.is_some() {
            self.persisted.root_keys = store;
        }
        let plan = match plan {
            Ok(plan) => plan,
            Err(outcome) => return self.refuse(order, &outcome, out),
        };
        let ready = Ready { order, plan, notes };
        let Some(active) = &mut self.active else {
            return self.start(ready, true, out);
        };
        active.refused = None;
        let order = ready.order.clone();
        let was_ending = active.ending.replace(Ending::Replaced(Box::new(ready))).is_some();
        self.accept(&order);
        if !was_ending {
            self.stop(out);
        }
    }

    /// An order that does not hold: failed, and nothing of it was touched (ADU-AGENT-047).
    fn refuse(&mut self, order: Order, outcome: &Outcome, out: &mut Vec<Output>) {
        out.push(Output::Note(format!("the deployment is refused: {}", outcome.details)));
        if self.active.is_none() {
            return self.report_refusal(order, outcome);
        }
        self.acknowledge(order.version, 406, &outcome.details, &order.echo);
        if let Some(active) = &mut self.active {
            // It goes on: nobody vouched for what was refused.
            active.refused = Some((order, outcome.clone()));
        }
    }

    pub(super) fn report_refusal(&mut self, order: Order, outcome: &Outcome) {
        self.report_end(&order.workflow, outcome, None, &[]);
        self.acknowledge(order.version, 406, &outcome.details, &order.echo);
        let content = (order.manifest, order.signature);
        self.hold(&order.workflow, Status::Refused { content });
    }

    /// Lets go of an order that is being validated: a newer object came.
    fn drop_candidate(&mut self, out: &mut Vec<Output>) -> Option<Workflow> {
        let candidate = self.candidate.take()?;
        out.push(Output::Abort { job: candidate.job });
        self.acknowledge(candidate.order.version, 200, "superseded", &candidate.order.echo);
        Some(candidate.order.workflow)
    }

    /// A cancel ends whatever is under way, whichever id it carries (ADU-AGENT-092). It needs no
    /// signature and no root keys (ADU-AGENT-093, -097).
    fn cancel(&mut self, order: &Order, out: &mut Vec<Output>) {
        let dropped = self.drop_candidate(out);
        self.accept(order);
        let Some(active) = &mut self.active else {
            return self.cancel_idle(dropped);
        };
        active.refused = None;
        match active.ending.take() {
            None => {
                let cancelled = dropped.unwrap_or_else(|| active.workflow.clone());
                active.ending = Some(Ending::Cancelled(cancelled));
                self.stop(out);
            }
            Some(Ending::Replaced(next)) => {
                let cancelled = dropped.unwrap_or(next.order.workflow);
                active.ending = Some(Ending::Cancelled(cancelled));
            }
            Some(Ending::Cancelled(earlier)) => {
                active.ending = Some(Ending::Cancelled(dropped.unwrap_or(earlier)));
            }
        }
    }

    /// Nothing runs: a cancel changes nothing (ADU-AGENT-094), unless something was promised.
    fn cancel_idle(&mut self, dropped: Option<Workflow>) {
        let interrupted = match self.persisted.held.take() {
            // Before the process was killed or restarted it was under way.
            Some(Held { workflow, status: Status::Running }) => Some(workflow),
            Some(held @ Held { status: Status::Succeeded { .. }, .. }) => {
                self.persisted.held = Some(held);
                None
            }
            // The order is taken back: when it comes again it is a new one.
            Some(Held { status: Status::Failed | Status::Refused { .. }, .. }) | None => None,
        };
        if let Some(workflow) = dropped.or(interrupted) {
            self.report_cancelled(&workflow, None);
        }
    }
}
