//! Calls about automatic device configurations.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::service::{IfMatch, Reply};
use super::{Entity, Hub, Output};
use crate::configuration::{
    Configuration, ConfigurationRequest, Content, Counts, Metric, Settings, Status, Target,
    check_id, content, not_found,
};
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::json;
use crate::query::Collection;
use crate::registry::{SettingsRequest, check_new_identity};
use crate::time::Time;
use crate::twin::WriteMode;
use crate::wire::route::ConfigurationCall;

impl Hub {
    pub(super) fn configuration_call(
        &mut self,
        now: Time,
        call: ConfigurationCall,
        if_match: &IfMatch,
        body: &[u8],
        top: Option<&str>,
        outputs: &mut Vec<Output>,
    ) -> Result<Reply, Refusal> {
        match call {
            ConfigurationCall::List => Ok(self.list_configurations(top)),
            ConfigurationCall::Read { id } => self.read_configuration(&id),
            ConfigurationCall::Write { id } if *if_match == IfMatch::Absent => {
                self.create_configuration(now, &id, body)
            }
            ConfigurationCall::Write { id } => self.update_configuration(now, &id, if_match, body),
            ConfigurationCall::Delete { id } => self.delete_configuration(now, &id, if_match),
            ConfigurationCall::Test => test_queries(body),
            ConfigurationCall::Apply { device } => self.apply_content(now, &device, body, outputs),
        }
    }

    fn configuration(&self, id: &str) -> Result<&Configuration, Refusal> {
        self.configurations.get(id).ok_or_else(|| not_found(id))
    }

    fn list_configurations(&self, top: Option<&str>) -> Reply {
        let most = self.config.limits.configurations_max;
        let asked = top.and_then(|top| top.parse().ok());
        let top = asked.filter(|top| (1..=most).contains(top)).unwrap_or(most);
        let listed: Vec<&Configuration> = self.configurations.values().take(top).collect();
        Reply::ok(Value::Array(self.shown(&listed)))
    }

    fn read_configuration(&self, id: &str) -> Result<Reply, Refusal> {
        let configuration = self.configuration(id)?;
        let body = self.shown(&[configuration]).pop().unwrap_or_default();
        Ok(Reply::entity(body, configuration.etag()))
    }

    /// PUT without `If-Match` (HUB-CFG-001, -002).
    fn create_configuration(&mut self, now: Time, id: &str, body: &[u8]) -> Result<Reply, Refusal> {
        check_id(id)?;
        if self.configurations.contains_key(id) {
            let message = format!("There is a configuration {id} already");
            return Err(Refusal::new(ErrorCode::ConfigurationAlreadyExists, message));
        }
        let limits = &self.config.twin_limits;
        let request = ConfigurationRequest::from_body(id, &json::parse(body)?, None, limits)?;
        let content = request.content.ok_or_else(|| content::invalid("content is missing"))?;
        let most = self.config.limits.configurations_max;
        if self.configurations.len() >= most {
            return Err(Refusal::new(
                ErrorCode::ConfigurationCountLimitExceeded,
                format!("The hub has {most} configurations, no more are allowed"),
            ));
        }
        let configuration = Configuration {
            id: id.to_owned(),
            content,
            terms: request.terms,
            created: now,
            serial: self.entropy.serial(),
            updated: now,
            etag_number: self.next_etag(),
        };
        let selects = could_select(&configuration);
        self.configurations.insert(id.to_owned(), configuration);
        self.touch_all(now, selects);
        Ok(Reply { status: StatusCode::CREATED, ..self.read_configuration(id)? })
    }

    /// PUT with `If-Match` (HUB-CFG-003, -010).
    fn update_configuration(
        &mut self,
        now: Time,
        id: &str,
        if_match: &IfMatch,
        body: &[u8],
    ) -> Result<Reply, Refusal> {
        let stored = self.configuration(id)?;
        check_etag(if_match, stored)?;
        let (body, limits) = (json::parse(body)?, &self.config.twin_limits);
        let request = ConfigurationRequest::from_body(id, &body, Some(&stored.content), limits)?;
        if request.content.is_some_and(|content| content != stored.content) {
            return Err(Refusal::new(
                ErrorCode::CannotModifyImmutableConfigurationContent,
                format!("The content of {id} cannot be changed; make another configuration"),
            ));
        }
        let etag_number = self.next_etag();
        let Some(stored) = self.configurations.get_mut(id) else { return Err(not_found(id)) };
        let moves = stored.terms.target != request.terms.target
            || stored.terms.priority != request.terms.priority;
        stored.terms = request.terms;
        stored.updated = now;
        stored.etag_number = etag_number;
        if moves {
            let selects = could_select(stored);
            let id = id.to_owned();
            self.touch_all(now, move |entity| selects(entity) || is_target(entity, &id));
        }
        self.read_configuration(id)
    }

    fn delete_configuration(
        &mut self,
        now: Time,
        id: &str,
        if_match: &IfMatch,
    ) -> Result<Reply, Refusal> {
        check_etag(if_match, self.configuration(id)?)?;
        self.configurations.remove(id);
        self.touch_all(now, |entity| is_target(entity, id));
        Ok(Reply::no_content())
    }

    /// The documents of `configurations`, with their metrics.
    fn shown(&self, configurations: &[&Configuration]) -> Vec<Value> {
        let counts = self.counts();
        let result = |(name, metric): (&String, &Metric)| {
            let is_module = metric.query.from == Collection::Modules;
            let entities = self.entities.values();
            let twins = entities.filter(|e| e.record.identity.module.is_some() == is_module);
            (name.clone(), metric.count(twins))
        };
        let show = |configuration: &&Configuration| {
            let counts = counts.get(configuration.id.as_str()).copied().unwrap_or_default();
            let results = configuration.terms.metrics.iter().map(result).collect();
            configuration.to_json(counts, &results)
        };
        configurations.iter().map(show).collect()
    }

    /// How many twins each configuration targets, and in how many it is applied.
    fn counts(&self) -> BTreeMap<&str, Counts> {
        let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
        for (id, status) in self.entities.values().filter_map(Entity::statuses).flatten() {
            let counts = counts.entry(id).or_default();
            counts.targeted += 1;
            counts.applied += usize::from(*status == Status::Applied);
        }
        counts
    }

    /// `POST /devices/{d}/applyConfigurationContent`: for Edge devices only (HUB-CFG-012). Modules
    /// that are named and missing are registered.
    fn apply_content(
        &mut self,
        now: Time,
        device: &str,
        body: &[u8],
        outputs: &mut Vec<Output>,
    ) -> Result<Reply, Refusal> {
        let is_edge = self.entity(&Identity::device(device))?.record.settings.edge;
        let content = Content::parse(&json::parse(body)?, &self.config.twin_limits)?;
        let Content::Modules(modules) = content else {
            return Err(content::invalid("allowed for one device is modulesContent only"));
        };
        if !is_edge {
            return Err(content::invalid(format!("{device} is no Edge device")));
        }
        let named = |(module, settings)| (Identity::module(device, module), settings);
        let modules: Vec<(Identity, Settings)> = modules.into_iter().map(named).collect();
        modules.iter().try_for_each(|(identity, _)| check_new_identity(identity))?;
        for (identity, settings) in &modules {
            self.apply_to_module(now, identity, settings, outputs)?;
        }
        Ok(Reply::no_content())
    }

    fn apply_to_module(
        &mut self,
        now: Time,
        identity: &Identity,
        settings: &Settings,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        if !self.entities.contains_key(identity) {
            let request = SettingsRequest::from_body(identity, &json!({}))?;
            self.create(now, identity, request, outputs)?;
        }
        let body = json!({ "properties": { "desired": settings.to_patch() } }).to_string();
        let (mode, any) = (WriteMode::Patch, IfMatch::Any);
        self.write_twin(now, mode, identity, &any, body.as_bytes(), outputs).map(drop)
    }
}

/// Whether twins can become targets of `configuration` at all.
fn could_select(configuration: &Configuration) -> impl Fn(&Entity) -> bool + use<> {
    let is_idle = configuration.terms.target.is_nothing();
    let wants_module = match configuration.content {
        Content::Device(_) => Some(false),
        Content::Module(_) => Some(true),
        Content::Modules(_) => None,
    };
    let wanted = wants_module.filter(|_| !is_idle);
    move |entity| wanted == Some(entity.record.identity.module.is_some())
}

fn is_target(entity: &Entity, id: &str) -> bool {
    entity.statuses().is_some_and(|statuses| statuses.contains_key(id))
}

fn check_etag(if_match: &IfMatch, configuration: &Configuration) -> Result<(), Refusal> {
    match if_match {
        IfMatch::Absent | IfMatch::Any => Ok(()),
        IfMatch::Quoted(etag) | IfMatch::Unquoted(etag) if *etag == configuration.etag() => Ok(()),
        IfMatch::Quoted(_) | IfMatch::Unquoted(_) => {
            Err(Refusal::new(ErrorCode::PreconditionFailed, "Precondition failed: Invalid ETag"))
        }
    }
}

/// `POST /configurations/testQueries`: says of each text whether it could be used.
fn test_queries(body: &[u8]) -> Result<Reply, Refusal> {
    let body = json::parse(body)?;
    let condition = match body.get("targetCondition") {
        None | Some(Value::Null) => "",
        Some(Value::String(text)) => text,
        Some(_) => return Err(Refusal::invalid("targetCondition must be a string")),
    };
    let nothing = Map::new();
    let queries = match body.get("customMetricQueries") {
        None | Some(Value::Null) => &nothing,
        Some(Value::Object(queries)) => queries,
        Some(_) => return Err(Refusal::invalid("customMetricQueries must be a JSON object")),
    };
    let error = |(name, text): (&String, &Value)| {
        let text = text.as_str().unwrap_or_default();
        let problem = Metric::parse(text, Collection::Devices).err()?;
        Some((name.clone(), json!(problem)))
    };
    let errors: Map<String, Value> = queries.iter().filter_map(error).collect();
    Ok(Reply::ok(json!({
        "targetConditionError": Target::parse_any(condition).err(),
        "customMetricQueryErrors": errors,
    })))
}
