//! `twinspec mutants`.

use clap::Args;

use super::{Done, Format, Trouble, print_json, runtime, say};
use crate::mutants::{self, Entry, Kill};
use crate::select::glob;

/// Which mutants to try.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only mutants whose id or requirement matches; * is a wildcard, commas separate
    #[arg(long, value_name = "EXPR", default_value = "*")]
    filter: String,
    /// How to print the ledger
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn mutants(options: &Options) -> Done {
    let selected: Vec<Entry> =
        mutants::all().filter(|mutant| matches(&options.filter, mutant)).collect();
    if selected.is_empty() {
        return Err(Trouble::usage(format!(
            "no mutant matches the filter {:?}; see twinspec list mutants",
            options.filter
        )));
    }
    let runtime = runtime()?;
    let twinspec = std::env::current_exe().map_err(Trouble::environment)?;
    let canary = mutants::canary(&selected, &twinspec);
    let alarms = runtime.block_on(canary).map_err(Trouble::environment)?;
    if !alarms.is_empty() {
        return Err(Trouble::environment(format!(
            "the canary: without a mutant these cases find something: {}",
            alarms.join(" ")
        )));
    }
    let mut ledger = Vec::new();
    for mutant in selected {
        let kill =
            runtime.block_on(mutants::try_out(&mutant, &twinspec)).map_err(Trouble::environment)?;
        if options.format == Format::Text {
            print_line(&kill)?;
        }
        ledger.push(kill);
    }
    let survivors = ledger.iter().filter(|kill| kill.killed_by.is_empty()).count();
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
    if kill.killed_by.is_empty() {
        say(&format!("{requirements} → {} → SURVIVES", kill.id))
    } else {
        say(&format!("{requirements} → {} → {}", kill.id, kill.killed_by.join(" ")))
    }
}

fn matches(filter: &str, mutant: &Entry) -> bool {
    filter.split([',', ' ']).filter(|term| !term.is_empty()).any(|term| {
        glob(term, mutant.id)
            || mutant.requirements.iter().any(|requirement| glob(term, requirement))
    })
}
