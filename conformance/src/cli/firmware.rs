//! `twinspec firmware`: an older firmware update, shown on the embedded hub; and
//! `twinspec firmware-device`: its device alone.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};
use twinspec_harness::connection_string::{ConnectionString, Holder};
use twinspec_harness::endpoint::Endpoint;
use twinspec_harness::firmware::{self as device, CHECK_VALUE, Setup, Told};
use twinspec_harness::tls::Trust;
use twinspec_model::firmware::direct_method::{SPELLINGS, Spelling};
use twinspec_model::firmware::observer::{Observer, Progress};
use twinspec_model::firmware::{self as model, Phase};

use super::device_job::Failing;
use super::{Done, Trouble, address, runtime, say, tell};
use crate::bench::agent::firmware::Pattern;
use crate::bench::{Bench, IfMatch, Leftovers, Registered, is_over, twin_job};
use crate::profile::Profile;
use crate::run;
use crate::target::Target;
use crate::verdict::{Checked, Stop};

/// The version that is asked for.
const VERSION: &str = "9.1.0";
/// Its image, which is only acted out.
const IMAGE: &str = "https://files.example/fw-9.1.0.bin";
/// The kind of device that the tutorial's job selects.
const KIND: &str = "chiller";
/// How long the shortest phase lasts at speed 1.
const UNIT: Duration = Duration::from_millis(250);
/// How long the whole may take at speed 1.
const WHOLE: Duration = Duration::from_secs(60);
/// How often the back end looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long the device may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// What is shown.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The pattern
    #[arg(value_enum)]
    pattern: Shown,
    /// The words of direct-method: tutorial-2016, dm-patterns, samples-2018 or c-port
    #[arg(long, value_name = "NAME")]
    spelling: Option<String>,
    /// Let this phase fail: the update must end as its pattern documents
    #[arg(long, value_name = "PHASE", value_enum)]
    fail_at: Option<FailAt>,
    /// How many times as fast as in the tutorials' spirit, which takes a few seconds
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed, allow_negative_numbers = true)]
    speed: f64,
}

/// A pattern that can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// 2016 preview: a device job, over LWM2M
    DeviceJob,
    /// 2018: a job writes the twin
    TwinJob,
    /// 2016: a direct method
    DirectMethod,
    /// 2018: a direct method, other words
    #[value(name = "direct-method-2018")]
    DirectMethod2018,
}

impl Options {
    /// The pattern with its words; none for the device job, which has words of its own.
    fn kind(&self) -> Option<Kind> {
        let pattern = match self.pattern {
            Shown::DeviceJob => return None,
            Shown::TwinJob => Pattern::TwinJob,
            Shown::DirectMethod => Pattern::DirectMethod,
            Shown::DirectMethod2018 => Pattern::DirectMethod2018,
        };
        Some(Kind { pattern, spelling: self.spelling.clone() })
    }
}

/// A pattern and its words.
#[derive(Debug, Args)]
struct Kind {
    /// The pattern
    #[arg(value_enum)]
    pattern: Pattern,
    /// The words of direct-method: tutorial-2016, dm-patterns, samples-2018 or c-port
    #[arg(long, value_name = "NAME")]
    spelling: Option<String>,
}

/// The device alone.
#[derive(Debug, Args)]
pub(super) struct DeviceOptions {
    #[command(flatten)]
    kind: Kind,
    /// The hub, mqtts:// or on loopback mqtt://
    #[arg(long, value_name = "URL", env = "TWINSPEC_AGENT_MQTT", value_parser = address::mqtt)]
    mqtt: Endpoint,
    /// Connection string of the device
    #[arg(
        long,
        value_name = "S",
        env = "TWINSPEC_AGENT_CONNECTION_STRING",
        hide_env_values = true
    )]
    connection_string: String,
    /// Certificate authority of the hub, PEM [default: what this machine trusts]
    #[arg(long, value_name = "FILE", env = "TWINSPEC_AGENT_CA")]
    ca: Option<PathBuf>,
    /// How long the shortest phase lasts
    #[arg(long, value_name = "MS", default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(1..=3_600_000), allow_negative_numbers = true)]
    unit_ms: u64,
    /// Pause between two attempts to connect, from 50 on
    #[arg(long, value_name = "MS", default_value_t = 1000,
        value_parser = clap::value_parser!(u64).range(50..=3_600_000), allow_negative_numbers = true)]
    reconnect_ms: u64,
    /// Let this phase fail, whatever the image
    #[arg(long, value_name = "PHASE", value_enum)]
    fail_at: Option<FailAt>,
}

/// A phase that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailAt {
    Download,
    Verify,
    Apply,
    Reboot,
}

impl FailAt {
    fn phase(self) -> Phase {
        match self {
            Self::Download => Phase::Download,
            Self::Verify => Phase::Verify,
            Self::Apply => Phase::Apply,
            Self::Reboot => Phase::Reboot,
        }
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.01..=100.0).contains(&speed) => Ok(speed),
        _ => Err("expected a number between 0.01 and 100".to_owned()),
    }
}

impl Kind {
    fn model(&self) -> Result<model::Pattern, Trouble> {
        let names: Vec<&str> = SPELLINGS.iter().map(|spelling| spelling.name).collect();
        match (self.pattern, self.spelling.as_deref()) {
            (Pattern::DirectMethod, name) => {
                let name = name.unwrap_or("tutorial-2016");
                let spelling = Spelling::find(name).map(model::Pattern::DirectMethod);
                let allowed = names.join(", ");
                spelling.ok_or_else(|| {
                    Trouble::usage(format!("--spelling {name}: allowed are {allowed}"))
                })
            }
            (_, Some(_)) => Err(Trouble::usage("--spelling is for the pattern direct-method")),
            (Pattern::TwinJob, None) => Ok(model::Pattern::TwinJob),
            (Pattern::DirectMethod2018, None) => Ok(model::Pattern::DirectMethod2018),
        }
    }

    /// The phase that is to fail, if the pattern has it.
    fn failing(&self, fail_at: Option<FailAt>) -> Result<Option<Phase>, Trouble> {
        let is_short = self.pattern != Pattern::TwinJob;
        match fail_at {
            Some(FailAt::Verify | FailAt::Reboot) if is_short => Err(Trouble::usage(format!(
                "--fail-at: the pattern {} has the phases download and apply",
                self.pattern.name()
            ))),
            Some(FailAt::Apply) if self.spelling.as_deref() == Some("c-port") => {
                Err(Trouble::usage(
                    "--fail-at apply: the variant c-port has no word for the end of an update, so that \
                     nobody can tell when it has failed to apply",
                ))
            }
            other => Ok(other.map(FailAt::phase)),
        }
    }
}

/// `twinspec firmware-device`.
pub(super) fn device(options: &DeviceOptions) -> Done {
    let pattern = options.kind.model()?;
    // Parsed here and not by the argument parser, which would print the key.
    let login: ConnectionString = options.connection_string.parse().map_err(Trouble::usage)?;
    let trust = match &options.ca {
        None => Trust::machine(),
        Some(path) => Trust::file(path),
    };
    let setup = Setup {
        endpoint: options.mqtt.clone(),
        trust: trust.map_err(Trouble::usage)?,
        login,
        unit: Duration::from_millis(options.unit_ms),
        fail_at: options.kind.failing(options.fail_at)?,
        reconnect: Duration::from_millis(options.reconnect_ms),
    };
    let hear = |told: Told| tell(&words(&told));
    runtime()?.block_on(async {
        tokio::select! {
            ended = device::run(pattern.device(), &setup, hear) => {
                ended.map(|()| 0).map_err(Trouble::environment)
            }
            stopped = super::until_stopped() => stopped.map(|()| 0),
        }
    })
}

fn words(told: &Told) -> String {
    match told {
        Told::Connected => "connected".to_owned(),
        Told::Away(why) => format!("away: {why}"),
        Told::Reported(patch) => format!("reports {patch}"),
        Told::Answered(status, payload) => format!("answers {status} {payload}"),
        Told::Began(phase, lasts) => format!("begins: {} ({} ms)", phase.name(), lasts.as_millis()),
        Told::Ended(phase, Ok(())) => format!("has done: {}", phase.name()),
        Told::Ended(phase, Err(failure)) => {
            format!("has failed: {} ({}: {})", phase.name(), failure.code, failure.message)
        }
    }
}

/// `twinspec firmware`.
pub(super) fn show(options: &Options) -> Done {
    let Some(kind) = options.kind() else { return show_device_job(options) };
    let pattern = kind.model()?;
    let fail_at = kind.failing(options.fail_at)?;
    runtime()?.block_on(async {
        let target = Target::embedded(Profile::default()).await.map_err(Trouble::environment)?;
        let target = Arc::new(target);
        let leftovers = Leftovers::default();
        let mut bench = Bench::new(Arc::clone(&target), leftovers.clone());
        let update = Update {
            pattern,
            is_twin_job: kind.pattern == Pattern::TwinJob,
            fail_at,
            unit: UNIT.div_f64(options.speed),
            whole: WHOLE.div_f64(options.speed.min(1.0)),
            screen: Screen::new(),
        };
        let result = tokio::select! {
            result = update.run(&mut bench) => result,
            stopped = super::until_stopped() => {
                stopped?;
                return Err(Trouble::environment("broken off"));
            }
        };
        run::clean_up(&target, &leftovers).await;
        update.screen.bar.finish_and_clear();
        let end = result.map_err(|stop| Trouble::environment(reason(stop)))?;
        let holds = match fail_at {
            None => matches!(end, Progress::Succeeded(_)),
            Some(_) => matches!(end, Progress::Failed(_)),
        };
        say(&conclusion(&end, holds))?;
        Ok(u8::from(!holds))
    })
}

/// `twinspec firmware device-job`.
fn show_device_job(options: &Options) -> Done {
    if options.spelling.is_some() {
        return Err(Trouble::usage("--spelling is for the pattern direct-method"));
    }
    let fail_at = match options.fail_at {
        None => None,
        Some(FailAt::Download) => Some(Failing::Download),
        Some(FailAt::Apply) => Some(Failing::Apply),
        Some(FailAt::Verify | FailAt::Reboot) => {
            return Err(Trouble::usage(
                "--fail-at: the pattern device-job has the phases download and apply",
            ));
        }
    };
    let (unit, whole) = (UNIT.div_f64(options.speed), WHOLE.div_f64(options.speed.min(1.0)));
    runtime()?.block_on(super::device_job::show(fail_at, unit, whole))
}

fn conclusion(end: &Progress, holds: bool) -> String {
    let how = match end {
        Progress::Succeeded(text) => format!("the update has succeeded ({text})"),
        Progress::Failed(text) if text == "standBy" => {
            "the update has failed (standBy again: the pattern has no word for it)".to_owned()
        }
        Progress::Failed(text) => format!("the update has failed ({text})"),
        Progress::Waiting | Progress::Running(_) => format!("it has not ended ({})", end.text()),
    };
    let expected = if holds { "as it should" } else { "which it should not" };
    format!("{how}, {expected}")
}

pub(super) fn reason(stop: Stop) -> String {
    match stop {
        Stop::Broken { requirement, allowed, seen } => {
            format!("{requirement}: allowed is {allowed}, seen was {seen}")
        }
        Stop::Unsupported(why) | Stop::Inconclusive(why) | Stop::Harness(why) => why,
    }
}

/// One update, from the registration of the device to its end.
struct Update {
    pattern: model::Pattern,
    is_twin_job: bool,
    fail_at: Option<Phase>,
    unit: Duration,
    whole: Duration,
    screen: Screen,
}

impl Update {
    async fn run(&self, bench: &mut Bench) -> Checked<Progress> {
        let who = bench.device().await?;
        let tags = json!({ "tags": { "devicetype": KIND } });
        bench.patch_twin(&who.identity, &tags).await?;
        let setup = self.setup(bench, &who);
        let (tell, mut told) = unbounded_channel();
        let logic = self.pattern.device();
        let device = async move {
            // Nobody listens any more when the update is over.
            device::run(logic, &setup, move |what| drop(tell.send(what))).await
        };
        tokio::select! {
            result = self.operate(bench, &who, &mut told) => result,
            ended = device => {
                let why = ended.err().map(|error| error.to_string()).unwrap_or_default();
                Err(Stop::Inconclusive(format!("the device has ended: {why}")))
            }
        }
    }

    fn setup(&self, bench: &Bench, who: &Registered) -> Setup {
        Setup {
            endpoint: bench.target.mqtt.clone(),
            trust: bench.target.trust.clone(),
            login: ConnectionString {
                host: bench.target.credentials.host.clone(),
                holder: Holder::Identity(who.identity.clone()),
                key: who.key.clone(),
            },
            unit: self.unit,
            fail_at: self.fail_at,
            reconnect: self.unit,
        }
    }

    /// The back end's side: asks for the update and watches it.
    async fn operate(
        &self,
        bench: &mut Bench,
        who: &Registered,
        told: &mut UnboundedReceiver<Told>,
    ) -> Checked<Progress> {
        let connected = async {
            while let Some(what) = told.recv().await {
                let is_it = what == Told::Connected;
                self.screen.device(&what);
                if is_it {
                    return;
                }
            }
        };
        let late = |_| Stop::Inconclusive(format!("no connected device within {CONNECT:?}"));
        timeout(CONNECT, connected).await.map_err(late)?;
        // Before that, the first reports of the device are to be in the twin.
        let before = self.settled(bench, who, told).await?;
        let observer = Observer::new(self.pattern, &before, VERSION);
        self.ask(bench, who).await?;
        let deadline = Instant::now() + self.whole;
        let mut last = Progress::Waiting;
        loop {
            while let Ok(what) = told.try_recv() {
                self.screen.device(&what);
            }
            let progress = observer.look(&self.reported(bench, who).await?);
            if progress != last {
                self.screen.back_end(&format!("sees {}", progress.text()));
            }
            last = progress;
            if last.is_over() || Instant::now() >= deadline {
                // What the device said last may still wait.
                while let Ok(what) = told.try_recv() {
                    self.screen.device(&what);
                }
                return Ok(last);
            }
            self.screen.tick();
            sleep(LOOK).await;
        }
    }

    /// The reported properties once the device has said what it says at its start.
    async fn settled(
        &self,
        bench: &mut Bench,
        who: &Registered,
        told: &mut UnboundedReceiver<Told>,
    ) -> Checked<Value> {
        if matches!(self.pattern, model::Pattern::DirectMethod(_)) {
            return self.reported(bench, who).await;
        }
        let deadline = Instant::now() + CONNECT;
        loop {
            while let Ok(what) = told.try_recv() {
                self.screen.device(&what);
            }
            let reported = self.reported(bench, who).await?;
            let is_there = reported.get("firmware").or(reported.get("firmwareStatus")).is_some();
            if is_there || Instant::now() >= deadline {
                return Ok(reported);
            }
            sleep(LOOK).await;
        }
    }

    /// The reported properties: by the tutorial's query, or from the twin.
    async fn reported(&self, bench: &mut Bench, who: &Registered) -> Checked<Value> {
        if !self.is_twin_job {
            let twin = bench.read_twin(&who.identity).await?;
            return Ok(twin.pointer("/properties/reported").cloned().unwrap_or_default());
        }
        let query = format!("SELECT * FROM devices WHERE tags.devicetype = '{KIND}'");
        let body = json!({ "query": query });
        let answer =
            bench.call(http::Method::POST, "/devices/query", IfMatch::Absent, Some(&body)).await?;
        let rows = answer.json();
        Ok(rows.pointer("/0/properties/reported").cloned().unwrap_or_default())
    }

    async fn ask(&self, bench: &mut Bench, who: &Registered) -> Checked {
        if self.is_twin_job {
            let desired = json!({ "patchId": "Firmware update", "firmware": {
                "fwVersion": VERSION, "fwPackageURI": IMAGE, "fwPackageCheckValue": CHECK_VALUE,
            } });
            let update = json!({ "etag": "*", "properties": { "desired": desired } });
            let condition = format!("tags.devicetype = '{KIND}'");
            self.screen.back_end(&format!("starts a job for devices with {condition}: {desired}"));
            let job = bench.start_job(&twin_job(&condition, &update)).await?;
            let history = bench.watch_job(&job, is_over).await?;
            self.screen.back_end(&format!("sees the job {}", history.status()));
            return Ok(());
        }
        let is_bare =
            matches!(self.pattern, model::Pattern::DirectMethod(words) if words.bare_payload);
        let payload = if is_bare { json!(IMAGE) } else { json!({ "fwPackageUri": IMAGE }) };
        self.screen.back_end(&format!("calls firmwareUpdate with {payload}"));
        let body = json!({
            "methodName": "firmwareUpdate", "responseTimeoutInSeconds": 30, "payload": payload,
        });
        let call = bench.invoke(&who.identity, &body).await;
        let answer = bench.outcome("FW-C01", call).await?.json();
        self.screen.back_end(&format!("is answered {answer}"));
        Ok(())
    }
}

/// What is shown: a line for each thing that happens, and on a terminal a bar for the phase.
pub(super) struct Screen {
    began: Instant,
    bar: ProgressBar,
}

impl Screen {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(1);
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{msg:>12} {wide_bar} {elapsed}") {
            bar.set_style(style);
        }
        Self { began: Instant::now(), bar }
    }

    pub(super) fn line(&self, who: &str, what: &str) {
        let line = format!("{:7.2} s  {who:<9} {what}", self.began.elapsed().as_secs_f64());
        // What is shown on the way is for whoever looks: the conclusion counts.
        self.bar.suspend(|| drop(say(&line)));
    }

    pub(super) fn back_end(&self, what: &str) {
        self.line("back end", what);
    }

    fn device(&self, what: &Told) {
        if let Told::Began(phase, lasts) = what {
            self.bar.set_length(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
            self.bar.reset();
            self.bar.set_message(phase.name());
        }
        self.line("device", &words(what));
    }

    /// Moves the bar to where the phase is.
    fn tick(&self) {
        let so_far = u64::try_from(self.bar.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.bar.set_position(so_far.min(self.bar.length().unwrap_or(so_far)));
    }
}
