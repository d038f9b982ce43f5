//! `twinspec agent`: the reference Device Update agent. The contract is in `harness/AGENT.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use twinspec_harness::agent::{
    Config, Exit, Faithful, HandlerSpec, Limits, Log, Overlay, read_root_keys, run,
};
use twinspec_harness::connection_string::{ConnectionString, Holder};
use twinspec_harness::endpoint::{Endpoint, Scheme};
use twinspec_harness::tls::Trust;
use twinspec_model::agent::{Component, Device, Generation, RestartKind};
use twinspec_model::update::key::RootKeys;

use super::{Done, Trouble, address, runtime, until_stopped};
use crate::mutants;

/// Exit code: a handler asked for a restart of the agent.
const RESTART_AGENT: u8 = 10;

/// Exit code: a handler asked for a reboot.
const REBOOT: u8 = 11;

/// A Device Update agent that follows the documented rules.
///
/// It runs until SIGTERM or Ctrl-C. Exit codes: 0 stopped, 2 wrong usage, 3 the work folder cannot
/// be used, 10 a handler asked for a restart of the agent, 11 a handler asked for a reboot. After
/// 10 and 11 the supervisor is to start it again.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Connection string of the device or module
    #[arg(
        long,
        value_name = "STRING",
        env = "TWINSPEC_AGENT_CONNECTION_STRING",
        hide_env_values = true
    )]
    connection_string: String,
    /// Where the hub speaks MQTT [default: mqtts://HOSTNAME:8883 of the connection string]
    #[arg(long, value_name = "URL", value_parser = address::mqtt)]
    mqtt: Option<Endpoint>,
    /// Whom to trust for the hub and for https downloads, PEM [default: what the machine trusts]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// State, downloads and work folders; made when missing
    #[arg(long, value_name = "DIR")]
    work_dir: PathBuf,
    /// Root public keys: the rootKeys of a root key package, or a package [default: none, so that
    /// every deployment is refused]
    #[arg(long, value_name = "FILE")]
    root_keys: Option<PathBuf>,
    /// Generation of the goal state protocol
    #[arg(long, value_enum, default_value_t)]
    generation: GenerationName,
    /// Device property manufacturer
    #[arg(long, value_name = "TEXT", default_value = "twinspec")]
    manufacturer: String,
    /// Device property model
    #[arg(long, value_name = "TEXT", default_value = "reference")]
    model: String,
    /// Further device property; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    property: Vec<(String, String)>,
    /// Compatibility properties, comma separated
    #[arg(long, value_name = "NAMES", default_value = "manufacturer,model")]
    compat: String,
    /// A handler: ID=script, ID=program:PATH, ID=simulator or ID=simulator:FILE; may be repeated
    /// [default: microsoft/script:1=script, microsoft/simulator:1=simulator]
    #[arg(long, value_name = "ID=KIND[:FILE]", value_parser = handler)]
    handler: Vec<(String, HandlerSpec)>,
    /// What the component enumerator knows, JSON [default: there is no enumerator]
    #[arg(long, value_name = "FILE")]
    components: Option<PathBuf>,
    /// Logs that the service may ask for: NAME=FILE or NAME=FOLDER; may be repeated [default: its
    /// own lines as "agent", what handlers printed as "handler"]
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    logs: Vec<(String, String)>,
    #[command(flatten)]
    limits: LimitOptions,
    /// A known defect to show, for trying out cases
    #[arg(long, value_name = "ID", hide = true)]
    defect: Option<String>,
}

/// How long things may take.
#[derive(Debug, Args)]
struct LimitOptions {
    /// MQTT keep-alive, 5 to 1767
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(5..=1767), allow_negative_numbers = true)]
    keep_alive: u64,
    /// Life of a SAS token; it is renewed at 3/4 of it
    #[arg(long, value_name = "SECONDS", default_value_t = 3600,
        value_parser = clap::value_parser!(u64).range(4..=31_536_000), allow_negative_numbers = true)]
    token_lifetime: u64,
    /// How long an answer of the hub may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=3600), allow_negative_numbers = true)]
    answer_timeout: u64,
    /// Pause after a report was refused; it doubles up to 512 times of it
    #[arg(long, value_name = "SECONDS", default_value_t = 31,
        value_parser = clap::value_parser!(u64).range(1..=3600), allow_negative_numbers = true)]
    resend_after: u64,
    /// A download that stands still for so long is taken up again
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=3600), allow_negative_numbers = true)]
    stall_timeout: u64,
    /// How often a download is tried in all
    #[arg(long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=100), allow_negative_numbers = true)]
    download_tries: u32,
    /// How long one phase of a handler may take
    #[arg(long, value_name = "SECONDS", default_value_t = 3600,
        value_parser = clap::value_parser!(u64).range(1..=604_800), allow_negative_numbers = true)]
    phase_timeout: u64,
    /// How long a cancelled phase may go on before it is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=3600), allow_negative_numbers = true)]
    cancel_grace: u64,
    /// Shortest pause before a new connection; it doubles, with jitter
    #[arg(long, value_name = "MS", default_value_t = 1000,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000), allow_negative_numbers = true)]
    back_off_min_ms: u64,
    /// Longest pause before a new connection
    #[arg(long, value_name = "MS", default_value_t = 60_000,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000), allow_negative_numbers = true)]
    back_off_max_ms: u64,
}

/// A generation as it is named on the command line.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum GenerationName {
    /// deviceUpdateModel;1, manifests of version 4
    #[value(name = "1")]
    One,
    /// deviceUpdateModel;2
    #[value(name = "2")]
    Two,
    /// deviceUpdateModel;3, with root key packages
    #[default]
    #[value(name = "3")]
    Three,
}

impl From<GenerationName> for Generation {
    fn from(name: GenerationName) -> Self {
        match name {
            GenerationName::One => Self::One,
            GenerationName::Two => Self::Two,
            GenerationName::Three => Self::Three,
        }
    }
}

impl From<&LimitOptions> for Limits {
    fn from(options: &LimitOptions) -> Self {
        let (seconds, millis) = (Duration::from_secs, Duration::from_millis);
        Self {
            keep_alive: seconds(options.keep_alive),
            token_lifetime: seconds(options.token_lifetime),
            answer: seconds(options.answer_timeout),
            resend: seconds(options.resend_after),
            stall: seconds(options.stall_timeout),
            download_tries: options.download_tries,
            phase: seconds(options.phase_timeout),
            cancel_grace: seconds(options.cancel_grace),
            back_off_min: millis(options.back_off_min_ms),
            back_off_max: millis(options.back_off_max_ms),
        }
    }
}

pub(super) fn agent(options: &Options) -> Done {
    let overlay: Box<dyn Overlay> = match &options.defect {
        None => Box::new(Faithful),
        Some(id) => mutants::agent::overlay(id)
            .ok_or_else(|| Trouble::usage(format!("--defect {id}: there is no such defect")))?,
    };
    let config = config(options)?;
    let exit = runtime()?.block_on(async {
        let stop = async {
            // Without signals it could not be stopped: then it ends at once.
            if let Err(trouble) = until_stopped().await {
                anstream::eprintln!("twinspec agent: {}", trouble.message);
            }
        };
        run(config, overlay, stop).await.map_err(Trouble::environment)
    })?;
    Ok(match exit {
        Exit::Stopped => 0,
        Exit::Restart(RestartKind::Agent) => RESTART_AGENT,
        Exit::Restart(RestartKind::Reboot) => REBOOT,
    })
}

fn config(options: &Options) -> Result<Config, Trouble> {
    let string = connection_string(&options.connection_string)?;
    let usual = || Endpoint::usual(Scheme::Mqtts, string.host.clone());
    let mqtt = options.mqtt.clone().unwrap_or_else(usual);
    let trust = match &options.ca {
        Some(path) => Trust::file(path).map_err(|e| Trouble::usage(format!("--ca {e}")))?,
        None => Trust::machine().map_err(Trouble::environment)?,
    };
    let root_keys = match &options.root_keys {
        None => RootKeys::new(),
        Some(path) => root_keys(path)?,
    };
    let components = options.components.as_deref().map(components).transpose()?;
    Ok(Config {
        connection_string: string,
        mqtt,
        trust,
        work_dir: options.work_dir.clone(),
        root_keys,
        generation: options.generation.into(),
        device: device(options)?,
        handlers: handlers(&options.handler)?,
        components,
        logs: options.logs.iter().map(|(name, path)| (name.clone(), path.into())).collect(),
        limits: limits(&options.limits)?,
        log: Log::new(|line| anstream::eprintln!("{line}")),
    })
}

fn root_keys(path: &Path) -> Result<RootKeys, Trouble> {
    let keys = read_root_keys(path).map_err(|e| Trouble::usage(format!("--root-keys {e}")))?;
    if keys.iter().next().is_none() {
        let path = path.display();
        return Err(Trouble::usage(format!("--root-keys {path}: there is no key in the file")));
    }
    Ok(keys)
}

/// Parsed here and not by the argument parser, which would print the key.
fn connection_string(text: &str) -> Result<ConnectionString, Trouble> {
    let problem = |why: String| Trouble::usage(format!("--connection-string: {why}"));
    let string: ConnectionString = text.parse().map_err(|error| problem(format!("{error}")))?;
    match &string.holder {
        Holder::Identity(_) => Ok(string),
        Holder::Policy(name) => Err(problem(format!(
            "it is that of the policy {name}; needed is that of a device or module, with DeviceId"
        ))),
    }
}

fn limits(options: &LimitOptions) -> Result<Limits, Trouble> {
    let (min, max) = (options.back_off_min_ms, options.back_off_max_ms);
    if min > max {
        return Err(Trouble::usage(format!(
            "--back-off-min-ms {min} is longer than --back-off-max-ms {max}"
        )));
    }
    Ok(options.into())
}

fn device(options: &Options) -> Result<Device, Trouble> {
    let own = [("manufacturer", &options.manufacturer), ("model", &options.model)];
    let own = own.map(|(name, value)| (name.to_owned(), value.clone()));
    let mut properties = BTreeMap::from(own);
    for (name, value) in &options.property {
        if ["manufacturer", "model"].contains(&name.as_str()) {
            return Err(Trouble::usage(format!(
                "--property {name}: this one has an option of its own, --{name}"
            )));
        }
        if properties.insert(name.clone(), value.clone()).is_some() {
            return Err(Trouble::usage(format!("--property {name}: it is given already")));
        }
    }
    let names = options.compat.split(',').map(|name| name.trim().to_owned()).collect();
    let version = format!("twinspec;agent/{}", env!("CARGO_PKG_VERSION"));
    Device::new(properties, names, version).map_err(Trouble::usage)
}

fn handlers(given: &[(String, HandlerSpec)]) -> Result<BTreeMap<String, HandlerSpec>, Trouble> {
    for (id, spec) in given {
        spec.check().map_err(|why| Trouble::usage(format!("--handler {id}: {why}")))?;
    }
    let usual = [
        ("microsoft/script:1".to_owned(), HandlerSpec::Script),
        ("microsoft/simulator:1".to_owned(), HandlerSpec::Simulator(None)),
    ];
    Ok(usual.into_iter().chain(given.iter().cloned()).collect())
}

fn components(path: &Path) -> Result<Vec<Component>, Trouble> {
    let problem = |why: String| Trouble::usage(format!("--components {}: {why}", path.display()));
    let text = std::fs::read(path).map_err(|error| problem(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| problem(error.to_string()))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let expected = "expected a name, = and a value";
    let (name, value) = text.split_once('=').ok_or(expected)?;
    Ok((name.to_owned(), value.to_owned()))
}

fn handler(text: &str) -> Result<(String, HandlerSpec), String> {
    let expected = "expected ID=script, ID=program:PATH, ID=simulator or ID=simulator:FILE";
    let (id, kind) = text.split_once('=').ok_or(expected)?;
    let spec = match kind.split_once(':') {
        None if kind == "script" => HandlerSpec::Script,
        None if kind == "simulator" => HandlerSpec::Simulator(None),
        Some(("simulator", file)) => HandlerSpec::Simulator(Some(file.into())),
        Some(("program", path)) if !path.is_empty() => {
            // Handlers run elsewhere: a relative path would mean something else there.
            let path = std::path::absolute(path).map_err(|error| format!("{path}: {error}"))?;
            HandlerSpec::Program(path)
        }
        _ => return Err(expected.to_owned()),
    };
    Ok((id.to_owned(), spec))
}
