//! A hub and a device around the agent, in memory: what they hold is the truth that the agent's
//! reports are measured against.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};

use crate::agent::{
    Agent, Call, Device, DeviceInformation, Fetched, Generation, HandlerKind, Input, Outcome,
    Output, Persisted, Phase, Plan, Resend, RestartKind, Settings, Validation,
};
use crate::time::Time;
use crate::update::manifest::Manifest;
use crate::update::result_code::ExtendedResultCode;

/// The time at which everything happens, unless a test says otherwise.
pub(super) fn now() -> Time {
    Time::from_unix_seconds(1_900_000_000)
}

pub(super) fn settings(generation: Generation) -> Settings {
    let properties = [("manufacturer", "Fabrikam"), ("model", "Lathe")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let compatibility = vec!["manufacturer".to_owned(), "model".to_owned()];
    Settings {
        generation,
        device: Device::new(properties.into(), compatibility, "DU;agent/1.1.0").unwrap(),
        information: DeviceInformation::default(),
        handlers: BTreeMap::from([
            ("test/resident:1".to_owned(), HandlerKind::Resident),
            ("microsoft/script:1".to_owned(), HandlerKind::Script),
        ]),
        components: None,
        resend: Resend::default(),
    }
}

/// A manifest's text: update `name` with steps given as JSON; files are found by their ids.
pub(super) fn manifest(name: &str, steps: &Value, files: &Value) -> String {
    json!({
        "manifestVersion": "4",
        "updateId": { "provider": "Fabrikam", "name": name, "version": "1.0" },
        "compatibility": [{ "manufacturer": "Fabrikam" }],
        "instructions": { "steps": steps },
        "files": files,
        "createdDateTime": "2031-01-01T00:00:00Z",
    })
    .to_string()
}

/// SHA-256 of nothing, base64.
pub(super) const EMPTY: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

pub(super) fn file(name: &str) -> Value {
    json!({ "fileName": name, "sizeInBytes": 0, "hashes": { "sha256": EMPTY } })
}

/// An update of one step that needs one file.
pub(super) fn simple(name: &str) -> String {
    let steps = json!([{ "handler": "test/resident:1", "files": ["f1"] }]);
    manifest(name, &steps, &json!({ "f1": file("image") }))
}

pub(super) fn plan(manifest: &str) -> Plan {
    let urls = ["f1", "f2", "f3", "child"].map(|id| (id.to_owned(), format!("http://c/{id}")));
    Plan::of(&Manifest::parse(manifest).unwrap(), urls.into(), Generation::Three).unwrap()
}

/// A `service` object that deploys `manifest` as `id`.
pub(super) fn deploy(id: &str, manifest: &str) -> Value {
    json!({
        "workflow": { "action": 3, "id": id },
        "updateManifest": manifest,
        "updateManifestSignature": "a.b.c",
        "fileUrls": { "f1": "http://c/f1" },
        "rootKeyPackageUrl": "http://c/roots.json",
    })
}

pub(super) fn retry(id: &str, manifest: &str, stamp: &str) -> Value {
    let mut service = deploy(id, manifest);
    service["workflow"]["retryTimestamp"] = json!(stamp);
    service
}

/// The real "no deployment" object.
pub(super) fn no_deployment() -> Value {
    json!({
        "workflow": { "action": 255, "id": "nodeployment" },
        "updateManifest": null,
        "updateManifestSignature": null,
        "fileUrls": null,
    })
}

/// Something the agent waits for.
#[derive(Clone, Debug)]
pub(super) enum Job {
    RootKeys,
    Validate(String),
    Fetch,
    Run(Box<Call>),
}

/// How a job of the world ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    Well,
    Badly,
    Asking(RestartKind),
}

/// The hub, the device, and the agent between them.
#[derive(Clone)]
pub(super) struct World {
    pub(super) agent: Agent,
    settings: Settings,
    /// Whether reports and phases are kept, for a test that reads them.
    pub(super) records: bool,
    /// What a kill leaves.
    saved: Persisted,
    pub(super) connected: bool,
    pub(super) desired: Option<Value>,
    pub(super) version: u64,
    /// `reported.deviceUpdate`.
    pub(super) reported: Value,
    pub(super) jobs: BTreeMap<u64, Job>,
    /// Updates that are really installed.
    pub(super) installed: BTreeSet<String>,
    /// Reports of the state and acknowledgements, in the order in which the hub took them.
    pub(super) reports: Vec<Value>,
    /// Workflow and phase of every run, in order.
    pub(super) phases: Vec<(String, Phase)>,
    pub(super) cancels: usize,
    pub(super) restarts: Vec<RestartKind>,
    /// Tries by workflow id, retry and era; an era ends with a kill, a restart, and when the
    /// service wants something else.
    installs: BTreeSet<(String, String, u32)>,
    era: u32,
    /// The workflow id of the object that the agent saw last.
    wanted: Option<String>,
    /// Workflow ids for which state 6 was put out since the agent started.
    announced: BTreeSet<String>,
}

impl World {
    pub(super) fn new(generation: Generation) -> Self {
        let settings = settings(generation);
        let agent = Agent::new(settings.clone(), Persisted::default());
        Self {
            agent,
            settings,
            records: true,
            saved: Persisted::default(),
            connected: false,
            desired: None,
            version: 1,
            reported: json!({}),
            jobs: BTreeMap::new(),
            installed: BTreeSet::new(),
            reports: Vec::new(),
            phases: Vec::new(),
            cancels: 0,
            restarts: Vec::new(),
            installs: BTreeSet::new(),
            era: 0,
            wanted: None,
            announced: BTreeSet::new(),
        }
    }

    /// A world whose agent is connected.
    pub(super) fn connected(generation: Generation) -> Self {
        let mut world = Self::new(generation);
        world.connect();
        world
    }

    pub(super) fn handle(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for output in self.agent.handle(input, now()) {
                inputs.extend(self.obey(output));
            }
            // What is due later than the last answer is sent now: time does not pass here.
            if inputs.is_empty() && self.connected && !self.agent.persisted().outbox.is_empty() {
                assert!(self.agent.next_deadline().is_some(), "reports wait for nothing");
            }
        }
    }

    /// Does what the agent wants, and returns what it learns from it at once.
    fn obey(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Persist(persisted) => self.saved = *persisted,
            Output::ReadTwin => return self.connected.then(|| self.twin()),
            Output::Send { report, patch } => {
                assert!(self.connected, "sent without a connection");
                self.take(patch);
                return Some(Input::Answered { report, status: 204 });
            }
            Output::FetchRootKeys { job, .. } => {
                self.jobs.insert(job, Job::RootKeys);
            }
            Output::Validate { job, order, .. } => {
                self.jobs.insert(job, Job::Validate(order.manifest.unwrap_or_default()));
            }
            Output::Fetch { job, order } => {
                self.must_be_announced(&order.workflow);
                self.jobs.insert(job, Job::Fetch);
            }
            Output::Abort { job } => {
                self.jobs.remove(&job);
            }
            Output::Run { job, call } => self.run(job, call),
            Output::Cancel { job } => {
                assert!(matches!(self.jobs.get(&job), Some(Job::Run(_))), "nothing to cancel");
                self.cancels += 1;
            }
            Output::Restart(kind) => {
                self.restarts.push(kind);
            }
            Output::Tidy { .. } | Output::Upload { .. } | Output::Note(_) => {}
        }
        None
    }

    fn run(&mut self, job: u64, call: Box<Call>) {
        self.must_be_announced(&call.workflow);
        let running = self.jobs.values().any(|job| matches!(job, Job::Run(_) | Job::Fetch));
        assert!(!running, "two things of a deployment at once");
        if self.records {
            self.phases.push((call.workflow.clone(), call.phase));
        }
        if call.phase == Phase::Install {
            let retry = self.agent.persisted().held.clone();
            let retry = retry.and_then(|held| held.workflow.retry).unwrap_or_default();
            let key = (format!("{} {}", call.workflow, call.folder), retry, self.era);
            assert!(self.installs.insert(key), "{} is installed twice", call.workflow);
        }
        self.jobs.insert(job, Job::Run(call));
    }

    fn must_be_announced(&self, workflow: &str) {
        let waiting = self.agent.persisted().outbox.reports().iter().any(|pending| {
            let agent = &pending.patch["deviceUpdate"]["agent"];
            agent["state"] == 6 && agent["workflow"]["id"] == workflow
        });
        assert!(waiting || self.announced.contains(workflow), "{workflow} began before state 6");
    }

    fn take(&mut self, patch: Value) {
        let Some(component) = patch.get("deviceUpdate") else {
            return;
        };
        assert_eq!(component["__t"], "c");
        self.check_report(component);
        merge(&mut self.reported, component);
        if !self.records {
            return;
        }
        if component.get("service").is_some() || component["agent"].get("state").is_some() {
            self.reports.push(component.clone());
        }
    }

    /// What holds for every report.
    fn check_report(&mut self, component: &Value) {
        let agent = &component["agent"];
        if agent["state"] == 6 {
            let id = agent["workflow"]["id"].as_str().unwrap().to_owned();
            self.announced.insert(id);
        }
        if let Some(installed) = agent.get("installedUpdateId") {
            let name: Value = serde_json::from_str(installed.as_str().unwrap()).unwrap();
            let name = name["name"].as_str().unwrap();
            assert!(self.installed.contains(name), "{name} is reported but not installed");
        }
        if let Some(state) = agent.get("state") {
            assert!([json!(0), json!(6), json!(255)].contains(state), "{state}");
        }
    }

    fn twin(&mut self) -> Input {
        if let Some(service) = self.desired.clone() {
            self.shown(&service);
        }
        let mut desired = json!({ "$version": self.version });
        if let Some(service) = &self.desired {
            desired["deviceUpdate"] = json!({ "__t": "c", "service": service });
        }
        let reported = json!({ "deviceUpdate": self.reported, "$version": 1 });
        Input::Twin(json!({ "desired": desired, "reported": reported }))
    }

    /// The agent gets to see what the service wants.
    fn shown(&mut self, service: &Value) {
        let id = service["workflow"]["id"].as_str().map(str::to_owned);
        if self.wanted != id {
            self.wanted = id;
            self.era += 1;
        }
    }

    pub(super) fn connect(&mut self) {
        self.connected = true;
        self.handle(Input::Connected);
    }

    pub(super) fn disconnect(&mut self) {
        self.connected = false;
        self.handle(Input::Disconnected);
    }

    /// The service sets the desired object.
    pub(super) fn desire(&mut self, service: Value) {
        self.version += 1;
        self.desired = Some(service.clone());
        if self.connected {
            self.patch(&service, self.version);
        }
    }

    pub(super) fn patch(&mut self, service: &Value, version: u64) {
        self.shown(service);
        let component = json!({ "__t": "c", "service": service });
        self.handle(Input::Patch(json!({ "deviceUpdate": component, "$version": version })));
    }

    /// Kills the agent; `effect` says whether an apply under way had its effect all the same.
    pub(super) fn kill(&mut self, effect: bool) {
        for job in std::mem::take(&mut self.jobs).into_values() {
            if let Job::Run(call) = job
                && call.phase == Phase::Apply
                && effect
            {
                self.installed.insert(payload(&call));
            }
        }
        self.era += 1;
        self.connected = false;
        self.announced.clear();
        let text = serde_json::to_string(&self.saved).unwrap();
        self.saved = serde_json::from_str(&text).unwrap();
        self.agent = Agent::new(self.settings.clone(), self.saved.clone());
    }

    /// Ends a job.
    pub(super) fn end(&mut self, job: u64, ending: Ending) {
        match self.jobs.remove(&job).unwrap() {
            Job::RootKeys => {
                let bad = || Outcome::failure(0xA019_0194, "404");
                let outcome =
                    if ending == Ending::Well { Ok("package".to_owned()) } else { Err(bad()) };
                self.handle(Input::RootKeys { job, outcome });
            }
            Job::Validate(manifest) => {
                let refused = || Outcome::failure(0x8030_0001, "does not hold");
                let holds = ending == Ending::Well;
                let validation = Validation {
                    store: None,
                    notes: vec![ExtendedResultCode::ROOT_KEYS_UNCHANGED],
                    plan: if holds { Ok(plan(&manifest)) } else { Err(refused()) },
                };
                self.handle(Input::Validated { job, validation: Box::new(validation) });
            }
            Job::Fetch => {
                let outcome = match ending {
                    Ending::Well => complete(),
                    Ending::Badly | Ending::Asking(_) => Fetched::Status(404),
                };
                self.handle(Input::Fetched { job, outcome });
            }
            Job::Run(call) => {
                let outcome = self.outcome(&call, ending);
                self.handle(Input::Ran { job, outcome });
            }
        }
    }

    fn outcome(&mut self, call: &Call, ending: Ending) -> Outcome {
        let payload = payload(call);
        let code = match (call.phase, ending) {
            (Phase::IsInstalled, _) if self.installed.contains(&payload) => 900,
            (Phase::IsInstalled, _) => 901,
            (_, Ending::Badly) => return Outcome::failure(0x3050_0001, "no"),
            (Phase::Install, Ending::Asking(RestartKind::Agent)) => 607,
            (Phase::Install, Ending::Asking(RestartKind::Reboot)) => 605,
            (Phase::Apply, Ending::Asking(kind)) => {
                self.installed.insert(payload);
                if kind == RestartKind::Agent { 707 } else { 705 }
            }
            (Phase::Apply, Ending::Well) => {
                self.installed.insert(payload);
                700
            }
            (Phase::Download, _) => 500,
            (Phase::Backup, _) => 1000,
            (Phase::Install, Ending::Well) => 600,
            (Phase::Restore, _) => 1100,
            (Phase::Cancel, _) => 800,
        };
        Outcome::of(code)
    }

    /// Ends all jobs well until nothing is waited for, restarting the agent when it asks for it.
    pub(super) fn settle(&mut self) {
        for _ in 0..200 {
            if self.restarts.pop().is_some() {
                self.kill(false);
                self.connect();
            } else if !self.connected {
                self.connect();
            } else if let Some(job) = self.jobs.keys().next().copied() {
                self.end(job, Ending::Well);
            } else {
                return;
            }
        }
        assert!(self.jobs.is_empty(), "it does not come to an end");
    }

    /// Ends jobs well until `phase` runs.
    pub(super) fn until(&mut self, phase: Phase) -> u64 {
        for _ in 0..100 {
            let job = *self.jobs.keys().next().unwrap();
            if let Some(Job::Run(call)) = self.jobs.get(&job)
                && call.phase == phase
            {
                return job;
            }
            self.end(job, Ending::Well);
        }
        assert!(self.jobs.is_empty(), "{phase:?} never runs");
        0
    }

    /// `state/result code/workflow id` of state reports and `ack av/ac`, in order.
    pub(super) fn story(&self) -> String {
        let mut story = String::new();
        for report in &self.reports {
            if let Some(service) = report.get("service") {
                write!(story, "ack {}/{}; ", service["av"], service["ac"]).unwrap();
            } else {
                let agent = &report["agent"];
                let code = &agent["lastInstallResult"]["resultCode"];
                let id = agent["workflow"]["id"].as_str().unwrap_or("-");
                write!(story, "{}/{code}/{id}; ", agent["state"]).unwrap();
            }
        }
        story.trim_end_matches("; ").to_owned()
    }

    /// The phases that ran, without the questions.
    pub(super) fn ran(&self) -> Vec<String> {
        let worked = self.phases.iter().filter(|(_, phase)| *phase != Phase::IsInstalled);
        worked.map(|(id, phase)| format!("{id} {}", phase.name())).collect()
    }
}

/// What a call would install: the folder tells steps apart, the workflow's first letter updates.
fn payload(call: &Call) -> String {
    let name = call.workflow.split('-').next().unwrap().to_owned();
    if call.folder == "0" { name } else { format!("{name} {}", call.folder) }
}

/// An empty file.
pub(super) fn complete() -> Fetched {
    use base64::Engine;
    let hash = base64::engine::general_purpose::STANDARD.decode(EMPTY).unwrap();
    Fetched::Complete { size: 0, hash, text: None }
}

/// Merges a reported patch.
fn merge(into: &mut Value, patch: &Value) {
    let Some(members) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in members {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut into[name.as_str()], value);
        }
    }
}
