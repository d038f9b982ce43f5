//! `twinspec vectors`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Done, Trouble, runtime, say};
use crate::select::glob;
use crate::vectors::{self, foreign};

/// What to do with the vectors.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Write the published vectors anew from the authored ones and the model
    Regen(Folder),
    /// Fail on any drift, and where the model contradicts an authored expectation
    Check(Folder),
    /// Try a foreign implementation on the published vectors, over its standard input and output
    Run(Run),
}

/// Which implementation to try on what.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    folder: Folder,
    /// Only these families; * is a wildcard, commas separate
    #[arg(long, value_name = "EXPR", default_value = "*")]
    family: String,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Where the vectors are.
#[derive(Debug, Args)]
pub(super) struct Folder {
    /// The folder of the vectors
    #[arg(long, value_name = "DIR", default_value = "vectors")]
    dir: PathBuf,
}

pub(super) fn vectors(action: &Action) -> Done {
    let (folder, write) = match action {
        Action::Regen(folder) => (folder, true),
        Action::Check(folder) => (folder, false),
        Action::Run(run) => return try_out(run),
    };
    let made = vectors::make(&folder.dir).map_err(Trouble::environment)?;
    let problems = if write {
        vectors::write(&folder.dir, &made)
    } else {
        vectors::compare(&folder.dir, &made)
    };
    let problems = problems.map_err(Trouble::environment)?;
    for problem in &problems {
        say(problem)?;
    }
    for family in &made {
        say(&format!(
            "{}: {} authored, {} generated",
            family.name, family.authored, family.generated
        ))?;
    }
    Ok(u8::from(!problems.is_empty()))
}

fn try_out(run: &Run) -> Done {
    let wanted = |name: &str| run.family.split(',').any(|term| glob(term.trim(), name));
    if !vectors::FAMILIES.iter().any(|family| wanted(family.name)) {
        return Err(Trouble::usage(format!("no family matches {:?}", run.family)));
    }
    let trial = runtime()?.block_on(foreign::try_out(&run.folder.dir, wanted, &run.command));
    let trial = trial.map_err(Trouble::environment)?;
    for (word, lines) in
        [("unsupported", &trial.unsupported), ("note", &trial.noted), ("fail", &trial.failed)]
    {
        lines.iter().try_for_each(|line| say(&format!("{word} {line}")))?;
    }
    say(&format!(
        "{} as expected, {} different, {} different in open points, {} unsupported",
        trial.passed,
        trial.failed.len(),
        trial.noted.len(),
        trial.unsupported.len()
    ))?;
    Ok(u8::from(!trial.failed.is_empty()))
}
