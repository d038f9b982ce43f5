//! Points in time as the protocol writes them.
//!
//! The model never reads a clock: a [`Time`] always comes in from outside.

use std::fmt;
use std::time::Duration;

use ::time::format_description::well_known::Rfc3339;
use ::time::{Date, Month, OffsetDateTime, PrimitiveDateTime};

/// Ticks of 100 ns in one second.
const TICKS_PER_SECOND: u64 = 10_000_000;

/// What the service writes for a time that was never set (HUB-META-012).
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// A point in time: 100 ns ticks since 1970-01-01 UTC, the resolution of the service's timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The given number of whole seconds after 1970-01-01 UTC.
    #[must_use]
    pub fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(TICKS_PER_SECOND))
    }

    /// The time that lies `since_epoch` after 1970-01-01 UTC.
    #[must_use]
    pub fn from_unix(since_epoch: Duration) -> Self {
        let ticks = since_epoch.as_nanos() / 100;
        Self(u64::try_from(ticks).unwrap_or(u64::MAX))
    }

    /// Parses ISO 8601 in UTC with 0 to 9 fractional digits; `None` for anything else, and for times
    /// before 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let nanos = u128::try_from(parsed.unix_timestamp_nanos()).ok()?;
        u64::try_from(nanos / 100).ok().map(Self)
    }

    /// Like [`Self::parse`] with 1970 for times before it, such as [`NEVER`].
    #[must_use]
    pub fn parse_or_epoch(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let nanos = u128::try_from(parsed.unix_timestamp_nanos()).unwrap_or(0);
        u64::try_from(nanos / 100).ok().map(Self)
    }

    /// Whole seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn unix_seconds(self) -> u64 {
        self.0 / TICKS_PER_SECOND
    }

    /// How long `self` lies after `earlier`; zero when it does not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let ticks = self.0.saturating_sub(earlier.0);
        Duration::new(
            ticks / TICKS_PER_SECOND,
            u32::try_from(ticks % TICKS_PER_SECOND).unwrap_or(0) * 100,
        )
    }

    /// The time `wait` later, or the end of time.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let ticks = u64::try_from(wait.as_nanos() / 100).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(ticks))
    }

    /// `month/day/year hour:minute:second`, the form inside the tracking ids of HTTP errors.
    #[must_use]
    pub fn tracking_stamp(self) -> String {
        let (date, seconds) = self.calendar();
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let month = u8::from(date.month());
        format!("{month:02}/{:02}/{} {hour:02}:{minute:02}:{second:02}", date.day(), date.year())
    }

    fn calendar(self) -> (Date, u64) {
        let epoch = PrimitiveDateTime::new(EPOCH, ::time::Time::MIDNIGHT);
        let seconds = i64::try_from(self.unix_seconds()).unwrap_or(i64::MAX);
        let moment = epoch.checked_add(::time::Duration::seconds(seconds)).unwrap_or(epoch);
        (moment.date(), self.unix_seconds() % 86_400)
    }
}

/// 1970-01-01.
const EPOCH: Date = match Date::from_calendar_date(1970, Month::January, 1) {
    Ok(date) => date,
    Err(_) => Date::MIN,
};

impl fmt::Display for Time {
    /// ISO 8601 in UTC with seven fractional digits, as the service writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, seconds) = self.calendar();
        write!(
            formatter,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            self.0 % TICKS_PER_SECOND
        )
    }
}

/// `time` as the service writes it, [`NEVER`] when there is none.
#[must_use]
pub fn or_never(time: Option<Time>) -> String {
    time.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_fractional_digits_survive_a_round_trip() {
        let text = "2031-05-04T10:11:12.1234567Z";
        assert_eq!(Time::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn a_text_without_fraction_is_read() {
        let time = Time::parse("2031-05-04T10:11:12Z").unwrap();
        assert_eq!(time.to_string(), "2031-05-04T10:11:12.0000000Z");
    }

    #[test]
    fn tracking_stamps_are_month_first() {
        let time = Time::parse("2031-03-02T09:08:07Z").unwrap();
        assert_eq!(time.tracking_stamp(), "03/02/2031 09:08:07");
    }
}
