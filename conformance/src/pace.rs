//! Courtesy towards hubs that are not ours: a cap on the rate of requests, and patience when they
//! say 429, or answer 5xx to what only prepares a case.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use twinspec_harness::trace::{Event, Message, Record};

use crate::verdict::{Checked, Stop};

/// The status of an answer, on HTTP and on MQTT, that says: too many requests.
const THROTTLED: u16 = 429;

/// Statuses by which a hub, or what stands before it, says that it is not well: nothing about the
/// request.
const UNWELL: [u16; 4] = [500, 502, 503, 504];

/// How often a throttled request is sent again.
const AGAIN_MAX: u32 = 5;

/// How often a request that only prepares a case is sent again to a hub that is not well.
const RECOVERIES_MAX: u32 = 3;

/// The first wait for it to recover; it doubles.
const RECOVERY: Duration = Duration::from_millis(250);

/// In such pieces time is taken out of a case's budget while it waits for others.
const SLICE: Duration = Duration::from_secs(1);

/// The longest wait before a throttled request is sent again.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The longest that a throttled request is waited for in all.
pub(crate) const THROTTLED_MAX: Duration = WAIT_MAX.saturating_mul(AGAIN_MAX);

/// Whether `status` says that the hub is not well.
#[must_use]
pub fn is_unwell(status: u16) -> bool {
    UNWELL.contains(&status)
}

/// Spreads requests over time.
#[derive(Debug)]
pub struct Pace {
    /// Time between two requests; none for a hub that takes all.
    gap: Option<Duration>,
    next: Mutex<Instant>,
}

impl Pace {
    /// At most `per_second` requests in a second; any number for `None`.
    #[must_use]
    pub fn new(per_second: Option<f64>) -> Self {
        let gap = per_second.filter(|rate| *rate > 0.0).map(|rate| 1.0 / rate);
        Self { gap: gap.map(Duration::from_secs_f64), next: Mutex::new(Instant::now()) }
    }

    /// Takes the next free place.
    fn next(&self) -> Instant {
        let now = Instant::now();
        let Some(gap) = self.gap else { return now };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = (*next).max(now);
        *next = mine + gap;
        mine
    }
}

/// How a case waits on purpose: for a place among the requests, for a hub that throttles, for time
/// to pass. What is spent here does not count against the case's own budget.
#[derive(Clone, Debug)]
pub struct Courtesy {
    pace: Arc<Pace>,
    /// Whether requests that were throttled are sent again; our own hub throttles only where a case
    /// is about that.
    repeats: bool,
    held_us: Arc<AtomicU64>,
    /// Twin requests that were sent again.
    repeated: Arc<AtomicUsize>,
    /// Requests that only prepare a case and were sent again.
    recovered: Arc<AtomicUsize>,
    /// Whether a connection could not be opened, or was lost under a request.
    broken: Arc<AtomicBool>,
}

impl Courtesy {
    /// Towards a hub with this pace; `repeats` says whether throttled requests are sent again.
    #[must_use]
    pub fn new(pace: Arc<Pace>, repeats: bool) -> Self {
        Self {
            pace,
            repeats,
            held_us: Arc::default(),
            repeated: Arc::default(),
            recovered: Arc::default(),
            broken: Arc::default(),
        }
    }

    /// Whether the hub is one that is borne with: not ours.
    #[must_use]
    pub fn bears(&self) -> bool {
        self.repeats
    }

    /// Waits for the next free place for a request.
    pub async fn place(&self) {
        let mine = self.pace.next();
        self.hold(mine.saturating_duration_since(Instant::now()));
        sleep_until(mine).await;
    }

    /// Lets `time` pass.
    pub async fn wait(&self, time: Duration) {
        self.hold(time);
        sleep(time).await;
    }

    /// Waits for other cases, up to `most`; `None` when `other` does not come about.
    pub async fn during<T>(&self, most: Duration, other: impl Future<Output = T>) -> Option<T> {
        let mut other = pin!(other);
        let until = Instant::now() + most;
        while Instant::now() < until {
            // Beforehand, for the case's deadline may pass meanwhile.
            self.hold(SLICE);
            let began = Instant::now();
            if let Ok(done) = timeout(SLICE, &mut other).await {
                self.release(SLICE.saturating_sub(began.elapsed()));
                return Some(done);
            }
        }
        None
    }

    /// How long was waited in all; a wait counts from its beginning.
    #[must_use]
    pub fn held(&self) -> Duration {
        Duration::from_micros(self.held_us.load(Ordering::Relaxed))
    }

    /// Whether a request that got the status `status` is to be sent for the `attempt`th time again,
    /// after a wait: the `asked` seconds of a `Retry-After`, otherwise 1, 2, 4, …
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when it has been sent often enough.
    pub async fn again(&self, status: u16, asked: Option<&str>, attempt: u32) -> Checked<bool> {
        if status != THROTTLED || !self.repeats {
            return Ok(false);
        }
        if attempt >= AGAIN_MAX {
            let why = format!("the hub throttles: still 429 after {AGAIN_MAX} repetitions");
            return Err(Stop::Inconclusive(why));
        }
        let asked = asked.and_then(|text| text.parse().ok());
        let wait = Duration::from_secs(asked.unwrap_or(1 << attempt));
        self.wait(wait.min(WAIT_MAX)).await;
        Ok(true)
    }

    /// [`Self::again`] for a twin request over MQTT.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when it has been sent often enough.
    pub async fn twin_again(&self, status: u16, attempt: u32) -> Checked<bool> {
        let again = self.again(status, None, attempt).await?;
        if again {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        }
        Ok(again)
    }

    /// Whether a request that only prepares a case and got the status `status` is to be sent for the
    /// `attempt`th time again, after a wait: the `asked` seconds of a `Retry-After`, or a short one.
    pub async fn recovers(&self, status: u16, asked: Option<&str>, attempt: u32) -> bool {
        if !self.repeats || !is_unwell(status) || attempt >= RECOVERIES_MAX {
            return false;
        }
        let asked = asked.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        self.wait(asked.unwrap_or(RECOVERY * (1 << attempt)).min(WAIT_MAX)).await;
        self.recovered.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// How many requests that only prepare the case were sent again.
    #[must_use]
    pub fn recovered(&self) -> usize {
        self.recovered.load(Ordering::Relaxed)
    }

    /// Notes that a connection could not be opened, or was lost under a request.
    pub fn note_broken(&self) {
        self.broken.store(self.repeats, Ordering::Relaxed);
    }

    /// Whether that was noted, of a hub that is borne with.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Whether `trace` holds a throttled twin request that was not sent again: the case that it
    /// belongs to could not show what it is about.
    #[must_use]
    pub fn is_unrepeated(&self, trace: &[Record]) -> bool {
        let is_throttled = |record: &&Record| {
            matches!(&record.event, Event::Received(Message { topic: Some(topic), .. })
                if topic.starts_with("$iothub/twin/res/429/"))
        };
        let throttled = trace.iter().filter(is_throttled).count();
        self.repeats && throttled > self.repeated.load(Ordering::Relaxed)
    }

    fn hold(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.held_us.fetch_add(time, Ordering::Relaxed);
    }

    /// Takes back a part of what was held.
    fn release(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.held_us.fetch_sub(time, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use twinspec_harness::trace::Recorder;
    use twinspec_model::wire::mqtt::{Packet, Publish};

    use super::*;

    fn courtesy(per_second: Option<f64>, repeats: bool) -> Courtesy {
        Courtesy::new(Arc::new(Pace::new(per_second)), repeats)
    }

    #[tokio::test]
    async fn requests_keep_their_distance() {
        let courtesy = courtesy(Some(200.0), true);
        let began = Instant::now();
        for _ in 0..5 {
            courtesy.place().await;
        }
        assert!(began.elapsed() >= Duration::from_millis(20));
        assert!(courtesy.held() > Duration::from_millis(5));
    }

    #[tokio::test]
    async fn waiting_for_others_does_not_count_and_has_a_bound() {
        let courtesy = courtesy(None, true);
        let soon = sleep(Duration::from_millis(50));
        assert!(courtesy.during(Duration::from_secs(60), soon).await.is_some());
        let held = courtesy.held();
        assert!(held >= Duration::from_millis(50) && held < SLICE, "{held:?}");
        let never = std::future::pending::<()>();
        assert!(courtesy.during(Duration::from_millis(1), never).await.is_none());
        assert!(courtesy.held() >= SLICE);
    }

    #[tokio::test]
    async fn what_prepares_a_case_is_repeated_within_a_bound_where_the_hub_is_not_ours() {
        let ours = courtesy(None, false);
        assert!(!ours.recovers(503, Some("0"), 0).await);
        let foreign = courtesy(None, true);
        assert!(!foreign.recovers(200, None, 0).await);
        assert!(!foreign.recovers(501, None, 0).await, "it says something about the request");
        assert!(foreign.recovers(503, Some("0"), 0).await);
        assert!(!foreign.recovers(503, Some("0"), RECOVERIES_MAX).await);
        assert_eq!(foreign.recovered(), 1);
    }

    #[tokio::test]
    async fn throttled_requests_are_repeated_within_a_bound_and_never_judged() {
        let courtesy = courtesy(None, true);
        assert!(matches!(courtesy.again(200, None, 0).await, Ok(false)));
        assert!(matches!(courtesy.again(429, Some("0"), 0).await, Ok(true)));
        let enough = courtesy.again(429, Some("0"), AGAIN_MAX).await;
        assert!(matches!(enough, Err(Stop::Inconclusive(_))));
    }

    fn throttled() -> Vec<Record> {
        let recorder = Recorder::new(false);
        let answer = Publish::at_most_once("$iothub/twin/res/429/?$rid=1", "");
        recorder.record("device", Event::Received(recorder.message(&Packet::Publish(answer))));
        recorder.records()
    }

    #[tokio::test]
    async fn what_a_case_could_not_repeat_is_noticed() {
        let courtesy = courtesy(None, true);
        assert!(courtesy.is_unrepeated(&throttled()));
        assert!(matches!(courtesy.twin_again(204, 0).await, Ok(false)));
        assert!(courtesy.is_unrepeated(&throttled()));
        assert!(matches!(courtesy.twin_again(429, 0).await, Ok(true)));
        assert!(!courtesy.is_unrepeated(&throttled()));
    }

    #[tokio::test]
    async fn our_own_hub_is_judged_when_it_throttles() {
        let courtesy = courtesy(None, false);
        assert!(matches!(courtesy.again(429, None, 0).await, Ok(false)));
        assert!(!courtesy.is_unrepeated(&throttled()));
    }
}
