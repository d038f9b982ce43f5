//! What a configuration sets: paths into desired properties and the values there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::overlay;
use crate::error::{ErrorCode, Refusal};
use crate::query::Collection;
use crate::twin::limits::TwinLimits;
use crate::twin::{Members, kind, validate};

/// Where every path begins.
const ROOT: &str = "properties.desired";

/// The content of a configuration: one of three kinds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// `deviceContent`: for device twins.
    Device(Settings),
    /// `moduleContent`: for module twins.
    Module(Settings),
    /// `modulesContent`: for modules of Edge devices, by module id.
    Modules(BTreeMap<String, Settings>),
}

/// Paths and values.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The content as it was written.
    written: Members,
    /// Below `properties.desired`, short paths first.
    paths: Vec<(Vec<String>, Value)>,
}

impl Content {
    /// Reads the `content` member.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfigurationContent`] naming the path and what is wrong with it.
    pub fn parse(value: &Value, limits: &TwinLimits) -> Result<Self, Refusal> {
        let Value::Object(content) = value else {
            return Err(invalid(format!("content must be a JSON object, found {}", kind(value))));
        };
        let given: Vec<_> = ["deviceContent", "moduleContent", "modulesContent"]
            .into_iter()
            .filter_map(|name| Some((name, content.get(name)?)))
            .filter(|(_, value)| !value.is_null() && **value != json!({}))
            .collect();
        let [(name, Value::Object(members))] = given.as_slice() else {
            return Err(invalid(
                "content must have exactly one of deviceContent, moduleContent and \
                 modulesContent, a JSON object that is not empty",
            ));
        };
        match *name {
            "deviceContent" => Settings::parse(members, limits).map(Self::Device),
            "moduleContent" => Settings::parse(members, limits).map(Self::Module),
            _ => {
                let module = |(id, value): (&String, &Value)| match value {
                    Value::Object(members) => Ok((id.clone(), Settings::parse(members, limits)?)),
                    other => Err(invalid(format!(
                        "modulesContent.{id} must be a JSON object, found {}",
                        kind(other)
                    ))),
                };
                members.iter().map(module).collect::<Result<_, _>>().map(Self::Modules)
            }
        }
    }

    /// Whose twins the target condition is about.
    #[must_use]
    pub fn collection(&self) -> Collection {
        match self {
            Self::Device(_) | Self::Modules(_) => Collection::Devices,
            Self::Module(_) => Collection::Modules,
        }
    }

    /// The content as it was written.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Device(settings) => json!({ "deviceContent": settings.written }),
            Self::Module(settings) => json!({ "moduleContent": settings.written }),
            Self::Modules(modules) => {
                let written: BTreeMap<&String, &Members> =
                    modules.iter().map(|(id, settings)| (id, &settings.written)).collect();
                json!({ "modulesContent": written })
            }
        }
    }
}

impl Settings {
    fn parse(members: &Members, limits: &TwinLimits) -> Result<Self, Refusal> {
        let mut paths = Vec::new();
        for (path, value) in members {
            match (path.strip_prefix(ROOT), value) {
                (Some(""), Value::Object(members)) => {
                    let path =
                        |(name, value): (&String, &Value)| (vec![name.clone()], value.clone());
                    paths.extend(members.iter().map(path));
                }
                (Some(""), other) => {
                    let found = kind(other);
                    return Err(invalid(format!("{ROOT} must be a JSON object, found {found}")));
                }
                (Some(rest), value) if rest.starts_with('.') => {
                    let names = rest.split('.').skip(1).map(str::to_owned).collect();
                    paths.push((names, value.clone()));
                }
                _ => {
                    return Err(invalid(format!(
                        "the path {path:?} must be {ROOT} or begin with {ROOT}."
                    )));
                }
            }
        }
        if let Some((path, _)) = paths.iter().find(|(path, _)| path.iter().any(String::is_empty)) {
            return Err(invalid(format!("the path {ROOT}.{} has an empty name", path.join("."))));
        }
        paths.sort_by_key(|(path, _)| path.len());
        let settings = Self { written: members.clone(), paths };
        let patch = settings.to_patch();
        let size = validate::patch_members(&patch, limits);
        size.and_then(|size| limits.desired.check(size)).map_err(|why| invalid(why.message))?;
        Ok(settings)
    }

    /// Paths below `properties.desired` and their values, short paths first.
    pub fn paths(&self) -> impl DoubleEndedIterator<Item = (&[String], &Value)> {
        self.paths.iter().map(|(path, value)| (path.as_slice(), value))
    }

    /// The settings as one PATCH of desired properties.
    #[must_use]
    pub fn to_patch(&self) -> Members {
        let mut patch = Members::new();
        self.paths().for_each(|(path, value)| overlay::set(&mut patch, path, value));
        patch
    }
}

/// The refusal of a content.
pub fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidConfigurationContent, why)
}
