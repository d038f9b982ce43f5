//! The words of the patterns, as their sources spell them (firmware-patterns.md § b.4, c.6, d.2).

use clap::ValueEnum;
use serde::Deserialize;

/// An older firmware-update pattern whose devices report in their twins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// (b) of 2018: a job writes desired properties.
    TwinJob,
    /// (c) of 2016: a direct method, progress below a root.
    DirectMethod,
    /// (d) of 2018: a direct method, progress at the root.
    #[serde(rename = "direct-method-2018")]
    #[value(name = "direct-method-2018")]
    DirectMethod2018,
}

impl Pattern {
    /// The word in profiles and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TwinJob => "twin-job",
            Self::DirectMethod => "direct-method",
            Self::DirectMethod2018 => "direct-method-2018",
        }
    }
}

/// All values of `fwUpdateStatus`.
pub const TWIN_JOB: [&str; 7] =
    ["current", "downloading", "verifying", "applying", "rebooting", "error", "rolledback"];

/// The four phases of pattern (b), with their first and last detail.
pub const PHASES: [(&str, &str, &str); 4] = [
    ("downloading", "Start downloading", "Finished downloading"),
    ("verifying", "Start verifying download", "Finished verifying download"),
    ("applying", "Start applying image", "Finished applying image"),
    ("rebooting", "Start reboot", "Finished reboot"),
];

/// Whether `status` is one of the four phases of pattern (b).
#[must_use]
pub fn is_phase(status: &str) -> bool {
    PHASES.iter().any(|(phase, ..)| *phase == status)
}

/// The members of the block `firmware`.
pub const BLOCK: [&str; 6] = [
    "currentFwVersion",
    "pendingFwVersion",
    "fwUpdateStatus",
    "fwUpdateSubstatus",
    "lastFwUpdateStartTime",
    "lastFwUpdateEndTime",
];

/// The statuses of pattern (d), with the member that comes with each.
pub const DIRECT_METHOD_2018: [(&str, &str); 4] = [
    ("standBy", "logTime"),
    ("downloading", "downloadComplete"),
    ("applying", "startedApplyingImage"),
    ("completed", "lastFirmwareUpdate"),
];

/// One variant of pattern (c).
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// What profiles call it.
    pub name: &'static str,
    /// A JSON pointer to where it reports.
    pub root: &'static str,
    /// The statuses of a success, in order; the time that comes with each, where one does.
    pub steps: &'static [(&'static str, Option<&'static str>)],
    /// The download has failed.
    pub download_failed: &'static str,
    /// The application has failed.
    pub apply_failed: &'static str,
    /// Whether the call's payload is the bare address.
    pub is_bare: bool,
    /// Whether an insecure address is refused in the answer to the call.
    pub checks_first: bool,
}

/// All variants of pattern (c).
pub const SPELLINGS: [Words; 4] = [
    Words {
        name: "tutorial-2016",
        root: "/iothubDM/firmwareUpdate",
        steps: &[
            ("waiting", Some("startedWaitingTime")),
            ("downloading", None),
            ("downloadComplete", Some("downloadCompleteTime")),
            ("applying", Some("startedApplyingImage")),
            ("applyComplete", Some("lastFirmwareUpdate")),
        ],
        download_failed: "downloadfailed",
        apply_failed: "applyFailed",
        is_bare: false,
        checks_first: false,
    },
    Words {
        name: "dm-patterns",
        root: "/iothubDM/firmwareUpdate",
        steps: LATER,
        download_failed: "Download image failed",
        apply_failed: "Apply image failed",
        is_bare: false,
        checks_first: true,
    },
    Words {
        name: "samples-2018",
        root: "/firmwareUpdate",
        steps: LATER,
        download_failed: "download image failed",
        apply_failed: "apply image failed",
        is_bare: false,
        checks_first: true,
    },
    Words {
        name: "c-port",
        root: "/iothubDM/firmwareUpdate",
        steps: &[
            ("waiting", None),
            ("downloading", None),
            ("downloadComplete", None),
            ("applying", None),
        ],
        download_failed: "downloadFailed",
        apply_failed: "applyFailed",
        is_bare: true,
        checks_first: true,
    },
];

const LATER: &[(&str, Option<&str>)] = &[
    ("downloading", Some("startedDownloadingTime")),
    ("download complete", None),
    ("applying", None),
    ("apply firmware image complete", None),
];

impl Words {
    /// The variant called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SPELLINGS.iter().find(|words| words.name == name)
    }

    /// Whether `status` says that an attempt has failed.
    #[must_use]
    pub fn is_failure(&self, status: &str) -> bool {
        [self.download_failed, self.apply_failed].contains(&status)
    }

    /// The status of a success.
    #[must_use]
    pub fn last(&self) -> &'static str {
        self.steps.last().map_or("", |(status, _)| status)
    }

    /// Where `status` stands in the order of a success.
    #[must_use]
    pub fn place(&self, status: &str) -> Option<usize> {
        self.steps.iter().position(|(step, _)| *step == status)
    }
}
