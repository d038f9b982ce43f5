//! Reports of an agent, as the protocol reads them (device-update-agent.md § 2, 4 and 5).

use std::fmt;

use serde_json::Value;
use tokio::time::Instant;

use super::stage::{Seen, What};
use crate::bench::shorten;

/// A reported patch.
#[derive(Clone, Debug)]
pub struct Report {
    /// When the hub saw it.
    pub at: Instant,
    /// The patch.
    pub patch: Value,
    /// Its place among everything that was seen.
    pub number: usize,
}

/// An acknowledgement of the desired property `service`.
#[derive(Clone, Debug)]
pub struct Acknowledgement<'a> {
    /// The echoed value; null when it is missing.
    pub value: &'a Value,
    /// Status.
    pub ac: &'a Value,
    /// Version of the desired section.
    pub av: &'a Value,
    /// The whole property.
    pub property: &'a Value,
}

const NULL: &Value = &Value::Null;

impl Report {
    pub(super) fn of(number: usize, seen: &Seen) -> Option<Self> {
        match &seen.what {
            What::Report { patch, .. } => Some(Self { at: seen.at, patch: patch.clone(), number }),
            _ => None,
        }
    }

    /// The value at a JSON pointer of the patch; null when there is none.
    #[must_use]
    pub fn at(&self, pointer: &str) -> &Value {
        self.patch.pointer(pointer).unwrap_or(NULL)
    }

    /// The component `deviceUpdate`; null when it is not mentioned.
    #[must_use]
    pub fn component(&self) -> &Value {
        self.at("/deviceUpdate")
    }

    /// The property `agent`; null when it is not mentioned.
    #[must_use]
    pub fn agent(&self) -> &Value {
        self.at("/deviceUpdate/agent")
    }

    /// Whether it is the startup message.
    #[must_use]
    pub fn is_startup(&self) -> bool {
        self.agent().get("deviceProperties").is_some()
    }

    /// Whether it tells a state.
    #[must_use]
    pub fn is_state(&self) -> bool {
        self.agent().get("state").is_some()
    }

    /// The state, when it is a number.
    #[must_use]
    pub fn state(&self) -> Option<i64> {
        self.at("/deviceUpdate/agent/state").as_i64()
    }

    /// Whether a deployment ends with it.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self.state(), Some(0 | 255))
    }

    /// Whether the update is in progress.
    #[must_use]
    pub fn is_progress(&self) -> bool {
        self.state() == Some(6)
    }

    /// The id of the deployment it is about, when it says so.
    #[must_use]
    pub fn workflow_id(&self) -> Option<&str> {
        self.at("/deviceUpdate/agent/workflow/id").as_str()
    }

    /// Whether it is about another deployment than `workflow`; saying nothing is not.
    #[must_use]
    pub fn is_about_another(&self, workflow: &str) -> bool {
        self.workflow_id().is_some_and(|id| id != workflow)
    }

    /// The result of the whole.
    #[must_use]
    pub fn result(&self) -> &Value {
        self.at("/deviceUpdate/agent/lastInstallResult")
    }

    /// The result code of the whole.
    #[must_use]
    pub fn result_code(&self) -> Option<i64> {
        self.at("/deviceUpdate/agent/lastInstallResult/resultCode").as_i64()
    }

    /// The update that is installed: the object inside the string, when there is one.
    #[must_use]
    pub fn installed(&self) -> Option<Value> {
        let text = self.at("/deviceUpdate/agent/installedUpdateId").as_str()?;
        serde_json::from_str(text).ok()
    }

    /// Whether it claims that an update is installed.
    #[must_use]
    pub fn claims_installed(&self) -> bool {
        self.agent().get("installedUpdateId").is_some_and(|id| !id.is_null())
    }

    /// The acknowledgement of `service`, when it is one.
    #[must_use]
    pub fn acknowledgement(&self) -> Option<Acknowledgement<'_>> {
        let property = self.at("/deviceUpdate/service");
        property.as_object()?;
        let member = |name| property.get(name).unwrap_or(NULL);
        Some(Acknowledgement {
            value: member("value"),
            ac: member("ac"),
            av: member("av"),
            property,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match self.component() {
            Value::Null => &self.patch,
            component => component,
        };
        formatter.write_str(&shorten(&shown.to_string()))
    }
}
