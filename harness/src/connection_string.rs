//! Connection strings as the service's tools print them.

use std::fmt;
use std::str::FromStr;

use twinspec_model::identity::Identity;

/// A connection string of a back end or of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionString {
    /// The hub's host name.
    pub host: String,
    /// Who holds the key.
    pub holder: Holder,
    /// Base64 key.
    pub key: String,
}

/// Whose key a connection string carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A shared access policy: a back end.
    Policy(String),
    /// A device or module.
    Identity(Identity),
}

/// A connection string that cannot be used: what is wrong, and what it should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionStringError(String);

impl fmt::Display for ConnectionStringError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}; expected HostName=…;SharedAccessKeyName=…;SharedAccessKey=… or \
             HostName=…;DeviceId=…[;ModuleId=…];SharedAccessKey=…",
            self.0
        )
    }
}

impl std::error::Error for ConnectionStringError {}

impl FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut members = Vec::new();
        for (index, part) in text.trim().split(';').filter(|part| !part.is_empty()).enumerate() {
            // The part itself is not shown: it may be a key.
            let Some((name, value)) = part.split_once('=') else {
                return Err(ConnectionStringError(format!("part {} has no =", index + 1)));
            };
            members.push((name, value));
        }
        let find = |wanted: &str| {
            let found = members.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| (*value).to_owned()).filter(|value| !value.is_empty())
        };
        let need = |wanted: &str| {
            find(wanted).ok_or_else(|| ConnectionStringError(format!("{wanted} is missing")))
        };
        let holder = match (find("DeviceId"), find("ModuleId")) {
            (Some(device), Some(module)) => Holder::Identity(Identity::module(device, module)),
            (Some(device), None) => Holder::Identity(Identity::device(device)),
            (None, _) => Holder::Policy(need("SharedAccessKeyName")?),
        };
        let key = need("SharedAccessKey")?;
        if !twinspec_model::auth::is_key(&key) {
            return Err(ConnectionStringError(
                "SharedAccessKey is not base64 of 16 to 64 bytes".to_owned(),
            ));
        }
        Ok(Self { host: need("HostName")?, holder, key })
    }
}

impl fmt::Display for ConnectionString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HostName={};", self.host)?;
        match &self.holder {
            Holder::Policy(name) => write!(formatter, "SharedAccessKeyName={name};")?,
            Holder::Identity(identity) => {
                write!(formatter, "DeviceId={};", identity.device)?;
                if let Some(module) = &identity.module {
                    write!(formatter, "ModuleId={module};")?;
                }
            }
        }
        write!(formatter, "SharedAccessKey={}", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_survive_a_round_trip() {
        for text in [
            "HostName=localhost;SharedAccessKeyName=service;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==",
            "HostName=h.example;DeviceId=d;ModuleId=m;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==",
        ] {
            assert_eq!(text.parse::<ConnectionString>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_missing_member_is_named() {
        let error = "HostName=h;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==";
        let error = error.parse::<ConnectionString>().unwrap_err().to_string();
        assert!(error.starts_with("SharedAccessKeyName is missing"), "{error}");
    }
}
