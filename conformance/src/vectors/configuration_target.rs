//! Family `configuration-target`: which configurations win, and what twins get and lose.

use std::cmp::Reverse;

use serde_json::{Value, json};
use twinspec_model::configuration::{
    Configuration, ConfigurationRequest, Settings, Targeting, resolve,
};
use twinspec_model::query::Collection;
use twinspec_model::time::Time;
use twinspec_model::twin::limits::TwinLimits;
use twinspec_model::twin::{Members, SectionWrite, Twin, TwinWrite, WriteMode};

use super::{Input, member, text};

/// Configurations and the twins they look at after each event.
struct Stage {
    configurations: Vec<Configuration>,
    devices: Vec<Device>,
    limits: TwinLimits,
    created: u64,
}

struct Device {
    id: String,
    twin: Twin,
    targeting: Targeting,
    /// What was written to the desired section since the events began.
    updates: Vec<Members>,
}

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let mut stage = Stage {
        configurations: Vec::new(),
        devices: Vec::new(),
        limits: TwinLimits::default(),
        created: 0,
    };
    for twin in list(case, "twins")? {
        let mut device = Device {
            id: text(twin, "deviceId")?.to_owned(),
            twin: Twin::new(),
            targeting: Targeting::default(),
            updates: Vec::new(),
        };
        device.write(twin, &stage.limits)?;
        stage.devices.push(device);
    }
    for configuration in list(case, "configurations")? {
        stage.create(configuration)?;
    }
    stage.settle()?;
    stage.devices.iter_mut().for_each(|device| device.updates.clear());
    for event in list(case, "events")? {
        stage.take(event)?;
        stage.settle()?;
    }
    let twins: Vec<Value> = stage.devices.iter().map(Device::shown).collect();
    Ok(json!({ "twins": twins }))
}

fn list<'a>(case: &'a Value, name: &str) -> Result<&'a Vec<Value>, String> {
    member(case, name)?.as_array().ok_or_else(|| format!("{name} is no array"))
}

impl Stage {
    fn create(&mut self, body: &Value) -> Result<(), String> {
        let id = text(body, "id")?;
        let request = ConfigurationRequest::from_body(id, body, None, &self.limits);
        let request = request.map_err(|refusal| refusal.to_string())?;
        self.created += 1;
        let created = Time::from_unix_seconds(self.created);
        self.configurations.push(Configuration {
            id: id.to_owned(),
            content: request.content.ok_or("content is missing")?,
            terms: request.terms,
            created,
            serial: self.created,
            updated: created,
            etag_number: self.created,
        });
        Ok(())
    }

    fn update(&mut self, body: &Value) -> Result<(), String> {
        let configuration = self.configurations.iter_mut().find(|c| body["id"] == c.id);
        let configuration = configuration.ok_or("there is no such configuration")?;
        let content = Some(&configuration.content);
        let request =
            ConfigurationRequest::from_body(&configuration.id, body, content, &self.limits);
        configuration.terms = request.map_err(|refusal| refusal.to_string())?.terms;
        Ok(())
    }

    fn take(&mut self, event: &Value) -> Result<(), String> {
        match text(event, "kind")? {
            "create" => self.create(member(event, "configuration")?),
            "update" => self.update(member(event, "configuration")?),
            "delete" => {
                let id = text(event, "id")?;
                self.configurations.retain(|configuration| configuration.id != id);
                Ok(())
            }
            "twin" => {
                let twin = member(event, "twin")?;
                let id = text(twin, "deviceId")?;
                let device = self.devices.iter_mut().find(|device| device.id == id);
                device.ok_or("there is no such twin")?.write(twin, &self.limits)
            }
            other => Err(format!("unknown kind of event {other:?}")),
        }
    }

    fn settle(&mut self) -> Result<(), String> {
        let mut ranked: Vec<&Configuration> = self.configurations.iter().collect();
        ranked.sort_by_key(|configuration| Reverse(configuration.rank()));
        for device in &mut self.devices {
            device.settle(&ranked, &self.limits)?;
        }
        Ok(())
    }
}

impl Device {
    /// PATCHes the sections that `body` has.
    fn write(&mut self, body: &Value, limits: &TwinLimits) -> Result<(), String> {
        let section = |name: &str| {
            body.get(name).and_then(Value::as_object).cloned().map(SectionWrite::Members)
        };
        let write = TwinWrite { tags: section("tags"), desired: section("desired") };
        let written = self.twin.write(WriteMode::Patch, &write, limits, Time::from_unix_seconds(0));
        written.map_err(|refusal| refusal.to_string())?;
        if let Some(reported) = body.get("reported") {
            let now = Time::from_unix_seconds(0);
            let reported = self.twin.report(reported, None, limits, now);
            reported.map_err(|refusal| refusal.to_string())?;
        }
        Ok(())
    }

    fn settle(&mut self, ranked: &[&Configuration], limits: &TwinLimits) -> Result<(), String> {
        let row = json!({
            "deviceId": self.id,
            "tags": self.twin.tags.members(),
            "properties": { "reported": self.twin.reported.members() },
        });
        let layers: Vec<(&str, &Settings)> = ranked
            .iter()
            .filter_map(|c| Some((c.id.as_str(), c.settings_for(Collection::Devices, &row)?)))
            .collect();
        let next = resolve(&layers);
        let update = self.targeting.update(&next, &self.twin.desired.members());
        self.targeting.advance(next);
        if !update.is_empty() {
            self.write(&json!({ "desired": update }), limits)?;
            self.updates.push(update);
        }
        Ok(())
    }

    fn shown(&self) -> Value {
        let statuses = self.targeting.statuses().iter();
        let statuses: serde_json::Map<String, Value> =
            statuses.map(|(id, status)| (id.clone(), json!(status.name()))).collect();
        json!({
            "deviceId": self.id,
            "desired": self.twin.desired.members(),
            "configurations": statuses,
            "updates": self.updates,
        })
    }
}

/// A setting for the whole section, and settings that are equal to what stands there.
pub(super) fn open_point(case: &Value, _expect: &Value) -> Option<&'static str> {
    let starting = case.get("configurations")?.as_array()?.iter();
    let events = case.get("events")?.as_array()?.iter();
    let arriving = events.filter_map(|event| event.get("configuration"));
    let contents =
        starting.chain(arriving).filter_map(|c| c.pointer("/content/deviceContent")?.as_object());
    let settings: Vec<(&String, &Value)> = contents.flatten().collect();
    if settings.iter().any(|(path, _)| *path == "properties.desired") {
        return Some("A-H64");
    }
    let is_twice = |(index, setting)| settings.iter().skip(index + 1).any(|other| other == setting);
    let is_there = |(path, value): &(&String, &Value)| {
        let pointer = path.trim_start_matches("properties").replace('.', "/");
        let mut twins = case["twins"].as_array().into_iter().flatten();
        twins.any(|twin| twin.pointer(&pointer) == Some(*value))
    };
    let is_equal = settings.iter().enumerate().any(is_twice) || settings.iter().any(is_there);
    is_equal.then_some("A-H65")
}

/// Every value that a loser may set with every value of the winner above it, which is deleted.
pub(super) fn inputs() -> Vec<Input> {
    let values = [
        ("a scalar", json!(1)),
        ("null", Value::Null),
        ("an array", json!([1])),
        ("an empty object", json!({})),
        ("an object", json!({ "x": 1, "y": { "z": 2 } })),
    ];
    let configuration = |id: &str, priority: u32, value: &Value| {
        json!({
            "id": id,
            "priority": priority,
            "targetCondition": "*",
            "content": { "deviceContent": { "properties.desired.k": value } },
        })
    };
    let mut inputs = Vec::new();
    for (above_name, above) in &values {
        for (below_name, below) in &values {
            inputs.push(Input {
                title: format!("{below_name} comes back when {above_name} above it goes."),
                requirements: vec!["HUB-CFG-007", "HUB-CFG-008"],
                members: vec![
                    (
                        "configurations",
                        json!([configuration("below", 1, below), configuration("above", 2, above)]),
                    ),
                    ("twins", json!([{ "deviceId": "oven-1", "desired": { "own": true } }])),
                    ("events", json!([{ "kind": "delete", "id": "above" }])),
                ],
            });
        }
    }
    inputs
}
