//! The device's side: the firmware object as a state machine (firmware-patterns.md § a.6), and the
//! objects around it.

use std::collections::BTreeMap;

use super::lwm2m::{
    BATTERY_LEVEL, CONFIGURATION_APPLY, FACTORY_RESET, FIRMWARE_VERSION, Operation, PACKAGE_URI,
    Path, REBOOT, Request, STATE, UPDATE, UPDATE_RESULT, check,
};
use crate::wire::coap::Code;

/// `/5/0/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// -1: the application has not set it yet.
    Unset,
    /// 1: nothing is under way.
    Idle,
    /// 2: the image is being fetched.
    Downloading,
    /// 3: the image is there, or is being written.
    Downloaded,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unset, Self::Idle, Self::Downloading, Self::Downloaded];

    /// The value of the resource.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Unset => -1,
            Self::Idle => 1,
            Self::Downloading => 2,
            Self::Downloaded => 3,
        }
    }

    /// The state that `number` stands for.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

/// `/5/0/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpdateResult {
    /// -1: the application has not set it yet.
    Unset,
    /// 0: nothing has ended.
    Default,
    /// 1: the new firmware runs.
    Success,
    /// 2 to 7: why it does not.
    Failed(UpdateFailure),
}

/// Why an update has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpdateFailure {
    /// 2: not enough storage.
    Storage,
    /// 3: out of memory.
    Memory,
    /// 4: the connection was lost during the download.
    ConnectionLost,
    /// 5: the checksum is wrong.
    Checksum,
    /// 6: the type of the package is not supported.
    PackageType,
    /// 7: the address is wrong.
    InvalidUri,
}

impl UpdateFailure {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Storage,
        Self::Memory,
        Self::ConnectionLost,
        Self::Checksum,
        Self::PackageType,
        Self::InvalidUri,
    ];

    /// The words for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Storage => "not enough storage",
            Self::Memory => "out of memory",
            Self::ConnectionLost => "connection lost during the download",
            Self::Checksum => "wrong checksum",
            Self::PackageType => "unsupported package type",
            Self::InvalidUri => "invalid URI",
        }
    }

    /// The failure that `number` stands for.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        match UpdateResult::from_number(number)? {
            UpdateResult::Failed(failure) => Some(failure),
            UpdateResult::Unset | UpdateResult::Default | UpdateResult::Success => None,
        }
    }
}

impl UpdateResult {
    /// The value of the resource.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Unset => -1,
            Self::Default => 0,
            Self::Success => 1,
            Self::Failed(UpdateFailure::Storage) => 2,
            Self::Failed(UpdateFailure::Memory) => 3,
            Self::Failed(UpdateFailure::ConnectionLost) => 4,
            Self::Failed(UpdateFailure::Checksum) => 5,
            Self::Failed(UpdateFailure::PackageType) => 6,
            Self::Failed(UpdateFailure::InvalidUri) => 7,
        }
    }

    /// The result that `number` stands for.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        let failures = UpdateFailure::ALL.map(Self::Failed);
        let mut all = [Self::Unset, Self::Default, Self::Success].into_iter().chain(failures);
        all.find(|result| result.number() == number)
    }
}

/// How a device refuses Update in the wrong state (A-F04).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WrongState {
    /// 4.00, as the samples do.
    #[default]
    BadRequest,
    /// 4.05.
    MethodNotAllowed,
}

impl WrongState {
    fn code(self) -> Code {
        match self {
            Self::BadRequest => Code::BAD_REQUEST,
            Self::MethodNotAllowed => Code::METHOD_NOT_ALLOWED,
        }
    }
}

/// What a device does with another address while an update is under way (A-F05).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Busy {
    /// It begins again, with the new address.
    #[default]
    Restart,
    /// It refuses.
    Refuse,
}

/// What a device chose where the sources leave a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stance {
    /// How Update is refused in the wrong state.
    pub wrong_state: WrongState,
    /// What happens to another address.
    pub busy: Busy,
}

impl Stance {
    /// Every choice; the first is the default.
    pub const ALL: [Self; 4] = [
        Self { wrong_state: WrongState::BadRequest, busy: Busy::Restart },
        Self { wrong_state: WrongState::BadRequest, busy: Busy::Refuse },
        Self { wrong_state: WrongState::MethodNotAllowed, busy: Busy::Restart },
        Self { wrong_state: WrongState::MethodNotAllowed, busy: Busy::Refuse },
    ];
}

/// Something that happened to a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// The hub asks something.
    Asked(Request),
    /// The download of an attempt has ended.
    Downloaded(u32, Result<(), UpdateFailure>),
    /// The image of an attempt was written, with its version, or was not.
    Applied(u32, Result<String, UpdateFailure>),
    /// The device has started again and is registered.
    Started,
}

/// Something that a device does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Output {
    /// Answer what was asked, with the value that was read.
    Answer(Code, Option<String>),
    /// Tell whoever observes the resource.
    Notify(Path, String),
    /// Begin work that takes time.
    Begin(Work),
}

/// Work of a device that takes time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// Fetch the image of an attempt.
    Download {
        /// Names the attempt.
        attempt: u32,
        /// Where the image is.
        uri: String,
    },
    /// Write the image of an attempt.
    Apply {
        /// Names the attempt.
        attempt: u32,
    },
    /// Start again, and register again.
    Restart,
    /// Forget everything, start again, and register again.
    FactoryReset,
    /// Make the configuration effective.
    Configure,
}

/// A device with the firmware, device and configuration objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    stance: Stance,
    state: State,
    result: UpdateResult,
    /// What the device works on.
    attempt: Option<Attempt>,
    /// Counts attempts, so that work of an earlier one is not taken for that of this one.
    attempts: u32,
    version: String,
    /// All other values.
    values: BTreeMap<Path, String>,
}

/// What a device works on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Attempt {
    Downloading,
    Applying,
    /// The image is written: the device starts again with this version.
    Starting(String),
}

impl Device {
    /// An idle device that runs `version`.
    #[must_use]
    pub fn new(version: &str, stance: Stance) -> Self {
        let values = [
            (BATTERY_LEVEL, "94"),
            (Path::new(3, 10), "512"),
            (Path::new(3, 13), "0"),
            (Path::new(3, 14), "+00:00"),
            (Path::new(3, 15), "Etc/UTC"),
            (Path::new(3, 18), "A"),
            (Path::new(3, 20), "0"),
            (Path::new(3, 21), "4096"),
        ];
        Self {
            stance,
            state: State::Idle,
            result: UpdateResult::Default,
            attempt: None,
            attempts: 0,
            version: version.to_owned(),
            values: values.map(|(path, value)| (path, value.to_owned())).into(),
        }
    }

    /// `/5/0/3`.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// `/5/0/5`.
    #[must_use]
    pub fn result(&self) -> UpdateResult {
        self.result
    }

    /// `/3/0/3`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether an update is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.attempt.is_some()
    }

    /// The number of the current or last attempt.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempts
    }

    /// Puts the firmware object in a state as an application may; for vectors and searches.
    #[must_use]
    pub fn with(mut self, state: State, result: UpdateResult, is_applying: bool) -> Self {
        (self.state, self.result) = (state, result);
        self.attempt = match state {
            State::Downloading => Some(Attempt::Downloading),
            State::Downloaded if is_applying => Some(Attempt::Applying),
            State::Unset | State::Idle | State::Downloaded => None,
        };
        self.attempts = u32::from(state != State::Unset && state != State::Idle);
        self
    }

    /// Whether the image is being written.
    #[must_use]
    pub fn is_applying(&self) -> bool {
        matches!(self.attempt, Some(Attempt::Applying | Attempt::Starting(_)))
    }

    /// Takes one input and returns what to do, in order: an answer comes before notifications.
    pub fn handle(&mut self, input: Input) -> Vec<Output> {
        let before = self.observed();
        let mut outputs = match input {
            Input::Asked(request) => self.asked(request),
            Input::Downloaded(attempt, result) => {
                self.downloaded(attempt, result);
                Vec::new()
            }
            Input::Applied(attempt, result) => self.applied(attempt, result),
            Input::Started => {
                self.started();
                Vec::new()
            }
        };
        let changed = self.observed().into_iter().zip(before).filter(|(now, before)| now != before);
        outputs.extend(changed.map(|((path, value), _)| Output::Notify(path, value)));
        outputs
    }

    /// The value of a resource that may be read.
    #[must_use]
    pub fn value(&self, path: Path) -> String {
        match path {
            UPDATE_RESULT => self.result.number().to_string(),
            STATE => self.state.number().to_string(),
            FIRMWARE_VERSION => self.version.clone(),
            _ => self.values.get(&path).cloned().unwrap_or_default(),
        }
    }

    /// What changes by itself, in the order in which it is told of.
    fn observed(&self) -> [(Path, String); 3] {
        [UPDATE_RESULT, STATE, FIRMWARE_VERSION].map(|path| (path, self.value(path)))
    }

    fn asked(&mut self, request: Request) -> Vec<Output> {
        if let Err(code) = check(&request) {
            return vec![Output::Answer(code, None)];
        }
        let done = Output::Answer(Code::CHANGED, None);
        match (request.path, request.operation) {
            (path, Operation::Read) => {
                vec![Output::Answer(Code::CONTENT, Some(self.value(path)))]
            }
            (PACKAGE_URI, Operation::Write(uri)) => self.take_uri(uri),
            (path, Operation::Write(value)) => {
                self.values.insert(path, value);
                vec![done]
            }
            (UPDATE, Operation::Execute) => self.update(),
            (REBOOT, Operation::Execute) => vec![done, Output::Begin(Work::Restart)],
            (FACTORY_RESET, Operation::Execute) => {
                *self = Self::new(&self.version, self.stance);
                vec![done, Output::Begin(Work::FactoryReset)]
            }
            (CONFIGURATION_APPLY, Operation::Execute) => vec![done, Output::Begin(Work::Configure)],
            // Nothing else is executed, see `check`.
            (_, Operation::Execute) => vec![Output::Answer(Code::METHOD_NOT_ALLOWED, None)],
        }
    }

    /// Rows 1, 7 and 9.
    fn take_uri(&mut self, uri: String) -> Vec<Output> {
        let done = Output::Answer(Code::CHANGED, None);
        if uri.is_empty() {
            self.enter(State::Idle, UpdateResult::Default, None);
            return vec![done];
        }
        let is_idle = matches!(self.state, State::Unset | State::Idle);
        if !is_idle && self.stance.busy == Busy::Refuse {
            return vec![Output::Answer(Code::BAD_REQUEST, None)];
        }
        self.attempts = self.attempts.saturating_add(1);
        self.enter(State::Downloading, UpdateResult::Default, Some(Attempt::Downloading));
        vec![done, Output::Begin(Work::Download { attempt: self.attempts, uri })]
    }

    /// Rows 4 and 8. An image that could not be written may be tried again; one that is being
    /// written is left alone.
    fn update(&mut self) -> Vec<Output> {
        if self.state != State::Downloaded || self.attempt.is_some() {
            return vec![Output::Answer(self.stance.wrong_state.code(), None)];
        }
        self.enter(State::Downloaded, UpdateResult::Default, Some(Attempt::Applying));
        let begin = Output::Begin(Work::Apply { attempt: self.attempts });
        vec![Output::Answer(Code::CHANGED, None), begin]
    }

    /// Rows 2 and 3.
    fn downloaded(&mut self, attempt: u32, result: Result<(), UpdateFailure>) {
        if attempt != self.attempts || self.attempt != Some(Attempt::Downloading) {
            return;
        }
        match result {
            Ok(()) => self.enter(State::Downloaded, UpdateResult::Default, None),
            Err(failure) => self.enter(State::Idle, UpdateResult::Failed(failure), None),
        }
    }

    /// Row 6, and the first half of row 5: the device starts again.
    fn applied(&mut self, attempt: u32, result: Result<String, UpdateFailure>) -> Vec<Output> {
        if attempt != self.attempts || self.attempt != Some(Attempt::Applying) {
            return Vec::new();
        }
        match result {
            Ok(version) => {
                self.attempt = Some(Attempt::Starting(version));
                vec![Output::Begin(Work::Restart)]
            }
            Err(failure) => {
                self.enter(State::Downloaded, UpdateResult::Failed(failure), None);
                Vec::new()
            }
        }
    }

    /// The second half of row 5.
    fn started(&mut self) {
        if let Some(Attempt::Starting(version)) = self.attempt.take_if(|a| a.is_starting()) {
            self.version = version;
            self.enter(State::Idle, UpdateResult::Success, None);
        }
    }

    fn enter(&mut self, state: State, result: UpdateResult, attempt: Option<Attempt>) {
        (self.state, self.result, self.attempt) = (state, result, attempt);
    }
}

impl Attempt {
    fn is_starting(&self) -> bool {
        matches!(self, Self::Starting(_))
    }
}
