//! Family `device-job-2016`: devices and hubs of the device jobs of 2016, event by event.

use serde_json::{Map, Value, json};
use twinspec_model::firmware::device_job::device::{
    Busy, Device, Input, Output, Stance, State, UpdateFailure, UpdateResult, Work, WrongState,
};
use twinspec_model::firmware::device_job::job::{Child, DeviceJob, Outcome};
use twinspec_model::firmware::device_job::lwm2m::{Operation, PACKAGE_URI, Path, Request, UPDATE};
use twinspec_model::firmware::device_job::request::DeviceJobRequest;
use twinspec_model::time::Time;
use twinspec_model::wire::coap::Code;

use super::{Input as Case, member, number, text};

/// When jobs begin to run: the second that `after` counts from.
const BEGAN: u64 = 1_461_628_800;

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    match text(case, "machine")? {
        "device" => steps(case, &mut device(case)?, device_step),
        "resource" => resource(case),
        "job" => steps(case, &mut job(case)?, job_step),
        "reading" => Ok(json!({ "outcome": outcome(member(case, "job")?) })),
        other => Err(format!("there is no machine {other:?}")),
    }
}

fn steps<M>(
    case: &Value,
    machine: &mut M,
    step: fn(&mut M, &Value) -> Result<Value, String>,
) -> Result<Value, String> {
    let events = member(case, "events")?.as_array().ok_or("events is no array")?;
    let steps = events.iter().map(|event| step(machine, event));
    Ok(json!({ "steps": steps.collect::<Result<Vec<_>, _>>()? }))
}

fn outcome(job: &Value) -> &'static str {
    match Outcome::of(job) {
        Outcome::Pending => "pending",
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
    }
}

fn device(case: &Value) -> Result<Device, String> {
    let stance = member(case, "stance")?;
    let stance = Stance {
        wrong_state: match text(stance, "wrong_state")? {
            "4.00" => WrongState::BadRequest,
            "4.05" => WrongState::MethodNotAllowed,
            other => return Err(format!("there is no such refusal: {other:?}")),
        },
        busy: match text(stance, "busy")? {
            "restart" => Busy::Restart,
            "refuse" => Busy::Refuse,
            other => return Err(format!("no device is busy like {other:?}")),
        },
    };
    let from = member(case, "from")?;
    let integer =
        |name| member(from, name)?.as_i64().ok_or_else(|| format!("{name} is no integer"));
    let state = State::from_number(integer("state")?).ok_or("there is no such state")?;
    let result = UpdateResult::from_number(integer("result")?).ok_or("there is no such result")?;
    let is_applying = member(from, "applying")?.as_bool().ok_or("applying is no Boolean")?;
    Ok(Device::new(text(from, "version")?, stance).with(state, result, is_applying))
}

fn device_step(device: &mut Device, event: &Value) -> Result<Value, String> {
    let attempt = device.attempt();
    let failure = || {
        let number = i64::try_from(number(event, "result")?).map_err(|error| error.to_string())?;
        UpdateFailure::from_number(number).ok_or_else(|| format!("{number} is no failure"))
    };
    let input = match text(event, "event")? {
        "write-uri" => Input::Asked(Request::write(PACKAGE_URI, text(event, "uri")?)),
        "update" => Input::Asked(Request::execute(UPDATE)),
        "downloaded" => Input::Downloaded(attempt, Ok(())),
        "download-failed" => Input::Downloaded(attempt, Err(failure()?)),
        "applied" => Input::Applied(attempt, Ok(text(event, "version")?.to_owned())),
        "apply-failed" => Input::Applied(attempt, Err(failure()?)),
        "started" => Input::Started,
        other => return Err(format!("no device knows the event {other:?}")),
    };
    let mut step = Map::new();
    let mut notify = Vec::new();
    for output in device.handle(input) {
        match output {
            Output::Answer(code, _) => {
                drop(step.insert("answer".to_owned(), json!(code.to_string())))
            }
            Output::Notify(path, value) => {
                notify.push(json!({ "path": path.to_string(), "value": value }));
            }
            Output::Begin(work) => drop(step.insert("work".to_owned(), json!(work_name(&work)))),
        }
    }
    step.insert("notify".to_owned(), json!(notify));
    step.insert("to".to_owned(), state(device));
    Ok(Value::Object(step))
}

fn work_name(work: &Work) -> &'static str {
    match work {
        Work::Download { .. } => "download",
        Work::Apply { .. } => "apply",
        Work::Restart => "restart",
        Work::FactoryReset => "factory-reset",
        Work::Configure => "configure",
    }
}

fn state(device: &Device) -> Value {
    json!({
        "state": device.state().number(),
        "result": device.result().number(),
        "applying": device.is_applying(),
        "version": device.version(),
    })
}

/// The answer of a device to which nothing has happened, or one with an image for Update.
fn resource(case: &Value) -> Result<Value, String> {
    let request = member(case, "request")?;
    let path = text(request, "path")?.trim_start_matches('/');
    let path = Path::parse(path.split('/')).ok_or_else(|| format!("{path:?} is no path"))?;
    let operation = match text(request, "operation")? {
        "read" => Operation::Read,
        "write" => Operation::Write(text(request, "value")?.to_owned()),
        "execute" => Operation::Execute,
        other => return Err(format!("there is no operation {other:?}")),
    };
    let device = Device::new("1.0", Stance::default());
    let mut device = device.with(State::Downloaded, UpdateResult::Default, false);
    let outputs = device.handle(Input::Asked(Request { path, operation }));
    match outputs.first() {
        Some(Output::Answer(code, _)) => Ok(json!({ "answer": code.to_string() })),
        other => Err(format!("no answer but {other:?}")),
    }
}

fn job(case: &Value) -> Result<DeviceJob, String> {
    let mut parameters = member(case, "parameters")?.clone();
    let members = parameters.as_object_mut().ok_or("parameters is no object")?;
    members.insert("DeviceIds".to_owned(), json!(["pump-01"]));
    let body = json!({ "jobId": "job", "jobParameters": parameters });
    let request = DeviceJobRequest::parse("job", body.to_string().as_bytes());
    let request = request.map_err(|refusal| refusal.to_string())?;
    Ok(DeviceJob::new(request, at(0), || "child".to_owned()))
}

fn at(after: u64) -> Time {
    Time::from_unix_seconds(BEGAN.saturating_add(after))
}

fn job_step(job: &mut DeviceJob, event: &Value) -> Result<Value, String> {
    let timeout = job.request.timeout;
    let (work, child) = job.child_mut(0).ok_or("the job has no child")?;
    let ask = match text(event, "event")? {
        "start" => {
            child.start(at(0), timeout);
            None
        }
        "connected" => child.connected(at(0), work),
        "answered" => {
            let code = text(event, "code")?;
            let code = Code::parse(code).ok_or_else(|| format!("{code:?} is no code"))?;
            child.answered(at(0), work, code, text(event, "value")?)
        }
        "told" => {
            let path = text(event, "path")?.trim_start_matches('/');
            let path =
                Path::parse(path.split('/')).ok_or_else(|| format!("{path:?} is no path"))?;
            child.told(at(0), work, path, text(event, "value")?)
        }
        "time" => {
            child.expire(at(number(event, "after")?));
            None
        }
        other => return Err(format!("no job knows the event {other:?}")),
    };
    Ok(seen(child, ask))
}

fn seen(child: &Child, ask: Option<Request>) -> Value {
    let mut step = Map::from_iter([("status".to_owned(), json!(child.status().name()))]);
    if let Some(request) = ask {
        let mut asked = Map::from_iter([
            ("operation".to_owned(), json!(request.operation.name())),
            ("path".to_owned(), json!(request.path.to_string())),
        ]);
        if let Operation::Write(value) = request.operation {
            asked.insert("value".to_owned(), json!(value));
        }
        step.insert("ask".to_owned(), Value::Object(asked));
    }
    Value::Object(step)
}

/// What a device does is settled by its `stance`.
pub(super) fn open_point(case: &Value, expect: &Value) -> Option<&'static str> {
    if case.get("machine")? != "job" {
        return None;
    }
    let steps = expect.get("steps")?.as_array()?.iter();
    let failing =
        steps.zip(case.get("events")?.as_array()?).find(|(step, _)| step["status"] == "failed");
    let (_, event) = failing?;
    Some(if event["event"] == "time" { "A-F01" } else { "A-F03" })
}

/// Every event in every state of a device that chose the defaults.
pub(super) fn inputs() -> Vec<Case> {
    let states = [(-1, -1, false), (2, 0, false), (3, 0, false), (3, 0, true)];
    let idle = (0..=7).map(|result| (1, result, false));
    let failed = (2..=7).map(|result| (3, result, false));
    let events = [
        json!({ "event": "write-uri", "uri": "https://files.example/fw-9.bin" }),
        json!({ "event": "write-uri", "uri": "" }),
        json!({ "event": "update" }),
        json!({ "event": "downloaded" }),
        json!({ "event": "download-failed", "result": 5 }),
        json!({ "event": "applied", "version": "2.0" }),
        json!({ "event": "apply-failed", "result": 5 }),
        json!({ "event": "started" }),
    ];
    let mut inputs = Vec::new();
    for (state, result, is_applying) in states.into_iter().chain(idle).chain(failed) {
        for event in &events {
            let applying = if is_applying { ", applying" } else { "" };
            let stance = json!({ "wrong_state": "4.00", "busy": "restart" });
            let from = json!({
                "state": state, "result": result, "applying": is_applying, "version": "1.0",
            });
            inputs.push(Case {
                title: format!("State {state}, result {result}{applying}: {event}."),
                requirements: vec!["FW-A07"],
                members: vec![
                    ("machine", json!("device")),
                    ("stance", stance),
                    ("from", from),
                    ("events", json!([event])),
                ],
            });
        }
    }
    inputs
}
