//! Laws over every order of inputs, of a device alone and of a hub with a device.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::device::*;
use super::history::HistoryQuery;
use super::job::*;
use super::lwm2m::*;
use super::request::DeviceJobRequest;
use crate::time::Time;
use crate::wire::coap::Code;

/// Inputs in a row that the search over one device tries.
const DEPTH: usize = 6;

fn at(seconds: u64) -> Time {
    Time::from_unix_seconds(1_900_000_000 + seconds)
}

fn write_uri(uri: &str) -> Input {
    Input::Asked(Request::write(PACKAGE_URI, uri))
}

fn update() -> Input {
    Input::Asked(Request::execute(UPDATE))
}

/// All inputs that matter to `device`; work may end late, that is for an earlier attempt.
fn inputs(device: &Device) -> Vec<Input> {
    let mut inputs = vec![
        write_uri("https://files.example/a"),
        write_uri(""),
        update(),
        Input::Asked(Request::write(BATTERY_LEVEL, "5")),
        Input::Asked(Request::read(STATE)),
        Input::Started,
    ];
    let attempt = device.attempt();
    for attempt in [attempt.wrapping_sub(1), attempt] {
        inputs.push(Input::Downloaded(attempt, Ok(())));
        inputs.push(Input::Applied(attempt, Ok("2.0".to_owned())));
        for failure in UpdateFailure::ALL {
            inputs.push(Input::Downloaded(attempt, Err(failure)));
            inputs.push(Input::Applied(attempt, Err(failure)));
        }
    }
    inputs
}

fn beginnings() -> Vec<Device> {
    let failures = UpdateFailure::ALL.map(UpdateResult::Failed);
    let results: Vec<UpdateResult> =
        [UpdateResult::Unset, UpdateResult::Default, UpdateResult::Success]
            .into_iter()
            .chain(failures)
            .collect();
    let mut all = Vec::new();
    for stance in Stance::ALL {
        let device = Device::new("1.0", stance);
        for result in &results {
            all.push(device.clone().with(State::Unset, *result, false));
            all.push(device.clone().with(State::Idle, *result, false));
        }
    }
    all
}

/// Lets `check` see every step from every state that can be reached.
fn explore(check: impl Fn(&Device, &Input, &[Output], &Device)) -> usize {
    let mut front = beginnings();
    let mut seen: BTreeSet<Device> = front.iter().cloned().collect();
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for device in &front {
            for input in inputs(device) {
                let mut after = device.clone();
                let outputs = after.handle(input.clone());
                check(device, &input, &outputs, &after);
                if seen.insert(after.clone()) {
                    next.push(after);
                }
            }
        }
        front = next;
    }
    seen.len()
}

#[test]
fn update_begins_only_in_state_downloaded_and_is_refused_elsewhere_without_effect() {
    let states = explore(|before, input, outputs, after| {
        let begins = outputs.iter().any(|o| matches!(o, Output::Begin(Work::Apply { .. })));
        assert!(!begins || before.state() == State::Downloaded);
        if *input == update() && before.state() != State::Downloaded {
            assert_eq!(before, after);
            let [Output::Answer(code, None)] = outputs else { panic!("{outputs:?}") };
            assert!([Code::BAD_REQUEST, Code::METHOD_NOT_ALLOWED].contains(code));
        }
    });
    assert!(states > 100, "{states}");
}

#[test]
fn the_state_goes_round_and_the_result_is_zero_while_the_device_is_busy() {
    explore(|before, input, _, after| {
        let step = (before.state(), after.state());
        let is_reset = *input == write_uri("");
        let is_begin = *input == write_uri("https://files.example/a");
        let is_legal = match step {
            (from, to) if from == to => true,
            (State::Unset | State::Idle, State::Downloading) => is_begin,
            (State::Downloading, State::Downloaded) => {
                matches!(input, Input::Downloaded(_, Ok(())))
            }
            (State::Downloading, State::Idle) => {
                is_reset || matches!(input, Input::Downloaded(_, Err(_)))
            }
            (State::Downloaded, State::Idle) => is_reset || *input == Input::Started,
            (State::Downloaded, State::Downloading) => is_begin,
            (State::Unset, State::Idle) => is_reset,
            _ => false,
        };
        assert!(is_legal, "{step:?} on {input:?}");
        assert!(!after.is_busy() || after.result() == UpdateResult::Default, "{after:?}");
    });
}

#[test]
fn an_empty_address_resets_from_everywhere() {
    explore(|_, input, outputs, after| {
        if *input == write_uri("") {
            assert_eq!((after.state(), after.result()), (State::Idle, UpdateResult::Default));
            assert_eq!(outputs[0], Output::Answer(Code::CHANGED, None));
            assert!(!after.is_busy());
        }
    });
}

#[test]
fn the_version_changes_with_success_alone_and_failed_downloads_end_idle() {
    explore(|before, input, outputs, after| {
        if before.version() != after.version() {
            assert_eq!(*input, Input::Started);
            assert_eq!((after.state(), after.result()), (State::Idle, UpdateResult::Success));
            let told = [(UPDATE_RESULT, "1"), (STATE, "1"), (FIRMWARE_VERSION, "2.0")];
            let told = told.map(|(path, value)| Output::Notify(path, value.to_owned()));
            assert_eq!(outputs, told);
        }
        if let Input::Downloaded(_, Err(failure)) = input
            && before.state() != after.state()
        {
            let failed = UpdateResult::Failed(*failure);
            assert_eq!((after.state(), after.result()), (State::Idle, failed));
        }
        if let Input::Downloaded(attempt, _) | Input::Applied(attempt, _) = input
            && *attempt != before.attempt()
        {
            assert_eq!(before, after);
        }
    });
}

#[test]
fn every_question_is_answered_once_and_first() {
    explore(|_, input, outputs, _| {
        let answers = outputs.iter().filter(|output| matches!(output, Output::Answer(..))).count();
        assert_eq!(answers, usize::from(matches!(input, Input::Asked(_))));
        if answers == 1 {
            assert!(matches!(outputs[0], Output::Answer(..)));
        }
    });
}

#[test]
fn resources_answer_with_the_codes_of_the_dispatcher() {
    let code = |request| check(&request).err().map(|code| code.to_string());
    let code = |request| code(request).unwrap_or_default();
    assert_eq!(code(Request::read(BATTERY_LEVEL)), "");
    assert_eq!(code(Request::write(BATTERY_LEVEL, "5")), "4.05");
    assert_eq!(code(Request::write(Path::new(3, 13), "soon")), "4.00");
    assert_eq!(code(Request::write(Path::new(3, 13), "1461150000")), "");
    assert_eq!(code(Request::read(Path::new(3, 77))), "4.04");
    assert_eq!(code(Request::read(Path::new(77, 0))), "4.04");
    assert_eq!(code(Request::read(Path { object: 3, instance: 1, resource: 9 })), "4.04");
    assert_eq!(code(Request::write(PACKAGE, "bytes")), "5.01");
    assert_eq!(code(Request::execute(STATE)), "4.05");
    assert_eq!(code(Request::read(UPDATE)), "4.05");
    assert_eq!(code(Request::write(PACKAGE_URI, "u".repeat(255))), "");
    assert_eq!(code(Request::write(PACKAGE_URI, "u".repeat(256))), "4.00");
}

fn firmware_job(devices: &[&str]) -> DeviceJob {
    let body = json!({ "jobId": "fw-1", "jobParameters": {
        "jobType": "firmwareUpdate", "DeviceIds": devices,
        "PackageUri": "https://files.example/fw-9.bin", "Timeout": "00:25:00" } });
    let request = DeviceJobRequest::parse("fw-1", body.to_string().as_bytes()).unwrap();
    let mut ids = 0..;
    DeviceJob::new(request, at(0), || format!("child-{}", ids.next().unwrap_or(0)))
}

/// A hub with a job on a device, and what is under way between them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct World {
    device: Device,
    job: DeviceJob,
    to_device: VecDeque<Request>,
    to_hub: VecDeque<Told>,
    works: Vec<Work>,
    is_connected: bool,
    /// Whether State 3 has arrived at the hub since the address was taken.
    knows_of_image: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Answer(Code, String),
    Value(Path, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Ask,
    Tell,
    Work(Option<UpdateFailure>),
    Cut,
    Connect,
    TimeOut,
}

impl World {
    fn new() -> Self {
        let mut job = firmware_job(&["pump-01"]);
        let request = job.request.clone();
        job.child_mut(0).unwrap().1.start(at(0), request.timeout);
        Self {
            device: Device::new("1.0", Stance::default()),
            job,
            to_device: VecDeque::new(),
            to_hub: VecDeque::new(),
            works: Vec::new(),
            is_connected: false,
            knows_of_image: false,
        }
    }

    fn moves(&self) -> Vec<Move> {
        let mut moves = vec![Move::TimeOut];
        if self.is_connected {
            moves.push(Move::Cut);
            moves.extend((!self.to_device.is_empty()).then_some(Move::Ask));
            moves.extend((!self.to_hub.is_empty()).then_some(Move::Tell));
        } else {
            moves.push(Move::Connect);
        }
        if !self.works.is_empty() {
            moves.extend([Move::Work(None), Move::Work(Some(UpdateFailure::Checksum))]);
        }
        moves
    }

    fn make(&mut self, made: Move) {
        match made {
            Move::Ask => {
                let request = self.to_device.pop_front().unwrap();
                self.happen(Input::Asked(request));
            }
            Move::Tell => self.tell(),
            Move::Work(failure) => {
                let result = failure.map_or(Ok(()), Err);
                let work = self.works.remove(0);
                match work {
                    Work::Download { attempt, .. } => {
                        self.happen(Input::Downloaded(attempt, result));
                    }
                    Work::Apply { attempt } => {
                        let result = result.map(|()| "2.0".to_owned());
                        self.happen(Input::Applied(attempt, result));
                    }
                    Work::Restart | Work::FactoryReset | Work::Configure => self.cut(),
                }
            }
            Move::Cut => self.cut(),
            Move::Connect => {
                self.is_connected = true;
                self.happen(Input::Started);
                self.to_hub.clear();
                let (work, child) = self.job.child_mut(0).unwrap();
                self.to_device.extend(child.connected(at(1), work));
                for path in [UPDATE_RESULT, STATE] {
                    self.to_hub.push_back(Told::Value(path, self.device.value(path)));
                }
            }
            Move::TimeOut => self.job.child_mut(0).unwrap().1.expire(at(25 * 60)),
        }
    }

    fn cut(&mut self) {
        self.is_connected = false;
        self.to_device.clear();
        self.to_hub.clear();
    }

    fn happen(&mut self, input: Input) {
        for output in self.device.handle(input) {
            match output {
                Output::Answer(code, value) => {
                    self.to_hub.push_back(Told::Answer(code, value.unwrap_or_default()));
                }
                Output::Notify(path, value) => self.to_hub.push_back(Told::Value(path, value)),
                Output::Begin(work) => self.works.push(work),
            }
        }
        if !self.is_connected {
            self.to_hub.clear();
        }
    }

    fn tell(&mut self) {
        let told = self.to_hub.pop_front().unwrap();
        let (work, child) = self.job.child_mut(0).unwrap();
        let next = match &told {
            Told::Answer(code, value) => child.answered(at(1), work, *code, value),
            Told::Value(path, value) => {
                self.knows_of_image |=
                    child.step() == Step::Download && *path == STATE && value == "3";
                child.told(at(1), work, *path, value)
            }
        };
        if next == Some(Request::execute(UPDATE)) {
            assert!(self.knows_of_image, "Update before State 3");
        }
        self.to_device.extend(next);
    }
}

#[test]
fn a_hub_and_a_device_agree_however_messages_cuts_and_times_fall() {
    let mut front = vec![World::new()];
    let mut seen = BTreeSet::from([format!("{:?}", front[0])]);
    let mut ends = BTreeSet::new();
    for _ in 0..17 {
        let mut next = Vec::new();
        for world in &front {
            for made in world.moves() {
                let mut after = world.clone();
                after.make(made);
                let (before, child) = (&world.job.children()[0], &after.job.children()[0]);
                if child.status() == Status::Completed {
                    assert_eq!(after.device.version(), "2.0");
                }
                assert!(!before.status().is_over() || before == child, "it changed after its end");
                assert_eq!(child.status() == Status::Failed, !child.failure().is_empty());
                ends.insert(child.status());
                if !child.status().is_over() && seen.insert(format!("{after:?}")) {
                    next.push(after);
                }
            }
        }
        front = next;
    }
    assert_eq!(ends, BTreeSet::from([Status::Running, Status::Completed, Status::Failed]));
    assert!(seen.len() > 200, "{}", seen.len());
}

#[test]
fn a_parent_ends_after_its_children_and_counts_them() {
    let mut job = firmware_job(&["a", "b", "c"]);
    assert_eq!(job.status(), Status::Enqueued);
    for index in 0..3 {
        job.child_mut(index).unwrap().1.start(at(0), Duration::from_secs(60));
        assert_eq!(job.status(), Status::Running);
    }
    job.child_mut(1).unwrap().1.fail(at(1), "no storage".to_owned());
    assert_eq!(job.status(), Status::Running);
    job.child_mut(0).unwrap().1.expire(at(60));
    assert_eq!(job.status(), Status::Running);
    job.child_mut(2).unwrap().1.expire(at(60));
    assert_eq!(job.status(), Status::Failed);
    let parent = job.json();
    assert_eq!(parent["statusMessage"], "Devices: 3; Succeeded: 0; Failed: 3;");
    assert_eq!(parent["parentJobId"], Value::Null);
    assert_eq!(parent.get("deviceId"), None);
    let child = job.child_json(&job.children()[1]);
    assert_eq!(child["failureReason"], "no storage");
    assert_eq!((&child["deviceId"], &child["parentJobId"]), (&json!("b"), &json!("fw-1")));
}

#[test]
fn completed_with_a_reason_is_a_failure() {
    let read = |status: &str, reason: Value| {
        Outcome::of(&json!({ "status": status, "failureReason": reason }))
    };
    assert_eq!(read("completed", Value::Null), Outcome::Succeeded);
    assert_eq!(read("completed", json!("")), Outcome::Succeeded);
    assert_eq!(read("completed", json!("no storage")), Outcome::Failed);
    assert_eq!(read("failed", Value::Null), Outcome::Failed);
    assert_eq!(read("running", Value::Null), Outcome::Pending);
    assert_eq!(read("enqueued", Value::Null), Outcome::Pending);
}

#[test]
fn requests_are_read_strictly() {
    let parse = |parameters: Value| {
        let body = json!({ "jobId": "j", "jobParameters": parameters });
        DeviceJobRequest::parse("j", body.to_string().as_bytes())
    };
    let reboot = |more: Value| {
        let mut parameters = json!({ "jobType": "rebootDevice", "DeviceIds": ["a"] });
        let members = parameters.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        parse(parameters)
    };
    let minutes = |text: &str| reboot(json!({ "Timeout": text })).map(|r| r.timeout.as_secs() / 60);
    assert_eq!(minutes("00:25:00"), Ok(25));
    assert_eq!(minutes("1.00:00:00"), Ok(24 * 60));
    for wrong in ["00:60:00", "25:00", "1.00:00:01", "00:00:00", "", "0:-1:00", "00:+5:00"] {
        assert!(minutes(wrong).is_err(), "{wrong}");
    }
    for wrong in [json!([]), json!([" "]), json!("a"), json!(["a", "a"]), json!([1])] {
        assert!(reboot(json!({ "DeviceIds": wrong })).is_err(), "{wrong}");
    }
    for wrong in ["export", "unknown", "scheduleUpdateTwin", "FirmwareUpdate", "firmwareUpdate"] {
        assert!(reboot(json!({ "jobType": wrong })).is_err(), "{wrong}");
    }
}

#[test]
fn the_history_is_filtered_sorted_projected_and_counted() {
    let job = |id: &str, kind: &str, status: &str, parent: Value| json!({ "jobId": id, "type": kind, "status": status, "parentJobId": parent });
    let jobs = [
        job("a", "rebootDevice", "completed", Value::Null),
        job("b", "rebootDevice", "completed", json!("a")),
        job("c", "firmwareUpdate", "running", Value::Null),
    ];
    let ids = |query: Value| {
        let answer = HistoryQuery::parse(&query).unwrap().run(jobs.clone());
        let rows = answer["Result"].as_array().unwrap().iter();
        rows.map(|row| row["jobId"].as_str().unwrap().to_owned()).collect::<String>()
    };
    let filter = |name: &str, operator: &str, value: Value| {
        json!({ "type": "comparison", "comparisonOperator": operator, "value": value,
            "property": { "name": name, "type": "default" } })
    };
    let filtered = |filter: Value| ids(json!({ "filter": filter }));
    assert_eq!(ids(json!({})), "abc");
    assert_eq!(filtered(filter("ParentJobId", "eq", json!("a"))), "b");
    assert_eq!(filtered(filter("Status", "eq", json!("Running"))), "c");
    assert_eq!(filtered(filter("JobId", "gt", json!("a"))), "bc");
    assert_eq!(filtered(filter("Status", "nin", json!(["running"]))), "ab");
    assert_eq!(filtered(filter("Unheard", "eq", json!(1))), "");
    let both = [filter("Status", "eq", json!("completed")), filter("JobId", "ne", json!("a"))];
    let logical = |operator: &str, filters: &[Value]| json!({ "type": "logical", "logicalOperator": operator, "filters": filters });
    assert_eq!(filtered(logical("and", &both)), "b");
    assert_eq!(filtered(logical("or", &both)), "abc");
    assert_eq!(filtered(logical("not", &both[..1])), "c");
    let sort = json!({ "property": { "name": "JobId", "type": "default" }, "order": "desc" });
    assert_eq!(ids(json!({ "sort": [sort] })), "cba");
    let count = json!({ "aggregate": { "keys": [{ "name": "Type", "type": "default" }],
        "properties": [{ "operator": "count", "columnName": "JobCount" }] } });
    let answer = HistoryQuery::parse(&count).unwrap().run(jobs.clone());
    assert_eq!(
        answer["AggregateResult"],
        json!([{ "Type": "firmwareUpdate", "JobCount": 1 }, { "Type": "rebootDevice", "JobCount": 2 }])
    );
    assert_eq!(answer["Result"], Value::Null);
    for wrong in [
        json!([]),
        json!({ "filter": {} }),
        json!({ "filter": logical("not", &both) }),
        json!({ "filter": filter("JobId", "in", json!("a")) }),
        json!({ "sort": [{}] }),
        json!({ "aggregate": { "keys": [], "properties": [] } }),
    ] {
        assert!(HistoryQuery::parse(&wrong).is_err(), "{wrong}");
    }
}
