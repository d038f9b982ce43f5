//! HTTP conventions of the service API: authorization, versions, headers, errors (hub-http.md).

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::device::lock_of;
use super::job::job_not_found;
use super::twin::take;
use super::{ExchangeId, Hub, Output};
use crate::auth::{Permission, SasToken};
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::time::Time;
use crate::twin::WriteMode;
use crate::wire::body::{flat_error, wrapped_error};
use crate::wire::percent;
use crate::wire::route::{Call, DEVICE_JOBS_API_VERSION, DeviceJobCall, not_offered};

/// Oldest and newest `api-version` that is served (hub-http.md § 1.1).
const API_VERSIONS: (&str, &str) = ("2016-11-14", "2024-03-31");

/// The content type of every JSON answer.
const JSON: &str = "application/json; charset=utf-8";

/// An answer before it gets its headers.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Option<Value>,
    /// The body when it is no JSON.
    pub(super) bytes: Bytes,
    /// Without quotes.
    pub(super) etag: Option<String>,
    /// Further headers.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self { body: Some(body), ..Self::no_content() }.with_status(StatusCode::OK)
    }

    /// 200 with an entity and its etag.
    pub(super) fn entity(body: Value, etag: String) -> Self {
        Self { etag: Some(etag), ..Self::ok(body) }
    }

    /// 200 with JSON that is text already.
    pub(super) fn json_text(bytes: Bytes) -> Self {
        let json = (CONTENT_TYPE, HeaderValue::from_static(JSON));
        Self { status: StatusCode::OK, bytes, headers: vec![json], ..Self::no_content() }
    }

    pub(super) fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            body: None,
            bytes: Bytes::new(),
            etag: None,
            headers: Vec::new(),
        }
    }

    fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// `If-Match` in the forms that clients send (hub-http.md § 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IfMatch {
    Absent,
    /// `*` or `"*"`.
    Any,
    Quoted(String),
    Unquoted(String),
}

impl IfMatch {
    fn read(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(IF_MATCH) else {
            return Self::Absent;
        };
        let text = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match (text.as_str(), inner) {
            ("*", _) | (_, Some("*")) => Self::Any,
            (_, Some(etag)) => Self::Quoted(etag.to_owned()),
            (_, None) => Self::Unquoted(text),
        }
    }
}

impl Hub {
    /// Answers a request; `None` when its answer comes later.
    pub(super) fn request(
        &mut self,
        now: Time,
        id: ExchangeId,
        request: &http::Request<Bytes>,
        outputs: &mut Vec<Output>,
    ) -> Option<http::Response<Bytes>> {
        let request_id = self.entropy.guid();
        let version = Parameters::read(request.uri());
        let call = match version.get("api-version") {
            Some(DEVICE_JOBS_API_VERSION) => {
                DeviceJobCall::parse(request.method(), request.uri().path()).map(Call::DeviceJob)
            }
            _ => Call::parse(request.method(), request.uri().path()),
        };
        let form = match call {
            Ok(Call::MethodInvoke(_)) => ErrorForm::Nested,
            _ => ErrorForm::Flat,
        };
        match self.dispatch(now, id, call, request, outputs) {
            Ok(Answer::Later) => None,
            Ok(Answer::Now(reply)) => Some(respond(Ok(reply), form, &request_id, now)),
            Err(refusal) => Some(respond(Err(refusal), form, &request_id, now)),
        }
    }

    fn dispatch(
        &mut self,
        now: Time,
        id: ExchangeId,
        call: Result<Call, Refusal>,
        request: &http::Request<Bytes>,
        outputs: &mut Vec<Output>,
    ) -> Result<Answer, Refusal> {
        let uri = request.uri();
        match call.as_ref().ok().and_then(by_device) {
            Some(identity) => {
                self.authorize_device(now, identity, uri.path(), request.headers())?
            }
            None => self.authorize(now, request.headers(), uri.path(), call.as_ref().ok())?,
        }
        let parameters = Parameters::read(uri);
        check_api_version(parameters.get("api-version"), uri.path())?;
        let call = call?;
        if matches!(permission(&call), Permission::RegistryRead | Permission::RegistryWrite) {
            take(self.config.throttles.registry, &mut self.registry_calls, now)?;
        }
        if let Call::MethodInvoke(identity) = &call {
            self.invoke_method(now, id, identity, request.body(), outputs)?;
            return Ok(Answer::Later);
        }
        self.carry_out(now, call, request, &parameters, outputs).map(Answer::Now)
    }

    fn carry_out(
        &mut self,
        now: Time,
        call: Call,
        request: &http::Request<Bytes>,
        parameters: &Parameters,
        outputs: &mut Vec<Output>,
    ) -> Result<Reply, Refusal> {
        let (headers, body) = (request.headers(), request.body());
        let if_match = IfMatch::read(headers);
        match call {
            Call::IdentityList => Ok(self.list_devices(parameters.get("top"))),
            Call::Bulk => self.bulk(now, body, outputs),
            Call::Query => self.query(now, headers, body),
            Call::DeviceStatistics => Ok(self.device_statistics()),
            Call::ServiceStatistics => Ok(self.service_statistics()),
            Call::MessagePurge { device } => self.purge_messages(&device),
            Call::ModuleList { device } => self.list_modules(&device),
            Call::IdentityRead(identity) => self.read_identity(&identity),
            Call::IdentityWrite(identity) => {
                self.write_identity(now, &identity, &if_match, body, outputs)
            }
            Call::IdentityDelete(identity) => {
                self.delete_identity(now, &identity, &if_match, outputs)
            }
            Call::TwinRead(identity) => self.read_twin(now, &identity),
            Call::TwinPatch(identity) => {
                self.write_twin(now, WriteMode::Patch, &identity, &if_match, body, outputs)
            }
            Call::TwinReplace(identity) => {
                self.write_twin(now, WriteMode::Replace, &identity, &if_match, body, outputs)
            }
            Call::JobList => self.list_jobs(now, headers, parameters),
            Call::JobRead(id) => self.read_job(now, &id),
            Call::JobCreate(id) => self.create_job(now, &id, body),
            Call::JobCancel(id) => self.cancel_job(now, &id),
            // Identities are neither imported nor exported here, so there is nothing to list.
            Call::TransferList => Ok(Reply::ok(Value::Array(Vec::new()))),
            Call::Transfer(id) => Err(job_not_found(&id)),
            Call::FileUpload(_) => Err(not_offered("file upload")),
            // It was taken aside already: its answer comes later.
            Call::MethodInvoke(_) => Ok(Reply::no_content()),
            Call::Configuration(call) => {
                self.configuration_call(now, call, &if_match, body, parameters.get("top"), outputs)
            }
            Call::DeviceJob(call) => self.device_job_call(now, call, body),
            Call::TelemetryPost(identity) => {
                self.post_telemetry(now, &identity, headers, body, outputs)
            }
            Call::MessageReceive(identity) => self.receive_message(now, &identity),
            Call::MessageSettle { identity, lock, put_back } => {
                self.settle_message(&identity, lock_of(&lock, headers), put_back)
            }
        }
    }

    fn authorize(
        &self,
        now: Time,
        headers: &HeaderMap,
        path: &str,
        call: Option<&Call>,
    ) -> Result<(), Refusal> {
        let refuse = |why: String| Refusal::new(ErrorCode::IotHubUnauthorizedAccess, why);
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let header = header.ok_or_else(|| refuse("Authorization header missing".to_owned()))?;
        if header.split(' ').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")) {
            return Err(refuse(
                "This hub does not offer bearer tokens, allowed is a SharedAccessSignature"
                    .to_owned(),
            ));
        }
        let token = SasToken::parse(header).map_err(|error| refuse(error.to_string()))?;
        let name = token.policy.as_deref().unwrap_or_default();
        let permission = call.map_or(Permission::ServiceConnect, permission);
        let Some(policy) = self.policies.iter().find(|policy| policy.name == name) else {
            return Err(refuse(format!("there is no policy {name:?}")));
        };
        let keys = [policy.primary_key.as_str(), policy.secondary_key.as_str()];
        let resource = format!("{}{path}", self.config.hostname);
        token.verify(&keys, &resource, now).map_err(|error| refuse(error.to_string()))?;
        if call.is_none() || policy.permissions.contains(&permission) {
            return Ok(());
        }
        Err(refuse(format!(
            "Authorization rule '{name}' does not allow access, needed is {permission:?}"
        )))
    }
}

/// The query string of a request.
pub(super) struct Parameters(Vec<(String, Option<String>)>);

impl Parameters {
    fn read(uri: &http::Uri) -> Self {
        Self(percent::decode_pairs(uri.query().unwrap_or_default()).unwrap_or_default())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.and_then(|(_, value)| value.as_deref())
    }
}

/// What a call comes to.
enum Answer {
    Now(Reply),
    Later,
}

/// How an error is written (hub-http.md § 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorForm {
    /// Registry and twins.
    Flat,
    /// Methods.
    Nested,
}

/// A result as HTTP, with the headers that every answer has.
pub(super) fn respond(
    result: Result<Reply, Refusal>,
    form: ErrorForm,
    request_id: &str,
    now: Time,
) -> http::Response<Bytes> {
    let (mut response, error) = match result {
        Ok(reply) => (response(reply), None),
        Err(refusal) => {
            let body = match form {
                ErrorForm::Flat => flat_error(&refusal, request_id, now),
                ErrorForm::Nested => wrapped_error(&refusal, request_id, now),
            };
            let status = StatusCode::from_u16(refusal.code.status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (response(Reply::ok(body).with_status(status)), Some(refusal.code.name()))
        }
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-ms-request-id", id);
    }
    if let Some(name) = error {
        headers.insert("iothub-errorcode", HeaderValue::from_static(name));
    }
    response
}

/// The device that makes a call on its own behalf.
fn by_device(call: &Call) -> Option<&Identity> {
    match call {
        Call::TelemetryPost(identity)
        | Call::MessageReceive(identity)
        | Call::MessageSettle { identity, .. }
        | Call::FileUpload(identity) => Some(identity),
        _ => None,
    }
}

/// The right a call needs (hub-auth.md § 3).
fn permission(call: &Call) -> Permission {
    match call {
        Call::IdentityList
        | Call::ModuleList { .. }
        | Call::IdentityRead(_)
        | Call::DeviceStatistics
        | Call::ServiceStatistics => Permission::RegistryRead,
        Call::IdentityWrite(_) | Call::IdentityDelete(_) | Call::Bulk => Permission::RegistryWrite,
        Call::TwinRead(_)
        | Call::TwinPatch(_)
        | Call::TwinReplace(_)
        | Call::MethodInvoke(_)
        | Call::Query
        | Call::JobList
        | Call::JobRead(_)
        | Call::JobCreate(_)
        | Call::JobCancel(_)
        | Call::TransferList
        | Call::Transfer(_)
        | Call::DeviceJob(_)
        | Call::MessagePurge { .. } => Permission::ServiceConnect,
        Call::Configuration(call) if call.is_read() => Permission::RegistryRead,
        Call::Configuration(_) => Permission::RegistryWrite,
        Call::TelemetryPost(_)
        | Call::MessageReceive(_)
        | Call::MessageSettle { .. }
        | Call::FileUpload(_) => Permission::DeviceConnect,
    }
}

fn check_api_version(version: Option<&str>, path: &str) -> Result<(), Refusal> {
    let refuse = || Err(Refusal::new(ErrorCode::InvalidProtocolVersion, "BadRequest"));
    let Some(version) = version else {
        return refuse();
    };
    // Of that preview nothing is served but its jobs.
    if version == DEVICE_JOBS_API_VERSION && path.trim_start_matches('/').starts_with("jobs/v2") {
        return Ok(());
    }
    let date = version.strip_suffix("-preview").unwrap_or(version);
    let is_date = Time::parse(&format!("{date}T00:00:00Z")).is_some();
    if is_date && (API_VERSIONS.0..=API_VERSIONS.1).contains(&date) { Ok(()) } else { refuse() }
}

fn response(reply: Reply) -> http::Response<Bytes> {
    let is_json = reply.body.is_some();
    let body = reply.body.map_or(reply.bytes, |body| Bytes::from(body.to_string()));
    let mut response = http::Response::new(body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    if is_json {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    let etag = reply.etag.as_ref().map(|etag| HeaderValue::from_str(&format!("\"{etag}\"")));
    if let Some(Ok(etag)) = etag {
        headers.insert(ETAG, etag);
    }
    headers.extend(reply.headers);
    response
}
