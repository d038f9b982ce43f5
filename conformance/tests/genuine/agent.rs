//! What the real service signed, deployed to the reference agent that trusts the production root
//! keys: the genuine manifest is carried out, edited ones are refused.
//!
//! The URLs of the material are replaced: nothing is fetched from anywhere but this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http::Method;
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use twinspec_harness::agent::{self, Config, Effect, HandlerSpec, Limits, Log, Overlay};
use twinspec_harness::clock::Clock;
use twinspec_harness::content::{ContentServer, Manner};
use twinspec_harness::hub::{Listen, ReferenceHub};
use twinspec_harness::operator::{Operator, Request};
use twinspec_harness::tls::Trust;
use twinspec_harness::trace::Recorder;
use twinspec_model::agent::{Device, Generation, Output};
use twinspec_model::auth;
use twinspec_model::hub::HubConfig;
use twinspec_model::identity::Identity;
use twinspec_model::time::Time;
use twinspec_model::update::key::RootKeys;

use super::{Material, check};

/// How long anything may take.
const WAIT: Duration = Duration::from_secs(30);

const DEVICE: &str = "lathe";

/// Where the root key package is served.
const PACKAGE: &str = "rootkeypackage-1.json";

const EDITED: [&str; 2] = ["signed-manifest-edited-1.json", "signed-manifest-edited-2.json"];

/// The newest generation: the root key package comes with the deployment.
pub(crate) fn refuses_with_package(material: &Material) -> Result<(), Failed> {
    // Downloader, simple HTTP, 404: the files are not ours to have.
    let codes =
        Codes { member: "extendedResultCodes", good: json!("40200194"), edited: json!("80300001") };
    on_runtime(refuses(material, Generation::Three, codes))
}

/// An older generation: it has the root keys it was built with, and signed decimal codes.
pub(crate) fn refuses_without_package(material: &Material) -> Result<(), Failed> {
    // 40200194 and 80300001 as 32 bits with a sign.
    let (good, edited) = (json!(1_075_839_380), json!(-2_144_337_919));
    let codes = Codes { member: "extendedResultCode", good, edited };
    on_runtime(refuses(material, Generation::Two, codes))
}

fn on_runtime(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    tokio::runtime::Runtime::new()?.block_on(test)
}

/// The extended result codes that are to be reported.
struct Codes {
    member: &'static str,
    good: Value,
    edited: Value,
}

impl Codes {
    /// The first code of a report.
    fn of(&self, report: &Value) -> Value {
        match &report["lastInstallResult"][self.member] {
            Value::String(codes) => json!(codes.split(',').next()),
            other => other.clone(),
        }
    }
}

async fn refuses(material: &Material, generation: Generation, codes: Codes) -> Result<(), Failed> {
    let mut stage = Stage::start(material, generation).await?;
    // The good one comes first: it passes every check, and only then its files are missing.
    let reports = stage.deploy(&material.text("signed-v4-good.json")?, "good").await?;
    let is_taken = reports.first().is_some_and(|report| report["state"] == 6);
    check(is_taken, &format!("the genuine deployment is taken on: {reports:?}"))?;
    let code = reports.last().map(|report| codes.of(report));
    check(code.as_ref() == Some(&codes.good), &format!("only its files are missing: {reports:?}"))?;
    for name in EDITED {
        let reports = stage.deploy(&material.text(name)?, name).await?;
        check(reports.len() == 1, &format!("{name} is never in progress: {reports:?}"))?;
        check(reports[0]["state"] == 255, &format!("{name} fails: {reports:?}"))?;
        check(codes.of(&reports[0]) == codes.edited, &format!("{name}: {reports:?}"))?;
    }
    let asked = stage.content.hits("file-").len();
    check(asked > 0, "the files of the genuine deployment were asked for")?;
    check(stage.content.hits("file-signed").is_empty(), "no file of an edited one was asked for")?;
    stage.agent.abort();
    Ok(())
}

/// Hub, content server and agent.
struct Stage {
    hub: ReferenceHub,
    operator: Operator,
    content: ContentServer,
    /// What the agent reports.
    reports: mpsc::UnboundedReceiver<Value>,
    agent: JoinHandle<()>,
}

impl Stage {
    async fn start(material: &Material, generation: Generation) -> Result<Self, Failed> {
        let content = ContentServer::start("127.0.0.1:0".parse()?).await?;
        content.put(PACKAGE, material.text("root-key-package-production.json")?, Manner::Whole);
        let any = Some("127.0.0.1:0".parse()?);
        let listen = Listen { mqtt: any, http: any, ..Listen::default() };
        let hub = HubConfig::new("localhost", [5; 32]);
        let hub = ReferenceHub::start(hub, &listen, Clock::default()).await?;
        let key = hub.register(&Identity::device(DEVICE)).await?;
        let [mqtt, http] = [hub.addresses().mqtt, hub.addresses().http];
        let (mqtt, http) = (mqtt.ok_or("no port")?, http.ok_or("no port")?);
        let trust = Trust::authorities(hub.ca_pem().as_bytes())?;
        let operator = Operator::new(format!("http://{http}").parse()?, &trust);
        let number = generation.number();
        let work_dir =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("genuine-agent-{number}"));
        let _there_may_be_none = std::fs::remove_dir_all(&work_dir);
        let properties = ["manufacturer", "model"].map(|name| (name.to_owned(), "x".to_owned()));
        let names = vec!["manufacturer".to_owned(), "model".to_owned()];
        let string = format!("HostName=localhost;DeviceId={DEVICE};SharedAccessKey={key}");
        let config = Config {
            connection_string: string.parse()?,
            mqtt: format!("mqtt://{mqtt}").parse()?,
            trust,
            work_dir,
            root_keys: RootKeys::production(),
            generation,
            device: Device::new(properties.into(), names, "twinspec;agent/genuine")?,
            handlers: BTreeMap::from([(
                "microsoft/apt:1".to_owned(),
                HandlerSpec::Simulator(None),
            )]),
            components: None,
            logs: Vec::new(),
            limits: limits(),
            log: Log::new(|_| {}),
        };
        let (ear, reports) = mpsc::unbounded_channel();
        let agent = tokio::spawn(async move {
            let ended = agent::run(config, Box::new(Ear(ear)), std::future::pending()).await;
            println!("the agent ended: {ended:?}");
        });
        Ok(Self { hub, operator, content, reports, agent })
    }

    /// Deploys the `service` object `text`; the states that the agent reports, up to the last one.
    async fn deploy(&mut self, text: &str, name: &str) -> Result<Vec<Value>, Failed> {
        let mut service: Value = serde_json::from_str(text)?;
        let base = format!("http://{}", self.content.address());
        service["workflow"] = json!({ "action": 3, "id": name });
        for (id, url) in service["fileUrls"].as_object_mut().ok_or("no fileUrls")? {
            *url = json!(format!("{base}/file-{name}/{id}"));
        }
        service["rootKeyPackageUrl"] = json!(format!("{base}/{PACKAGE}"));
        let desired = json!({ "deviceUpdate": { "__t": "c", "service": service } });
        let end = Time::from_unix_seconds(4_000_000_000);
        let key = self.hub.policy_key("iothubowner").ok_or("no key")?;
        let request = Request {
            method: Method::PATCH,
            target: format!("/twins/{DEVICE}?api-version=2021-04-12"),
            authorization: auth::sign(&key, "localhost", end, Some("iothubowner")),
            headers: Vec::new(),
            body: json!({ "properties": { "desired": desired } }).to_string().into(),
        };
        let answer = self.operator.call(&request, WAIT, &Recorder::new(false)).await?;
        check(answer.status.is_success(), &answer.to_string())?;
        let mut states = Vec::new();
        while states.last().is_none_or(|state: &Value| state["state"] == 6) {
            let report = timeout(WAIT, self.reports.recv()).await;
            let report = report.map_err(|_| format!("{name}: no end after {states:?}"))?;
            let report = report.ok_or("the agent ended")?;
            if report["workflow"]["id"] == name && report["state"].is_number() {
                states.push(report);
            }
        }
        Ok(states)
    }
}

fn limits() -> Limits {
    let short = Duration::from_secs(5);
    Limits {
        keep_alive: Duration::from_secs(60),
        token_lifetime: Duration::from_secs(3600),
        answer: short,
        resend: short,
        stall: short,
        download_tries: 1,
        phase: short,
        cancel_grace: short,
        back_off_min: Duration::from_millis(20),
        back_off_max: Duration::from_millis(200),
    }
}

/// Hears what the agent reports.
struct Ear(mpsc::UnboundedSender<Value>);

impl Overlay for Ear {
    fn output(&mut self, output: Output) -> Vec<Effect> {
        if let Output::Send { patch, .. } = &output {
            // Nobody listens any more when the test has ended.
            let _heard = self.0.send(patch["deviceUpdate"]["agent"].clone());
        }
        vec![Effect::Do(output)]
    }
}
