//! Error codes of the service and the refusals that carry them.
//!
//! Numbers and names: troubleshoot-error-codes.md; the HTTP status is the first three digits.

use std::fmt;

use serde_json::Value;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)+) => {
        /// A documented error of the service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)+
        }

        impl ErrorCode {
            /// The six-digit number, for example 404001.
            #[must_use]
            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number,)+ }
            }

            /// The name that `iothub-errorcode` and the flat error body carry.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

error_codes! {
    /// The request made no sense in a way no other code names.
    GenericBadRequest = 400_000,
    /// `api-version` is missing or not served.
    InvalidProtocolVersion = 400_001,
    /// Content that breaks a rule.
    ArgumentInvalid = 400_004,
    /// A needed member is missing.
    ArgumentNull = 400_005,
    /// A body that is not JSON.
    IotHubFormatError = 400_006,
    /// One identity twice in a bulk call.
    DeviceDefinedMultipleTimes = 400_011,
    /// A `deviceScope` that no Edge device has.
    InvalidDeviceScope = 400_028,
    /// The target condition of a configuration cannot be read.
    InvalidConfigurationTargetCondition = 400_401,
    /// The content of a configuration breaks a rule.
    InvalidConfigurationContent = 400_402,
    /// The content of a configuration that exists was to be changed.
    CannotModifyImmutableConfigurationContent = 400_403,
    /// A custom metric of a configuration is no query, or one too many.
    InvalidConfigurationCustomMetricsQuery = 400_404,
    /// Credentials are missing, wrong, expired or insufficient.
    IotHubUnauthorizedAccess = 401_002,
    /// A device has as many cloud-to-device messages waiting as it may have.
    DeviceMaximumQueueDepthExceeded = 403_004,
    /// The device identity is disabled.
    DeviceDisabled = 403_012,
    /// A twin section would grow beyond its limit.
    DeviceModelMaxPropertiesExceeded = 403_100,
    /// A device has as many method calls in flight as it may have.
    DeviceMaximumInflightMethodExceeded = 403_800,
    /// No such path.
    GenericNotFound = 404_000,
    /// No such device.
    DeviceNotFound = 404_001,
    /// No such module.
    ModuleNotFound = 404_010,
    /// No such job.
    JobNotFound = 404_002,
    /// The service has such a resource, this hub does not offer it.
    FeatureNotSupported = 404_013,
    /// The device is not connected, or does not listen to methods.
    DeviceNotOnline = 404_103,
    /// No such configuration.
    ConfigurationNotFound = 404_301,
    /// The path exists but not for this HTTP method.
    GenericMethodNotAllowed = 405_000,
    /// The job has come too far for what was asked.
    OperationNotAllowedInCurrentState = 405_102,
    /// The device identity exists already.
    DeviceAlreadyExists = 409_001,
    /// The id of the job is in use.
    JobAlreadyExists = 409_104,
    /// The module identity exists already.
    ModuleAlreadyExistsOnDevice = 409_301,
    /// The configuration exists already.
    ConfigurationAlreadyExists = 409_401,
    /// `If-Match` or `$version` names another state than the current one.
    PreconditionFailed = 412_001,
    /// A device was not reached before the end of a job.
    JobRunPreconditionFailed = 412_003,
    /// A lock token that is not, or no longer, held.
    DeviceMessageLockLost = 412_002,
    /// The request body is larger than the service reads.
    GenericRequestEntityTooLarge = 413_000,
    /// A message larger than the service takes.
    MessageTooLarge = 413_001,
    /// A device has as many modules as it may have.
    TooManyModulesOnDevice = 413_003,
    /// A hub has as many configurations as it may have.
    ConfigurationCountLimitExceeded = 413_101,
    /// Too many operations in too short a time.
    ThrottlingException = 429_001,
    /// As many jobs are running as the tier allows.
    ThrottlingMaxActiveJobCountExceeded = 429_004,
    /// The device's answer cannot be passed on.
    GenericBadGateway = 502_000,
    /// The device did not answer a method call in time.
    GatewayTimeout = 504_101,
}

impl ErrorCode {
    /// The HTTP status (and the status level of a twin response topic).
    #[must_use]
    pub fn status(self) -> u16 {
        u16::try_from(self.number() / 1000).unwrap_or(500)
    }
}

/// A request that the hub refuses: which error, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of error this is.
    pub code: ErrorCode,
    /// The text after the code.
    pub message: String,
    /// Further facts for the nested error form; null for none.
    pub info: Value,
}

impl Refusal {
    /// A refusal with `code` and `message`.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), info: Value::Null }
    }

    /// Content that breaks a rule: [`ErrorCode::ArgumentInvalid`].
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ArgumentInvalid, message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}", self.code.number(), self.code.name(), self.message)
    }
}

impl std::error::Error for Refusal {}
