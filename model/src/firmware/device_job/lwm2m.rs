//! LWM2M resources: which there are, what may be done with them, and how a device answers
//! (firmware-patterns.md § a.5).

use std::fmt;

use crate::wire::coap::Code;

/// Where a value lives: object, instance and resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// The object, 5 for firmware updates.
    pub object: u16,
    /// The instance; devices of the preview have one of each object.
    pub instance: u16,
    /// The resource.
    pub resource: u16,
}

impl Path {
    /// A resource of the only instance of `object`.
    #[must_use]
    pub const fn new(object: u16, resource: u16) -> Self {
        Self { object, instance: 0, resource }
    }

    /// Reads the levels of a path; `None` unless they are three numbers.
    #[must_use]
    pub fn parse<'a>(levels: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut levels = levels.into_iter().map(|level| level.parse().ok());
        let path =
            Self { object: levels.next()??, instance: levels.next()??, resource: levels.next()?? };
        levels.next().is_none().then_some(path)
    }

    /// The levels as text.
    #[must_use]
    pub fn levels(self) -> Vec<String> {
        [self.object, self.instance, self.resource].map(|level| level.to_string()).to_vec()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "/{}/{}/{}", self.object, self.instance, self.resource)
    }
}

/// `Package`: the image itself.
pub const PACKAGE: Path = Path::new(5, 0);
/// `Package URI`: where the image is; a write starts the download.
pub const PACKAGE_URI: Path = Path::new(5, 1);
/// `Update`: writes the image.
pub const UPDATE: Path = Path::new(5, 2);
/// `State` of the firmware update.
pub const STATE: Path = Path::new(5, 3);
/// `Update Result`.
pub const UPDATE_RESULT: Path = Path::new(5, 5);
/// `Firmware Version`.
pub const FIRMWARE_VERSION: Path = Path::new(3, 3);
/// `Reboot`.
pub const REBOOT: Path = Path::new(3, 4);
/// `Factory Reset`.
pub const FACTORY_RESET: Path = Path::new(3, 5);
/// `Battery Level`.
pub const BATTERY_LEVEL: Path = Path::new(3, 9);
/// `Value` of the configuration.
pub const CONFIGURATION_VALUE: Path = Path::new(10241, 2);
/// `Apply` the configuration.
pub const CONFIGURATION_APPLY: Path = Path::new(10241, 3);

/// The objects that a device of the preview registers.
pub const OBJECTS: [u16; 3] = [3, 5, 10241];

/// The longest package URI, in bytes.
pub const PACKAGE_URI_MAX: usize = 255;

/// What the hub asks of a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Give the value.
    Read,
    /// Take a value.
    Write(String),
    /// Do it.
    Execute,
}

impl Operation {
    /// The word for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write(_) => "write",
            Self::Execute => "execute",
        }
    }
}

/// An operation on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// Which resource.
    pub path: Path,
    /// What to do with it.
    pub operation: Operation,
}

impl Request {
    /// Read `path`.
    #[must_use]
    pub fn read(path: Path) -> Self {
        Self { path, operation: Operation::Read }
    }

    /// Write `value` to `path`.
    #[must_use]
    pub fn write(path: Path, value: impl Into<String>) -> Self {
        Self { path, operation: Operation::Write(value.into()) }
    }

    /// Execute `path`.
    #[must_use]
    pub fn execute(path: Path) -> Self {
        Self { path, operation: Operation::Execute }
    }
}

/// What a resource allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
    ReadWrite,
    Execute,
}

/// What the values of a resource are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Boolean,
    Integer,
    Opaque,
    Text,
    Time,
    /// Nothing: it is executed.
    None,
}

/// A resource of the objects that devices of the preview have.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// Where it is.
    pub path: Path,
    /// The name in read and write jobs; empty for a resource that has none.
    pub property: &'static str,
    access: Access,
    kind: Kind,
    /// Whether the client library of the preview does what is asked.
    is_implemented: bool,
}

const fn resource(path: Path, property: &'static str, access: Access, kind: Kind) -> Resource {
    Resource { path, property, access, kind, is_implemented: true }
}

const fn absent(path: Path, property: &'static str, access: Access, kind: Kind) -> Resource {
    Resource { path, property, access, kind, is_implemented: false }
}

/// All of them, by path.
pub const RESOURCES: &[Resource] = &[
    resource(FIRMWARE_VERSION, "FirmwareVersion", Access::Read, Kind::Text),
    resource(REBOOT, "", Access::Execute, Kind::None),
    resource(FACTORY_RESET, "", Access::Execute, Kind::None),
    resource(BATTERY_LEVEL, "BatteryLevel", Access::Read, Kind::Integer),
    resource(Path::new(3, 10), "MemoryFree", Access::Read, Kind::Integer),
    resource(Path::new(3, 13), "CurrentTime", Access::ReadWrite, Kind::Time),
    resource(Path::new(3, 14), "UtcOffset", Access::ReadWrite, Kind::Text),
    resource(Path::new(3, 15), "Timezone", Access::ReadWrite, Kind::Text),
    resource(Path::new(3, 18), "HardwareVersion", Access::Read, Kind::Text),
    resource(Path::new(3, 20), "BatteryStatus", Access::Read, Kind::Integer),
    resource(Path::new(3, 21), "MemoryTotal", Access::Read, Kind::Integer),
    absent(PACKAGE, "FirmwarePackage", Access::Write, Kind::Opaque),
    resource(PACKAGE_URI, "FirmwarePackageUri", Access::Write, Kind::Text),
    resource(UPDATE, "", Access::Execute, Kind::None),
    resource(STATE, "FirmwareUpdateState", Access::Read, Kind::Integer),
    absent(Path::new(5, 4), "", Access::ReadWrite, Kind::Boolean),
    resource(UPDATE_RESULT, "FirmwareUpdateResult", Access::Read, Kind::Integer),
    resource(Path::new(5, 6), "FirmwarePackageName", Access::Read, Kind::Text),
    resource(Path::new(5, 7), "FirmwarePackageVersion", Access::Read, Kind::Text),
    resource(Path::new(10241, 1), "ConfigurationName", Access::ReadWrite, Kind::Text),
    resource(CONFIGURATION_VALUE, "ConfigurationValue", Access::ReadWrite, Kind::Text),
    resource(CONFIGURATION_APPLY, "", Access::Execute, Kind::None),
];

/// The resource at `path`.
#[must_use]
pub fn find(path: Path) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.path == path)
}

/// The resource that read and write jobs call `name`.
#[must_use]
pub fn property(name: &str) -> Option<&'static Resource> {
    let named = |resource: &&Resource| !name.is_empty() && resource.property == name;
    RESOURCES.iter().find(named)
}

/// The rules that hold for every resource, in the order in which they are looked at: it is there,
/// it has the operation, the argument can be read, the device implements it.
///
/// # Errors
/// The code of the first rule that is broken: 4.04, 4.05, 4.00 or 5.01.
pub fn check(request: &Request) -> Result<(), Code> {
    let resource = find(request.path).ok_or(Code::NOT_FOUND)?;
    let is_allowed = match request.operation {
        Operation::Read => matches!(resource.access, Access::Read | Access::ReadWrite),
        Operation::Write(_) => matches!(resource.access, Access::Write | Access::ReadWrite),
        Operation::Execute => resource.access == Access::Execute,
    };
    if !is_allowed {
        return Err(Code::METHOD_NOT_ALLOWED);
    }
    if let Operation::Write(value) = &request.operation
        && !is_value(resource, value)
    {
        return Err(Code::BAD_REQUEST);
    }
    if resource.is_implemented { Ok(()) } else { Err(Code::NOT_IMPLEMENTED) }
}

/// Whether `value` is in the plain-text form of the resource's values (A-F12).
fn is_value(resource: &Resource, value: &str) -> bool {
    match resource.kind {
        Kind::Boolean => matches!(value, "0" | "1"),
        Kind::Integer | Kind::Time => value.parse::<i64>().is_ok(),
        Kind::Text => resource.path != PACKAGE_URI || value.len() <= PACKAGE_URI_MAX,
        Kind::Opaque => true,
        Kind::None => false,
    }
}
