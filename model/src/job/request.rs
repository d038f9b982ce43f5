//! The body that creates a job (jobs.md § 3).

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::error::{ErrorCode, Refusal};
use crate::json;
use crate::method::MethodCall;
use crate::query::{self, SyntaxError, ast::Expr};
use crate::time::Time;
use crate::twin::limits::TwinLimits;
use crate::twin::{Twin, TwinWrite, WriteMode, kind};
use crate::wire::route::DEVICE_JOBS_API_VERSION;

/// The longest job id, in characters (D-JOBS-2025 note).
pub const ID_LENGTH_MAX: usize = 64;

/// The time budget of a job that names none, in seconds; what Node and CLI fill in (A-J09).
const BUDGET_SECONDS_DEFAULT: u64 = 3600;

/// What the service puts in front of a condition: positions in its complaints count it.
const SELECT: &str = "SELECT * FROM devices WHERE ";

/// Every job type of the Swagger; only the last two can be created (jobs.md § 1).
pub const TYPE_NAMES: [&str; 14] = [
    "unknown",
    "export",
    "import",
    "backup",
    "readDeviceProperties",
    "writeDeviceProperties",
    "updateDeviceConfiguration",
    "rebootDevice",
    "factoryResetDevice",
    "firmwareUpdate",
    "restoreFromBackup",
    "failoverDataCopy",
    JobType::ScheduleDeviceMethod.name(),
    JobType::ScheduleUpdateTwin.name(),
];

/// What a job does on each device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobType {
    /// Calls a direct method.
    ScheduleDeviceMethod,
    /// Patches the twin.
    ScheduleUpdateTwin,
}

impl JobType {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScheduleDeviceMethod => "scheduleDeviceMethod",
            Self::ScheduleUpdateTwin => "scheduleUpdateTwin",
        }
    }
}

/// What a job does on each device, with all it needs for that; shared by all of its rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Calls a direct method.
    Method(Arc<MethodCall>),
    /// Patches the twin.
    Twin(Arc<TwinWrite>),
}

/// A request for a job that has passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRequest {
    /// The application's id.
    pub id: String,
    /// What is done.
    pub work: Work,
    /// `updateTwin` or `cloudToDeviceMethod` as GET gives it back.
    pub echo: Value,
    /// The condition as it was written.
    pub condition: String,
    /// When to start; at once when absent.
    pub start: Option<Time>,
    /// The budget as it was given.
    pub budget_seconds: Option<u64>,
}

/// The body as it comes; a member that is null counts as absent (JOB-008).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(default)]
    job_id: Value,
    #[serde(default)]
    r#type: Value,
    #[serde(default)]
    update_twin: Value,
    #[serde(borrow, default)]
    cloud_to_device_method: Option<&'a RawValue>,
    #[serde(default)]
    query_condition: Value,
    #[serde(default)]
    start_time: Value,
    #[serde(default)]
    max_execution_time_in_seconds: Value,
}

impl JobRequest {
    /// Reads the body of `PUT /jobs/v2/{id}`.
    ///
    /// # Errors
    /// Names the member that is wrong and what it may hold (jobs.md § 15).
    pub fn parse(id: &str, body: &[u8], limits: &TwinLimits) -> Result<Self, Refusal> {
        if let Some(problem) = id_error(id) {
            return Err(Refusal::invalid(format!("jobId is wrong: {problem}")));
        }
        let document = json::parse(body)?;
        if !document.is_object() {
            return Err(Refusal::invalid("The job must be a JSON object"));
        }
        if document.get("jobParameters").is_some() {
            return Err(Refusal::invalid(format!(
                "jobParameters belongs to a device job, which is served at the api-version \
                 {DEVICE_JOBS_API_VERSION} only"
            )));
        }
        let body: Body<'_> = serde_json::from_slice(body).map_err(|error| {
            Refusal::new(ErrorCode::IotHubFormatError, format!("Cannot read the job: {error}"))
        })?;
        if !body.job_id.is_null() && body.job_id != id {
            return Err(Refusal::invalid(format!(
                "jobId is {} in the body and {id:?} in the path",
                body.job_id
            )));
        }
        let (work, echo) = match job_type(&body.r#type)? {
            JobType::ScheduleDeviceMethod => method_work(body.cloud_to_device_method)?,
            JobType::ScheduleUpdateTwin => twin_work(body.update_twin, limits)?,
        };
        Ok(Self {
            id: id.to_owned(),
            work,
            echo,
            condition: condition(&body.query_condition)?,
            start: start_time(&body.start_time)?,
            budget_seconds: budget(&body.max_execution_time_in_seconds)?,
        })
    }

    /// What the job does.
    #[must_use]
    pub fn job_type(&self) -> JobType {
        match self.work {
            Work::Method(_) => JobType::ScheduleDeviceMethod,
            Work::Twin(_) => JobType::ScheduleUpdateTwin,
        }
    }

    /// Time allowed from the start to the end.
    #[must_use]
    pub fn budget(&self) -> Duration {
        Duration::from_secs(self.budget_seconds.unwrap_or(BUDGET_SECONDS_DEFAULT))
    }

    /// The condition as a tree; `None` selects every device.
    ///
    /// A condition is read when the job runs, not when it is created (JOB-025).
    ///
    /// # Errors
    /// Says at which column of `SELECT * FROM devices WHERE …` which rule is broken.
    pub fn selection(&self) -> Result<Option<Expr>, SyntaxError> {
        if self.condition.trim() == "*" {
            return Ok(None);
        }
        let parsed = Expr::parse(&self.condition);
        parsed.map(Some).map_err(|error| SyntaxError {
            offset: error.offset.saturating_add(SELECT.len()),
            column: error.column.saturating_add(SELECT.len()),
            problem: error.problem,
        })
    }
}

/// Why `id` cannot name a job; `None` when it can.
#[must_use]
pub fn id_error(id: &str) -> Option<String> {
    if id == "query" {
        return Some("query is the path of the list of jobs".to_owned());
    }
    let length = id.chars().count();
    if !(1..=ID_LENGTH_MAX).contains(&length) {
        return Some(format!("it has {length} characters, allowed are 1 to {ID_LENGTH_MAX}"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let found = id.chars().find(|c| !allowed(*c))?;
    Some(format!("it contains {found:?}, allowed are ASCII letters, digits and -"))
}

fn job_type(value: &Value) -> Result<JobType, Refusal> {
    let known = [JobType::ScheduleDeviceMethod, JobType::ScheduleUpdateTwin];
    let name = value.as_str().unwrap_or_default();
    known.into_iter().find(|known| known.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
        // The service answers with this code, not with one of arguments (JOB-010).
        Refusal::new(
            ErrorCode::GenericBadRequest,
            format!(
                "BadRequest: type is {value}, allowed are scheduleUpdateTwin and \
                 scheduleDeviceMethod"
            ),
        )
    })
}

fn missing(member: &str) -> Refusal {
    Refusal::new(ErrorCode::ArgumentNull, format!("{member} is missing"))
}

fn wrong(member: &str, value: &Value, allowed: &str) -> Refusal {
    Refusal::invalid(format!("{member} must be {allowed}, found {}", kind(value)))
}

fn method_work(raw: Option<&RawValue>) -> Result<(Work, Value), Refusal> {
    let text = raw.map(RawValue::get).filter(|text| *text != "null");
    let text = text.ok_or_else(|| missing("cloudToDeviceMethod"))?;
    let echo: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(members) = echo.as_object() else {
        return Err(wrong("cloudToDeviceMethod", &echo, "an object"));
    };
    if members.get("methodName").is_none_or(Value::is_null) {
        return Err(missing("cloudToDeviceMethod.methodName"));
    }
    let mut call = MethodCall::parse(text.as_bytes())?;
    // Older clients name the response timeout so (A-J17).
    if let (None, Some(seconds)) =
        (members.get("responseTimeoutInSeconds"), members.get("timeoutInSeconds"))
    {
        let alias = json!({ "methodName": call.name, "responseTimeoutInSeconds": seconds });
        call.response_wait = MethodCall::parse(alias.to_string().as_bytes())?.response_wait;
    }
    Ok((Work::Method(Arc::new(call)), echo))
}

fn twin_work(update: Value, limits: &TwinLimits) -> Result<(Work, Value), Refusal> {
    let mut members = match update {
        Value::Object(members) => members,
        Value::Null => return Err(missing("updateTwin")),
        other => return Err(wrong("updateTwin", &other, "an object")),
    };
    check_shape(&members)?;
    members.entry("deviceId").or_insert(Value::Null);
    let echo = Value::Object(members);
    let write = TwinWrite::from_body(WriteMode::Patch, &echo)?;
    // What no twin could take is refused at once instead of failing on each device (A-J14).
    Twin::new()
        .write(WriteMode::Patch, &write, limits, Time::default())
        .map_err(|refusal| Refusal::invalid(refusal.message))?;
    Ok((Work::Twin(Arc::new(write)), echo))
}

/// A patch must have the levels of a twin (JOB-012) and be forced (A-J05).
fn check_shape(members: &Map<String, Value>) -> Result<(), Refusal> {
    match members.get("etag") {
        None | Some(Value::Null) => {}
        Some(Value::String(etag)) if etag == "*" => {}
        Some(other) => {
            return Err(Refusal::invalid(format!(
                "updateTwin.etag is {other}, allowed is \"*\": a job is a forced update"
            )));
        }
    }
    let astray = ["desired", "reported"].into_iter().find(|name| members.contains_key(*name));
    if let Some(name) = astray {
        return Err(Refusal::invalid(format!(
            "updateTwin.{name} is at the wrong place, it belongs under updateTwin.properties"
        )));
    }
    if members.contains_key("tags") || members.contains_key("properties") {
        return Ok(());
    }
    Err(Refusal::invalid("updateTwin has neither tags nor properties"))
}

fn condition(value: &Value) -> Result<String, Refusal> {
    let text = match value {
        Value::String(text) if !text.trim().is_empty() => text.clone(),
        Value::String(_) | Value::Null => return Err(missing("queryCondition")),
        other => return Err(wrong("queryCondition", other, "a string")),
    };
    let length = text.chars().count() + SELECT.len();
    if length > query::LENGTH_MAX {
        // The service answers so, with a sentence about etags (JOB-026).
        return Err(Refusal::new(
            ErrorCode::PreconditionFailed,
            format!(
                "The query of the job has {length} characters, allowed are {}",
                query::LENGTH_MAX
            ),
        ));
    }
    Ok(text)
}

/// ISO 8601; a time without zone is UTC.
fn start_time(value: &Value) -> Result<Option<Time>, Refusal> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        other => return Err(wrong("startTime", other, "a string")),
    };
    let time = Time::parse_or_epoch(text).or_else(|| Time::parse_or_epoch(&format!("{text}Z")));
    time.map(Some).ok_or_else(|| {
        Refusal::invalid(format!(
            "startTime is {text:?}, allowed is ISO 8601 as in 2031-02-03T04:05:06Z"
        ))
    })
}

fn budget(value: &Value) -> Result<Option<u64>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    let seconds = value.as_i64().and_then(|seconds| u64::try_from(seconds).ok());
    seconds.filter(|seconds| *seconds > 0).map(Some).ok_or_else(|| {
        Refusal::invalid(format!(
            "maxExecutionTimeInSeconds is {value}, allowed are whole seconds from 1"
        ))
    })
}
