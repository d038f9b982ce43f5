//! `twinspec serve`: the local hub.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use sha2::{Digest, Sha256};
use twinspec_harness::clock::Clock;
use twinspec_harness::connection_string::{ConnectionString, Holder};
use twinspec_harness::hub::{Listen, ReferenceHub};
use twinspec_harness::tls::Trust;
use twinspec_model::auth::DEFAULT_POLICIES;
use twinspec_model::hub::{HubConfig, Throttles};
use twinspec_model::identity::Identity;
use twinspec_model::throttle::ThrottleRule;

use super::{Done, Format, Signals, Trouble, address, devices, print_json, say};
use crate::report::output::check_file;

/// The policy whose connection string is printed.
const POLICY: &str = "iothubowner";

/// What is served where.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The hub's name in connection strings and in its certificate
    #[arg(long, value_name = "NAME", default_value = "localhost", value_parser = host_name)]
    hostname: String,
    /// MQTT over plain TCP, for example 127.0.0.1:1883; port 0 picks a free one
    #[arg(long, value_name = "ADDR", value_parser = address::listen)]
    mqtt: Option<SocketAddr>,
    /// MQTT over TLS, for example 127.0.0.1:8883
    #[arg(long, value_name = "ADDR", value_parser = address::listen)]
    mqtts: Option<SocketAddr>,
    /// HTTP over plain TCP, for example 127.0.0.1:8080
    #[arg(long, value_name = "ADDR", value_parser = address::listen)]
    http: Option<SocketAddr>,
    /// HTTP over TLS, for example 127.0.0.1:8443
    #[arg(long, value_name = "ADDR", value_parser = address::listen)]
    https: Option<SocketAddr>,
    /// LWM2M over CoAP over TLS for the device jobs of 2016, for example 127.0.0.1:5684
    #[arg(long, value_name = "ADDR", value_parser = address::listen)]
    lwm2m: Option<SocketAddr>,
    /// The control interface, for example 127.0.0.1:9090; it has no credentials
    #[arg(long, value_name = "ADDR", value_parser = address::listen)]
    control: Option<SocketAddr>,
    /// Authorities whose device certificates are trusted, PEM
    #[arg(long, value_name = "FILE")]
    device_ca: Option<PathBuf>,
    /// Throttle an operation, for example twin-updates=5 or twin-updates=5/20 with a burst of 20;
    /// may be given for twin-reads, twin-updates, registry, queries, jobs and job-operations
    #[arg(long, value_name = "KIND=RATE[/BURST]", value_parser = Throttled::parse)]
    throttle: Vec<Throttled>,
    /// Jobs that may run at a time, as tiers limit them: 1 (Free, S1), 5 (S2), 10 (S3); any number
    /// by default
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    running_jobs: Option<NonZeroUsize>,
    /// Threads that serve: one answers a single client soonest, more serve many TLS clients faster
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one,
        allow_negative_numbers = true)]
    threads: NonZeroUsize,
    /// Devices to register: a number up to 100000, or a file with one id a line (device or
    /// device/module)
    #[arg(long, value_name = "N|FILE", default_value = "0", allow_negative_numbers = true)]
    devices: String,
    /// Any text; the same text gives the same keys again
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    /// Where the certificate authority is written [default: a file in the temporary folder,
    /// removed at the end]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How the connection strings are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One `--throttle`.
#[derive(Clone, Copy, Debug)]
struct Throttled {
    kind: Kind,
    rule: ThrottleRule,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    TwinReads,
    TwinUpdates,
    Registry,
    Queries,
    Jobs,
    JobOperations,
}

impl Throttled {
    fn parse(text: &str) -> Result<Self, String> {
        let allowed = "expected twin-reads, twin-updates, registry, queries, jobs or \
             job-operations, then =RATE or =RATE/BURST";
        let (kind, figures) = text.split_once('=').ok_or(allowed)?;
        let kind = match kind {
            "twin-reads" => Kind::TwinReads,
            "twin-updates" => Kind::TwinUpdates,
            "registry" => Kind::Registry,
            "queries" => Kind::Queries,
            "jobs" => Kind::Jobs,
            "job-operations" => Kind::JobOperations,
            other => return Err(format!("{other:?}: {allowed}")),
        };
        let (rate, burst) = figures.split_once('/').unwrap_or((figures, figures));
        let number = |text: &str| match text.parse() {
            Ok(figure) if figure >= 1 => Ok(figure),
            _ => Err(format!("{text:?}: {allowed}, whole numbers from 1 on")),
        };
        let rule = ThrottleRule { operations_per_second: number(rate)?, burst: number(burst)? };
        Ok(Self { kind, rule })
    }

    fn all(options: &[Self]) -> Throttles {
        let mut throttles = Throttles::default();
        for Self { kind, rule } in options {
            match kind {
                Kind::TwinReads => throttles.twin_reads = Some(*rule),
                Kind::TwinUpdates => throttles.twin_updates = Some(*rule),
                Kind::Registry => throttles.registry = Some(*rule),
                Kind::Queries => throttles.queries = Some(*rule),
                Kind::Jobs => throttles.jobs = Some(*rule),
                Kind::JobOperations => throttles.job_operations = Some(*rule),
            }
        }
        throttles
    }
}

/// What a user needs to know to use the hub.
#[derive(Debug, Serialize)]
struct Announcement {
    hostname: String,
    endpoints: Endpoints,
    ca_file: PathBuf,
    service_connection_string: String,
    /// Base64 keys by policy, as the profile of `twinspec test hub` takes them.
    policies: BTreeMap<&'static str, String>,
    devices: Vec<DeviceAnnouncement>,
}

#[derive(Debug, Serialize)]
struct Endpoints {
    mqtt: Option<String>,
    mqtts: Option<String>,
    http: Option<String>,
    https: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lwm2m: Option<String>,
    control: Option<String>,
}

#[derive(Debug, Serialize)]
struct DeviceAnnouncement {
    device_id: String,
    module_id: Option<String>,
    connection_string: String,
}

pub(super) fn serve(options: &Options) -> Done {
    let identities = devices::identities(&options.devices).map_err(Trouble::usage)?;
    check_burst(&options.throttle, identities.len())?;
    if let Some(file) = &options.ca_file {
        check_file(file).map_err(|error| unwritable(file, &error))?;
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(options.threads.get()).enable_all().build();
    runtime.map_err(Trouble::environment)?.block_on(run(options, identities))
}

async fn run(options: &Options, identities: Vec<Identity>) -> Done {
    // Whoever has read the announcement may end the hub.
    let mut signals = Signals::new()?;
    let seed = match &options.key {
        Some(text) => Sha256::digest(text).into(),
        None => {
            let mut seed = [0; 32];
            fastrand::fill(&mut seed);
            seed
        }
    };
    let events = options.control.is_some();
    let throttles = Throttled::all(&options.throttle);
    let mut config =
        HubConfig { events, throttles, ..HubConfig::new(options.hostname.clone(), seed) };
    config.limits.running_jobs_max = options.running_jobs.map(NonZeroUsize::get);
    let hub = ReferenceHub::start(config, &listen(options)?, Clock::default()).await;
    let hub = hub.map_err(Trouble::environment)?;
    let default = std::env::temp_dir().join(format!("twinspec-ca-{}.pem", std::process::id()));
    let ca_file = options.ca_file.clone().unwrap_or_else(|| default.clone());
    let _removed_at_the_end = Temporary(options.ca_file.is_none().then_some(default));
    std::fs::write(&ca_file, hub.ca_pem()).map_err(|error| match &options.ca_file {
        Some(file) => unwritable(file, &error),
        None => Trouble::environment(format!("{}: {error}", ca_file.display())),
    })?;
    let announcement = tokio::select! {
        announcement = announce(options, &hub, ca_file, identities) => announcement?,
        () = signals.next() => return Ok(0),
    };
    match options.format {
        Format::Json => print_json(&announcement).map(drop)?,
        Format::Text => say(&text(&announcement))?,
    }
    signals.next().await;
    Ok(0)
}

/// The devices are registered at once, and the hub throttles nobody less than itself.
fn check_burst(throttle: &[Throttled], devices: usize) -> Result<(), Trouble> {
    let burst = Throttled::all(throttle).registry.map(|rule| rule.burst);
    match burst {
        Some(burst) if usize::try_from(burst).is_ok_and(|burst| burst < devices) => {
            Err(Trouble::usage(format!(
                "--throttle registry: a burst of {burst} is too few for the {devices} devices of \
                 --devices"
            )))
        }
        _ => Ok(()),
    }
}

fn unwritable(ca_file: &Path, error: &std::io::Error) -> Trouble {
    Trouble::usage(format!("--ca-file {}: {error}", ca_file.display()))
}

/// Reads `--device-ca`, which must hold what handshakes can be checked with.
fn device_authorities(path: &Path) -> Result<String, Trouble> {
    let problem = |error| Trouble::usage(format!("--device-ca {}: {error}", path.display()));
    let pem = std::fs::read_to_string(path).map_err(problem)?;
    Trust::authorities(pem.as_bytes()).map_err(problem)?;
    Ok(pem)
}

fn listen(options: &Options) -> Result<Listen, Trouble> {
    let Options { mqtt, mqtts, http, https, lwm2m, control, .. } = *options;
    let device_authorities = options.device_ca.as_deref().map(device_authorities).transpose()?;
    let usual = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    let (mqtt, mqtts, http, https) = match (mqtt, mqtts, http, https) {
        (None, None, None, None) => (usual(1883), usual(8883), usual(8080), usual(8443)),
        some => some,
    };
    Ok(Listen { mqtt, mqtts, http, https, lwm2m, control, device_authorities })
}

async fn announce(
    options: &Options,
    hub: &ReferenceHub,
    ca_file: PathBuf,
    identities: Vec<Identity>,
) -> Result<Announcement, Trouble> {
    let string =
        |holder, key| ConnectionString { host: options.hostname.clone(), holder, key }.to_string();
    let mut devices = Vec::new();
    for identity in identities {
        // A signal is heard in between.
        tokio::task::yield_now().await;
        let key = hub.register(&identity).await.map_err(Trouble::usage)?;
        devices.push(DeviceAnnouncement {
            device_id: identity.device.clone(),
            module_id: identity.module.clone(),
            connection_string: string(Holder::Identity(identity), key),
        });
    }
    let bound = hub.addresses();
    let url = |scheme: &str, address: Option<SocketAddr>| {
        address.map(|address| format!("{scheme}://{address}"))
    };
    let key = hub.policy_key(POLICY).unwrap_or_default();
    Ok(Announcement {
        hostname: options.hostname.clone(),
        endpoints: Endpoints {
            mqtt: url("mqtt", bound.mqtt),
            mqtts: url("mqtts", bound.mqtts),
            http: url("http", bound.http),
            https: url("https", bound.https),
            lwm2m: url("coaps+tcp", bound.lwm2m),
            control: url("http", bound.control),
        },
        ca_file,
        policies: DEFAULT_POLICIES
            .iter()
            .filter_map(|(name, _)| Some((*name, hub.policy_key(name)?)))
            .collect(),
        service_connection_string: string(Holder::Policy(POLICY.to_owned()), key),
        devices,
    })
}

fn text(announcement: &Announcement) -> String {
    let Announcement { hostname, endpoints, ca_file, .. } = announcement;
    let mut lines = vec![format!("reference hub {hostname}")];
    let Endpoints { mqtt, mqtts, http, https, lwm2m, control } = endpoints;
    lines.extend(
        [mqtt, mqtts, http, https, lwm2m].into_iter().flatten().map(|url| format!("  {url}")),
    );
    if let Some(control) = control {
        lines.push(format!("control interface\n  {control}"));
    }
    lines.push(format!("certificate authority\n  {}", ca_file.display()));
    let string = &announcement.service_connection_string;
    lines.push(format!("service connection string\n  {string}"));
    if !announcement.devices.is_empty() {
        lines.push("device connection strings".to_owned());
    }
    let strings = announcement.devices.iter().map(|device| &device.connection_string);
    lines.extend(strings.map(|string| format!("  {string}")));
    lines.push("serving until Ctrl-C or SIGTERM".to_owned());
    lines.join("\n")
}

/// A file that goes with the hub.
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It may have been removed by hand meanwhile.
            let _gone_either_way = std::fs::remove_file(path);
        }
    }
}

fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a whole number from 1 on".to_owned())
}

/// Reads `--hostname`: letters, digits and hyphens in labels between dots.
fn host_name(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err("expected a DNS name, such as hub.example: labels of up to 63 letters, digits and inner \
         hyphens between dots, 253 characters in all"
        .to_owned())
}
