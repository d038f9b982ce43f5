//! When configurations look at which twins: only at those that changed, a slice of them at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Entity, Hub, HubConfig, Output};
use crate::configuration::{Configuration, Resolved, Settings, Status, Targeting, resolve};
use crate::identity::Identity;
use crate::query::{Collection, Datum, Row};
use crate::time::Time;
use crate::twin::{Members, SectionWrite, TwinWrite, WriteMode};

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
        for _ in 0..SLICE {
            let Some(identity) = self.rollout.next() else { break };
            // It may be gone meanwhile.
            if let Some(entity) = self.entities.get_mut(&identity) {
                entity.settle(&ranked, &self.config, now, outputs);
            }
        }
        self.rollout.schedule(now, self.config.limits.rollout_wait);
    }
}

/// A twin as target conditions see it: without what changes by itself, at which no condition is
/// documented to look, and without what configurations make of it.
struct Candidate<'a>(&'a Entity);

impl Row for Candidate<'_> {
    fn look(&self, root: &str, rest: &[String]) -> Datum<'_> {
        match root {
            "configurations"
            | "connectionState"
            | "lastActivityTime"
            | "etag"
            | "version"
            | "cloudToDeviceMessageCount"
            | "modelId" => Datum::Undefined,
            _ => self.0.look(root, rest),
        }
    }

    fn to_value(&self) -> Value {
        self.0.to_value()
    }
}

impl Entity {
    /// Brings the twin in line with the configurations, `ranked` with the highest rank first.
    fn settle(
        &mut self,
        ranked: &[&Configuration],
        config: &HubConfig,
        now: Time,
        outputs: &mut Vec<Output>,
    ) {
        let next = self.resolved(ranked);
        if self.targeting.is_none() && next == Resolved::default() {
            return;
        }
        let mut targeting = self.targeting.take().unwrap_or_default();
        let update = targeting.update(&next, &self.twin.desired.members());
        if update.is_empty() || self.take_update(update, config, now, outputs) {
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
        let twin = Candidate(self);
        let layers: Vec<(&str, &Settings)> = ranked
            .iter()
            .filter_map(|c| Some((c.id.as_str(), c.settings_for(collection, &twin)?)))
            .collect();
        resolve(&layers)
    }

    /// Writes desired properties as a back end does; `false` when the twin cannot take them.
    fn take_update(
        &mut self,
        update: Members,
        config: &HubConfig,
        now: Time,
        outputs: &mut Vec<Output>,
    ) -> bool {
        let write = TwinWrite { tags: None, desired: Some(SectionWrite::Members(update)) };
        self.write_twin(config, WriteMode::Patch, &write, now, outputs).is_ok()
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
