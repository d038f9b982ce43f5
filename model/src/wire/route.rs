//! HTTP paths of the service API (hub-http.md §§ 2 and 3).

use http::Method;

use super::percent;
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;

/// A call of the service API or of the device-side HTTPS endpoints: what is asked of which resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `GET /devices`.
    IdentityList,
    /// `POST /devices`.
    Bulk,
    /// `POST /devices/query`.
    Query,
    /// `GET /statistics/devices`.
    DeviceStatistics,
    /// `GET /statistics/service`.
    ServiceStatistics,
    /// `DELETE /devices/{d}/commands`.
    MessagePurge {
        /// The device whose messages are dropped.
        device: String,
    },
    /// `POST /devices/{d}[/modules/{m}]/messages/events`, by the device.
    TelemetryPost(Identity),
    /// `GET /devices/{d}/messages/devicebound`, by the device.
    MessageReceive(Identity),
    /// `DELETE …/devicebound/{lock}` or `POST …/devicebound/{lock}/abandon`, by the device.
    MessageSettle {
        /// The device.
        identity: Identity,
        /// The lock token.
        lock: String,
        /// Whether the message is abandoned instead of completed.
        put_back: bool,
    },
    /// `GET /devices/{d}/modules`.
    ModuleList {
        /// The device whose modules are listed.
        device: String,
    },
    /// `GET /devices/{d}[/modules/{m}]`.
    IdentityRead(Identity),
    /// `PUT /devices/{d}[/modules/{m}]`.
    IdentityWrite(Identity),
    /// `DELETE /devices/{d}[/modules/{m}]`.
    IdentityDelete(Identity),
    /// `GET /twins/{d}[/modules/{m}]`.
    TwinRead(Identity),
    /// `PATCH /twins/{d}[/modules/{m}]`.
    TwinPatch(Identity),
    /// `PUT /twins/{d}[/modules/{m}]`.
    TwinReplace(Identity),
    /// `POST /twins/{d}[/modules/{m}]/methods`.
    MethodInvoke(Identity),
    /// `GET /jobs/v2/query`.
    JobList,
    /// `GET /jobs/v2/{id}`.
    JobRead(String),
    /// `PUT /jobs/v2/{id}`.
    JobCreate(String),
    /// `POST /jobs/v2/{id}/cancel`.
    JobCancel(String),
    /// `GET /jobs`: import and export jobs.
    TransferList,
    /// `GET` or `DELETE /jobs/{id}`: one of these jobs.
    Transfer(String),
    /// `POST /devices/{d}/files` and what is below it, by the device.
    FileUpload(Identity),
    /// Anything about configurations.
    Configuration(ConfigurationCall),
    /// Anything about the device jobs of 2016.
    DeviceJob(DeviceJobCall),
}

/// The only `api-version` that serves device jobs (firmware-patterns.md § a.2).
pub const DEVICE_JOBS_API_VERSION: &str = "2016-04-25-preview";

/// A call about the device jobs of 2016.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceJobCall {
    /// `PUT /jobs/v2/{id}`.
    Create(String),
    /// `GET /jobs/v2`.
    List,
    /// `POST /jobs/v2/query`.
    Query,
    /// `GET /jobs/v2/{id}`.
    Read(String),
}

/// A call about automatic device configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationCall {
    /// `POST /devices/{d}/applyConfigurationContent`.
    Apply {
        /// The Edge device.
        device: String,
    },
    /// `DELETE /configurations/{id}`.
    Delete {
        /// The configuration.
        id: String,
    },
    /// `GET /configurations`.
    List,
    /// `GET /configurations/{id}`.
    Read {
        /// The configuration.
        id: String,
    },
    /// `POST /configurations/testQueries`.
    Test,
    /// `PUT /configurations/{id}`.
    Write {
        /// The configuration.
        id: String,
    },
}

impl ConfigurationCall {
    /// Whether the call changes nothing.
    #[must_use]
    pub fn is_read(&self) -> bool {
        match self {
            Self::List | Self::Read { .. } | Self::Test => true,
            Self::Apply { .. } | Self::Delete { .. } | Self::Write { .. } => false,
        }
    }
}

impl DeviceJobCall {
    /// Reads method and path at [`DEVICE_JOBS_API_VERSION`].
    ///
    /// # Errors
    /// As [`Call::parse`]. A job cannot be cancelled: the preview never implemented it.
    pub fn parse(method: &Method, path: &str) -> Result<Self, Refusal> {
        let levels = levels(path)?;
        let levels: Vec<&str> = levels.iter().map(String::as_str).collect();
        match (levels.as_slice(), method) {
            (["jobs", "v2"], &Method::GET) => Ok(Self::List),
            (["jobs", "v2"], _) => Err(not_allowed(method, path, "GET")),
            (["jobs", "v2", "query"], &Method::POST) => Ok(Self::Query),
            (["jobs", "v2", id], &Method::GET) => Ok(Self::Read((*id).to_owned())),
            (["jobs", "v2", id], &Method::PUT) => Ok(Self::Create((*id).to_owned())),
            (["jobs", "v2", _], &Method::DELETE) => Err(Refusal::new(
                ErrorCode::GenericMethodNotAllowed,
                "Cancelling a device job is not implemented",
            )),
            (["jobs", "v2", _], _) => Err(not_allowed(method, path, "GET, PUT")),
            _ => Err(no_resource(path)),
        }
    }
}

/// The levels of a path, decoded.
fn levels(path: &str) -> Result<Vec<String>, Refusal> {
    let trimmed = path.trim_start_matches('/');
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    let decoded: Option<Vec<String>> = trimmed.split('/').map(percent::decode).collect();
    decoded.ok_or_else(|| Refusal::invalid(format!("The path is not valid UTF-8: {path}")))
}

impl Call {
    /// Reads method and path (still percent-encoded, without query).
    ///
    /// Ids are decoded once (HUB-HTTP-011) and a trailing slash is accepted (HUB-REG-017).
    ///
    /// # Errors
    /// [`ErrorCode::GenericNotFound`] for an unknown path, [`ErrorCode::FeatureNotSupported`] for one
    /// that the service has and this hub does not offer, [`ErrorCode::GenericMethodNotAllowed`]
    /// for a known path with another method, [`ErrorCode::ArgumentInvalid`] for a broken escape.
    pub fn parse(method: &Method, path: &str) -> Result<Self, Refusal> {
        let levels = levels(path)?;
        let levels: Vec<&str> = levels.iter().map(String::as_str).collect();
        match levels.as_slice() {
            ["devices"] if *method == Method::POST => Ok(Self::Bulk),
            // A device may be called query: only POST is taken.
            ["devices", "query"] if *method == Method::POST => Ok(Self::Query),
            ["devices"] => one(method, path, Method::GET, Self::IdentityList),
            ["statistics", "devices"] => one(method, path, Method::GET, Self::DeviceStatistics),
            ["statistics", "service"] => one(method, path, Method::GET, Self::ServiceStatistics),
            ["devices", d, "commands"] => {
                one(method, path, Method::DELETE, Self::MessagePurge { device: (*d).to_owned() })
            }
            ["devices", d, "messages", rest @ ..] => {
                Self::message(method, path, Identity::device(*d), rest)
            }
            ["devices", d, "modules", m, "messages", "events"] => {
                one(method, path, Method::POST, Self::TelemetryPost(Identity::module(*d, *m)))
            }
            ["devices", d, "modules"] => {
                one(method, path, Method::GET, Self::ModuleList { device: (*d).to_owned() })
            }
            ["devices", d] => Self::identity(method, path, Identity::device(*d)),
            ["devices", d, "modules", m] => Self::identity(method, path, Identity::module(*d, *m)),
            ["twins", d, "methods"] => {
                one(method, path, Method::POST, Self::MethodInvoke(Identity::device(*d)))
            }
            ["twins", d, "modules", m, "methods"] => {
                one(method, path, Method::POST, Self::MethodInvoke(Identity::module(*d, *m)))
            }
            ["devices", d, "applyConfigurationContent"] => {
                let apply = ConfigurationCall::Apply { device: (*d).to_owned() };
                one(method, path, Method::POST, Self::Configuration(apply))
            }
            ["configurations", rest @ ..] => Self::configuration(method, path, rest),
            ["twins", d] => Self::twin(method, path, Identity::device(*d)),
            ["twins", d, "modules", m] => Self::twin(method, path, Identity::module(*d, *m)),
            ["jobs"] => one(method, path, Method::GET, Self::TransferList),
            ["jobs", "v2", rest @ ..] => Self::job(method, path, rest),
            ["jobs", "create"] if *method == Method::POST => {
                Err(not_offered("jobs that import or export identities"))
            }
            ["jobs", id] => match *method {
                Method::GET | Method::DELETE => Ok(Self::Transfer((*id).to_owned())),
                _ => Err(not_allowed(method, path, "GET, DELETE")),
            },
            ["devices", d, "files", ..] => Ok(Self::FileUpload(Identity::device(*d))),
            ["digitaltwins", _, ..] => Err(not_offered("digital twins")),
            ["messages", "serviceBound", "feedback", ..] => {
                Err(not_offered("feedback about cloud-to-device messages"))
            }
            ["messages", "serviceBound", "filenotifications", ..] => {
                Err(not_offered("file upload"))
            }
            _ => Err(no_resource(path)),
        }
    }

    fn job(method: &Method, path: &str, rest: &[&str]) -> Result<Self, Refusal> {
        match rest {
            // A job may be called query: only GET lists.
            ["query"] if *method == Method::GET => Ok(Self::JobList),
            // Without an id there is nothing to cancel (JOB-061).
            ["", "cancel"] => Err(not_allowed(method, path, "nothing: the job id is empty")),
            [id, "cancel"] => one(method, path, Method::POST, Self::JobCancel((*id).to_owned())),
            [id] if *method == Method::PUT => Ok(Self::JobCreate((*id).to_owned())),
            [id] if *method == Method::GET => Ok(Self::JobRead((*id).to_owned())),
            [_] => Err(not_allowed(method, path, "GET, PUT")),
            _ => Err(no_resource(path)),
        }
    }

    fn message(
        method: &Method,
        path: &str,
        identity: Identity,
        rest: &[&str],
    ) -> Result<Self, Refusal> {
        let settle = |identity, lock: &str, put_back| Self::MessageSettle {
            identity,
            lock: lock.to_owned(),
            put_back,
        };
        match rest {
            ["events"] => one(method, path, Method::POST, Self::TelemetryPost(identity)),
            ["devicebound"] => one(method, path, Method::GET, Self::MessageReceive(identity)),
            ["devicebound", lock] => {
                one(method, path, Method::DELETE, settle(identity, lock, false))
            }
            ["devicebound", lock, "abandon"] => {
                one(method, path, Method::POST, settle(identity, lock, true))
            }
            _ => Err(no_resource(path)),
        }
    }

    fn identity(method: &Method, path: &str, identity: Identity) -> Result<Self, Refusal> {
        match *method {
            Method::GET => Ok(Self::IdentityRead(identity)),
            Method::PUT => Ok(Self::IdentityWrite(identity)),
            Method::DELETE => Ok(Self::IdentityDelete(identity)),
            _ => Err(not_allowed(method, path, "GET, PUT, DELETE")),
        }
    }

    fn configuration(method: &Method, path: &str, rest: &[&str]) -> Result<Self, Refusal> {
        let id = |id: &str| id.to_owned();
        let call = match (rest, method) {
            ([], &Method::GET) => ConfigurationCall::List,
            ([], _) => return Err(not_allowed(method, path, "GET")),
            // No configuration can be called so: the name has a capital letter.
            (["testQueries"], &Method::POST) => ConfigurationCall::Test,
            (["testQueries"], _) => return Err(not_allowed(method, path, "POST")),
            ([name], &Method::GET) => ConfigurationCall::Read { id: id(name) },
            ([name], &Method::PUT) => ConfigurationCall::Write { id: id(name) },
            ([name], &Method::DELETE) => ConfigurationCall::Delete { id: id(name) },
            ([_], _) => return Err(not_allowed(method, path, "GET, PUT, DELETE")),
            _ => return Err(no_resource(path)),
        };
        Ok(Self::Configuration(call))
    }

    fn twin(method: &Method, path: &str, identity: Identity) -> Result<Self, Refusal> {
        match *method {
            Method::GET => Ok(Self::TwinRead(identity)),
            Method::PATCH => Ok(Self::TwinPatch(identity)),
            Method::PUT => Ok(Self::TwinReplace(identity)),
            _ => Err(not_allowed(method, path, "GET, PATCH, PUT")),
        }
    }
}

/// The refusal for what the service has and this hub has not.
pub(crate) fn not_offered(feature: &str) -> Refusal {
    let why = format!("This hub does not offer {feature}");
    Refusal::new(ErrorCode::FeatureNotSupported, why)
}

fn no_resource(path: &str) -> Refusal {
    Refusal::new(ErrorCode::GenericNotFound, format!("The hub has no resource {path}"))
}

fn one(method: &Method, path: &str, allowed: Method, call: Call) -> Result<Call, Refusal> {
    if *method == allowed { Ok(call) } else { Err(not_allowed(method, path, allowed.as_str())) }
}

fn not_allowed(method: &Method, path: &str, allowed: &str) -> Refusal {
    Refusal::new(
        ErrorCode::GenericMethodNotAllowed,
        format!("The resource {path} does not support {method}, allowed: {allowed}"),
    )
}
