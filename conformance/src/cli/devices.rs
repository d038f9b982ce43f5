//! The devices that `twinspec serve` registers: a number, or a file with their ids.

use std::collections::BTreeMap;
use std::path::Path;

use twinspec_model::identity::{Identity, id_error};

use crate::text;

/// Devices and modules that a hub registers at its start: beyond that a file of ids is a mistake, and
/// memory no longer a matter of course.
const DEVICES_MAX: usize = 100_000;

/// What a file of so many ids may hold at most, in bytes.
const FILE_MAX: u64 = 32 << 20;

/// Reads `--devices`.
///
/// # Errors
/// Names the file, the line and what is allowed.
pub(super) fn identities(given: &str) -> Result<Vec<Identity>, String> {
    let problem = |why: String| format!("--devices {given}: {why}");
    if is_number(given) {
        let count = given.parse().ok().filter(|count| *count <= DEVICES_MAX);
        let count = count.ok_or_else(|| problem(format!("allowed are 0 to {DEVICES_MAX}")))?;
        return Ok((1..=count).map(|n| Identity::device(format!("device-{n}"))).collect());
    }
    let content = text::read(Path::new(given), FILE_MAX).map_err(|error| {
        problem(format!(
            "it is neither a number from 0 to {DEVICES_MAX} nor a readable file: {error}"
        ))
    })?;
    listed(&content).map_err(problem)
}

fn is_number(given: &str) -> bool {
    let digits = given.strip_prefix('-').unwrap_or(given);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The identities of a file, one a line.
fn listed(content: &str) -> Result<Vec<Identity>, String> {
    let mut identities = Vec::new();
    let mut lines = BTreeMap::new();
    for (number, line) in (1..).zip(content.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let problem = |why: String| Err(format!("line {number}: {}", text::shortened(&why)));
        let identity = match line.split_once('/') {
            None => Identity::device(line),
            Some((device, module)) => Identity::module(device, module),
        };
        let ids = [Some(&identity.device), identity.module.as_ref()];
        if let Some(why) = ids.into_iter().flatten().find_map(|id| id_error(id)) {
            return problem(format!("{line:?}: {why}"));
        }
        if identity.module.is_some() && !lines.contains_key(&identity.device) {
            let device = &identity.device;
            return problem(format!(
                "the device {device} of the module {line} must come before it"
            ));
        }
        if let Some(earlier) = lines.insert(line.to_owned(), number) {
            return problem(format!("{line} is in line {earlier} already"));
        }
        if identities.len() == DEVICES_MAX {
            return problem(format!("it is one too many, allowed are {DEVICES_MAX}"));
        }
        identities.push(identity);
    }
    Ok(identities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_a_limit() {
        assert_eq!(identities("3").unwrap().len(), 3);
        assert_eq!(identities("100000").unwrap().len(), DEVICES_MAX);
        for given in ["100001", "999999999", "99999999999999999999", "-1"] {
            let error = identities(given).unwrap_err();
            assert_eq!(error, format!("--devices {given}: allowed are 0 to 100000"));
        }
    }

    #[test]
    fn a_mistake_in_a_file_is_told_with_its_line() {
        let good = listed("# ours\npump\n\npump/valve\n fan \n").unwrap();
        assert_eq!(good.len(), 3);
        for (content, expected) in [
            ("pump\nno good id", "line 2: \"no good id\": the id contains ' '"),
            (
                "pump/valve\npump",
                "line 1: the device pump of the module pump/valve must come before",
            ),
            ("pump\n\npump", "line 3: pump is in line 1 already"),
            ("pump\npump/", "line 2: \"pump/\": the id is empty"),
        ] {
            let error = listed(content).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
