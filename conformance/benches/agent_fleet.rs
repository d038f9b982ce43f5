//! Simulated agents in one process, each taking one deployment through the reference hub.
//!
//! Every agent is the model's machine on a plain MQTT connection of its own: it connects, reads its
//! twin, reports what it is, is told of the deployment by an automatic configuration, verifies root
//! key package, signature and manifest, hashes the payload, runs the phases of a handler that does
//! nothing, reports, and acknowledges. The root key package and the payload are in memory, and the
//! state is not written to a disk. The hub is a process of its own, and so is each fleet, so that
//! its memory is measured from nothing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on fails"
)]

#[expect(dead_code, reason = "this benchmark needs no broker")]
mod peers;

use std::collections::BTreeMap;
use std::env;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peers::{Client, Server};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use twinspec_harness::signing::Authority;
use twinspec_model::agent::{
    Agent, Call, Device, DeviceInformation, FetchOrder, Fetched, Generation, HandlerKind, Held,
    Input, Order, Outcome, Output, Persisted, Phase, Resend, Settings, Status, Verifier, code,
};
use twinspec_model::auth;
use twinspec_model::time::Time;
use twinspec_model::update::root_key::Build;
use twinspec_model::wire::mqtt::{Packet, PacketId, Publish, Qos, Subscribe};
use twinspec_model::wire::topic::HubTopic;

const SIZES: [usize; 2] = [500, 5_000];
/// What a process is told that is one fleet, with its size.
const FLEET: &str = "TWINSPEC_FLEET";
/// How long a fleet may take for everything.
const WAIT: Duration = Duration::from_secs(600);
const HANDLER: &str = "bench/simulated:1";
const WORKFLOW: &str = "5f2c0d1e-8a44-4b1e-9d1a-0c6f2b7e1234";
const PAYLOAD: [u8; 4096] = [7; 4096];

fn main() {
    if let Ok(size) = env::var(FLEET) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let round = runtime.block_on(Round::run(size.parse().unwrap()));
        return println!("{round}");
    }
    let rounds = SIZES.map(|size| {
        let mut fleet = Command::new(env::current_exe().unwrap());
        let output = fleet.env(FLEET, size.to_string()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    });
    let number = |round: &Value, name: &str| round[name].as_f64().unwrap();
    for (size, round) in SIZES.iter().zip(&rounds) {
        println!(
            "agent fleet: {size} agents in {:.2} s, {:.0} agents/s; {:.1} KiB an agent connected, \
             {:.1} KiB after the deployment; the hub {:.1} KiB a device",
            number(round, "seconds"),
            *size as f64 / number(round, "seconds"),
            number(round, "connected"),
            number(round, "deployed"),
            number(round, "hub"),
        );
    }
    let growth = |name| number(&rounds[1], name) / number(&rounds[0], name);
    println!(
        "agent fleet: from {} to {} agents: wall time x{:.2}, memory an agent x{:.2}",
        SIZES[0],
        SIZES[1],
        growth("seconds"),
        growth("deployed"),
    );
}

/// What all agents of a fleet have in common.
struct Shared {
    verifier: Verifier,
    package: String,
    /// Agents that have said what they are, and agents whose deployment has ended.
    online: AtomicUsize,
    updated: AtomicUsize,
    bell: Notify,
}

impl Shared {
    fn count(&self, counter: &AtomicUsize) {
        counter.fetch_add(1, Ordering::Relaxed);
        self.bell.notify_waiters();
    }

    /// Waits until `counter` reaches `size`.
    async fn all(&self, counter: &AtomicUsize, size: usize) {
        let all = async {
            loop {
                let changed = self.bell.notified();
                if counter.load(Ordering::Relaxed) >= size {
                    return;
                }
                changed.await;
            }
        };
        let late = timeout(WAIT, all).await.is_err();
        assert!(!late, "only {} of {size} agents", counter.load(Ordering::Relaxed));
    }
}

/// One fleet, measured.
struct Round;

impl Round {
    async fn run(size: usize) -> Value {
        let wanted = u64::try_from(size).unwrap() * 3;
        let limit = rlimit::increase_nofile_limit(wanted).unwrap();
        assert!(limit >= wanted, "this machine allows {limit} open files, needed are {wanted}");
        let authority = Authority::shared().unwrap();
        let hub = Server::reference_hub(size);
        let shared = Arc::new(Shared {
            verifier: Verifier {
                generation: Generation::Three,
                roots: authority.root_keys(),
                build: Build::Production,
            },
            package: authority.package(7).make().unwrap(),
            online: AtomicUsize::new(0),
            updated: AtomicUsize::new(0),
            bell: Notify::new(),
        });
        let (before, hub_before) = (own_bytes(), hub.resident_bytes());
        let each = |bytes: usize, from: usize| (bytes - from) as f64 / size as f64 / 1024.0;
        let mut running = Vec::new();
        for (device, key) in &hub.devices {
            let agent = Simulated::connect(&hub, device, key, &shared).await;
            running.push(tokio::spawn(agent.run()));
        }
        shared.all(&shared.online, size).await;
        let connected = each(own_bytes(), before);
        let service = service(authority);
        control(&shared.verifier, &shared.package, &service);
        let configuration = configuration(&service);
        let began = Instant::now();
        call(&hub, "PUT", "/configurations/adu-fleet", &configuration).await;
        shared.all(&shared.updated, size).await;
        let seconds = began.elapsed().as_secs_f64();
        let (deployed, hub_bytes) =
            (each(own_bytes(), before), each(hub.resident_bytes(), hub_before));
        // The truth is what the hub holds.
        let query = json!({ "query": format!(
            "SELECT COUNT() AS n FROM devices WHERE properties.reported.deviceUpdate.agent.state = 0 \
             AND properties.reported.deviceUpdate.agent.lastInstallResult.resultCode = 700 \
             AND properties.reported.deviceUpdate.agent.workflow.id = '{WORKFLOW}' \
             AND properties.reported.deviceUpdate.service.ac = 200"
        ) });
        let rows = call(&hub, "POST", "/devices/query", &query).await;
        assert_eq!(rows[0]["n"], size, "{rows}");
        let ended = running.iter().filter(|agent| agent.is_finished()).count();
        assert_eq!(ended, 0, "agents that stopped");
        json!({ "seconds": seconds, "connected": connected, "deployed": deployed, "hub": hub_bytes })
    }
}

/// The verifier takes the deployment, and takes it no longer when one thing in it was changed.
fn control(verifier: &Verifier, package: &str, service: &Value) {
    let holds = |service: &Value| {
        let order = Order::read(1, service.as_object().unwrap()).unwrap();
        verifier.validate(&order, Some(package), None).plan.is_ok()
    };
    let mut changed = service.clone();
    let manifest = service["updateManifest"].as_str().unwrap();
    changed["updateManifest"] = json!(manifest.replace("image.bin", "image.bim"));
    assert!(holds(service) && !holds(&changed), "signatures are verified");
}

/// The desired property `service` of the deployment.
fn service(authority: &Authority) -> Value {
    let manifest = json!({
        "manifestVersion": "5",
        "updateId": { "provider": "Twinspec", "name": "Fleet", "version": "1.0" },
        "compatibility": [{ "manufacturer": "twinspec", "model": "simulated" }],
        "instructions": { "steps": [{
            "type": "inline", "handler": HANDLER, "files": ["f1"],
            "handlerProperties": { "installedCriteria": "1.0" },
        }] },
        "files": { "f1": {
            "fileName": "image.bin",
            "sizeInBytes": PAYLOAD.len(),
            "hashes": { "sha256": STANDARD.encode(Sha256::digest(PAYLOAD)) },
        } },
        "createdDateTime": "2026-01-02T03:04:05Z",
    })
    .to_string();
    json!({
        "workflow": { "action": 3, "id": WORKFLOW },
        "updateManifestSignature": authority.sign(&manifest).unwrap(),
        "updateManifest": manifest,
        "fileUrls": { "f1": "http://dl.example/f1/image.bin" },
        "rootKeyPackageUrl": "http://dl.example/rootkeypackage-7.json",
    })
}

/// How the service delivers it.
fn configuration(service: &Value) -> Value {
    let component = json!({ "__t": "c", "service": service });
    json!({
        "id": "adu-fleet",
        "content": { "deviceContent": { "properties.desired.deviceUpdate": component } },
        "targetCondition": "*",
        "priority": 10,
    })
}

/// An agent and its connection.
struct Simulated {
    agent: Agent,
    client: Client,
    shared: Arc<Shared>,
    is_installed: bool,
    /// What has been counted of it already: that it is there, that it is updated.
    told: (bool, bool),
}

impl Simulated {
    async fn connect(hub: &Server, device: &str, key: &str, shared: &Arc<Shared>) -> Self {
        let client = Client::connect(hub.port, device, Some(key), "$iothub/twin/res/#");
        let mut client = client.await.unwrap();
        let desired = "$iothub/twin/PATCH/properties/desired/#".to_owned();
        let filters = vec![(desired, Qos::AtMostOnce)];
        let subscribe = Subscribe { id: PacketId::MIN, filters };
        client.send(&Packet::Subscribe(subscribe).to_bytes()).await.unwrap();
        client.receive(1).await.unwrap();
        let agent = Agent::new(settings(), Persisted::default());
        let shared = Arc::clone(shared);
        Self { agent, client, shared, is_installed: false, told: (false, false) }
    }

    /// Lives until the process ends.
    async fn run(mut self) {
        self.take(Input::Connected).await;
        loop {
            let due = self.agent.next_deadline().map(|due| due.since(now()));
            let input = tokio::select! {
                packet = self.client.packet() => input(packet.unwrap()),
                () = tokio::time::sleep(due.unwrap_or(WAIT)), if due.is_some() => Input::Tick,
            };
            self.take(input).await;
            self.tell();
        }
    }

    fn tell(&mut self) {
        let persisted = self.agent.persisted();
        if !persisted.outbox.is_empty() || !self.agent.is_idle() {
            return;
        }
        if !std::mem::replace(&mut self.told.0, true) {
            self.shared.count(&self.shared.online);
        }
        let has_succeeded =
            matches!(&persisted.held, Some(Held { status: Status::Succeeded { .. }, .. }));
        if has_succeeded && !std::mem::replace(&mut self.told.1, true) {
            self.shared.count(&self.shared.updated);
        }
    }

    async fn take(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for output in self.agent.handle(input, now()) {
                inputs.extend(self.obey(output).await);
            }
        }
    }

    async fn obey(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::ReadTwin => {
                self.publish("$iothub/twin/GET/?$rid=twin".to_owned(), String::new()).await;
                None
            }
            Output::Send { report, patch } => {
                let topic = format!("$iothub/twin/PATCH/properties/reported/?$rid={report}");
                self.publish(topic, patch.to_string()).await;
                None
            }
            Output::FetchRootKeys { job, .. } => {
                Some(Input::RootKeys { job, outcome: Ok(self.shared.package.clone()) })
            }
            Output::Validate { job, order, package, stored } => {
                let verifier = &self.shared.verifier;
                let validation = verifier.validate(&order, package.as_deref(), stored.as_deref());
                Some(Input::Validated { job, validation: Box::new(validation) })
            }
            Output::Fetch { job, order } => Some(Input::Fetched { job, outcome: fetched(&order) }),
            Output::Run { job, call } => Some(Input::Ran { job, outcome: self.phase(&call) }),
            Output::Persist(_) | Output::Tidy { .. } => None,
            Output::Note(note) => panic!("{note}"),
            other => panic!("nobody asked for {other:?}"),
        }
    }

    fn phase(&mut self, call: &Call) -> Outcome {
        Outcome::of(match call.phase {
            Phase::IsInstalled if self.is_installed => code::INSTALLED,
            Phase::IsInstalled => code::NOT_INSTALLED,
            Phase::Download => code::DOWNLOADED,
            Phase::Backup => code::BACKUP_SUCCESS,
            Phase::Install => code::INSTALL_SUCCESS,
            Phase::Apply => {
                self.is_installed = true;
                code::APPLY_SUCCESS
            }
            Phase::Restore | Phase::Cancel => code::FAILURE,
        })
    }

    async fn publish(&mut self, topic: String, body: String) {
        let packet = Packet::Publish(Publish::at_most_once(topic, body));
        self.client.send(&packet.to_bytes()).await.unwrap();
    }
}

fn settings() -> Settings {
    let properties = [("manufacturer", "twinspec"), ("model", "simulated")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let names = vec!["manufacturer".to_owned(), "model".to_owned()];
    Settings {
        generation: Generation::Three,
        device: Device::new(properties.into(), names, "twinspec;agent/bench").unwrap(),
        information: DeviceInformation::default(),
        handlers: BTreeMap::from([(HANDLER.to_owned(), HandlerKind::Resident)]),
        components: None,
        resend: Resend::default(),
    }
}

/// What a packet of the hub tells the agent.
fn input(packet: Packet) -> Input {
    let Packet::Publish(publish) = packet else { panic!("not expected: {packet:?}") };
    let body = || serde_json::from_slice::<Value>(&publish.payload).unwrap();
    match HubTopic::parse(&publish.topic) {
        Some(HubTopic::TwinResponse { status: 200, rid, .. }) if rid == "twin" => {
            Input::Twin(body())
        }
        Some(HubTopic::TwinResponse { status, rid, .. }) => {
            assert_eq!(status, 204, "{}", publish.topic);
            Input::Answered { report: rid.parse().unwrap(), status }
        }
        Some(HubTopic::Desired { .. }) => Input::Patch(body()),
        _ => panic!("not expected: {}", publish.topic),
    }
}

/// A download that comes at once.
fn fetched(order: &FetchOrder) -> Fetched {
    assert_eq!(order.name, "image.bin");
    let (size, hash) = (u64::try_from(PAYLOAD.len()).unwrap(), Sha256::digest(PAYLOAD).to_vec());
    Fetched::Complete { size, hash, text: None }
}

/// One call of the back end; the body of its answer.
async fn call(hub: &Server, method: &str, path: &str, body: &Value) -> Value {
    let end = Time::from_unix_seconds(4_000_000_000);
    let token = auth::sign(&hub.policy_key, "localhost", end, Some("iothubowner")).unwrap();
    let body = body.to_string();
    let request = format!(
        "{method} {path}?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: {token}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", hub.http_port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(WAIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

fn now() -> Time {
    Time::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

/// Resident memory of this process, in bytes.
fn own_bytes() -> usize {
    peers::resident_bytes(std::process::id())
}
