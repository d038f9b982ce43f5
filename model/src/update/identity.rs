//! Update ids: provider, name and version (device-update-manifests.md § 2).

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use super::flaw::{Document, Flaw, Reason};
use super::read::{Spot, json};

/// Longest provider or name, in characters.
const NAME_LENGTH_MAX: usize = 64;

/// Largest number in a version.
const NUMBER_MAX: u32 = 2_147_483_647;

/// Fewest and most numbers in a version; the schema knows no upper count (A-D02).
const NUMBERS: std::ops::RangeInclusive<usize> = 2..=4;

/// What identifies an update within an instance of the service.
///
/// Two ids are equal when provider and name are and the versions compare equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpdateId {
    /// Who makes the update.
    pub provider: String,
    /// What the update is for.
    pub name: String,
    /// Which one it is.
    pub version: Version,
}

impl UpdateId {
    /// Reads `installedUpdateId` as an agent reports it: JSON text of the three strings.
    ///
    /// # Errors
    /// Names the part that is missing or outside its pattern.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let value = json(text, Document::Manifest)?;
        Self::read(&Spot::root(&value, Document::Manifest)?)
    }

    /// Reads an id from a JSON object.
    ///
    /// # Errors
    /// Names the part that is missing or outside its pattern.
    pub fn from_value(value: &Value) -> Result<Self, Flaw> {
        Self::read(&Spot::root(value, Document::Manifest)?)
    }

    pub(super) fn read(spot: &Spot<'_>) -> Result<Self, Flaw> {
        let name = |member: &str| {
            let part = spot.member(member)?;
            let text = part.some_text(1..=NAME_LENGTH_MAX)?;
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
            match text.chars().find(|c| !fits(*c)) {
                None => Ok(text.to_owned()),
                Some(c) => Err(part.flaw(
                    Reason::Value,
                    format!("holds {c:?}, allowed are A-Z, a-z, 0-9, full stop and hyphen"),
                )),
            }
        };
        let (provider, name) = (name("provider")?, name("name")?);
        let version = spot.member("version")?;
        let parsed = Version::parse(version.text()?)
            .map_err(|message| version.flaw(Reason::Value, message))?;
        Ok(Self { provider, name, version: parsed })
    }
}

impl fmt::Display for UpdateId {
    /// `installedUpdateId` as agents write it: JSON text, the keys in the order provider, name,
    /// version.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // None of the three patterns holds a character that JSON escapes.
        let Self { provider, name, version } = self;
        write!(
            formatter,
            r#"{{"provider":"{provider}","name":"{name}","version":"{}"}}"#,
            version.text
        )
    }
}

/// A version: two to four numbers with dots between, compared number by number.
#[derive(Clone, Debug)]
pub struct Version {
    numbers: Vec<u32>,
    text: String,
}

impl Version {
    /// Reads a version.
    ///
    /// # Errors
    /// Says in words what is wrong and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let numbers: Vec<u32> = text.split('.').map(number).collect::<Result<_, _>>()?;
        if !NUMBERS.contains(&numbers.len()) {
            let (low, high) = (NUMBERS.start(), NUMBERS.end());
            return Err(format!("has {} numbers, allowed are {low} to {high}", numbers.len()));
        }
        Ok(Self { numbers, text: text.to_owned() })
    }

    /// The text as it was written, leading zeros and all.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The numbers.
    #[must_use]
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }
}

fn number(text: &str) -> Result<u32, String> {
    let message =
        || format!("holds the part {text:?}, allowed are whole numbers from 0 to {NUMBER_MAX}");
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(message());
    }
    text.parse().ok().filter(|number| *number <= NUMBER_MAX).ok_or_else(message)
}

impl fmt::Display for Version {
    /// The numbers without leading zeros.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.numbers.iter().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            write!(formatter, "{number}")?;
        }
        Ok(())
    }
}

// The text is no part of the identity: 1.02 is 1.2.
impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    /// Number by number; a version that goes on is newer than one that ends (A-D03).
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers)
    }
}
