//! The desired property `service` (device-update-agent.md § 3): what the service asks for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The longest manifest that an acknowledgement repeats: a longer text fits into no twin property.
const ECHO_BYTES_MAX: usize = 4096;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// 3: process the deployment.
    Process,
    /// 255: cancel.
    Cancel,
}

/// Which deployment, and which try of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// Identity of the deployment on this device.
    pub id: String,
    /// Changes when an operator retries.
    pub retry: Option<String>,
}

impl Workflow {
    /// Whether `self` asks for another try of `earlier`: the id is the same, and there is a time
    /// stamp that differs (§ 6.6). Whether it is later is not asked.
    #[must_use]
    pub fn retries(&self, earlier: &Self) -> bool {
        let has_stamp = self.retry.as_ref().is_some_and(|stamp| !stamp.is_empty());
        self.id == earlier.id && has_stamp && self.retry != earlier.retry
    }
}

/// One readable `service` object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// `$version` of the document that carried it.
    pub version: u64,
    /// What is to be done.
    pub action: Action,
    /// Which deployment.
    pub workflow: Workflow,
    /// The manifest's text; `None` when it is missing or no text.
    pub manifest: Option<String>,
    /// The manifest's signature; `None` when it is missing or no text.
    pub signature: Option<String>,
    /// File id → download URL.
    pub urls: BTreeMap<String, String>,
    /// Where the root key package is.
    pub root_keys: Option<String>,
    /// What the acknowledgement repeats.
    pub echo: Value,
}

/// A `service` object that cannot be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Why, for the acknowledgement.
    pub details: String,
    /// Status of the acknowledgement: 400 unreadable, 406 readable but not acceptable.
    pub status: u16,
    /// What the acknowledgement repeats.
    pub echo: Value,
}

impl Order {
    /// Reads `service` (§ 6.2 step 1).
    ///
    /// # Errors
    /// When the action or the workflow id is missing or has the wrong type.
    pub fn read(version: u64, service: &Map<String, Value>) -> Result<Self, Box<Malformed>> {
        let echo = echo(service);
        let wrong =
            |(status, details): Wrong| Box::new(Malformed { details, status, echo: echo.clone() });
        let (action, workflow) = head(service).map_err(wrong)?;
        let urls = urls(service).map_err(wrong)?;
        let root_keys = text(service, "rootKeyPackageUrl").filter(|url| !url.is_empty());
        let manifest = text(service, "updateManifest");
        let signature = text(service, "updateManifestSignature");
        Ok(Self { version, action, workflow, manifest, signature, urls, root_keys, echo })
    }
}

impl Order {
    /// Whether `other` asks for the same with the same content, whichever document carried it.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        (&self.workflow, &self.manifest, &self.signature)
            == (&other.workflow, &other.manifest, &other.signature)
    }
}

/// Status and words.
type Wrong = (u16, String);

fn head(service: &Map<String, Value>) -> Result<(Action, Workflow), Wrong> {
    let bad_object = |details: &str| (400, details.to_owned());
    let workflow = service.get("workflow").and_then(Value::as_object);
    let workflow = workflow.ok_or_else(|| bad_object("workflow is missing or no object"))?;
    let action = match workflow.get("action") {
        Some(Value::Number(number)) if number.as_u64() == Some(3) => Action::Process,
        Some(Value::Number(number)) if number.as_u64() == Some(255) => Action::Cancel,
        Some(Value::Number(number)) => {
            let details = format!("workflow.action is {number}, known are 3 and 255");
            return Err((406, details));
        }
        _ => {
            let details = "workflow.action is missing or no number".to_owned();
            return Err((400, details));
        }
    };
    let id = text(workflow, "id").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| bad_object("workflow.id is missing, empty or no text"))?;
    let retry = match workflow.get("retryTimestamp") {
        None | Some(Value::Null) => None,
        Some(Value::String(stamp)) => Some(stamp.clone()),
        Some(_) => return Err(bad_object("workflow.retryTimestamp is no text")),
    };
    Ok((action, Workflow { id, retry }))
}

fn urls(service: &Map<String, Value>) -> Result<BTreeMap<String, String>, Wrong> {
    let members = match service.get("fileUrls") {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(members)) => members,
        Some(_) => {
            return Err((400, "fileUrls is no object".to_owned()));
        }
    };
    // A null removes the URL of an old file; anything else that is no text is no URL.
    let pair = |(id, url): (&String, &Value)| Some((id.clone(), url.as_str()?.to_owned()));
    Ok(members.iter().filter_map(pair).collect())
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// The received object without what would only fill the twin (§ 5, ADU-AGENT-032, -125).
fn echo(service: &Map<String, Value>) -> Value {
    let mut value = service.clone();
    value.insert("updateManifestSignature".to_owned(), Value::Null);
    value.insert("fileUrls".to_owned(), Value::Null);
    let is_long = |text: &str| text.len() > ECHO_BYTES_MAX;
    if value.get("updateManifest").is_some_and(|m| m.as_str().is_none_or(is_long)) {
        value.insert("updateManifest".to_owned(), Value::Null);
    }
    // Whatever else was sent is not ours to repeat: it could be of any size.
    let known =
        ["workflow", "updateManifest", "updateManifestSignature", "fileUrls", "rootKeyPackageUrl"];
    value.retain(|name, _| known.contains(&name.as_str()));
    if !value.get("workflow").is_some_and(Value::is_object) {
        value.remove("workflow");
    }
    json!(value)
}
