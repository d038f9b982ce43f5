//! What the hub told its back ends, kept for those who ask.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;
use twinspec_model::event::Event;

/// Events kept, as JSON text: how many and how many bytes; older ones are forgotten.
const KEPT: Bound = Bound { events: 20_000, bytes: 64 << 20 };

/// Events of one answer; the next one goes on behind them.
const PAGE: Bound = Bound { events: 1000, bytes: 4 << 20 };

#[derive(Clone, Copy)]
struct Bound {
    events: usize,
    bytes: usize,
}

/// The latest events, numbered from 1.
#[derive(Default)]
pub(super) struct EventLog {
    events: VecDeque<Numbered>,
    /// Sum of the kept events' lengths.
    bytes: usize,
    last: u64,
    bell: Arc<Notify>,
}

struct Numbered {
    number: u64,
    device: String,
    /// JSON text: as values, events would take several times the room.
    text: Box<str>,
}

/// An answer to somebody who asked for events.
pub(super) struct EventPage {
    /// JSON objects as text.
    pub(super) events: Vec<Box<str>>,
    /// The number to go on from.
    pub(super) next: u64,
    /// Whether there are more behind `next` already.
    pub(super) more: bool,
    /// Whether events between `after` and these were forgotten.
    pub(super) lost: bool,
}

impl EventLog {
    pub(super) fn push(&mut self, event: &Event) {
        self.last += 1;
        let number = self.last;
        let device = event.identity.device.clone();
        let mut value = event.to_json();
        if let Some(members) = value.as_object_mut() {
            members.insert("number".to_owned(), json!(number));
        }
        let text = value.to_string().into_boxed_str();
        self.bytes += text.len();
        self.events.push_back(Numbered { number, device, text });
        while self.events.len() > KEPT.events || self.bytes > KEPT.bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
        self.bell.notify_waiters();
    }

    pub(super) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// The events after the number `after`, of one device or of all: at least one where there is
    /// one, however long it is.
    pub(super) fn page(&self, after: u64, device: Option<&str>) -> EventPage {
        let first = self.events.front().map_or(1, |numbered| numbered.number);
        let lost = after.saturating_add(1) < first;
        let mut page = EventPage { events: Vec::new(), next: self.last, more: false, lost };
        let mut bytes = 0;
        let wanted = self.events.iter().filter(|numbered| {
            numbered.number > after && device.is_none_or(|device| device == numbered.device)
        });
        let mut next = after;
        for numbered in wanted {
            bytes += numbered.text.len();
            let is_full = page.events.len() >= PAGE.events || bytes > PAGE.bytes;
            if is_full && !page.events.is_empty() {
                return EventPage { next, more: true, ..page };
            }
            page.events.push(numbered.text.clone());
            next = numbered.number;
        }
        page
    }
}

impl EventPage {
    /// The page as the control interface writes it.
    pub(super) fn to_json(&self) -> String {
        let Self { events, next, more, lost } = self;
        let events = events.join(",");
        format!(r#"{{"events":[{events}],"next":{next},"more":{more},"lost":{lost}}}"#)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::Value;
    use twinspec_model::event::Source;
    use twinspec_model::identity::Identity;
    use twinspec_model::time::Time;

    use super::*;

    fn log(events: usize, body: usize) -> EventLog {
        let mut log = EventLog::default();
        for _ in 0..events {
            log.push(&Event {
                source: Source::Telemetry,
                identity: Identity::device("d"),
                properties: Vec::new(),
                system: Vec::new(),
                body: Bytes::from(vec![b'x'; body]),
                at: Time::from_unix_seconds(0),
            });
        }
        log
    }

    /// All numbers, page by page, and how many pages there were.
    fn walk(log: &EventLog) -> (Vec<u64>, usize) {
        let (mut numbers, mut after, mut pages) = (Vec::new(), 0, 0);
        loop {
            let page: Value = serde_json::from_str(&log.page(after, None).to_json()).unwrap();
            let events = page.get("events").and_then(Value::as_array).unwrap();
            let number = |event: &Value| event.get("number").and_then(Value::as_u64).unwrap();
            numbers.extend(events.iter().map(number));
            pages += 1;
            after = page.get("next").and_then(Value::as_u64).unwrap();
            if page.get("more") != Some(&Value::Bool(true)) {
                return (numbers, pages);
            }
        }
    }

    #[test]
    fn pages_bring_every_event_once() {
        assert_eq!(walk(&log(0, 0)), (Vec::new(), 1));
        assert_eq!(walk(&log(2500, 1)), ((1..=2500).collect(), 3));
        let (numbers, pages) = walk(&log(10, 1 << 20));
        assert_eq!(numbers, (1..=10).collect::<Vec<u64>>());
        assert!(pages >= 3, "{pages} pages of a few mebibytes");
        assert_eq!(walk(&log(2, 5 << 20)), (vec![1, 2], 2));
    }

    #[test]
    fn large_events_push_the_oldest_out() {
        let log = log(80, 1 << 20);
        assert!(log.bytes <= KEPT.bytes && log.events.len() < 65, "{} bytes", log.bytes);
        assert_eq!(log.bytes, log.events.iter().map(|event| event.text.len()).sum::<usize>());
        let page = log.page(0, None);
        assert!(page.lost && !page.events.is_empty());
        assert!(!log.page(u64::MAX, None).lost);
    }
}
