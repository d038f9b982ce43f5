//! Device jobs of 2016 on the composed hub: the service API, and devices over LWM2M in memory.

use bytes::BytesMut;

use super::*;
use crate::firmware::device_job::client::{Action, Client};
use crate::firmware::device_job::device::{Device, Input as Happened, Stance, UpdateFailure, Work};
use crate::wire::coap::{Code, Message, decode};

const API: &str = "2016-04-25-preview";

/// A device with its connection; work ends as soon as it is asked to.
struct Lwm2mDevice {
    client: Client,
    connection: u64,
    id: &'static str,
    key: String,
    works: Vec<Work>,
    /// What the hub asked, in the order of asking.
    asked: Vec<String>,
}

impl Bench {
    fn preview(&mut self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        self.versioned(method, path, API, body)
    }

    fn lwm2m_device(&mut self, connection: u64, id: &'static str) -> Lwm2mDevice {
        let client = Client::new(Device::new("1.0", Stance::default()));
        let key = self.device(id);
        Lwm2mDevice { client, connection, id, key, works: Vec::new(), asked: Vec::new() }
    }

    /// Registers a device, on a connection that is new.
    fn register(&mut self, device: &mut Lwm2mDevice) {
        let expiry = self.now.after(Duration::from_secs(3600));
        let token = auth::sign(&device.key, HOST, expiry, None).unwrap();
        let registration = device.client.register(device.id, &token);
        device.connection += 100;
        self.hub.handle(self.now, Input::Lwm2mOpened(ConnectionId(device.connection)));
        self.exchange(device, vec![registration]);
        assert!(device.client.is_registered());
    }

    /// Sends messages of the device through the codec, and goes on until both are silent.
    fn exchange(&mut self, device: &mut Lwm2mDevice, mut messages: Vec<Message>) {
        while !messages.is_empty() {
            let mut outputs = Vec::new();
            for message in messages.drain(..) {
                let message = recoded(&message);
                let id = ConnectionId(device.connection);
                outputs.extend(self.hub.handle(self.now, Input::Lwm2m(id, message)));
            }
            messages = device.take(outputs);
        }
    }

    fn tick_with(&mut self, device: &mut Lwm2mDevice, after: Duration) {
        let outputs = self.tick(after);
        let messages = device.take(outputs);
        self.exchange(device, messages);
    }

    /// Ends the next work of a device.
    fn work(&mut self, device: &mut Lwm2mDevice, result: Result<(), UpdateFailure>) {
        let happened = match device.works.remove(0) {
            Work::Download { attempt, .. } => Happened::Downloaded(attempt, result),
            Work::Apply { attempt } => Happened::Applied(attempt, result.map(|()| "2.0".into())),
            Work::Restart | Work::FactoryReset => {
                self.hub.handle(self.now, Input::Closed(ConnectionId(device.connection)));
                return self.register(device);
            }
            Work::Configure => return,
        };
        let actions = device.client.happen(happened);
        let messages = device.act(actions);
        self.exchange(device, messages);
    }

    fn status_of(&mut self, id: &str) -> String {
        let (status, job) = self.preview(Method::GET, &format!("/jobs/v2/{id}"), &Value::Null);
        assert_eq!(status, StatusCode::OK, "{job}");
        job["status"].as_str().unwrap().to_owned()
    }

    fn children(&mut self, id: &str) -> Vec<Value> {
        let filter = json!({ "type": "comparison", "comparisonOperator": "eq", "value": id,
            "property": { "name": "ParentJobId", "type": "default" } });
        let (_, answer) =
            self.preview(Method::POST, "/jobs/v2/query", &json!({ "filter": filter }));
        answer["Result"].as_array().unwrap().clone()
    }

    fn start(&mut self, id: &str, parameters: Value) {
        let body = json!({ "jobId": id, "jobParameters": parameters });
        let (status, job) = self.preview(Method::PUT, &format!("/jobs/v2/{id}"), &body);
        assert_eq!((status, &job["status"]), (StatusCode::OK, &json!("enqueued")), "{job}");
    }
}

impl Lwm2mDevice {
    fn take(&mut self, outputs: Vec<Output>) -> Vec<Message> {
        let mut messages = Vec::new();
        for output in outputs {
            if let Output::Lwm2m(id, message) = output
                && id.0 == self.connection
            {
                let message = recoded(&message);
                if message.code.is_request() && message.observe.is_none() {
                    let path = message.path.join("/");
                    self.asked.push(format!("{} /{path} {}", message.code, message.text()));
                }
                let actions = self.client.receive(&message);
                messages.extend(self.act(actions));
            }
        }
        messages
    }

    fn act(&mut self, actions: Vec<Action>) -> Vec<Message> {
        let mut messages = Vec::new();
        for action in actions {
            match action {
                Action::Send(message) => messages.push(message),
                Action::Begin(work) => self.works.push(work),
            }
        }
        messages
    }
}

/// What arrives of a message that was sent.
fn recoded(message: &Message) -> Message {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes).unwrap();
    decode(&mut bytes).unwrap().unwrap()
}

fn firmware(devices: &[&str]) -> Value {
    json!({ "jobType": "firmwareUpdate", "DeviceIds": devices,
        "PackageUri": "https://files.example/fw-9.bin", "Timeout": "00:25:00" })
}

#[test]
fn a_firmware_update_goes_its_way_over_lwm2m() {
    let mut bench = Bench::new();
    let mut device = bench.lwm2m_device(1, "pump-01");
    bench.register(&mut device);
    bench.start("fw-1", firmware(&["pump-01"]));
    bench.tick_with(&mut device, Duration::ZERO);
    assert_eq!(device.asked, ["0.03 /5/0/1 https://files.example/fw-9.bin"]);
    assert_eq!(bench.status_of("fw-1"), "running");
    bench.work(&mut device, Ok(()));
    assert_eq!(device.asked.last().map(String::as_str), Some("0.02 /5/0/2 "));
    bench.work(&mut device, Ok(()));
    assert_eq!(bench.status_of("fw-1"), "running");
    bench.work(&mut device, Ok(()));
    assert_eq!(bench.status_of("fw-1"), "completed");
    assert_eq!(device.client.device().version(), "2.0");
    let children = bench.children("fw-1");
    assert_eq!(children.len(), 1);
    assert_eq!(children[0]["deviceId"], "pump-01");
    assert_eq!(bench.status_of(children[0]["jobId"].as_str().unwrap()), "completed");
}

#[test]
fn a_failed_download_and_a_silent_device_fail_their_children() {
    let mut bench = Bench::new();
    let mut device = bench.lwm2m_device(1, "pump-01");
    bench.device("pump-02");
    bench.register(&mut device);
    bench.start("fw-1", firmware(&["pump-01", "pump-02", "nobody"]));
    bench.tick_with(&mut device, Duration::ZERO);
    bench.work(&mut device, Err(UpdateFailure::Checksum));
    assert_eq!(bench.status_of("fw-1"), "running");
    bench.tick_with(&mut device, Duration::from_secs(25 * 60));
    let (_, parent) = bench.preview(Method::GET, "/jobs/v2/fw-1", &Value::Null);
    assert_eq!(parent["status"], "failed");
    assert_eq!(parent["statusMessage"], "Devices: 3; Succeeded: 0; Failed: 3;");
    let mut reasons: Vec<String> = bench
        .children("fw-1")
        .iter()
        .map(|child| child["failureReason"].as_str().unwrap().to_owned())
        .collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "the timeout has passed while the job waited for the device to connect",
            "the update has the result 5, wrong checksum",
            "there is no device \"nobody\"",
        ]
    );
}

#[test]
fn all_six_types_reach_the_device_in_turn() {
    let mut bench = Bench::new();
    let mut device = bench.lwm2m_device(1, "d");
    let more = [
        (
            "read",
            json!({ "jobType": "readDeviceProperties", "DevicePropertyNames": ["BatteryLevel"] }),
        ),
        (
            "write",
            json!({ "jobType": "writeDeviceProperties", "DeviceProperties": { "Timezone": "Etc/UTC" } }),
        ),
        (
            "refused",
            json!({ "jobType": "writeDeviceProperties", "DeviceProperties": { "BatteryLevel": 5 } }),
        ),
        ("set", json!({ "jobType": "updateDeviceConfiguration", "Value": "fast" })),
        ("reboot", json!({ "jobType": "rebootDevice" })),
        ("reset", json!({ "jobType": "factoryResetDevice" })),
    ];
    for (id, mut parameters) in more {
        parameters["DeviceIds"] = json!(["d"]);
        bench.start(id, parameters);
    }
    bench.tick(Duration::ZERO);
    bench.register(&mut device);
    bench.work(&mut device, Ok(()));
    let expected = [
        "0.01 /3/0/9 ",
        "0.03 /3/0/15 Etc/UTC",
        "0.03 /3/0/9 5",
        "0.03 /10241/0/2 fast",
        "0.02 /10241/0/3 ",
        "0.02 /3/0/4 ",
        "0.02 /3/0/5 ",
    ];
    assert_eq!(device.asked, expected);
    for id in ["read", "write", "set", "reboot", "reset"] {
        assert_eq!(bench.status_of(id), "completed", "{id}");
    }
    assert_eq!(bench.status_of("refused"), "failed");
    assert_eq!(bench.children("read")[0]["statusMessage"], "{\"BatteryLevel\":\"94\"}");
    let reason = bench.children("refused")[0]["failureReason"].clone();
    assert_eq!(reason, "the device answered write /3/0/9 with 4.05");
}

#[test]
fn device_jobs_are_served_at_their_api_version_alone() {
    let mut bench = Bench::new();
    bench.device("d");
    let body = json!({ "jobId": "j", "jobParameters": firmware(&["d"]) });
    let (status, refusal) = bench.call(Method::PUT, "/jobs/v2/j", &body);
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refusal}");
    assert_eq!(bench.call(Method::GET, "/jobs/v2", &Value::Null).0, StatusCode::NOT_FOUND);
    bench.start("j", firmware(&["d"]));
    assert_eq!(bench.call(Method::GET, "/jobs/v2/j", &Value::Null).0, StatusCode::NOT_FOUND);
    assert_eq!(bench.preview(Method::PUT, "/jobs/v2/j", &body).0, StatusCode::CONFLICT);
    let cancel = bench.preview(Method::DELETE, "/jobs/v2/j", &Value::Null);
    assert_eq!(cancel.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(bench.status_of("j"), "enqueued");
    let (status, all) = bench.preview(Method::GET, "/jobs/v2", &Value::Null);
    assert_eq!((status, all.as_array().unwrap().len()), (StatusCode::OK, 2));
    let elsewhere = bench.preview(Method::GET, "/devices/d", &Value::Null);
    assert_eq!(elsewhere.0, StatusCode::BAD_REQUEST);
}

#[test]
fn a_device_registers_with_its_own_key_and_in_time() {
    let mut bench = Bench::new();
    let mut device = bench.lwm2m_device(1, "d");
    let other = bench.device("other");
    let expiry = bench.now.after(Duration::from_secs(3600));
    let stranger = auth::sign(&other, HOST, expiry, None).unwrap();
    let mut answers = |registration: Message| {
        let id = ConnectionId(7);
        bench.hub.handle(bench.now, Input::Lwm2mOpened(id));
        let outputs = bench.hub.handle(bench.now, Input::Lwm2m(id, registration));
        match outputs.first() {
            Some(Output::Lwm2m(_, message)) => message.code,
            _ => panic!("{outputs:?}"),
        }
    };
    assert_eq!(answers(device.client.register("d", &stranger)), Code::UNAUTHORIZED);
    assert_eq!(answers(device.client.register("nobody", &stranger)), Code::UNAUTHORIZED);
    assert_eq!(answers(device.client.register("d", "x")), Code::UNAUTHORIZED);
    let mut unnamed = device.client.register("d", &stranger);
    unnamed.query.remove(0);
    assert_eq!(answers(unnamed), Code::BAD_REQUEST);
    assert_eq!(answers(Message::new(Code::GET, &[])), Code::NOT_FOUND);
    assert!(closes(&bench.tick(Duration::from_secs(30)), 7));
    bench.register(&mut device);
    let old = device.connection;
    let token = auth::sign(&device.key, HOST, expiry, None).unwrap();
    let registration = device.client.register("d", &token);
    bench.hub.handle(bench.now, Input::Lwm2mOpened(ConnectionId(9)));
    let outputs = bench.hub.handle(bench.now, Input::Lwm2m(ConnectionId(9), registration));
    assert!(closes(&outputs, old));
    assert!(closes(&bench.tick(Duration::from_secs(3600 + 600)), 9));
}
