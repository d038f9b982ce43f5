//! What the hub keeps of an MQTT session: subscriptions belong to the identity, not to the
//! connection, while it connects with clean session 0 (HUB-SESS-008, HUB-SESS-017).

use std::collections::BTreeMap;

use crate::wire::mqtt::Qos;
use crate::wire::topic::Filter;

/// The subscriptions of one identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    subscriptions: BTreeMap<Filter, Qos>,
}

impl Session {
    /// Subscribes and returns the quality of service granted: never more than 1 (HUB-SESS-001).
    pub fn subscribe(&mut self, filter: Filter, asked: Qos) -> Qos {
        let granted = asked.min(Qos::AtLeastOnce);
        self.subscriptions.insert(filter, granted);
        granted
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, filter: &Filter) {
        self.subscriptions.remove(filter);
    }

    /// Whether `filter` is subscribed.
    #[must_use]
    pub fn has(&self, filter: &Filter) -> bool {
        self.subscriptions.contains_key(filter)
    }

    /// The quality of service granted for `filter`.
    #[must_use]
    pub fn granted(&self, filter: &Filter) -> Option<Qos> {
        self.subscriptions.get(filter).copied()
    }

    /// How many filters are subscribed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether nothing is subscribed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }
}
