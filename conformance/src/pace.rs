//! Courtesy towards hubs that are not ours: a cap on the rate of requests, and patience when they
//! say 429.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use twinspec_harness::operator::Answer;

/// How often a throttled request is sent again.
const AGAIN_MAX: u32 = 5;

/// The longest wait before a throttled request is sent again.
const WAIT_MAX: Duration = Duration::from_secs(30);

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

    /// Waits for the next free place.
    pub async fn place(&self) {
        let Some(gap) = self.gap else { return };
        let mine = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let mine = (*next).max(Instant::now());
            *next = mine + gap;
            mine
        };
        sleep_until(mine).await;
    }
}

/// Waits before a throttled request is sent for the `attempt`th time again; `false` when it has
/// been sent often enough. The hub's own `Retry-After` counts, otherwise 1, 2, 4, … seconds.
pub async fn back_off(answer: &Answer, attempt: u32) -> bool {
    if answer.status.as_u16() != 429 || attempt >= AGAIN_MAX {
        return false;
    }
    let asked = answer.header("retry-after").and_then(|text| text.parse().ok());
    let wait = Duration::from_secs(asked.unwrap_or(1 << attempt));
    sleep(wait.min(WAIT_MAX)).await;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_keep_their_distance() {
        let pace = Pace::new(Some(200.0));
        let began = Instant::now();
        for _ in 0..5 {
            pace.place().await;
        }
        assert!(began.elapsed() >= Duration::from_millis(20));
    }
}
