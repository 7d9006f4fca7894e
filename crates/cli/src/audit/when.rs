//! Times of day, always in UTC, in nanoseconds since 1970.
//!
//! A log tells time by the governor's clock, which begins anywhere. Its own records say what time
//! of day it was then: `time of day = clock + offset`.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// How the clock of a governor leads to the time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dial {
    offset_ns: Option<i128>,
}

impl Dial {
    /// The two clocks as a record shows them.
    pub fn set(&mut self, clock_ns: u64, unix_ns: u64) {
        self.offset_ns = Some(i128::from(unix_ns) - i128::from(clock_ns));
    }

    /// Whether it was ever set: without that, times are those of the clock.
    pub fn is_set(&self) -> bool {
        self.offset_ns.is_some()
    }

    /// The time of day at which the clock showed `clock_ns`.
    pub fn unix_ns(&self, clock_ns: u64) -> i128 {
        self.offset_ns.unwrap_or(0) + i128::from(clock_ns)
    }
}

/// `2026-01-31T09:30:00.000001Z`, to the microsecond.
pub fn utc(unix_ns: i128) -> String {
    match Timestamp::from_nanosecond(unix_ns) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => format!("{unix_ns} ns"),
    }
}

/// The same as short as it can be said: `2026-01-31T09:30:00Z`.
pub fn short(unix_ns: i128) -> String {
    match Timestamp::from_nanosecond(unix_ns) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{unix_ns} ns"),
    }
}

/// The day of a time.
pub fn day(unix_ns: i128) -> Date {
    let time = Timestamp::from_nanosecond(unix_ns).unwrap_or(Timestamp::MAX);
    Offset::UTC.to_datetime(time).date()
}

/// The beginning of a day.
pub fn midnight(day: Date) -> i128 {
    let time = Offset::UTC.to_timestamp(day.to_datetime(jiff::civil::Time::midnight()));
    time.unwrap_or(Timestamp::MAX).as_nanosecond()
}

/// A time on the command line: RFC 3339, a day, or how long ago.
pub fn parse(text: &str) -> Result<i128, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_nanosecond());
    }
    if let Ok(day) = text.parse::<Date>() {
        return Ok(midnight(day));
    }
    let ago = text.starts_with('-').then(|| text.parse::<SignedDuration>().ok()).flatten();
    let ago = ago.ok_or("write 2026-01-31T09:30:00Z, 2026-01-31, or how long ago: -2h, -30min")?;
    Ok(Timestamp::now().as_nanosecond() + ago.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let second = 1_000_000_000;
        assert_eq!(parse("1970-01-02T00:00:01Z"), Ok(86_401 * second));
        assert_eq!(parse("1970-01-02T02:00:01+02:00"), Ok(86_401 * second));
        assert_eq!(parse("1970-01-02"), Ok(86_400 * second));
        let now = Timestamp::now().as_nanosecond();
        for (text, ago) in [("-2h", 7_200), ("-30min", 1_800), ("-1h30m", 5_400), ("-45s", 45)] {
            let parsed = parse(text).unwrap();
            assert!((parsed + ago * second - now).abs() < 60 * second, "{text}");
        }
        for text in ["", "2h", "yesterday", "-", "12:00", "1970-13-01"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_dial_leads_from_the_clock_to_the_day() {
        let mut dial = Dial::default();
        assert!(!dial.is_set());
        assert_eq!(dial.unix_ns(5), 5);
        dial.set(1_000, 86_400_000_001_000);
        assert_eq!(utc(dial.unix_ns(2_000)), "1970-01-02T00:00:00.000002Z");
        assert_eq!(short(dial.unix_ns(0)), "1970-01-02T00:00:00Z");
        assert_eq!(midnight(day(dial.unix_ns(7))), 86_400_000_000_000);
    }
}
