//! A look at the target before any case runs: is there a hub, does it speak, does it know us?
//!
//! Without it, a wrong port would show as a hundred cases without a verdict.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tokio::time::Instant;
use twinspec_harness::device::{Device, Seen};
use twinspec_harness::operator::{Answer, Request};
use twinspec_harness::trace::Recorder;
use twinspec_model::identity::Identity;
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::{Connect, Packet};

use crate::bench::{Bench, IfMatch, Leftovers, service_request, twin_path};
use crate::pace::THROTTLED_MAX;
use crate::target::Target;
use crate::verdict::Stop;

/// How long each of the two endpoints may take, before the patience factor.
const WAIT: Duration = Duration::from_secs(5);

/// Looks at both endpoints.
///
/// # Errors
/// A sentence that says which endpoint is unusable and why.
pub async fn check(target: &Arc<Target>) -> Result<(), String> {
    check_and_tell(target, |_| {}).await
}

/// Like [`check`], and tells `tell` what the looking waits for.
///
/// # Errors
/// A sentence that says which endpoint is unusable and why.
pub async fn check_and_tell(target: &Arc<Target>, tell: impl Fn(&str)) -> Result<(), String> {
    set_clock(target).await?;
    let service = async {
        check_service(target, &tell).await?;
        check_rights(target, &tell).await
    };
    let (service, device) = tokio::join!(service, check_device(target));
    service.and(device)
}

/// Whether both endpoints still answer, be it with a refusal.
///
/// # Errors
/// A sentence that says which endpoint is gone.
pub async fn is_alive(target: &Arc<Target>) -> Result<(), String> {
    let service = async {
        let answer = ask(target, Method::GET, &harmless_path(target)).await?;
        if answer.status.is_server_error() {
            return Err(format!("no usable hub at {}: {answer}", target.http));
        }
        Ok(())
    };
    let (service, device) = tokio::join!(service, check_device(target));
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
    let answer = control.call(&request, target.stretched(WAIT), &Recorder::new(false)).await;
    let answer = answer.map_err(|error| format!("no usable control interface: {error}"))?;
    let body = answer.json();
    let now = body.get("now").and_then(Value::as_str).and_then(Time::parse);
    let now = now.ok_or_else(|| format!("the control interface tells no time: {answer}"))?;
    target.clock.advance(now.since(target.clock.now()));
    Ok(())
}

async fn check_service(target: &Target, tell: &impl Fn(&str)) -> Result<(), String> {
    let path = harmless_path(target);
    let answer = settled(target, &Method::GET, &path, tell).await?;
    match answer.status.as_u16() {
        200 => Ok(()),
        401 | 403 => Err(format!(
            "the hub at {} refuses the connection string's policy or key: {answer}",
            target.http
        )),
        _ => Err(format!(
            "the service at {} does not answer like a hub; GET {path} gave {answer}",
            target.http
        )),
    }
}

/// Looks whether the policy may do what the cases do, by what concerns a device that does not exist:
/// without the right to, a policy is refused before the hub looks for the device. It is only told of,
/// for a hub may as well be wrong.
///
/// Where the devices were made beforehand the first look has shown enough: nothing is registered.
async fn check_rights(target: &Target, tell: &impl Fn(&str)) -> Result<(), String> {
    if !target.pool.is_empty() {
        return Ok(());
    }
    let nobody = Identity::device(target.new_name());
    for (right, method, path) in [
        ("ServiceConnect", Method::GET, twin_path(&nobody)),
        ("RegistryWrite", Method::DELETE, format!("/devices/{}", nobody.device)),
    ] {
        let answer = settled(target, &method, &path, tell).await?;
        if matches!(answer.status.as_u16(), 401 | 403) {
            tell(&format!(
                "the connection string's policy seems to lack the right {right}: the hub at {} gave \
                 {answer} to {method} {path}, a device that does not exist; without a policy that has \
                 all rights, such as iothubowner, cases fail that are not about rights",
                target.http
            ));
        }
    }
    Ok(())
}

/// The answer to a request without a body, when the hub throttles no longer and is well.
async fn settled(
    target: &Target,
    method: &Method,
    path: &str,
    tell: &impl Fn(&str),
) -> Result<Answer, String> {
    let courtesy = target.courtesy();
    let mut attempt = 0;
    loop {
        let answer = ask(target, method.clone(), path).await?;
        let (status, asked) = (answer.status.as_u16(), answer.header("retry-after"));
        if courtesy.recovers(status, asked, attempt).await {
            attempt += 1;
            continue;
        }
        if status == 429 && attempt == 0 {
            tell(&format!(
                "the hub at {} throttles: it is asked again for up to {} seconds",
                target.http,
                THROTTLED_MAX.as_secs()
            ));
        }
        match courtesy.again(status, asked, attempt).await {
            Ok(true) => attempt += 1,
            Ok(false) => return Ok(answer),
            Err(_) => {
                let waited = courtesy.held().as_secs();
                return Err(format!(
                    "the hub at {} throttles, still after {waited} seconds: {answer}",
                    target.http
                ));
            }
        }
    }
}

async fn ask(target: &Target, method: Method, path: &str) -> Result<Answer, String> {
    let if_match = if method == Method::DELETE { IfMatch::Any } else { IfMatch::Absent };
    let request = service_request(target, method, path, if_match, None);
    let wait = target.stretched(WAIT);
    let answer = target.operator.call(&request, wait, &Recorder::new(false)).await;
    answer.map_err(|error| format!("no usable hub at {}: {error}", target.http))
}

/// What every hub answers with 200: one with a pool of devices may have no registry.
fn harmless_path(target: &Target) -> String {
    match target.pool.example() {
        Some(device) => twin_path(device),
        None => "/devices?top=1".to_owned(),
    }
}

/// Sends a CONNECT without credentials: a hub refuses it, in MQTT.
async fn check_device(target: &Arc<Target>) -> Result<(), String> {
    let (at, wait) = (&target.mqtt, target.stretched(WAIT));
    let recorder = Recorder::new(false);
    let device = Device::open("preflight", at, &target.trust, wait, recorder).await;
    let mut device = device.map_err(|error| format!("no usable hub at {at}: {error}"))?;
    let mut connect = Connect::new("twinspec-preflight");
    connect.user_name = Some(format!("{}/twinspec-preflight", target.credentials.host));
    connect.password = Some(Bytes::from_static(b"none"));
    let sent = device.send(&Packet::Connect(Box::new(connect))).await;
    let seen = match sent {
        Ok(()) => device.next(Instant::now() + wait).await,
        Err(_) => Some(Seen::Closed),
    };
    match seen {
        Some(Seen::Packet(Packet::ConnAck(_))) => Ok(()),
        Some(Seen::Closed) => check_login(target).await,
        Some(other) => Err(format!("the service at {at} does not speak MQTT, it sent {other}")),
        None => {
            Err(format!("{at} accepted the connection but answered no CONNECT within {wait:?}"))
        }
    }
}

/// Connects a device that the hub knows: a hub that closes on strangers without a word is one all
/// the same, and a port that closes on everybody is none.
async fn check_login(target: &Arc<Target>) -> Result<(), String> {
    let mut bench = Bench::new(Arc::clone(target), Leftovers::default());
    let attempt = async {
        let who = bench.device().await?;
        let login = bench.login(&who);
        bench.connect_with("preflight", &login).await.map(drop)
    };
    let result = attempt.await;
    bench.clean_up().await;
    let why = match result {
        Ok(()) => return Ok(()),
        Err(Stop::Broken { allowed, seen, .. }) => format!("wanted {allowed}, saw {seen}"),
        Err(Stop::Unsupported(why) | Stop::Inconclusive(why) | Stop::Harness(why)) => why,
    };
    Err(format!(
        "{} accepts connections and closes them without an answer to a CONNECT, also when a \
         registered device connects: {why}",
        target.mqtt
    ))
}
