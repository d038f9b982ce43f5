//! Rewrites of the desired property `service` on its way in, in the light of what the agent holds.

use serde_json::{Map, Value};
use twinspec_harness::agent::{Effect, Overlay};
use twinspec_model::agent::{Held, Input, Output, Persisted, Status};

/// Between the id of a deployment and the number of its delivery.
const MARK: char = '#';

/// What an object on its way in meets.
pub(super) struct Moment<'a> {
    /// Whether it came with the whole twin.
    pub(super) from_twin: bool,
    /// The deployment that the agent took on last.
    pub(super) held: Option<&'a Held>,
    /// Whether it is about that deployment.
    pub(super) is_held: bool,
    /// Whether it has another retry time stamp than that.
    pub(super) retries: bool,
    /// Whether it has none, although that has one.
    pub(super) drops_retry: bool,
    /// Its action, when that is a number.
    pub(super) action: Option<i64>,
}

impl Moment<'_> {
    fn status(&self) -> Option<&Status> {
        self.held.map(|held| &held.status)
    }

    /// Whether a deployment is under way.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.status(), Some(Status::Running))
    }

    /// Whether it is a deployment that succeeded.
    pub(super) fn is_success(&self) -> bool {
        self.is_held
            && self.action == Some(3)
            && matches!(self.status(), Some(Status::Succeeded { .. }))
    }

    /// Whether it is a deployment that failed.
    pub(super) fn is_failure(&self) -> bool {
        self.is_held && self.action == Some(3) && matches!(self.status(), Some(Status::Failed))
    }
}

/// Rewrites objects; one that is refused never arrives.
pub(super) struct Orders {
    held: Option<Held>,
    change: fn(&mut Map<String, Value>, &Moment<'_>) -> bool,
}

impl Orders {
    pub(super) fn new(change: fn(&mut Map<String, Value>, &Moment<'_>) -> bool) -> Self {
        Self { held: None, change }
    }
}

impl Overlay for Orders {
    fn persisted(&mut self, persisted: &mut Persisted) {
        self.held.clone_from(&persisted.held);
    }

    fn input(&mut self, mut input: Input) -> Vec<Input> {
        let (held, change) = (self.held.as_ref(), self.change);
        visit(&mut input, held, change);
        vec![input]
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        if let Output::Persist(state) = &output {
            self.held.clone_from(&state.held);
        }
        vec![Effect::Do(output)]
    }
}

/// Calls `change` with the object in `input`, if there is one; removes it when the answer is no.
fn visit(
    input: &mut Input,
    held: Option<&Held>,
    change: impl FnOnce(&mut Map<String, Value>, &Moment<'_>) -> bool,
) {
    let (component, from_twin) = match input {
        Input::Twin(twin) => (twin.pointer_mut("/desired/deviceUpdate"), true),
        Input::Patch(patch) => (patch.get_mut("deviceUpdate"), false),
        _ => return,
    };
    let Some(component) = component.and_then(Value::as_object_mut) else { return };
    let Some(service) = component.get_mut("service").and_then(Value::as_object_mut) else { return };
    let workflow = |name: &str| service.get("workflow").and_then(|workflow| workflow.get(name));
    let id = workflow("id").and_then(Value::as_str).unwrap_or_default();
    let is_held = held.is_some_and(|held| plain(&held.workflow.id) == id);
    let retry = workflow("retryTimestamp").and_then(Value::as_str);
    let retries =
        retry.is_some() && held.is_some_and(|held| held.workflow.retry.as_deref() != retry);
    let drops_retry = retry.is_none() && held.is_some_and(|held| held.workflow.retry.is_some());
    let action = workflow("action").and_then(Value::as_i64);
    let moment = Moment { from_twin, held, is_held, retries, drops_retry, action };
    if !change(service, &moment) {
        component.remove("service");
    }
}

fn plain(id: &str) -> &str {
    id.split(MARK).next().unwrap_or_default()
}

/// Takes some deliveries of a deployment for another deployment: the machine sees another id, the
/// hub the same.
pub(super) struct Again {
    held: Option<Held>,
    count: u32,
    is_again: fn(&Moment<'_>) -> bool,
    /// Whether it comes to a halt once it is in progress.
    halts: bool,
}

impl Again {
    pub(super) fn runs(is_again: fn(&Moment<'_>) -> bool) -> Self {
        Self { held: None, count: 0, is_again, halts: false }
    }

    pub(super) fn halts(is_again: fn(&Moment<'_>) -> bool) -> Self {
        Self { halts: true, ..Self::runs(is_again) }
    }

    fn is_halted(&self, workflow: &str) -> bool {
        self.halts && workflow.contains(MARK)
    }
}

impl Overlay for Again {
    fn persisted(&mut self, persisted: &mut Persisted) {
        self.held.clone_from(&persisted.held);
    }

    fn input(&mut self, mut input: Input) -> Vec<Input> {
        let (held, count, is_again) = (self.held.as_ref(), &mut self.count, self.is_again);
        visit(&mut input, held, |service, moment| {
            let known = held.filter(|_| moment.is_held).map(|held| held.workflow.id.clone());
            let Some(workflow) = service.get_mut("workflow").and_then(Value::as_object_mut) else {
                return true;
            };
            let id = workflow.get("id").and_then(Value::as_str).map(str::to_owned);
            if is_again(moment) {
                *count += 1;
                let id = id.unwrap_or_default();
                workflow.insert("id".to_owned(), Value::String(format!("{id}{MARK}{count}")));
            } else if let Some(known) = known {
                workflow.insert("id".to_owned(), Value::String(known));
            }
            true
        });
        vec![input]
    }

    fn output(&mut self, mut output: Output) -> Vec<Effect> {
        match &mut output {
            Output::Persist(state) => self.held.clone_from(&state.held),
            Output::Send { patch, .. } => {
                let places =
                    ["/deviceUpdate/agent/workflow/id", "/deviceUpdate/service/value/workflow/id"];
                for place in places {
                    if let Some(Value::String(id)) = patch.pointer_mut(place) {
                        *id = plain(id).to_owned();
                    }
                }
            }
            Output::Fetch { order, .. } if self.is_halted(&order.workflow) => return Vec::new(),
            Output::Run { call, .. } if self.is_halted(&call.workflow) => return Vec::new(),
            _ => {}
        }
        vec![Effect::Do(output)]
    }
}

/// What the agent held before, and holds now.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) before: Option<Held>,
    pub(super) now: Option<Held>,
}

impl History {
    /// Learns from what is brought into safety.
    pub(super) fn note(&mut self, output: &Output) {
        if let Output::Persist(state) = output
            && state.held != self.now
        {
            self.before = std::mem::replace(&mut self.now, state.held.clone());
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.now.as_ref().is_some_and(|held| held.status == Status::Failed)
    }

    pub(super) fn is_running(&self) -> bool {
        self.now.as_ref().is_some_and(|held| held.status == Status::Running)
    }

    /// Whether the last deployment was cancelled.
    pub(super) fn was_cancelled(&self) -> bool {
        self.now.is_none()
            && self.before.as_ref().is_some_and(|held| held.status == Status::Running)
    }
}
