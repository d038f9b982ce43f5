//! What a case about an agent works with: the agent as a child process or a visitor, the hub it
//! talks to as a stage, deployments, payloads that tell what ran, and everything it reported.
//!
//! It is a [`Bench`] with an agent on it: the back end's calls and judgement are the same.

pub mod deploy;
pub mod firmware;
pub mod keys;
pub mod report;
mod rules;
pub mod script;
mod stage;
mod subject;
mod wait;

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use twinspec_harness::connection_string::{ConnectionString, Holder};
use twinspec_harness::content::{ContentServer, Hit};
use twinspec_harness::firmware::{self as firmware_device, Setup};
use twinspec_harness::hub::OddListener;
use twinspec_harness::process::{Ended, Output, Process};
use twinspec_harness::signing::Authority;
use twinspec_harness::tls::Oddity;
use twinspec_harness::trace::Event;
use twinspec_model::firmware::Device as Logic;
use twinspec_model::hub::Output as HubOutput;
use twinspec_model::identity::Identity;
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::HubTopic;

pub use deploy::{Deployed, NO_DEPLOYMENT, Plan};
pub use report::Report;
pub use script::{Phase, Ran, Script};
pub use stage::{Seen, Stage, Steer, Treatment, What};
pub use subject::{MakeDevice, Subject};

use crate::bench::{Bench, Registered};
use crate::verdict::{Checked, Stop};
use deploy::harness;
use script::Device;
use stage::{ACTOR, Watch};
use subject::Words;

/// How long an agent may take for one step that needs no waiting.
pub const STEP: Duration = Duration::from_secs(15);

/// How long a killed or restarted agent may take to be back, and an outage to be over.
pub const BACK: Duration = Duration::from_secs(30);

/// A window in which nothing may come; a good deployment closes it.
pub const QUIET: Duration = Duration::from_secs(2);

/// The bench of one case about an agent.
pub struct AgentBench<'a> {
    bench: &'a mut Bench,
    subject: Arc<Subject>,
    who: Registered,
    watch: Arc<Watch>,
    process: Option<Process>,
    /// What the back end asked of a device of an older firmware-update pattern, and how much was
    /// seen of it before.
    asked: Vec<(usize, firmware::deviation::Moment)>,
    /// A device inside this process, in the place of one.
    task: Option<JoinHandle<()>>,
    folder: PathBuf,
    /// Where the search for the next thing begins.
    cursor: usize,
    numbers: u32,
    /// Whether the agent was ever let in by the hub.
    was_in: bool,
    /// The desired properties as they are.
    desired: Value,
    /// The generation of the protocol that is spoken.
    generation: u8,
}

impl Deref for AgentBench<'_> {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        self.bench
    }
}

impl DerefMut for AgentBench<'_> {
    fn deref_mut(&mut self) -> &mut Bench {
        self.bench
    }
}

impl Drop for AgentBench<'_> {
    fn drop(&mut self) {
        // Also when a case is broken off: the process ends with its guard, its words are evidence.
        self.end_process();
        self.subject.stage.forget(&self.who.identity.to_string());
        // With the slash: device 1 must not take the files of device 12 along.
        self.subject.content.forget(&format!("{}/", self.who.identity));
        self.end_task();
        let _best_effort = std::fs::remove_dir_all(&self.folder);
    }
}

impl<'a> AgentBench<'a> {
    /// The bench of a case: a device of its own, and nothing started yet.
    ///
    /// # Errors
    /// [`Stop::Harness`] when no agent is judged.
    pub async fn new(bench: &'a mut Bench) -> Checked<Self> {
        let no_agent = || Stop::Harness("the target is no agent".to_owned());
        let subject = bench.target.agent.clone().ok_or_else(no_agent)?;
        let who = match &subject.profile.meet {
            None => bench.device().await?,
            Some(meet) => bench.meet_device(&meet.device_id, &meet.key).await?,
        };
        let folder = subject.new_folder().map_err(harness)?;
        let generation = subject.profile.claims.generation;
        let watch = subject.stage.watch(&who.identity.to_string(), bench.recorder.clone());
        Ok(Self {
            bench,
            subject,
            who,
            watch,
            process: None,
            task: None,
            asked: Vec::new(),
            folder,
            cursor: 0,
            numbers: 0,
            was_in: false,
            desired: json!({}),
            generation,
        })
    }

    /// Starts the agent, or waits for it, until the hub has let it in.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when it never connects; its last words say why.
    pub async fn launch(&mut self) -> Checked {
        if let Some(why) = self.subject.given_up() {
            return Err(Stop::Inconclusive(why));
        }
        let port = self.bench.target.mqtt.port;
        self.launch_at(port)?;
        self.connected().await
    }

    /// Starts the agent so that it looks for its hub at `port`; waits for nothing.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when the program cannot be started.
    pub fn launch_at(&mut self, port: u16) -> Checked {
        let target = Arc::clone(&self.bench.target);
        let subject = Arc::clone(&self.subject);
        if let Some(make) = &subject.inner {
            self.task = Some(self.launch_inner(make()));
            return Ok(());
        }
        let Some(start) = &subject.profile.start else { return Ok(()) };
        let host = target.credentials.host.clone();
        let identity = self.who.identity.clone();
        let words = Words {
            connection_string: ConnectionString {
                host: host.clone(),
                holder: Holder::Identity(identity.clone()),
                key: self.who.key.clone(),
            }
            .to_string(),
            host,
            port,
            device_id: identity.device,
            key: self.who.key.clone(),
            work_dir: self.folder.join("work"),
            generation: self.generation,
        };
        let launch = subject.launch(start, &words);
        let launch = launch.map_err(|error| Stop::Inconclusive(error.to_string()))?;
        self.end_process();
        let recorder = self.bench.recorder.clone();
        let hear = move |line| recorder.record(ACTOR, Event::Wrote(line));
        let process = Process::start(&launch, hear);
        self.process = Some(process.map_err(|error| Stop::Inconclusive(error.to_string()))?);
        Ok(())
    }

    /// Starts the agent and waits for its startup message (ADU-AGENT-003).
    ///
    /// # Errors
    /// When it does not come.
    pub async fn start(&mut self) -> Checked<Report> {
        self.launch().await?;
        let startup = |report: &Report| report.is_startup();
        self.report("ADU-AGENT-003", "a report with deviceProperties after the connect", startup)
            .await
    }

    /// Kills the agent and everything it started, as when the power fails.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            let output = process.output().clone();
            process.kill().await;
            self.record_unheard(&output);
        }
        self.end_task();
        self.cut();
    }

    /// Ends the agent with SIGTERM; `true` when it obeyed in time.
    pub async fn terminate(&mut self) -> bool {
        let wait = self.start_option(|start| start.terminate_s);
        let wait = self.budget(Duration::from_secs(wait));
        let Some(process) = self.process.take() else { return true };
        let output = process.output().clone();
        let ended = process.terminate(wait).await;
        self.record_unheard(&output);
        !matches!(ended, Ended::Killed)
    }

    fn start_option(&self, option: impl Fn(&crate::agent_profile::Start) -> u64) -> u64 {
        self.subject.profile.start.as_ref().map_or(5, option)
    }

    /// Kills the agent and starts it again with the same work folder.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn restart(&mut self) -> Checked {
        self.kill().await;
        self.launch().await
    }

    /// Ends the case: the rules that hold for everything an agent sends, and the agent itself.
    ///
    /// # Errors
    /// What ended the case, unless it ended well.
    pub async fn finish(&mut self, result: Checked) -> Checked {
        self.demand_rules();
        self.kill().await;
        match self.subject.room() {
            Err(error) if result.is_err() => Err(Stop::Inconclusive(error.to_string())),
            Ok(()) | Err(_) => result,
        }
    }

    /// Starts a device inside this process.
    fn launch_inner(&self, logic: Box<dyn Logic>) -> JoinHandle<()> {
        let target = &self.bench.target;
        let setup = Setup {
            endpoint: target.mqtt.clone(),
            trust: target.trust.clone(),
            login: ConnectionString {
                host: target.credentials.host.clone(),
                holder: Holder::Identity(self.who.identity.clone()),
                key: self.who.key.clone(),
            },
            unit: subject::UNIT,
            fail_at: None,
            reconnect: subject::RECONNECT,
        };
        tokio::spawn(async move {
            // Why it ended is seen by its silence: it ends only when the hub refuses it.
            let _refused = firmware_device::run(logic, &setup, |_| {}).await;
        })
    }

    fn end_task(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    fn end_process(&mut self) {
        if let Some(process) = self.process.take() {
            let output = process.output().clone();
            drop(process);
            self.record_unheard(&output);
        }
    }

    /// Writes what an agent said last into the trace; the rest was when it was said.
    fn record_unheard(&self, output: &Output) {
        for (at, line) in output.unheard() {
            self.bench.recorder.record_at(at, ACTOR, Event::Wrote(line));
        }
    }

    /// Cuts the agent's connection.
    pub fn cut(&self) {
        if let (Some(hub), Some(id)) = (self.bench.target.hub(), self.watch.connection()) {
            hub.carry_out([HubOutput::Close(id)]);
        }
    }

    /// Opens another door of the hub, with an odd certificate.
    ///
    /// # Errors
    /// [`Stop::Harness`] when it cannot be opened.
    pub async fn open_odd(&self, oddity: Oddity) -> Checked<OddListener> {
        let no_hub = || Stop::Harness("there is no hub to open a door of".to_owned());
        let hub = self.bench.target.hub().ok_or_else(no_hub)?;
        hub.open_odd(oddity).await.map_err(harness)
    }

    /// Has the hub forget the agent's session: somebody connects in its name with a clean one, which
    /// also cuts the agent off.
    ///
    /// # Errors
    /// When the hub does not accept.
    pub async fn forget_session(&mut self) -> Checked {
        let mut login = self.bench.login(&self.who);
        login.connect.clean_session = true;
        self.steer(|what| match what {
            // The stranger is let in, and the agent waits outside until the stranger has gone.
            What::Connect(connect) if !connect.clean_session => Treatment::CutBefore,
            _ => Treatment::Pass,
        });
        let (connection, _) = self.bench.connect_with("stranger", &login).await?;
        connection.cut().await;
        self.look_from(self.seen_count());
        self.steer_no_more();
        Ok(())
    }

    /// Sends a packet to the agent that no hub would send now.
    pub fn inject(&self, packet: Packet) {
        if let (Some(hub), Some(id)) = (self.bench.target.hub(), self.watch.connection()) {
            hub.carry_out([HubOutput::Send(id, packet)]);
        }
    }

    /// Tells the agent of a desired patch that is in no twin.
    pub fn notify(&self, version: u64, payload: &str) {
        let topic = HubTopic::Desired { version }.to_topic();
        self.inject(Packet::Publish(Publish::at_most_once(topic, payload.to_owned())));
    }

    /// Decides from now on what becomes of what the agent sends.
    pub fn steer(&self, steer: impl FnMut(&What) -> Treatment + Send + 'static) {
        self.watch.steer(Some(Box::new(steer)));
    }

    /// Everything the agent sends passes again.
    pub fn steer_no_more(&self) {
        self.watch.steer(None);
    }

    /// From now on nothing passes in either direction, and the connection stays open.
    pub fn mute(&self, muted: bool) {
        self.watch.mute(muted);
    }

    /// Keeps notifications back from now on.
    pub fn hold(&self) {
        self.watch.hold();
    }

    /// What was kept back; the case sends it on, or does not.
    #[must_use]
    pub fn take_held(&self) -> Vec<Packet> {
        self.watch.take_held()
    }

    /// The identity of the agent.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.who.identity
    }

    /// The keys of the run.
    ///
    /// # Errors
    /// [`Stop::Unsupported`] when the agent does not trust them.
    pub fn authority(&self) -> Checked<&'static Authority> {
        if self.subject.profile.claims.root_keys {
            return Ok(self.subject.authority);
        }
        Err(Stop::Unsupported("needs an agent that trusts the root keys it is given".to_owned()))
    }

    /// The generation of the protocol that is spoken: 1, 2 or 3.
    #[must_use]
    pub fn generation(&self) -> u8 {
        self.generation
    }

    /// Has the agent started in another generation.
    ///
    /// # Errors
    /// [`Stop::Unsupported`] when the agent does not speak it.
    pub fn speak(&mut self, generation: u8) -> Checked {
        let claims = &self.subject.profile.claims;
        if claims.generation != generation && !claims.other_generations.contains(&generation) {
            let why = format!("not claimed by the agent's profile: generation {generation}");
            return Err(Stop::Unsupported(why));
        }
        self.generation = generation;
        Ok(())
    }

    /// How long a refused report may take to come again.
    #[must_use]
    pub fn resend(&self) -> Duration {
        Duration::from_secs(self.subject.profile.claims.resend_s)
    }

    fn manifest_version(&self) -> &'static str {
        if self.generation == 1 { "4" } else { "5" }
    }

    fn handler(&self) -> String {
        self.subject.profile.claims.script_handler.clone()
    }

    fn package_url(&self) -> Option<String> {
        (self.generation >= 3).then(|| self.subject.package_url())
    }

    fn url(&self, path: &str) -> String {
        self.subject.url(path)
    }

    /// The server of payloads and packages.
    #[must_use]
    pub fn content(&self) -> &ContentServer {
        &self.subject.content
    }

    fn content_prefix(&self) -> String {
        self.who.identity.to_string()
    }

    /// Where `file` is fetched from.
    #[must_use]
    pub fn url_of(&self, file: &deploy::FileId) -> String {
        self.url(&file.path)
    }

    /// How many reports the hub refused.
    #[must_use]
    pub fn refused_reports(&self) -> usize {
        let is_refused =
            |seen: &&Seen| matches!(&seen.what, What::Answered { status, .. } if *status >= 300);
        self.watch.seen(0).iter().filter(is_refused).count()
    }

    /// The requests for this case's files so far.
    #[must_use]
    pub fn hits(&self) -> Vec<Hit> {
        // With the slash: device 1 must not be taken for device 12.
        self.content().hits(&format!("{}/", self.content_prefix()))
    }

    /// What payloads share.
    #[must_use]
    pub fn device(&self) -> Device {
        Device::new(&self.folder.join("device"))
    }

    /// The work folder of the agent.
    #[must_use]
    pub fn work_dir(&self) -> PathBuf {
        self.folder.join("work")
    }

    fn next_number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// What ran so far.
    #[must_use]
    pub fn ran(&self) -> Vec<Ran> {
        self.device().ran()
    }

    /// Whether `phase` of `script` ran to its end.
    #[must_use]
    pub fn has_run(&self, script: &Script, phase: Phase) -> bool {
        let is = |ran: &Ran| ran.payload == script.name && ran.phase == phase && ran.ended;
        self.ran().iter().any(is)
    }

    /// How often `phase` of `script` began.
    #[must_use]
    pub fn times(&self, script: &Script, phase: Phase) -> usize {
        let is = |ran: &&Ran| ran.payload == script.name && ran.phase == phase && !ran.ended;
        self.ran().iter().filter(is).count()
    }

    /// Lets a gated phase go on.
    ///
    /// # Errors
    /// [`Stop::Harness`] when the mark cannot be written.
    pub fn open_gate(&self, script: &Script, phase: Phase) -> Checked {
        self.device().open(script, phase).map_err(harness)
    }

    /// How much was seen of the agent.
    #[must_use]
    pub fn seen_count(&self) -> usize {
        self.watch.count()
    }

    /// What the agent did from the number `from` on.
    #[must_use]
    pub fn seen(&self, from: usize) -> Vec<Seen> {
        self.watch.seen(from)
    }

    /// The reports from the number `from` on.
    #[must_use]
    pub fn reports(&self, from: usize) -> Vec<Report> {
        let seen = self.watch.seen(from);
        let numbered = seen.iter().enumerate();
        numbered.filter_map(|(index, seen)| Report::of(from + index, seen)).collect()
    }

    /// A budget for what takes `time` by the protocol, so that a run with little patience cannot
    /// cut it short.
    #[must_use]
    pub fn at_least(&self, time: Duration) -> Duration {
        time.div_f64(self.bench.target.patience.clamp(0.001, 1.0))
    }

    /// When a wait of `budget` ends.
    fn deadline(&self, budget: Duration) -> Instant {
        Instant::now() + self.bench.budget(budget)
    }
}
