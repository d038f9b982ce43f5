//! Result codes and extended result codes of agents (device-update-agent.md § 4.3, § 11).

use std::fmt;
use std::str::FromStr;

use super::identity::UpdateId;

/// `resultCode` of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResultCode(pub i32);

/// What a result code says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Greater than 0.
    Success,
    /// One of the codes for work that goes on: no failure, and no end either.
    InProgress,
    /// 0 or less.
    Failure,
}

impl ResultCode {
    /// Cancelled.
    pub const CANCELLED: Self = Self(-1);
    /// Failed.
    pub const FAILURE: Self = Self(0);
    /// Succeeded; also what agents of interface 2 report with state 6.
    pub const SUCCESS: Self = Self(1);
    /// Idle.
    pub const IDLE: Self = Self(200);
    /// What agents of interface 1 report with state 6.
    pub const DEPLOYMENT_IN_PROGRESS: Self = Self(400);
    /// Downloaded.
    pub const DOWNLOADED: Self = Self(500);
    /// Installed by the install step.
    pub const INSTALLED_NOW: Self = Self(600);
    /// Applied: the last code of a deployment that succeeded.
    pub const APPLIED: Self = Self(700);
    /// The handler finds the update installed.
    pub const INSTALLED: Self = Self(900);
    /// The handler finds the update not installed.
    pub const NOT_INSTALLED: Self = Self(901);

    /// Success is greater than 0; the codes for work that goes on are no failure.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self.0 {
            400 | 501 | 601 | 701 | 1002 | 1102 => Outcome::InProgress,
            1.. => Outcome::Success,
            _ => Outcome::Failure,
        }
    }

    /// What it stands for; `None` for a number outside the list.
    #[must_use]
    pub fn meaning(self) -> Option<&'static str> {
        RESULT_CODES.iter().find(|(code, _)| *code == self.0).map(|(_, meaning)| *meaning)
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// The known result codes; device-update-agent.md § 11.
const RESULT_CODES: &[(i32, &str)] = &[
    (-1, "cancelled"),
    (0, "failure"),
    (1, "success"),
    (2, "success, cache miss"),
    (100, "register success"),
    (200, "idle success"),
    (300, "sandbox created"),
    (400, "deployment in progress"),
    (500, "download success"),
    (501, "download in progress"),
    (502, "download skipped, file exists"),
    (503, "download skipped, already installed"),
    (504, "download skipped, no matching component"),
    (520, "download handler made the file"),
    (521, "full download required"),
    (600, "install success"),
    (601, "install in progress"),
    (603, "install skipped, already installed"),
    (604, "install skipped, no matching component"),
    (605, "install: reboot"),
    (606, "install: deferred reboot"),
    (607, "install: agent restart"),
    (608, "install: deferred agent restart"),
    (700, "apply success"),
    (701, "apply in progress"),
    (705, "apply: immediate reboot"),
    (706, "apply: reboot"),
    (707, "apply: immediate agent restart"),
    (708, "apply: agent restart"),
    (709, "apply: reboot pending"),
    (800, "cancel success"),
    (801, "unable to cancel"),
    (900, "installed"),
    (901, "not installed"),
    (1000, "backup success"),
    (1001, "backup not supported"),
    (1002, "backup in progress"),
    (1100, "restore success"),
    (1101, "restore not supported"),
    (1102, "restore in progress"),
    (1105, "restore: reboot or restart wanted"),
    (1106, "restore: reboot or restart wanted"),
    (1107, "restore: reboot or restart wanted"),
    (1108, "restore: reboot or restart wanted"),
    (1200, "root key step: continue"),
];

/// `state` of an agent, as far as it leaves the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// 0: nothing is being done.
    Idle,
    /// 6: a deployment is being done.
    InProgress,
    /// 255: the deployment failed.
    Failed,
}

impl State {
    /// The state with this number; `None` for the internal and unknown ones.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Idle),
            6 => Some(Self::InProgress),
            255 => Some(Self::Failed),
            _ => None,
        }
    }

    /// Its number in a report.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::InProgress => 6,
            Self::Failed => 255,
        }
    }
}

/// What the service concludes for a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The device has the update.
    Succeeded,
    /// It goes on.
    InProgress,
    /// It ended without the update.
    Failed,
}

/// What the service concludes from a report on the deployment of `deployed`, whatever `resultCode`
/// says: idle is a success only together with the deployed id (device-update-agent.md § 4.3).
#[must_use]
pub fn conclude(state: State, installed: Option<&str>, deployed: &UpdateId) -> Conclusion {
    let has_it =
        || installed.and_then(|text| UpdateId::parse(text).ok()).as_ref() == Some(deployed);
    match state {
        State::InProgress => Conclusion::InProgress,
        State::Failed => Conclusion::Failed,
        State::Idle if has_it() => Conclusion::Succeeded,
        State::Idle => Conclusion::Failed,
    }
}

/// An extended result code: facility (4 bits), component (8), value (20).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtendedResultCode(pub u32);

impl ExtendedResultCode {
    /// Nothing to report.
    pub const NONE: Self = Self(0);
    /// The signature or the hash of the manifest does not hold.
    pub const MANIFEST_VALIDATION: Self = Self(0x8030_0001);
    /// The manifest cannot be used.
    pub const BAD_MANIFEST: Self = Self(0x8030_0009);
    /// The root key package cannot be used.
    pub const ROOT_KEY_PACKAGE: Self = Self(0x8050_0000);
    /// The stored root key package was replaced.
    pub const ROOT_KEYS_CHANGED: Self = Self(0xA000_0008);
    /// The stored root key package stays.
    pub const ROOT_KEYS_UNCHANGED: Self = Self(0xA000_0FFF);
    /// A file is not what its hash says.
    pub const HASH_MISMATCH: Self = Self(0x0010_0003);

    /// The highest 4 bits.
    #[must_use]
    pub fn facility(self) -> u8 {
        u8::try_from(self.0 >> 28).unwrap_or_default()
    }

    /// The next 8 bits.
    #[must_use]
    pub fn component(self) -> u8 {
        u8::try_from(self.0 >> 20 & 0xFF).unwrap_or_default()
    }

    /// The lowest 20 bits.
    #[must_use]
    pub fn value(self) -> u32 {
        self.0 & 0xF_FFFF
    }

    /// The same 32 bits as agents of interface 1 write them: code − 2^32 when the top bit is set.
    #[must_use]
    pub fn signed(self) -> i32 {
        i32::from_ne_bytes(self.0.to_ne_bytes())
    }

    /// The code that an agent of interface 1 wrote as `number`.
    #[must_use]
    pub fn from_signed(number: i32) -> Self {
        Self(u32::from_ne_bytes(number.to_ne_bytes()))
    }

    /// Name of the facility; `None` for a reserved one.
    #[must_use]
    pub fn facility_name(self) -> Option<&'static str> {
        FACILITIES.iter().find(|(number, _)| *number == self.facility()).map(|(_, name)| *name)
    }

    /// Name of the component; `None` for an unknown one.
    #[must_use]
    pub fn component_name(self) -> Option<&'static str> {
        let place = (self.facility(), self.component());
        COMPONENTS.iter().find(|(f, c, _)| (*f, *c) == place).map(|(_, _, name)| *name)
    }
}

impl fmt::Display for ExtendedResultCode {
    /// Eight upper-case hex digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08X}", self.0)
    }
}

impl FromStr for ExtendedResultCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        if text.len() != 8 || !text.bytes().all(is_digit) {
            return Err(format!("{text:?} is not eight of the digits 0-9 and A-F"));
        }
        u32::from_str_radix(text, 16).map(Self).map_err(|error| error.to_string())
    }
}

/// Facilities; device-update-agent.md § 11.1.
const FACILITIES: &[(u8, &str)] = &[
    (0x0, "common"),
    (0x1, "lower layer"),
    (0x2, "upper layer"),
    (0x3, "step handler"),
    (0x4, "downloader"),
    (0x5, "communication"),
    (0x6, "log"),
    (0x7, "component enumerator"),
    (0x8, "utility"),
    (0x9, "download handler"),
    (0xA, "infrastructure"),
    (0xD, "Delivery Optimization"),
];

/// Components of facilities; device-update-agent.md § 11.1.
const COMPONENTS: &[(u8, u8, &str)] = &[
    (0x0, 0, "errno"),
    (0x0, 1, "crypto and hash"),
    (0x0, 2, "plugin"),
    (0x0, 3, "common"),
    (0x3, 0, "common"),
    (0x3, 1, "swupdate"),
    (0x3, 2, "apt"),
    (0x3, 3, "simulator"),
    (0x3, 4, "steps"),
    (0x3, 5, "script"),
    (0x3, 32, "external"),
    (0x4, 0, "common"),
    (0x4, 1, "Delivery Optimization"),
    (0x4, 2, "simple HTTP"),
    (0x4, 3, "curl"),
    (0x8, 3, "update data parser"),
    (0x8, 4, "workflow"),
    (0x8, 5, "root key package"),
    (0x8, 6, "root key"),
    (0x8, 7, "URL"),
    (0x9, 0, "manager"),
    (0x9, 1, "plugin"),
    (0x9, 8, "delta"),
    (0x9, 9, "source cache"),
    (0x9, 10, "processor"),
    (0xA, 0, "root key workflow"),
    (0xA, 1, "root key download"),
    (0xA, 2, "JWS"),
];

/// Most informational codes after an agent's own one.
const INFORMATIONAL_MAX: usize = 8;

/// `extendedResultCodes` of interface 2: the result's own code, then up to 8 informational ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedResultCodes {
    /// The result's own code.
    pub own: ExtendedResultCode,
    /// What else is to be said, in order.
    pub informational: Vec<ExtendedResultCode>,
}

impl ExtendedResultCodes {
    /// The result's own code with what else is to be said; what is beyond 8 is left out, as agents
    /// do.
    #[must_use]
    pub fn new(own: ExtendedResultCode, informational: &[ExtendedResultCode]) -> Self {
        let informational = informational.iter().take(INFORMATIONAL_MAX).copied().collect();
        Self { own, informational }
    }
}

impl fmt::Display for ExtendedResultCodes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.own)?;
        self.informational.iter().try_for_each(|code| write!(formatter, ",{code}"))
    }
}

impl FromStr for ExtendedResultCodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let codes: Vec<ExtendedResultCode> =
            text.split(',').map(str::parse).collect::<Result<_, _>>()?;
        match codes.as_slice() {
            [own, informational @ ..] if informational.len() <= INFORMATIONAL_MAX => {
                Ok(Self { own: *own, informational: informational.to_vec() })
            }
            _ => Err(format!("{} codes, allowed are 1 to {}", codes.len(), INFORMATIONAL_MAX + 1)),
        }
    }
}
