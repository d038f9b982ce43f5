//! Rules that a text may break although its grammar is right (query.md §§ 1, 3 and 4).

use std::collections::BTreeMap;

use super::ast::{Collection, Column, Item, Path, Query, Select};

/// Where a rule is broken, and which.
type Problem = (usize, String);

/// Roots that twins have and rows of jobs do not.
const TWIN_ROOTS: [&str; 4] = ["tags", "properties", "capabilities", "configurations"];

pub(super) fn query(
    query: &Query,
    paths: &[(Path, usize)],
    select_at: usize,
    group_at: usize,
) -> Result<(), Problem> {
    let refuse = |offset: usize, problem: &str| Err((offset, problem.to_owned()));
    if query.from == Collection::Jobs && query.select != Select::All {
        return refuse(select_at, "devices.jobs allows SELECT * only");
    }
    if query.group_by.is_some() && query.from != Collection::Devices {
        return refuse(group_at, "GROUP BY is for devices only");
    }
    if query.group_by.is_some() && query.select == Select::All {
        return refuse(select_at, "GROUP BY needs named members instead of *");
    }
    for (path, offset) in paths {
        qualifier(path, query.from).map_err(|problem| (*offset, problem))?;
    }
    match &query.select {
        Select::All => Ok(()),
        Select::Items(items) => {
            let each = items.iter().try_for_each(|i| item(query, i));
            each.and_then(|()| names(items)).map_err(|problem| (select_at, problem))
        }
    }
}

/// No two columns may share a name: one of them would be lost, which no source allows (A-Q06).
fn names(items: &[Item]) -> Result<(), String> {
    let mut columns = BTreeMap::new();
    for item in items {
        let before = columns.insert(item.key(), &item.column);
        if before.is_some_and(|column| *column != item.column) {
            return Err(format!(
                "two columns are called {}, allowed is one: name the other after AS",
                item.key()
            ));
        }
    }
    Ok(())
}

/// A path must begin at a row of the collection.
fn qualifier(path: &Path, from: Collection) -> Result<(), String> {
    let root = path.segments.first().map(String::as_str).unwrap_or_default();
    let is_twin = TWIN_ROOTS.iter().any(|name| name.eq_ignore_ascii_case(root));
    match (from, path.qualifier) {
        (Collection::Jobs, _) if is_twin => Err(format!("rows of devices.jobs have no {root}")),
        (_, None | Some(Collection::Devices)) => Ok(()),
        (from, Some(named)) if from == named => Ok(()),
        (from, Some(named)) => {
            Err(format!("{} cannot be reached from {}", named.name(), from.name()))
        }
    }
}

fn item(query: &Query, item: &Item) -> Result<(), String> {
    match &item.column {
        // The name of such a member is nowhere documented (A-Q06).
        Column::Aggregate(..) | Column::Count if item.alias.is_none() => {
            Err("an aggregate needs a name after AS".to_owned())
        }
        Column::Path(path) if query.is_aggregate() && query.group_by.as_ref() != Some(path) => {
            Err("a path next to an aggregate must be the one of GROUP BY".to_owned())
        }
        Column::Aggregate(..) | Column::Count | Column::Path(_) => Ok(()),
    }
}
