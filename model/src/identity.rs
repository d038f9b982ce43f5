//! Device and module identities.

use std::fmt;

/// The longest id the service takes, in characters.
pub const ID_LENGTH_MAX: usize = 128;

/// The characters allowed in ids besides ASCII letters and digits.
/// iot-hub-devguide-identity-registry.md § Device identity properties; `:` and `;` from the OpenAPI
/// description.
const ID_PUNCTUATION: &str = "-.+%_#*?!(),=@$':;";

/// A device, or one module of a device. Ids are compared case-sensitively (HUB-CONN-014).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The device id.
    pub device: String,
    /// The module id, for a module.
    pub module: Option<String>,
}

impl Identity {
    /// The identity of a device.
    #[must_use]
    pub fn device(device: impl Into<String>) -> Self {
        Self { device: device.into(), module: None }
    }

    /// The identity of a module of a device.
    #[must_use]
    pub fn module(device: impl Into<String>, module: impl Into<String>) -> Self {
        Self { device: device.into(), module: Some(module.into()) }
    }

    /// The path below the host that SAS tokens name: `devices/{d}` or `devices/{d}/modules/{m}`.
    #[must_use]
    pub fn resource_path(&self) -> String {
        match &self.module {
            None => format!("devices/{}", self.device),
            Some(module) => format!("devices/{}/modules/{module}", self.device),
        }
    }
}

impl fmt::Display for Identity {
    /// The MQTT client id: `{device}` or `{device}/{module}`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.device)?;
        match &self.module {
            None => Ok(()),
            Some(module) => write!(formatter, "/{module}"),
        }
    }
}

/// Why `id` cannot name a device or module; `None` when it can.
#[must_use]
pub fn id_error(id: &str) -> Option<String> {
    if id.is_empty() {
        return Some("the id is empty".to_owned());
    }
    let length = id.chars().count();
    if length > ID_LENGTH_MAX {
        return Some(format!("the id has {length} characters, allowed are {ID_LENGTH_MAX}"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || ID_PUNCTUATION.contains(c);
    id.chars().find(|c| !allowed(*c)).map(|c| {
        format!("the id contains {c:?}, allowed are ASCII letters, digits and {ID_PUNCTUATION}")
    })
}
