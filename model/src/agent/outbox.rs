//! Reports on their way to the hub (device-update-agent.md § 9).
//!
//! One report is under way at a time, so the hub sees them in order. What was not answered is sent
//! again after a new connection, and what was refused after a pause. A newer report of the same
//! kind takes the place of one that was refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Time;

/// How often a report that the hub finds wrong is tried again, before it is given up.
const REFUSALS_MAX: u32 = 12;

/// How often the pause doubles.
const DOUBLINGS_MAX: u32 = 9;

/// The most reports that wait; more means that the hub has not been there for very long.
const WAITING_MAX: usize = 64;

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `deviceInformation`.
    Information,
    /// The startup message.
    Startup,
    /// The state of a deployment.
    State,
    /// The acknowledgement of a desired object.
    Acknowledgement,
    /// The end of a log upload.
    Logs,
    /// The acknowledgement of a request for logs.
    LogsAcknowledgement,
}

/// One report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// Names it.
    pub id: u64,
    /// What it is about.
    pub kind: Kind,
    /// The patch of the reported properties.
    pub patch: Value,
}

/// The reports that were not taken by the hub yet, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    reports: Vec<Pending>,
    next: u64,
}

/// How long to wait for an answer and before another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resend {
    /// How long an answer may take.
    pub answer: Duration,
    /// The pause after the first refusal.
    pub pause: Duration,
}

impl Default for Resend {
    /// 30 s and 31 s, as observed (§ 9).
    fn default() -> Self {
        Self { answer: Duration::from_secs(30), pause: Duration::from_secs(31) }
    }
}

/// What delivery remembers of this process only: after a restart everything is due at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    connected: bool,
    under_way: Option<(u64, Time)>,
    refused: BTreeMap<u64, (u32, Time)>,
    /// The hub asked for a pause: it throttles or is in trouble.
    hold: Option<Time>,
    troubles: u32,
}

impl Outbox {
    /// The reports, oldest first.
    #[must_use]
    pub fn reports(&self) -> &[Pending] {
        &self.reports
    }

    /// Whether everything was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }
}

impl Delivery {
    /// Queues a report; one of the same kind that was refused gives way.
    pub(super) fn push(&mut self, outbox: &mut Outbox, kind: Kind, patch: Value) {
        let refused = &mut self.refused;
        outbox.reports.retain(|old| old.kind != kind || refused.remove(&old.id).is_none());
        if kind == Kind::Startup || kind == Kind::Information {
            outbox.reports.retain(|old| old.kind != kind);
        }
        if outbox.reports.len() >= WAITING_MAX
            && let Some(oldest) = outbox.reports.iter().position(|old| old.kind == kind)
        {
            outbox.reports.remove(oldest);
        }
        outbox.next = outbox.next.saturating_add(1);
        outbox.reports.push(Pending { id: outbox.next, kind, patch });
    }

    pub(super) fn connected(&mut self) {
        self.connected = true;
        self.under_way = None;
        self.refused.clear();
        self.hold = None;
    }

    pub(super) fn disconnected(&mut self) {
        self.connected = false;
        self.under_way = None;
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Takes an answer; what it means for the reader of a log, when it is no success.
    pub(super) fn answered(
        &mut self,
        outbox: &mut Outbox,
        report: u64,
        status: u16,
        resend: Resend,
        now: Time,
    ) -> Option<String> {
        let (id, _) = self.under_way.filter(|(id, _)| *id == report)?;
        self.under_way = None;
        match status {
            200..=299 => {
                self.troubles = 0;
                self.refused.remove(&id);
                outbox.reports.retain(|pending| pending.id != id);
                None
            }
            429 | 500..=599 => {
                self.troubles = self.troubles.saturating_add(1);
                self.hold = Some(now.after(pause(resend, self.troubles)));
                Some(format!("report {id} was put off by the hub: status {status}"))
            }
            _ => {
                let refusals = self.refused.get(&id).map_or(0, |(count, _)| *count) + 1;
                if refusals >= REFUSALS_MAX {
                    self.refused.remove(&id);
                    outbox.reports.retain(|pending| pending.id != id);
                    return Some(format!("report {id} is given up: status {status}"));
                }
                self.refused.insert(id, (refusals, now.after(pause(resend, refusals))));
                Some(format!("report {id} was refused by the hub: status {status}"))
            }
        }
    }

    /// The report to send now, if any.
    pub(super) fn next(
        &mut self,
        outbox: &Outbox,
        resend: Resend,
        now: Time,
    ) -> Option<(u64, Value)> {
        if self.under_way.is_some_and(|(_, until)| until <= now) {
            self.under_way = None;
        }
        if !self.connected || self.under_way.is_some() || self.hold.is_some_and(|at| at > now) {
            return None;
        }
        self.hold = None;
        let is_due = |id| self.refused.get(id).is_none_or(|(_, at)| *at <= now);
        let pending = outbox.reports.iter().find(|pending| is_due(&pending.id))?;
        self.under_way = Some((pending.id, now.after(resend.answer)));
        Some((pending.id, pending.patch.clone()))
    }

    /// When [`Self::next`] may have something new to say.
    pub(super) fn deadline(&self, outbox: &Outbox) -> Option<Time> {
        if !self.connected || outbox.is_empty() {
            return None;
        }
        if let Some((_, until)) = self.under_way {
            return Some(until);
        }
        let refused = self.refused.values().map(|(_, at)| *at).min();
        self.hold.or(refused)
    }
}

fn pause(resend: Resend, times: u32) -> Duration {
    let factor = 1u32 << times.saturating_sub(1).min(DOUBLINGS_MAX);
    resend.pause.saturating_mul(factor)
}
