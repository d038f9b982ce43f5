//! The ways in which defects are laid over the agent.

use serde_json::Value;
use twinspec_harness::agent::{Effect, Overlay};
use twinspec_model::agent::{Input, Output};
use twinspec_model::wire::username::UserName;

/// Rewrites every reported patch; an answer of null drops it, as if the hub had taken it.
pub(super) struct Reports(pub(super) fn(&mut Value));

impl Overlay for Reports {
    fn output(&mut self, output: Output) -> Vec<Effect> {
        let Output::Send { report, mut patch } = output else {
            return vec![Effect::Do(output)];
        };
        (self.0)(&mut patch);
        if patch.is_null() {
            return vec![Effect::Feed(Input::Answered { report, status: 204 })];
        }
        vec![Effect::Do(Output::Send { report, patch })]
    }
}

/// Rewrites `deviceUpdate.agent` of every report that has it.
pub(super) struct AgentReports(pub(super) fn(&mut Value));

impl Overlay for AgentReports {
    fn output(&mut self, mut output: Output) -> Vec<Effect> {
        if let Output::Send { patch, .. } = &mut output
            && let Some(agent) = patch.pointer_mut("/deviceUpdate/agent")
        {
            (self.0)(agent);
        }
        vec![Effect::Do(output)]
    }
}

/// Rewrites `deviceProperties` of the startup message.
pub(super) struct Properties(pub(super) fn(&mut Value));

impl Overlay for Properties {
    fn output(&mut self, mut output: Output) -> Vec<Effect> {
        if let Output::Send { patch, .. } = &mut output
            && let Some(properties) = patch.pointer_mut("/deviceUpdate/agent/deviceProperties")
        {
            (self.0)(properties);
        }
        vec![Effect::Do(output)]
    }
}

/// Rewrites `lastInstallResult` of every report that has one.
pub(super) struct Results(pub(super) fn(&mut Value));

impl Overlay for Results {
    fn output(&mut self, mut output: Output) -> Vec<Effect> {
        if let Output::Send { patch, .. } = &mut output
            && let Some(result) = patch.pointer_mut("/deviceUpdate/agent/lastInstallResult")
        {
            (self.0)(result);
        }
        vec![Effect::Do(output)]
    }
}

/// Rewrites `workflow` of every desired object, however it comes.
pub(super) struct Workflows(pub(super) fn(&mut Value));

impl Overlay for Workflows {
    fn input(&mut self, mut input: Input) -> Vec<Input> {
        let workflow = match &mut input {
            Input::Twin(twin) => twin.pointer_mut("/desired/deviceUpdate/service/workflow"),
            Input::Patch(patch) => patch.pointer_mut("/deviceUpdate/service/workflow"),
            _ => None,
        };
        if let Some(workflow) = workflow {
            (self.0)(workflow);
        }
        vec![input]
    }
}

/// Rewrites `deviceUpdate.service` of acknowledgements.
pub(super) struct Acknowledgements(pub(super) fn(&mut Value));

impl Overlay for Acknowledgements {
    fn output(&mut self, mut output: Output) -> Vec<Effect> {
        if let Output::Send { patch, .. } = &mut output
            && let Some(service) = patch.pointer_mut("/deviceUpdate/service")
        {
            (self.0)(service);
        }
        vec![Effect::Do(output)]
    }
}

/// Rewrites what the machine learns.
pub(super) struct Inputs(pub(super) fn(Input) -> Vec<Input>);

impl Overlay for Inputs {
    fn input(&mut self, input: Input) -> Vec<Input> {
        (self.0)(input)
    }
}

/// Rewrites what the machine wants.
pub(super) struct Outputs(pub(super) fn(Output) -> Vec<Effect>);

impl Overlay for Outputs {
    fn output(&mut self, output: Output) -> Vec<Effect> {
        (self.0)(output)
    }
}

/// Rewrites the login.
pub(super) struct Login(pub(super) fn(&mut UserName));

impl Overlay for Login {
    fn user_name(&mut self, user_name: &mut UserName) {
        (self.0)(user_name);
    }
}

/// Whether a report is about the state of a deployment.
pub(super) fn has_state(agent: &Value) -> bool {
    agent.get("state").is_some()
}

/// Sets a member of an object.
pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// Removes a member of an object.
pub(super) fn remove(object: &mut Value, name: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
    }
}
