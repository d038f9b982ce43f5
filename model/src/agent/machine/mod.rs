//! The agent: takes desired objects, decides, carries out, reports (device-update-agent.md § 6).
//!
//! One deployment runs at a time. Another one is validated beside it and takes its place once it
//! has come to an end. What is decided here is what the documents intend: a cancel or replacement
//! ends the work first, a duplicate changes nothing, a retry starts again.

mod intake;
mod work;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::device::{Device, DeviceInformation};
use crate::agent::io::{Input, Output, RestartKind};
use crate::agent::order::{Order, Workflow};
use crate::agent::outbox::{Delivery, Kind, Outbox, Resend};
use crate::agent::outcome::Outcome;
use crate::agent::plan::{Component, HandlerKind, Plan};
use crate::agent::profile::Generation;
use crate::agent::run::Running;
use crate::time::Time;
use crate::update::result_code::ExtendedResultCode;

/// How long a restart waits for reports that are under way.
const RESTART_WAIT: std::time::Duration = std::time::Duration::from_secs(20);

/// What an agent is and has; it does not change while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The generation of the protocol.
    pub generation: Generation,
    /// What it says about its device.
    pub device: Device,
    /// What it says about its machine.
    pub information: DeviceInformation,
    /// Its handlers by id.
    pub handlers: BTreeMap<String, HandlerKind>,
    /// What the component enumerator knows; `None` when there is no enumerator.
    pub components: Option<Vec<Component>>,
    /// Pauses of delivery.
    pub resend: Resend,
}

/// What must survive the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persisted {
    /// The deployment taken on last.
    pub held: Option<Held>,
    /// Reports that the hub has not taken yet.
    pub outbox: Outbox,
    /// `$version` of the desired object acknowledged last.
    pub acknowledged: Option<u64>,
    /// The root key package in force.
    pub root_keys: Option<String>,
    /// The request for logs completed last: it is not carried out again (ADU-AGENT-128).
    pub logs: Option<String>,
    /// `$version` of the request for logs acknowledged last.
    pub logs_acknowledged: Option<u64>,
    /// Whether a report with a retry time stamp was made, so that one without must clear it.
    pub reported_retry: bool,
}

/// A deployment that was taken on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Which one.
    pub workflow: Workflow,
    /// How far it is.
    pub status: Status,
}

/// How far a deployment is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Status {
    /// Being carried out; after a kill or restart it starts again.
    Running,
    /// The update is installed.
    Succeeded {
        /// `installedUpdateId` as it was reported.
        installed: String,
    },
    /// It failed.
    Failed,
    /// It was refused; an object with the same id but other content is another one.
    Refused {
        /// What was refused: manifest and signature.
        content: (Option<String>, Option<String>),
    },
}

/// An order on its way through validation.
#[derive(Clone, Debug)]
struct Candidate {
    order: Order,
    job: u64,
}

/// A deployment that may start.
#[derive(Clone, Debug)]
struct Ready {
    order: Order,
    plan: Plan,
    notes: Vec<ExtendedResultCode>,
}

/// Why the running deployment is being stopped.
#[derive(Clone, Debug)]
enum Ending {
    /// The service cancelled; the report names this deployment.
    Cancelled(Workflow),
    /// Another deployment, or another try, takes its place.
    Replaced(Box<Ready>),
}

/// The deployment under way.
#[derive(Clone, Debug)]
struct Active {
    workflow: Workflow,
    running: Running,
    ending: Option<Ending>,
    /// What was refused meanwhile, and why: reported once this deployment has ended, so that the
    /// twin ends with what the service asked for last.
    refused: Option<(Order, Outcome)>,
}

/// A restart that is due.
#[derive(Clone, Copy, Debug)]
struct Restart {
    kind: RestartKind,
    /// When it no longer waits for reports.
    until: Time,
    told: bool,
}

/// How an order relates to what is held.
enum Relation {
    /// It asks for nothing new.
    Duplicate,
    /// It asks again for what is installed already (ADU-AGENT-085).
    RetryOfSuccess(String),
    /// It is to be carried out.
    New,
}

/// The agent's whole state.
#[derive(Clone)]
pub struct Agent {
    settings: Settings,
    persisted: Persisted,
    delivery: Delivery,
    /// `$version` of the desired document seen last on this connection.
    seen: Option<u64>,
    /// Whether a notification was missed, so that the twin may tell more than the last one.
    missed: bool,
    candidate: Option<Candidate>,
    active: Option<Active>,
    restart: Option<Restart>,
    /// Uploads under way: operations by job.
    uploads: BTreeMap<u64, String>,
    jobs: u64,
    /// When the input that is handled came.
    now: Time,
}

impl Agent {
    /// An agent that starts, or starts again, with what it knew.
    #[must_use]
    pub fn new(settings: Settings, persisted: Persisted) -> Self {
        Self {
            settings,
            persisted,
            delivery: Delivery::default(),
            seen: None,
            missed: false,
            candidate: None,
            active: None,
            restart: None,
            uploads: BTreeMap::new(),
            jobs: 0,
            now: Time::default(),
        }
    }

    /// What must survive the process.
    #[must_use]
    pub fn persisted(&self) -> &Persisted {
        &self.persisted
    }

    /// Whether no deployment is under way or being validated.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.active.is_none() && self.candidate.is_none() && self.restart.is_none()
    }

    /// Takes what happened and returns what must be done, in order.
    pub fn handle(&mut self, input: Input, now: Time) -> Vec<Output> {
        self.now = now;
        let before = self.persisted.clone();
        let mut out = Vec::new();
        self.take(input, &mut out);
        let due = self.delivery.next(&self.persisted.outbox, self.settings.resend, now);
        out.extend(due.map(|(report, patch)| Output::Send { report, patch }));
        self.restart_if_due(&mut out);
        if self.persisted != before {
            out.insert(0, Output::Persist(Box::new(self.persisted.clone())));
        }
        out
    }

    /// When to call [`Self::handle`] with [`Input::Tick`], if nothing happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let restart = self.restart.filter(|restart| !restart.told).map(|restart| restart.until);
        let delivery = self.delivery.deadline(&self.persisted.outbox);
        restart.into_iter().chain(delivery).min()
    }

    fn take(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Connected => self.connected(out),
            Input::Disconnected => {
                self.delivery.disconnected();
                self.seen = None;
            }
            Input::Twin(twin) => self.twin(&twin, out),
            Input::Patch(patch) => self.patch(&patch, out),
            Input::Answered { report, status } => {
                let (outbox, resend) = (&mut self.persisted.outbox, self.settings.resend);
                let note = self.delivery.answered(outbox, report, status, resend, self.now);
                out.extend(note.map(Output::Note));
            }
            Input::RootKeys { job, outcome } => self.root_keys(job, outcome, out),
            Input::Validated { job, validation } => self.validated(job, *validation, out),
            Input::Fetched { job, outcome } => self.fetched(job, outcome, out),
            Input::Ran { job, outcome } => self.ran(job, outcome, out),
            Input::Uploaded { job, upload } => self.uploaded(job, upload),
            Input::RestartFailed(why) => self.restart_failed(&why, out),
            Input::Tick => {}
        }
    }

    fn connected(&mut self, out: &mut Vec<Output>) {
        self.delivery.connected();
        self.push(Kind::Information, self.settings.information.report());
        self.push(Kind::Startup, self.settings.device.startup(self.settings.generation));
        out.push(Output::ReadTwin);
    }

    fn push(&mut self, kind: Kind, patch: Value) {
        self.delivery.push(&mut self.persisted.outbox, kind, patch);
    }
}

impl fmt::Debug for Agent {
    /// Without the settings, which never change.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Agent")
            .field("persisted", &self.persisted)
            .field("delivery", &self.delivery)
            .field("seen", &self.seen)
            .field("missed", &self.missed)
            .field("candidate", &self.candidate)
            .field("active", &self.active)
            .field("restart", &self.restart)
            .field("uploads", &self.uploads)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}
