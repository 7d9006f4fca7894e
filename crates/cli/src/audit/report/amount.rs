//! Byte-nanoseconds as people and programs read them. Exact: no figure passes through a float.

/// The nanoseconds of a second, and the byte-nanoseconds of a GiB-hour.
const SECOND_NS: u128 = 1_000_000_000;
const GIB_HOUR: u128 = (1 << 30) * 3_600 * SECOND_NS;

/// Byte-seconds with all nine decimals: `1073741824.000000000`.
pub fn byte_seconds(byte_ns: i128) -> String {
    decimal(byte_ns, SECOND_NS, 9)
}

/// GiB-hours, rounded to six decimals: `0.000278`.
pub fn gib_hours(byte_ns: i128) -> String {
    decimal(byte_ns, GIB_HOUR, 6)
}

/// `amount / unit` with so many decimals, half away from zero.
fn decimal(amount: i128, unit: u128, decimals: u32) -> String {
    let scale = 10u128.pow(decimals);
    let sign = if amount < 0 { "-" } else { "" };
    let (whole, rest) = (amount.unsigned_abs() / unit, amount.unsigned_abs() % unit);
    let part = (rest * scale + unit / 2) / unit;
    let (whole, part) = (whole + part / scale, part % scale);
    format!("{sign}{whole}.{part:0width$}", width = decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_rounded_once() {
        assert_eq!(byte_seconds(0), "0.000000000");
        assert_eq!(byte_seconds(1_500_000_001), "1.500000001");
        assert_eq!(byte_seconds(-2), "-0.000000002");
        assert_eq!(gib_hours(GIB_HOUR as i128), "1.000000");
        assert_eq!(gib_hours(GIB_HOUR as i128 / 2_000_000), "0.000001");
        assert_eq!(gib_hours(GIB_HOUR as i128 / 2_000_000 - 1), "0.000000");
        assert_eq!(gib_hours(GIB_HOUR as i128 * 3 - 1), "3.000000");
        let most = i128::MAX / 1_000_000_000_000_000;
        assert!(byte_seconds(most).parse::<f64>().is_ok());
    }
}
