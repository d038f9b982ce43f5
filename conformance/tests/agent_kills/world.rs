//! Everything around the agents: the reference hub with a witness in it, the service that deploys,
//! and the server of payloads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;
use twinspec_harness::clock::Clock;
use twinspec_harness::content::{ContentServer, Manner};
use twinspec_harness::hub::{Listen, Overlay, ReferenceHub};
use twinspec_harness::operator::{Operator, Request};
use twinspec_harness::signing::{Authority, Forgery};
use twinspec_harness::tls::Trust;
use twinspec_harness::trace::Recorder;
use twinspec_model::auth;
use twinspec_model::hub::{ConnectionId, HubConfig, Input};
use twinspec_model::identity::Identity;
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::Packet;
use twinspec_model::wire::topic::DeviceTopic;
use twinspec_model::wire::username::UserName;

use crate::deployment::{Deployment, Kind, Served};
use crate::judge::Report;

/// How long an answer of the hub may take.
const ANSWER: Duration = Duration::from_secs(20);

/// Where the root key package is served.
const PACKAGE: &str = "rootkeypackage-7.json";

/// What agents need to find each other, and what they must not share.
pub(crate) struct World {
    hub: ReferenceHub,
    operator: Operator,
    pub(crate) content: ContentServer,
    authority: &'static Authority,
    pub(crate) witness: Witness,
    pub(crate) folder: PathBuf,
}

impl World {
    /// Starts hub and content server; files go below `folder`, which is emptied.
    pub(crate) async fn start(folder: &Path) -> Self {
        let _there_may_be_none = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).unwrap();
        let authority = tokio::task::spawn_blocking(Authority::shared).await.unwrap().unwrap();
        let package = authority.package(7).make().unwrap();
        std::fs::write(folder.join("roots.json"), &package).unwrap();
        let content = ContentServer::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        content.put(PACKAGE, package, Manner::Whole);
        let witness = Witness::default();
        let overlay = Box::new(WitnessOverlay { witness: witness.clone(), who: BTreeMap::new() });
        let any = Some("127.0.0.1:0".parse().unwrap());
        let listen = Listen { mqtt: any, http: any, ..Listen::default() };
        let config = HubConfig::new("localhost", [11; 32]);
        let hub = ReferenceHub::start_under(overlay, config, &listen, Clock::default());
        let hub = hub.await.unwrap();
        std::fs::write(folder.join("ca.pem"), hub.ca_pem()).unwrap();
        let endpoint = format!("http://{}", hub.addresses().http.unwrap()).parse().unwrap();
        let trust = Trust::authorities(hub.ca_pem().as_bytes()).unwrap();
        let operator = Operator::new(endpoint, &trust);
        Self { hub, operator, content, authority, witness, folder: folder.to_owned() }
    }

    /// Registers a device whose payloads write into `log`; its connection string.
    pub(crate) async fn register(&self, device: &str, log: &Path) -> String {
        let key = self.hub.register(&Identity::device(device)).await.unwrap();
        self.witness.state().insert(device.to_owned(), Seen::new(log));
        format!("HostName=localhost;DeviceId={device};SharedAccessKey={key}")
    }

    /// Where agents find the hub.
    pub(crate) fn mqtt(&self) -> String {
        format!("mqtt://{}", self.hub.addresses().mqtt.unwrap())
    }

    /// Deploys as the service does, in place of a deployment with the URLs `old`; the version of
    /// the desired section, and the URLs.
    pub(crate) async fn deploy(
        &self,
        device: &str,
        deployment: &Deployment,
        files: Vec<Served>,
        old: &[String],
    ) -> (u64, Vec<String>) {
        let manifest = &deployment.manifest;
        let signature = match deployment.kind {
            Kind::Forged => self.authority.forge(manifest, Forgery::WrongRoot),
            _ => self.authority.sign(manifest),
        };
        let base = format!("http://{}", self.content.address());
        let mut urls = json!({});
        for id in old {
            urls[id] = Value::Null;
        }
        let ids = files.iter().map(|file| file.id.clone()).collect();
        for Served { id, content, manner, .. } in files {
            urls[&id] = json!(format!("{base}/{id}"));
            self.content.put(&id, content, manner);
        }
        let service = json!({
            "workflow": { "action": 3, "id": deployment.workflow },
            "updateManifest": manifest,
            "updateManifestSignature": signature.unwrap(),
            "fileUrls": urls,
            "rootKeyPackageUrl": format!("{base}/{PACKAGE}"),
        });
        let desired = json!({ "deviceUpdate": { "__t": "c", "service": service } });
        let body = json!({ "properties": { "desired": desired } });
        let twin = self.call(Method::PATCH, device, body.to_string()).await;
        (twin["properties"]["desired"]["$version"].as_u64().unwrap(), ids)
    }

    /// The reported component of the update agent.
    pub(crate) async fn reported(&self, device: &str) -> Value {
        let twin = self.call(Method::GET, device, String::new()).await;
        twin["properties"]["reported"]["deviceUpdate"].clone()
    }

    async fn call(&self, method: Method, device: &str, body: String) -> Value {
        let key = self.hub.policy_key("iothubowner").unwrap();
        let end = Time::from_unix_seconds(4_000_000_000);
        let request = Request {
            method,
            target: format!("/twins/{device}?api-version=2021-04-12"),
            authorization: auth::sign(&key, "localhost", end, Some("iothubowner")),
            headers: Vec::new(),
            body: body.into(),
        };
        let answer = self.operator.call(&request, ANSWER, &Recorder::new(false)).await.unwrap();
        assert!(answer.status.is_success(), "{answer}");
        answer.json()
    }
}

/// What the hub saw of every device.
#[derive(Clone, Default)]
pub(crate) struct Witness(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<BTreeMap<String, Seen>>,
    bell: Notify,
}

/// What the hub saw of one device.
struct Seen {
    log: PathBuf,
    reports: Vec<Report>,
    acknowledged: Vec<Value>,
    startups: usize,
}

impl Seen {
    fn new(log: &Path) -> Self {
        Self { log: log.to_owned(), reports: Vec::new(), acknowledged: Vec::new(), startups: 0 }
    }

    fn has_ended(&self, workflow: &str) -> bool {
        self.reports.iter().any(|report| report.is_about(workflow) && report.is_terminal())
    }

    fn has_acknowledged(&self, version: u64) -> bool {
        self.acknowledged.iter().any(|service| service["av"] == version)
    }
}

impl Witness {
    /// Whether the deployment `workflow` has ended and its desired version is acknowledged.
    pub(crate) fn has_ended(&self, device: &str, workflow: &str, version: u64) -> bool {
        let state = self.state();
        let seen = state.get(device);
        seen.is_some_and(|seen| seen.has_ended(workflow) && seen.has_acknowledged(version))
    }

    /// Waits for that.
    pub(crate) async fn ended(&self, device: &str, workflow: &str, version: u64) {
        self.until(|| self.has_ended(device, workflow, version)).await;
    }

    /// Waits for a report that `workflow` is in progress, after the first `before` ones.
    pub(crate) async fn in_progress(&self, device: &str, workflow: &str, before: usize) {
        let is_it = |report: &Report| report.is_about(workflow) && !report.is_terminal();
        self.until(|| self.reports(device).iter().skip(before).any(is_it)).await;
    }

    /// How many startup messages `device` sent.
    pub(crate) fn startups(&self, device: &str) -> usize {
        self.state().get(device).map_or(0, |seen| seen.startups)
    }

    /// Waits until it has sent more than `before`.
    pub(crate) async fn started(&self, device: &str, before: usize) {
        self.until(|| self.startups(device) > before).await;
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let changed = self.0.bell.notified();
            if holds() {
                return;
            }
            changed.await;
        }
    }

    /// The states that `device` reported so far.
    pub(crate) fn reports(&self, device: &str) -> Vec<Report> {
        self.state().get(device).map(|seen| seen.reports.clone()).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, device: &str, component: &Value) {
        if let Some(seen) = self.state().get_mut(device) {
            let (agent, service) = (&component["agent"], &component["service"]);
            if agent["state"].is_number() {
                let log = std::fs::read_to_string(&seen.log).unwrap_or_default();
                seen.reports.push(Report { agent: agent.clone(), lines: log.lines().count() });
            }
            if agent["deviceProperties"].is_object() {
                seen.startups += 1;
            }
            if service.is_object() {
                seen.acknowledged.push(service.clone());
            }
        }
        self.0.bell.notify_waiters();
    }
}

struct WitnessOverlay {
    witness: Witness,
    who: BTreeMap<ConnectionId, String>,
}

impl Overlay for WitnessOverlay {
    fn input(&mut self, input: Input) -> Vec<Input> {
        match &input {
            Input::Packet(id, Packet::Connect(connect)) => {
                let name = connect.user_name.as_deref().and_then(UserName::parse);
                self.who.extend(name.map(|name| (*id, name.identity.device)));
            }
            Input::Packet(id, Packet::Publish(publish)) => {
                let is_report = matches!(
                    DeviceTopic::parse(&publish.topic),
                    Some(DeviceTopic::TwinPatch { .. })
                );
                if let (true, Some(device)) = (is_report, self.who.get(id)) {
                    let patch: Value = serde_json::from_slice(&publish.payload).unwrap_or_default();
                    self.witness.note(device, &patch["deviceUpdate"]);
                }
            }
            Input::Closed(id) => drop(self.who.remove(id)),
            _ => {}
        }
        vec![input]
    }
}
