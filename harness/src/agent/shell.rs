//! The agent's loop: what happens goes into the machine, what the machine wants is done.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use twinspec_model::agent::{
    Agent, Call, FetchOrder, HandlerKind, Input, Order, Outcome, Output, Resend, RestartKind,
    Settings, Validation, Verifier, extended,
};
use twinspec_model::time::Time;
use twinspec_model::update::root_key::Build;
use twinspec_model::wire::username::UserName;

use super::fetch::Fetcher;
use super::handler::{Handlers, Stop};
use super::link::{Link, Login, Wish};
use super::overlay::{Effect, Overlay};
use super::relay::relay;
use super::store::{AGENT_LOG, Store};
use super::upload::Uploader;
use super::{AgentError, Config, Exit, HandlerSpec, Log, information};
use crate::clock::Clock;
use crate::connection_string::Holder;

/// The newest version of the protocol that this client speaks.
const API_VERSION: &str = "2021-04-12";

/// How long running work gets to end when the agent ends.
const FAREWELL: Duration = Duration::from_secs(3);

/// The most inputs and wishes that wait.
const WAITING_MAX: usize = 64;

/// Runs an agent until `stop` is ready or a handler asks for a restart.
///
/// # Errors
/// When the work folder cannot be used, at the start or later: nothing that depends on a state is
/// done before the state is in safety. And when the connection string is no device's.
pub async fn run(
    mut config: Config,
    mut overlay: Box<dyn Overlay>,
    stop: impl Future<Output = ()>,
) -> Result<Exit, AgentError> {
    overlay.config(&mut config);
    if let Some(tamper) = overlay.tamper() {
        let relay = relay(config.mqtt.clone(), config.trust.clone(), tamper).await;
        config.mqtt = relay.map_err(|error| AgentError::new("cannot relay packets", error))?;
    }
    let store = Store::open(&config.work_dir).await?;
    config.log = store.keeping(config.log)?;
    let mut persisted = store.load()?;
    overlay.persisted(&mut persisted);
    let mut settings = settings(&config);
    overlay.settings(&mut settings);
    let login = login(&config, &settings, overlay.as_mut())?;
    let (input_sender, inputs) = mpsc::channel(WAITING_MAX);
    let (wishes, wish_receiver) = mpsc::channel(WAITING_MAX);
    let link = Link {
        login,
        limits: config.limits,
        wishes: wish_receiver,
        inputs: input_sender.clone(),
        log: config.log.clone(),
    };
    let link = tokio::spawn(link.run());
    let verifier = Verifier {
        generation: settings.generation,
        roots: config.root_keys.clone(),
        build: Build::Production,
    };
    let limits = config.limits;
    let uploader = uploader(&config, &store);
    let mut shell = Shell {
        agent: Agent::new(settings, persisted),
        fetcher: Fetcher::new(&config.trust, limits.stall, limits.download_tries),
        handlers: handlers(&config, &store),
        uploader,
        verifier: Arc::new(verifier),
        store,
        overlay,
        inputs: input_sender,
        wishes,
        jobs: BTreeMap::new(),
        stops: BTreeMap::new(),
        log: config.log,
        clock: Clock::default(),
    };
    let exit = shell.serve(inputs, stop).await;
    shell.end().await;
    let Shell { wishes, .. } = shell;
    drop(wishes);
    // It says goodbye to the hub, within bounds of its own.
    let _ended_either_way = timeout(FAREWELL, link).await;
    exit
}

fn settings(config: &Config) -> Settings {
    let kind = |spec: &HandlerSpec| match spec {
        HandlerSpec::Script => HandlerKind::Script,
        HandlerSpec::Program(_) | HandlerSpec::Simulator(_) => HandlerKind::Resident,
    };
    let handlers = config.handlers.iter().map(|(id, spec)| (id.clone(), kind(spec)));
    let property = |name: &str| config.device.property(name).unwrap_or_default().to_owned();
    Settings {
        generation: config.generation,
        device: config.device.clone(),
        information: information::read(&property("manufacturer"), &property("model")),
        handlers: handlers.collect(),
        components: config.components.clone(),
        resend: Resend { answer: config.limits.answer, pause: config.limits.resend },
    }
}

fn login(
    config: &Config,
    settings: &Settings,
    overlay: &mut dyn Overlay,
) -> Result<Login, AgentError> {
    let string = &config.connection_string;
    let Holder::Identity(identity) = &string.holder else {
        let error = io::Error::other("it is a policy's, needed is that of a device or module");
        return Err(AgentError::new("the connection string cannot be used", error));
    };
    let mut user_name = UserName {
        host: string.host.clone(),
        identity: identity.clone(),
        api_version: Some(API_VERSION.to_owned()),
        model_id: Some(settings.generation.model_id()),
    };
    overlay.user_name(&mut user_name);
    Ok(Login {
        endpoint: config.mqtt.clone(),
        trust: config.trust.clone(),
        identity: identity.clone(),
        host: string.host.clone(),
        key: string.key.clone(),
        user_name,
    })
}

fn handlers(config: &Config, store: &Store) -> Handlers {
    Handlers {
        specs: Arc::new(config.handlers.clone()),
        lock: store.file("handler.lock"),
        output: store.file("handler.log"),
        memory: store.file("simulator.json"),
        phase: config.limits.phase,
        grace: config.limits.cancel_grace,
        log: config.log.clone(),
    }
}

fn uploader(config: &Config, store: &Store) -> Uploader {
    let owner = match &config.connection_string.holder {
        Holder::Identity(identity) => identity.to_string(),
        Holder::Policy(name) => name.clone(),
    };
    let mut logs = config.logs.clone();
    if logs.is_empty() {
        logs.push(("agent".to_owned(), store.file(AGENT_LOG)));
        logs.push(("handler".to_owned(), store.file("handler.log")));
    }
    Uploader::new(&config.trust, logs, owner, config.limits.stall, config.log.clone())
}

/// The machine and all it works with.
struct Shell {
    agent: Agent,
    store: Store,
    fetcher: Fetcher,
    handlers: Handlers,
    uploader: Uploader,
    verifier: Arc<Verifier>,
    overlay: Box<dyn Overlay>,
    inputs: mpsc::Sender<Input>,
    wishes: mpsc::Sender<Wish>,
    /// Work under way, by job.
    jobs: BTreeMap<u64, JoinHandle<()>>,
    /// How phases under way are told to stop, by job.
    stops: BTreeMap<u64, watch::Sender<bool>>,
    log: Log,
    clock: Clock,
}

impl Shell {
    async fn serve(
        &mut self,
        mut inputs: mpsc::Receiver<Input>,
        stop: impl Future<Output = ()>,
    ) -> Result<Exit, AgentError> {
        tokio::pin!(stop);
        let mut heard = false;
        loop {
            let deadline = self.agent.next_deadline().map(|deadline| self.instant(deadline));
            let due = deadline.unwrap_or_else(Instant::now);
            let input = tokio::select! {
                () = &mut stop, if !heard => {
                    if self.overlay.obeys() {
                        return Ok(Exit::Stopped);
                    }
                    heard = true;
                    continue;
                }
                input = inputs.recv() => match input {
                    Some(input) => input,
                    None => return Ok(Exit::Stopped),
                },
                () = sleep_until(due), if deadline.is_some() => Input::Tick,
            };
            if let Some(kind) = self.take(input)? {
                return Ok(Exit::Restart(kind));
            }
        }
    }

    /// When a deadline of the model is, on the clock that timers run by.
    fn instant(&self, deadline: Time) -> Instant {
        // A day is as good as never: the loop asks again.
        Instant::now() + deadline.since(self.clock.now()).min(Duration::from_secs(86_400))
    }

    /// Gives the machine what happened; what is to be restarted, if anything.
    fn take(&mut self, input: Input) -> Result<Option<RestartKind>, AgentError> {
        let mut inputs = vec![input];
        let mut restart = None;
        while let Some(input) = inputs.pop() {
            for input in self.overlay.input(input) {
                self.forget(&input);
                for output in self.agent.handle(input, self.clock.now()) {
                    for effect in self.overlay.output(output) {
                        match effect {
                            Effect::Feed(input) => inputs.insert(0, input),
                            Effect::Do(Output::Restart(kind)) => restart = Some(kind),
                            Effect::Do(output) => self.obey(output)?,
                        }
                    }
                }
            }
        }
        Ok(restart)
    }

    /// Lets go of a job that has ended.
    fn forget(&mut self, input: &Input) {
        if let Input::RootKeys { job, .. }
        | Input::Validated { job, .. }
        | Input::Fetched { job, .. }
        | Input::Ran { job, .. }
        | Input::Uploaded { job, .. } = input
        {
            self.jobs.remove(job);
            self.stops.remove(job);
        }
    }

    fn obey(&mut self, output: Output) -> Result<(), AgentError> {
        match output {
            Output::Persist(state) => self.store.save(&state)?,
            Output::ReadTwin => self.wish(Wish::ReadTwin),
            Output::Send { report, patch } => {
                self.log.line(format!("report {report}: {patch}"));
                self.wish(Wish::Report { report, patch });
            }
            Output::FetchRootKeys { job, url } => self.fetch_root_keys(job, url),
            Output::Validate { job, order, package, stored } => {
                self.validate(job, *order, package, stored);
            }
            Output::Fetch { job, order } => self.fetch(job, order),
            Output::Abort { job } => {
                if let Some(work) = self.jobs.remove(&job) {
                    work.abort();
                }
            }
            Output::Run { job, call } => self.run_phase(job, *call),
            Output::Cancel { job } => {
                if let Some(stop) = self.stops.get(&job) {
                    stop.send_replace(true);
                }
            }
            Output::Upload { job, operation, url } => self.upload(job, operation, url),
            Output::Tidy { keep } => {
                if let Err(error) = self.store.tidy(&keep) {
                    self.log.line(format!("old downloads stay: {error}"));
                }
            }
            // Taken care of by the loop.
            Output::Restart(_) => {}
            Output::Note(text) => self.log.line(text),
        }
        Ok(())
    }

    /// A wish that does not fit is made again: the machine sends again what is not answered.
    fn wish(&self, wish: Wish) {
        if let Err(error) = self.wishes.try_send(wish) {
            self.log.line(format!("the connection is busy: {error}"));
        }
    }

    fn spawn(&mut self, job: u64, work: impl Future<Output = Input> + Send + 'static) {
        let inputs = self.inputs.clone();
        let work = tokio::spawn(async move {
            let input = work.await;
            // Nobody listens any more when the agent has ended.
            let _ended_with_the_agent = inputs.send(input).await;
        });
        self.jobs.insert(job, work);
    }

    fn fetch_root_keys(&mut self, job: u64, url: String) {
        let fetcher = self.fetcher.clone();
        self.spawn(job, async move {
            let outcome = fetcher.package(&url).await.map_err(|(status, why)| {
                let code = extended::ROOT_KEYS_HTTP | u32::from(status.unwrap_or_default());
                Outcome::failure(code, format!("root key package: {why}"))
            });
            Input::RootKeys { job, outcome }
        });
    }

    fn validate(
        &mut self,
        job: u64,
        order: Order,
        package: Option<String>,
        stored: Option<String>,
    ) {
        let verifier = Arc::clone(&self.verifier);
        self.spawn(job, async move {
            let check = move || verifier.validate(&order, package.as_deref(), stored.as_deref());
            let validation = tokio::task::spawn_blocking(check).await.unwrap_or_else(|error| {
                let code = extended::BAD_MANIFEST;
                Validation::refused(Outcome::failure(code, format!("validation: {error}")))
            });
            Input::Validated { job, validation: Box::new(validation) }
        });
    }

    fn fetch(&mut self, job: u64, order: FetchOrder) {
        // What stands behind the question mark may be a secret.
        let url = order.url.split('?').next().unwrap_or_default();
        self.log.line(format!("fetch {}/{} from {url}", order.folder, order.name));
        let fetcher = self.fetcher.clone();
        let base = self.store.workflow(&order.workflow);
        self.spawn(job, async move {
            let (folder, parts) = (base.join(&order.folder), base.join("parts"));
            let outcome = fetcher.file(&order, &folder, &parts).await;
            Input::Fetched { job, outcome }
        });
    }

    fn run_phase(&mut self, job: u64, call: Call) {
        let handlers = self.handlers.clone();
        let base = self.store.workflow(&call.workflow);
        let (sender, stop) = Stop::new();
        self.stops.insert(job, sender);
        let (log, title) = (self.log.clone(), title(&call));
        self.log.line(format!("{title} begins"));
        self.spawn(job, async move {
            let (folder, aside) = (base.join(&call.folder), base.join("results"));
            let outcome = handlers.run(&call, folder, aside, stop).await;
            let Outcome { code, extended, details } = &outcome;
            log.line(format!("{title} ends: {code}, {extended:08X} {details}"));
            Input::Ran { job, outcome }
        });
    }

    fn upload(&mut self, job: u64, operation: String, url: String) {
        self.log.line(format!("upload of logs for {operation}"));
        let uploader = self.uploader.clone();
        self.spawn(job, async move {
            let upload = uploader.run(&operation, &url).await;
            Input::Uploaded { job, upload }
        });
    }

    /// Ends what is under way: scripts with all they started.
    async fn end(&mut self) {
        for (_, work) in std::mem::take(&mut self.jobs) {
            work.abort();
            // Aborted or ended: either way nothing of it runs any more.
            let _ended_either_way = timeout(FAREWELL, work).await;
        }
    }
}

fn title(call: &Call) -> String {
    let component = call.component.as_ref().map(|component| format!(" for {}", component.name));
    let component = component.unwrap_or_default();
    format!("step {}{component}: {} of {}", call.folder, call.phase.name(), call.work.handler)
}
