//! Who is judged: a hub, an agent, or both.

use std::path::PathBuf;

use clap::Args;

use super::Trouble;
use crate::agent_profile::AgentProfile;
use crate::bench::agent::firmware::Pattern;
use crate::bench::agent::firmware::words::SPELLINGS;
use crate::case::{Case, Group, Role};
use crate::profile::Profile;
use crate::target::{Parts, Target};

/// Which agent is judged.
#[derive(Debug, Args)]
pub(super) struct AgentOptions {
    /// How the agent is started and what it claims, TOML (conformance/AGENTS.md)
    #[arg(long, value_name = "FILE", env = "TWINSPEC_AGENT", conflicts_with = "command")]
    profile: Option<PathBuf>,
    /// Judge the reference device of an older firmware-update pattern instead of the reference agent
    #[arg(long, value_enum, conflicts_with_all = ["profile", "command"])]
    pattern: Option<Pattern>,
    /// Its words, for direct-method: tutorial-2016, dm-patterns, samples-2018 or c-port
    #[arg(long, value_name = "NAME", requires = "pattern")]
    spelling: Option<String>,
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
            (None, true) => match self.pattern {
                None => return Subject::reference_agent(),
                Some(pattern) => {
                    let spelling = self.spelling.as_deref();
                    check_spelling(pattern, spelling)?;
                    return Subject::reference_device(pattern, spelling);
                }
            },
        };
        Ok(Subject::Agent(Box::new(profile)))
    }
}

/// Looks whether `--spelling` goes with `--pattern`, in the words of the command line.
fn check_spelling(pattern: Pattern, spelling: Option<&str>) -> Result<(), Trouble> {
    let names: Vec<&str> = SPELLINGS.iter().map(|words| words.name).collect();
    let allowed = names.join(", ");
    match (pattern, spelling) {
        (Pattern::DirectMethod, None) => Err(Trouble::usage(format!(
            "--pattern direct-method needs --spelling, one of {allowed}"
        ))),
        (Pattern::DirectMethod, Some(name)) if !names.contains(&name) => {
            Err(Trouble::usage(format!("--spelling {name}: allowed are {allowed}")))
        }
        (Pattern::TwinJob | Pattern::DirectMethod2018, Some(_)) => {
            Err(Trouble::usage("--spelling is for --pattern direct-method"))
        }
        _ => Ok(()),
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

    /// `twinspec firmware-device` of this program.
    pub(super) fn reference_device(
        pattern: Pattern,
        spelling: Option<&str>,
    ) -> Result<Self, Trouble> {
        let twinspec = std::env::current_exe().map_err(Trouble::environment)?;
        let profile = AgentProfile::reference_device(&twinspec, pattern, spelling);
        Ok(Self::Agent(Box::new(profile.map_err(Trouble::usage)?)))
    }

    /// Everything that is ours: the embedded hub, the reference agent, a reference device for each
    /// older firmware-update pattern.
    pub(super) fn ours() -> Result<Vec<Self>, Trouble> {
        Ok(vec![
            Self::embedded_hub(),
            Self::reference_agent()?,
            Self::reference_device(Pattern::TwinJob, None)?,
            Self::reference_device(Pattern::DirectMethod, Some("tutorial-2016"))?,
            Self::reference_device(Pattern::DirectMethod2018, None)?,
        ])
    }

    /// Whether `case` judges it at all.
    pub(super) fn is_judged_by(&self, group: &Group, case: &Case) -> bool {
        match self {
            Self::Hub { .. } => group.role == Role::Hub,
            Self::Agent(profile) => profile.concerns(group, case),
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
