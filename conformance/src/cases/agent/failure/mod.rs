//! Deployments that fail, and what comes after them (device-update-agent.md § 6.6, 6.8).

mod after;
mod download;
mod handler;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[download::CASES, handler::CASES, after::CASES];
