//! Which cases run: one selector language for every command.
//!
//! An expression is a list of terms separated by commas or blanks. A case is selected when it
//! matches any term, or when there is none, and no term that starts with `!`.
//! A term matches a case by its id, one of its requirements, their family or its subject; `*`
//! stands for any characters, and a term without `*` also matches a part of the id.

use sha2::{Digest, Sha256};

use crate::case::{Case, Group};
use crate::requirement::name_of;

/// A parsed selector expression.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

impl Filter {
    /// Reads an expression; any text is one.
    #[must_use]
    pub fn parse(expression: &str) -> Self {
        let terms = expression.split([',', ' ', '\t']).filter(|term| !term.is_empty());
        let (unwanted, wanted): (Vec<&str>, Vec<&str>) = terms.partition(|t| t.starts_with('!'));
        Self {
            wanted: wanted.into_iter().map(str::to_owned).collect(),
            unwanted: unwanted.into_iter().map(|t| t.trim_start_matches('!').to_owned()).collect(),
        }
    }

    /// Its terms, without `!`.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().chain(&self.unwanted).map(String::as_str)
    }

    /// Whether `case` is selected.
    #[must_use]
    pub fn selects(&self, group: &Group, case: &Case) -> bool {
        let matches = |term: &String| matches(term, group, case);
        (self.wanted.is_empty() || self.wanted.iter().any(matches))
            && !self.unwanted.iter().any(matches)
    }
}

/// Whether one term, without `!`, matches `case`.
#[must_use]
pub fn matches(term: &str, group: &Group, case: &Case) -> bool {
    let requirement = |id: &&str| {
        let family = name_of(id);
        glob(term, id) || glob(term, family)
    };
    glob(term, case.id)
        || (!term.contains('*') && case.id.contains(term))
        || glob(term, group.subject)
        || case.requirements.iter().any(requirement)
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    match last {
        None => rest.is_empty(),
        Some(part) => part.is_empty() || rest.is_empty() || text.ends_with(part),
    }
}

/// One of several parts of a run, chosen by a hash of the id so that it stays when cases are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// Reads `I/N` with 1 ≤ I ≤ N.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err(format!("{text:?} is no shard, expected I/N with 1 ≤ I ≤ N, such as 2/3")),
        }
    }

    /// Whether the case `id` is in this part.
    #[must_use]
    pub fn holds(&self, id: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(id).into();
        let number = hash.iter().take(8).fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte));
        number % self.count + 1 == self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, text, expected) in [
            ("HUB-TWIN-*", "HUB-TWIN-001", true),
            ("HUB-TWIN-*", "HUB-META-001", false),
            ("*-001", "HUB-TWIN-001", true),
            ("H*-00*", "HUB-TWIN-001", true),
            ("*1", "101", true),
            ("a*b", "ab", true),
            ("a*b", "abc", false),
            ("abc", "abc", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn every_case_is_in_exactly_one_shard() {
        let shards = ["1/3", "2/3", "3/3"].map(|text| Shard::parse(text).unwrap());
        for (_, case) in case::all() {
            assert_eq!(shards.iter().filter(|shard| shard.holds(case.id)).count(), 1);
        }
        assert!(Shard::parse("4/3").is_err() && Shard::parse("0/1").is_err());
    }

    #[test]
    fn families_select_and_exclamation_marks_exclude() {
        let count = |text: &str| {
            let filter = Filter::parse(text);
            case::all().filter(|(group, case)| filter.selects(group, case)).count()
        };
        assert_eq!(count(""), case::all().count());
        assert!(count("twin") >= case::all().filter(|(g, _)| g.subject == "twin").count());
        assert!(count("HUB-TWIN,!HUB-TWIN-001") < count("HUB-TWIN"));
        assert_eq!(count("nothing-of-this-name"), 0);
    }
}
