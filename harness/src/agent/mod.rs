//! The reference Device Update agent: the model's phase machine between a hub, a content server and
//! handlers. Its contract is in `harness/AGENT.md`.
//!
//! [`run`] is the loop: it gives the machine what happened, and does what the machine wants. No
//! protocol rule lives here; an [`Overlay`] may stand between the two.

mod fetch;
mod handler;
mod information;
mod link;
mod overlay;
mod relay;
mod roots;
mod script;
mod shell;
mod simulator;
mod store;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use twinspec_model::agent::{Component, Device, Generation, RestartKind};
use twinspec_model::update::key::RootKeys;

pub use overlay::{Effect, Faithful, Overlay, Tamper, Wire};
pub use roots::read_root_keys;
pub use shell::run;

use crate::connection_string::ConnectionString;
use crate::endpoint::Endpoint;
use crate::tls::Trust;

/// All that an agent is told at its start.
#[derive(Clone)]
pub struct Config {
    /// Who it is, and its key.
    pub connection_string: ConnectionString,
    /// Where the hub speaks MQTT.
    pub mqtt: Endpoint,
    /// Whom it trusts for the hub and for downloads.
    pub trust: Trust,
    /// State, downloads, work folders.
    pub work_dir: PathBuf,
    /// The root keys built in.
    pub root_keys: RootKeys,
    /// The generation of the protocol.
    pub generation: Generation,
    /// What it says about its device.
    pub device: Device,
    /// Handlers by id.
    pub handlers: BTreeMap<String, HandlerSpec>,
    /// What the component enumerator knows; `None` when there is no enumerator.
    pub components: Option<Vec<Component>>,
    /// Logs to upload when the service asks for them, by the name of what writes them: files or
    /// folders.
    pub logs: Vec<(String, PathBuf)>,
    /// How long things may take.
    pub limits: Limits,
    /// Where lines for a person go.
    pub log: Log,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// MQTT keep-alive.
    pub keep_alive: Duration,
    /// Life of a SAS token.
    pub token_lifetime: Duration,
    /// How long an answer of the hub may take.
    pub answer: Duration,
    /// The pause after a report was refused.
    pub resend: Duration,
    /// How long a download may stand still.
    pub stall: Duration,
    /// How often a download is tried.
    pub download_tries: u32,
    /// How long a phase of a handler may take.
    pub phase: Duration,
    /// How long a cancelled phase may go on.
    pub cancel_grace: Duration,
    /// The shortest pause before a new connection.
    pub back_off_min: Duration,
    /// The longest.
    pub back_off_max: Duration,
}

/// What stands behind a handler's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerSpec {
    /// A file of the step.
    Script,
    /// A program of this machine.
    Program(PathBuf),
    /// Nothing; how phases end may stand in a file.
    Simulator(Option<PathBuf>),
}

impl HandlerSpec {
    /// Looks whether phases could be run: a program that may be started, a simulator's file that can be
    /// read.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Script | Self::Simulator(None) => Ok(()),
            Self::Simulator(Some(file)) => simulator::check(file),
            Self::Program(path) => {
                let problem = |why: &str| format!("program {}: {why}", path.display());
                let found = std::fs::metadata(path).map_err(|error| problem(&error.to_string()))?;
                if !found.is_file() {
                    return Err(problem("it is no file"));
                }
                let is_executable = found.permissions().mode() & 0o111 != 0;
                if is_executable { Ok(()) } else { Err(problem("it is not executable")) }
            }
        }
    }
}

/// Where lines for a person go.
#[derive(Clone)]
pub struct Log(Arc<dyn Fn(&str) + Send + Sync>);

impl Log {
    /// A log that gives every line to `write`.
    #[must_use]
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    pub(crate) fn line(&self, text: impl AsRef<str>) {
        (self.0)(text.as_ref());
    }
}

/// Why an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was told to.
    Stopped,
    /// A handler asked for it.
    Restart(RestartKind),
}

/// What keeps an agent from running: the work folder cannot be used.
#[derive(Debug)]
pub struct AgentError {
    what: String,
    source: io::Error,
}

impl AgentError {
    pub(crate) fn new(what: impl Into<String>, source: io::Error) -> Self {
        Self { what: what.into(), source }
    }
}

impl fmt::Display for AgentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.what, self.source)
    }
}

impl std::error::Error for AgentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
