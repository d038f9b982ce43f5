//! `twinspec vectors`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Done, Trouble};
use crate::vectors;

/// What to do with the vectors.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Write the published vectors anew from the authored ones and the model
    Regen(Folder),
    /// Fail on any drift, and where the model contradicts an authored expectation
    Check(Folder),
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
    };
    let made = vectors::make(&folder.dir).map_err(Trouble::environment)?;
    let problems = if write {
        vectors::write(&folder.dir, &made)
    } else {
        vectors::compare(&folder.dir, &made)
    };
    let problems = problems.map_err(Trouble::environment)?;
    for problem in &problems {
        anstream::println!("{problem}");
    }
    for family in &made {
        anstream::println!(
            "{}: {} authored, {} generated",
            family.name,
            family.authored,
            family.generated
        );
    }
    Ok(u8::from(!problems.is_empty()))
}
