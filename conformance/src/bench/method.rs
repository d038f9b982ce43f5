//! Method calls of a back end, which stay open until a device answers, and the device's side.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;
use twinspec_model::wire::mqtt::{Packet, Publish, Qos};
use twinspec_model::wire::topic::{DeviceTopic, Filter};

use super::service::{twin_path, unanswered};
use super::{ANSWER, Bench, Connection, Registered};
use crate::verdict::{Checked, Stop};

/// The longest a call may stay open: the largest timeouts that a hub takes, and a margin.
const OPEN_MAX: Duration = Duration::from_secs(660);

/// A method call on its way; it is broken off when dropped.
pub struct Invocation {
    task: JoinHandle<Checked<Answer>>,
    identity: Identity,
}

impl Invocation {
    /// Whether there is no answer yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Drop for Invocation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A method call as it reached a device.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodRequest {
    /// The whole topic.
    pub topic: String,
    /// Method name: the level of the topic that holds it.
    pub name: String,
    /// Request id; empty when the topic has none.
    pub rid: String,
    /// Quality of service it came with.
    pub qos: Qos,
    /// The body.
    pub body: Bytes,
}

impl MethodRequest {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Bench {
    /// Calls a method with the run's credentials and does not wait for the answer.
    pub async fn invoke(&self, identity: &Identity, body: &Value) -> Invocation {
        self.invoke_text(identity, body.to_string()).await
    }

    /// Like [`Self::invoke`] with the text of the body, for calls in which it matters.
    pub async fn invoke_text(&self, identity: &Identity, body: String) -> Invocation {
        let path = format!("{}/methods", twin_path(identity));
        let mut request = self.request(Method::POST, &path, None);
        request.body = Bytes::from(body);
        let (target, recorder) = (Arc::clone(&self.target), self.recorder.clone());
        let courtesy = self.courtesy.clone();
        courtesy.place().await;
        let task = tokio::spawn(async move {
            let mut attempt = 0;
            loop {
                let answer = target.operator.call(&request, OPEN_MAX, &recorder).await;
                let answer = answer.map_err(|error| unanswered(&courtesy, &error))?;
                let asked = answer.header("retry-after");
                if !courtesy.again(answer.status.as_u16(), asked, attempt).await? {
                    return Ok(answer);
                }
                attempt += 1;
            }
        });
        Invocation { task, identity: identity.clone() }
    }

    /// Waits for the answer to a call that is due, whatever it is.
    ///
    /// # Errors
    /// Blames `requirement` when there is none, while the hub answers other requests.
    pub async fn outcome(
        &mut self,
        requirement: &'static str,
        mut call: Invocation,
    ) -> Checked<Answer> {
        let wait = self.budget(ANSWER);
        match timeout(wait, &mut call.task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(Stop::Harness(error.to_string())),
            Err(_) => {
                self.read_twin(&call.identity).await?;
                Err(Stop::Broken {
                    requirement,
                    allowed: "an answer to the method call".to_owned(),
                    seen: format!("none within {wait:?}, while the hub answers other requests"),
                })
            }
        }
    }

    /// Connects `who` and subscribes to all methods.
    ///
    /// # Errors
    /// When the hub does not accept.
    pub async fn connect_for_methods(&mut self, who: &Registered) -> Checked<Connection> {
        let mut connection = self.connect(who).await?;
        connection.subscribe(&Filter::Methods { name: None }, Qos::AtMostOnce).await?;
        self.settle().await;
        Ok(connection)
    }
}

impl Connection {
    /// Waits for the next method request.
    ///
    /// # Errors
    /// Blames `requirement` when none comes.
    pub async fn method_request(&mut self, requirement: &'static str) -> Checked<MethodRequest> {
        self.expect(requirement, "a request on $iothub/methods/POST/…", method_request).await
    }

    /// Answers a method request at QoS 0.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when the connection is broken.
    pub async fn respond(&mut self, request: &MethodRequest, status: i64, body: &str) -> Checked {
        let topic = DeviceTopic::MethodResponse { status, rid: request.rid.clone() };
        self.publish(&topic.to_topic(), body).await
    }
}

/// Reads any topic below that of methods: what is wrong with it is for the case to say.
fn method_request(packet: &Packet) -> Option<MethodRequest> {
    let Packet::Publish(Publish { topic, payload, delivery, .. }) = packet else {
        return None;
    };
    let rest = topic.strip_prefix("$iothub/methods/POST/")?;
    let name = rest.split('/').next().unwrap_or_default();
    let rid = rest.split_once("$rid=").map_or("", |(_, rid)| rid);
    Some(MethodRequest {
        topic: topic.clone(),
        name: name.to_owned(),
        rid: rid.to_owned(),
        qos: delivery.qos(),
        body: payload.clone(),
    })
}
