//! `twinspec mutants`.

use clap::Args;

use super::{Done, Format, Trouble, print_json, runtime, say, tell};
use crate::mutants::{self, Conditions, Entry, Kill};
use crate::select::glob;
use crate::target::patience;

/// Which mutants to try.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only mutants whose id or requirement matches; * is a wildcard, commas separate
    #[arg(long, value_name = "EXPR", default_value = "*")]
    filter: String,
    /// Run every case that could see a mutant; otherwise those that are left when all requirements
    /// of a mutant of the agent were seen broken are not run
    #[arg(long)]
    every_case: bool,
    /// Factor on the time budgets, which are shorter than those of a run; doubled by itself while
    /// cases fail without a mutant on this machine
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = patience, allow_negative_numbers = true)]
    patience: f64,
    /// How to print the ledger
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn mutants(options: &Options) -> Done {
    let is_selected = |mutant: &Entry| terms(&options.filter).any(|term| matches(term, mutant));
    let selected: Vec<Entry> = mutants::all().filter(is_selected).collect();
    if selected.is_empty() {
        return Err(Trouble::usage(format!(
            "no mutant matches the filter {:?}; see twinspec list mutants",
            options.filter
        )));
    }
    let idle = terms(&options.filter).filter(|term| !mutants::all().any(|m| matches(term, &m)));
    idle.for_each(|term| tell(&format!("--filter: no mutant matches {term:?}")));
    let runtime = runtime()?;
    let mut conditions = Conditions {
        twinspec: std::env::current_exe().map_err(Trouble::environment)?,
        patience: options.patience,
        every_case: options.every_case,
    };
    let progress = |alarms: &str, patience: f64| {
        anstream::eprintln!(
            "twinspec mutants: budgets were too short for {alarms}; they are now {patience} times as long"
        );
    };
    let settled = mutants::settle(&selected, &mut conditions, progress);
    runtime.block_on(settled).map_err(Trouble::environment)?;
    let progress = |kill: &Kill| match options.format {
        Format::Text => print_line(kill).map_err(|trouble| std::io::Error::other(trouble.message)),
        Format::Json => Ok(()),
    };
    let ledger = mutants::try_all(&selected, &conditions, progress);
    let ledger = runtime.block_on(ledger).map_err(Trouble::environment)?;
    let survivors = ledger.iter().filter(|kill| kill.survives()).count();
    match options.format {
        Format::Json => print_json(&ledger).map(drop)?,
        Format::Text => {
            let killed = ledger.len() - survivors;
            say(&format!("{killed} of {} mutants killed", ledger.len()))?;
        }
    }
    Ok(u8::from(survivors > 0))
}

fn print_line(kill: &Kill) -> Result<(), Trouble> {
    let requirements = kill.requirements.join(" ");
    if kill.survives() {
        let unseen = kill.unseen.join(" ");
        say(&format!("{requirements} → {} → SURVIVES: no case sees {unseen}", kill.id))
    } else {
        say(&format!("{requirements} → {} → {}", kill.id, kill.killed_by.join(" ")))
    }
}

fn terms(filter: &str) -> impl Iterator<Item = &str> {
    filter.split([',', ' ']).filter(|term| !term.is_empty())
}

fn matches(term: &str, mutant: &Entry) -> bool {
    glob(term, mutant.id) || mutant.requirements.iter().any(|requirement| glob(term, requirement))
}
