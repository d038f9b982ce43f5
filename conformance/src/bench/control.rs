//! The control interface of a hub, as a case uses it (harness/CONTROL.md).

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use twinspec_harness::clock::Clock;
use twinspec_harness::operator::{Answer, Request};
use twinspec_model::time::Time;
use twinspec_model::wire::percent;

use super::{ANSWER, Bench, REAL_TIME_MAX};
use crate::verdict::{Checked, Stop};

/// How long one look at the events waits for a new one.
const LOOK: Duration = Duration::from_secs(2);

/// What one look at the event stream brought.
struct EventPage {
    events: Vec<Value>,
    /// The number to go on from.
    next: u64,
    /// Whether there is more behind it already.
    more: bool,
    /// Whether older events were forgotten.
    lost: bool,
}

impl Bench {
    /// Moves the hub's clock forward; whatever became due has happened afterwards. Without a control
    /// interface, waits that long.
    ///
    /// # Errors
    /// [`Stop::Harness`] when the control interface does not play along, [`Stop::Unsupported`] when
    /// the case would wait too long.
    pub async fn advance(&mut self, by: Duration) -> Checked {
        if self.target.control.is_none() {
            return self.live_through(by).await;
        }
        let milliseconds = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let body = json!({ "milliseconds": milliseconds });
        self.control(Method::POST, "/clock/advance", Some(&body)).await?;
        self.target.clock.advance(by);
        Ok(())
    }

    async fn live_through(&mut self, time: Duration) -> Checked {
        self.waited += time;
        if self.waited > REAL_TIME_MAX {
            let minutes = REAL_TIME_MAX.as_secs() / 60;
            return Err(Stop::Unsupported(format!(
                "takes more than {minutes} minutes of real time; see --control"
            )));
        }
        self.courtesy.wait(time).await;
        Ok(())
    }

    /// What time the hub believes it is; without a control interface, what this machine believes.
    ///
    /// # Errors
    /// [`Stop::Harness`] when the control interface does not play along.
    pub async fn now(&self) -> Checked<Time> {
        if self.target.control.is_none() {
            return Ok(Clock::default().now());
        }
        let answer = self.control(Method::GET, "/clock", None).await?.json();
        let now = answer.get("now").and_then(Value::as_str).and_then(Time::parse);
        now.ok_or_else(|| Stop::Harness(format!("the control interface's clock says {answer}")))
    }

    /// Sends a cloud-to-device message with `properties` (no value for null) and a text body.
    ///
    /// # Errors
    /// [`Stop::Harness`] when the control interface does not play along.
    pub async fn send_to_device(
        &mut self,
        device: &str,
        properties: &[(&str, Option<&str>)],
        body: &str,
    ) -> Checked {
        let path = format!("/devices/{}/messages", percent::encode(device));
        let body = json!({ "properties": properties, "body": body });
        self.control(Method::POST, &path, Some(&body)).await.map(drop)
    }

    /// Waits for the first event about `device` (its modules included) that `wanted` takes.
    ///
    /// # Errors
    /// Blames `requirement` when none comes in time.
    pub async fn event(
        &mut self,
        requirement: &'static str,
        allowed: &str,
        device: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Checked<Value> {
        let deadline = Instant::now() + self.budget(ANSWER);
        let mut after = 0;
        let mut lost = false;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let page = self.event_page(device, after, left.min(LOOK)).await?;
            if let Some(event) = page.events.into_iter().find(&wanted) {
                return Ok(event);
            }
            // Numbers are asked for once: what came before was no such event.
            (after, lost) = (page.next, lost || page.lost);
            if Instant::now() >= deadline && !page.more {
                let forgotten = if lost { "; older events were forgotten" } else { "" };
                return Err(Stop::Broken {
                    requirement,
                    allowed: allowed.to_owned(),
                    seen: format!("no such event within {:?}{forgotten}", self.budget(ANSWER)),
                });
            }
        }
    }

    /// All events about `device` (its modules included) so far, oldest first.
    ///
    /// # Errors
    /// [`Stop::Harness`] when the control interface does not play along.
    pub async fn events(&mut self, device: &str) -> Checked<Vec<Value>> {
        let (mut events, mut after) = (Vec::new(), 0);
        loop {
            let page = self.event_page(device, after, Duration::ZERO).await?;
            events.extend(page.events);
            if !page.more {
                return Ok(events);
            }
            after = page.next;
        }
    }

    /// One answer of the event stream, from behind the number `after`.
    async fn event_page(&self, device: &str, after: u64, wait: Duration) -> Checked<EventPage> {
        let (device, wait) = (percent::encode(device), wait.as_millis());
        let path = format!("/events?device={device}&after={after}&wait_ms={wait}");
        let page = self.control(Method::GET, &path, None).await?.json();
        let says = |name: &str| page.get(name) == Some(&Value::Bool(true));
        let next = page.get("next").and_then(Value::as_u64).unwrap_or(after);
        if says("more") && next <= after {
            let why = "the control interface has more events, but none behind those it sent";
            return Err(Stop::Harness(why.to_owned()));
        }
        Ok(EventPage {
            events: page.get("events").and_then(Value::as_array).cloned().unwrap_or_default(),
            next,
            more: says("more"),
            lost: says("lost"),
        })
    }

    async fn control(&self, method: Method, path: &str, body: Option<&Value>) -> Checked<Answer> {
        let control = self.target.control.as_ref().ok_or_else(|| {
            Stop::Harness("the case does not say that it needs the control interface".to_owned())
        })?;
        let request = Request {
            method,
            target: path.to_owned(),
            authorization: None,
            headers: Vec::new(),
            body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
        };
        let wait = self.budget(ANSWER) + LOOK;
        let answer = control.call(&request, wait, &self.recorder).await;
        let answer = answer.map_err(|error| Stop::Inconclusive(error.to_string()))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(Stop::Harness(format!("the control interface answers {path} with {answer}")))
    }
}
