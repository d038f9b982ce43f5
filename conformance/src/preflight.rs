//! A look at the target before any case runs: is there a hub, does it speak, does it know us?
//!
//! Without it, a wrong port would show as a hundred cases without a verdict.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tokio::time::Instant;
use twinspec_harness::device::{Device, Seen};
use twinspec_harness::operator::Request;
use twinspec_harness::trace::Recorder;
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::{Connect, Packet};

use crate::bench::IfMatch;
use crate::bench::service_request;
use crate::pace::back_off;
use crate::target::Target;

/// How long each of the two endpoints may take.
const WAIT: Duration = Duration::from_secs(5);

/// Looks at both endpoints.
///
/// # Errors
/// A sentence that says which endpoint is unusable and why.
pub async fn check(target: &Target) -> Result<(), String> {
    set_clock(target).await?;
    let (service, device) = tokio::join!(check_service(target), check_device(target));
    service.and(device)
}

/// Reads the hub's clock through the control interface: an earlier run may have moved it, and tokens
/// must be valid by it.
async fn set_clock(target: &Target) -> Result<(), String> {
    let Some(control) = &target.control else { return Ok(()) };
    let request = Request {
        method: Method::GET,
        target: "/clock".to_owned(),
        authorization: None,
        headers: Vec::new(),
        body: Bytes::new(),
    };
    let answer = control.call(&request, WAIT, &Recorder::new(false)).await;
    let answer = answer.map_err(|error| format!("no usable control interface: {error}"))?;
    let body = answer.json();
    let now = body.get("now").and_then(Value::as_str).and_then(Time::parse);
    let now = now.ok_or_else(|| format!("the control interface tells no time: {answer}"))?;
    target.clock.advance(now.since(target.clock.now()));
    Ok(())
}

async fn check_service(target: &Target) -> Result<(), String> {
    let request = service_request(target, Method::GET, "/devices?top=1", IfMatch::Absent, None);
    let mut attempt = 0;
    let answer = loop {
        let answer = target.operator.call(&request, WAIT, &Recorder::new(false)).await;
        let answer =
            answer.map_err(|error| format!("no usable hub at {}: {error}", target.http))?;
        if !back_off(&answer, attempt).await {
            break answer;
        }
        attempt += 1;
    };
    match answer.status.as_u16() {
        200 => Ok(()),
        401 | 403 => Err(format!(
            "the hub at {} refuses the connection string's policy or key: {answer}",
            target.http
        )),
        _ => Err(format!(
            "the service at {} does not answer like a hub; GET /devices?top=1 gave {answer}",
            target.http
        )),
    }
}

/// Sends a CONNECT without credentials: a hub refuses it, in MQTT.
async fn check_device(target: &Target) -> Result<(), String> {
    let at = &target.mqtt;
    let recorder = Recorder::new(false);
    let device = Device::open("preflight", at, &target.trust, WAIT, recorder).await;
    let mut device = device.map_err(|error| format!("no usable hub at {at}: {error}"))?;
    let mut connect = Connect::new("twinspec-preflight");
    connect.user_name = Some(format!("{}/twinspec-preflight", target.credentials.host));
    connect.password = Some(Bytes::from_static(b"none"));
    let sent = device.send(&Packet::Connect(Box::new(connect))).await;
    sent.map_err(|error| format!("no usable hub at {at}: {error}"))?;
    match device.next(Instant::now() + WAIT).await {
        Some(Seen::Packet(Packet::ConnAck(_)) | Seen::Closed) => Ok(()),
        Some(other) => Err(format!("the service at {at} does not speak MQTT, it sent {other}")),
        None => {
            Err(format!("{at} accepted the connection but answered no CONNECT within {WAIT:?}"))
        }
    }
}
