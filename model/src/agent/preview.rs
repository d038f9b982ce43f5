//! The agent of the preview: the service commands every phase (device-update-agent.md § 8).
//!
//! The service sends download, install and apply one after the other and reads the state between
//! them. Validation is not part of it: manifests of that time are older than those that
//! [`crate::update`] reads.

use serde_json::{Map, Value, json};

use super::io::Phase;
use super::outcome::{Outcome, code};
use super::report::component;
use crate::update::UpdateId;
use crate::update::result_code::ExtendedResultCode;

/// The component of the twin.
pub const COMPONENT: &str = "azureDeviceUpdateAgent";

/// The model id of the CONNECT (ADU-PREVIEW-001).
pub const MODEL_ID: &str = "dtmi:AzureDeviceUpdate;1";

/// An action in a wrong state (A-D53).
const WRONG_STATE: u32 = 0x2000_0001;

/// What the service commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Command {
    /// 0.
    Download,
    /// 1.
    Install,
    /// 2.
    Apply,
    /// 255.
    Cancel,
}

impl Command {
    /// Reads `action` of the desired property `service`; `None` for anything else.
    #[must_use]
    pub fn read(service: &Value) -> Option<Self> {
        match service.get("action")?.as_u64()? {
            0 => Some(Self::Download),
            1 => Some(Self::Install),
            2 => Some(Self::Apply),
            255 => Some(Self::Cancel),
            _ => None,
        }
    }
}

/// Where the agent is; the started states never leave the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// 0.
    #[default]
    Idle,
    /// 1.
    DownloadStarted,
    /// 2.
    DownloadSucceeded,
    /// 3.
    InstallStarted,
    /// 4.
    InstallSucceeded,
    /// 5.
    ApplyStarted,
    /// 255.
    Failed,
}

impl State {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::DownloadStarted => 1,
            Self::DownloadSucceeded => 2,
            Self::InstallStarted => 3,
            Self::InstallSucceeded => 4,
            Self::ApplyStarted => 5,
            Self::Failed => 255,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The service commands.
    Command(Command),
    /// The phase that was started ended.
    Ended(Outcome),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a phase and answer with [`Event::Ended`].
    Start(Phase),
    /// Tell the phase that runs to stop; [`Event::Ended`] still comes.
    Cancel,
    /// Report this patch.
    Report(Value),
}

/// The agent of the preview.
#[derive(Clone, Debug)]
pub struct Preview {
    update: UpdateId,
    state: State,
    cancelling: bool,
}

impl Preview {
    /// An agent that does nothing yet and is told to install `update`.
    #[must_use]
    pub fn new(update: UpdateId) -> Self {
        Self { update, state: State::Idle, cancelling: false }
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes what happened and returns what must be done, in order.
    pub fn handle(&mut self, event: &Event) -> Vec<Effect> {
        match event {
            Event::Command(Command::Cancel) => self.cancel(),
            Event::Command(Command::Download) => {
                let own = [State::DownloadStarted, State::DownloadSucceeded];
                self.start(State::Idle, own, Phase::Download)
            }
            Event::Command(Command::Install) => {
                let own = [State::InstallStarted, State::InstallSucceeded];
                self.start(State::DownloadSucceeded, own, Phase::Install)
            }
            Event::Command(Command::Apply) => {
                let own = [State::ApplyStarted, State::ApplyStarted];
                self.start(State::InstallSucceeded, own, Phase::Apply)
            }
            Event::Ended(outcome) => self.ended(outcome),
        }
    }

    /// An action in its own started or succeeded state is a duplicate (ADU-PREVIEW-007).
    fn start(&mut self, needed: State, own: [State; 2], phase: Phase) -> Vec<Effect> {
        let [started, _] = own;
        if own.contains(&self.state) {
            return Vec::new();
        }
        if self.state == needed && !self.cancelling {
            self.state = started;
            return vec![Effect::Start(phase)];
        }
        if self.is_busy() {
            // One thing at a time; the service is told how that ends.
            return Vec::new();
        }
        let seen = self.state.number();
        self.state = State::Failed;
        let needed = needed.number();
        let details = format!("{} in state {seen}, needed is {needed}", phase.name());
        vec![self.report(&Outcome::failure(WRONG_STATE, details))]
    }

    fn is_busy(&self) -> bool {
        match self.state {
            State::DownloadStarted | State::InstallStarted | State::ApplyStarted => true,
            State::Idle | State::DownloadSucceeded | State::InstallSucceeded | State::Failed => {
                false
            }
        }
    }

    fn cancel(&mut self) -> Vec<Effect> {
        if self.is_busy() {
            let again = std::mem::replace(&mut self.cancelling, true);
            return if again { Vec::new() } else { vec![Effect::Cancel] };
        }
        if self.state == State::Idle {
            return Vec::new();
        }
        self.state = State::Idle;
        vec![self.report(&Outcome::of(code::CANCELLED))]
    }

    fn ended(&mut self, outcome: &Outcome) -> Vec<Effect> {
        let done = match self.state {
            State::DownloadStarted => State::DownloadSucceeded,
            State::InstallStarted => State::InstallSucceeded,
            State::ApplyStarted => State::Idle,
            // Nothing was started, so nothing can have ended.
            State::Idle | State::DownloadSucceeded | State::InstallSucceeded | State::Failed => {
                return Vec::new();
            }
        };
        let cancelled = std::mem::take(&mut self.cancelling);
        let applied = self.state == State::ApplyStarted && outcome.is_success();
        self.state = match (cancelled, outcome.is_success()) {
            (true, _) => State::Idle,
            (false, true) => done,
            (false, false) => State::Failed,
        };
        // A late cancel is answered with the truth (A-D50).
        if applied {
            return vec![self.installed(outcome)];
        }
        let cancelled_outcome = Outcome::of(code::CANCELLED);
        vec![self.report(if cancelled { &cancelled_outcome } else { outcome })]
    }

    fn installed(&self, outcome: &Outcome) -> Effect {
        let mut client = self.client(outcome);
        client.insert("installedUpdateId".to_owned(), json!(self.update.to_string()));
        Effect::Report(component(COMPONENT, "client", Value::Object(client)))
    }

    fn report(&self, outcome: &Outcome) -> Effect {
        let client = Value::Object(self.client(outcome));
        Effect::Report(component(COMPONENT, "client", client))
    }

    fn client(&self, outcome: &Outcome) -> Map<String, Value> {
        let signed = ExtendedResultCode(outcome.extended).signed();
        let members = [
            ("state", json!(self.state.number())),
            ("resultCode", json!(outcome.code)),
            ("extendedResultCode", json!(signed)),
        ];
        members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    }
}
