//! What the content of a twin may measure.

use crate::error::{ErrorCode, Refusal};

/// The limits of twin content; iot-hub-devguide-device-twins.md § Tags and properties format and
/// § Device twin size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwinLimits {
    /// Longest key in UTF-8 bytes.
    pub key_bytes_max: usize,
    /// Longest string value in UTF-8 bytes.
    pub string_bytes_max: usize,
    /// Smallest integer.
    pub integer_min: i64,
    /// Largest integer.
    pub integer_max: i64,
    /// Nested objects and arrays below the section root.
    pub depth_max: usize,
    /// Size of the tags.
    pub tags: SizeLimit,
    /// Size of the desired properties.
    pub desired: SizeLimit,
    /// Size of the reported properties.
    pub reported: SizeLimit,
}

/// The largest size of one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeLimit {
    /// The section as error messages call it.
    pub name: &'static str,
    /// The limit in bytes of the documented counting.
    pub bytes_max: usize,
}

impl SizeLimit {
    /// Refuses a section of `size` bytes when that is too large.
    ///
    /// # Errors
    /// [`ErrorCode::DeviceModelMaxPropertiesExceeded`].
    pub fn check(&self, size: usize) -> Result<(), Refusal> {
        if size <= self.bytes_max {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::DeviceModelMaxPropertiesExceeded,
            format!("'{}' size should be less than {} bytes.", self.name, self.bytes_max),
        ))
    }
}

impl Default for TwinLimits {
    fn default() -> Self {
        Self {
            key_bytes_max: 1024,
            string_bytes_max: 4096,
            integer_min: -4_503_599_627_370_496,
            integer_max: 4_503_599_627_370_495,
            depth_max: 10,
            tags: SizeLimit { name: "Tags", bytes_max: 8 * 1024 },
            desired: SizeLimit { name: "Properties.Desired", bytes_max: 32 * 1024 },
            reported: SizeLimit { name: "Properties.Reported", bytes_max: 32 * 1024 },
        }
    }
}
