//! Courtesy towards hubs that are not ours: a cap on the rate of requests, and patience when they
//! say 429.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use twinspec_harness::trace::{Event, Message, Record};

use crate::verdict::{Checked, Stop};

/// The status of an answer, on HTTP and on MQTT, that says: too many requests.
const THROTTLED: u16 = 429;

/// How often a throttled request is sent again.
const AGAIN_MAX: u32 = 5;

/// The longest wait before a throttled request is sent again.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// For how long a wait for a turn is accounted for at a time.
const LOOK: Duration = Duration::from_secs(1);

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
}

impl Courtesy {
    /// Towards a hub with this pace; `repeats` says whether throttled requests are sent again.
    #[must_use]
    pub fn new(pace: Arc<Pace>, repeats: bool) -> Self {
        Self { pace, repeats, held_us: Arc::default(), repeated: Arc::default() }
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

    /// Waits for a turn among cases, however long the others take.
    pub async fn queue<T>(&self, turn: impl Future<Output = T>) -> T {
        let mut turn = pin!(turn);
        loop {
            self.hold(LOOK);
            if let Ok(turn) = timeout(LOOK, &mut turn).await {
                return turn;
            }
        }
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
