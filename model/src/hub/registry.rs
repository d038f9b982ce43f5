//! Identity registry calls.

use serde_json::{Value, json};

use super::service::{IfMatch, Reply};
use super::{Entity, Hub, Output};
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::json;
use crate::message::Mailbox;
use crate::registry::{
    Authentication, MODULES_PER_DEVICE_MAX, Record, Settings, SettingsRequest, check_new_identity,
    not_found,
};
use crate::time::Time;
use crate::twin::Twin;

/// The most devices one list call returns.
const LIST_MAX: usize = 1000;

impl Hub {
    pub(super) fn list_devices(&self, top: Option<&str>) -> Reply {
        let asked = top.and_then(|top| top.parse().ok());
        let top = asked.filter(|top| (1..=LIST_MAX).contains(top)).unwrap_or(LIST_MAX);
        let devices = self.entities.values().filter(|e| e.record.identity.module.is_none());
        Reply::ok(devices.take(top).map(|e| e.identity_json()).collect())
    }

    pub(super) fn list_modules(&self, device: &str) -> Result<Reply, Refusal> {
        self.entity(&Identity::device(device))?;
        Ok(Reply::ok(self.modules(device).map(|e| e.identity_json()).collect()))
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
            self.create(now, identity, request, outputs)?;
        } else {
            self.update(now, identity, if_match, request, outputs)?;
        }
        self.read_identity(identity)
    }

    pub(super) fn create(
        &mut self,
        now: Time,
        identity: &Identity,
        request: SettingsRequest,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
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
        let mut settings = self.with_keys(request.settings, None);
        settings.scope(identity, None, self.entropy.serial());
        let record = Record {
            identity: identity.clone(),
            generation_id: self.entropy.guid(),
            etag_number: self.next_etag(),
            settings,
            status_updated: None,
            connected: false,
            connection_updated: None,
            last_activity: None,
        };
        self.entities.insert(identity.clone(), Entity::new(record));
        self.touch(now, identity);
        self.tell_lifecycle(now, identity, "createDeviceIdentity", outputs);
        Ok(())
    }

    pub(super) fn update(
        &mut self,
        now: Time,
        identity: &Identity,
        if_match: &IfMatch,
        request: SettingsRequest,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let current = &self.entity(identity)?.record;
        check_etag(if_match, current)?;
        let old = current.settings.clone();
        let mut settings = self.with_keys(request.settings, Some(&old.authentication));
        self.check_scope(identity, &settings, &old)?;
        settings.scope(identity, Some(&old), self.entropy.serial());
        // Who loses its status or its credentials loses its connection (hub-auth.md §§ 4, 8).
        if !settings.enabled || settings.authentication != old.authentication {
            self.disconnect(now, identity, outputs);
        }
        let etag_number = self.next_etag();
        let Some(entity) = self.entities.get_mut(identity) else {
            return Err(not_found(identity));
        };
        if settings.enabled != old.enabled {
            entity.record.status_updated = Some(now);
        }
        entity.record.settings = settings;
        entity.record.etag_number = etag_number;
        self.touch(now, identity);
        Ok(())
    }

    /// A leaf may move to a scope that some Edge device has (HUB-REG-022, A-H51).
    fn check_scope(
        &self,
        identity: &Identity,
        new: &Settings,
        old: &Settings,
    ) -> Result<(), Refusal> {
        let Some(scope) = new.device_scope.as_ref().filter(|_| !new.edge) else { return Ok(()) };
        let has = |entity: &Entity| {
            let settings = &entity.record.settings;
            settings.edge && settings.device_scope.as_ref() == Some(scope)
        };
        if old.device_scope.as_ref() == Some(scope) || self.entities.values().any(has) {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::InvalidDeviceScope,
            format!("{identity}: no Edge device has the scope {scope:?}"),
        ))
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
        self.fail_job_calls_to(now, identity, outputs);
        for identity in self.with_modules(identity) {
            self.tell_lifecycle(now, &identity, "deleteDeviceIdentity", outputs);
            self.entities.remove(&identity);
        }
        Ok(Reply::no_content())
    }

    /// Closes the connection of `identity` and, for a device, those of its modules.
    fn disconnect(&mut self, now: Time, identity: &Identity, outputs: &mut Vec<Output>) {
        if identity.module.is_none() {
            self.device_jobs.disconnect(&identity.device, outputs);
        }
        for identity in self.with_modules(identity) {
            self.take_over(now, &identity, outputs);
        }
    }

    /// `identity` and, for a device, its modules.
    fn with_modules(&self, identity: &Identity) -> Vec<Identity> {
        let modules = match &identity.module {
            None => self.modules(&identity.device).map(|e| e.record.identity.clone()).collect(),
            Some(_) => Vec::new(),
        };
        modules.into_iter().chain([identity.clone()]).collect()
    }

    /// `GET /statistics/devices`.
    pub(super) fn device_statistics(&self) -> Reply {
        let devices = self.entities.values().filter(|e| e.record.identity.module.is_none());
        let (enabled, disabled): (Vec<_>, Vec<_>) =
            devices.partition(|e| e.record.settings.enabled);
        Reply::ok(json!({
            "totalDeviceCount": enabled.len() + disabled.len(),
            "enabledDeviceCount": enabled.len(),
            "disabledDeviceCount": disabled.len(),
        }))
    }

    /// `GET /statistics/service`.
    pub(super) fn service_statistics(&self) -> Reply {
        let devices = self.entities.values().filter(|e| e.record.identity.module.is_none());
        let connected = devices.filter(|e| e.record.connected).count();
        Reply::ok(json!({ "connectedDeviceCount": connected }))
    }

    /// `DELETE /devices/{d}/commands`: drops the waiting cloud-to-device messages.
    pub(super) fn purge_messages(&mut self, device: &str) -> Result<Reply, Refusal> {
        let identity = Identity::device(device);
        let entity = self.entities.get_mut(&identity).ok_or_else(|| not_found(&identity))?;
        let purged = entity.mailbox.purge();
        Ok(Reply::ok(json!({
            "totalMessagesPurged": purged,
            "deviceId": device,
            "moduleId": null,
        })))
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
        Settings { authentication, ..settings }
    }

    /// Registry etags are decimal numbers; any that was never used will do.
    pub(super) fn next_etag(&mut self) -> u64 {
        400_000_000 + self.entropy.serial()
    }
}

impl Settings {
    /// Fills in the scopes: an Edge device keeps one of its own for life, a leaf takes its
    /// parent's (HUB-REG-020, -021).
    fn scope(&mut self, identity: &Identity, old: Option<&Self>, serial: u64) {
        if self.edge {
            let kept = old.filter(|old| old.edge).and_then(|old| old.device_scope.clone());
            let new = || format!("ms-azure-iot-edge://{}-{serial}", identity.device);
            self.device_scope = Some(kept.unwrap_or_else(new));
        } else {
            self.parent_scopes = self.device_scope.clone().into_iter().collect();
        }
    }
}

impl Entity {
    fn new(record: Record) -> Self {
        Self {
            record,
            twin: Twin::new(),
            model_id: String::new(),
            session: None,
            connection: None,
            mailbox: Mailbox::default(),
            throttled_until: None,
            refused_until: None,
            targeting: None,
        }
    }

    fn identity_json(&self) -> Value {
        self.record.to_json(self.mailbox.len())
    }

    fn identity_reply(&self) -> Reply {
        let body = self.identity_json();
        Reply::entity(body, self.record.etag())
    }
}

pub(super) fn check_etag(if_match: &IfMatch, record: &Record) -> Result<(), Refusal> {
    match if_match {
        IfMatch::Absent | IfMatch::Any => Ok(()),
        IfMatch::Quoted(etag) | IfMatch::Unquoted(etag) if *etag == record.etag() => Ok(()),
        IfMatch::Quoted(_) | IfMatch::Unquoted(_) => {
            Err(Refusal::new(ErrorCode::PreconditionFailed, "Precondition failed: Invalid ETag"))
        }
    }
}
