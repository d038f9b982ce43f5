//! The hub's clock, and an agent's: the machine's, which never goes back, moved forward on request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use twinspec_model::time::Time;

/// A clock shared by the shell of one hub or agent.
#[derive(Clone, Debug)]
pub struct Clock {
    reckoned: Arc<Mutex<Reckoned>>,
    ahead_ms: Arc<AtomicU64>,
}

impl Default for Clock {
    fn default() -> Self {
        let reckoned = Reckoned { time: wall_time(), at: Instant::now() };
        Self { reckoned: Arc::new(Mutex::new(reckoned)), ahead_ms: Arc::default() }
    }
}

impl Clock {
    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Time {
        let mut reckoned = self.reckoned.lock().unwrap_or_else(PoisonError::into_inner);
        let now = reckoned.now(wall_time(), Instant::now());
        let ahead = Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst));
        Time::from_unix(now + ahead)
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(millis, Ordering::SeqCst);
    }
}

/// What the machine's clock shows now, wherever it was set to: for what other machines will judge.
pub(crate) fn wall_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A time, and when it was that.
#[derive(Debug)]
struct Reckoned {
    time: Duration,
    at: Instant,
}

impl Reckoned {
    /// The time at the moment `at`, when the machine's clock shows `wall`.
    ///
    /// A clock that is set back is not followed: what waits for a deadline would wait on. One that
    /// is ahead is: the steady clock may stand still while the machine sleeps, and tokens do not.
    fn now(&mut self, wall: Duration, at: Instant) -> Duration {
        let reckoned = self.time + at.saturating_duration_since(self.at);
        *self = Self { time: reckoned.max(wall), at: at.max(self.at) };
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_clock_that_is_set_back_is_not_followed_and_one_that_is_ahead_is() {
        let (noon, at) = (HOUR * 12, Instant::now());
        let mut reckoned = Reckoned { time: noon, at };
        assert_eq!(reckoned.now(noon + SECOND, at + SECOND), noon + SECOND);
        assert_eq!(reckoned.now(noon - HOUR, at + SECOND * 2), noon + SECOND * 2);
        assert_eq!(reckoned.now(noon - HOUR, at + SECOND * 3), noon + SECOND * 3);
        // The machine slept for an hour.
        assert_eq!(reckoned.now(noon + HOUR, at + SECOND * 4), noon + HOUR);
        assert_eq!(reckoned.now(noon + HOUR, at + SECOND * 5), noon + HOUR + SECOND);
    }
}
