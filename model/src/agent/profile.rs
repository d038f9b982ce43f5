//! The generations of the protocol (device-update-agent.md § 0.2).

use serde::{Deserialize, Serialize};

/// A generation of the goal state protocol.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// `deviceUpdateModel;1`: manifests of version 4.
    One,
    /// `deviceUpdateModel;2`: manifests of version 4 and 5.
    Two,
    /// `deviceUpdateModel;3`: adds root key packages and `extendedResultCodes`.
    #[default]
    Three,
}

impl Generation {
    /// 1, 2 or 3.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }

    /// The model id of the CONNECT (ADU-AGENT-001).
    #[must_use]
    pub fn model_id(self) -> String {
        format!("dtmi:azure:iot:deviceUpdateModel;{}", self.number())
    }

    /// The value of `deviceProperties.contractModelId` (ADU-AGENT-005).
    #[must_use]
    pub fn contract_model_id(self) -> String {
        format!("dtmi:azure:iot:deviceUpdateContractModel;{}", self.number())
    }

    /// Whether deployments come with a root key package.
    #[must_use]
    pub fn has_root_key_package(self) -> bool {
        self == Self::Three
    }

    /// Whether manifests of version `major` are understood (ADU-AGENT-067).
    #[must_use]
    pub fn reads_manifest(self, major: u64) -> bool {
        match self {
            Self::One => major == 4,
            Self::Two | Self::Three => matches!(major, 4 | 5),
        }
    }
}
