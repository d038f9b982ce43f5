//! Device jobs of 2016: the back end's calls, and a scripted device over LWM2M.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use twinspec_harness::lwm2m::Link;
use twinspec_harness::operator::Answer;
use twinspec_model::auth;
use twinspec_model::wire::coap::{Code, Message};
use twinspec_model::wire::percent;

use super::{ALIVE, Bench, JobHistory, Registered, is_over, status};
use crate::verdict::{Checked, Stop};

/// The only version that has them.
const API_VERSION: &str = "2016-04-25-preview";

/// How long a job may take that has nothing to wait for.
const JOB_END: Duration = Duration::from_secs(30);

/// Every status (FW-A04).
const STATUSES: [&str; 6] = ["unknown", "enqueued", "running", "completed", "failed", "cancelled"];

impl Bench {
    /// A call at the version of the device jobs.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when there is no answer at all.
    pub async fn device_job_call(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Checked<Answer> {
        let mut request = self.request(method, path, body);
        request.target = format!("{path}?api-version={API_VERSION}");
        self.exchange(&request).await
    }

    /// Starts a job that must be accepted; `parameters` are the `jobParameters`.
    ///
    /// # Errors
    /// When it is not (`requirement`).
    pub async fn start_device_job(
        &mut self,
        requirement: &'static str,
        parameters: &Value,
    ) -> Checked<String> {
        let id = self.target.new_name();
        let body = json!({ "jobId": id, "jobParameters": parameters });
        let path = format!("/jobs/v2/{}", percent::encode(&id));
        let answer = self.device_job_call(Method::PUT, &path, Some(&body)).await?;
        if answer.status.is_success() {
            return Ok(id);
        }
        let allowed = "2xx with the new job".to_owned();
        Err(Stop::Broken { requirement, allowed, seen: answer.to_string() })
    }

    /// Reads a job that must be there, and judges its status.
    ///
    /// # Errors
    /// When it cannot be read (FW-A04).
    pub async fn read_device_job(&mut self, id: &str) -> Checked<Value> {
        let path = format!("/jobs/v2/{}", percent::encode(id));
        let answer = self.device_job_call(Method::GET, &path, None).await?;
        let job = answer.json();
        if answer.status.as_u16() != 200 || !job.is_object() {
            return Err(Stop::Broken {
                requirement: "FW-A04",
                allowed: "200 with the job".to_owned(),
                seen: answer.to_string(),
            });
        }
        let is_known = STATUSES.contains(&status(&job));
        self.demand("FW-A04", is_known, STATUSES.join(", "), job.to_string());
        Ok(job)
    }

    /// Reads a job until it has ended, or the budget is used up.
    ///
    /// # Errors
    /// When it cannot be read (FW-A04).
    pub async fn watch_device_job(&mut self, id: &str) -> Checked<JobHistory> {
        let deadline = Instant::now() + self.budget(JOB_END);
        let mut readings = Vec::new();
        loop {
            let job = self.read_device_job(id).await?;
            let ends = is_over(&job) || Instant::now() >= deadline;
            readings.push(job);
            if ends {
                return Ok(JobHistory { readings });
            }
            self.look_again().await;
        }
    }

    /// Every job that the hub lists whose id or parent is `id`.
    ///
    /// # Errors
    /// When they cannot be listed (FW-A01).
    pub async fn device_jobs_of(&mut self, id: &str) -> Checked<Vec<Value>> {
        let answer = self.device_job_call(Method::GET, "/jobs/v2", None).await?;
        let Value::Array(jobs) = answer.json() else {
            return Err(Stop::Broken {
                requirement: "FW-A01",
                allowed: "200 with an array of jobs".to_owned(),
                seen: answer.to_string(),
            });
        };
        let is_of = |job: &Value, name: &str| job.get(name).is_some_and(|value| value == id);
        let belongs = |job: &Value| is_of(job, "jobId") || is_of(job, "parentJobId");
        Ok(jobs.into_iter().filter(belongs).collect())
    }

    /// A registered LWM2M connection of `who`.
    ///
    /// # Errors
    /// [`Stop::Unsupported`] when the target has no such endpoint, [`Stop::Inconclusive`] when the
    /// device is not let in.
    pub async fn lwm2m(&mut self, who: &Registered) -> Checked<Lwm2m> {
        let address = self.target.hub().and_then(|hub| hub.addresses().lwm2m);
        let address = address
            .ok_or_else(|| Stop::Unsupported("the target has no LWM2M endpoint".to_owned()))?;
        let name = &who.identity.device;
        let (trust, recorder) = (self.target.trust.clone(), self.recorder.clone());
        let link = Link::open(name, ("localhost", address.port()), &trust, recorder).await;
        let mut lwm2m = Lwm2m {
            link: link.map_err(|error| Stop::Inconclusive(error.to_string()))?,
            wait: self.budget(super::ANSWER),
            alive: self.budget(ALIVE),
            values: [("/5/0/3", "1"), ("/5/0/5", "0"), ("/3/0/3", "1.0")]
                .map(|(path, value)| (path.to_owned(), value.to_owned()))
                .into(),
            observers: BTreeMap::new(),
            early: VecDeque::new(),
            sentinels: 0,
        };
        let token = auth::sign(&who.key, self.host(), self.in_an_hour(), None).unwrap_or_default();
        lwm2m.register(name, &token).await?;
        Ok(lwm2m)
    }
}

/// A scripted device: it answers observations by itself, and nothing else.
pub struct Lwm2m {
    link: Link,
    wait: Duration,
    alive: Duration,
    /// What it says of itself, by path.
    values: BTreeMap<String, String>,
    /// Token and count of notifications, by path.
    observers: BTreeMap<String, (Vec<u8>, u32)>,
    /// Requests that came while something else was awaited.
    early: VecDeque<Asked>,
    sentinels: u32,
}

/// What a hub asked of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `GET`, `PUT` or `POST` in words of LWM2M.
    pub operation: &'static str,
    /// The resource.
    pub path: String,
    /// What is written.
    pub value: String,
    token: Vec<u8>,
}

impl Asked {
    /// Operation, path and value as one text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{} {} {}", self.operation, self.path, self.value).trim_end().to_owned()
    }
}

/// The token of the registration.
const REGISTRATION: [u8; 4] = [0, 0, 0, 1];

impl Lwm2m {
    async fn register(&mut self, device: &str, token: &str) -> Checked {
        let mut message = Message::new(Code::POST, &REGISTRATION);
        message.path = vec!["rd".to_owned()];
        let query = format!("ep={device}&b=T&tk={token}");
        message.query = query.split('&').map(str::to_owned).collect();
        message.payload = Bytes::from_static(b"</>;rt=\"oma.lwm2m\",</3/0>,</5/0>,</10241/0>");
        self.send(&message).await?;
        let answer = self.until(&REGISTRATION).await?;
        if answer.code == Code::CREATED {
            return Ok(());
        }
        Err(Stop::Inconclusive(format!("the registration was answered with {}", answer.code)))
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.link.close().await;
    }

    /// The next request other than an observation; none when none comes in time.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn asked(&mut self) -> Checked<Option<Asked>> {
        let deadline = Instant::now() + self.wait;
        while self.early.is_empty() {
            let Some(message) = self.receive(deadline).await? else { return Ok(None) };
            self.take(message).await?;
        }
        Ok(self.early.pop_front())
    }

    /// The next request, which must be `expected`.
    ///
    /// # Errors
    /// When it is another one, or none comes (`requirement`).
    pub async fn expect(&mut self, requirement: &'static str, expected: &str) -> Checked<Asked> {
        let asked = self.asked().await?;
        let seen = asked.as_ref().map_or_else(|| "no request".to_owned(), Asked::text);
        match asked {
            Some(asked) if seen == expected => Ok(asked),
            _ => Err(Stop::Broken { requirement, allowed: expected.to_owned(), seen }),
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn answer(&mut self, asked: &Asked, code: Code, value: &str) -> Checked {
        let mut message = Message::new(code, &asked.token);
        message.payload = Bytes::from(value.to_owned());
        self.send(&message).await
    }

    /// Tells the hub a new value of what it observes.
    ///
    /// # Errors
    /// When the hub does not observe it.
    pub async fn notify(&mut self, path: &str, value: &str) -> Checked {
        self.values.insert(path.to_owned(), value.to_owned());
        let deadline = Instant::now() + self.wait;
        while !self.observers.contains_key(path) {
            let Some(message) = self.receive(deadline).await? else {
                return Err(Stop::Inconclusive(format!("the hub does not observe {path}")));
            };
            self.take(message).await?;
            // The value went out with the answer to the observation.
            if self.observers.contains_key(path) {
                return Ok(());
            }
        }
        let Some((token, told)) = self.observers.get_mut(path) else { return Ok(()) };
        *told += 1;
        let mut message = Message::new(Code::CONTENT, token);
        message.observe = Some(*told);
        message.payload = Bytes::from(value.to_owned());
        self.send(&message).await
    }

    /// What the hub had asked before it answered a message that was sent now: nothing else can be
    /// under way.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub async fn asked_so_far(&mut self) -> Checked<Vec<Asked>> {
        self.sentinels += 1;
        let token = [&[0xff][..], &self.sentinels.to_be_bytes()].concat();
        let mut message = Message::new(Code::GET, &token);
        message.path = vec!["sentinel".to_owned()];
        self.send(&message).await?;
        self.until(&token).await?;
        Ok(self.early.drain(..).collect())
    }

    async fn send(&mut self, message: &Message) -> Checked {
        let sent = self.link.send(message).await;
        sent.map_err(|error| Stop::Inconclusive(format!("the connection broke: {error}")))
    }

    async fn receive(&mut self, deadline: Instant) -> Checked<Option<Message>> {
        let received = self.link.receive(deadline).await;
        received.map_err(|error| Stop::Inconclusive(format!("the connection broke: {error}")))
    }

    /// Waits for the answer to the message with `token`.
    async fn until(&mut self, token: &[u8]) -> Checked<Message> {
        let deadline = Instant::now() + self.alive.max(self.wait);
        while let Some(message) = self.receive(deadline).await? {
            if !message.code.is_request() && message.token == token {
                return Ok(message);
            }
            self.take(message).await?;
        }
        Err(Stop::Inconclusive("the hub does not answer over LWM2M".to_owned()))
    }

    async fn take(&mut self, message: Message) -> Checked {
        let operation = match message.code {
            Code::GET => "read",
            Code::PUT => "write",
            Code::POST => "execute",
            _ => return Ok(()),
        };
        let path = format!("/{}", message.path.join("/"));
        if message.observe == Some(0) {
            let mut answer = Message::new(Code::CONTENT, &message.token);
            answer.observe = Some(0);
            answer.payload = Bytes::from(self.values.get(&path).cloned().unwrap_or_default());
            self.observers.insert(path, (message.token, 0));
            return self.send(&answer).await;
        }
        let value = message.text().to_owned();
        self.early.push_back(Asked { operation, path, value, token: message.token });
        Ok(())
    }
}
