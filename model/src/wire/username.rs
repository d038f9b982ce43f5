//! The user name of an MQTT CONNECT: hub, identity and query (hub-mqtt.md § 2).

use super::percent;
use crate::identity::Identity;

/// What a device says about itself in the user name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName {
    /// The hub's host name as the device knows it.
    pub host: String,
    /// Who connects.
    pub identity: Identity,
    /// `api-version`.
    pub api_version: Option<String>,
    /// `model-id`, the Plug and Play model (HUB-CONN-013).
    pub model_id: Option<String>,
}

impl UserName {
    /// Reads a user name; `None` when it has another shape.
    ///
    /// Accepted are `host/device/?query`, `host/device?query` and the older `host/device/query`
    /// without `?` (HUB-CONN-012), each with a module level as well. Unknown keys are ignored
    /// (HUB-CONN-011) and the order of keys is free (HUB-CONN-010).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path.strip_suffix('/').unwrap_or(path), query),
            None => split_query_level(text),
        };
        let mut levels = path.split('/');
        let host = levels.next().filter(|host| !host.is_empty())?.to_owned();
        let device = levels.next().filter(|device| !device.is_empty())?;
        let identity = match levels.next() {
            None => Identity::device(device),
            Some("") => return None,
            Some(module) => Identity::module(device, module),
        };
        if levels.next().is_some() {
            return None;
        }
        let pairs = percent::decode_pairs(query)?;
        let first = |key: &str| pairs.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.clone());
        Some(Self {
            host,
            identity,
            api_version: first("api-version"),
            model_id: first("model-id"),
        })
    }

    /// The user name as the documentation writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let version = self.api_version.as_ref().map(|v| format!("api-version={v}"));
        let model = self.model_id.as_ref().map(|m| format!("model-id={}", percent::encode(m)));
        let query: Vec<String> = version.into_iter().chain(model).collect();
        format!("{}/{}/?{}", self.host, self.identity, query.join("&"))
    }
}

/// Splits off a last level that is a query without `?`: it contains `=`, which an id level of the
/// documented form never does before it.
fn split_query_level(text: &str) -> (&str, &str) {
    match text.rsplit_once('/') {
        Some((path, "")) => (path, ""),
        Some((path, last)) if is_query(last) => (path, last),
        _ => (text, ""),
    }
}

fn is_query(level: &str) -> bool {
    level.split('&').any(|pair| pair.starts_with("api-version="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    #[test]
    fn all_shipped_forms_are_read() {
        for text in [
            "hub.example/pump/?api-version=2021-04-12",
            "hub.example/pump?api-version=2021-04-12",
            "hub.example/pump/api-version=2021-04-12",
            "hub.example/pump/DeviceClientType=x&api-version=2021-04-12",
            "hub.example/pump/?DeviceClientType=a%20b&auth-chain=&api-version=2021-04-12",
        ] {
            let name = parsed(text);
            assert_eq!(name.identity, Identity::device("pump"), "{text}");
            assert_eq!(name.api_version.as_deref(), Some("2021-04-12"), "{text}");
        }
    }

    #[test]
    fn modules_and_model_ids_are_read() {
        let name = parsed("h/d/m/?model-id=dtmi%3Asuite%3APump%3B1&api-version=2021-04-12");
        assert_eq!(name.identity, Identity::module("d", "m"));
        assert_eq!(name.model_id.as_deref(), Some("dtmi:suite:Pump;1"));
    }

    #[test]
    fn writing_and_reading_agree() {
        let name = parsed("h/d/m/?api-version=2021-04-12&model-id=dtmi%3Aa%3B1");
        assert_eq!(parsed(&name.to_text()), name);
    }

    #[test]
    fn a_name_without_query_is_read_and_a_lone_host_is_not() {
        assert_eq!(parsed("h/d").api_version, None);
        assert_eq!(UserName::parse("h"), None);
        assert_eq!(UserName::parse("h//?api-version=2021-04-12"), None);
        assert_eq!(UserName::parse("h/d/m/x/?api-version=2021-04-12"), None);
    }
}
