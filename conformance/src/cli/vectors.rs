//! `twinspec vectors`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Done, Trouble, runtime, say};
use crate::select::glob;
use crate::vectors;
use crate::vectors::foreign::{self, Trial};

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

impl Folder {
    /// The folder, if it holds `file`.
    fn with(&self, file: &str) -> Result<&Path, Trouble> {
        if self.dir.join(file).exists() {
            return Ok(&self.dir);
        }
        Err(Trouble::usage(format!(
            "{} holds no {file}: name the folder of the vectors with --dir, or start where it is",
            self.dir.display()
        )))
    }
}

pub(super) fn vectors(action: &Action) -> Done {
    let (folder, write) = match action {
        Action::Regen(folder) => (folder, true),
        Action::Check(folder) => (folder, false),
        Action::Run(run) => return try_out(run),
    };
    let folder = folder.with("authored")?;
    let made = vectors::make(folder).map_err(Trouble::environment)?;
    let problems =
        if write { vectors::write(folder, &made) } else { vectors::compare(folder, &made) };
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

/// The families that an expression names; each of its terms must name one.
fn families(expression: &str) -> Result<Vec<&'static str>, Trouble> {
    let all = || vectors::FAMILIES.iter().map(|family| family.name);
    let terms: Vec<&str> = expression.split(',').map(str::trim).collect();
    if let Some(term) = terms.iter().find(|term| !all().any(|name| glob(term, name))) {
        let allowed: Vec<&str> = all().collect();
        let allowed = allowed.join(", ");
        return Err(Trouble::usage(format!("no family matches {term:?}; there are {allowed}")));
    }
    Ok(all().filter(|name| terms.iter().any(|term| glob(term, name))).collect())
}

fn try_out(run: &Run) -> Done {
    let families = families(&run.family)?;
    let first = families.first().map(|name| format!("{name}.json")).unwrap_or_default();
    let folder = run.folder.with(&first)?;
    let wanted = |name: &str| families.contains(&name);
    let trial = runtime()?.block_on(foreign::try_out(folder, wanted, &run.command));
    let trial = trial.map_err(Trouble::environment)?;
    show(&trial)?;
    if let Some(problem) = trial.broken {
        return Err(Trouble::environment(problem));
    }
    if trial.judged() == 0 {
        return Err(Trouble::environment("nothing was judged: every case is unsupported"));
    }
    Ok(u8::from(!trial.failed.is_empty()))
}

fn show(trial: &Trial) -> Result<(), Trouble> {
    for (word, lines) in [
        ("unsupported", &trial.unsupported),
        ("note", &trial.noted),
        ("fail", &trial.failed),
        ("warning", &trial.warnings),
    ] {
        lines.iter().try_for_each(|line| say(&format!("{word} {line}")))?;
    }
    let so_far = if trial.answered() == trial.cases {
        String::new()
    } else {
        format!(" ({} of {} cases were answered)", trial.answered(), trial.cases)
    };
    say(&format!(
        "{} as expected, {} different, {} different in open points, {} unsupported{so_far}",
        trial.passed,
        trial.failed.len(),
        trial.noted.len(),
        trial.unsupported.len()
    ))
}
