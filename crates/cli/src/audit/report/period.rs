//! How time is cut into periods: each has a number, and the numbers are in the order of time.

use jiff::civil::Date;

use super::super::when;

/// The nanoseconds of an hour, and of a day.
const HOUR_NS: i128 = 3_600_000_000_000;
const DAY_NS: i128 = 24 * HOUR_NS;

/// See the top of this file. Days and months are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// The whole log is one: number 0.
    All,
    /// Numbered since 1970.
    Hour,
    /// Numbered since 1970.
    Day,
    /// Numbered since the year 0.
    Month,
    /// One, with number 0; what was before has -1, what is after 1.
    Range {
        /// Its first nanosecond; none: from the beginning.
        from: Option<i128>,
        /// The first after it; none: to the end.
        to: Option<i128>,
    },
}

impl Period {
    /// `hour`, `day`, `month`, or `FROM/TO`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "hour" => return Ok(Self::Hour),
            "day" => return Ok(Self::Day),
            "month" => return Ok(Self::Month),
            _ => {}
        }
        let (from, to) = text.split_once('/').ok_or("write hour, day, month, or FROM/TO")?;
        let time = |text: &str| Some(text).filter(|t| !t.is_empty()).map(when::parse).transpose();
        let (from, to) = (time(from)?, time(to)?);
        match (from, to) {
            (Some(from), Some(to)) if from >= to => {
                Err("it ends before it begins; write FROM/TO, the earlier time first".to_string())
            }
            _ => Ok(Self::Range { from, to }),
        }
    }

    /// The period in which a time lies.
    pub fn at(&self, unix_ns: i128) -> i64 {
        let number = match *self {
            Self::All => 0,
            Self::Hour => unix_ns.div_euclid(HOUR_NS),
            Self::Day => unix_ns.div_euclid(DAY_NS),
            Self::Month => {
                let day = when::day(unix_ns);
                i128::from(day.year()) * 12 + i128::from(day.month() - 1)
            }
            Self::Range { from, to } => {
                let is_before = from.is_some_and(|from| unix_ns < from);
                let is_after = to.is_some_and(|to| unix_ns >= to);
                i128::from(is_after) - i128::from(is_before)
            }
        };
        i64::try_from(number).unwrap_or(i64::MAX)
    }

    /// The first nanosecond of a period, if it has one.
    pub fn start(&self, number: i64) -> Option<i128> {
        match *self {
            Self::All => None,
            Self::Hour => Some(i128::from(number) * HOUR_NS),
            Self::Day => Some(i128::from(number) * DAY_NS),
            Self::Month => {
                let (year, month) = (number.div_euclid(12), number.rem_euclid(12));
                let (year, month) = (i16::try_from(year).unwrap_or(9999), month as i8 + 1);
                Some(when::midnight(Date::new(year, month, 1).unwrap_or(Date::MAX)))
            }
            Self::Range { from, to } => match number {
                ..0 => None,
                0 => from,
                _ => to,
            },
        }
    }

    /// The first nanosecond after a period, if there is one.
    pub fn end(&self, number: i64) -> Option<i128> {
        match self {
            Self::All => None,
            Self::Range { .. } if number > 0 => None,
            Self::Range { from, to } => {
                if number < 0 {
                    *from
                } else {
                    *to
                }
            }
            _ => self.start(number + 1),
        }
    }

    /// Whether a period is asked for.
    pub fn wants(&self, number: i64) -> bool {
        number == 0 || !matches!(self, Self::Range { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_follow_each_other_without_gap() {
        let range = Period::Range { from: Some(5), to: Some(9 * DAY_NS) };
        for period in [Period::Hour, Period::Day, Period::Month, range] {
            for at in [-1, 0, 4, 5, HOUR_NS, DAY_NS - 1, 31 * DAY_NS, 20_000 * DAY_NS + 7] {
                let number = period.at(at);
                assert!(period.start(number).is_none_or(|start| start <= at), "{period:?} {at}");
                if let Some(end) = period.end(number) {
                    assert!(at < end);
                    assert_eq!((period.at(end), period.at(end - 1)), (number + 1, number));
                    assert_eq!(period.start(number + 1), Some(end));
                }
            }
        }
        assert_eq!((Period::All.at(7), Period::All.end(0)), (0, None));
    }

    #[test]
    fn periods_are_read_as_people_write_them() {
        assert_eq!(Period::parse("day"), Ok(Period::Day));
        let half = Period::Range { from: None, to: Some(DAY_NS) };
        assert_eq!(Period::parse("/1970-01-02"), Ok(half));
        let whole = Period::parse("1970-01-02/1970-02-01T12:00:00Z").unwrap();
        assert_eq!((whole.at(DAY_NS), whole.at(0), whole.at(40 * DAY_NS)), (0, -1, 1));
        for text in ["week", "1970-01-02", "1970-01-02/1970-01-02", "a/b", ""] {
            assert!(Period::parse(text).is_err(), "{text}");
        }
        let month = Period::Month;
        assert_eq!(month.start(month.at(40 * DAY_NS)), Some(31 * DAY_NS));
    }
}
