//! A twin job over fleets of growing size, in the model: the cost of one device must stay flat.
//!
//! Measured is the whole life of the job: its creation, the selection by a tag, each twin patched
//! with versions and change times kept, a row for each device, the end. Every size works on 100,000
//! devices in one run: a hundred hubs of 1,000, ten of 10,000, one of 100,000. So all sizes find
//! the processor's caches equally cold, and what is compared is the size of the fleet alone. What a
//! single small fleet costs when nothing else is in the caches is told as well.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on fails"
)]

#[expect(dead_code, reason = "this benchmark needs no server")]
mod peers;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use twinspec_model::auth;
use twinspec_model::hub::{ExchangeId, Hub, HubConfig, Input, Output};
use twinspec_model::time::Time;

const HOST: &str = "hub.example";
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const RUNS: usize = 9;
/// Devices that jobs work on in one run, whatever the size of a fleet.
const DEVICES: usize = 100_000;

fn main() {
    let mut hubs =
        SIZES.map(|size| (0..DEVICES / size).map(|_| Fleet::new(size)).collect::<Vec<_>>());
    let mut costs = SIZES.map(|_| Vec::new());
    let mut warm = Vec::new();
    for run in 0..RUNS {
        for (fleets, costs) in hubs.iter_mut().zip(&mut costs) {
            let began = Instant::now();
            for fleet in &mut *fleets {
                fleet.run(&format!("job-{run}"), run);
            }
            costs.push(began.elapsed().as_secs_f64() / DEVICES as f64);
        }
        let (small, jobs) = (&mut hubs[0][0], DEVICES / SIZES[0]);
        let began = Instant::now();
        for job in 0..jobs {
            small.run(&format!("again-{run}-{job}"), job);
        }
        warm.push(began.elapsed().as_secs_f64() / DEVICES as f64);
    }
    let ratios = costs[2].iter().zip(&costs[0]).map(|(large, small)| large / small).collect();
    let medians = costs.map(peers::median);
    for (size, cost) in SIZES.iter().zip(&medians) {
        println!(
            "twin job over {size} devices: {:.0} ns a device, {:.0} devices/s",
            cost * 1e9,
            1.0 / cost
        );
    }
    println!(
        "twin job: cost of a device at {} over {}: {:.2}; one fleet of {} again and again: {:.0} ns \
         (median of {RUNS})",
        SIZES[2],
        SIZES[0],
        peers::median(ratios),
        SIZES[0],
        peers::median(warm) * 1e9
    );
}

/// A hub with its devices.
struct Fleet {
    hub: Hub,
    now: Time,
    size: usize,
}

impl Fleet {
    fn new(size: usize) -> Self {
        let hub = Hub::new(HubConfig::new(HOST, [7; 32]));
        let mut fleet = Self { hub, now: Time::from_unix_seconds(1_900_000_000), size };
        let devices: Vec<usize> = (0..size).collect();
        for some in devices.chunks(100) {
            let item = |n: &usize| {
                json!({
                    "id": format!("device-{n:06}"),
                    "importMode": "create",
                    "tags": { "site": { "region": "north", "bay": n % 50 } },
                    "properties": { "desired": { "rate": 10, "mode": "eco" } },
                })
            };
            fleet.call(Method::POST, "/devices", &some.iter().map(item).collect());
        }
        fleet
    }

    /// Runs a job over all devices to its end.
    fn run(&mut self, id: &str, wave: usize) {
        let job = json!({
            "type": "scheduleUpdateTwin",
            "updateTwin": {
                "etag": "*",
                "tags": { "wave": wave },
                "properties": { "desired": { "rate": wave, "limits": { "high": wave } } },
            },
            "queryCondition": "tags.site.region = 'north'",
        });
        let path = format!("/jobs/v2/{id}");
        self.call(Method::PUT, &path, &job);
        while self.hub.next_deadline().is_some_and(|due| due <= self.now) {
            self.hub.handle(self.now, Input::Tick);
        }
        let job = self.call(Method::GET, &path, &Value::Null);
        assert_eq!(job["deviceJobStatistics"]["succeededCount"], self.size, "{job}");
        // The rows of old jobs are not what is measured.
        self.now = self.now.after(Duration::from_secs(31 * 86_400));
        self.hub.handle(self.now, Input::Tick);
    }

    fn call(&mut self, method: Method, path: &str, body: &Value) -> Value {
        let policy = self.hub.policies().first().unwrap();
        let expiry = self.now.after(Duration::from_secs(60));
        let token = auth::sign(&policy.primary_key, HOST, expiry, Some(&policy.name)).unwrap();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{path}?api-version=2021-04-12"))
            .header(http::header::AUTHORIZATION, token)
            .body(Bytes::from(body.to_string()))
            .unwrap();
        match self.hub.handle(self.now, Input::Request(ExchangeId(0), request)).last() {
            Some(Output::Respond(_, response)) => {
                assert!(response.status().is_success(), "{:?}", response.body());
                serde_json::from_slice(response.body()).unwrap()
            }
            other => panic!("no answer but {other:?}"),
        }
    }
}
