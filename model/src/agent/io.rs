//! What happens to the agent, and what it wants done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::admission::Validation;
use super::logs::Upload;
use super::machine::Persisted;
use super::order::Order;
use super::outcome::Outcome;
use super::plan::{Component, Work};
use crate::update::files::Algorithm;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The connection is up, and desired properties are subscribed to.
    Connected,
    /// The connection is lost.
    Disconnected,
    /// The whole twin was read.
    Twin(Value),
    /// Desired properties changed.
    Patch(Value),
    /// The hub answered a report.
    Answered {
        /// Which one.
        report: u64,
        /// Status as in HTTP.
        status: u16,
    },
    /// The root key package came, or did not.
    RootKeys {
        /// The job that asked for it.
        job: u64,
        /// Its text.
        outcome: Result<String, Outcome>,
    },
    /// An order was validated.
    Validated {
        /// The job that asked for it.
        job: u64,
        /// What came out.
        validation: Box<Validation>,
    },
    /// A download ended.
    Fetched {
        /// The job that asked for it.
        job: u64,
        /// What came.
        outcome: Fetched,
    },
    /// A phase of a handler ended.
    Ran {
        /// The job that asked for it.
        job: u64,
        /// How.
        outcome: Outcome,
    },
    /// An upload of logs ended.
    Uploaded {
        /// The job that asked for it.
        job: u64,
        /// How.
        upload: Upload,
    },
    /// The device could not be restarted.
    RestartFailed(String),
    /// Time passed.
    Tick,
}

/// What came of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The whole file is there.
    Complete {
        /// Its size in bytes.
        size: u64,
        /// Its hash under the algorithm asked for.
        hash: Vec<u8>,
        /// Its content, when that was asked for and is text.
        text: Option<String>,
    },
    /// The server answered with another status than success.
    Status(u16),
    /// Nothing came in the end.
    Failed(String),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Bring the state into safety. Always the first of its batch: nothing that follows may be
    /// done before.
    Persist(Box<Persisted>),
    /// Read the whole twin.
    ReadTwin,
    /// Send a reported patch and answer with [`Input::Answered`].
    Send {
        /// Names it.
        report: u64,
        /// The patch.
        patch: Value,
    },
    /// Fetch the root key package and answer with [`Input::RootKeys`].
    FetchRootKeys {
        /// Names the job.
        job: u64,
        /// Where it is.
        url: String,
    },
    /// Validate an order with [`super::Verifier`] and answer with [`Input::Validated`].
    Validate {
        /// Names the job.
        job: u64,
        /// What to validate.
        order: Box<Order>,
        /// The root key package that came with it.
        package: Option<String>,
        /// The root key package in force.
        stored: Option<String>,
    },
    /// Fetch a file and answer with [`Input::Fetched`].
    Fetch {
        /// Names the job.
        job: u64,
        /// What and where to.
        order: FetchOrder,
    },
    /// Stop a fetch; no answer is expected.
    Abort {
        /// The fetch.
        job: u64,
    },
    /// Run a phase of a handler and answer with [`Input::Ran`].
    Run {
        /// Names the job.
        job: u64,
        /// What to run.
        call: Box<Call>,
    },
    /// Tell the running phase to stop; [`Input::Ran`] still comes.
    Cancel {
        /// The phase.
        job: u64,
    },
    /// Upload logs and answer with [`Input::Uploaded`].
    Upload {
        /// Names the job.
        job: u64,
        /// The operation: part of the names under which logs are stored.
        operation: String,
        /// Where to: a secret.
        url: String,
    },
    /// Remove the work folders of all deployments but this one.
    Tidy {
        /// The workflow id of the one to keep.
        keep: String,
    },
    /// Restart; everything that matters is in safety and, if it could be, reported.
    Restart(RestartKind),
    /// Something a person may want to know.
    Note(String),
}

/// A file to fetch. One that is there already and has the hash is not fetched again; one that has
/// another hash is fetched anew (ADU-AGENT-053, -054).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOrder {
    /// The deployment it belongs to.
    pub workflow: String,
    /// Folder below the deployment's: the step, or step and child step.
    pub folder: String,
    /// File name, without any folder.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Size in bytes that the manifest names.
    pub size: u64,
    /// The algorithm that counts.
    pub algorithm: Algorithm,
    /// The hash that the manifest names.
    pub hash: Vec<u8>,
    /// Whether the content is wanted as text: it is a manifest.
    pub wants_text: bool,
}

/// A phase to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The deployment.
    pub workflow: String,
    /// The step's number.
    pub step: usize,
    /// Folder below the deployment's, where the step's files are.
    pub folder: String,
    /// For which component.
    pub component: Option<Component>,
    /// Which phase.
    pub phase: Phase,
    /// Handler, properties, files.
    pub work: Work,
}

impl Call {
    /// The component's pairs.
    #[must_use]
    pub fn component_pairs(&self) -> BTreeMap<String, String> {
        self.component.as_ref().map(Component::pairs).unwrap_or_default()
    }
}

/// A phase of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Is the update there already?
    IsInstalled,
    /// Prepare what was fetched.
    Download,
    /// Save what restore would need.
    Backup,
    /// Put the update in place.
    Install,
    /// Switch over to it.
    Apply,
    /// Go back to what was backed up.
    Restore,
    /// Stop the phase that runs.
    Cancel,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 7] = [
        Self::IsInstalled,
        Self::Download,
        Self::Backup,
        Self::Install,
        Self::Apply,
        Self::Restore,
        Self::Cancel,
    ];

    /// The word scripts are called with (device-update-manifests.md § 7.2).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IsInstalled => "is-installed",
            Self::Download => "download",
            Self::Backup => "backup",
            Self::Install => "install",
            Self::Apply => "apply",
            Self::Restore => "restore",
            Self::Cancel => "cancel",
        }
    }
}

/// What is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RestartKind {
    /// The agent.
    Agent,
    /// The device.
    Reboot,
}

impl RestartKind {
    /// What a result code of install or apply asks for (device-update-agent.md § 6.9).
    #[must_use]
    pub fn asked_by(code: i32) -> Option<Self> {
        match code {
            605 | 606 | 705 | 706 => Some(Self::Reboot),
            607 | 608 | 707 | 708 => Some(Self::Agent),
            _ => None,
        }
    }
}
