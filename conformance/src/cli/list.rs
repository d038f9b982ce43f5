//! `twinspec list`.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Done, Format, print_json, say};
use crate::case;
use crate::mutants;
use crate::requirement::{self, Level};
use crate::text::counted;

/// What to list.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// What to list
    what: What,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Everything the protocol demands
    Requirements,
    /// Everything the suite tries
    Cases,
    /// Every known defect the suite is tried out on
    Mutants,
}

/// A requirement with the cases that check it.
#[derive(Debug, Serialize)]
pub(super) struct RequirementLine {
    pub(super) id: &'static str,
    pub(super) level: Level,
    pub(super) subject: &'static str,
    pub(super) statement: &'static str,
    pub(super) source: &'static str,
    pub(super) cases: Vec<&'static str>,
    pub(super) untestable: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct CaseLine {
    id: &'static str,
    role: &'static str,
    subject: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
}

#[derive(Debug, Serialize)]
struct MutantLine {
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
}

pub(super) fn list(options: &Options) -> Done {
    match options.what {
        What::Requirements => {
            let lines: Vec<RequirementLine> = requirements().collect();
            print(options.format, &lines, |line| {
                let cases = match (line.cases.len(), line.untestable) {
                    (0, Some(_)) => "untestable".to_owned(),
                    (0, None) => "no case yet".to_owned(),
                    (count, _) => counted(count, "case"),
                };
                format!("{} {:<8} [{cases}] {}", line.id, line.level.to_string(), line.statement)
            })
        }
        What::Cases => {
            let lines: Vec<CaseLine> = case::all()
                .map(|(group, case)| CaseLine {
                    id: case.id,
                    role: group.role.name(),
                    subject: group.subject,
                    title: case.title,
                    requirements: case.requirements,
                })
                .collect();
            print(options.format, &lines, |line| {
                format!("{} · {} [{}]", line.id, line.title, line.requirements.join(" "))
            })
        }
        What::Mutants => {
            let lines: Vec<MutantLine> = mutants::all()
                .map(|mutant| MutantLine {
                    id: mutant.id,
                    title: mutant.title,
                    requirements: mutant.requirements,
                })
                .collect();
            print(options.format, &lines, |line| {
                format!("{} · {} [{}]", line.id, line.title, line.requirements.join(" "))
            })
        }
    }
}

/// All requirements with the cases that check them.
pub(super) fn requirements() -> impl Iterator<Item = RequirementLine> {
    requirement::all().map(|(family, requirement)| RequirementLine {
        id: &requirement.id,
        level: requirement.level,
        subject: &family.subject,
        statement: &requirement.statement,
        source: &requirement.source,
        cases: case::all()
            .filter(|(_, case)| case.requirements.contains(&requirement.id.as_str()))
            .map(|(_, case)| case.id)
            .collect(),
        untestable: requirement.untestable.as_deref(),
    })
}

fn print<T: Serialize>(format: Format, lines: &[T], text: impl Fn(&T) -> String) -> Done {
    match format {
        Format::Json => print_json(&lines),
        Format::Text => {
            lines.iter().try_for_each(|line| say(&text(line)))?;
            Ok(0)
        }
    }
}
