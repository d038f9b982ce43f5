//! What the hub told its back ends, kept for those who ask.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;
use twinspec_model::event::Event;

/// Events kept; older ones are forgotten.
const EVENTS_MAX: usize = 20_000;

/// The latest events, numbered from 1.
#[derive(Default)]
pub(super) struct EventLog {
    events: VecDeque<Numbered>,
    last: u64,
    bell: Arc<Notify>,
}

struct Numbered {
    number: u64,
    device: String,
    event: Value,
}

/// An answer to somebody who asked for events.
pub(super) struct EventPage {
    pub(super) events: Vec<Value>,
    /// The number to go on from.
    pub(super) next: u64,
    /// Whether events between `after` and these were forgotten.
    pub(super) lost: bool,
}

impl EventLog {
    pub(super) fn push(&mut self, event: &Event) {
        self.last += 1;
        let number = self.last;
        let device = event.identity.device.clone();
        self.events.push_back(Numbered { number, device, event: event.to_json() });
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
        self.bell.notify_waiters();
    }

    pub(super) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    pub(super) fn page(&self, after: u64, device: Option<&str>) -> EventPage {
        let wanted = |numbered: &&Numbered| {
            numbered.number > after && device.is_none_or(|device| device == numbered.device)
        };
        let entry = |numbered: &Numbered| {
            let mut event = numbered.event.clone();
            if let Some(members) = event.as_object_mut() {
                members.insert("number".to_owned(), json!(numbered.number));
            }
            event
        };
        let first = self.events.front().map_or(1, |numbered| numbered.number);
        EventPage {
            events: self.events.iter().filter(wanted).map(entry).collect(),
            next: self.last,
            lost: after + 1 < first,
        }
    }
}
