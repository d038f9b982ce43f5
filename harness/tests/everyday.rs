//! The reference hub seen by an independent MQTT implementation.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use twinspec_harness::clock::Clock;
use twinspec_harness::endpoint::Endpoint;
use twinspec_harness::everyday::{EverydayDevice, Login};
use twinspec_harness::hub::{Listen, ReferenceHub};
use twinspec_harness::operator::{Operator, Request};
use twinspec_harness::tls::Trust;
use twinspec_harness::trace::Recorder;
use twinspec_model::auth;
use twinspec_model::hub::HubConfig;
use twinspec_model::identity::Identity;

const WAIT: Duration = Duration::from_secs(10);

struct Bench {
    hub: ReferenceHub,
    trust: Trust,
    operator: Operator,
}

impl Bench {
    async fn new() -> Self {
        let free = Some("127.0.0.1:0".parse().unwrap());
        let listen =
            Listen { mqtt: free, mqtts: free, http: free, https: free, ..Listen::default() };
        let config = HubConfig::new("localhost", [1; 32]);
        let hub = ReferenceHub::start(config, &listen, Clock::default()).await.unwrap();
        let trust = Trust::authorities(hub.ca_pem().as_bytes()).unwrap();
        let https = format!("https://localhost:{}", hub.addresses().https.unwrap().port());
        let operator = Operator::new(https.parse().unwrap(), &trust);
        Self { hub, trust, operator }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let key = self.hub.policy_key("iothubowner").unwrap();
        let expiry = Clock::default().now().after(Duration::from_secs(60));
        let request = Request {
            method,
            target: format!("{path}?api-version=2021-04-12"),
            authorization: auth::sign(&key, "localhost", expiry, Some("iothubowner")),
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
        };
        let answer = self.operator.call(&request, WAIT, &Recorder::new(false)).await.unwrap();
        assert_eq!(answer.status.as_u16(), 200, "{answer}");
        answer.json()
    }

    async fn converse(&self, endpoint: Endpoint, device: &str) {
        let path = format!("/devices/{device}");
        let created = self.call(Method::PUT, &path, &json!({ "deviceId": device })).await;
        let key = created["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap();
        let login = Login {
            host: "localhost".to_owned(),
            identity: Identity::device(device),
            key: key.to_owned(),
            expiry: Clock::default().now().after(Duration::from_secs(60)),
        };
        let mut client =
            EverydayDevice::connect(&endpoint, &self.trust, &login, WAIT).await.unwrap();
        assert_eq!(client.report(r#"{"rpm":4}"#).await.unwrap(), (204, Some(2)));
        let body = json!({"properties": {"desired": {"mode": "eco"}}});
        self.call(Method::PATCH, &format!("/twins/{device}"), &body).await;
        let (version, notification) = client.desired().await.unwrap();
        assert_eq!(version, 2);
        assert_eq!(notification, r#"{"$version":2,"mode":"eco"}"#);
        let twin: Value = serde_json::from_slice(&client.read_twin().await.unwrap()).unwrap();
        let expected = json!({
            "desired": {"mode": "eco", "$version": 2},
            "reported": {"rpm": 4, "$version": 2},
        });
        assert_eq!(twin, expected);
    }
}

#[tokio::test]
async fn rumqttc_speaks_to_the_hub_over_tcp_and_tls() {
    let bench = Bench::new().await;
    let addresses = bench.hub.addresses().clone();
    let plain = format!("mqtt://127.0.0.1:{}", addresses.mqtt.unwrap().port());
    bench.converse(plain.parse().unwrap(), "plain").await;
    let tls = format!("mqtts://localhost:{}", addresses.mqtts.unwrap().port());
    bench.converse(tls.parse().unwrap(), "encrypted").await;
}
