//! Automatic device configurations: which twins they target and what they set there
//! (hub-http.md § 5, HUB-CFG).
//!
//! [`ConfigurationRequest::from_body`] reads, [`resolve`] says what the configurations that target
//! one twin come to, [`Targeting::update`] what has to be written to that twin.
//! `modulesContent`, the deployments of IoT Edge, is read, kept and shown, but rolled out to nobody:
//! Edge is out of scope.

pub mod content;
pub mod overlay;
pub mod target;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub use content::{Content, Settings};
pub use overlay::{Resolved, Status, Targeting, resolve};
pub use target::Target;

use crate::error::{ErrorCode, Refusal};
use crate::query::{Collection, Query, Row};
use crate::time::Time;
use crate::twin::limits::TwinLimits;
use crate::twin::{Members, kind};

/// The longest id, in characters.
pub const ID_LENGTH_MAX: usize = 128;

/// Custom metrics a configuration may have.
pub const METRICS_MAX: usize = 5;

/// The characters that no id may have.
const ID_FORBIDDEN: &str = "&^[]{}\\|\"<>/";

/// The version of a document that names none.
const SCHEMA_VERSION: &str = "1.0";

/// One configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Its id.
    pub id: String,
    /// What it sets; never changed after its creation (HUB-CFG-010).
    pub content: Content,
    /// What an update may change.
    pub terms: Terms,
    /// When it was created.
    pub created: Time,
    /// Grows from one creation to the next, also within one instant.
    pub serial: u64,
    /// When it was last written.
    pub updated: Time,
    /// The number behind `etag`.
    pub etag_number: u64,
}

/// What an update of a configuration may change.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Whom it targets.
    pub target: Target,
    /// The larger one wins.
    pub priority: u32,
    /// The version of the document, as its writer named it: some clients write 2.0.
    pub schema_version: String,
    /// For people.
    pub labels: BTreeMap<String, String>,
    /// Custom metrics by name.
    pub metrics: BTreeMap<String, Metric>,
}

/// A custom metric: the number of rows that a query has.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The query as it was written.
    pub text: String,
    /// The query as it is read.
    pub query: Query,
}

/// What a PUT asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigurationRequest {
    /// The content; an update may leave it out.
    pub content: Option<Content>,
    /// Everything else.
    pub terms: Terms,
}

/// What the service counts for a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Twins that meet the target condition.
    pub targeted: usize,
    /// Twins in which a setting of the configuration holds.
    pub applied: usize,
}

impl Configuration {
    /// The opaque version of the document.
    #[must_use]
    pub fn etag(&self) -> String {
        STANDARD.encode(self.etag_number.to_string())
    }

    /// What decides between configurations that set the same: priority, then youth (HUB-CFG-007).
    #[must_use]
    pub fn rank(&self) -> (u32, Time, u64) {
        (self.terms.priority, self.created, self.serial)
    }

    /// What the configuration sets in `twin`, a twin as queries see it, when that is a target.
    #[must_use]
    pub fn settings_for(&self, collection: Collection, twin: &impl Row) -> Option<&Settings> {
        let settings = match (&self.content, collection) {
            (Content::Device(settings), Collection::Devices)
            | (Content::Module(settings), Collection::Modules) => settings,
            _ => return None,
        };
        self.terms.target.holds(twin).then_some(settings)
    }

    /// The document as back ends read it; `results` are those of the custom metrics.
    #[must_use]
    pub fn to_json(&self, counts: Counts, results: &BTreeMap<String, usize>) -> Value {
        let metrics = &self.terms.metrics;
        let queries: BTreeMap<&str, &str> =
            metrics.iter().map(|(name, metric)| (name.as_str(), metric.text.as_str())).collect();
        json!({
            "id": self.id,
            "schemaVersion": self.terms.schema_version,
            "labels": self.terms.labels,
            "content": self.content.to_json(),
            "targetCondition": self.terms.target.text(),
            "createdTimeUtc": self.created.to_string(),
            "lastUpdatedTimeUtc": self.updated.to_string(),
            "priority": self.terms.priority,
            "systemMetrics": {
                "results": { "targetedCount": counts.targeted, "appliedCount": counts.applied },
                "queries": self.system_queries().unwrap_or_else(|| json!({})),
            },
            "metrics": { "results": results, "queries": queries },
            "etag": self.etag(),
        })
    }

    /// The queries whose rows the system metrics count; none for what is rolled out to nobody.
    fn system_queries(&self) -> Option<Value> {
        let select = match self.content {
            Content::Device(_) => "select deviceId from devices",
            Content::Module(_) => "select deviceId, moduleId from devices.modules",
            Content::Modules(_) => return None,
        };
        let targeted = match self.terms.target.condition_text() {
            Some(condition) => format!("{select} where {condition}"),
            // As a document with an empty condition was recorded.
            None if self.terms.target.is_nothing() => String::new(),
            None => select.to_owned(),
        };
        let applied = format!("{select} where configurations.[[{}]].status = 'Applied'", self.id);
        Some(json!({ "targetedCount": targeted, "appliedCount": applied }))
    }
}

impl Metric {
    /// Reads a metric of a configuration for `collection`.
    ///
    /// # Errors
    /// Says what is wrong with the query.
    pub fn parse(text: &str, collection: Collection) -> Result<Self, String> {
        // A metric without FROM passes in a client's tests (query.md § 1).
        let completed = format!("{text} FROM {}", collection.name());
        let query = Query::parse(text).or_else(|error| Query::parse(&completed).map_err(|_| error));
        let query = query.map_err(|error| error.to_string())?;
        if query.from == Collection::Jobs {
            return Err("The query looks through devices.jobs, allowed are twins".to_owned());
        }
        Ok(Self { text: text.to_owned(), query })
    }

    /// How many rows the query has over `twins`, all rows of its collection.
    pub fn count<R: Row>(&self, twins: impl Iterator<Item = R>) -> usize {
        if self.query.is_aggregate() {
            return self.query.rows(twins).len();
        }
        twins.filter(|twin| self.query.matches(twin)).take(self.query.top_or_all()).count()
    }
}

impl ConfigurationRequest {
    /// Reads the body of a PUT of the configuration `id`; unknown and read-only members are ignored.
    ///
    /// `stored` is the present content, by which an update without content is read.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfigurationTargetCondition`],
    /// [`ErrorCode::InvalidConfigurationContent`],
    /// [`ErrorCode::InvalidConfigurationCustomMetricsQuery`], or [`ErrorCode::ArgumentInvalid`] for
    /// everything else that is wrong.
    pub fn from_body(
        id: &str,
        body: &Value,
        stored: Option<&Content>,
        limits: &TwinLimits,
    ) -> Result<Self, Refusal> {
        let Value::Object(body) = body else {
            return Err(Refusal::invalid("The configuration must be a JSON object"));
        };
        match text(body, "id")? {
            Some(named) if named != id => {
                return Err(Refusal::invalid(format!("id is {named:?} in the body, {id:?} above")));
            }
            _ => {}
        }
        let content = member(body, "content").map(|value| Content::parse(value, limits));
        let content = content.transpose()?;
        let Some(effective) = content.as_ref().or(stored) else {
            return Err(content::invalid("content is missing"));
        };
        let target = Target::parse(text(body, "targetCondition")?.unwrap_or_default(), effective)?;
        let terms = Terms {
            target,
            priority: priority(member(body, "priority"))?,
            schema_version: text(body, "schemaVersion")?.unwrap_or(SCHEMA_VERSION).to_owned(),
            labels: labels(body)?,
            metrics: metrics(body, effective.collection())?,
        };
        Ok(Self { content, terms })
    }
}

/// Refuses an id that no configuration can have (HUB-CFG-005).
///
/// # Errors
/// [`ErrorCode::ArgumentInvalid`] naming what is wrong and what is allowed.
pub fn check_id(id: &str) -> Result<(), Refusal> {
    let length = id.chars().count();
    if !(1..=ID_LENGTH_MAX).contains(&length) {
        return Err(Refusal::invalid(format!(
            "The configuration id has {length} characters, allowed are 1 to {ID_LENGTH_MAX}"
        )));
    }
    let forbidden =
        |c: &char| !c.is_ascii_graphic() || c.is_ascii_uppercase() || ID_FORBIDDEN.contains(*c);
    match id.chars().find(forbidden) {
        None => Ok(()),
        Some(found) => Err(Refusal::invalid(format!(
            "The configuration id contains {found:?}, allowed are small ASCII letters, digits and \
             punctuation without {ID_FORBIDDEN}"
        ))),
    }
}

/// The refusal for a configuration that does not exist.
#[must_use]
pub fn not_found(id: &str) -> Refusal {
    Refusal::new(ErrorCode::ConfigurationNotFound, format!("There is no configuration {id}"))
}

fn priority(value: Option<&Value>) -> Result<u32, Refusal> {
    let Some(value) = value else { return Ok(0) };
    let number = value.as_u64().filter(|number| *number <= u64::from(u32::MAX >> 1));
    number.and_then(|number| u32::try_from(number).ok()).ok_or_else(|| {
        Refusal::invalid(format!("priority is {value}, allowed is an integer from 0 to 2147483647"))
    })
}

fn metrics(body: &Members, collection: Collection) -> Result<BTreeMap<String, Metric>, Refusal> {
    let queries = match object(body, "metrics")? {
        None => None,
        Some(metrics) => object(metrics, "queries")?,
    };
    let refuse = |why: String| Refusal::new(ErrorCode::InvalidConfigurationCustomMetricsQuery, why);
    let queries: Vec<_> = queries.into_iter().flatten().collect();
    if queries.len() > METRICS_MAX {
        let count = queries.len();
        return Err(refuse(format!("{count} custom metrics, allowed are {METRICS_MAX}")));
    }
    let metric = |(name, text): (&String, &Value)| match text {
        Value::String(text) => match Metric::parse(text, collection) {
            Ok(metric) => Ok((name.clone(), metric)),
            Err(problem) => Err(refuse(format!("metric {name}: {problem}"))),
        },
        other => Err(refuse(format!("metric {name} must be a string, found {}", kind(other)))),
    };
    queries.into_iter().map(metric).collect()
}

fn labels(body: &Members) -> Result<BTreeMap<String, String>, Refusal> {
    let label = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        other => {
            let found = kind(other);
            Err(Refusal::invalid(format!("the label {name:?} must be a string, found {found}")))
        }
    };
    object(body, "labels")?.into_iter().flatten().map(label).collect()
}

/// The member `name`, unless it is missing or null.
fn member<'a>(body: &'a Members, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

fn text<'a>(body: &'a Members, name: &str) -> Result<Option<&'a str>, Refusal> {
    match member(body, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            Err(Refusal::invalid(format!("{name} must be a string, found {}", kind(other))))
        }
    }
}

fn object<'a>(body: &'a Members, name: &str) -> Result<Option<&'a Members>, Refusal> {
    match member(body, name) {
        None => Ok(None),
        Some(Value::Object(members)) => Ok(Some(members)),
        Some(other) => {
            Err(Refusal::invalid(format!("{name} must be a JSON object, found {}", kind(other))))
        }
    }
}

#[cfg(test)]
mod tests;
