//! `twinspec explain ID`.

use std::collections::BTreeSet;

use clap::Args;

use super::{Done, Trouble, list, print};
use crate::ambiguity;
use crate::case;
use crate::mutants;
use crate::requirement;

/// What to explain.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Id of a requirement, a case, a mutant, or an open point such as A-H01
    id: String,
}

pub(super) fn explain(options: &Options) -> Done {
    let id = options.id.as_str();
    let known = [explain_requirement(id), explain_case(id), explain_mutant(id), explain_point(id)];
    match known.into_iter().flatten().next() {
        Some(text) => {
            print(&text)?;
            Ok(0)
        }
        None => Err(Trouble::usage(unknown(id))),
    }
}

/// Ids named for a part of them.
const SUGGESTIONS_MAX: usize = 10;

/// What to say of an id that nothing has: some may only be incomplete.
fn unknown(part: &str) -> String {
    let part_of = part.to_ascii_lowercase();
    let requirements = requirement::all().map(|(_, requirement)| requirement.id.as_str());
    let ids = requirements.chain(case::all().map(|(_, case)| case.id));
    let ids = ids.chain(mutants::all().map(|mutant| mutant.id));
    let ids = ids.chain(ambiguity::ALL.iter().map(|point| point.id.as_str()));
    let alike: BTreeSet<&str> =
        ids.filter(|id| !part.is_empty() && id.to_ascii_lowercase().contains(&part_of)).collect();
    if alike.is_empty() {
        return format!(
            "nothing is called {part:?}; see twinspec list requirements, cases or mutants"
        );
    }
    let named: Vec<&str> = alike.iter().copied().take(SUGGESTIONS_MAX).collect();
    let more = match alike.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("nothing is called {part:?}; it is a part of {}{more}", named.join(", "))
}

fn explain_requirement(id: &str) -> Option<String> {
    let (family, requirement) = requirement::find(&id.to_ascii_uppercase())?;
    let line = list::requirements().find(|line| line.id == requirement.id)?;
    let cases = match requirement.untestable.as_deref() {
        Some(reason) => format!("none: {reason}"),
        None if line.cases.is_empty() => "none yet".to_owned(),
        None => line.cases.join(", "),
    };
    let broken_by: Vec<&str> = mutants::all()
        .filter(|mutant| mutant.requirements.contains(&line.id))
        .map(|mutant| mutant.id)
        .collect();
    let mut text = format!(
        "{} {} ({}: {})\n  {}\n  source     {}\n  wire test  {}\n  cases      {cases}\n",
        requirement.id,
        requirement.level,
        family.subject,
        family.title,
        requirement.statement,
        requirement.source,
        requirement.wire_test,
    );
    if !broken_by.is_empty() {
        text.push_str(&format!("  mutants    {}\n", broken_by.join(", ")));
    }
    if let Some(role) = requirement.role {
        text.push_str(&format!("  concerns   {role}\n"));
    }
    if let Some(ambiguity) = &requirement.ambiguity {
        text.push_str(&format!("  open point {ambiguity}\n"));
    }
    Some(text)
}

fn explain_case(id: &str) -> Option<String> {
    let (group, case) = case::all().find(|(_, case)| case.id == id)?;
    let mut text = format!(
        "{} (judges a {}, subject {})\n  {}\n",
        case.id,
        group.role.name(),
        group.subject,
        case.title
    );
    for point in case.requirements.iter().filter_map(|id| ambiguity::find(id)) {
        text.push_str(&format!("  {} open point: {}\n", point.id, point.point));
    }
    for requirement in case.requirements.iter().filter_map(|id| requirement::find(id)) {
        let requirement = requirement.1;
        text.push_str(&format!(
            "  {} {} {}\n",
            requirement.id, requirement.level, requirement.statement
        ));
    }
    Some(text)
}

fn explain_mutant(id: &str) -> Option<String> {
    let mutant = mutants::all().find(|mutant| mutant.id == id)?;
    let requirements = mutant.requirements.join(", ");
    Some(format!("{} (a defect)\n  {}\n  breaks {requirements}\n", mutant.id, mutant.title))
}

fn explain_point(id: &str) -> Option<String> {
    let point = ambiguity::find(&id.to_ascii_uppercase())?;
    let mut text =
        format!("{} ({})\n  {}\n  source {}\n", point.id, point.subject, point.point, point.source);
    for allowed in &point.allowed {
        let default = if allowed.tag == point.default { " (the reference hub)" } else { "" };
        text.push_str(&format!("  allowed: {}{default} · {}\n", allowed.tag, allowed.reason));
    }
    Some(text)
}
