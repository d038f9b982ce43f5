//! The back end of a case.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::IF_MATCH;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use twinspec_harness::operator::{Answer, OperatorError, Request};
use twinspec_harness::trace::Recorder;
use twinspec_model::auth;
use twinspec_model::identity::Identity;
use twinspec_model::wire::percent;

use super::{ANSWER, Bench, LOOK_AGAIN, VISIBLE};
use crate::pace::Courtesy;
use crate::pool::Lent;
use crate::target::{Target, in_an_hour};
use crate::verdict::{Checked, Stop};

/// The API version that cases use: the current one of the service SDKs.
const API_VERSION: &str = "2021-04-12";

/// The condition of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMatch<'a> {
    /// No header.
    Absent,
    /// `"*"`, in quotes as the SDKs send it.
    Any,
    /// The etag, put in quotes.
    Etag(&'a str),
    /// The header's text as it is.
    Raw(&'a str),
}

impl Bench {
    /// Sends a request with the run's credentials and returns whatever is answered.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when there is no answer at all.
    pub async fn call(
        &mut self,
        method: Method,
        path: &str,
        if_match: IfMatch<'_>,
        body: Option<&Value>,
    ) -> Checked<Answer> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        self.call_raw(method, path, if_match, body).await
    }

    /// Like [`Self::call`] for what only prepares the case, unless that is about `requirement`: a
    /// hub that is not well is asked again. The answer, and how often the request was repeated.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when there is no answer at all.
    pub(super) async fn prepare(
        &mut self,
        requirement: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Checked<(Answer, u32)> {
        let mut attempt = 0;
        loop {
            let answer = self.call(method.clone(), path, IfMatch::Absent, body).await?;
            let (status, asked) = (answer.status.as_u16(), answer.header("retry-after"));
            let is_judged = self.about.contains(&requirement);
            if is_judged || !self.courtesy.recovers(status, asked, attempt).await {
                return Ok((answer, attempt));
            }
            attempt += 1;
        }
    }

    /// Like [`Self::call`] with a body of any bytes.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when there is no answer at all.
    pub async fn call_raw(
        &mut self,
        method: Method,
        path: &str,
        if_match: IfMatch<'_>,
        body: Option<Bytes>,
    ) -> Checked<Answer> {
        let request = request(&self.target, method, path, if_match, body);
        self.exchange(&request).await
    }

    /// Like [`Self::call`] with other credentials; none at all for `None`.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when there is no answer at all.
    pub async fn call_as(
        &mut self,
        authorization: Option<String>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Checked<Answer> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let request = request(&self.target, method, path, IfMatch::Absent, body);
        self.exchange(&Request { authorization, ..request }).await
    }

    /// Sends any request: nothing is added, no `api-version`, no credentials.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when there is no answer at all; [`Stop::Unsupported`] for what would
    /// change or remove a device that is only lent.
    pub async fn exchange(&mut self, request: &Request) -> Checked<Answer> {
        self.spare_the_pool(request)?;
        exchange(&self.target, &self.courtesy, request, &self.recorder).await
    }

    /// A device of a pool is somebody's, with a key that others use as well: it stays what it is.
    fn spare_the_pool(&self, request: &Request) -> Checked {
        if request.method == Method::GET {
            return Ok(());
        }
        let path = request.target.split('?').next().unwrap_or_default();
        let body = String::from_utf8_lossy(&request.body);
        let changes = |lent: &Lent| {
            let own = identity_path(&lent.identity);
            let below = path.strip_prefix(own.as_str());
            // Many are changed at once by what is named in the body.
            let named = path == "/devices" && body.contains(lent.identity.device.as_str());
            named || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if self.borrowed.iter().any(changes) {
            let why = "changes the identity of a device, and that is one of the profile's pool";
            return Err(Stop::Unsupported(why.to_owned()));
        }
        Ok(())
    }

    /// The request that [`Self::call`] would send, to be changed and given to [`Self::exchange`].
    #[must_use]
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Request {
        let body = body.map(|body| Bytes::from(body.to_string()));
        request(&self.target, method, path, IfMatch::Absent, body)
    }

    /// A token of the policy `name` for `resource` below the host (empty: the whole hub), valid
    /// for an hour.
    ///
    /// # Errors
    /// [`Stop::Unsupported`] when the policy's key is not known.
    pub fn policy_token(&self, name: &str, resource: &str) -> Checked<String> {
        let key = self.target.policy_key(name).ok_or_else(|| {
            Stop::Unsupported(format!("the key of the policy {name} is not known"))
        })?;
        let host = &self.target.credentials.host;
        let resource =
            if resource.is_empty() { host.clone() } else { format!("{host}/{resource}") };
        auth::sign(&key, &resource, in_an_hour(&self.target.clock), Some(name))
            .ok_or_else(|| Stop::Unsupported(format!("the key of the policy {name} is no base64")))
    }

    /// The hub's host name in user names and tokens.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.target.credentials.host
    }

    /// PATCH or PUT of a twin; whatever is answered.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when there is no answer at all.
    pub async fn write_twin(
        &mut self,
        method: Method,
        identity: &Identity,
        if_match: IfMatch<'_>,
        body: &Value,
    ) -> Checked<Answer> {
        self.call(method, &twin_path(identity), if_match, Some(body)).await
    }

    /// PATCHes of a twin, all at the same time; the answers in the order of `bodies`.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when one of them has no answer at all.
    pub async fn patch_twin_at_once(
        &mut self,
        identity: &Identity,
        if_match: IfMatch<'_>,
        bodies: &[Value],
    ) -> Checked<Vec<Answer>> {
        let send = |body: &Value| {
            let body = Bytes::from(body.to_string());
            let path = twin_path(identity);
            let request = request(&self.target, Method::PATCH, &path, if_match, Some(body));
            let (target, recorder) = (Arc::clone(&self.target), self.recorder.clone());
            let courtesy = self.courtesy.clone();
            tokio::spawn(async move { exchange(&target, &courtesy, &request, &recorder).await })
        };
        let exchanges: Vec<_> = bodies.iter().map(send).collect();
        let mut answers = Vec::with_capacity(exchanges.len());
        for exchange in exchanges {
            let answer = exchange.await.map_err(|error| Stop::Harness(error.to_string()))?;
            answers.push(answer?);
        }
        Ok(answers)
    }

    /// PATCH that must be accepted; returns the twin in the answer (HUB-MERGE-022).
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn patch_twin(&mut self, identity: &Identity, body: &Value) -> Checked<Value> {
        let answer = self.write_twin(Method::PATCH, identity, IfMatch::Absent, body).await?;
        accepted("HUB-MERGE-022", answer)
    }

    /// PUT that must be accepted; returns the twin in the answer (HUB-MERGE-022).
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn replace_twin(&mut self, identity: &Identity, body: &Value) -> Checked<Value> {
        let answer = self.write_twin(Method::PUT, identity, IfMatch::Absent, body).await?;
        accepted("HUB-MERGE-022", answer)
    }

    /// The twin as a back end reads it (HUB-META-013).
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read_twin(&mut self, identity: &Identity) -> Checked<Value> {
        let path = twin_path(identity);
        let (answer, _) = self.prepare("HUB-META-013", Method::GET, &path, None).await?;
        accepted("HUB-META-013", answer)
    }

    /// Reads the twin until `shows` holds or the budget is used up, and returns the last reading:
    /// a hub that is spread over machines may lag behind its devices.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn watch_twin(
        &mut self,
        identity: &Identity,
        shows: impl Fn(&Value) -> bool,
    ) -> Checked<Value> {
        self.watch_twin_for(VISIBLE, identity, shows).await
    }

    /// Like [`Self::watch_twin`] with a budget of the caller's.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn watch_twin_for(
        &mut self,
        budget: Duration,
        identity: &Identity,
        shows: impl Fn(&Value) -> bool,
    ) -> Checked<Value> {
        let deadline = Instant::now() + self.budget(budget);
        loop {
            let twin = self.read_twin(identity).await?;
            if shows(&twin) || Instant::now() >= deadline {
                return Ok(twin);
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// Sends `request` in its turn, and again while the hub throttles it.
///
/// # Errors
/// [`Stop::Inconclusive`] when there is no answer at all, or none but 429.
pub(crate) async fn exchange(
    target: &Target,
    courtesy: &Courtesy,
    request: &Request,
    recorder: &Recorder,
) -> Checked<Answer> {
    let wait = target.stretched(ANSWER);
    let mut attempt = 0;
    loop {
        courtesy.place().await;
        let answer = target.operator.call(request, wait, recorder).await;
        let answer = answer.map_err(|error| unanswered(courtesy, &error))?;
        let asked = answer.header("retry-after");
        if !courtesy.again(answer.status.as_u16(), asked, attempt).await? {
            return Ok(answer);
        }
        attempt += 1;
    }
}

/// The end of a case in which a request got no answer at all.
pub(super) fn unanswered(courtesy: &Courtesy, error: &OperatorError) -> Stop {
    if !error.is_late() {
        courtesy.note_broken();
    }
    Stop::Inconclusive(error.to_string())
}

fn accepted(requirement: &'static str, answer: Answer) -> Checked<Value> {
    if answer.status.as_u16() == 200 && answer.json().is_object() {
        return Ok(answer.json());
    }
    Err(Stop::Broken {
        requirement,
        allowed: "200 with the twin".to_owned(),
        seen: answer.to_string(),
    })
}

pub(crate) fn request(
    target: &Target,
    method: Method,
    path: &str,
    if_match: IfMatch<'_>,
    body: Option<Bytes>,
) -> Request {
    let condition = match if_match {
        IfMatch::Absent => None,
        IfMatch::Any => Some("\"*\"".to_owned()),
        IfMatch::Etag(etag) => Some(format!("\"{etag}\"")),
        IfMatch::Raw(text) => Some(text.to_owned()),
    };
    let mark = if path.contains('?') { '&' } else { '?' };
    Request {
        method,
        target: format!("{path}{mark}api-version={API_VERSION}"),
        authorization: target.authorization(),
        headers: condition.into_iter().map(|text| (IF_MATCH, text)).collect(),
        body: body.unwrap_or_default(),
    }
}

/// `/devices/{d}[/modules/{m}]`, encoded.
pub(crate) fn identity_path(identity: &Identity) -> String {
    path("devices", identity)
}

/// `/twins/{d}[/modules/{m}]`, encoded.
pub(crate) fn twin_path(identity: &Identity) -> String {
    path("twins", identity)
}

/// `/configurations/{id}`, encoded.
pub(crate) fn configuration_path(id: &str) -> String {
    format!("/configurations/{}", percent::encode(id))
}

fn path(collection: &str, identity: &Identity) -> String {
    let device = percent::encode(&identity.device);
    match &identity.module {
        None => format!("/{collection}/{device}"),
        Some(module) => format!("/{collection}/{device}/modules/{}", percent::encode(module)),
    }
}
