//! Cases that judge a Device Update agent.

pub mod acknowledge;
pub mod cancel;
pub mod deployment;
pub mod diagnostics;
pub mod failure;
pub mod hostile;
pub mod manifest;
pub mod network;
pub mod outcome;
pub mod restart;
pub mod retry;
pub mod signature;
pub mod startup;

use crate::case::{Claim, Need};

/// What a case needs that runs payloads.
const SCRIPTED: &[Need] = &[Need::Claim(Claim::RootKeys), Need::Claim(Claim::Scripts)];

/// The same, for one that kills the agent or ends it.
const RESUMED: &[Need] =
    &[Need::Claim(Claim::RootKeys), Need::Claim(Claim::Scripts), Need::Claim(Claim::Resumes)];
