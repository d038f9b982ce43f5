//! When configurations look at which twins: only at those that changed, a slice of them at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Entity, Hub, Output};
use crate::configuration::{Configuration, Resolved, Settings, Status, Targeting, resolve};
use crate::identity::Identity;
use crate::query::Collection;
use crate::time::Time;
use crate::twin::limits::TwinLimits;
use crate::twin::{SectionWrite, TwinWrite, WriteMode};

/// Twins looked at in one tick: a hub with many stays responsive between ticks.
const SLICE: usize = 1000;

/// The twins that configurations have yet to look at.
#[derive(Debug, Default)]
pub(super) struct Rollout {
    /// What changed since the batch began.
    changed: BTreeSet<Identity>,
    /// What is being worked off: a twin that changes all the time keeps no other one waiting.
    batch: BTreeSet<Identity>,
    due: Option<Time>,
}

impl Rollout {
    /// When the next slice is due; `None` while nothing waits.
    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }

    fn add(&mut self, identity: Identity, due: Time) {
        self.changed.insert(identity);
        self.due.get_or_insert(due);
    }

    fn next(&mut self) -> Option<Identity> {
        if self.batch.is_empty() {
            self.batch = std::mem::take(&mut self.changed);
        }
        self.batch.pop_first()
    }

    /// Sets when to go on: at once within a batch, after `wait` with the next one.
    fn schedule(&mut self, now: Time, wait: Duration) {
        self.due = match (self.batch.is_empty(), self.changed.is_empty()) {
            (false, _) => Some(now),
            (true, false) => Some(now.after(wait)),
            (true, true) => None,
        };
    }
}

impl Hub {
    /// Notes that a twin or its identity changed, for configurations to look at.
    pub(super) fn touch(&mut self, now: Time, identity: &Identity) {
        if self.configurations.is_empty() {
            return;
        }
        let due = now.after(self.config.limits.rollout_wait);
        self.rollout.add(identity.clone(), due);
    }

    /// Notes that all twins for which `concerned` holds are to be looked at.
    pub(super) fn touch_all(&mut self, now: Time, concerned: impl Fn(&Entity) -> bool) {
        let due = now.after(self.config.limits.rollout_wait);
        for (identity, entity) in &self.entities {
            if concerned(entity) {
                self.rollout.add(identity.clone(), due);
            }
        }
    }

    /// Looks at the next slice of changed twins when that is due.
    pub(super) fn roll_out(&mut self, now: Time, outputs: &mut Vec<Output>) {
        if self.rollout.due.is_none_or(|due| due > now) {
            return;
        }
        let mut ranked: Vec<&Configuration> =
            self.configurations.values().filter(|c| !c.terms.target.is_nothing()).collect();
        ranked.sort_by_key(|configuration| std::cmp::Reverse(configuration.rank()));
        let stage = Stage {
            hub: &self.config.hostname,
            limits: &self.config.twin_limits,
            events: self.config.events,
            now,
        };
        for _ in 0..SLICE {
            let Some(identity) = self.rollout.next() else { break };
            // It may be gone meanwhile.
            if let Some(entity) = self.entities.get_mut(&identity) {
                entity.settle(&ranked, &stage, outputs);
            }
        }
        self.rollout.schedule(now, self.config.limits.rollout_wait);
    }
}

/// What a twin that is looked at needs to know of its hub.
struct Stage<'a> {
    hub: &'a str,
    limits: &'a TwinLimits,
    events: bool,
    now: Time,
}

impl Entity {
    /// Brings the twin in line with the configurations, `ranked` with the highest rank first.
    fn settle(&mut self, ranked: &[&Configuration], stage: &Stage<'_>, outputs: &mut Vec<Output>) {
        let next = self.resolved(ranked);
        if self.targeting.is_none() && next == Resolved::default() {
            return;
        }
        let mut targeting = self.targeting.take().unwrap_or_default();
        let update = targeting.update(&next, &self.twin.desired.members());
        if update.is_empty() || self.take_update(update, stage, outputs) {
            targeting.advance(next);
        } else {
            targeting.fall_back(next);
        }
        self.targeting = Some(targeting).filter(|targeting| !targeting.is_empty());
    }

    fn resolved(&self, ranked: &[&Configuration]) -> Resolved {
        if ranked.is_empty() {
            return Resolved::default();
        }
        let collection = match self.record.identity.module {
            None => Collection::Devices,
            Some(_) => Collection::Modules,
        };
        let twin = self.target_row();
        let layers: Vec<(&str, &Settings)> = ranked
            .iter()
            .filter_map(|c| Some((c.id.as_str(), c.settings_for(collection, &twin)?)))
            .collect();
        resolve(&layers)
    }

    /// Writes desired properties as a back end does; `false` when the twin cannot take them.
    fn take_update(
        &mut self,
        update: crate::twin::Members,
        stage: &Stage<'_>,
        outputs: &mut Vec<Output>,
    ) -> bool {
        let write = TwinWrite { tags: None, desired: Some(SectionWrite::Members(update)) };
        let mode = WriteMode::Patch;
        let Ok(change) = self.twin.write(mode, &write, stage.limits, stage.now) else {
            return false;
        };
        if let Some(notification) = change.notification {
            self.notify(notification, outputs);
        }
        if stage.events {
            outputs.push(self.written_event(stage.hub, mode, &write, stage.now));
        }
        true
    }

    /// The twin as target conditions see it: ids, tags, properties and what the registry sets.
    /// Connection state and activity are left out, as no condition is documented to look at them.
    fn target_row(&self) -> Value {
        let identity = &self.record.identity;
        let settings = &self.record.settings;
        let mut row = json!({
            "deviceId": identity.device,
            "tags": self.twin.tags.members(),
            "properties": {
                "desired": self.twin.desired.with_version(),
                "reported": self.twin.reported.with_version(),
            },
            "status": self.record.status(),
            "authenticationType": settings.authentication.name(),
            "capabilities": { "iotEdge": settings.edge },
            "parentScopes": settings.parent_scopes,
        });
        if let Some(row) = row.as_object_mut() {
            let module = identity.module.as_ref();
            row.extend(module.map(|module| ("moduleId".to_owned(), json!(module))));
            let scope = settings.device_scope.as_ref();
            row.extend(scope.map(|scope| ("deviceScope".to_owned(), json!(scope))));
        }
        row
    }

    /// The member `configurations` of the twin; none for a twin that is no target.
    pub(super) fn configuration_statuses(&self) -> Option<Value> {
        let statuses = self.statuses()?;
        let status =
            |(id, status): (&String, &Status)| (id.clone(), json!({ "status": status.name() }));
        let statuses: BTreeMap<String, Value> = statuses.iter().map(status).collect();
        (!statuses.is_empty()).then(|| json!(statuses))
    }

    /// The configurations that target the twin.
    pub(super) fn statuses(&self) -> Option<&BTreeMap<String, Status>> {
        self.targeting.as_deref().map(Targeting::statuses)
    }
}
