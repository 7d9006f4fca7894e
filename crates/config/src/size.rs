//! Sizes as people write them: `8589934592`, `"8GiB"`, `"1.5 GB"`, `"25%"` of a whole.

/// Factors by unit. Without an `i` a unit is a power of 1000, with it a power of 1024.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Bytes of a size as text; `whole` is what a percentage is of, `None` where none is allowed.
/// Fractions of a byte are dropped. The error says what is wrong, without the name of the key.
pub fn parse(text: &str, whole: Option<u64>) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number = number.replace('_', "");
    let unit = unit.trim();
    if number.is_empty() || number.parse::<f64>().is_err() {
        return Err(format!("`{text}` is not a size; write for example \"512MiB\" or \"8GiB\""));
    }
    if unit == "%" {
        return percent(&number, text, whole);
    }
    let factor = match unit {
        "" => 1,
        unit => UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, factor)| *factor)
            .ok_or_else(|| {
                let known: Vec<&str> = UNITS.iter().map(|(name, _)| *name).collect();
                format!("`{text}` has the unknown unit `{unit}`; use {}", known.join(", "))
            })?,
    };
    scaled(&number, factor).ok_or_else(|| format!("`{text}` is more than 2^64 bytes"))
}

fn percent(number: &str, text: &str, whole: Option<u64>) -> Result<u64, String> {
    let Some(whole) = whole else {
        return Err(format!("`{text}` is a share, but there is nothing here to take it of"));
    };
    let share = number.parse::<f64>().unwrap_or(f64::INFINITY);
    if share > 100.0 {
        return Err(format!("`{text}` is more than 100% of the whole"));
    }
    // Whole percents are exact; a fraction of one is as exact as a float.
    Ok(match number.parse::<u64>() {
        Ok(share) => (u128::from(whole) * u128::from(share) / 100) as u64,
        Err(_) => (whole as f64 * share / 100.0) as u64,
    })
}

/// number x factor, exactly: the digits after the point are counted as a fraction of the factor.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = fraction.get(..18.min(fraction.len()))?;
    let part = if fraction.is_empty() {
        0
    } else {
        let numerator: u128 = fraction.parse().ok()?;
        (numerator * u128::from(factor) / 10u128.pow(fraction.len() as u32)) as u64
    };
    whole.checked_mul(factor)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("8589934592", 8 << 30),
            ("1_000", 1_000),
            ("24GiB", 24 << 30),
            ("24 gib", 24 << 30),
            ("1.5KiB", 1536),
            ("2GB", 2_000_000_000),
            ("0.1B", 0),
            (".5MiB", 1 << 19),
            ("3TiB", 3 << 40),
        ] {
            assert_eq!(parse(text, None), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn shares_of_a_whole() {
        assert_eq!(parse("25%", Some(1000)), Ok(250));
        assert_eq!(parse("12.5 %", Some(1000)), Ok(125));
        assert_eq!(parse("100%", Some(u64::MAX)), Ok(u64::MAX));
        assert!(parse("101%", Some(1000)).unwrap_err().contains("more than 100%"));
        assert!(parse("10%", None).unwrap_err().contains("nothing here to take it of"));
    }

    #[test]
    fn what_is_not_a_size() {
        for (text, part) in [
            ("", "not a size"),
            ("GiB", "not a size"),
            ("1.2.3", "not a size"),
            ("-1", "not a size"),
            ("24G", "unknown unit `G`; use B, KB"),
            ("99999999999999999999", "2^64"),
            ("17000000TiB", "2^64"),
        ] {
            let error = parse(text, None).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
