//! Dates of the form `2023-11-16 18:17:03.9799600` as nanoseconds.

/// Nanoseconds since the first day of year 0; none where the text is not a date.
pub fn parse_ns(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(' ')?;
    let mut date = date.split('-').map(str::parse::<u64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.split(':');
    let hour: u64 = time.next()?.parse().ok()?;
    let minute: u64 = time.next()?.parse().ok()?;
    let second = second_ns(time.next()?)?;
    let in_range = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60;
    if !in_range || time.next().is_some() || date.next().is_some() {
        return None;
    }
    let minutes = (days(year, month, day) * 24 + hour) * 60 + minute;
    // A u64 holds 584 years of nanoseconds; dates are only ever compared with each other.
    minutes.checked_sub(DAY_ZERO * 24 * 60)?.checked_mul(60 * 1_000_000_000)?.checked_add(second)
}

/// The day that counts as 0: the first of January 1900.
const DAY_ZERO: u64 = 693_901;

/// Days from the first of March of year 0 in the Gregorian calendar, counted in years that begin
/// in March, so that a leap day is the last day of its year.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1
}

/// Seconds with up to nine decimals.
fn second_ns(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok().filter(|second| *second <= 60)?;
    let decimals = decimals.get(..decimals.len().min(9))?;
    let scale = 10_u64.pow(9 - decimals.len() as u32);
    let part: u64 = if decimals.is_empty() { 0 } else { decimals.parse().ok()? };
    Some(whole * 1_000_000_000 + part * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(from: &str, to: &str) -> u64 {
        parse_ns(to).unwrap() - parse_ns(from).unwrap()
    }

    #[test]
    fn differences_are_exact() {
        let step = between("2023-11-16 18:17:03.9799600", "2023-11-16 18:17:04.0319600");
        assert_eq!(step, 52_000_000);
        let day = 86_400 * 1_000_000_000;
        assert_eq!(between("2024-02-28 00:00:00", "2024-03-01 00:00:00"), 2 * day);
        assert_eq!(between("2023-12-31 23:59:59", "2024-01-01 00:00:00"), 1_000_000_000);
        assert_eq!(parse_ns("1900-01-01 00:00:00"), Some(0));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "2023-11-16", "2023-13-16 00:00:00", "2023-11-16 24:00:00", "x y"] {
            assert_eq!(parse_ns(text), None, "{text}");
        }
        // The ninth decimal ends within a letter.
        assert_eq!(parse_ns("2023-11-16 00:00:00.12345678é"), None);
    }
}
