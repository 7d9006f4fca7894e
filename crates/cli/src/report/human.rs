//! Sizes, counts, rates and times as people write them. Every function is total: it has an
//! answer for every number, and none of them is longer than ten characters or so.

/// Of sizes, each 1024 times the one before.
pub const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// `24 GiB`, `1.46 GiB`, `512 B`: binary units, three digits, none where the size is round.
pub fn bytes(bytes: u64) -> String {
    let mut unit = if bytes == 0 { 0 } else { (bytes.ilog2() / 10) as usize };
    let size = 1u64 << (10 * unit);
    if bytes.is_multiple_of(size) {
        return format!("{} {}", bytes / size, UNITS[unit]);
    }
    let mut value = bytes as f64 / size as f64;
    if value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), UNITS[unit])
}

/// `1,234,567`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 grant`, `2 grants`.
pub fn plural(amount: u64, word: &str) -> String {
    let ending = if amount == 1 { "" } else { "s" };
    format!("{} {word}{ending}", count(amount))
}

/// `49.1 %` of a ratio of 0.491. A ratio below one is never rounded up to `100.0 %`.
pub fn percent(ratio: f64) -> String {
    let shown = ratio * 100.0;
    let shown = if ratio < 1.0 && shown > 99.9 { 99.9 } else { shown };
    format!("{shown:.1} %")
}

/// `1.24 M/s`: decimal units, three digits.
pub fn rate(per_second: f64) -> String {
    if !per_second.is_finite() {
        return "-".to_string();
    }
    let (value, unit) = match per_second {
        v if v >= 1e9 => (v / 1e9, " G/s"),
        v if v >= 1e6 => (v / 1e6, " M/s"),
        v if v >= 1e3 => (v / 1e3, " k/s"),
        v => (v, "/s"),
    };
    format!("{}{unit}", three_digits(value))
}

/// `840 ns`, `12.3 ms`, `41.2 s`, `3 min 05 s`, `2 h 07 min`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "-".to_string(),
        s if s < 1e-6 => format!("{} ns", three_digits(s * 1e9)),
        s if s < 1e-3 => format!("{} us", three_digits(s * 1e6)),
        s if s < 1.0 => format!("{} ms", three_digits(s * 1e3)),
        s if s < 60.0 => format!("{} s", three_digits(s)),
        s if s < 3600.0 => format!("{} min {:02} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {:02} min", s as u64 / 3600, s as u64 % 3600 / 60),
    }
}

/// `500 ms`, `30 s`, `2 min`, `24 h`: a limit as people set it, in the largest unit of which it is
/// a whole number.
pub fn limit(seconds: f64) -> String {
    let ms = (seconds * 1e3).round() as u64;
    let units = [("h", 3_600_000), ("min", 60_000), ("s", 1_000)];
    let whole = units.into_iter().find(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(*unit_ms));
    let (unit, unit_ms) = whole.unwrap_or(("ms", 1));
    format!("{} {unit}", count(ms / unit_ms))
}

/// A number with as many decimals as it needs, at most two: `10`, `0.5`, `2.25`.
pub fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn three_digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_round_where_the_size_is() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(24 << 30), "24 GiB");
        assert_eq!(bytes((3 << 30) / 2), "1.50 GiB");
        assert_eq!(bytes((1 << 30) - 1), "1.00 GiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn counts_have_commas() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(plural(1, "grant"), "1 grant");
        assert_eq!(plural(2_000, "grant"), "2,000 grants");
    }

    #[test]
    fn ratios_rates_and_times() {
        assert_eq!(percent(0.4911), "49.1 %");
        assert_eq!(percent(0.99999), "99.9 %");
        assert_eq!(percent(1.0), "100.0 %");
        assert_eq!(rate(12.0), "12.0/s");
        assert_eq!(rate(1_240_000.0), "1.24 M/s");
        assert_eq!(rate(f64::NAN), "-");
        assert_eq!(seconds(84e-9), "84.0 ns");
        assert_eq!(seconds(0.0123), "12.3 ms");
        assert_eq!(seconds(185.0), "3 min 05 s");
        assert_eq!(seconds(7_620.0), "2 h 07 min");
        assert_eq!((limit(0.5), limit(90.0)), ("500 ms".into(), "90 s".into()));
        assert_eq!((limit(120.0), limit(86_400.0)), ("2 min".into(), "24 h".into()));
        assert_eq!(limit(0.0), "0 ms");
        assert_eq!(short(10.0), "10");
        assert_eq!(short(0.5), "0.5");
    }
}
