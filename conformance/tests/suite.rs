//! Every case as a test: `cargo test` and `cargo nextest run` list, filter and run them.
//!
//! Judged is the embedded reference hub, or the hub that the environment names:
//! `TWINSPEC_CONNECTION_STRING`, `TWINSPEC_MQTT`, `TWINSPEC_HTTP`, `TWINSPEC_CONTROL`,
//! `TWINSPEC_CA`, `TWINSPEC_PROFILE`, `TWINSPEC_PATIENCE` and `TWINSPEC_NO_SLOW` mean what the flags
//! of `twinspec test hub` mean. Cases about agents judge the reference agent, or the one whose profile
//! `TWINSPEC_AGENT` names.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use twinspec::agent_profile::AgentProfile;
use twinspec::bench::Leftovers;
use twinspec::case::{self, Role};
use twinspec::known::KnownFailures;
use twinspec::mutants::firmware::Kind;
use twinspec::preflight;
use twinspec::profile::Profile;
use twinspec::report::{Report, terminal};
use twinspec::run::{self, Selected};
use twinspec::target::{self, Parts, Target};
use twinspec::verdict::Verdict;
use twinspec_harness::tls::Trust;

fn main() -> ExitCode {
    // Agents under test get keepers.
    twinspec_harness::process::keep().unwrap_or_else(run_all)
}

fn run_all() -> ExitCode {
    let arguments = Arguments::from_args();
    let named = case::all().filter(|(group, _)| group.role != Role::Device);
    let trials = named.map(|(group, case)| {
        let name = format!("{}::{}::{}", group.role.name(), group.subject, case.id);
        Trial::test(name, move || judge((group, case)))
    });
    // A device follows one pattern in one spelling: each is judged by the cases that concern it.
    let devices = DEVICES.iter().zip(Kind::ALL).flat_map(|(stage, kind)| {
        let concerned = case::all().filter(move |(group, case)| kind.is_judged_by(group, case));
        concerned.map(move |(group, case)| {
            let name = format!("{}::{}::{}", group.role.name(), kind.name(), case.id);
            Trial::test(name, move || {
                judge_on(stage.get_or_init(|| Stage::new(device(kind))), (group, case))
            })
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.chain(devices).collect());
    // What is static is never dropped.
    if let Some(Ok(target)) = AGENT.get().map(|stage| &stage.target) {
        target.remove_scratch();
    }
    conclusion.exit_code()
}

/// Hub or agent, and the runtime in which it is judged: started by the first trial, so that a mere listing
/// touches no network.
struct Stage {
    runtime: Runtime,
    target: Result<Arc<Target>, String>,
    /// Held by one for writing while no other case may run.
    alone: RwLock<()>,
}

impl Stage {
    fn new(target: impl Future<Output = Result<Target, String>>) -> Self {
        let runtime = Runtime::new().expect("a tokio runtime can be started");
        let target = runtime.block_on(async {
            let target = Arc::new(patient(target.await?)?);
            if !target.is_embedded() {
                preflight::check(&target).await?;
            }
            Ok(target)
        });
        Self { runtime, target, alone: RwLock::default() }
    }
}

/// The same target with the patience that the environment asks for.
fn patient(mut target: Target) -> Result<Target, String> {
    let Ok(text) = env::var("TWINSPEC_PATIENCE") else { return Ok(target) };
    target.patience = target::patience(&text)
        .map_err(|error| format!("TWINSPEC_PATIENCE is {text:?}: {error}"))?;
    Ok(target)
}

static HUB: OnceLock<Stage> = OnceLock::new();
static AGENT: OnceLock<Stage> = OnceLock::new();
static DEVICES: [OnceLock<Stage>; Kind::ALL.len()] = [const { OnceLock::new() }; Kind::ALL.len()];

/// The reference device of an older firmware-update pattern.
async fn device(kind: Kind) -> Result<Target, String> {
    kind.target(|device| device).await.map_err(|error| error.to_string())
}

fn judge(case: Selected) -> Result<(), Failed> {
    let stage = match case.0.role {
        Role::Hub => HUB.get_or_init(|| Stage::new(target())),
        Role::Agent | Role::Device => AGENT.get_or_init(|| Stage::new(agent())),
    };
    judge_on(stage, case)
}

fn judge_on(stage: &Stage, case: Selected) -> Result<(), Failed> {
    let target = stage.target.as_ref().map_err(Failed::from)?;
    let run = || stage.runtime.block_on(run::run_case(target, case.1, &Leftovers::default()));
    let outcome = if target.runs_alone(case.1.needs) {
        let _alone = stage.alone.write().unwrap_or_else(PoisonError::into_inner);
        run()
    } else {
        let _among_others = stage.alone.read().unwrap_or_else(PoisonError::into_inner);
        run()
    };
    let report = Report::new(&target.name, 0, &KnownFailures::default(), vec![(case, outcome)]);
    let record = report.cases.first().ok_or("the case left no record")?;
    match record.verdict {
        Verdict::Pass | Verdict::Note | Verdict::Warn | Verdict::Unsupported => Ok(()),
        Verdict::ExpectedFail
        | Verdict::UnexpectedPass
        | Verdict::Fail
        | Verdict::Inconclusive
        | Verdict::Error => {
            Err(format!("{}: {}\n{}", record.verdict, record.title, terminal::details(record))
                .into())
        }
    }
}

async fn agent() -> Result<Target, String> {
    let profile = match env::var("TWINSPEC_AGENT") {
        Ok(path) => AgentProfile::read(Path::new(&path)),
        Err(_) => AgentProfile::reference(Path::new(env!("CARGO_BIN_EXE_twinspec"))),
    };
    let profile = profile.map_err(|error| error.to_string())?;
    Target::agent(profile).await.map_err(|error| error.to_string())
}

async fn target() -> Result<Target, String> {
    let profile = match env::var("TWINSPEC_PROFILE") {
        Ok(path) => Profile::read(Path::new(&path)).map_err(|error| error.to_string())?,
        Err(_) => Profile::default(),
    };
    let Ok(credentials) = env::var("TWINSPEC_CONNECTION_STRING") else {
        return Target::embedded(profile).await.map_err(|error| error.to_string());
    };
    let endpoint = |name| match env::var(name) {
        Ok(text) => text.parse().map(Some).map_err(|error| format!("{name}: {error}")),
        Err(_) => Ok(None),
    };
    let trust = match env::var("TWINSPEC_CA") {
        Ok(path) => Trust::file(Path::new(&path)),
        Err(_) => Trust::machine(),
    };
    let parts = Parts {
        mqtt: endpoint("TWINSPEC_MQTT")?,
        http: endpoint("TWINSPEC_HTTP")?,
        control: endpoint("TWINSPEC_CONTROL")?,
        credentials: credentials.parse().map_err(|error| format!("{error}"))?,
        trust: trust.map_err(|error| error.to_string())?,
    };
    let mut target = Target::foreign(parts, profile);
    target.takes_time =
        env::var("TWINSPEC_NO_SLOW").map_or(true, |text| text.is_empty() || text == "0");
    Ok(target)
}
