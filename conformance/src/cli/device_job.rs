//! `twinspec firmware device-job`: the firmware update of the 2016 preview on the embedded hub.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use twinspec_harness::connection_string::{ConnectionString, Holder};
use twinspec_harness::lwm2m::{Lwm2mDevice, Setup, Told};
use twinspec_model::firmware::device_job::device::{Stance, State, UpdateFailure, UpdateResult};
use twinspec_model::firmware::device_job::job::Outcome;

use super::firmware::{Screen, reason};
use super::{Done, Trouble, say};
use crate::bench::{Bench, Leftovers, Registered, status};
use crate::profile::Profile;
use crate::run;
use crate::target::Target;
use crate::verdict::{Checked, Stop};

/// The image, which is only acted out.
const IMAGE: &str = "https://files.example/fw-9.1.0.bin";
/// How many times the shortest phase the work of the device lasts.
const WORK: u32 = 4;
/// How often the back end looks.
const LOOK: Duration = Duration::from_millis(50);

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// The image cannot be fetched.
    Download,
    /// The image cannot be written.
    Apply,
}

/// Shows an update; 0 when it ends as it should.
pub(super) async fn show(fail_at: Option<Failing>, unit: Duration, whole: Duration) -> Done {
    let target = Target::embedded(Profile::default()).await.map_err(Trouble::environment)?;
    let target = Arc::new(target);
    let leftovers = Leftovers::default();
    let mut bench = Bench::new(Arc::clone(&target), leftovers.clone());
    let screen = Screen::new();
    let result = tokio::select! {
        result = update(&mut bench, fail_at, unit, whole, &screen) => result,
        stopped = super::until_stopped() => {
            stopped?;
            return Err(Trouble::environment("broken off"));
        }
    };
    run::clean_up(&target, &leftovers).await;
    let job = result.map_err(|stop| Trouble::environment(reason(stop)))?;
    let outcome = Outcome::of(&job);
    let expected = if fail_at.is_some() { Outcome::Failed } else { Outcome::Succeeded };
    let how = match outcome {
        Outcome::Succeeded => "the update has succeeded",
        Outcome::Failed => "the update has failed",
        Outcome::Pending => "the update has not ended",
    };
    let holds = outcome == expected;
    let end = if holds { "as it should" } else { "which it should not" };
    say(&format!("{how} (the job is {}), {end}", status(&job)))?;
    Ok(u8::from(!holds))
}

/// The last reading of the job.
async fn update(
    bench: &mut Bench,
    fail_at: Option<Failing>,
    unit: Duration,
    whole: Duration,
    screen: &Screen,
) -> Checked<Value> {
    let who = bench.device().await?;
    let deadline = Instant::now() + whole;
    let clock = bench.target.clock.clone();
    let setup = setup(bench, &who, fail_at, unit)?;
    let device = Lwm2mDevice::start(setup, clock.now(), bench.recorder.clone()).await;
    let mut device = device.map_err(|error| Stop::Inconclusive(error.to_string()))?;
    let mut tell = |told: Told| screen.line("device", &words(&told));
    tokio::select! {
        result = operate(bench, &who, deadline, screen) => result,
        ended = device.serve(deadline, || clock.now(), &mut tell) => {
            let why = ended.err().map_or_else(|| "its time was over".to_owned(), |e| e.to_string());
            Err(Stop::Inconclusive(format!("the device has ended: {why}")))
        }
    }
}

fn setup(
    bench: &Bench,
    who: &Registered,
    fail_at: Option<Failing>,
    unit: Duration,
) -> Checked<Setup> {
    let address = bench.target.hub().and_then(|hub| hub.addresses().lwm2m);
    let address = address.ok_or_else(|| Stop::Harness("the hub has no LWM2M".to_owned()))?;
    let fails = |phase, failure| if fail_at == Some(phase) { Err(failure) } else { Ok(()) };
    Ok(Setup {
        address: ("localhost".to_owned(), address.port()),
        trust: bench.target.trust.clone(),
        login: ConnectionString {
            host: bench.host().to_owned(),
            holder: Holder::Identity(who.identity.clone()),
            key: who.key.clone(),
        },
        versions: ("1.0".to_owned(), "9.1.0".to_owned()),
        stance: Stance::default(),
        download: fails(Failing::Download, UpdateFailure::ConnectionLost),
        apply: fails(Failing::Apply, UpdateFailure::Storage),
        unit: unit * WORK,
    })
}

/// The back end's side: starts the job and follows parent and child to their end.
async fn operate(
    bench: &mut Bench,
    who: &Registered,
    deadline: Instant,
    screen: &Screen,
) -> Checked<Value> {
    let parameters = json!({
        "jobType": "firmwareUpdate", "DeviceIds": [who.identity.device], "PackageUri": IMAGE,
        "Timeout": "00:25:00",
    });
    screen.back_end(&format!("starts a device job: {parameters}"));
    let id = bench.start_device_job("FW-A03", &parameters).await?;
    let mut last = String::new();
    loop {
        let mut seen = Vec::new();
        for job in bench.device_jobs_of(&id).await? {
            let is_child = job.get("deviceId").is_some_and(Value::is_string);
            let reason = job.get("failureReason").and_then(Value::as_str);
            let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            let what = if is_child { "child" } else { "parent" };
            seen.push(format!("{what} {}{reason}", status(&job)));
        }
        // The parent first.
        seen.sort_by(|a, b| b.cmp(a));
        let seen = seen.join(", ");
        if seen != last {
            screen.back_end(&format!("sees {seen}"));
            last = seen;
        }
        let job = bench.read_device_job(&id).await?;
        if Outcome::of(&job) != Outcome::Pending || Instant::now() >= deadline {
            return Ok(job);
        }
        sleep(LOOK).await;
    }
}

fn words(told: &Told) -> String {
    match told {
        Told::Registered => "is registered".to_owned(),
        Told::Asked(what) => format!("is asked: {what}"),
        Told::Value(path, value) => format!("tells {path} = {value}{}", meaning(path, value)),
        Told::Began(what, lasts) => format!("begins: {what} ({} ms)", lasts.as_millis()),
    }
}

/// What a value of the firmware object means.
fn meaning(path: &str, value: &str) -> String {
    let number = value.parse().unwrap_or_default();
    let meaning = match path {
        "/5/0/3" => match State::from_number(number) {
            Some(State::Idle) => "idle",
            Some(State::Downloading) => "downloading",
            Some(State::Downloaded) => "downloaded",
            Some(State::Unset) | None => return String::new(),
        },
        "/5/0/5" => match UpdateResult::from_number(number) {
            Some(UpdateResult::Default) => "nothing yet",
            Some(UpdateResult::Success) => "success",
            Some(UpdateResult::Failed(failure)) => failure.name(),
            Some(UpdateResult::Unset) | None => return String::new(),
        },
        _ => return String::new(),
    };
    format!(" ({meaning})")
}
