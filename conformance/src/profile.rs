//! A profile: what a target claims, told by its vendor in a TOML file.
//!
//! Without a profile everything is claimed.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use twinspec_harness::connection_string::{ConnectionString, Holder};
use twinspec_harness::tls::DeviceAuthority;
use twinspec_model::auth::{DEFAULT_POLICIES, is_key};

use crate::ambiguity;
use crate::pool::Pool;
use crate::requirement;
use crate::select::glob;
use crate::text;

/// The longest pause between a SUBACK and a change: cases have two minutes in all.
const SETTLE_MS_MAX: u64 = 10_000;

/// Rates that a run can keep: from one request in ten seconds on.
const REQUESTS_PER_SECOND: RangeInclusive<f64> = 0.1..=100_000.0;

/// Reads a whole number that is not negative, and says so of one that is.
pub(crate) fn natural<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = i64::deserialize(deserializer)?;
    u64::try_from(number)
        .map_err(|_| D::Error::custom(format!("{number}, allowed are whole numbers from 0 on")))
}

/// What a hub claims.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What the hub is called in reports.
    #[serde(default)]
    pub name: Option<String>,
    /// Milliseconds between SUBACK and the change that is to be notified; hubs that are spread
    /// over machines need some.
    #[serde(default, deserialize_with = "natural")]
    pub settle_ms: u64,
    /// Requirements that are not claimed.
    #[serde(default)]
    pub unsupported: Vec<Unsupported>,
    /// Most requests a second; any number by default.
    #[serde(default)]
    pub requests_per_second: Option<f64>,
    /// Jobs the hub runs at a time: 1 by default, as on its smallest tiers.
    #[serde(default)]
    pub running_jobs: Option<NonZeroUsize>,
    /// Connection strings of devices made beforehand, for a hub without an identity registry.
    /// They belong to the suite: their twins are emptied before each case.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Which outcome of an open point the hub shows, by the point's id: then only that one is
    /// allowed.
    #[serde(default)]
    pub pins: BTreeMap<String, String>,
    /// Base64 keys of further policies, by name: those that every hub has.
    #[serde(default)]
    pub policies: BTreeMap<String, String>,
    /// An authority whose device certificates the hub trusts.
    #[serde(default)]
    pub device_authority: Option<DeviceAuthorityFiles>,
}

/// An authority that signs device certificates: where its own certificate and key are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceAuthorityFiles {
    /// PEM file with the certificate; relative to the profile.
    pub certificate: PathBuf,
    /// PEM file with the key, PKCS #8; relative to the profile.
    pub key: PathBuf,
}

impl DeviceAuthorityFiles {
    /// Reads the authority.
    ///
    /// # Errors
    /// Names the file that cannot be used and why.
    pub fn read(&self) -> Result<DeviceAuthority, String> {
        let text = |path: &Path| {
            text::read(path, text::FILE_MAX)
                .map_err(|error| format!("device_authority: {}: {error}", path.display()))
        };
        let (certificate, key) = (text(&self.certificate)?, text(&self.key)?);
        DeviceAuthority::from_pem(&certificate, &key).map_err(|error| {
            format!(
                "device_authority: {} with {}: {error}",
                self.certificate.display(),
                self.key.display()
            )
        })
    }
}

/// Requirements that are not claimed, with the reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsupported {
    /// An id, or a pattern such as `HUB-CFG-*`.
    pub requirement: String,
    /// Why; never empty.
    pub reason: String,
}

/// A profile that cannot be used.
#[derive(Clone, Debug)]
pub struct ProfileError(String);

impl fmt::Display for ProfileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ProfileError {}

impl ProfileError {
    pub(crate) fn new(what: String) -> Self {
        Self(what)
    }
}

impl Profile {
    /// Reads the TOML file at `path`.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let problem = |what: String| {
            ProfileError(format!("profile {}: {}", path.display(), text::shortened(&what)))
        };
        let text = text::read(path, text::FILE_MAX).map_err(|error| problem(error.to_string()))?;
        let mut profile = Self::parse(&text).map_err(problem)?;
        if let Some(files) = &mut profile.device_authority {
            let folder = path.parent().unwrap_or(Path::new(""));
            files.certificate = folder.join(&files.certificate);
            files.key = folder.join(&files.key);
            files.read().map_err(problem)?;
        }
        Ok(profile)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let profile: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        profile.check()?;
        Ok(profile)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        Pool::new(&self.devices)?;
        self.check_figures()?;
        for (id, tag) in &self.pins {
            let point =
                ambiguity::find(id).ok_or_else(|| format!("there is no open point {id}"))?;
            let tags: Vec<&str> = point.allowed.iter().map(|allowed| &*allowed.tag).collect();
            if !tags.contains(&tag.as_str()) {
                return Err(format!("pin {id} is {tag:?}, allowed are {}", tags.join(", ")));
            }
        }
        self.check_policies()?;
        for entry in &self.unsupported {
            if entry.reason.trim().is_empty() {
                return Err(format!("unsupported {} has no reason", entry.requirement));
            }
            if !requirement::all().any(|(_, r)| glob(&entry.requirement, &r.id)) {
                return Err(format!("unsupported {} matches no requirement", entry.requirement));
            }
        }
        Ok(())
    }

    /// A key that nobody asks for, or that signs nothing, would only show as cases left out.
    fn check_policies(&self) -> Result<(), String> {
        let names: Vec<&str> = DEFAULT_POLICIES.iter().map(|(name, _)| *name).collect();
        for (name, key) in &self.policies {
            if !names.contains(&name.as_str()) {
                let allowed = names.join(", ");
                return Err(format!("policies has the name {name:?}, allowed are {allowed}"));
            }
            // Never shown: it is a secret.
            if !is_key(key) {
                return Err(format!(
                    "policies.{name} is no key, allowed is base64 of 16 to 64 bytes"
                ));
            }
        }
        Ok(())
    }

    /// Looks whether the devices of the pool belong to the hub called `host`; without a name, to one
    /// that is made for the run and knows none of them.
    ///
    /// # Errors
    /// Names the first device that does not.
    pub fn check_pool(&self, host: Option<&str>) -> Result<(), ProfileError> {
        let Some(host) = host else {
            return match self.devices.len() {
                0 => Ok(()),
                count => Err(ProfileError(format!(
                    "the profile has {} of a hub, and nothing says how to reach it: \
                     --connection-string is missing",
                    text::counted(count, "device")
                ))),
            };
        };
        // All could be read when the profile was.
        let devices = self.devices.iter().filter_map(|text| text.parse::<ConnectionString>().ok());
        let mut strangers = devices.filter(|device| !device.host.eq_ignore_ascii_case(host));
        let Some(ConnectionString { host: other, holder: Holder::Identity(identity), .. }) =
            strangers.next()
        else {
            return Ok(());
        };
        Err(ProfileError(format!(
            "the profile's device {identity} has HostName={other}, and the connection string has \
             HostName={host}: they must name one hub"
        )))
    }

    fn check_figures(&self) -> Result<(), String> {
        if self.settle_ms > SETTLE_MS_MAX {
            return Err(format!("settle_ms is {}, at most {SETTLE_MS_MAX}", self.settle_ms));
        }
        match self.requests_per_second {
            Some(rate) if !REQUESTS_PER_SECOND.contains(&rate) => Err(format!(
                "requests_per_second is {rate}, allowed are {} to {}",
                REQUESTS_PER_SECOND.start(),
                REQUESTS_PER_SECOND.end()
            )),
            _ => Ok(()),
        }
    }

    /// Why a case with `requirements` is not claimed; `None` when it is.
    #[must_use]
    pub fn reason_against(&self, requirements: &[&str]) -> Option<String> {
        let matches = |entry: &&Unsupported| {
            requirements.iter().any(|requirement| glob(&entry.requirement, requirement))
        };
        let entry = self.unsupported.iter().find(matches)?;
        Some(format!("{}: {}", entry.requirement, entry.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_mandatory_and_patterns_must_match() {
        let text = "[[unsupported]]\nrequirement = \"HUB-TWIN-020\"\nreason = \" \"";
        assert_eq!(Profile::parse(text).unwrap_err(), "unsupported HUB-TWIN-020 has no reason");
        let text = "[[unsupported]]\nrequirement = \"HUB-X-*\"\nreason = \"r\"";
        assert_eq!(Profile::parse(text).unwrap_err(), "unsupported HUB-X-* matches no requirement");
    }

    #[test]
    fn figures_are_within_their_limits() {
        for (text, expected) in [
            ("settle_ms = 10001", "settle_ms is 10001, at most 10000"),
            ("requests_per_second = 0", "requests_per_second is 0, allowed are 0.1 to 100000"),
            ("requests_per_second = -3", "requests_per_second is -3, allowed are 0.1 to 100000"),
            ("requests_per_second = nan", "requests_per_second is NaN, allowed are 0.1 to 100000"),
            ("requests_per_second = inf", "requests_per_second is inf, allowed are 0.1 to 100000"),
        ] {
            assert_eq!(Profile::parse(text).unwrap_err(), expected);
        }
        assert!(Profile::parse("settle_ms = 10000\nrequests_per_second = 0.5").is_ok());
    }

    #[test]
    fn policies_are_those_of_every_hub_and_have_keys() {
        let good = "[policies]\nregistryRead = \"AAECAwQFBgcICQoLDA0ODw==\"";
        assert!(Profile::parse(good).is_ok());
        let error =
            Profile::parse("[policies]\nservices = \"AAECAwQFBgcICQoLDA0ODw==\"").unwrap_err();
        assert_eq!(
            error,
            "policies has the name \"services\", allowed are iothubowner, service, device, \
             registryRead, registryReadWrite"
        );
        let error = Profile::parse("[policies]\nservice = \"geheim!\"").unwrap_err();
        assert_eq!(error, "policies.service is no key, allowed is base64 of 16 to 64 bytes");
    }

    #[test]
    fn a_pool_belongs_to_the_hub_that_is_judged() {
        let none = Profile::default();
        assert!(none.check_pool(None).is_ok() && none.check_pool(Some("h")).is_ok());
        let text = "devices = [\"HostName=h;DeviceId=d;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==\"]";
        let pool = Profile::parse(text).unwrap();
        assert!(pool.check_pool(Some("H")).is_ok());
        let error = pool.check_pool(Some("other")).unwrap_err().to_string();
        assert!(error.contains("device d has HostName=h, and"), "{error}");
        let error = pool.check_pool(None).unwrap_err().to_string();
        assert!(error.starts_with("the profile has 1 device of a hub"), "{error}");
    }

    #[test]
    fn pins_name_an_outcome_that_is_allowed() {
        assert!(Profile::parse("[pins]\nA-H23 = \"emptied\"").is_ok());
        let error = Profile::parse("[pins]\nA-H23 = \"odd\"").unwrap_err();
        assert_eq!(error, "pin A-H23 is \"odd\", allowed are untouched, emptied");
    }

    #[test]
    fn a_pattern_takes_its_requirements_out() {
        let text = "[[unsupported]]\nrequirement = \"HUB-CONC-*\"\nreason = \"no etags\"";
        let profile = Profile::parse(text).unwrap();
        let reason = profile.reason_against(&["HUB-TWIN-001", "HUB-CONC-002"]);
        assert_eq!(reason.as_deref(), Some("HUB-CONC-*: no etags"));
        assert_eq!(profile.reason_against(&["HUB-TWIN-001"]), None);
    }
}
