//! Who is judged: a hub, an agent, or both.

use std::path::PathBuf;

use clap::Args;

use super::Trouble;
use crate::agent_profile::AgentProfile;
use crate::case::Role;
use crate::profile::Profile;
use crate::target::{Parts, Target};

/// Which agent is judged.
#[derive(Debug, Args)]
pub(super) struct AgentOptions {
    /// How the agent is started and what it claims, TOML (conformance/AGENTS.md)
    #[arg(long, value_name = "FILE", env = "TWINSPEC_AGENT", conflicts_with = "command")]
    profile: Option<PathBuf>,
    /// Program and arguments that start the agent, with placeholders such as {connection_string};
    /// it claims everything
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl AgentOptions {
    /// The agent that the options name.
    pub(super) fn subject(&self) -> Result<Subject, Trouble> {
        let profile = match (&self.profile, self.command.is_empty()) {
            (Some(path), _) => AgentProfile::read(path).map_err(Trouble::usage)?,
            (None, false) => {
                AgentProfile::of_command(self.command.clone()).map_err(Trouble::usage)?
            }
            (None, true) => return Subject::reference_agent(),
        };
        Ok(Subject::Agent(Box::new(profile)))
    }
}

/// What the cases may do to a hub that is not ours.
#[derive(Clone, Copy, Default)]
pub(super) struct Rules {
    pub(super) dedicated: bool,
    pub(super) takes_time: bool,
}

/// Who is judged.
pub(super) enum Subject {
    /// The hub of the parts; without them the embedded one.
    Hub { parts: Option<Box<Parts>>, rules: Rules, profile: Box<Profile> },
    /// An agent.
    Agent(Box<AgentProfile>),
}

impl Subject {
    pub(super) fn embedded_hub() -> Self {
        Self::Hub { parts: None, rules: Rules::default(), profile: Box::default() }
    }

    /// `twinspec agent` of this program.
    pub(super) fn reference_agent() -> Result<Self, Trouble> {
        let twinspec = std::env::current_exe().map_err(Trouble::environment)?;
        let profile = AgentProfile::reference(&twinspec).map_err(Trouble::usage)?;
        Ok(Self::Agent(Box::new(profile)))
    }

    pub(super) fn role(&self) -> Role {
        match self {
            Self::Hub { .. } => Role::Hub,
            Self::Agent(_) => Role::Agent,
        }
    }

    /// Whether the hub's clock can be moved.
    pub(super) fn has_clock(&self) -> bool {
        match self {
            Self::Hub { parts, .. } => parts.as_ref().is_none_or(|parts| parts.control.is_some()),
            Self::Agent(_) => true,
        }
    }

    /// Starts what has to be started.
    pub(super) async fn target(self) -> Result<Target, Trouble> {
        match self {
            Self::Hub { parts, rules, profile } => {
                let mut target = match parts {
                    None => Target::embedded(*profile).await.map_err(Trouble::environment)?,
                    Some(parts) => Target::foreign(*parts, *profile),
                };
                target.dedicated = rules.dedicated;
                target.takes_time = rules.takes_time;
                Ok(target)
            }
            Self::Agent(profile) => Target::agent(*profile).await.map_err(Trouble::environment),
        }
    }
}
