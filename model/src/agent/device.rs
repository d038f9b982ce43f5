//! What an agent says about its device when it connects (device-update-agent.md §§ 4.1, 10.1).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::profile::Generation;
use super::report::{DEVICE_UPDATE, component};

/// The longest name of a compatibility property, in characters (ADU-AGENT-008).
const NAME_MAX: usize = 31;

/// The longest value of a device property, in characters (ADU-AGENT-008).
const VALUE_MAX: usize = 64;

/// The most compatibility properties (ADU-AGENT-007).
const COMPATIBILITY_MAX: usize = 5;

/// Names that the agent fills in itself.
const OWN: [&str; 4] = ["contractModelId", "aduVer", "doVer", "interfaceId"];

/// The properties by which the service tells devices apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    properties: BTreeMap<String, String>,
    compatibility: Vec<String>,
    version: String,
}

/// Properties that the service would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFlaw(String);

impl fmt::Display for DeviceFlaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for DeviceFlaw {}

impl Device {
    /// A device with `properties`, of which those named in `compatibility` make its class.
    /// `version` is reported as `aduVer`.
    ///
    /// # Errors
    /// When a name or value is too long, a name is the agent's own, `manufacturer` or `model` is
    /// missing, or `compatibility` does not name one to five of the properties.
    pub fn new(
        properties: BTreeMap<String, String>,
        compatibility: Vec<String>,
        version: impl Into<String>,
    ) -> Result<Self, DeviceFlaw> {
        let flaw = |what: String| Err(DeviceFlaw(what));
        for needed in ["manufacturer", "model"] {
            if !properties.contains_key(needed) {
                return flaw(format!("device property {needed} is missing"));
            }
        }
        for (name, value) in &properties {
            let length = name.chars().count();
            if length == 0 || length > NAME_MAX || OWN.contains(&name.as_str()) {
                return flaw(format!(
                    "device property name {name:?}: allowed are 1 to {NAME_MAX} characters, and \
                     none of {OWN:?}"
                ));
            }
            let length = value.chars().count();
            if length > VALUE_MAX {
                return flaw(format!(
                    "device property {name} has {length} characters, allowed are {VALUE_MAX}"
                ));
            }
        }
        if compatibility.is_empty() || compatibility.len() > COMPATIBILITY_MAX {
            let count = compatibility.len();
            return flaw(format!(
                "{count} compatibility properties, allowed are 1 to {COMPATIBILITY_MAX}"
            ));
        }
        for name in &compatibility {
            if !properties.contains_key(name) {
                return flaw(format!("compatibility property {name:?} is no device property"));
            }
        }
        Ok(Self { properties, compatibility, version: version.into() })
    }

    /// The value of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// The startup message.
    pub(super) fn startup(&self, generation: Generation) -> Value {
        let mut properties: Map<String, Value> =
            self.properties.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        // An agent of the preview may have left it there.
        properties.insert("interfaceId".to_owned(), Value::Null);
        properties.insert("contractModelId".to_owned(), json!(generation.contract_model_id()));
        properties.insert("aduVer".to_owned(), json!(self.version));
        let names = self.compatibility.join(",");
        let agent = json!({ "deviceProperties": properties, "compatPropertyNames": names });
        component(DEVICE_UPDATE, "agent", agent)
    }
}

/// `deviceInformation`: the machine itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceInformation {
    /// Who made the device.
    pub manufacturer: String,
    /// Which one it is.
    pub model: String,
    /// Version of its software.
    pub sw_version: String,
    /// Name of its operating system.
    pub os_name: String,
    /// Architecture of its processor.
    pub processor_architecture: String,
    /// Who made the processor.
    pub processor_manufacturer: String,
    /// Kilobytes of storage.
    pub total_storage: u64,
    /// Kilobytes of memory.
    pub total_memory: u64,
}

impl DeviceInformation {
    /// The report; texts are cut to 64 characters.
    pub(super) fn report(&self) -> Value {
        let cut = |text: &String| text.chars().take(VALUE_MAX).collect::<String>();
        json!({ "deviceInformation": {
            "__t": "c",
            "manufacturer": cut(&self.manufacturer),
            "model": cut(&self.model),
            "swVersion": cut(&self.sw_version),
            "osName": cut(&self.os_name),
            "processorArchitecture": cut(&self.processor_architecture),
            "processorManufacturer": cut(&self.processor_manufacturer),
            "totalStorage": self.total_storage,
            "totalMemory": self.total_memory,
        }})
    }
}
