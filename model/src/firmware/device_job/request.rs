//! What a service asks for: the six types of device jobs (firmware-patterns.md § a.2).

use std::time::Duration;

use serde_json::{Map, Value};

use super::lwm2m::{self, PACKAGE_URI_MAX, Resource};
use crate::error::{ErrorCode, Refusal};
use crate::job::id_error;
use crate::json;

/// How long a job may run that names no time: what the C# client of the preview sends.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// The longest time a job may name.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest value that is written to a device, in bytes: with its path it fits into one message.
pub const VALUE_BYTES_MAX: usize = 32 * 1024;

/// What is done on each device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// `firmwareUpdate`.
    FirmwareUpdate {
        /// `PackageUri`.
        uri: String,
    },
    /// `rebootDevice`.
    Reboot,
    /// `factoryResetDevice`.
    FactoryReset,
    /// `updateDeviceConfiguration`, with `Value`.
    UpdateConfiguration(String),
    /// `readDeviceProperties`, with `DevicePropertyNames`.
    ReadProperties(Vec<&'static Resource>),
    /// `writeDeviceProperties`, with `DeviceProperties`.
    WriteProperties(Vec<(&'static Resource, String)>),
}

/// The wire names of the six types.
pub const TYPES: [&str; 6] = [
    "firmwareUpdate",
    "rebootDevice",
    "factoryResetDevice",
    "updateDeviceConfiguration",
    "readDeviceProperties",
    "writeDeviceProperties",
];

impl Work {
    /// The wire name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::FirmwareUpdate { .. } => "firmwareUpdate",
            Self::Reboot => "rebootDevice",
            Self::FactoryReset => "factoryResetDevice",
            Self::UpdateConfiguration(_) => "updateDeviceConfiguration",
            Self::ReadProperties(_) => "readDeviceProperties",
            Self::WriteProperties(_) => "writeDeviceProperties",
        }
    }
}

/// A request that has passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceJobRequest {
    /// The application's id.
    pub id: String,
    /// What is done.
    pub work: Work,
    /// On which devices; at least one, none twice.
    pub devices: Vec<String>,
    /// How long the job may run (A-F01).
    pub timeout: Duration,
}

impl DeviceJobRequest {
    /// Reads the body of `PUT /jobs/v2/{id}`.
    ///
    /// # Errors
    /// Names the member that is wrong and what it may hold.
    pub fn parse(id: &str, body: &[u8]) -> Result<Self, Refusal> {
        if let Some(problem) = id_error(id) {
            return Err(Refusal::invalid(format!("jobId is wrong: {problem}")));
        }
        let body = json::parse(body)?;
        if let Some(other) = body.get("jobId").filter(|other| **other != id) {
            return Err(Refusal::invalid(format!(
                "jobId is {other} in the body and {id:?} in the path"
            )));
        }
        let parameters = body.get("jobParameters").and_then(Value::as_object);
        let parameters = parameters.ok_or_else(|| missing("jobParameters", "an object"))?;
        let devices = texts(parameters, "DeviceIds")?;
        let mut sorted: Vec<&String> = devices.iter().collect();
        sorted.sort();
        sorted.dedup();
        if sorted.len() != devices.len() {
            return Err(Refusal::invalid("DeviceIds names a device twice"));
        }
        Ok(Self {
            id: id.to_owned(),
            work: work(parameters)?,
            timeout: timeout(parameters)?,
            devices,
        })
    }
}

fn work(parameters: &Map<String, Value>) -> Result<Work, Refusal> {
    let name = text(parameters, "jobType", "one of the six types")?;
    match name {
        "firmwareUpdate" => {
            let uri = text(parameters, "PackageUri", "a non-empty string")?;
            if uri.is_empty() || uri.len() > PACKAGE_URI_MAX {
                let length = uri.len();
                return Err(Refusal::invalid(format!(
                    "PackageUri has {length} bytes, allowed are 1 to {PACKAGE_URI_MAX}"
                )));
            }
            Ok(Work::FirmwareUpdate { uri: uri.to_owned() })
        }
        "rebootDevice" => Ok(Work::Reboot),
        "factoryResetDevice" => Ok(Work::FactoryReset),
        "updateDeviceConfiguration" => {
            let value = text(parameters, "Value", "a string")?;
            Ok(Work::UpdateConfiguration(written("Value", value.to_owned())?))
        }
        "readDeviceProperties" => {
            let names = texts(parameters, "DevicePropertyNames")?;
            names
                .iter()
                .map(|name| property(name))
                .collect::<Result<_, _>>()
                .map(Work::ReadProperties)
        }
        "writeDeviceProperties" => write(parameters),
        other => Err(Refusal::new(
            ErrorCode::GenericBadRequest,
            format!("jobType is {other:?}, allowed are {}", TYPES.join(", ")),
        )),
    }
}

fn write(parameters: &Map<String, Value>) -> Result<Work, Refusal> {
    let properties = parameters.get("DeviceProperties").and_then(Value::as_object);
    let properties = properties.filter(|properties| !properties.is_empty());
    let properties =
        properties.ok_or_else(|| missing("DeviceProperties", "an object with members"))?;
    let value = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let all = properties.iter();
    let all = all.map(|(name, new)| Ok((property(name)?, written(name, value(new))?)));
    all.collect::<Result<_, Refusal>>().map(Work::WriteProperties)
}

fn written(name: &str, value: String) -> Result<String, Refusal> {
    let length = value.len();
    if length <= VALUE_BYTES_MAX {
        return Ok(value);
    }
    Err(Refusal::invalid(format!("{name} has {length} bytes, allowed are {VALUE_BYTES_MAX}")))
}

fn property(name: &str) -> Result<&'static Resource, Refusal> {
    lwm2m::property(name).ok_or_else(|| {
        let all = lwm2m::RESOURCES.iter().map(|resource| resource.property);
        let all: Vec<&str> = all.filter(|name| !name.is_empty()).collect();
        let all = all.join(", ");
        Refusal::invalid(format!("There is no device property {name:?}, there are {all}"))
    })
}

/// A time span `hh:mm:ss`; `d.hh:mm:ss` for a whole day.
fn timeout(parameters: &Map<String, Value>) -> Result<Duration, Refusal> {
    let Some(value) = parameters.get("Timeout").filter(|value| !value.is_null()) else {
        return Ok(TIMEOUT_DEFAULT);
    };
    let span = value.as_str().and_then(span);
    span.filter(|span| (Duration::from_secs(1)..=TIMEOUT_MAX).contains(span)).ok_or_else(|| {
        Refusal::invalid(format!(
            "Timeout is {value}, allowed is a time span hh:mm:ss of at most a day, such as 00:30:00"
        ))
    })
}

fn span(text: &str) -> Option<Duration> {
    let (days, text) = text.split_once('.').unwrap_or(("0", text));
    let parts: Vec<&str> = text.split(':').collect();
    let [hours, minutes, seconds] = parts.as_slice() else { return None };
    let number = |text: &str, below: u64| -> Option<u64> {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && *number < below)
    };
    let hours = number(days, 100)? * 24 + number(hours, 24)?;
    Some(Duration::from_secs((hours * 60 + number(minutes, 60)?) * 60 + number(seconds, 60)?))
}

fn text<'a>(
    parameters: &'a Map<String, Value>,
    name: &str,
    allowed: &str,
) -> Result<&'a str, Refusal> {
    parameters.get(name).and_then(Value::as_str).ok_or_else(|| missing(name, allowed))
}

/// A list of non-blank texts, at least one.
fn texts(parameters: &Map<String, Value>, name: &str) -> Result<Vec<String>, Refusal> {
    let allowed = || missing(name, "an array of one or more non-blank strings");
    let values = parameters.get(name).and_then(Value::as_array).ok_or_else(allowed)?;
    let texts = values.iter().map(|value| {
        let text = value.as_str().filter(|text| !text.trim().is_empty());
        text.map(str::to_owned).ok_or_else(allowed)
    });
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    if texts.is_empty() { Err(allowed()) } else { Ok(texts) }
}

fn missing(name: &str, allowed: &str) -> Refusal {
    Refusal::invalid(format!("{name} must be {allowed}"))
}
