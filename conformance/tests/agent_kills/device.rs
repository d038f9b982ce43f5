//! A device: its agent is killed while it updates, started again, and judged in the end.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::deployment::{Deployment, Kind};
use crate::judge::{self, Fate};
use crate::world::World;

/// How long a deployment may take from the last kill to its end.
const END: Duration = Duration::from_secs(60);

/// Exit code of an agent that a handler asked to be started again.
const RESTART: i32 = 10;

/// What all devices work off together.
pub(crate) struct Quota {
    /// Kills during an update that are wanted.
    pub(crate) kills: usize,
    pub(crate) done: AtomicUsize,
    /// Kills after the end of an update, which come on top.
    pub(crate) late: AtomicUsize,
    pub(crate) next_kind: AtomicUsize,
}

/// What the agent was told to do.
struct Order {
    workflow: String,
    version: u64,
}

/// From when on the time to a kill counts: half of the kills are to hit the update itself, and not
/// the start of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    /// The start of the agent.
    Start,
    /// Its report that the update is in progress.
    Progress,
}

/// A device with its agent.
pub(crate) struct Device {
    world: Arc<World>,
    name: String,
    folder: PathBuf,
    connection_string: String,
    rng: Rng,
    agent: Option<Child>,
    /// How each life of the agent ended.
    lives: Vec<Fate>,
    /// How long the last update of a kind took, from there to its end.
    usual: BTreeMap<(Kind, From), Duration>,
    /// How long the positive control took.
    control: Duration,
    urls: Vec<String>,
    deployments: Vec<Deployment>,
    flaws: Vec<String>,
    /// What ran when the agent was killed.
    pub(crate) moments: Vec<String>,
}

impl Device {
    pub(crate) async fn new(world: Arc<World>, number: usize, seed: u64) -> Self {
        let name = format!("device-{number}");
        let folder = world.folder.join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        let connection_string = world.register(&name, &folder.join("ran.log")).await;
        Self {
            world,
            name,
            folder,
            connection_string,
            rng: Rng::with_seed(seed),
            agent: None,
            lives: Vec::new(),
            usual: BTreeMap::new(),
            control: Duration::ZERO,
            urls: Vec::new(),
            deployments: Vec::new(),
            flaws: Vec::new(),
            moments: Vec::new(),
        }
    }

    /// How many deployments it went through.
    pub(crate) fn count(&self) -> usize {
        self.deployments.len()
    }

    /// Updates until the quota is used up; what was wrong.
    pub(crate) async fn work(&mut self, quota: &Quota) -> Vec<String> {
        // The positive control shows how long an update takes, too.
        let began = Instant::now();
        self.update(Kind::Steps, 0, quota).await;
        self.control = began.elapsed();
        while quota.done.load(Ordering::Relaxed) < quota.kills && self.flaws.is_empty() {
            let next = quota.next_kind.fetch_add(1, Ordering::Relaxed);
            let kinds = Kind::ALL;
            let kills = self.rng.usize(3..=9);
            self.update(kinds[next % kinds.len()], kills, quota).await;
        }
        // What came after the other ends is seen by now.
        self.update(Kind::AtApply, 0, quota).await;
        let log = std::fs::read_to_string(self.folder.join("ran.log")).unwrap_or_default();
        let reports = self.world.witness.reports(&self.name);
        match judge::parse(&log) {
            Ok(lines) => {
                let flaws = judge::flaws(&self.deployments, &lines, &reports, &self.lives);
                self.flaws.extend(flaws);
            }
            Err(flaw) => self.flaws.push(flaw),
        }
        std::mem::take(&mut self.flaws)
    }

    /// One deployment from its beginning to its end, with up to `kills` on the way.
    async fn update(&mut self, kind: Kind, kills: usize, quota: &Quota) {
        let log = self.folder.join("ran.log").display().to_string();
        let number = self.deployments.len();
        let (deployment, files) = Deployment::new(kind, number, &log, &mut self.rng);
        if number > 0 && self.rng.bool() {
            // This one is in the twin when the agent comes; others reach it by a notification.
            self.kill().await;
        }
        let (version, urls) = self.world.deploy(&self.name, &deployment, files, &self.urls).await;
        self.urls = urls;
        let order = Order { workflow: deployment.workflow.clone(), version };
        self.deployments.push(deployment.clone());
        for _ in 0..kills {
            if self.ended_before_kill(kind, &order).await {
                break;
            }
            quota.done.fetch_add(1, Ordering::Relaxed);
            self.moments.push(self.moment(&order.workflow));
        }
        self.end(kind, &order).await;
        if kills > 0 && self.rng.bool() {
            self.kill().await;
            quota.late.fetch_add(1, Ordering::Relaxed);
            self.come_again(kind).await;
        }
        let reported = self.world.reported(&self.name).await;
        self.flaws.extend(deployment.flaws_of_end(&reported["agent"]));
        let service = &reported["service"];
        if service["av"] != version || !(service["ac"] == 200 || service["ac"] == 406) {
            self.flaws.push(format!("{deployment}: acknowledged was {service}, not {version}"));
        }
    }

    /// Lets the agent run for a random part of what is left of a whole update, then kills it;
    /// unless the update ends before.
    async fn ended_before_kill(&mut self, kind: Kind, order: &Order) -> bool {
        let from = if self.rng.bool() { From::Start } else { From::Progress };
        let usual = self.usual.get(&(kind, from)).copied().unwrap_or(self.control / 2);
        let moment = usual.mul_f64(self.rng.f64());
        let (world, name, began) = (Arc::clone(&self.world), self.name.clone(), OnceLock::new());
        let before = world.witness.reports(&name).len();
        let is_fresh = self.agent.is_none();
        let doom = async {
            if from == From::Progress {
                world.witness.in_progress(&name, &order.workflow, before).await;
            }
            if from == From::Progress || is_fresh {
                began.get_or_init(Instant::now);
            }
            sleep(moment).await;
        };
        tokio::pin!(doom);
        loop {
            tokio::select! {
                () = world.witness.ended(&name, &order.workflow, order.version) => {
                    let took = began.get().map(Instant::elapsed);
                    self.usual.extend(took.map(|took| ((kind, from), took)));
                    return true;
                }
                () = self.exited(kind) => if !self.flaws.is_empty() { return true },
                () = &mut doom => break,
            }
        }
        self.kill().await;
        // It may have ended while it was killed.
        world.witness.has_ended(&name, &order.workflow, order.version)
    }

    /// Lets the agent run until the update has ended.
    async fn end(&mut self, kind: Kind, order: &Order) {
        let (world, name) = (Arc::clone(&self.world), self.name.clone());
        let ended = world.witness.ended(&name, &order.workflow, order.version);
        if !self.until(kind, ended).await {
            self.flaws.push(format!("{name}: {kind:?} {}: no end", order.workflow));
        }
    }

    /// Starts the agent again and waits until it has seen its twin: it asks for it before it sends
    /// its startup message.
    async fn come_again(&mut self, kind: Kind) {
        let (world, name) = (Arc::clone(&self.world), self.name.clone());
        let before = world.witness.startups(&name);
        if !self.until(kind, world.witness.started(&name, before)).await {
            self.flaws.push(format!("{name}: after {kind:?} the agent did not come back"));
        }
    }

    /// Keeps the agent running until `done`, within bounds.
    async fn until(&mut self, kind: Kind, done: impl Future<Output = ()>) -> bool {
        tokio::pin!(done);
        let running = async {
            loop {
                tokio::select! {
                    () = &mut done => return true,
                    () = self.exited(kind) => if !self.flaws.is_empty() { return false },
                }
            }
        };
        timeout(END, running).await == Ok(true)
    }

    /// Starts the agent when it does not run, and returns when it has ended by itself.
    async fn exited(&mut self, kind: Kind) {
        if self.agent.is_none() {
            self.agent = Some(self.launch());
            self.lives.push(Fate::Own);
        }
        let Some(agent) = &mut self.agent else { return };
        let status = agent.wait().await.unwrap();
        self.agent = None;
        if !may_exit(kind, status) {
            let last = std::fs::read_to_string(self.folder.join("stderr.log")).unwrap_or_default();
            let last: Vec<&str> = last.lines().rev().take(5).collect();
            self.flaws
                .push(format!("{}: {kind:?}: the agent ended, {status}: {last:?}", self.name));
        }
    }

    fn launch(&self) -> Child {
        let mut errors = OpenOptions::new();
        let errors = errors.create(true).append(true).open(self.folder.join("stderr.log")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_twinspec"))
            .arg("agent")
            .args(["--mqtt", &self.world.mqtt(), "--back-off-min-ms", "20"])
            .args(["--back-off-max-ms", "200", "--cancel-grace", "5", "--phase-timeout", "30"])
            .arg("--ca")
            .arg(self.world.folder.join("ca.pem"))
            .arg("--root-keys")
            .arg(self.world.folder.join("roots.json"))
            .arg("--work-dir")
            .arg(self.folder.join("work"))
            .env("TWINSPEC_AGENT_CONNECTION_STRING", &self.connection_string)
            // Payloads inherit it.
            .env("TWINSPEC_LIFE", self.lives.len().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// SIGKILL to the agent: alone, or with everything it has started.
    async fn kill(&mut self) {
        let Some(mut agent) = self.agent.take() else { return };
        let fate = if self.rng.bool() { Fate::Alone } else { Fate::Together };
        let group = agent.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let (Fate::Together, Some(group)) = (fate, group) {
            kill_process_group(group, Signal::KILL).unwrap();
        } else {
            agent.start_kill().unwrap();
        }
        agent.wait().await.unwrap();
        if let Some(last) = self.lives.last_mut() {
            *last = fate;
        }
    }

    /// Which phase ran last.
    fn moment(&self, workflow: &str) -> String {
        let log = std::fs::read_to_string(self.folder.join("ran.log")).unwrap_or_default();
        let lines = judge::parse(&log).unwrap_or_default();
        let life = self.lives.len() - 1;
        match lines.last().filter(|line| line.life == life && line.workflow == workflow) {
            None => "before any phase".to_owned(),
            Some(line) if line.word == "begin" => format!("in {}", line.phase),
            Some(line) => format!("after {}", line.phase),
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let id = self.agent.as_ref().and_then(Child::id);
        if let Some(group) = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _it_may_be_gone = kill_process_group(group, Signal::KILL);
        }
    }
}

fn may_exit(kind: Kind, status: ExitStatus) -> bool {
    kind == Kind::Restart && status.code() == Some(RESTART)
}
