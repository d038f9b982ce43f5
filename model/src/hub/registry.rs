//! Identity registry calls.

use http::StatusCode;
use serde_json::Value;

use super::service::{IfMatch, Reply};
use super::{Entity, Hub, Output};
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::json;
use crate::registry::{
    Authentication, MODULES_PER_DEVICE_MAX, Record, Settings, SettingsRequest, check_new_identity,
};
use crate::time::Time;
use crate::twin::Twin;

/// The most devices one list call returns.
const LIST_MAX: usize = 1000;

impl Hub {
    pub(super) fn list_devices(&self, top: Option<&str>) -> Reply {
        let asked = top.and_then(|top| top.parse().ok());
        let top = asked
            .filter(|top| (1..=LIST_MAX).contains(top))
            .unwrap_or(LIST_MAX);
        let devices = self
            .entities
            .values()
            .filter(|e| e.record.identity.module.is_none());
        Reply::ok(devices.take(top).map(|e| e.record.to_json()).collect())
    }

    pub(super) fn list_modules(&self, device: &str) -> Result<Reply, Refusal> {
        self.entity(&Identity::device(device))?;
        Ok(Reply::ok(
            self.modules(device).map(|e| e.record.to_json()).collect(),
        ))
    }

    pub(super) fn read_identity(&self, identity: &Identity) -> Result<Reply, Refusal> {
        self.entity(identity).map(Entity::identity_reply)
    }

    /// PUT: creates without `If-Match`, updates with it (HUB-REG-001, -002, -008).
    pub(super) fn write_identity(
        &mut self,
        now: Time,
        identity: &Identity,
        if_match: &IfMatch,
        body: &[u8],
        outputs: &mut Vec<Output>,
    ) -> Result<Reply, Refusal> {
        check_new_identity(identity)?;
        let request = SettingsRequest::from_body(identity, &json::parse(body)?)?;
        if *if_match == IfMatch::Absent {
            self.create(identity, request)
        } else {
            self.update(now, identity, if_match, request, outputs)
        }
    }

    fn create(&mut self, identity: &Identity, request: SettingsRequest) -> Result<Reply, Refusal> {
        if self.entities.contains_key(identity) {
            let code = match identity.module {
                None => ErrorCode::DeviceAlreadyExists,
                Some(_) => ErrorCode::ModuleAlreadyExistsOnDevice,
            };
            return Err(Refusal::new(code, "Conflict"));
        }
        if identity.module.is_some() {
            self.entity(&Identity::device(&identity.device))?;
            if self.modules(&identity.device).count() >= MODULES_PER_DEVICE_MAX {
                return Err(Refusal::new(
                    ErrorCode::TooManyModulesOnDevice,
                    format!("A device may have {MODULES_PER_DEVICE_MAX} modules"),
                ));
            }
        }
        let settings = self.with_keys(request.settings, None);
        let entity = Entity {
            record: Record {
                identity: identity.clone(),
                generation_id: self.entropy.guid(),
                etag_number: self.next_etag(),
                settings,
                status_updated: None,
                connected: false,
                connection_updated: None,
                last_activity: None,
            },
            twin: Twin::new(),
            model_id: String::new(),
            session: None,
            connection: None,
        };
        let reply = entity.identity_reply();
        self.entities.insert(identity.clone(), entity);
        Ok(reply)
    }

    fn update(
        &mut self,
        now: Time,
        identity: &Identity,
        if_match: &IfMatch,
        request: SettingsRequest,
        outputs: &mut Vec<Output>,
    ) -> Result<Reply, Refusal> {
        let current = &self.entity(identity)?.record;
        check_etag(if_match, current)?;
        let old = current.settings.clone();
        let settings = self.with_keys(request.settings, Some(&old.authentication));
        // Who loses its status or its credentials loses its connection (hub-auth.md §§ 4, 8).
        if !settings.enabled || settings.authentication != old.authentication {
            self.disconnect(now, identity, outputs);
        }
        let etag_number = self.next_etag();
        let Some(entity) = self.entities.get_mut(identity) else {
            return Err(crate::registry::not_found(identity));
        };
        if settings.enabled != old.enabled {
            entity.record.status_updated = Some(now);
        }
        entity.record.settings = settings;
        entity.record.etag_number = etag_number;
        Ok(entity.identity_reply())
    }

    /// DELETE: the identity, its twin, and a device's modules with it.
    pub(super) fn delete_identity(
        &mut self,
        now: Time,
        identity: &Identity,
        if_match: &IfMatch,
        outputs: &mut Vec<Output>,
    ) -> Result<Reply, Refusal> {
        check_etag(if_match, &self.entity(identity)?.record)?;
        self.disconnect(now, identity, outputs);
        if identity.module.is_none() {
            let modules: Vec<Identity> = self
                .modules(&identity.device)
                .map(|e| e.record.identity.clone())
                .collect();
            for module in modules {
                self.entities.remove(&module);
            }
        }
        self.entities.remove(identity);
        Ok(Reply {
            status: StatusCode::NO_CONTENT,
            body: None,
            etag: None,
        })
    }

    /// Closes the connection of `identity` and, for a device, those of its modules.
    fn disconnect(&mut self, now: Time, identity: &Identity, outputs: &mut Vec<Output>) {
        self.take_over(now, identity, outputs);
        if identity.module.is_none() {
            let modules: Vec<Identity> = self
                .modules(&identity.device)
                .map(|e| e.record.identity.clone())
                .collect();
            for module in modules {
                self.take_over(now, &module, outputs);
            }
        }
    }

    fn modules(&self, device: &str) -> impl Iterator<Item = &Entity> {
        let first = Identity::module(device, "");
        let device = device.to_owned();
        self.entities
            .range(first..)
            .map(|(_, entity)| entity)
            .take_while(move |entity| entity.record.identity.device == device)
    }

    /// Fills in missing keys: the present ones on an update, new ones otherwise.
    fn with_keys(&mut self, settings: Settings, present: Option<&Authentication>) -> Settings {
        let Authentication::Sas { primary, secondary } = settings.authentication else {
            return settings;
        };
        let (old_primary, old_secondary) = match present {
            Some(Authentication::Sas { primary, secondary }) => {
                (Some(primary.clone()), Some(secondary.clone()))
            }
            _ => (None, None),
        };
        let mut fill = |given: String, old: Option<String>| match given.as_str() {
            "" => old.unwrap_or_else(|| self.entropy.key()),
            _ => given,
        };
        let authentication = Authentication::Sas {
            primary: fill(primary, old_primary),
            secondary: fill(secondary, old_secondary),
        };
        Settings {
            authentication,
            ..settings
        }
    }

    /// Registry etags are decimal numbers; any that was never used will do.
    fn next_etag(&mut self) -> u64 {
        400_000_000 + self.entropy.serial()
    }
}

impl Entity {
    fn identity_reply(&self) -> Reply {
        let body: Value = self.record.to_json();
        Reply {
            status: StatusCode::OK,
            body: Some(body),
            etag: Some(self.record.etag()),
        }
    }
}

fn check_etag(if_match: &IfMatch, record: &Record) -> Result<(), Refusal> {
    match if_match {
        IfMatch::Absent | IfMatch::Any => Ok(()),
        IfMatch::Quoted(etag) | IfMatch::Unquoted(etag) if *etag == record.etag() => Ok(()),
        IfMatch::Quoted(_) | IfMatch::Unquoted(_) => Err(Refusal::new(
            ErrorCode::PreconditionFailed,
            "Precondition failed: Invalid ETag",
        )),
    }
}
