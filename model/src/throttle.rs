//! Throttling as a switchable rule: a token bucket per kind of operation.
//!
//! Without a rule nothing is ever throttled; figures of the service are in hub-http.md § 10.

use std::time::Duration;

use crate::time::Time;

/// How many operations of one kind the hub takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleRule {
    /// Sustained rate.
    pub operations_per_second: u32,
    /// Operations that may come at once.
    pub burst: u32,
}

/// The state of one throttle.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    rule: ThrottleRule,
    /// Thousandths of an operation that may still be taken.
    left: u64,
    filled_at: Time,
}

impl Throttle {
    /// A full bucket.
    #[must_use]
    pub fn new(rule: ThrottleRule, now: Time) -> Self {
        Self { rule, left: u64::from(rule.burst) * 1000, filled_at: now }
    }

    /// Takes one operation; `false` when it must be refused.
    pub fn take(&mut self, now: Time) -> bool {
        let millis = u64::try_from(now.since(self.filled_at).as_millis()).unwrap_or(u64::MAX);
        let refill = millis.saturating_mul(u64::from(self.rule.operations_per_second));
        self.left = self.left.saturating_add(refill).min(u64::from(self.rule.burst) * 1000);
        // What is left of a millisecond counts the next time.
        self.filled_at = self.filled_at.after(Duration::from_millis(millis));
        let taken = self.left.checked_sub(1000);
        self.left = taken.unwrap_or(self.left);
        taken.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let now = Time::from_unix_seconds(1);
        let mut throttle = Throttle::new(ThrottleRule { operations_per_second: 2, burst: 3 }, now);
        assert_eq!([1; 4].map(|_| throttle.take(now)), [true, true, true, false]);
        let later = now.after(Duration::from_millis(500));
        assert_eq!([1; 2].map(|_| throttle.take(later)), [true, false]);
    }

    #[test]
    fn parts_of_a_millisecond_are_not_lost() {
        let now = Time::from_unix_seconds(1);
        let mut throttle = Throttle::new(ThrottleRule { operations_per_second: 1, burst: 2 }, now);
        assert!(throttle.take(now));
        let every = Duration::from_micros(1900);
        let taken = (1..=10_000).filter(|n| throttle.take(now.after(every * *n))).count();
        assert_eq!(taken, 1 + 19);
    }
}
