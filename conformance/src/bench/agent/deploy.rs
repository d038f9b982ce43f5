//! Deployments as a case plans, changes, signs and sends them (device-update-agent.md § 3,
//! device-update-manifests.md § 1).

use http::Method;
use serde_json::{Map, Value, json};
use twinspec_harness::content::{Intake, Manner};

use super::AgentBench;
use super::keys::{PACKAGE_VERSION, sha256, standard};
use super::script::Script;
use crate::bench::IfMatch;
use crate::verdict::{Checked, Stop};

/// A deployment that can still be changed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Id of the deployment.
    pub workflow: String,
    /// When the operator retried.
    pub retry: Option<String>,
    /// Provider, name and version.
    pub update: Value,
    /// The update manifest.
    pub manifest: Value,
    /// File id to URL.
    pub urls: Map<String, Value>,
    /// Where the root key package is; agents before generation 3 know none.
    pub package: Option<String>,
}

/// A file of a plan.
#[derive(Clone, Debug)]
pub struct FileId {
    /// Its id in manifest and URLs.
    pub id: String,
    /// Where it is served.
    pub path: String,
}

/// A deployment that was sent.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// Id of the deployment.
    pub workflow: String,
    /// Provider, name and version.
    pub update: Value,
    /// The version of the desired section that carried it.
    pub version: u64,
    /// How much had been seen of the agent before.
    pub from: usize,
}

impl Plan {
    /// The id under which `file` of the manifest is served.
    #[must_use]
    pub fn file_ids(&self) -> Vec<String> {
        let files = self.manifest.get("files").and_then(Value::as_object);
        files.into_iter().flat_map(|files| files.keys().cloned()).collect()
    }

    /// The desired property `service` with this manifest text and signature.
    #[must_use]
    pub fn object(&self, manifest: &str, signature: Value) -> Value {
        let mut workflow = json!({ "action": 3, "id": self.workflow });
        if let (Some(retry), Some(members)) = (&self.retry, workflow.as_object_mut()) {
            members.insert("retryTimestamp".to_owned(), json!(retry));
        }
        let mut object = json!({
            "workflow": workflow,
            "updateManifest": manifest,
            "updateManifestSignature": signature,
            "fileUrls": self.urls,
        });
        if let (Some(package), Some(members)) = (&self.package, object.as_object_mut()) {
            members.insert("rootKeyPackageUrl".to_owned(), json!(package));
        }
        object
    }

    /// Sets what is at `pointer` of the manifest.
    ///
    /// # Errors
    /// [`Stop::Harness`] when there is no such place.
    pub fn set(&mut self, pointer: &str, value: Value) -> Checked {
        set(&mut self.manifest, pointer, value)
    }

    /// Removes what is at `pointer` of the manifest.
    ///
    /// # Errors
    /// [`Stop::Harness`] when there is no such place.
    pub fn remove(&mut self, pointer: &str) -> Checked {
        remove(&mut self.manifest, pointer)
    }
}

/// Sets what is at the JSON pointer `pointer` of `document`.
///
/// # Errors
/// [`Stop::Harness`] when there is no such place.
pub fn set(document: &mut Value, pointer: &str, value: Value) -> Checked {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.insert(name.to_owned(), value);
            Ok(())
        }
        Some(Value::Array(elements)) => {
            let place = name.parse::<usize>().ok().and_then(|index| elements.get_mut(index));
            place.map(|place| *place = value).ok_or_else(|| no_place(pointer))
        }
        _ => Err(no_place(pointer)),
    }
}

/// Removes what is at the JSON pointer `pointer` of `document`.
///
/// # Errors
/// [`Stop::Harness`] when there is no such place.
pub fn remove(document: &mut Value, pointer: &str) -> Checked {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    let members = document.pointer_mut(parent).and_then(Value::as_object_mut);
    let removed = members.and_then(|members| members.remove(name));
    removed.map(drop).ok_or_else(|| no_place(pointer))
}

fn no_place(pointer: &str) -> Stop {
    Stop::Harness(format!("the case changes {pointer}, which is not there"))
}

impl AgentBench<'_> {
    /// A deployment with one inline step for each of `scripts`.
    ///
    /// # Errors
    /// When the bench cannot provide it.
    pub fn plan(&mut self, scripts: &[&Script]) -> Checked<Plan> {
        let number = self.next_number();
        let update = json!({
            "provider": "Twinspec", "name": "Case", "version": format!("1.{number}"),
        });
        let mut plan = Plan {
            workflow: workflow_id(),
            retry: None,
            update: update.clone(),
            manifest: json!({
                "manifestVersion": self.manifest_version(),
                "updateId": update,
                "compatibility": [{ "manufacturer": "twinspec", "model": "reference" }],
                "instructions": { "steps": [] },
                "files": {},
                "createdDateTime": "2026-01-02T03:04:05Z",
            }),
            urls: Map::new(),
            package: self.package_url(),
        };
        for script in scripts {
            self.add_step(&mut plan, script);
        }
        Ok(plan)
    }

    /// Adds an inline step that runs `script`.
    pub fn add_step(&mut self, plan: &mut Plan, script: &Script) -> FileId {
        let text = script.text(&self.device());
        let file = self.add_file(plan, &script.file_name(), text.as_bytes());
        let criteria = format!("{}-{}", script.name, plan.workflow);
        let step = json!({
            "type": "inline",
            "handler": self.handler(),
            "files": [file.id],
            "handlerProperties": {
                "scriptFileName": script.file_name(),
                "installedCriteria": criteria,
                "arguments": "",
            },
        });
        if let Some(Value::Array(steps)) = plan.manifest.pointer_mut("/instructions/steps") {
            steps.push(step);
        }
        file
    }

    /// Adds a file with its URL, and serves it.
    pub fn add_file(&mut self, plan: &mut Plan, name: &str, content: &[u8]) -> FileId {
        let file = self.serve(name, content, Manner::Whole);
        let entry = json!({
            "fileName": name,
            "sizeInBytes": content.len(),
            "hashes": { "sha256": standard(sha256(content)) },
        });
        if let Some(Value::Object(files)) = plan.manifest.get_mut("files") {
            files.insert(file.id.clone(), entry);
        }
        plan.urls.insert(file.id.clone(), json!(self.url(&file.path)));
        file
    }

    /// Serves a file of this case under a new id.
    pub fn serve(&mut self, name: &str, content: &[u8], manner: Manner) -> FileId {
        let id = format!("f{:016x}", fastrand::u64(..));
        let path = format!("{}/{id}/{name}", self.content_prefix());
        self.content().put(&path, content.to_vec(), manner);
        FileId { id, path }
    }

    /// The desired property `service` of `plan`, rightly signed.
    ///
    /// # Errors
    /// [`Stop::Unsupported`] when the agent does not trust the suite's root keys.
    pub fn signed(&self, plan: &Plan) -> Checked<Value> {
        self.signed_text(plan, &plan.manifest.to_string())
    }

    /// The same with `manifest` as the manifest's text.
    ///
    /// # Errors
    /// [`Stop::Unsupported`] when the agent does not trust the suite's root keys.
    pub fn signed_text(&self, plan: &Plan, manifest: &str) -> Checked<Value> {
        let signature = self.authority()?.sign(manifest).map_err(harness)?;
        Ok(plan.object(manifest, json!(signature)))
    }

    /// A folder that takes uploads so; its URL, with a secret as storage services give it.
    pub fn storage(&mut self, intake: Intake) -> String {
        let folder = format!("{}/storage", self.content_prefix());
        self.content().take_uploads(&folder, intake);
        format!("{}?sig={STORAGE_SECRET}", self.url(&folder))
    }

    /// A root key package of this case's own; returns its URL.
    pub fn serve_package(&mut self, text: &str) -> String {
        let file = self.serve("rootkeypackage.json", text.as_bytes(), Manner::Whole);
        self.url(&file.path)
    }

    /// A right root key package at a place of its own.
    ///
    /// # Errors
    /// [`Stop::Unsupported`] when the agent does not trust the suite's root keys.
    pub fn package_of_its_own(&mut self) -> Checked<FileId> {
        let text = self.authority()?.package(PACKAGE_VERSION).make().map_err(harness)?;
        Ok(self.serve("rootkeypackage.json", text.as_bytes(), Manner::Whole))
    }

    /// Sends `plan`, rightly signed.
    ///
    /// # Errors
    /// When the bench cannot send it.
    pub async fn deploy(&mut self, plan: &Plan) -> Checked<Deployed> {
        let object = self.signed(plan)?;
        self.send(plan, &object).await
    }

    /// Sends `object` as the desired property `service`.
    ///
    /// # Errors
    /// When the hub does not take it.
    pub async fn send(&mut self, plan: &Plan, object: &Value) -> Checked<Deployed> {
        self.send_component(plan, &json!({ "__t": "c", "service": object })).await
    }

    /// Sends the whole desired component `deviceUpdate`.
    ///
    /// # Errors
    /// When the hub does not take it.
    pub async fn send_component(&mut self, plan: &Plan, component: &Value) -> Checked<Deployed> {
        let from = self.seen_count();
        let version = self.desire(&json!({ "deviceUpdate": component })).await?;
        let (workflow, update) = (plan.workflow.clone(), plan.update.clone());
        Ok(Deployed { workflow, update, version, from })
    }

    /// Changes desired properties; returns their new version.
    ///
    /// What was there of a component is replaced: members that a former object had are cleared, as
    /// the service always sends whole objects.
    ///
    /// # Errors
    /// When the hub does not take it.
    pub async fn desire(&mut self, desired: &Value) -> Checked<u64> {
        let mut desired = desired.clone();
        clear_rest(&mut desired, &self.desired);
        let body = json!({ "properties": { "desired": desired } });
        let identity = self.identity().clone();
        let answer = self.write_twin(Method::PATCH, &identity, IfMatch::Absent, &body).await?;
        let twin = answer.json();
        let version = twin.pointer("/properties/desired/$version").and_then(Value::as_u64);
        let Some(version) = version else {
            return Err(Stop::Harness(format!("the hub did not take the deployment: {answer}")));
        };
        let now = twin.pointer("/properties/desired").cloned().unwrap_or_default();
        self.desired = without_stamps(now);
        Ok(version)
    }

    /// Tells the agent that nothing is to be deployed, as the service does.
    ///
    /// # Errors
    /// When the hub does not take it.
    pub async fn cancel(&mut self, workflow: &str) -> Checked<u64> {
        let mut object = json!({
            "workflow": { "action": 255, "id": workflow },
            "updateManifest": null, "updateManifestSignature": null, "fileUrls": null,
        });
        if workflow != NO_DEPLOYMENT
            && let (Some(package), Some(members)) = (self.package_url(), object.as_object_mut())
        {
            members.insert("rootKeyPackageUrl".to_owned(), json!(package));
        }
        self.desire(&json!({ "deviceUpdate": { "__t": "c", "service": object } })).await
    }
}

/// What a URL of a storage must not show to everybody.
pub const STORAGE_SECRET: &str = "c2VjcmV0LW9mLXRoZS1zdG9yYWdl";

/// The id that marks "no deployment".
pub const NO_DEPLOYMENT: &str = "nodeployment";

/// An id like those of the service.
#[must_use]
pub fn workflow_id() -> String {
    let part = |bits: u32| fastrand::u64(..1 << bits);
    let (a, b, c, d, e) = (part(32), part(16), part(12), part(12), part(48));
    format!("{a:08x}-{b:04x}-4{c:03x}-8{d:03x}-{e:012x}")
}

/// Adds nulls for what `before` has below a component's property and `after` does not mention.
fn clear_rest(after: &mut Value, before: &Value) {
    let (Some(after), Some(before)) = (after.as_object_mut(), before.as_object()) else { return };
    for (name, value) in after.iter_mut() {
        if let (Value::Object(members), Some(Value::Object(old))) = (value, before.get(name)) {
            for (name, old) in old {
                if let Some(value) = members.get_mut(name) {
                    clear_members(value, old);
                }
            }
        }
    }
}

fn clear_members(after: &mut Value, before: &Value) {
    let (Some(after), Some(before)) = (after.as_object_mut(), before.as_object()) else { return };
    for (name, old) in before {
        match after.get_mut(name) {
            Some(value) => clear_members(value, old),
            None => drop(after.insert(name.clone(), Value::Null)),
        }
    }
}

fn without_stamps(mut desired: Value) -> Value {
    if let Some(members) = desired.as_object_mut() {
        members.retain(|name, _| !name.starts_with('$'));
    }
    desired
}

pub(super) fn harness(error: std::io::Error) -> Stop {
    Stop::Harness(error.to_string())
}
