//! What a method request looks like on the wire (HUB-METH-001, HUB-SESS-006).

use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::wire::mqtt::Qos;
use twinspec_model::wire::topic::Filter;

use crate::bench::{Bench, Connection, Invocation, MethodRequest, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "method-request-topic",
        title: "A method request comes on the topic of its name with a request id",
        requirements: &["HUB-METH-001"],
        needs: &[],
        run: body!(request_topic),
    },
    Case {
        id: "method-request-name-kept",
        title: "Method names reach the device letter by letter",
        requirements: &["HUB-METH-001"],
        needs: &[],
        run: body!(request_name_kept),
    },
    Case {
        id: "method-request-qos",
        title: "A method request comes at QoS 0 although QoS 1 was granted",
        requirements: &["HUB-SESS-006"],
        needs: &[],
        run: body!(request_qos),
    },
];

async fn request_topic(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    let call = bench.invoke(&line.who.identity, &call("reboot", &json!({ "delay": 5 }))).await;
    let request = line.connection.method_request("HUB-METH-001").await?;
    let allowed = format!("$iothub/methods/POST/reboot/?$rid={}", request.rid);
    bench.equal("HUB-METH-001", "topic", &allowed, &request.topic);
    bench.demand("HUB-METH-001", !request.rid.is_empty(), "a request id", &*request.topic);
    line.connection.respond(&request, 200, "{}").await?;
    let answer = bench.outcome("HUB-METH-004", call).await?;
    bench.equal("HUB-METH-004", "HTTP status", 200, answer.status.as_u16());
    Ok(())
}

async fn request_name_kept(bench: &mut Bench) -> Checked {
    let mut line = Line::open(bench).await?;
    // A component's command is written with a star (Plug and Play).
    for name in ["getReport", "GetReport", "get-report_2.v1", "thermostat1*getMaxMinReport"] {
        let body = call(name, &json!(1));
        let exchange = line.exchange(bench, "HUB-METH-001", &body, (200, "null")).await?;
        bench.equal("HUB-METH-001", "method name", name, &exchange.request.name);
    }
    Ok(())
}

async fn request_qos(bench: &mut Bench) -> Checked {
    let who = bench.device().await?;
    let mut connection = bench.connect(&who).await?;
    connection.subscribe(&Filter::Methods { name: None }, Qos::AtLeastOnce).await?;
    bench.settle().await;
    let mut line = Line { who, connection };
    let body = call("reboot", &json!(null));
    let exchange = line.exchange(bench, "HUB-METH-001", &body, (200, "null")).await?;
    bench.equal("HUB-SESS-006", "quality of service", Qos::AtMostOnce, exchange.request.qos);
    Ok(())
}

/// A device or module that listens to methods.
pub(super) struct Line {
    pub(super) who: Registered,
    pub(super) connection: Connection,
}

/// A call that was delivered and answered.
pub(super) struct Exchange {
    pub(super) request: MethodRequest,
    pub(super) answer: Answer,
}

impl Line {
    /// A new device that listens.
    pub(super) async fn open(bench: &mut Bench) -> Checked<Self> {
        let device = bench.device().await?;
        Self::of(bench, device).await
    }

    /// `who`, connected and listening.
    pub(super) async fn of(bench: &mut Bench, who: Registered) -> Checked<Self> {
        let connection = bench.connect_for_methods(&who).await?;
        Ok(Self { who, connection })
    }

    /// A call to this one, not yet delivered.
    pub(super) async fn call(&mut self, bench: &Bench, body: &Value) -> Invocation {
        bench.invoke(&self.who.identity, body).await
    }

    /// Makes a call, lets it be answered with `reply` (status and body) and returns both sides.
    ///
    /// Blames `requirement` when it is not delivered or not answered.
    pub(super) async fn exchange(
        &mut self,
        bench: &mut Bench,
        requirement: &'static str,
        body: &Value,
        reply: (i64, &str),
    ) -> Checked<Exchange> {
        let call = self.call(bench, body).await;
        let request = self.connection.method_request(requirement).await?;
        self.connection.respond(&request, reply.0, reply.1).await?;
        let answer = bench.outcome(requirement, call).await?;
        Ok(Exchange { request, answer })
    }

    /// Demands that a call with `body` is delivered and succeeds.
    pub(super) async fn demand_served(
        &mut self,
        bench: &mut Bench,
        requirement: &'static str,
        body: &Value,
    ) -> Checked<MethodRequest> {
        let served = json!({ "served": body.get("methodName") });
        let reply = (200, &*served.to_string());
        let Exchange { request, answer } = self.exchange(bench, requirement, body, reply).await?;
        demand_answered(bench, requirement, &answer, &json!({ "status": 200, "payload": served }));
        Ok(request)
    }

    /// Demands that nothing was delivered since: the next request is that of a call made now.
    pub(super) async fn demand_silence(
        &mut self,
        bench: &mut Bench,
        requirement: &'static str,
    ) -> Checked {
        let body = call("sentinel", &Value::Null);
        let call = self.call(bench, &body).await;
        let request = self.connection.method_request("HUB-METH-001").await?;
        let is_sentinel = request.name == "sentinel";
        bench.demand(requirement, is_sentinel, "no request before a later call", &*request.topic);
        if is_sentinel {
            self.connection.respond(&request, 200, "null").await?;
            bench.outcome("HUB-METH-004", call).await?;
        }
        Ok(())
    }
}

/// The body of a call.
///
/// It has a connect timeout: a hub may not know for a moment where a device has just connected
/// (hub-methods.md § 4).
pub(super) fn call(name: &str, payload: &Value) -> Value {
    json!({ "methodName": name, "payload": payload, "connectTimeoutInSeconds": 30 })
}

/// `body` with another member.
pub(super) fn with(mut body: Value, member: &str, value: impl Into<Value>) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.insert(member.to_owned(), value.into());
    }
    body
}

/// Demands HTTP 200 with `body`.
pub(super) fn demand_answered(
    bench: &mut Bench,
    requirement: &'static str,
    answer: &Answer,
    body: &Value,
) -> bool {
    let holds = answer.status.as_u16() == 200 && answer.json() == *body;
    bench.demand(requirement, holds, format!("HTTP 200 {body}"), answer.to_string())
}

/// Demands the error `number`, named by its number or its name, in header or body.
pub(super) fn demand_error(
    bench: &mut Bench,
    requirement: &'static str,
    answer: &Answer,
    (number, name): (u32, &str),
) -> bool {
    let status = number / 1000;
    let text = String::from_utf8_lossy(&answer.body);
    let header = answer.header("iothub-errorcode");
    let named = text.contains(&number.to_string()) || text.contains(name) || header == Some(name);
    let holds = u32::from(answer.status.as_u16()) == status && named;
    let seen = format!("{answer}, iothub-errorcode {}", header.unwrap_or("none"));
    bench.demand(requirement, holds, format!("HTTP {status} with {number} {name}"), seen)
}

/// Demands HTTP 400.
pub(super) fn demand_bad_request(
    bench: &mut Bench,
    requirement: &'static str,
    what: &str,
    answer: &Answer,
) -> bool {
    let holds = answer.status.as_u16() == 400;
    bench.demand(requirement, holds, format!("HTTP 400 for {what}"), answer.to_string())
}

/// The error of a device that is not there or does not listen.
pub(super) const NOT_ONLINE: (u32, &str) = (404_103, "DeviceNotOnline");
