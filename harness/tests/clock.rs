//! A clock that was moved goes on from there: what falls due later happens without another push.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use twinspec_harness::clock::Clock;
use twinspec_harness::endpoint::{Endpoint, Scheme};
use twinspec_harness::hub::{Listen, ReferenceHub};
use twinspec_harness::operator::{Operator, Request};
use twinspec_harness::tls::Trust;
use twinspec_harness::trace::Recorder;
use twinspec_model::auth;
use twinspec_model::hub::HubConfig;
use twinspec_model::time::Time;

const WAIT: Duration = Duration::from_secs(10);

struct Bench {
    hub: ReferenceHub,
    clock: Clock,
    operator: Operator,
}

impl Bench {
    async fn new() -> Self {
        let free = Some("127.0.0.1:0".parse().unwrap());
        let listen = Listen { http: free, ..Listen::default() };
        let clock = Clock::default();
        let config = HubConfig::new("localhost", [2; 32]);
        let hub = ReferenceHub::start(config, &listen, clock.clone()).await.unwrap();
        let port = hub.addresses().http.unwrap().port();
        let endpoint = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".to_owned(), port };
        let operator = Operator::new(endpoint, &Trust::machine().unwrap());
        Self { hub, clock, operator }
    }

    async fn call(&self, method: Method, id: &str, body: &str) -> Value {
        let expiry = self.clock.now().after(Duration::from_secs(600));
        let key = self.hub.policy_key("service").unwrap();
        let request = Request {
            method,
            target: format!("/jobs/v2/{id}?api-version=2021-04-12"),
            authorization: auth::sign(&key, "localhost", expiry, Some("service")),
            headers: Vec::new(),
            body: Bytes::from(body.to_owned()),
        };
        let answer = self.operator.call(&request, WAIT, &Recorder::new(false)).await.unwrap();
        assert_eq!(answer.status.as_u16(), 200, "{answer}");
        answer.json()
    }

    async fn create(&self, id: &str, start: Option<Time>) {
        let job = json!({
            "type": "scheduleUpdateTwin",
            "updateTwin": { "tags": { "a": 1 } },
            "queryCondition": "*",
            "startTime": start.map(|start| start.to_string()),
        });
        self.call(Method::PUT, id, &job.to_string()).await;
    }

    async fn status(&self, id: &str, wanted: &str) -> Value {
        let deadline = Instant::now() + WAIT;
        loop {
            let job = self.call(Method::GET, id, "").await;
            let status = job.get("status").cloned().unwrap_or_default();
            if status == wanted || Instant::now() >= deadline {
                return status;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn what_is_due_at_once_happens_after_the_clock_jumped_over_the_next_deadline() {
    let bench = Bench::new().await;
    let in_ten_minutes = bench.clock.now().after(Duration::from_secs(600));
    bench.create("later", Some(in_ten_minutes)).await;
    assert_eq!(bench.status("later", "scheduled").await, "scheduled");
    bench.hub.advance(Duration::from_secs(1200));
    assert_eq!(bench.status("later", "completed").await, "completed");
    bench.create("now", None).await;
    assert_eq!(bench.status("now", "completed").await, "completed");
}
