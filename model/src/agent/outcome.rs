//! Result codes and extended result codes as far as an agent uses them (device-update-agent.md
//! § 11).

use serde::{Deserialize, Serialize};

/// How something ended: what `lastInstallResult` and each of `stepResults` carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Result code; more than 0 is success.
    pub code: i32,
    /// Extended result code; 0 when there is none.
    pub extended: u32,
    /// What a person may want to know.
    pub details: String,
}

impl Outcome {
    /// An outcome with `code` alone.
    #[must_use]
    pub fn of(code: i32) -> Self {
        Self { code, ..Self::default() }
    }

    /// A failure.
    #[must_use]
    pub fn failure(extended: u32, details: impl Into<String>) -> Self {
        Self { code: code::FAILURE, extended, details: details.into() }
    }

    /// Whether it is a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code > 0
    }
}

/// Result codes.
pub mod code {
    /// Failure.
    pub const FAILURE: i32 = 0;
    /// Cancelled.
    pub const CANCELLED: i32 = -1;
    /// Success; also in a report of state 6 (goal state 3).
    pub const SUCCESS: i32 = 1;
    /// Deployment in progress: a report of state 6 (goal state 1 and 2).
    pub const IN_PROGRESS: i32 = 400;
    /// Downloaded.
    pub const DOWNLOADED: i32 = 500;
    /// Installed by the install phase.
    pub const INSTALL_SUCCESS: i32 = 600;
    /// Skipped, because it is installed already.
    pub const SKIPPED_INSTALLED: i32 = 603;
    /// Skipped, because no component matches.
    pub const SKIPPED_NO_COMPONENT: i32 = 604;
    /// The deployment succeeded.
    pub const APPLY_SUCCESS: i32 = 700;
    /// The handler was told to stop.
    pub const CANCEL_SUCCESS: i32 = 800;
    /// The handler says: installed.
    pub const INSTALLED: i32 = 900;
    /// The handler says: not installed.
    pub const NOT_INSTALLED: i32 = 901;
    /// Backed up.
    pub const BACKUP_SUCCESS: i32 = 1000;
    /// Restored.
    pub const RESTORE_SUCCESS: i32 = 1100;
}

/// Extended result codes.
pub mod extended {
    /// A hash is not the one the manifest names.
    pub const HASH_INVALID: u32 = 0x0010_0003;
    /// No handler is registered for a step.
    pub const HANDLER_MISSING: u32 = 0x3000_0003;
    /// A reference step inside a child manifest.
    pub const NESTED_REFERENCE: u32 = 0x3040_0009;
    /// A script left no readable result, or failed without saying why.
    pub const SCRIPT_NO_RESULT: u32 = 0x3050_0206;
    /// A script ended with a status other than 0; the status is added.
    pub const SCRIPT_EXIT: u32 = 0x3050_1000;
    /// A file has no usable URL.
    pub const BAD_URL: u32 = 0x4000_0007;
    /// A file has no hash that is strong enough.
    pub const HASH_TYPE: u32 = 0x4000_0008;
    /// A file is not what the manifest says.
    pub const FILE_MISMATCH: u32 = 0x4000_000C;
    /// An HTTP download failed; the status, if any, is added.
    pub const HTTP: u32 = 0x4020_0000;
    /// The manifest or the workflow id cannot be read.
    pub const BAD_MANIFEST: u32 = 0x8030_0009;
    /// The version of the manifest is not known.
    pub const MANIFEST_VERSION: u32 = 0x8030_000A;
    /// The device could not be restarted: no code of the sources fits, so the general one.
    pub const RESTART: u32 = 0x3000_0000;
    /// `rootKeyPackageUrl` is missing.
    pub const NO_ROOT_KEY_URL: u32 = 0x8030_0011;
    /// The root key package could not be fetched; the HTTP status, if any, is added.
    pub const ROOT_KEYS_HTTP: u32 = 0xA019_0000;
}
