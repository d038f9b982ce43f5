//! The composed hub in memory: no sockets, any clock.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth;
use crate::wire::mqtt::{Connect, Delivery, PacketId, Publish, Qos, Subscribe};

mod configuration;
mod device_job;
mod job;
mod query;

const HOST: &str = "hub.example";

/// A hub with a clock of its own.
struct Bench {
    hub: Hub,
    now: Time,
}

impl Bench {
    fn new() -> Self {
        Self {
            hub: Hub::new(HubConfig::new(HOST, [7; 32])),
            now: Time::from_unix_seconds(1_900_000_000),
        }
    }

    fn call(&mut self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        self.versioned(method, path, "2021-04-12", body)
    }

    fn versioned(
        &mut self,
        method: Method,
        path: &str,
        version: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let policy = self.hub.policies().first().unwrap();
        let expiry = self.now.after(Duration::from_secs(60));
        let token = auth::sign(&policy.primary_key, HOST, expiry, Some(&policy.name)).unwrap();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{path}?api-version={version}"))
            .header(http::header::AUTHORIZATION, token)
            .body(Bytes::from(body.to_string()))
            .unwrap();
        let outputs = self.hub.handle(self.now, Input::Request(ExchangeId(0), request));
        match outputs.into_iter().last() {
            Some(Output::Respond(_, response)) => {
                let body = serde_json::from_slice(response.body()).unwrap_or_default();
                (response.status(), body)
            }
            other => panic!("no answer but {other:?}"),
        }
    }

    fn device(&mut self, device: &str) -> String {
        let (status, body) = self.call(Method::PUT, &format!("/devices/{device}"), &json!({}));
        assert_eq!(status, StatusCode::OK, "{body}");
        body["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap().to_owned()
    }

    fn connect(&mut self, id: u64, device: &str, key: &str) -> Vec<Output> {
        let expiry = self.now.after(Duration::from_secs(3600));
        let token = auth::sign(key, &format!("{HOST}/devices/{device}"), expiry, None).unwrap();
        let mut connect = Connect::new(device);
        connect.user_name = Some(format!("{HOST}/{device}/?api-version=2021-04-12"));
        connect.password = Some(Bytes::from(token));
        let id = ConnectionId(id);
        self.hub.handle(self.now, Input::Opened(id, None));
        self.hub.handle(self.now, Input::Packet(id, Packet::Connect(Box::new(connect))))
    }

    fn packet(&mut self, id: u64, packet: Packet) -> Vec<Output> {
        self.hub.handle(self.now, Input::Packet(ConnectionId(id), packet))
    }

    fn subscribe(&mut self, id: u64, filter: &str, qos: Qos) {
        let filters = vec![(filter.to_owned(), qos)];
        self.packet(id, Packet::Subscribe(Subscribe { id: PacketId::MIN, filters }));
    }

    fn tick(&mut self, after: Duration) -> Vec<Output> {
        self.now = self.now.after(after);
        self.hub.handle(self.now, Input::Tick)
    }
}

fn accepted(outputs: &[Output]) -> bool {
    let is_accepted = |output: &Output| match output {
        Output::Send(_, Packet::ConnAck(answer)) => answer.code.number() == 0,
        _ => false,
    };
    outputs.iter().any(is_accepted)
}

fn closes(outputs: &[Output], id: u64) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Close(closed) if closed.0 == id))
}

#[test]
fn a_hundred_thousand_devices_live_in_one_hub() {
    let mut bench = Bench::new();
    for hundred in 0..1000 {
        let items: Vec<Value> =
            (0..100).map(|n| json!({ "id": format!("d{:06}", hundred * 100 + n) })).collect();
        let (status, body) = bench.call(Method::POST, "/devices", &json!(items));
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    let (_, statistics) = bench.call(Method::GET, "/statistics/devices", &Value::Null);
    assert_eq!(statistics["totalDeviceCount"], 100_000);
    let (status, twin) = bench.call(Method::GET, "/twins/d099999", &Value::Null);
    assert_eq!((status, &twin["deviceId"]), (StatusCode::OK, &json!("d099999")));
}

#[test]
fn the_hub_asks_for_a_tick_when_a_silent_client_is_due() {
    let mut bench = Bench::new();
    let key = bench.device("d");
    assert!(accepted(&bench.connect(1, "d", &key)));
    let due = bench.hub.next_deadline().unwrap();
    assert_eq!(due.since(bench.now), Duration::from_secs(30));
    assert!(!closes(&bench.tick(Duration::from_secs(89)), 1));
    assert!(closes(&bench.tick(Duration::from_secs(2)), 1));
    assert_eq!(bench.hub.next_deadline(), None);
}

#[test]
fn an_unacknowledged_message_is_sent_again_with_dup_on_the_next_connection() {
    let mut bench = Bench::new();
    let key = bench.device("d");
    bench.connect(1, "d", &key);
    bench.subscribe(1, "devices/d/messages/devicebound/#", Qos::AtLeastOnce);
    let body = Bytes::from_static(b"hello");
    let message = crate::message::DeviceBound { properties: Vec::new(), body, expiry: None };
    let sent = bench.hub.send_to_device(bench.now, "d", message).unwrap();
    let [Output::Send(_, Packet::Publish(first))] = sent.as_slice() else { panic!("{sent:?}") };
    bench.hub.handle(bench.now, Input::Closed(ConnectionId(1)));
    let outputs = bench.connect(2, "d", &key);
    let again = outputs.iter().find_map(|output| match output {
        Output::Send(_, Packet::Publish(publish)) => Some(publish.clone()),
        _ => None,
    });
    assert_eq!(again, Some(Publish { dup: true, ..first.clone() }));
    let Delivery::AtLeastOnce(id) = first.delivery else { panic!("{first:?}") };
    bench.packet(2, Packet::PubAck(id));
    bench.hub.handle(bench.now, Input::Closed(ConnectionId(2)));
    let outputs = bench.connect(3, "d", &key);
    assert!(!outputs.iter().any(|o| matches!(o, Output::Send(_, Packet::Publish(_)))));
}

#[test]
fn a_message_says_once_where_it_goes() {
    let mut bench = Bench::new();
    let key = bench.device("d");
    bench.connect(1, "d", &key);
    bench.subscribe(1, "devices/d/messages/devicebound/#", Qos::AtMostOnce);
    let elsewhere = ("$.to".to_owned(), Some("/devices/e/messages/devicebound".to_owned()));
    let properties = vec![elsewhere, ("led".to_owned(), Some("on".to_owned()))];
    let message =
        crate::message::DeviceBound { properties, body: Bytes::from_static(b"x"), expiry: None };
    let sent = bench.hub.send_to_device(bench.now, "d", message).unwrap();
    let [Output::Send(_, Packet::Publish(publish))] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(publish.topic.matches(".to=").count(), 1, "{}", publish.topic);
    assert!(publish.topic.contains("devices%2Fd%2F") && publish.topic.ends_with("led=on"));
}

/// Telemetry with a fault command, as SDK end-to-end tests send it.
fn fault(operation: &str, delay: u32, duration: u32) -> Packet {
    let bag = format!(
        "AzIoTHub_FaultOperationType={operation}&AzIoTHub_FaultOperationDelayInSecs={delay}\
         &AzIoTHub_FaultOperationDurationInSecs={duration}"
    );
    Packet::Publish(Publish::at_most_once(format!("devices/d/messages/events/{bag}"), ""))
}

#[test]
fn a_fault_command_cuts_the_link_after_its_delay() {
    let mut bench = Bench::new();
    let key = bench.device("d");
    bench.connect(1, "d", &key);
    assert!(!closes(&bench.packet(1, fault("KillTcp", 5, 0)), 1));
    assert!(!closes(&bench.tick(Duration::from_secs(4)), 1));
    assert!(closes(&bench.tick(Duration::from_secs(2)), 1));
    assert!(accepted(&bench.connect(2, "d", &key)));
}

#[test]
fn a_fault_command_keeps_the_device_out_for_its_duration() {
    let mut bench = Bench::new();
    let key = bench.device("d");
    bench.connect(1, "d", &key);
    bench.packet(1, fault("InvokeAuthError", 1, 20));
    assert!(closes(&bench.tick(Duration::from_secs(2)), 1));
    assert!(!accepted(&bench.connect(2, "d", &key)));
    bench.tick(Duration::from_secs(20));
    assert!(accepted(&bench.connect(3, "d", &key)));
}

#[test]
fn a_fault_command_throttles_twin_requests_for_its_duration() {
    let mut bench = Bench::new();
    let key = bench.device("d");
    bench.connect(1, "d", &key);
    bench.subscribe(1, "$iothub/twin/res/#", Qos::AtMostOnce);
    bench.packet(1, fault("InvokeThrottling", 0, 10));
    let mut status = || {
        let get = Publish::at_most_once("$iothub/twin/GET/?$rid=1", "");
        let outputs = bench.packet(1, Packet::Publish(get));
        let topic = outputs.into_iter().find_map(|output| match output {
            Output::Send(_, Packet::Publish(publish)) => Some(publish.topic),
            _ => None,
        });
        bench.tick(Duration::from_secs(11));
        topic
    };
    assert_eq!(status().as_deref(), Some("$iothub/twin/res/429/?$rid=1"));
    assert_eq!(status().as_deref(), Some("$iothub/twin/res/200/?$rid=1"));
}

#[test]
fn same_inputs_give_the_same_bytes() {
    let run = || {
        let mut bench = Bench::new();
        let key = bench.device("d");
        let mut outputs = bench.connect(1, "d", &key);
        bench.subscribe(1, "$iothub/twin/res/#", Qos::AtMostOnce);
        let get = Publish::at_most_once("$iothub/twin/GET/?$rid=1", "");
        outputs.extend(bench.packet(1, Packet::Publish(get)));
        (format!("{outputs:?}"), bench.call(Method::GET, "/twins/d", &Value::Null))
    };
    assert_eq!(run(), run());
}

/// What may happen to two connections of one device.
#[derive(Clone, Debug)]
enum Step {
    Connect(u64),
    Close(u64),
    Ping(u64),
    Wait(u64),
    Disable,
    Enable,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..4_u64).prop_map(Step::Connect),
        (1..4_u64).prop_map(Step::Close),
        (1..4_u64).prop_map(Step::Ping),
        (0..100_u64).prop_map(Step::Wait),
        Just(Step::Disable),
        Just(Step::Enable),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    /// Whatever happens, a device never has two connections, and what the registry shows is true.
    #[test]
    fn a_device_has_at_most_one_connection(steps in steps()) {
        let mut bench = Bench::new();
        let key = bench.device("d");
        let mut open = std::collections::BTreeSet::new();
        let mut next = 0;
        let mut ids = std::collections::BTreeMap::new();
        for step in steps {
            let outputs = match step {
                Step::Connect(slot) => {
                    next += 1;
                    ids.insert(slot, next);
                    let outputs = bench.connect(next, "d", &key);
                    if accepted(&outputs) {
                        open.insert(next);
                    }
                    outputs
                }
                Step::Close(slot) => {
                    let Some(id) = ids.get(&slot) else { continue };
                    open.remove(id);
                    bench.hub.handle(bench.now, Input::Closed(ConnectionId(*id)))
                }
                Step::Ping(slot) => {
                    let Some(id) = ids.get(&slot) else { continue };
                    bench.packet(*id, Packet::PingReq)
                }
                Step::Wait(seconds) => bench.tick(Duration::from_secs(seconds)),
                Step::Disable | Step::Enable => {
                    let status = if matches!(step, Step::Enable) { "enabled" } else { "disabled" };
                    let identity = Identity::device("d");
                    let body = json!({ "status": status }).to_string();
                    let mut outputs = Vec::new();
                    let any = service::IfMatch::Any;
                    let now = bench.now;
                    let written =
                        bench.hub.write_identity(now, &identity, &any, body.as_bytes(), &mut outputs);
                    prop_assert!(written.is_ok());
                    outputs
                }
            };
            open.retain(|id| !closes(&outputs, *id));
            prop_assert!(open.len() <= 1, "{open:?}");
            let (_, identity) = bench.call(Method::GET, "/devices/d", &Value::Null);
            let shown = identity["connectionState"] == "Connected";
            prop_assert_eq!(shown, !open.is_empty());
        }
    }
}

/// A call of the method `go`: the outputs right after it.
fn invoke(bench: &mut Bench, body: &Value) -> Vec<Output> {
    let policy = bench.hub.policies().first().unwrap();
    let expiry = bench.now.after(Duration::from_secs(60));
    let token = auth::sign(&policy.primary_key, HOST, expiry, Some(&policy.name)).unwrap();
    let request = http::Request::post("/twins/d/methods?api-version=2021-04-12")
        .header(http::header::AUTHORIZATION, token)
        .body(Bytes::from(body.to_string()))
        .unwrap();
    bench.hub.handle(bench.now, Input::Request(ExchangeId(9), request))
}

fn status_of(outputs: &[Output]) -> Option<u16> {
    outputs.iter().find_map(|output| match output {
        Output::Respond(_, response) => Some(response.status().as_u16()),
        _ => None,
    })
}

/// The request id of the method request among `outputs`.
fn rid_of(outputs: &[Output]) -> String {
    let topics = outputs.iter().filter_map(|output| match output {
        Output::Send(_, Packet::Publish(publish)) => Some(publish.topic.as_str()),
        _ => None,
    });
    let rids = topics.filter_map(|topic| topic.strip_prefix("$iothub/methods/POST/go/?$rid="));
    rids.last().unwrap().to_owned()
}

fn answer(rid: &str, status: &str, body: &'static str) -> Packet {
    Packet::Publish(Publish::at_most_once(
        format!("$iothub/methods/res/{status}/?$rid={rid}"),
        body,
    ))
}

#[test]
fn a_call_is_answered_with_the_devices_own_text_and_only_once() {
    let mut bench = Bench::new();
    let key = bench.device("d");
    bench.connect(1, "d", &key);
    bench.subscribe(1, "$iothub/methods/POST/#", Qos::AtMostOnce);
    let sent = invoke(&mut bench, &json!({ "methodName": "go", "payload": null }));
    assert_eq!(status_of(&sent), None);
    let rid = rid_of(&sent);
    let outputs = bench.packet(1, answer(&rid, "299", r#"{"b":1.50,"a":2}"#));
    let body = outputs.iter().find_map(|output| match output {
        Output::Respond(_, response) => Some(response.body().clone()),
        _ => None,
    });
    assert_eq!(body.as_deref(), Some(&br#"{"status":299,"payload":{"b":1.50,"a":2}}"#[..]));
    assert_eq!(status_of(&bench.packet(1, answer(&rid, "200", "{}"))), None);
    assert!(bench.hub.calls.is_empty());
}

#[test]
fn every_call_ends_one_way_or_another() {
    let mut bench = Bench::new();
    let key = bench.device("d");
    let call = |connect: u32| json!({ "methodName": "go", "connectTimeoutInSeconds": connect, "responseTimeoutInSeconds": 5 });
    assert_eq!(status_of(&invoke(&mut bench, &call(0))), Some(404));
    assert_eq!(status_of(&invoke(&mut bench, &call(10))), None);
    assert_eq!(status_of(&bench.tick(Duration::from_secs(11))), Some(404));
    assert_eq!(status_of(&invoke(&mut bench, &call(10))), None);
    bench.connect(1, "d", &key);
    bench.subscribe(1, "$iothub/methods/POST/go/#", Qos::AtMostOnce);
    assert_eq!(status_of(&bench.tick(Duration::from_secs(6))), Some(504));
    assert_eq!(status_of(&invoke(&mut bench, &call(0))), None);
    let closed = bench.hub.handle(bench.now, Input::Closed(ConnectionId(1)));
    assert_eq!(status_of(&closed), Some(404));
    bench.connect(2, "d", &key);
    let sent = invoke(&mut bench, &call(0));
    let rid = rid_of(&sent);
    assert_eq!(status_of(&bench.packet(2, answer(&rid, "200", "not json"))), Some(502));
    assert!(bench.hub.calls.is_empty());
}

#[test]
fn a_bulk_item_finds_its_etag_in_any_letter_case() {
    let mut bench = Bench::new();
    bench.device("d");
    let etag =
        |bench: &mut Bench| bench.call(Method::GET, "/devices/d", &json!({})).1["etag"].clone();
    let bulk = |bench: &mut Bench, mode: &str, name: &str, etag: &Value| {
        let item = json!({ "id": "d", "importMode": mode, name: etag });
        bench.call(Method::POST, "/devices", &json!([item])).0.as_u16()
    };
    for name in ["eTag", "etag", "ETag"] {
        let current = etag(&mut bench);
        assert_eq!(bulk(&mut bench, "updateIfMatchETag", name, &json!("bm90")), 400, "{name}");
        assert_eq!(bulk(&mut bench, "updateIfMatchETag", name, &current), 200, "{name}");
        assert_eq!(bulk(&mut bench, "updateIfMatchETag", name, &current), 400, "{name}: stale");
    }
    assert_eq!(bulk(&mut bench, "deleteIfMatchETag", "eTag", &Value::Null), 400);
    assert_eq!(bulk(&mut bench, "deleteIfMatchEtag", "etag", &json!("*")), 200);
}

#[test]
fn a_module_keeps_who_manages_it() {
    let mut bench = Bench::new();
    bench.device("d");
    let path = "/devices/d/modules/m";
    let body = json!({ "deviceId": "d", "moduleId": "m", "managedBy": "us" });
    assert_eq!(bench.call(Method::PUT, path, &body).1["managedBy"], "us");
    assert_eq!(bench.call(Method::GET, path, &json!({})).1["managedBy"], "us");
}

#[test]
fn what_the_hub_does_not_offer_is_refused_by_name() {
    let mut bench = Bench::new();
    for (method, path, name) in [
        (Method::POST, "/jobs/create", "FeatureNotSupported"),
        (Method::GET, "/digitaltwins/d", "FeatureNotSupported"),
        (Method::PATCH, "/digitaltwins/d", "FeatureNotSupported"),
        (Method::POST, "/digitaltwins/d/components/fan/commands/stop", "FeatureNotSupported"),
        (Method::GET, "/messages/serviceBound/feedback", "FeatureNotSupported"),
        (Method::DELETE, "/messages/serviceBound/feedback/lock", "FeatureNotSupported"),
        (Method::GET, "/messages/serviceBound/filenotifications", "FeatureNotSupported"),
        (Method::GET, "/jobs/none", "JobNotFound"),
        (Method::DELETE, "/jobs/none", "JobNotFound"),
        (Method::GET, "/jobs/create", "JobNotFound"),
        (Method::PUT, "/jobs/none", "GenericMethodNotAllowed"),
        (Method::GET, "/digitaltwins", "GenericNotFound"),
        (Method::GET, "/messages/serviceBound", "GenericNotFound"),
    ] {
        let (_, answer) = bench.call(method, path, &Value::Null);
        let message = answer["Message"].as_str().unwrap_or_default();
        assert!(message.starts_with(&format!("ErrorCode:{name};")), "{path}: {answer}");
    }
}
