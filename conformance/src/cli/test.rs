//! `twinspec` and `twinspec test hub`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;
use twinspec_harness::connection_string::{ConnectionString, Holder};
use twinspec_harness::endpoint::Endpoint;
use twinspec_harness::tls::Trust;
use twinspec_harness::trace;

use super::subject::{AgentOptions, Rules, Subject};
use super::{Done, Signals, Trouble, address, print, runtime, say, tell};
use crate::bench::{Leftovers, REAL_TIME_MAX};
use crate::case::{self, Need};
use crate::known::KnownFailures;
use crate::preflight;
use crate::profile::Profile;
use crate::report::output::{ReportFile, check_file};
use crate::report::{Conformance, Differing, Repeated, Report, Runs, terminal};
use crate::run::{self, Selected};
use crate::select::{Filter, Shard, matches};
use crate::target::{Parts, Target, patience};
use crate::text::counted;
use crate::verdict::Outcome;

/// How long the removal of leftovers may take after a run or Ctrl-C.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// Whom to judge.
#[derive(Debug, Subcommand)]
pub(super) enum Role {
    /// Judge a hub, gateway or emulator; without a connection string, the embedded reference hub
    Hub {
        #[command(flatten)]
        hub: HubOptions,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Judge a Device Update agent: the suite plays the hub; without a profile or a command, the
    /// reference agent
    Agent {
        #[command(flatten)]
        agent: AgentOptions,
        #[command(flatten)]
        run: RunOptions,
    },
}

/// Where the hub is.
#[derive(Debug, Args)]
pub(super) struct HubOptions {
    /// Device-facing endpoint, mqtts:// or on loopback mqtt:// [default: the host, port 8883]
    #[arg(long, value_name = "URL", env = "TWINSPEC_MQTT", value_parser = address::mqtt)]
    mqtt: Option<Endpoint>,
    /// Back-end endpoint, https:// or on loopback http:// [default: the host, port 443]
    #[arg(long, value_name = "URL", env = "TWINSPEC_HTTP", value_parser = address::http)]
    http: Option<Endpoint>,
    /// The hub's control interface, http:// (harness/CONTROL.md)
    #[arg(long, value_name = "URL", env = "TWINSPEC_CONTROL", value_parser = address::http)]
    control: Option<Endpoint>,
    /// Nobody else uses the hub: allow cases that change what belongs to all
    #[arg(long)]
    dedicated_hub: bool,
    /// Leave out cases that wait in real time, up to ten minutes each, for want of a control interface
    #[arg(long, env = "TWINSPEC_NO_SLOW", value_parser = FalseyValueParser::new())]
    no_slow: bool,
    /// Connection string of a policy with all rights, such as iothubowner
    #[arg(long, value_name = "S", env = "TWINSPEC_CONNECTION_STRING", hide_env_values = true)]
    connection_string: Option<String>,
    /// Certificate authority of the hub, PEM [default: what this machine trusts]
    #[arg(long, value_name = "FILE", env = "TWINSPEC_CA")]
    ca: Option<PathBuf>,
    /// What the hub claims, TOML [default: everything]
    #[arg(long, value_name = "FILE", env = "TWINSPEC_PROFILE")]
    profile: Option<PathBuf>,
}

/// What is run and how.
#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// Run only matching cases: parts of ids, or whole ids, requirements, families or subjects with *
    /// as a wildcard; a leading ! excludes, commas or blanks separate
    ///
    /// A term matches a case whose id, one of whose requirements, the family of one of these or whose
    /// subject is the term, in this spelling of capitals; * stands for any characters, none too. A term
    /// without * also matches any part of an id. A case runs when it matches some term, or when there are
    /// only terms with !, and when it matches no term with !. Examples: twin-get-echoes-rid, HUB-TWIN-001,
    /// HUB-TWIN, 'JOB-03*', 'twin,!*-throttled*'
    #[arg(long, value_name = "EXPR", default_value = "")]
    filter: String,
    /// Run only part I of N of the cases
    #[arg(long, value_name = "I/N", value_parser = Shard::parse)]
    shard: Option<Shard>,
    /// Seed of the order in which cases run [default: a random one, which is printed]
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Run N times and list verdicts that differ
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true)]
    repeat: u32,
    /// Factor on every time budget
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = patience, allow_negative_numbers = true)]
    patience: f64,
    /// Cases that run at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000), allow_negative_numbers = true)]
    jobs: u32,
    /// Write a report; json or junit; may be given several times
    #[arg(long, value_name = "FORMAT=PATH")]
    report: Vec<ReportFile>,
    /// Cases known to fail, TOML
    #[arg(long, value_name = "FILE")]
    known_failures: Option<PathBuf>,
    /// Write everything sent and received into this folder, a file for each case
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// Leave tokens and keys in traces and reports
    #[arg(long)]
    keep_secrets: bool,
    /// List the selected cases and run none
    #[arg(long)]
    list: bool,
}

/// `twinspec` alone.
pub(super) fn embedded(run: &RunOptions) -> Done {
    start(Subject::ours()?, run)
}

/// `twinspec test`.
pub(super) fn test(role: &Role) -> Done {
    let (hub, run) = match role {
        Role::Hub { hub, run } => (hub, run),
        Role::Agent { agent, run } => return start(vec![agent.subject()?], run),
    };
    let profile = match &hub.profile {
        None => Profile::default(),
        Some(path) => Profile::read(path).map_err(Trouble::usage)?,
    };
    let rules = Rules { dedicated: hub.dedicated_hub, takes_time: !hub.no_slow };
    let parts = parts(hub)?.map(Box::new);
    let host = parts.as_ref().map(|parts| parts.credentials.host.as_str());
    profile.check_pool(host).map_err(Trouble::usage)?;
    start(vec![Subject::Hub { parts, rules, profile: Box::new(profile) }], run)
}

/// The foreign hub that the options name; `None` for the embedded one.
fn parts(hub: &HubOptions) -> Result<Option<Parts>, Trouble> {
    let Some(text) = &hub.connection_string else {
        let given =
            [hub.mqtt.is_some(), hub.http.is_some(), hub.control.is_some(), hub.ca.is_some()];
        if given.contains(&true) {
            return Err(Trouble::usage(
                "--mqtt, --http, --control and --ca need --connection-string, which says how to \
                 log in",
            ));
        }
        return Ok(None);
    };
    // Parsed here and not by the argument parser, which would print the key.
    let credentials: ConnectionString = text.parse().map_err(Trouble::usage)?;
    if let Holder::Identity(identity) = &credentials.holder {
        return Err(Trouble::usage(format!(
            "the connection string is that of the device {identity}; needed is that of a policy \
             with all rights, with SharedAccessKeyName"
        )));
    }
    let trust = match &hub.ca {
        None => Trust::machine().map_err(Trouble::environment)?,
        Some(path) => Trust::file(path).map_err(Trouble::usage)?,
    };
    Ok(Some(Parts {
        mqtt: hub.mqtt.clone(),
        http: hub.http.clone(),
        control: hub.control.clone(),
        credentials,
        trust,
    }))
}

fn start(subjects: Vec<Subject>, options: &RunOptions) -> Done {
    let known = match &options.known_failures {
        None => KnownFailures::default(),
        Some(path) => KnownFailures::read(path).map_err(Trouble::usage)?,
    };
    let filter = Filter::parse(&options.filter);
    let is_judged = |group: &case::Group, case: &case::Case| {
        subjects.iter().any(|subject| subject.is_judged_by(group, case))
    };
    let judging: Vec<Selected> =
        case::all().filter(|(group, case)| is_judged(group, case)).collect();
    let selected = judging.iter().filter(|(group, case)| filter.selects(group, case));
    let mut cases: Vec<Selected> = selected.copied().collect();
    if cases.is_empty() {
        return Err(Trouble::usage(format!(
            "no case matches the filter {:?}; see twinspec list cases",
            options.filter
        )));
    }
    let idle = filter.terms().filter(|term| !judging.iter().any(|(g, c)| matches(term, g, c)));
    idle.for_each(|term| tell(&format!("--filter: no case matches {term:?}")));
    let matching = cases.len();
    cases.retain(|(_, case)| options.shard.is_none_or(|shard| shard.holds(case.id)));
    if cases.is_empty() {
        return Err(Trouble::usage(format!(
            "none of the cases that match the filter {:?} is in this shard; there are {matching}",
            options.filter
        )));
    }
    if options.list {
        let has_clock = subjects.iter().all(Subject::has_clock);
        cases.iter().try_for_each(|case| say(&listed(*case, has_clock)))?;
        return Ok(0);
    }
    check_outputs(options)?;
    runtime()?.block_on(async {
        let mut plans = Vec::new();
        for subject in subjects {
            let is_judged = |(group, case): &Selected| subject.is_judged_by(group, case);
            let cases: Vec<Selected> = cases.iter().copied().filter(is_judged).collect();
            if !cases.is_empty() {
                plans.push((subject.target().await?, cases));
            }
        }
        run_all(plans, options, &known).await
    })
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// Checks that what the run is to write can be written, before hours of work depend on it.
fn check_outputs(options: &RunOptions) -> Result<(), Trouble> {
    for (index, file) in options.report.iter().enumerate() {
        file.check().map_err(|error| Trouble::usage(format!("--{error}")))?;
        if options.report.iter().take(index).any(|earlier| earlier.is_same_file(file)) {
            return Err(Trouble::usage("--report: two reports are to be written to one file"));
        }
    }
    let Some(folder) = &options.traces else { return Ok(()) };
    let problem = |error| Trouble::usage(format!("--traces {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(problem)?;
    check_file(&folder.join(format!("twinspec-{}", std::process::id()))).map_err(problem)
}

/// A line of `--list`; on a hub whose clock cannot be moved it says which cases wait.
fn listed((group, case): Selected, has_clock: bool) -> String {
    let has = |need| case.needs.contains(&need);
    let is_slow = !has_clock && has(Need::Clock) && !has(Need::Control);
    let mark = if is_slow { " (slow)" } else { "" };
    format!("{} {} · {}{mark}", group.subject, case.id, case.title)
}

/// Cases with the target they judge.
struct Plan {
    target: Arc<Target>,
    cases: Vec<Selected>,
    leftovers: Leftovers,
}

async fn run_all(
    targets: Vec<(Target, Vec<Selected>)>,
    options: &RunOptions,
    known: &KnownFailures,
) -> Done {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    // Names were drawn when the targets were made: they must not repeat when a run is.
    fastrand::seed(seed);
    let mut plans = Vec::new();
    for (mut target, mut cases) in targets {
        fastrand::shuffle(&mut cases);
        target.patience = options.patience;
        target.keep_secrets = options.keep_secrets;
        plans.push(Plan { target: Arc::new(target), cases, leftovers: Leftovers::default() });
    }
    let mut stop = listen(&plans)?;
    for Plan { target, .. } in plans.iter().filter(|plan| !plan.target.is_embedded()) {
        tokio::select! {
            looked = preflight::check_and_tell(target, tell) => looked.map_err(Trouble::environment)?,
            () = stopped(&mut stop) => {
                return Err(Trouble::environment("broken off before the first case"));
            }
        }
    }
    repeat(&plans, options, known, seed, stop).await
}

/// Listens to Ctrl-C, SIGTERM and SIGHUP from now on: the first ends the run in order, the second at once.
fn listen(plans: &[Plan]) -> Result<watch::Receiver<bool>, Trouble> {
    let mut signals = Signals::new()?;
    let targets: Vec<Arc<Target>> = plans.iter().map(|plan| Arc::clone(&plan.target)).collect();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        signals.next().await;
        tell("broken off: cleaning up; once more ends it at once");
        stop.send_replace(true);
        signals.next().await;
        targets.iter().for_each(|target| target.remove_scratch());
        std::process::exit(i32::from(Conformance::Unknown.exit_code()));
    });
    Ok(stopped)
}

/// Waits until the run is to end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody can tell any more.
        std::future::pending::<()>().await;
    }
}

/// Removes what the cases left behind and returns what the hubs keep all the same.
///
/// A hub that is gone cannot be tidied up; nobody waits for that longer than [`CLEAN_UP`].
async fn tidy_up(plans: &[Plan]) -> Vec<String> {
    let mut left = Vec::new();
    for Plan { target, leftovers, .. } in plans {
        let _late_ones_stay =
            tokio::time::timeout(CLEAN_UP, run::clean_up(target, leftovers)).await;
        left.extend(leftovers.all().iter().map(ToString::to_string));
    }
    left
}

async fn repeat(
    plans: &[Plan],
    options: &RunOptions,
    known: &KnownFailures,
    seed: u64,
    stop: watch::Receiver<bool>,
) -> Done {
    let mut runs = Runs::default();
    let mut worst = Conformance::Conformant;
    let names: Vec<&str> = plans.iter().map(|plan| plan.target.name.as_str()).collect();
    let selected: usize = plans.iter().map(|plan| plan.cases.len()).sum();
    for round in 0..options.repeat {
        if round > 0 && *stop.borrow() {
            tell(&format!("broken off after {round} of {} runs", options.repeat));
            worst = worst.max(Conformance::Unknown);
            break;
        }
        let mut outcomes = Vec::new();
        for plan in plans {
            outcomes.extend(run_once(plan, options, stop.clone()).await);
        }
        let traces = options.traces.as_ref();
        let traced = traces.map_or(Ok(()), |folder| write_traces(folder, &outcomes));
        let not_run = selected.saturating_sub(outcomes.len());
        let mut report = Report::new(&names.join(" and "), seed, known, outcomes);
        report.not_run = not_run;
        report.left_behind = tidy_up(plans).await;
        report.set_up_errors = plans.iter().map(|plan| plan.target.bears.take_unwell()).sum();
        runs.add(&report);
        report.repeated = runs.repeated();
        let printed = print(&terminal::render(&report));
        // One that cannot be written keeps none of the others from it.
        let written: Vec<_> = options.report.iter().map(|file| file.write(&report)).collect();
        traced.and(printed)?;
        written.into_iter().collect::<Result<(), _>>().map_err(Trouble::environment)?;
        worst = worst.max(report.conformance());
    }
    if let Some(repeated) = runs.repeated() {
        tell_differences(&repeated)?;
        if !repeated.differing.is_empty() {
            worst = worst.max(Conformance::Unknown);
        }
    }
    Ok(worst.exit_code())
}

/// Runs the cases of one target until `stop` says so, with a progress bar.
async fn run_once(
    plan: &Plan,
    options: &RunOptions,
    mut stop: watch::Receiver<bool>,
) -> Vec<(Selected, Outcome)> {
    let Plan { target, cases, leftovers } = plan;
    let bar = progress_bar(cases.len());
    let jobs = usize::try_from(options.jobs).unwrap_or(1);
    let mut slow = cases.iter().filter(|(_, case)| target.is_slow(case.needs)).count();
    announce_slow(slow);
    let progress = |case: &case::Case, outcome: &Outcome| {
        slow -= usize::from(target.is_slow(case.needs)).min(slow);
        let waiting = if slow > 0 { format!(", {slow} wait") } else { String::new() };
        bar.set_message(format!("{} {}{waiting}", outcome.verdict, case.id));
        bar.inc(1);
    };
    let outcomes = run::run_until(target, cases, jobs, leftovers, progress, stopped(&mut stop));
    let outcomes = outcomes.await;
    bar.finish_and_clear();
    outcomes
}

/// Says why a run takes minutes, before it does.
fn announce_slow(cases: usize) {
    let who = match cases {
        0 => return,
        1 => "1 slow case waits".to_owned(),
        more => format!("{more} slow cases wait"),
    };
    let minutes = REAL_TIME_MAX.as_secs() / 60;
    tell(&format!(
        "{who} in real time, up to {minutes} minutes each and all at once; --control URL makes them \
         fast, --no-slow leaves them out"
    ));
}

/// Prints the verdicts that differ between runs.
fn tell_differences(Repeated { runs, differing }: &Repeated) -> Result<(), Trouble> {
    for Differing { id, verdicts } in differing {
        let names: Vec<&str> = verdicts.iter().map(|verdict| verdict.name()).collect();
        say(&format!("differs: {id}: {}", names.join(", ")))?;
    }
    say(&format!("{runs} runs, {} with differing verdicts", counted(differing.len(), "case")))
}

fn write_traces(folder: &Path, outcomes: &[(Selected, Outcome)]) -> Result<(), Trouble> {
    for ((_, case), outcome) in outcomes {
        let path = folder.join(format!("{}.jsonl", case.id));
        let problem =
            |error: std::io::Error| Trouble::environment(format!("{}: {error}", path.display()));
        let file = std::fs::File::create(&path).map_err(problem)?;
        trace::write(&outcome.trace, std::io::BufWriter::new(file)).map_err(problem)?;
    }
    Ok(())
}

fn progress_bar(cases: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(cases).unwrap_or(0));
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {wide_bar} {elapsed} {msg}") {
        bar.set_style(style);
    }
    // The elapsed time goes on while slow cases wait.
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}
