//! The reported patches (device-update-agent.md §§ 2, 4, 5), exactly as they leave the device.

use serde_json::{Map, Value, json};

use super::order::Workflow;
use super::outcome::{Outcome, code};
use super::profile::Generation;
use crate::update::UpdateId;
use crate::update::result_code::{ExtendedResultCode, ExtendedResultCodes, State};

/// The components of the twin.
pub(super) const DEVICE_UPDATE: &str = "deviceUpdate";

/// What all reports of one deployment have in common.
pub(super) struct Reporter<'a> {
    pub(super) generation: Generation,
    pub(super) workflow: &'a Workflow,
    /// Whether the twin may hold a retry time stamp of another deployment (ADU-AGENT-026).
    pub(super) clears_retry: bool,
}

/// How a deployment ended.
pub(super) struct End<'a> {
    pub(super) state: State,
    /// Only of a success.
    pub(super) installed: Option<&'a UpdateId>,
    pub(super) outcome: &'a Outcome,
    /// Informational extended codes.
    pub(super) notes: &'a [ExtendedResultCode],
    /// One for each step; none when no step was reached.
    pub(super) steps: &'a [Outcome],
}

impl Reporter<'_> {
    /// State 6. Step results of an older deployment are cleared (ADU-AGENT-023).
    pub(super) fn in_progress(&self) -> Value {
        let code = match self.generation {
            Generation::One | Generation::Two => code::IN_PROGRESS,
            Generation::Three => code::SUCCESS,
        };
        let mut result = self.result(&Outcome::of(code), &[]);
        result.insert("resultDetails".to_owned(), Value::Null);
        result.insert("stepResults".to_owned(), Value::Null);
        self.agent(State::InProgress, None, result)
    }

    /// The end of a deployment.
    pub(super) fn end(&self, end: &End<'_>) -> Value {
        let mut result = self.result(end.outcome, end.notes);
        let step = |(index, outcome): (usize, &Outcome)| {
            (format!("step_{index}"), Value::Object(self.result(outcome, &[])))
        };
        let steps: Map<String, Value> = end.steps.iter().enumerate().map(step).collect();
        let steps = if steps.is_empty() { Value::Null } else { Value::Object(steps) };
        result.insert("stepResults".to_owned(), steps);
        self.agent(end.state, end.installed, result)
    }

    fn agent(
        &self,
        state: State,
        installed: Option<&UpdateId>,
        result: Map<String, Value>,
    ) -> Value {
        let mut agent = Map::new();
        agent.insert("state".to_owned(), json!(state.number()));
        agent.insert("workflow".to_owned(), self.workflow());
        if let Some(update) = installed {
            agent.insert("installedUpdateId".to_owned(), json!(update.to_string()));
        }
        agent.insert("lastInstallResult".to_owned(), Value::Object(result));
        component(DEVICE_UPDATE, "agent", Value::Object(agent))
    }

    fn workflow(&self) -> Value {
        let mut workflow = Map::new();
        workflow.insert("action".to_owned(), json!(3));
        workflow.insert("id".to_owned(), json!(self.workflow.id));
        match &self.workflow.retry {
            Some(stamp) => {
                workflow.insert("retryTimestamp".to_owned(), json!(stamp));
            }
            None if self.clears_retry => {
                workflow.insert("retryTimestamp".to_owned(), Value::Null);
            }
            None => {}
        }
        Value::Object(workflow)
    }

    fn result(&self, outcome: &Outcome, notes: &[ExtendedResultCode]) -> Map<String, Value> {
        let mut result = Map::new();
        result.insert("resultCode".to_owned(), json!(outcome.code));
        let own = ExtendedResultCode(outcome.extended);
        let (name, codes) = match self.generation {
            Generation::One | Generation::Two => ("extendedResultCode", json!(own.signed())),
            Generation::Three => {
                let codes = ExtendedResultCodes::new(own, notes).to_string();
                ("extendedResultCodes", json!(codes))
            }
        };
        result.insert(name.to_owned(), codes);
        result.insert("resultDetails".to_owned(), json!(outcome.details));
        result
    }
}

/// The acknowledgement of a desired object (§ 5).
pub(super) fn acknowledgement(version: u64, status: u16, details: &str, value: &Value) -> Value {
    let service = json!({ "value": value, "ac": status, "ad": details, "av": version });
    component(DEVICE_UPDATE, "service", service)
}

/// Whether an agent report carries a retry time stamp; `agent` is the reported member.
pub(super) fn has_retry(agent: Option<&Value>) -> bool {
    let stamp = agent.and_then(|agent| agent.pointer("/workflow/retryTimestamp"));
    stamp.is_some_and(|stamp| !stamp.is_null())
}

/// `{component: {"__t": "c", member: value}}`.
pub(super) fn component(name: &str, member: &str, value: Value) -> Value {
    json!({ name: { "__t": "c", member: value } })
}
