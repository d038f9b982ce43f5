//! Family `agent-phase`: what a Device Update agent reports and runs while things happen to it.
//!
//! Everything that a case does not mention goes well at once: root key package, validation and every
//! phase. `during` holds the phase it names until the event has been given to the agent.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};
use twinspec_model::agent::{
    Agent, Call, Device, DeviceInformation, Generation, HandlerKind, Input, Outcome, Output,
    Persisted, Phase, Plan, Resend, Settings, Step, Validation, Work,
};
use twinspec_model::time::Time;
use twinspec_model::update::UpdateId;
use twinspec_model::update::result_code::ExtendedResultCode;

use super::{Input as VectorInput, member, text};

/// The handler of every step.
const HANDLER: &str = "vendor/handler:1";

/// More outputs than any case needs: an agent that never ends is stopped there.
const OUTPUTS_MAX: usize = 500;

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let mut world = World::new(case)?;
    let events = member(case, "events")?.as_array().ok_or("events is no array")?;
    for event in events {
        world.wait_for(event.get("during"))?;
        world.happen(event)?;
    }
    world.settle()?;
    Ok(json!({ "reports": world.reports, "ran": world.ran }))
}

/// None: every case is authored.
pub(super) fn inputs() -> Vec<VectorInput> {
    Vec::new()
}

struct World {
    settings: Settings,
    agent: Agent,
    saved: Persisted,
    connected: bool,
    desired: Option<(u64, Value)>,
    /// Why the root key package does not come, if it does not.
    root_key_failure: Option<u32>,
    /// Updates by workflow id.
    updates: Map<String, Value>,
    /// How phases end that do not end well, in order.
    endings: VecDeque<Ending>,
    /// What the agent waits for.
    jobs: BTreeMap<u64, Job>,
    installed: Vec<String>,
    reports: Vec<Value>,
    ran: Vec<String>,
}

struct Ending {
    phase: Phase,
    outcome: Outcome,
}

enum Job {
    RootKeys,
    Validate(String),
    Run(Box<Call>),
}

impl World {
    fn new(case: &Value) -> Result<Self, String> {
        let generation = match member(case, "generation")?.as_u64() {
            Some(1) => Generation::One,
            Some(2) => Generation::Two,
            Some(3) => Generation::Three,
            _ => return Err("generation is none of 1, 2 and 3".to_owned()),
        };
        let settings = settings(generation)?;
        let updates = member(case, "updates")?.as_object().ok_or("updates is no object")?;
        let failure = case.get("rootKeyPackage").and_then(Value::as_u64);
        let installed = case.get("installed").and_then(Value::as_array);
        let installed = installed.into_iter().flatten().filter_map(Value::as_str);
        let mut world = Self {
            agent: Agent::new(settings.clone(), Persisted::default()),
            settings,
            saved: Persisted::default(),
            connected: false,
            desired: None,
            root_key_failure: failure.and_then(|code| u32::try_from(code).ok()),
            updates: updates.clone(),
            endings: VecDeque::new(),
            jobs: BTreeMap::new(),
            installed: installed.map(str::to_owned).collect(),
            reports: Vec::new(),
            ran: Vec::new(),
        };
        for ending in case.get("phases").and_then(Value::as_array).into_iter().flatten() {
            let phase = phase(ending)?;
            world.endings.push_back(Ending { phase, outcome: outcome(ending)? });
        }
        Ok(world)
    }

    /// Lets everything go well until the phase named runs.
    fn wait_for(&mut self, during: Option<&Value>) -> Result<(), String> {
        let Some(during) = during else {
            return self.settle();
        };
        let wanted = find_phase(during)?;
        for _ in 0..OUTPUTS_MAX {
            let runs = |job: &Job| matches!(job, Job::Run(call) if call.phase == wanted);
            if self.jobs.values().any(runs) {
                return Ok(());
            }
            let Some(job) = self.next() else {
                return Err(format!("{} never runs", wanted.name()));
            };
            self.end(job)?;
        }
        Err(format!("{} never runs", wanted.name()))
    }

    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..OUTPUTS_MAX {
            let Some(job) = self.next() else {
                return Ok(());
            };
            self.end(job)?;
        }
        Err("the agent never comes to an end".to_owned())
    }

    /// The job to end next: what is validated does not wait for what is carried out.
    fn next(&self) -> Option<u64> {
        let is_work = |job: &Job| matches!(job, Job::Run(_));
        let (job, _) = self.jobs.iter().min_by_key(|(id, job)| (is_work(job), **id))?;
        Some(*job)
    }

    fn happen(&mut self, event: &Value) -> Result<(), String> {
        match text(event, "event")? {
            "connect" => {
                self.connected = true;
                self.give(Input::Connected)
            }
            "disconnect" => {
                self.connected = false;
                self.give(Input::Disconnected)
            }
            "kill" => self.kill(),
            "desire" => {
                let service = member(event, "service")?.clone();
                let version = super::number(event, "version")?;
                self.desired = Some((version, service.clone()));
                if !self.connected {
                    return Ok(());
                }
                let component = json!({ "__t": "c", "service": service });
                let patch = json!({ "deviceUpdate": component, "$version": version });
                self.give(Input::Patch(patch))
            }
            other => Err(format!("unknown event {other:?}")),
        }
    }

    /// The process ends without a word, and starts again with what was in safety.
    fn kill(&mut self) -> Result<(), String> {
        self.jobs.clear();
        self.connected = true;
        self.agent = Agent::new(self.settings.clone(), self.saved.clone());
        self.give(Input::Connected)
    }

    fn end(&mut self, job: u64) -> Result<(), String> {
        let input = match self.jobs.remove(&job) {
            None => return Ok(()),
            Some(Job::RootKeys) => Input::RootKeys { job, outcome: self.root_keys() },
            Some(Job::Validate(id)) => {
                let validation = Box::new(self.validation(&id)?);
                Input::Validated { job, validation }
            }
            Some(Job::Run(call)) => Input::Ran { job, outcome: self.ran(&call) },
        };
        self.give(input)
    }

    fn root_keys(&self) -> Result<String, Outcome> {
        match self.root_key_failure {
            Some(extended) => Err(Outcome::failure(extended, "")),
            None => Ok(String::new()),
        }
    }

    fn validation(&self, id: &str) -> Result<Validation, String> {
        let update = self.updates.get(id).ok_or_else(|| format!("updates has no {id:?}"))?;
        if let Some(code) = update.get("refused").and_then(Value::as_u64) {
            let extended = u32::try_from(code).map_err(|error| error.to_string())?;
            return Ok(Validation::refused(Outcome::failure(extended, "")));
        }
        let steps = update.get("steps").and_then(Value::as_u64).unwrap_or(1);
        let work = || Work { handler: HANDLER.to_owned(), properties: Map::new(), files: vec![] };
        let update = UpdateId::parse(text(update, "updateId")?).map_err(|e| e.to_string())?;
        let plan = Plan {
            update,
            steps: (0..steps).map(|_| Step::Inline(work())).collect(),
            urls: BTreeMap::new(),
        };
        let notes = match self.settings.generation {
            Generation::Three => vec![ExtendedResultCode::ROOT_KEYS_UNCHANGED],
            Generation::One | Generation::Two => Vec::new(),
        };
        Ok(Validation { store: None, notes, plan: Ok(plan) })
    }

    /// Ends a phase: as the case says, else well.
    fn ran(&mut self, call: &Call) -> Outcome {
        let payload = format!("{} step_{}", call.workflow, call.step);
        let planned = self.endings.iter().position(|ending| ending.phase == call.phase);
        let planned = planned.and_then(|index| self.endings.remove(index));
        let outcome = planned.map(|ending| ending.outcome).unwrap_or_else(|| {
            Outcome::of(match call.phase {
                Phase::IsInstalled if self.installed.contains(&payload) => 900,
                Phase::IsInstalled => 901,
                Phase::Download => 500,
                Phase::Backup => 1000,
                Phase::Install => 600,
                Phase::Apply => 700,
                Phase::Restore => 1100,
                Phase::Cancel => 800,
            })
        });
        if call.phase == Phase::Apply && outcome.is_success() {
            self.installed.push(payload);
        }
        outcome
    }

    fn give(&mut self, input: Input) -> Result<(), String> {
        let mut inputs = VecDeque::from([input]);
        for _ in 0..OUTPUTS_MAX {
            let Some(input) = inputs.pop_front() else {
                return Ok(());
            };
            for output in self.agent.handle(input, Time::default()) {
                if matches!(output, Output::Restart(_)) {
                    return self.kill();
                }
                inputs.extend(self.obey(output));
            }
        }
        Err("the agent never stops".to_owned())
    }

    fn obey(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Persist(persisted) => self.saved = *persisted,
            Output::ReadTwin => return Some(self.twin()),
            Output::Send { report, patch } => {
                self.report(&patch);
                return Some(Input::Answered { report, status: 204 });
            }
            Output::FetchRootKeys { job, .. } => {
                self.jobs.insert(job, Job::RootKeys);
            }
            Output::Validate { job, order, .. } => {
                self.jobs.insert(job, Job::Validate(order.workflow.id));
            }
            Output::Abort { job } => {
                self.jobs.remove(&job);
            }
            Output::Run { job, call } => {
                if call.phase != Phase::IsInstalled {
                    let step = call.step;
                    self.ran.push(format!("{} step_{step} {}", call.workflow, call.phase.name()));
                }
                self.jobs.insert(job, Job::Run(call));
            }
            Output::Cancel { .. } => self.ran.push("cancel".to_owned()),
            // The plans of this family have no files, and nobody asks for logs.
            Output::Fetch { .. }
            | Output::Upload { .. }
            | Output::Tidy { .. }
            | Output::Restart(_)
            | Output::Note(_) => {}
        }
        None
    }

    fn twin(&self) -> Input {
        let desired = match &self.desired {
            None => json!({ "$version": 1 }),
            Some((version, service)) => {
                let component = json!({ "__t": "c", "service": service });
                json!({ "deviceUpdate": component, "$version": version })
            }
        };
        Input::Twin(json!({ "desired": desired, "reported": { "$version": 1 } }))
    }

    /// Keeps what is about deployments.
    fn report(&mut self, patch: &Value) {
        let Some(component) = patch.get("deviceUpdate") else {
            return;
        };
        if component.pointer("/agent/deviceProperties").is_none() {
            self.reports.push(component.clone());
        }
    }
}

fn settings(generation: Generation) -> Result<Settings, String> {
    let properties = [("manufacturer", "Fabrikam"), ("model", "Lathe")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let names = vec!["manufacturer".to_owned(), "model".to_owned()];
    let device = Device::new(properties.into(), names, "twinspec;agent/1");
    Ok(Settings {
        generation,
        device: device.map_err(|flaw| flaw.to_string())?,
        information: DeviceInformation::default(),
        handlers: BTreeMap::from([(HANDLER.to_owned(), HandlerKind::Resident)]),
        components: None,
        resend: Resend::default(),
    })
}

fn phase(ending: &Value) -> Result<Phase, String> {
    find_phase(member(ending, "phase")?)
}

fn find_phase(name: &Value) -> Result<Phase, String> {
    let found = Phase::ALL.into_iter().find(|phase| name.as_str() == Some(phase.name()));
    found.ok_or_else(|| format!("unknown phase {name}"))
}

fn outcome(ending: &Value) -> Result<Outcome, String> {
    let code = member(ending, "resultCode")?.as_i64().and_then(|code| i32::try_from(code).ok());
    let code = code.ok_or("resultCode is no number of 32 bits")?;
    let extended = ending.get("extendedResultCode").and_then(Value::as_u64).unwrap_or_default();
    let extended = u32::try_from(extended).map_err(|error| error.to_string())?;
    let details = ending.get("resultDetails").and_then(Value::as_str).unwrap_or_default();
    Ok(Outcome { code, extended, details: details.to_owned() })
}
