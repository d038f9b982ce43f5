//! Odd method calls and queries: every call is answered, whatever its device or its text does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use twinspec_harness::clock::Clock;
use twinspec_harness::device::{Device, Seen};
use twinspec_harness::endpoint::{Endpoint, Scheme};
use twinspec_harness::hub::{Listen, ReferenceHub};
use twinspec_harness::operator::{Answer, Operator, Request};
use twinspec_harness::tls::Trust;
use twinspec_harness::trace::Recorder;
use twinspec_model::auth;
use twinspec_model::hub::HubConfig;
use twinspec_model::identity::Identity;
use twinspec_model::wire::mqtt::{Connect, Packet, PacketId, Publish, Qos, Subscribe};

const WAIT: Duration = Duration::from_secs(60);

struct Bench {
    hub: ReferenceHub,
    operator: Operator,
    key: String,
}

impl Bench {
    async fn new() -> Self {
        let free = Some("127.0.0.1:0".parse().unwrap());
        let listen = Listen { mqtt: free, http: free, ..Listen::default() };
        let config = HubConfig::new("localhost", [3; 32]);
        let hub = ReferenceHub::start(config, &listen, Clock::default()).await.unwrap();
        let key = hub.register(&Identity::device("d")).await.unwrap();
        let port = hub.addresses().http.unwrap().port();
        let endpoint = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".to_owned(), port };
        let operator = Operator::new(endpoint, &Trust::machine().unwrap());
        Self { hub, operator, key }
    }

    fn token(key: &str, resource: &str, policy: Option<&str>) -> String {
        let expiry = Clock::default().now().after(Duration::from_secs(600));
        auth::sign(key, resource, expiry, policy).unwrap()
    }

    /// The device, connected and listening to methods.
    async fn listen(&self) -> Device {
        let port = self.hub.addresses().mqtt.unwrap().port();
        let endpoint = Endpoint { scheme: Scheme::Mqtt, host: "127.0.0.1".to_owned(), port };
        let trust = Trust::machine().unwrap();
        let opened = Device::open("d", &endpoint, &trust, WAIT, Recorder::new(false)).await;
        let mut device = opened.unwrap();
        let mut connect = Connect::new("d");
        connect.user_name = Some("localhost/d/?api-version=2021-04-12".to_owned());
        connect.password = Some(Self::token(&self.key, "localhost/devices/d", None).into());
        device.send(&Packet::Connect(Box::new(connect))).await.unwrap();
        assert!(matches!(next(&mut device).await, Packet::ConnAck(_)));
        let filters = vec![("$iothub/methods/POST/#".to_owned(), Qos::AtMostOnce)];
        device.send(&Packet::Subscribe(Subscribe { id: PacketId::MIN, filters })).await.unwrap();
        assert!(matches!(next(&mut device).await, Packet::SubAck(_)));
        device
    }

    fn post(&self, path: &str, body: &Value) -> Request {
        let key = self.hub.policy_key("iothubowner").unwrap();
        Request {
            method: Method::POST,
            target: format!("{path}?api-version=2021-04-12"),
            authorization: Some(Self::token(&key, "localhost", Some("iothubowner"))),
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
        }
    }

    /// A call that runs by itself; its number comes back with the answer.
    fn call(&self, calls: &mut JoinSet<(usize, Answer)>, number: usize) {
        // A slow machine is not the subject.
        let body = json!({
            "methodName": "compute", "payload": number, "responseTimeoutInSeconds": 300,
        });
        let request = self.post("/twins/d/methods", &body);
        let operator = self.operator.clone();
        calls.spawn(async move {
            let answer = operator.call(&request, WAIT, &Recorder::new(false)).await;
            (number, answer.unwrap())
        });
    }

    async fn query(&self, text: &str) -> Answer {
        let request = self.post("/devices/query", &json!({ "query": text }));
        self.operator.call(&request, WAIT, &Recorder::new(false)).await.unwrap()
    }
}

async fn next(device: &mut Device) -> Packet {
    match device.next(Instant::now() + WAIT).await {
        Some(Seen::Packet(packet)) => packet,
        other => panic!("no packet but {other:?}"),
    }
}

/// The next call as it reaches the device.
async fn request(device: &mut Device) -> Publish {
    match next(device).await {
        Packet::Publish(publish) => publish,
        other => panic!("no call but {other:?}"),
    }
}

/// The answer to `request` with `body`.
fn answer(request: &Publish, body: impl Into<Bytes>) -> Packet {
    let rid = request.topic.split_once("$rid=").unwrap().1;
    Packet::Publish(Publish::at_most_once(format!("$iothub/methods/res/200/?$rid={rid}"), body))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_of_one_device_at_once_all_get_their_own_answers() {
    const CALLS: usize = 1000;
    // Both ends of every connection are in this process.
    rlimit::increase_nofile_limit(4096).unwrap();
    let bench = Arc::new(Bench::new().await);
    let mut device = bench.listen().await;
    let mut calls = JoinSet::new();
    (0..CALLS).for_each(|number| bench.call(&mut calls, number));
    let mut requests = Vec::new();
    for _ in 0..CALLS {
        requests.push(request(&mut device).await);
    }
    // In reverse order: no caller is served in its turn.
    for request in requests.iter().rev() {
        let number: Value = serde_json::from_slice(&request.payload).unwrap();
        let body = json!({ "computed": number }).to_string();
        device.send(&answer(request, body)).await.unwrap();
    }
    let mut answered = 0;
    while let Some(call) = calls.join_next().await {
        let (number, answer) = call.unwrap();
        let expected = json!({ "status": 200, "payload": { "computed": number } });
        assert_eq!(answer.json(), expected, "{answer}");
        answered += 1;
    }
    assert_eq!(answered, CALLS);
}

#[tokio::test]
async fn garbage_for_an_answer_fails_its_own_call_only() {
    let bench = Bench::new().await;
    let mut device = bench.listen().await;
    let large = format!("\"{}\"", "x".repeat(140_000));
    let garbage: [&[u8]; 5] =
        [b"done", b"{\"a\":", &[0xff, 0xfe, 0x00], b"{} {}", large.as_bytes()];
    for body in garbage {
        let mut calls = JoinSet::new();
        bench.call(&mut calls, 1);
        let request = request(&mut device).await;
        device.send(&answer(&request, body.to_vec())).await.unwrap();
        let (_, answered) = calls.join_next().await.unwrap().unwrap();
        assert_eq!(answered.status.as_u16(), 502, "{answered}");
        assert!(answered.json().is_object(), "{answered}");
    }
    let mut calls = JoinSet::new();
    bench.call(&mut calls, 2);
    let request = request(&mut device).await;
    device.send(&answer(&request, "{}")).await.unwrap();
    assert_eq!(calls.join_next().await.unwrap().unwrap().1.status.as_u16(), 200);
}

#[tokio::test]
async fn calls_of_a_device_that_vanishes_fail_at_once() {
    let bench = Bench::new().await;
    let mut device = bench.listen().await;
    let mut calls = JoinSet::new();
    (0..20).for_each(|number| bench.call(&mut calls, number));
    for _ in 0..20 {
        request(&mut device).await;
    }
    device.cut().await;
    let mut failed = 0;
    while let Some(call) = calls.join_next().await {
        let answer = call.unwrap().1;
        assert_eq!(answer.header("iothub-errorcode"), Some("DeviceNotOnline"), "{answer}");
        failed += 1;
    }
    assert_eq!(failed, 20);
}

#[tokio::test]
async fn odd_queries_are_refused_with_the_place_and_what_was_expected() {
    let bench = Bench::new().await;
    let deep = format!("SELECT * FROM devices WHERE {}", "(".repeat(8000));
    let long = format!("SELECT * FROM devices WHERE deviceId = '{}'", "x".repeat(3 << 20));
    for (text, words) in [
        ("SELECT FROM devices", "column 8: expected *, a path or an aggregate, found \"FROM\""),
        ("SELECT * FROM devices WHERE a = 'é' ORDER BY a", "column 37: expected AND, OR"),
        ("SELECT * FROM devices WHERE a = 'x", "column 33: the string that begins here"),
        (deep.as_str(), "column 129: expressions nest at most 100 deep"),
        (long.as_str(), "column 8193: a query has at most 8192 characters"),
    ] {
        let answer = bench.query(text).await;
        let message = answer.json()["Message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status.as_u16(), 400, "{answer}");
        assert!(message.contains(words), "{message}");
    }
    let ten_thousand = format!("SELECT * FROM devices WHERE {}", "(".repeat(10_000));
    assert_eq!(bench.query(&ten_thousand).await.status.as_u16(), 400);
    assert_eq!(bench.query("SELECT * FROM devices").await.json().as_array().unwrap().len(), 1);
}
