//! Jobs on the composed hub: slices, devices that come and go, pages, purge.

use super::*;
use crate::throttle::ThrottleRule;

const ROWS: &str = "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j'";

fn method_job(condition: &str, seconds: u64) -> Value {
    json!({
        "type": "scheduleDeviceMethod",
        "cloudToDeviceMethod": { "methodName": "go", "payload": { "b": 1.50 } },
        "queryCondition": condition,
        "maxExecutionTimeInSeconds": seconds,
    })
}

fn twin_job(condition: &str) -> Value {
    json!({
        "type": "scheduleUpdateTwin",
        "updateTwin": { "etag": "*", "tags": { "seen": true } },
        "queryCondition": condition,
    })
}

impl Bench {
    fn create_job(&mut self, id: &str, body: &Value) -> StatusCode {
        self.call(Method::PUT, &format!("/jobs/v2/{id}"), body).0
    }

    fn job(&mut self, id: &str) -> Value {
        self.call(Method::GET, &format!("/jobs/v2/{id}"), &Value::Null).1
    }

    fn job_rows(&mut self) -> Vec<Value> {
        let (_, rows) = self.call(Method::POST, "/devices/query", &json!({ "query": ROWS }));
        rows.as_array().unwrap().clone()
    }

    /// A connected device that listens to methods.
    fn listener(&mut self, connection: u64, device: &str) -> String {
        let key = self.device(device);
        self.connect(connection, device, &key);
        self.subscribe(connection, "$iothub/methods/POST/#", Qos::AtMostOnce);
        key
    }
}

#[test]
fn a_job_over_more_devices_than_a_slice_reaches_each_once() {
    let mut bench = Bench::new();
    for device in 0..600 {
        bench.device(&format!("d{device:03}"));
    }
    assert_eq!(bench.create_job("j", &twin_job("*")), StatusCode::OK);
    bench.tick(Duration::ZERO);
    let statistics = bench.job("j")["deviceJobStatistics"].clone();
    assert_eq!(statistics["deviceCount"], 600);
    assert!(statistics["pendingCount"].as_u64().unwrap() > 0, "{statistics}");
    while bench.hub.next_deadline().is_some_and(|due| due <= bench.now) {
        bench.tick(Duration::ZERO);
    }
    assert_eq!(bench.job("j")["status"], "completed");
    assert_eq!(bench.job("j")["deviceJobStatistics"]["succeededCount"], 600);
    let (_, twin) = bench.call(Method::GET, "/twins/d599", &Value::Null);
    assert_eq!((&twin["tags"]["seen"], &twin["version"]), (&json!(true), &json!(3)));
}

#[test]
fn a_device_that_connects_in_time_is_called_and_one_that_does_not_fails_at_the_deadline() {
    let mut bench = Bench::new();
    let key = bench.device("late");
    bench.device("never");
    bench.create_job("j", &method_job("*", 60));
    bench.tick(Duration::from_secs(1));
    bench.connect(1, "late", &key);
    let filters = vec![("$iothub/methods/POST/#".to_owned(), Qos::AtMostOnce)];
    let sent = bench.packet(1, Packet::Subscribe(Subscribe { id: PacketId::MIN, filters }));
    let states =
        |rows: Vec<Value>| rows.iter().map(|row| row["status"].clone()).collect::<Vec<_>>();
    assert_eq!(states(bench.job_rows()), [json!("running"), json!("pending")]);
    bench.packet(1, answer(&rid_of(&sent), "404", "\"no such thing\""));
    bench.tick(Duration::from_secs(60));
    let rows = bench.job_rows();
    let answer = json!({ "status": 404, "payload": "no such thing" });
    assert_eq!(rows[0]["outcome"]["deviceMethodResponse"], answer);
    assert_eq!(rows[1]["error"]["code"], "JobRunPreconditionFailed");
    assert_eq!(states(rows), [json!("completed"), json!("failed")]);
    assert_eq!(bench.job("j")["status"], "completed");
    assert!(bench.hub.calls.is_empty());
}

#[test]
fn a_device_that_vanishes_while_a_job_waits_for_it_ends_its_row() {
    let mut bench = Bench::new();
    bench.listener(1, "cut");
    bench.device("deleted");
    bench.create_job("j", &method_job("*", 60));
    bench.tick(Duration::ZERO);
    bench.hub.handle(bench.now, Input::Closed(ConnectionId(1)));
    bench.call(Method::DELETE, "/devices/deleted", &Value::Null);
    let codes: Vec<_> = bench.job_rows().iter().map(|row| row["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!("DeviceNotOnline"), json!("DeviceNotFound")]);
    assert_eq!(bench.job("j")["status"], "completed");
}

#[test]
fn no_answer_in_time_fails_the_row_and_a_late_one_changes_nothing() {
    let mut bench = Bench::new();
    bench.listener(1, "d");
    bench.create_job("j", &method_job("*", 600));
    let sent = bench.tick(Duration::ZERO);
    bench.tick(Duration::from_secs(30));
    assert_eq!(bench.job_rows()[0]["error"]["code"], "GatewayTimeout");
    let before = bench.job("j");
    bench.packet(1, answer(&rid_of(&sent), "200", "1"));
    assert_eq!(bench.job("j"), before);
    assert_eq!(before["status"], "completed");
}

#[test]
fn job_operations_are_paced_and_never_failed() {
    let mut config = HubConfig::new(HOST, [7; 32]);
    config.throttles.job_operations = Some(ThrottleRule { operations_per_second: 10, burst: 1 });
    let mut bench = Bench { hub: Hub::new(config), ..Bench::new() };
    for device in 0..5 {
        bench.device(&format!("d{device}"));
    }
    bench.create_job("j", &twin_job("*"));
    let mut ticks = 0;
    while bench.job("j")["status"] != "completed" {
        let due = bench.hub.next_deadline().unwrap();
        bench.tick(due.since(bench.now));
        ticks += 1;
        assert!(ticks < 50);
    }
    let statistics = &bench.job("j")["deviceJobStatistics"];
    assert_eq!((&statistics["succeededCount"], &statistics["failedCount"]), (&json!(5), &json!(0)));
    assert!(bench.now.since(Bench::new().now) >= Duration::from_millis(400));
}

#[test]
fn as_many_jobs_run_as_the_tier_allows() {
    let mut config = HubConfig::new(HOST, [7; 32]);
    config.limits.running_jobs_max = Some(1);
    let mut bench = Bench { hub: Hub::new(config), ..Bench::new() };
    bench.device("d");
    assert_eq!(bench.create_job("a", &method_job("*", 60)), StatusCode::OK);
    bench.tick(Duration::ZERO);
    assert_eq!(bench.create_job("b", &twin_job("*")), StatusCode::TOO_MANY_REQUESTS);
    bench.tick(Duration::from_secs(61));
    assert_eq!(bench.create_job("b", &twin_job("*")), StatusCode::OK);
}

#[test]
fn a_job_vanishes_thirty_days_after_its_end() {
    let mut bench = Bench::new();
    bench.create_job("j", &twin_job("deviceId = 'nobody'"));
    bench.tick(Duration::ZERO);
    assert_eq!(bench.job("j")["status"], "completed");
    bench.tick(Duration::from_secs(30 * 86_400 + 1));
    assert_eq!(bench.call(Method::GET, "/jobs/v2/j", &Value::Null).0, StatusCode::NOT_FOUND);
    assert_eq!(bench.hub.next_deadline(), None);
}
