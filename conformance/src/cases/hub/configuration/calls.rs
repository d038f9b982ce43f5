//! Configurations of a case's own, and a device that they are to reach.

use http::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;

use crate::bench::{Bench, IfMatch, ROLLOUT, Registered, configuration_path};
use crate::verdict::{Checked, Stop};

/// The document of a configuration for devices that sets `settings`.
pub(super) fn document(id: &str, condition: &str, priority: u32, settings: &Value) -> Value {
    json!({
        "id": id,
        "schemaVersion": "1.0",
        "labels": { "made": "by-twinspec" },
        "content": { "deviceContent": settings },
        "targetCondition": condition,
        "priority": priority,
        "metrics": { "queries": {} },
    })
}

/// `{"properties.desired.{path}": value}`.
pub(super) fn setting(path: &str, value: Value) -> Value {
    let path = format!("properties.desired.{path}");
    Value::Object(Map::from_iter([(path, value)]))
}

/// `document` with `value` at its member `name`.
pub(super) fn with(document: &Value, name: &str, value: Value) -> Value {
    let mut document = document.clone();
    if let Some(members) = document.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    document
}

/// The member `name` of a document; null when there is none.
pub(super) fn at<'a>(document: &'a Value, name: &str) -> &'a Value {
    document.get(name).unwrap_or(&Value::Null)
}

/// The id of a document.
pub(super) fn id_of(document: &Value) -> &str {
    document.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// The etag of a document.
pub(super) fn etag_of(document: &Value) -> &str {
    document.get("etag").and_then(Value::as_str).unwrap_or_default()
}

/// PUT at the document's id, whatever is answered.
pub(super) async fn put(
    bench: &mut Bench,
    if_match: IfMatch<'_>,
    document: &Value,
) -> Checked<Answer> {
    bench.configure().await?;
    let path = configuration_path(id_of(document));
    bench.call(Method::PUT, &path, if_match, Some(document)).await
}

/// PUT without a condition, which must be accepted: the stored document.
pub(super) async fn create(
    bench: &mut Bench,
    requirement: &'static str,
    document: &Value,
) -> Checked<Value> {
    let answer = put(bench, IfMatch::Absent, document).await?;
    accepted(requirement, answer)
}

/// Creates a configuration for devices that nobody has: its document.
pub(super) async fn idle(bench: &mut Bench) -> Checked<Value> {
    let id = bench.new_configuration();
    let condition = format!("tags.mark = '{id}'");
    create(bench, "HUB-CFG-001", &document(&id, &condition, 10, &setting("fan", json!(1)))).await
}

/// PUT of `current`, as clients echo it, with one member changed and its etag as the condition,
/// which must be accepted: the stored document.
pub(super) async fn update(
    bench: &mut Bench,
    requirement: &'static str,
    current: &Value,
    name: &str,
    value: Value,
) -> Checked<Value> {
    let changed = with(current, name, value);
    let answer = put(bench, IfMatch::Etag(etag_of(current)), &changed).await?;
    accepted(requirement, answer)
}

/// GET, whatever is answered.
pub(super) async fn get(bench: &mut Bench, id: &str) -> Checked<Answer> {
    bench.call(Method::GET, &configuration_path(id), IfMatch::Absent, None).await
}

/// GET, which must be accepted.
pub(super) async fn read(bench: &mut Bench, requirement: &'static str, id: &str) -> Checked<Value> {
    let answer = get(bench, id).await?;
    accepted(requirement, answer)
}

/// DELETE, whatever is answered.
pub(super) async fn delete(bench: &mut Bench, id: &str, if_match: IfMatch<'_>) -> Checked<Answer> {
    bench.call(Method::DELETE, &configuration_path(id), if_match, None).await
}

/// DELETE, which must be accepted.
pub(super) async fn deleted(bench: &mut Bench, requirement: &'static str, id: &str) -> Checked {
    let answer = delete(bench, id, IfMatch::Absent).await?;
    if answer.status.as_u16() == 204 {
        return Ok(());
    }
    Err(Stop::Broken { requirement, allowed: "204".to_owned(), seen: answer.to_string() })
}

/// The document in an answer that must be a success.
pub(super) fn accepted(requirement: &'static str, answer: Answer) -> Checked<Value> {
    if matches!(answer.status.as_u16(), 200 | 201) && answer.json().is_object() {
        return Ok(answer.json());
    }
    let allowed = "200 or 201 with the configuration".to_owned();
    Err(Stop::Broken { requirement, allowed, seen: answer.to_string() })
}

/// Waits until the configuration `id` counts a target: it has been looked at.
pub(super) async fn looked_at(bench: &mut Bench, id: &str) -> Checked {
    let deadline = Instant::now() + bench.budget(ROLLOUT);
    loop {
        let document = read(bench, "HUB-CFG-001", id).await?;
        let count = document.pointer("/systemMetrics/results/targetedCount");
        if count.and_then(Value::as_u64).is_some_and(|count| count > 0) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let why = format!(
                "{id} counts no target; its metrics are {}",
                at(&document, "systemMetrics")
            );
            return Err(Stop::Inconclusive(why));
        }
        bench.look_again().await;
    }
}

/// A device with a condition that it alone can meet.
pub(super) struct Member {
    /// The device.
    pub(super) device: Registered,
    /// Met while the device is in.
    pub(super) condition: String,
}

impl Member {
    /// A device that does not meet its condition.
    pub(super) async fn new(bench: &mut Bench) -> Checked<Self> {
        let device = bench.device().await?;
        let condition = format!("tags.mark = '{}'", device.identity.device);
        Ok(Self { device, condition })
    }

    /// A device that meets its condition.
    pub(super) async fn inside(bench: &mut Bench) -> Checked<Self> {
        let member = Self::new(bench).await?;
        member.enter(bench).await?;
        Ok(member)
    }

    /// Who it is.
    pub(super) fn identity(&self) -> &Identity {
        &self.device.identity
    }

    /// Has the device meet its condition.
    pub(super) async fn enter(&self, bench: &mut Bench) -> Checked {
        self.tag(bench, json!(self.identity().device)).await
    }

    /// Has the device not meet its condition.
    pub(super) async fn leave(&self, bench: &mut Bench) -> Checked {
        self.tag(bench, Value::Null).await
    }

    async fn tag(&self, bench: &mut Bench, mark: Value) -> Checked {
        let body = json!({ "tags": { "mark": mark } });
        bench.patch_twin(self.identity(), &body).await.map(drop)
    }

    /// Creates a configuration for this device: its document.
    pub(super) async fn configure(
        &self,
        bench: &mut Bench,
        priority: u32,
        settings: &Value,
    ) -> Checked<Value> {
        let id = bench.new_configuration();
        let document = document(&id, &self.condition, priority, settings);
        create(bench, "HUB-CFG-001", &document).await
    }

    /// Demands that the desired properties become `expected`.
    pub(super) async fn gets(
        &self,
        bench: &mut Bench,
        requirement: &'static str,
        expected: &Value,
    ) -> Checked<Value> {
        gets(bench, requirement, self.identity(), expected).await
    }

    /// Lets the hub look at the device once more, and returns its desired properties then: without
    /// those of the configuration by which that is seen, which has a lower priority than others.
    pub(super) async fn looked_at_again(&self, bench: &mut Bench) -> Checked<Value> {
        let marker = self.configure(bench, 0, &setting("marker", json!(true))).await?;
        looked_at(bench, id_of(&marker)).await?;
        let mut members = desired(&bench.read_twin(self.identity()).await?);
        members.as_object_mut().and_then(|members| members.remove("marker"));
        Ok(members)
    }
}

/// Demands that the desired properties of `identity` become `expected`: the twin then.
pub(super) async fn gets(
    bench: &mut Bench,
    requirement: &'static str,
    identity: &Identity,
    expected: &Value,
) -> Checked<Value> {
    let twin = bench.watch_twin_for(ROLLOUT, identity, |twin| desired(twin) == *expected).await?;
    bench.equal_json(requirement, "desired properties", expected, &desired(&twin));
    Ok(twin)
}

/// The desired properties of a twin without what the hub adds.
pub(super) fn desired(twin: &Value) -> Value {
    let members = twin.pointer("/properties/desired").and_then(Value::as_object);
    let own = members.into_iter().flatten().filter(|(name, _)| !name.starts_with('$'));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}
